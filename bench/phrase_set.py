"""Recorded phrases as the benches ask for them: what was played, transcribed without mididdsp's own analysis.

Where a note ends is a matter of convention, and level contours hang on it. Both ends are kept: ``held_s`` is where the
level leaves 6 dB below the note's plateau, as a player lets go; ``ringing_s`` is where the next note begins or the
sound is 28 dB below the phrase's top. Joints follow figures/playing.md: legato is a new pitch after a gap of at most
30 ms with a dip of less than 6 dB below the softer neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench import clips, measures, transcribe
from bench.workbench import RATE, NoteTuple, Setup
from mididdsp.instruments import instrument

Array = NDArray[np.float64]

UNSTEADY = ("trill", "tremolo", "glissando", "pizz", "guitar", "harmonic", "flutter")
"""Words in the style of phrases whose notes are not held pitches."""

LONGEST_S = 20.0
"""What comes later in a phrase is left out: a bench has five minutes."""

HELD_DB = 6.0
LEGATO_GAP_S = 0.03
LEGATO_DIP_DB = 6.0
OVERLAP_S = 0.02
"""A note joined to the next one reaches this far into it, as in a file that somebody played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseNote:
    """A note of a phrase; times in s from the start of the recording, ``joined`` to the one before without attack."""

    onset: float
    held_s: float
    ringing_s: float
    pitch: float
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A recorded phrase, its audio at 48 kHz, and its notes by onset."""

    clip: clips.Clip
    audio: Array
    notes: tuple[PhraseNote, ...]

    def held(self) -> list[NoteTuple]:
        """Notes to ask for: as long as the player held them, joined ones overlapping."""
        asked = []
        for index, note in enumerate(self.notes):
            leads = index + 1 < len(self.notes) and self.notes[index + 1].joined
            length = self.notes[index + 1].onset - note.onset + OVERLAP_S if leads else note.held_s
            asked.append((note.onset, length, note.pitch, self.clip.velocity))
        return asked

    def ringing(self) -> list[NoteTuple]:
        """Notes to ask for: until the sound is gone or the next begins, none joined."""
        return [(note.onset, note.ringing_s, note.pitch, self.clip.velocity) for note in self.notes]


def steady(found: Iterable[clips.Clip]) -> list[clips.Clip]:
    """Those whose notes are held pitches."""
    return [clip for clip in found if not any(word in clip.style for word in UNSTEADY)]


def chosen(setup: Setup, instruments: Sequence[str], most: int | None) -> list[clips.Clip]:
    """The phrases of the split, ``most`` an instrument evenly over the list."""
    result = []
    for name in instruments:
        found = steady(setup.library.select(split=setup.split, kind="phrase", instrument=name))
        result += clips.spread_evenly(sorted(found, key=lambda clip: clip.file), most or len(found))
    return result


def level_of(audio: Array, lowest_hz: float, step_s: float = 0.004) -> Array:
    """Level every ``step_s`` over two periods of the lowest note, 20 ms at least: less would follow the wave."""
    return measures.level_contour(audio, RATE, step_s, max(0.02, 2.0 / lowest_hz))


def notes_of(audio: Array, low: float, high: float) -> list[PhraseNote]:
    """Notes of a phrase between two MIDI pitches, by onset.

    Raises:
        ValueError: nothing periodic was found.
    """
    heard = transcribe.transcribe(audio, RATE, low, high)
    if not heard:
        return []
    step = 0.004
    level = level_of(audio, 440.0 * 2.0 ** ((min(pitch for _, _, pitch in heard) - 69.0) / 12.0), step)
    found = []
    for index, (onset, duration, pitch) in enumerate(heard):
        first, last = int(onset / step), max(int(onset / step) + 1, int((onset + duration) / step))
        inside = level[first:last]
        above = np.flatnonzero(inside >= np.percentile(inside, 70) - HELD_DB)
        held = max(step, (int(above[-1]) + 1) * step if len(above) else duration)
        joined = False
        if index:
            before = heard[index - 1]
            gap = onset - before[0] - before[1]
            dip = dip_db(level, step, before[0], onset, onset + duration)
            joined = gap <= LEGATO_GAP_S and dip < LEGATO_DIP_DB and abs(before[2] - pitch) >= 0.5
        found.append(PhraseNote(onset=onset, held_s=min(held, duration), ringing_s=duration, pitch=pitch,
                                joined=joined))
    return found


def dip_db(level: Array, step_s: float, start: float, joint: float, stop: float) -> float:
    """How far the level falls at ``joint`` below the softer of the notes [start, joint) and [joint, stop), dB, >= 0.

    A note's own level is the upper quartile over it; the dip is looked for up to 60 ms before and after the joint,
    a third of either note at most.
    """
    a, j, b = (int(round(time / step_s)) for time in (start, joint, stop))
    if not 0 <= a < j < b or j >= len(level):
        return 0.0
    sides = [float(np.percentile(level[a:j], 75)), float(np.percentile(level[j:b], 75))]
    reach = int(round(0.06 / step_s))
    near = level[max(a, j - min(reach, max(1, (j - a) // 3))):j + min(reach, max(1, (b - j) // 3)) + 1]
    return max(0.0, min(sides) - float(near.min()))


def read_phrase(setup: Setup, clip: clips.Clip) -> Phrase | None:
    """A phrase with its notes; None where fewer than two are heard."""
    audio = setup.library.audio(clip)[:round(LONGEST_S * RATE)]
    known = instrument(clip.instrument)
    try:
        notes = notes_of(audio, max(known.low - 1, clip.label - 13), min(known.high + 2, clip.label + 25))
    except ValueError:
        return None
    return Phrase(clip=clip, audio=audio, notes=tuple(notes)) if len(notes) >= 2 else None
