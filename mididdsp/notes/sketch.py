"""From a task to what the prior over notes can do: a grid, which cells of it are known, what is wished of the rest.

Conventions: voices are numbered from the highest, from 0; bars are counted from 1, a pickup is bar 0; pitches are MIDI
numbers; a *step* is a sixteenth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.chords import parse_chords
from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, meter_steps, note_spans, score_to_grid
from mididdsp.notes.keys import Key, find_key
from mididdsp.notes.types import KeyChange, MeterChange, Score
from mididdsp.notes.wishes import FROM_FILE, ComposeError, Wishes, players, voice_names, voice_ranges

if TYPE_CHECKING:
    from mididdsp.notes.generator import NotePrior


_CHORD_NATS = 3.0
"""What a tone beside the wished chord costs on a beat, nats; half of it off the beat, for passing notes."""

_CADENCE_NATS = 8.0
"""What a tone beside the chord of a cadence costs: all but forbidden, so that a melody may still insist."""

_OCTAVES = (0, 12, -12, 24, -24)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sketch:
    """A task for the prior.

    Attributes:
        grid: [V, T], what is known in its place.
        known: bool [V, T].
        octave: semitones that the grid lies below the score.
        key: as it sounds, or None.
        source: what was given, or None.
        voice_of: voice of each part of the source.
        absent: voices that stay silent.
        pickup: steps of the first bar that are missing.
        messages: for the report.
        meter: of the whole bars.
        bars: number, first step and step after the last of each bar.
    """

    grid: NoteGrid
    known: NDArray[np.bool_]
    octave: int = 0
    key: Key | None = None
    source: Score | None = None
    voice_of: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    pickup: int = 0
    messages: tuple[str, ...] = ()
    meter: tuple[MeterChange, ...] = ()
    bars: tuple[tuple[int, int, int], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0, *(int(step) for step in np.flatnonzero(self.grid.position == 0) if step)]
        ends = [*starts[1:], self.grid.steps]
        first = 0 if self.grid.steps and self.grid.position[0] > 0 else 1
        numbered = tuple((first + index, a, b) for index, (a, b) in enumerate(zip(starts, ends)))
        object.__setattr__(self, "bars", numbered)

    def bar(self, number: int) -> slice:
        """The steps of a bar.

        Raises:
            ComposeError: there is no such bar.
        """
        for this, start, end in self.bars:
            if this == number:
                return slice(start, end)
        first, last = self.bars[0][0], self.bars[-1][0]
        raise ComposeError(f"there is no bar {number}; the piece has the bars {first} to {last}")

    @property
    def last_bar(self) -> int:
        """Number of the last bar."""
        return self.bars[-1][0]


def voices_of(score: Score, given: Sequence[int] | None, total: int) -> tuple[int, ...]:
    """Voice of each part, of ``total`` voices."""
    count = len(score.parts)
    if not 1 <= count <= total:
        raise ComposeError(f"the file has {count} parts; give one to {total}, each one voice")
    if given is not None:
        if len(given) != count or len(set(given)) != count:
            raise ComposeError(f"{len(given)} voices are named for {count} parts; name one voice for each part")
        if not all(0 <= voice < total for voice in given):
            raise ComposeError(f"the voices {list(given)} are named, but the prior has {total}, from 0")
        return tuple(given)
    # The highest ones and the bass; of one part the highest.
    voices = (0,) if count == 1 else (*range(count - 1), total - 1)
    height = [-median(note.pitch for note in part.notes) if part.notes else 0.0 for part in score.parts]
    ranked = sorted(range(count), key=lambda part: height[part])
    return tuple(voices[ranked.index(part)] for part in range(count))


def low_melody(score: Score, wishes: Wishes, total: int) -> int | None:
    """The voice of a single part that is too low for the player of the highest one; None where that can have it."""
    notes = [note.pitch for part in score.parts for note in part.notes]
    if len(score.parts) != 1 or not notes or wishes.ensemble == FROM_FILE:
        return None
    middle = median(notes)
    if middle >= INSTRUMENTS[players(wishes.ensemble, total)[0]].low:
        return None
    return next((voice for voice, (low, _) in enumerate(voice_ranges(total)) if low <= middle), total - 1)


def absent_voices(voices: Iterable[int], total: int) -> tuple[int, ...]:
    """Those of ``total`` voices that are not among ``voices``.

    Raises:
        ComposeError: none is named, or one that there is not.
    """
    there = set(voices)
    if not there or not there <= set(range(total)):
        raise ComposeError(f"the voices {sorted(there)} are asked for; name some of 0 to {total - 1}")
    return tuple(voice for voice in range(total) if voice not in there)


def sketch_of(
    prior: NotePrior,
    score: Score,
    wishes: Wishes,
    *,
    given: Sequence[int] | None,
    voices: Sequence[int],
    more_bars: int = 0,
) -> Sketch:
    """A score on the grid of the prior, everything known."""
    total = len(voice_names(prior.config.voices))
    voice_of = voices_of(score, given, total)
    if any(voice not in voices for voice in voice_of):
        raise ComposeError("a part of the file is a voice that the result shall not have; name it among the voices")
    if not any(part.notes for part in score.parts):
        raise ComposeError("the file has no notes to begin with; give at least one, or generate from nothing")
    reading = score_to_grid(score)
    meter, pickup = _pickup(score.meter, wishes.pickup)
    # score_to_grid fills up the last bar; a pickup moves where that is.
    used = int(np.flatnonzero((reading.grid.pitch != REST).any(0))[-1]) + 1
    position, bar = positions(meter, used, pickup)
    steps = used + int(bar[-1]) - 1 - int(position[-1]) + more_bars * int(bar[-1])
    position, bar = positions(meter, steps, pickup)
    pitch = np.full((total, steps), REST, np.int16)
    onset = np.zeros(pitch.shape, bool)
    for part, voice in enumerate(voice_of):
        pitch[voice, :used], onset[voice, :used] = reading.grid.pitch[part, :used], reading.grid.onset[part, :used]
    octave = _octave(prior, pitch)
    messages = list(reading.messages)
    if octave is None:
        sounding = pitch[pitch != REST]
        raise ComposeError(
            f"the notes reach from {sounding.min()} to {sounding.max()}, further than the prior's "
            f"{prior.config.low} to {prior.config.high} in any octave; give fewer parts or a smaller range"
        )
    if octave:
        messages.append(f"composed {abs(octave)} semitones {'lower' if octave > 0 else 'higher'} and moved back")
    key = wishes.key or _written_key(score.key, pitch) or find_key(pitch)
    shifted = np.where(pitch == REST, REST, pitch - octave).astype(np.int16)
    grid = NoteGrid(pitch=shifted, onset=onset, position=position, bar=bar, fermata=np.zeros(steps, bool))
    return Sketch(
        grid=grid, known=np.ones(pitch.shape, bool), octave=octave, key=key, source=score, voice_of=voice_of,
        absent=absent_voices(voices, total), pickup=pickup, messages=tuple(messages), meter=meter,
    )


def _pickup(meter: Sequence[MeterChange], asked: float | None) -> tuple[tuple[MeterChange, ...], int]:
    """The meter without a short first bar, and the steps of that bar.

    A file writes a pickup as one bar of a shorter meter before the real one.
    """
    changes = sorted(meter, key=lambda change: change.beat)
    if asked is not None:
        return tuple(changes), round(asked * STEPS_PER_QUARTER)
    if len(changes) > 1 and changes[0].beat == 0:
        lengths = [change.numerator * 4.0 / change.denominator for change in changes[:2]]
        if changes[1].beat == lengths[0] < lengths[1]:
            return (replace(changes[1], beat=0.0), *changes[2:]), round(lengths[0] * STEPS_PER_QUARTER)
    return tuple(changes), 0


def positions(meter: Sequence[MeterChange], steps: int, pickup: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """As ``meter_steps``, the first bar being a pickup of so many steps."""
    if not pickup:
        return meter_steps(meter, steps)
    length = int(meter_steps(meter, 1)[1][0])
    if not 0 < pickup < length:
        raise ComposeError(f"the pickup is {pickup} sixteenths; it must be shorter than a bar of {length}")
    missing = length - pickup
    later = [replace(change, beat=change.beat + missing / STEPS_PER_QUARTER) if change.beat else change
             for change in meter]
    position, bar = meter_steps(later, steps + missing)
    return position[missing:], bar[missing:]


def _octave(prior: NotePrior, pitch: NDArray[np.int16]) -> int | None:
    """Semitones in whole octaves to take away, so that the voices lie best within the prior's; None if none fits."""
    best: tuple[int, int] | None = None
    usual = voice_ranges(len(pitch))
    for order, octave in enumerate(_OCTAVES):
        moved = [(voice, pitch[voice][pitch[voice] != REST] - octave) for voice in range(len(pitch))]
        sung = [(voice, notes) for voice, notes in moved if notes.size]
        if any(notes.min() < prior.config.low or notes.max() > prior.config.high for _, notes in sung):
            continue
        beside = sum(
            int((notes < usual[voice][0] - 2).sum() + (notes > usual[voice][1] + 2).sum())
            for voice, notes in sung
        )
        if best is None or (beside, order) < best:
            best = (beside, order)
    return None if best is None else _OCTAVES[best[1]]


def _written_key(changes: Sequence[KeyChange], pitch: NDArray[np.int16]) -> Key | None:
    """The signature at the beginning, unless it is the one that programs write when they know none."""
    first = next((change for change in changes if change.beat == 0), None)
    if first is None:
        return None
    key = Key(fifths=first.fifths, mode=first.mode)
    heard = find_key(pitch)
    if key.fifths == 0 and heard is not None and heard.shift != key.shift:
        return None
    # Major is what programs write when they know only the signature; minor, somebody has written.
    return heard if heard is not None and heard.shift == key.shift and key.mode == "major" else key


def given_rhythm(sketch: Sketch, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of the notes of the source that are open, -1 elsewhere."""
    tied = np.full(known.shape, -1)
    for voice in sketch.voice_of:
        for number, (first, stop) in enumerate(note_spans(sketch.grid, voice)):
            if not known[voice, first:stop].any():
                tied[voice, first:stop] = number
    return tied


def instruments_of(sketch: Sketch, wishes: Wishes) -> list[str]:
    chosen = players("string-quartet" if wishes.ensemble == FROM_FILE else wishes.ensemble, sketch.grid.voices)
    if wishes.ensemble == FROM_FILE and sketch.source is not None:
        for part, voice in zip(sketch.source.parts, sketch.voice_of):
            chosen[voice] = part.instrument
    return chosen


def ranges_of(prior: NotePrior, sketch: Sketch, wishes: Wishes) -> list[tuple[int, int]]:
    """Lowest and highest pitch of each voice on the sketch's grid: what instrument and prior both have."""
    ranges = []
    for name in instruments_of(sketch, wishes):
        row = INSTRUMENTS[name]
        low, high = max(prior.config.low, row.low - sketch.octave), min(prior.config.high, row.high - sketch.octave)
        if low > high:
            raise ComposeError(
                f"the {row.label.lower()} cannot play in the octave of this piece; choose another ensemble"
            )
        ranges.append((low, high))
    return ranges


def guided(prior: NotePrior, sketch: Sketch, wishes: Wishes) -> tuple[NoteGrid, NDArray[np.float64]]:
    """The grid with its fermatas, and what is added to the likelihood of each class."""
    grid, config = sketch.grid, prior.config
    tone = (np.arange(config.classes) - 1 + config.low + sketch.octave) % 12
    bias = np.zeros((config.voices, grid.steps, config.classes))
    # Voices of a chorale do not pause where nobody asked for it.
    bias[..., 0] = -np.inf

    def prefer(voices: Iterable[int], steps: slice, tones: Iterable[int], nats: float | NDArray[np.float64]) -> None:
        beside = ~np.isin(tone, sorted(tones))
        beside[0] = False
        for voice in voices:
            bias[voice, steps][:, beside] -= np.reshape(nats, (-1, 1))

    if wishes.chords:
        for number, chords in enumerate(parse_chords(wishes.chords), start=1):
            if number > sketch.last_bar:
                raise ComposeError(f"there are chords for bar {number}, but the last bar is {sketch.last_bar}")
            bar = sketch.bar(number)
            edges = np.linspace(bar.start, bar.stop, len(chords) + 1).round().astype(int)
            for chord, start, stop in zip(chords, edges, edges[1:]):
                if chord is None or start == stop:
                    continue
                steps = slice(int(start), int(stop))
                beat = np.where(grid.position[steps] % STEPS_PER_QUARTER == 0, _CHORD_NATS, 0.5 * _CHORD_NATS)
                prefer(range(config.voices), steps, chord.tones, beat)
                if chord.bass is not None:
                    prefer([config.voices - 1], steps, [chord.bass], beat)
    fermata = grid.fermata.copy()
    for cadence in wishes.cadences:
        end = _cadence_step(sketch, sketch.bar(cadence.bar))
        stop = sketch.bar(cadence.bar).stop
        fermata[end:stop] = True
        if sketch.key is None:
            continue
        tonic, minor = sketch.key.tonic, sketch.key.mode == "minor"
        first = [(tonic + step) % 12 for step in (0, 3 if minor else 4, 7)]
        fifth = [(tonic + step) % 12 for step in (7, 11, 2)]
        fourth = [(tonic + step) % 12 for step in (5, 8 if minor else 9, 0)]
        last = fifth if cadence.kind == "half" else first
        before = {"authentic": fifth, "plagal": fourth, "half": None}[cadence.kind]
        told = sketch.grid.pitch[:, end][sketch.known[:, end] & (sketch.grid.pitch[:, end] != REST)]
        if any((int(pitch) + sketch.octave) % 12 not in last for pitch in told):
            continue  # what is written does not end on this harmony: the prior finds the one it does end on
        prefer(range(config.voices), slice(end, stop), last, _CADENCE_NATS)
        prefer([config.voices - 1], slice(end, stop), last[:1], _CADENCE_NATS)
        approach = slice(max(0, end - STEPS_PER_QUARTER), end)
        told = sketch.grid.pitch[:, approach][sketch.known[:, approach] & (sketch.grid.pitch[:, approach] != REST)]
        if before is not None and not any((int(pitch) + sketch.octave) % 12 not in before for pitch in told):
            prefer(range(config.voices), approach, [*before, (tonic + 5) % 12], _CADENCE_NATS)
            prefer([config.voices - 1], approach, before[:1], _CADENCE_NATS)
    return replace(grid, fermata=fermata), bias


def _cadence_step(sketch: Sketch, bar: slice) -> int:
    """Where the last harmony of a bar begins: with the last given note on a beat, else in the middle of the bar."""
    onsets = np.flatnonzero((sketch.grid.onset & sketch.known).any(0))
    begin, end = int(bar.start), int(bar.stop)
    beats = [int(step) for step in onsets
             if begin <= step < end and sketch.grid.position[step] % STEPS_PER_QUARTER == 0]
    if beats:
        return beats[-1]
    length = int(sketch.grid.bar[begin])
    half = length // 2 if length % (2 * STEPS_PER_QUARTER) == 0 else 0
    return begin + max(0, half - int(sketch.grid.position[begin]))
