"""Notes on a grid of sixteenths: what the prior over notes reads and writes.

Conventions: a *cell* is one voice at one step. A cell sounds a pitch or rests; ``onset`` tells a note that begins in
the cell from one that is held into it, so that repeated and tied notes differ. Steps are counted from beat 0 of the
score, four to the quarter note, whatever the tempo. Arrays are (voices, steps), voices in the order of the parts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.types import KeyChange, MeterChange, Note, Part, Score, TempoChange

STEPS_PER_QUARTER = 4
"""Sixteenths to a quarter note."""

REST = -1
"""The pitch of a cell in which its voice is silent."""

_DEFAULT_BPM = 120.0
_OFF_GRID = 1.0 / 48.0
"""Quarter notes an onset may lie beside the grid before it is reported; a triplet eighth lies 1/12 beside it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoteGrid:
    """Monophonic voices on a grid of sixteenths.

    Attributes:
        pitch: int16 [V, T]; MIDI number 0 to 127, or ``REST``.
        onset: bool [V, T]; a note begins here. Never set on a rest; always set where the cell before differs in pitch.
        position: int16 [T]; sixteenths since the beginning of the bar, >= 0.
        bar: int16 [T]; length of the bar in sixteenths, above ``position``.
        fermata: bool [T]; a phrase ends here.
    """

    pitch: NDArray[np.int16]
    onset: NDArray[np.bool_]
    position: NDArray[np.int16]
    bar: NDArray[np.int16]
    fermata: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.pitch.ndim != 2 or self.pitch.shape != self.onset.shape:
            raise ValueError(
                f"pitch has shape {self.pitch.shape} and onset {self.onset.shape}; both must be (voices, steps)"
            )
        for name in ("position", "bar", "fermata"):
            if getattr(self, name).shape != self.pitch.shape[1:]:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}; give one value per step")
        if self.pitch.size and not (self.pitch.min() >= REST and self.pitch.max() <= 127):
            raise ValueError("a pitch of the grid is outside 0 to 127; give MIDI numbers, or REST")
        if bool((self.onset & (self.pitch == REST)).any()):
            raise ValueError("an onset of the grid lies on a rest; only notes begin")
        if bool((begins(self.pitch) & ~self.onset).any()):
            raise ValueError("a cell of the grid is held from a cell of another pitch; mark its onset")
        if bool((self.position < 0).any() or (self.position >= self.bar).any()):
            raise ValueError("a position of the grid is outside its bar; it counts sixteenths from 0")

    @property
    def voices(self) -> int:
        """How many voices there are."""
        return int(self.pitch.shape[0])

    @property
    def steps(self) -> int:
        """How many sixteenths there are."""
        return int(self.pitch.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class GridReading:
    """A grid made from a score, and what the grid could not keep, in words for the user."""

    grid: NoteGrid
    messages: tuple[str, ...]


def begins(pitch: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Cells that sound a pitch the cell before does not: an onset for certain. Shape of ``pitch``, (..., T)."""
    before = np.concatenate([np.full_like(pitch[..., :1], REST), pitch[..., :-1]], axis=-1)
    return np.asarray((pitch != REST) & (pitch != before))


def meter_steps(meter: Sequence[MeterChange], steps: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Position in the bar and length of the bar, in sixteenths, for each of ``steps`` steps.

    Bars are counted anew from each change of meter; without any the meter is 4/4. Bars shorter than a sixteenth or
    with a fraction of one (such as 3/32) are rounded to whole sixteenths.
    """
    position = np.zeros(steps, np.int16)
    bar = np.full(steps, 4 * STEPS_PER_QUARTER, np.int16)
    changes = [(0, 4 * STEPS_PER_QUARTER)]
    for change in meter:
        length = max(1, round(change.numerator * 4 * STEPS_PER_QUARTER / change.denominator))
        changes.append((max(0, round(change.beat * STEPS_PER_QUARTER)), length))
    for start, length in changes:
        bar[start:] = length
        position[start:] = np.arange(max(0, steps - start)) % length
    return position, bar


def score_to_grid(score: Score, *, steps: int | None = None) -> GridReading:
    """Quantise a score: each part is a voice, each onset and end goes to its nearest sixteenth.

    Args:
        score: at least one part; drums have no place here.
        steps: length of the grid; by default up to the end of the last note, in whole bars.

    Returns:
        The grid (no fermatas: a score does not keep them) and messages about notes that were moved, lengthened to a
        sixteenth, or left out because a higher one of the same part sounds with them.
    """
    if steps is None:
        steps = _whole_bars(score, math.ceil(round(beat_at(score.tempo, score.duration) * STEPS_PER_QUARTER, 3)))
    pitch = np.full((len(score.parts), steps), REST, np.int16)
    onset = np.zeros_like(pitch, dtype=bool)
    messages = []
    for voice, part in enumerate(score.parts):
        moved = hidden = rounded = 0
        # Low to high at one onset, so that the highest note of a chord is written last and stays.
        for note in part.notes:
            begin, end = (beat_at(score.tempo, time) * STEPS_PER_QUARTER for time in (note.onset, note.offset))
            first = round(begin)
            stop = min(steps, max(first + 1, round(end)))
            if first >= steps:
                continue
            number = min(127, max(0, round(note.pitch)))
            moved += abs(begin - first) > _OFF_GRID * STEPS_PER_QUARTER
            rounded += abs(note.pitch - number) > 0.01
            hidden += bool(onset[voice, first])
            pitch[voice, first:stop] = number
            onset[voice, first:stop] = False
            onset[voice, first] = True
            if stop < steps and pitch[voice, stop] != REST:
                onset[voice, stop] = True  # what goes on below a shorter note is struck again after it
        for count, what in (
            (moved, "moved to the nearest sixteenth"),
            (hidden, "left out, because a higher one begins with it and a voice has one note at a time"),
            (rounded, "rounded to a semitone"),
        ):
            if count:
                messages.append(f"part {part.name}: {count} {'note was' if count == 1 else 'notes were'} {what}")
    position, bar = meter_steps(score.meter, steps)
    grid = NoteGrid(pitch=pitch, onset=onset, position=position, bar=bar, fermata=np.zeros(steps, bool))
    return GridReading(grid=grid, messages=tuple(messages))


def grid_to_score(
    grid: NoteGrid,
    *,
    names: Sequence[str],
    instruments: Sequence[str],
    tempo: Sequence[TempoChange] = (),
    meter: Sequence[MeterChange] = (),
    key: Sequence[KeyChange] = (),
    title: str = "",
    velocity: int | None = None,
) -> Score:
    """Write a grid as a score, one part for each voice.

    Args:
        grid: what to write.
        names: of the parts, unique.
        instruments: of the parts, from the table of instruments.
        tempo, meter, key, title: of the score; ``meter`` should be the one the grid was made with.
        velocity: of all notes, or None.

    Raises:
        ValueError: there are not as many names and instruments as voices.
    """
    if not len(names) == len(instruments) == grid.voices:
        raise ValueError(
            f"{len(names)} names and {len(instruments)} instruments for {grid.voices} voices; give one of each a voice"
        )
    parts = []
    for voice, (name, instrument) in enumerate(zip(names, instruments)):
        notes = []
        for first, stop in note_spans(grid, voice):
            begin, end = (_time(tempo, step / STEPS_PER_QUARTER) for step in (first, stop))
            identity = hashlib.sha256(f"{voice}\x1f{first}\x1f{grid.pitch[voice, first]}".encode()).hexdigest()[:12]
            notes.append(
                Note(
                    id=identity,
                    onset=begin,
                    duration=end - begin,
                    pitch=float(grid.pitch[voice, first]),
                    velocity=velocity,
                )
            )
        parts.append(Part(name=name, instrument=instrument, notes=tuple(notes)))
    return Score(parts=tuple(parts), tempo=tuple(tempo), meter=tuple(meter), key=tuple(key), title=title)


def note_spans(grid: NoteGrid, voice: int) -> list[tuple[int, int]]:
    """First step and step after the last of each note of a voice, in order."""
    pitch, onset = grid.pitch[voice], grid.onset[voice]
    ends = np.append(onset[1:] | (pitch[1:] == REST), True)
    return [(int(first), int(first + np.argmax(ends[first:])) + 1) for first in np.flatnonzero(onset)]


def _whole_bars(score: Score, steps: int) -> int:
    if steps == 0:
        return 0
    position, bar = meter_steps(score.meter, steps)
    return steps + int(bar[-1]) - 1 - int(position[-1])


def beat_at(tempo: Sequence[TempoChange], time: float) -> float:
    """Quarter notes from the beginning at a time in seconds; without tempo changes 120 a minute."""
    here = TempoChange(time=0.0, beat=0.0, bpm=tempo[0].bpm if tempo else _DEFAULT_BPM)
    for change in tempo:
        if change.time > time:
            break
        here = change
    return here.beat + (time - here.time) * here.bpm / 60.0


def _time(tempo: Sequence[TempoChange], beat: float) -> float:
    """Seconds at a number of quarter notes from the beginning."""
    here = TempoChange(time=0.0, beat=0.0, bpm=tempo[0].bpm if tempo else _DEFAULT_BPM)
    for change in tempo:
        if change.beat > beat:
            break
        here = change
    return here.time + (beat - here.beat) * 60.0 / here.bpm
