"""Composing with the prior over notes: harmonise, infill, continue, generate, vary.

A task becomes a *sketch*: a grid, which of its cells are known, and what is wished of the others (ranges, chords,
cadences, rhythm). The prior fills the open cells, take by take; each take is written back as a score and comes with a
report. What the composer wrote is kept to the note: where no cell of a note was open, the note itself goes into the
result, off the grid as it may be.

Conventions: voices are soprano, alto, tenor, bass, from 0; bars are counted from 1, a pickup is bar 0; pitches are MIDI
numbers; a *step* is a sixteenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.chords import parse_chords
from mididdsp.notes.grid import (
    REST,
    STEPS_PER_QUARTER,
    NoteGrid,
    beat_at,
    begins,
    grid_to_score,
    meter_steps,
    note_spans,
    score_to_grid,
)
from mididdsp.notes.keys import Key, find_key, parse_key
from mididdsp.notes.types import KeyChange, MeterChange, Note, Part, Score, TempoChange
from mididdsp.notes.voice_leading import Marks, in_key_share, marks, parallels
from mididdsp.random import keyed_generator

if TYPE_CHECKING:
    from mididdsp.notes.generator import NotePrior

VOICES = ("soprano", "alto", "tenor", "bass")
"""Of the shipped prior, from the highest."""

VOICE_RANGES = ((60, 81), (53, 74), (48, 69), (36, 64))
"""Where the voices sing in the chorales the prior has learnt from, MIDI numbers."""

FROM_FILE = "file"
"""In place of an ensemble: parts of the file keep their instruments, new ones are a string quartet's."""

ENSEMBLES: Mapping[str, tuple[str, str, str, str]] = {
    "string-quartet": ("violin", "violin", "viola", "cello"),
    "woodwind": ("flute", "oboe", "clarinet", "bassoon"),
    "brass": ("trumpet", "horn", "trombone", "tuba"),
    "saxophones": ("saxophone", "saxophone", "saxophone", "bass_clarinet"),
    "mixed": ("flute", "clarinet", "viola", "bassoon"),
}
"""Instruments of the voices. The table has no baritone saxophone: a bass clarinet takes the lowest voice."""

CADENCES = ("authentic", "half", "plagal")

PASSES = 64
"""Of the network per take. Measured on held-out melodies: more change the figures by less than their errors."""

_CHORD_NATS = 3.0
"""What a tone beside the wished chord costs on a beat, nats; half of it off the beat, for passing notes."""

_CADENCE_NATS = 8.0
"""What a tone beside the chord of a cadence costs: all but forbidden, so that a melody may still insist."""

_OCTAVES = (0, 12, -12, 24, -24)
_MOST_MENDED = 6
"""How often the filter goes through the parallels that are left."""

_MEND_CANDIDATES = 10
_DEFAULT_BPM = 90.0
_DEFAULT_VELOCITY = 72
_PHRASE_BARS = 4


class ComposeError(ValueError):
    """A task cannot be done as it was given; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Cells to keep: some voices (None for all), over some bars (None for all, last one included)."""

    voices: tuple[int, ...] | None = None
    bars: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """A phrase ends in this bar, on ``authentic`` (V-I), ``half`` (V) or ``plagal`` (IV-I) harmony."""

    bar: int
    kind: str = "authentic"

    def __post_init__(self) -> None:
        if self.kind not in CADENCES:
            raise ComposeError(f"a cadence is {self.kind!r}; choose {', '.join(CADENCES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the composer asks of every take.

    Attributes:
        key: of the piece; None takes the file's signature where it has one that fits, else the key that is heard.
        chords: symbols above the bars from bar 1 on (see ``chords``); a guide, no law. Empty for none.
        cadences: where phrases end.
        locks: what stays as it is.
        keep_rhythm: notes of the file that are open keep their onsets and lengths; only pitches are drawn.
        parallels: ``filter`` mends parallel fifths and octaves, ``report`` counts them.
        ensemble: of ``ENSEMBLES``, or ``FROM_FILE``.
        temperature: above 0; below 1 the likelier, above 1 the more surprising.
        passes: of the network per take.
        method: of the sampling, ``gibbs`` or ``unmask`` (see ``NotePrior.sample``).
        pickup: quarter notes before the first whole bar, where the file does not say.
    """

    key: Key | None = None
    chords: str = ""
    cadences: tuple[Cadence, ...] = ()
    locks: tuple[Lock, ...] = ()
    keep_rhythm: bool = False
    parallels: str = "filter"
    ensemble: str = "string-quartet"
    temperature: float = 1.0
    passes: int = PASSES
    method: str = "gibbs"
    pickup: float | None = None

    def __post_init__(self) -> None:
        if self.parallels not in ("filter", "report"):
            raise ComposeError(f"parallels is {self.parallels!r}; choose filter or report")
        if self.ensemble != FROM_FILE and self.ensemble not in ENSEMBLES:
            raise ComposeError(f"the ensemble is {self.ensemble!r}; choose {', '.join((*ENSEMBLES, FROM_FILE))}")
        if not (self.temperature > 0 and np.isfinite(self.temperature)):
            raise ComposeError(f"the temperature is {self.temperature}; it must be a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The table of a take.

    Attributes:
        surprise: nats per sixteenth of all voices (``NotePrior.surprise``); lower is likelier. Bach's chorales: near 1.
        in_key: share of the sounding sixteenths in the scale of the key, 0 to 1.
        key: its name.
        marks: voice leading.
        ranges: of each voice drawn or given, its name, lowest and highest note.
        messages: what the grid could not keep, what was moved, one sentence each.
    """

    surprise: float
    in_key: float
    key: str
    marks: Marks
    ranges: tuple[tuple[str, int, int], ...]
    messages: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "parallels_per_1000": self.marks.parallels_per_1000}

    def table(self) -> str:
        """Lines for a person."""
        one = self.marks
        reach = ", ".join(f"{name} {low}-{high}" for name, low, high in self.ranges)
        return "\n".join(
            (
                f"surprise   {self.surprise:.2f} nats a sixteenth (lower is likelier)",
                f"key        {self.key}, {100 * self.in_key:.1f} % in its scale",
                f"parallels  {one.fifths} fifths, {one.octaves} octaves in {one.moving_pairs} moving pairs",
                f"crossing   {100 * one.crossed:.1f} %    too wide {100 * one.wide:.1f} %",
                f"ranges     {reach}    outside {one.outside}",
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """One draw: the score, how it looks on the grid, its seed and its report."""

    score: Score
    grid: NoteGrid
    seed: int
    report: Report


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
    _bars: tuple[tuple[int, int, int], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0, *(int(step) for step in np.flatnonzero(self.grid.position == 0) if step)]
        ends = [*starts[1:], self.grid.steps]
        first = 0 if self.grid.steps and self.grid.position[0] > 0 else 1
        numbered = tuple((first + index, a, b) for index, (a, b) in enumerate(zip(starts, ends)))
        object.__setattr__(self, "_bars", numbered)

    def bar(self, number: int) -> slice:
        """The steps of a bar.

        Raises:
            ComposeError: there is no such bar.
        """
        for this, start, end in self._bars:
            if this == number:
                return slice(start, end)
        first, last = self._bars[0][0], self._bars[-1][0]
        raise ComposeError(f"there is no bar {number}; the piece has the bars {first} to {last}")

    @property
    def last_bar(self) -> int:
        """Number of the last bar."""
        return self._bars[-1][0]


def parse_voices(text: str) -> tuple[int, ...]:
    """Voices from their names, separated by commas; a beginning is enough: ``alto,ten``.

    Raises:
        ComposeError: a name that no voice has.
    """
    found = []
    for word in text.lower().split(","):
        matching = [number for number, name in enumerate(VOICES) if word.strip() and name.startswith(word.strip())]
        if len(matching) != 1:
            raise ComposeError(f"{word.strip()!r} is no voice; write {', '.join(VOICES)}, separated by commas")
        found.append(matching[0])
    return tuple(dict.fromkeys(found))


def parse_bars(text: str) -> tuple[int, int]:
    """First and last bar, from ``5-8`` or ``5``.

    Raises:
        ComposeError: these are no bars.
    """
    first, _, last = text.partition("-")
    try:
        bars = int(first), int(last or first)
    except ValueError:
        bars = (1, 0)
    if not 0 <= bars[0] <= bars[1]:
        raise ComposeError(f"{text!r} are no bars; write them like 5-8, or 5")
    return bars


def parse_lock(text: str) -> Lock:
    """A lock from ``bass``, ``5-8`` or ``alto,tenor:5-8``.

    Raises:
        ComposeError: it is neither.
    """
    voices, _, bars = text.rpartition(":")
    if not voices and bars[:1].isalpha():
        voices, bars = bars, ""
    return Lock(voices=parse_voices(voices) if voices else None, bars=parse_bars(bars) if bars else None)


def parse_cadence(text: str) -> Cadence:
    """A cadence from ``8`` or ``8:half``.

    Raises:
        ComposeError: it is neither.
    """
    bar, _, kind = text.partition(":")
    if not bar.isdigit():
        raise ComposeError(f"{text!r} is no cadence; write the bar it ends in, like 8 or 8:half")
    return Cadence(bar=int(bar), kind=kind or CADENCES[0])


def harmonize(
    prior: NotePrior,
    score: Score,
    *,
    given: Sequence[int] | None = None,
    voices: Sequence[int] = (0, 1, 2, 3),
    wishes: Wishes = Wishes(),
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Add the other voices to what is given.

    Args:
        prior: with four voices.
        score: one to four parts.
        given: voice of each part, from the first on; by default one part is the soprano, two are the outer voices, and
            of four the soprano is kept and the others are drawn anew.
        voices: of the result.
        wishes: see ``Wishes``; locked cells of other given voices are kept too.
        takes: how many.
        seed: of the first; the others have the next ones.
        progress: called with the share done, 0 to 1.

    Raises:
        ComposeError: the task cannot be done as it was given.
    """
    sketch = _sketch(prior, score, wishes, given=given, voices=voices)
    kept = sketch.voice_of if given is not None or len(sketch.voice_of) < len(VOICES) else (0,)
    known = np.zeros(sketch.grid.pitch.shape, bool)
    known[list(kept)] = True
    # Before the first given note and after the last there is nothing to harmonise.
    sounding = np.flatnonzero((sketch.grid.pitch[list(kept)] != REST).any(0))
    silent = np.ones(sketch.grid.steps, bool)
    silent[sounding[0] : sounding[-1] + 1] = False
    empty = replace(
        sketch.grid, pitch=np.where(silent & ~known, REST, sketch.grid.pitch),
        onset=sketch.grid.onset & ~(silent & ~known),
    )
    sketch = replace(sketch, grid=empty, known=known | silent)
    return _takes(prior, sketch, wishes, takes, seed, progress)


def infill(
    prior: NotePrior,
    score: Score,
    *,
    bars: tuple[int, int] | None = None,
    open_voices: Sequence[int] | None = None,
    given: Sequence[int] | None = None,
    wishes: Wishes = Wishes(ensemble=FROM_FILE),
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write some bars of some voices anew; everything else stays. See ``harmonize`` for what is not said here.

    Args:
        bars: first and last bar to write; None is the whole piece.
        open_voices: to write; None is all there are.
    """
    held = _voices_of(score, given)
    written = tuple(held if open_voices is None else open_voices)
    sketch = _sketch(prior, score, wishes, given=given, voices=sorted({*held, *written}))
    known = np.ones(sketch.grid.pitch.shape, bool)
    first, last = bars if bars is not None else (sketch._bars[0][0], sketch.last_bar)
    steps = slice(sketch.bar(first).start, sketch.bar(last).stop)
    for voice in written:
        known[voice, steps] = False
    return _takes(prior, replace(sketch, known=known), wishes, takes, seed, progress)


def continue_(
    prior: NotePrior,
    score: Score,
    *,
    bars: int,
    given: Sequence[int] | None = None,
    wishes: Wishes = Wishes(ensemble=FROM_FILE),
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write so many bars after the end, in the voices there are; the last one ends on a cadence unless others are asked
    for. See ``harmonize`` for what is not said here.
    """
    if bars < 1:
        raise ComposeError(f"there are {bars} bars to write; it must be at least 1")
    held = _voices_of(score, given)
    sketch = _sketch(prior, score, wishes, given=given, voices=held, more_bars=bars)
    known = np.zeros(sketch.grid.pitch.shape, bool)
    known[:, : sketch.bar(sketch.last_bar - bars + 1).start] = True
    wishes = wishes if wishes.cadences else replace(wishes, cadences=(Cadence(bar=sketch.last_bar),))
    return _takes(prior, replace(sketch, known=known), wishes, takes, seed, progress)


def generate(
    prior: NotePrior,
    *,
    bars: int,
    meter: tuple[int, int] = (4, 4),
    bpm: float = _DEFAULT_BPM,
    voices: Sequence[int] = (0, 1, 2, 3),
    wishes: Wishes = Wishes(),
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write a piece from nothing, in phrases of four bars that end on cadences unless others are asked for.

    Args:
        bars: whole bars, at least 1; a pickup (see ``Wishes``) comes before them.
        meter: numerator and denominator.
        bpm: quarter notes a minute.
        voices: of the piece.

    See ``harmonize`` for what is not said here.
    """
    if bars < 1:
        raise ComposeError(f"there are {bars} bars to write; it must be at least 1")
    length = meter[0] * 4 * STEPS_PER_QUARTER / meter[1] if meter[1] > 0 else 0.0
    if meter[0] < 1 or length != int(length) or not 1 <= length <= 32:
        raise ComposeError(f"the meter is {meter[0]}/{meter[1]}; choose one whose bars are 1 to 32 whole sixteenths")
    if not 10.0 <= bpm <= 400.0:
        raise ComposeError(f"the tempo is {bpm} quarter notes a minute; it must be from 10 to 400")
    pickup = round((wishes.pickup or 0.0) * STEPS_PER_QUARTER)
    if not 0 <= pickup < length:
        raise ComposeError(f"the pickup is {wishes.pickup} quarter notes; it must be shorter than a bar")
    changes = (MeterChange(beat=0.0, numerator=meter[0], denominator=meter[1]),)
    position, bar = _positions(changes, bars * int(length) + pickup, pickup)
    shape = (len(VOICES), len(position))
    key = wishes.key
    if key is None:
        key = parse_key(("C", "G", "D", "F", "Bb", "A minor", "E minor", "D minor", "G minor")[
            int(keyed_generator(seed, "notes", "key").integers(9))])
    source = Score(parts=(), tempo=(TempoChange(time=0.0, beat=0.0, bpm=bpm),), meter=changes, title="Composed")
    sketch = Sketch(
        grid=NoteGrid(pitch=np.full(shape, REST, np.int16), onset=np.zeros(shape, bool), position=position, bar=bar,
                      fermata=np.zeros(shape[1], bool)),
        known=np.zeros(shape, bool), key=key, source=source, absent=_absent(voices), pickup=pickup, meter=changes,
    )
    if not wishes.cadences:
        ends = [*range(_PHRASE_BARS, bars, _PHRASE_BARS)]
        kinds = ["half" if number % 2 == 0 else "authentic" for number in range(len(ends))]
        cadences = [Cadence(bar=end, kind=kind) for end, kind in zip(ends, kinds)]
        wishes = replace(wishes, cadences=(*cadences, Cadence(bar=sketch.last_bar)))
    return _takes(prior, sketch, wishes, takes, seed, progress)


def vary(
    prior: NotePrior,
    score: Score,
    *,
    amount: float,
    given: Sequence[int] | None = None,
    wishes: Wishes = Wishes(ensemble=FROM_FILE),
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write a share of the notes anew, other ones in each take. See ``harmonize`` for what is not said here.

    Args:
        amount: share of the notes to draw again, 0 to 1.
    """
    if not 0.0 <= amount <= 1.0:
        raise ComposeError(f"the amount is {amount}; it must be from 0 (nothing) to 1 (everything)")
    held = _voices_of(score, given)
    sketch = _sketch(prior, score, wishes, given=given, voices=held)
    drawn: list[Take] = []
    for take in range(takes):
        random = keyed_generator(seed + take, "notes", "vary")
        known = np.ones(sketch.grid.pitch.shape, bool)
        for voice in held:
            spans = note_spans(sketch.grid, voice)
            for (first, stop), chance in zip(spans, random.random(len(spans))):
                known[voice, first:stop] = chance >= amount
        share = _part_of(progress, take, takes)
        drawn += _takes(prior, replace(sketch, known=known), wishes, 1, seed + take, share)
    return tuple(drawn)


TASKS: Mapping[str, Callable[..., tuple[Take, ...]]] = {
    "harmonize": harmonize, "infill": infill, "continue": continue_, "generate": generate, "vary": vary,
}
"""The tasks by the names that the command has for them."""


def _voices_of(score: Score, given: Sequence[int] | None) -> tuple[int, ...]:
    """Voice of each part."""
    count = len(score.parts)
    if not 1 <= count <= len(VOICES):
        raise ComposeError(f"the file has {count} parts; give one to {len(VOICES)}, each one voice")
    if given is not None:
        if len(given) != count or len(set(given)) != count:
            raise ComposeError(f"{len(given)} voices are named for {count} parts; name one voice for each part")
        return tuple(given)
    voices = {1: (0,), 2: (0, 3), 3: (0, 1, 3), 4: (0, 1, 2, 3)}[count]
    height = [-median(note.pitch for note in part.notes) if part.notes else 0.0 for part in score.parts]
    ranked = sorted(range(count), key=lambda part: height[part])
    return tuple(voices[ranked.index(part)] for part in range(count))


def _absent(voices: Iterable[int]) -> tuple[int, ...]:
    return tuple(voice for voice in range(len(VOICES)) if voice not in set(voices))


def _sketch(
    prior: NotePrior,
    score: Score,
    wishes: Wishes,
    *,
    given: Sequence[int] | None,
    voices: Sequence[int],
    more_bars: int = 0,
) -> Sketch:
    """A score on the grid of the prior, everything known."""
    if prior.config.voices != len(VOICES):
        raise ComposeError(f"the prior has {prior.config.voices} voices; composing needs one of {len(VOICES)}")
    voice_of = _voices_of(score, given)
    if any(voice not in voices for voice in voice_of):
        raise ComposeError("a part of the file is a voice that the result shall not have; name it among the voices")
    if not any(part.notes for part in score.parts):
        raise ComposeError("the file has no notes to begin with; give at least one, or generate from nothing")
    reading = score_to_grid(score)
    meter, pickup = _pickup(score.meter, wishes.pickup)
    # score_to_grid fills up the last bar; a pickup moves where that is.
    used = int(np.flatnonzero((reading.grid.pitch != REST).any(0))[-1]) + 1
    position, bar = _positions(meter, used, pickup)
    steps = used + int(bar[-1]) - 1 - int(position[-1]) + more_bars * int(bar[-1])
    position, bar = _positions(meter, steps, pickup)
    pitch = np.full((len(VOICES), steps), REST, np.int16)
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
        absent=_absent(voices), pickup=pickup, messages=tuple(messages), meter=meter,
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


def _positions(meter: Sequence[MeterChange], steps: int, pickup: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
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
    for order, octave in enumerate(_OCTAVES):
        moved = [(voice, pitch[voice][pitch[voice] != REST] - octave) for voice in range(len(pitch))]
        sung = [(voice, notes) for voice, notes in moved if notes.size]
        if any(notes.min() < prior.config.low or notes.max() > prior.config.high for _, notes in sung):
            continue
        beside = sum(
            int((notes < VOICE_RANGES[voice][0] - 2).sum() + (notes > VOICE_RANGES[voice][1] + 2).sum())
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
    # A signature says which tones there are; whether it is major or minor, the notes say better than the file.
    return heard if heard is not None and heard.shift == key.shift else key


def _takes(
    prior: NotePrior, sketch: Sketch, wishes: Wishes, takes: int, seed: int, progress: Callable[[float], None] | None
) -> tuple[Take, ...]:
    if takes < 1:
        raise ComposeError(f"takes is {takes}; it must be at least 1")
    known = sketch.known.copy()
    for lock in wishes.locks:
        bars = lock.bars or (sketch._bars[0][0], sketch.last_bar)
        steps = slice(sketch.bar(bars[0]).start, sketch.bar(bars[1]).stop)
        for voice in range(len(VOICES)) if lock.voices is None else lock.voices:
            if voice in sketch.voice_of:
                known[voice, steps] = True
            elif lock.voices is not None:
                raise ComposeError(f"the {VOICES[voice]} cannot be kept: the file has no such voice")
    known[list(sketch.absent)] = True
    tied = _rhythm(sketch, known) if wishes.keep_rhythm else None
    if tied is not None:
        # A rest of a given rhythm is given.
        known |= (sketch.grid.pitch == REST) & np.isin(np.arange(len(VOICES)), sketch.voice_of)[:, None]
    sketch = replace(sketch, known=known)
    grid, bias = _guided(prior, sketch, wishes)
    ranges = _ranges(prior, sketch, wishes)
    drawn = []
    for take in range(takes):
        share = _part_of(progress, take, takes)
        filled = prior.sample(
            grid, known, seed=seed + take, temperature=wishes.temperature, passes=wishes.passes, method=wishes.method,
            ranges=ranges, know_fermatas=bool(grid.fermata.any()), key=sketch.key, bias=bias, tied=tied,
            absent=sketch.absent,
            progress=_most_of(share),
        )
        if wishes.parallels == "filter":
            filled = mend_parallels(
                prior, filled, ~known, ranges=ranges, key=sketch.key, bias=bias, absent=sketch.absent, seed=seed + take,
                temperature=wishes.temperature,
            )
        drawn.append(_take(prior, sketch, _begun(sketch, filled), wishes, seed + take))
        if share is not None:
            share(1.0)
    return tuple(drawn)


def _part_of(progress: Callable[[float], None] | None, take: int, takes: int) -> Callable[[float], None] | None:
    """Progress of one take among several."""
    if progress is None:
        return None
    return lambda share: progress((take + share) / takes)


def _most_of(share: Callable[[float], None] | None) -> Callable[[int, int], None] | None:
    """Progress of the sampling: nearly all there is to do."""
    if share is None:
        return None
    return lambda done, total: share(0.95 * done / total)


def _rhythm(sketch: Sketch, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of the notes of the source that are open, -1 elsewhere."""
    tied = np.full(known.shape, -1)
    for voice in sketch.voice_of:
        for number, (first, stop) in enumerate(note_spans(sketch.grid, voice)):
            if not known[voice, first:stop].any():
                tied[voice, first:stop] = number
    return tied


def _instruments(sketch: Sketch, wishes: Wishes) -> list[str]:
    chosen = list(ENSEMBLES["string-quartet" if wishes.ensemble == FROM_FILE else wishes.ensemble])
    if wishes.ensemble == FROM_FILE and sketch.source is not None:
        for part, voice in zip(sketch.source.parts, sketch.voice_of):
            chosen[voice] = part.instrument
    return chosen


def _ranges(prior: NotePrior, sketch: Sketch, wishes: Wishes) -> list[tuple[int, int]]:
    """Lowest and highest pitch of each voice on the sketch's grid: what instrument and prior both have."""
    ranges = []
    for name in _instruments(sketch, wishes):
        row = INSTRUMENTS[name]
        low, high = max(prior.config.low, row.low - sketch.octave), min(prior.config.high, row.high - sketch.octave)
        if low > high:
            raise ComposeError(
                f"the {row.label.lower()} cannot play in the octave of this piece; choose another ensemble"
            )
        ranges.append((low, high))
    return ranges


def _guided(prior: NotePrior, sketch: Sketch, wishes: Wishes) -> tuple[NoteGrid, NDArray[np.float64]]:
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


def mend_parallels(
    prior: NotePrior,
    grid: NoteGrid,
    open_cells: NDArray[np.bool_],
    *,
    ranges: Sequence[tuple[int, int]],
    key: Key | None = None,
    bias: NDArray[np.float64] | None = None,
    absent: Sequence[int] = (),
    seed: int = 0,
    temperature: float = 1.0,
) -> NoteGrid:
    """Take parallel fifths and octaves out: one of the notes that make them gets the likeliest pitch that makes fewer.

    Only notes whose cells are all open are touched; where none of them helps, a parallel stays, and is in the report.

    Args:
        prior: that has drawn the grid.
        grid: as drawn.
        open_cells: that may be changed, bool [V, T].
        ranges: of the voices.
        key, bias: as for ``NotePrior.sample``.
        absent: voices that are not there.
        seed: of the choice among likely pitches.
        temperature: of that choice.

    Returns:
        The grid with as many or fewer parallels; onsets as they were.
    """
    there = np.ones(grid.pitch.shape, bool)
    there[list(absent)] = False
    numbers = np.arange(prior.config.classes) + prior.config.low - 1
    for turn in range(_MOST_MENDED):
        found = parallels(grid.pitch)
        if not found:
            break
        changed = False
        for one in found:
            before = parallels(grid.pitch)
            if one not in before:
                continue  # mended with another
            random = keyed_generator(seed, "notes", "mend", f"{turn}", f"{one.step}", f"{one.upper}", f"{one.lower}")
            best: tuple[float, NoteGrid] | None = None
            for voice in (one.upper, one.lower):
                for step in (one.step, one.step - 1):
                    span = next((a, b) for a, b in note_spans(grid, voice) if a <= step < b)
                    if not open_cells[voice, span[0] : span[1]].all():
                        continue
                    known = there.copy()
                    known[voice, span[0] : span[1]] = False
                    scores = prior.predict(grid, known, key=key)[voice, span[0] : span[1]]
                    if bias is not None:
                        scores = scores + bias[voice, span[0] : span[1]]
                    mean = scores.mean(0) + temperature * random.gumbel(size=len(numbers))
                    mean[(numbers < ranges[voice][0]) | (numbers > ranges[voice][1])] = -np.inf
                    for choice in np.argsort(-mean)[:_MEND_CANDIDATES]:
                        tried = _with_pitch(grid, voice, span, int(numbers[choice]))
                        if not np.isfinite(mean[choice]) or tried is None or (best and best[0] >= mean[choice]):
                            continue
                        if len(parallels(tried.pitch)) < len(before) and _no_worse(tried, grid):
                            best = (float(mean[choice]), tried)
                            break
            if best is not None:
                grid, changed = best[1], True
        if not changed:
            break
    return grid


def _no_worse(tried: NoteGrid, before: NoteGrid) -> bool:
    """Whether a change crosses no voices and spreads none."""
    new, old = marks(tried.pitch), marks(before.pitch)
    return new.crossed <= old.crossed and new.wide <= old.wide


def _with_pitch(grid: NoteGrid, voice: int, span: tuple[int, int], pitch: int) -> NoteGrid | None:
    """The grid with a note at another pitch; None where that is its own."""
    if grid.pitch[voice, span[0]] == pitch:
        return None
    changed = grid.pitch.copy()
    changed[voice, span[0] : span[1]] = pitch
    return replace(grid, pitch=changed, onset=grid.onset | begins(changed))


def _take(prior: NotePrior, sketch: Sketch, filled: NoteGrid, wishes: Wishes, seed: int) -> Take:
    sounding = replace(
        filled, pitch=np.where(filled.pitch == REST, REST, filled.pitch + sketch.octave).astype(np.int16)
    )
    key = sketch.key or find_key(sounding.pitch) or parse_key("C")
    present = [voice for voice in range(len(VOICES)) if voice not in sketch.absent]
    instruments = _instruments(sketch, wishes)
    limits = [(INSTRUMENTS[instruments[voice]].low, INSTRUMENTS[instruments[voice]].high) for voice in present]
    ranges = []
    for voice in present:
        notes = sounding.pitch[voice][sounding.pitch[voice] != REST]
        if notes.size:
            ranges.append((VOICES[voice], int(notes.min()), int(notes.max())))
    report = Report(
        surprise=prior.surprise(filled, key=sketch.key, absent=sketch.absent),
        in_key=in_key_share(sounding.pitch[present], key.scale),
        key=key.name,
        marks=marks(sounding.pitch[present], limits),
        ranges=tuple(ranges),
        messages=sketch.messages,
    )
    return Take(score=_score(sketch, sounding, key, wishes, present), grid=sounding, seed=seed, report=report)


def _score(sketch: Sketch, sounding: NoteGrid, key: Key, wishes: Wishes, present: Sequence[int]) -> Score:
    """The grid as a score; notes of the source that were not open go in as they are."""
    source = sketch.source
    assert source is not None
    instruments = _instruments(sketch, wishes)
    names = _part_names(sketch, instruments, present, wishes.ensemble == FROM_FILE)
    velocities = [note.velocity for part in source.parts for note in part.notes if note.velocity is not None]
    velocity = round(median(velocities)) if velocities else _DEFAULT_VELOCITY
    chosen = NoteGrid(
        pitch=sounding.pitch[list(present)], onset=sounding.onset[list(present)], position=sounding.position,
        bar=sounding.bar, fermata=sounding.fermata,
    )
    meter = source.meter
    if sketch.pickup and wishes.pickup is not None:
        quarters = sketch.pickup / STEPS_PER_QUARTER
        first = sketch.meter[0] if sketch.meter else MeterChange(beat=0.0, numerator=4, denominator=4)
        meter = (
            MeterChange(beat=0.0, numerator=sketch.pickup, denominator=16),
            replace(first, beat=quarters), *sketch.meter[1:],
        )
    drawn = grid_to_score(
        chosen, names=names, instruments=[instruments[voice] for voice in present], tempo=source.tempo, meter=meter,
        key=(key.change, *(change for change in source.key if change.beat > 0)), title=source.title, velocity=velocity,
    )
    parts = []
    for voice, part in zip(present, drawn.parts):
        if voice not in sketch.voice_of:
            parts.append(part)
            continue
        own = source.parts[sketch.voice_of.index(voice)]
        parts.append(_kept(source, own, part, sketch.known[voice]))
    return replace(drawn, parts=tuple(parts))


def _part_names(sketch: Sketch, instruments: Sequence[str], present: Sequence[int], keep: bool) -> list[str]:
    """Names of the parts: the file's own where its instruments stay, else those of the instruments, numbered."""
    names: list[str] = []
    for voice in present:
        label = INSTRUMENTS[instruments[voice]].label
        same = [other for other in present if instruments[other] == instruments[voice]]
        name = f"{label} {('I', 'II', 'III', 'IV')[same.index(voice)]}" if len(same) > 1 else label
        if keep and voice in sketch.voice_of and sketch.source is not None:
            name = sketch.source.parts[sketch.voice_of.index(voice)].name
        while name in names:
            name = f"{name} ({VOICES[voice]})"
        names.append(name)
    return names


def _kept(source: Score, own: Part, drawn: Part, known: NDArray[np.bool_]) -> Part:
    """The notes of a part whose cells are all known as they were written, the others as they were drawn."""
    kept, covered = [], np.zeros(len(known), bool)
    for note in own.notes:
        first, stop = _steps(source, note)
        if known[first:stop].all():
            kept.append(note)
            covered[first:stop] = True
    taken = {note.id for note in kept}
    fresh = []
    for note in drawn.notes:
        if not covered[_steps(source, note)[0]]:
            identity = note.id
            while identity in taken:
                identity = f"{identity}+"
            taken.add(identity)
            fresh.append(replace(note, id=identity))
    notes = tuple(sorted([*kept, *fresh], key=lambda note: (note.onset, note.pitch)))
    program = own.program if own.instrument == drawn.instrument else None
    return replace(own, name=drawn.name, instrument=drawn.instrument, notes=notes, program=program)


def _steps(score: Score, note: Note) -> tuple[int, int]:
    """First step of a note and the step after its last."""
    begin, end = (beat_at(score.tempo, time) * STEPS_PER_QUARTER for time in (note.onset, note.offset))
    first = round(begin)
    return first, max(first + 1, round(end))


def _begun(sketch: Sketch, filled: NoteGrid) -> NoteGrid:
    """Nothing that was drawn lengthens a note that was given: where that ends, a drawn note begins anew."""
    onset = filled.onset.copy()
    for voice in sketch.voice_of:
        for first, stop in note_spans(sketch.grid, voice):
            if stop < filled.steps and sketch.known[voice, first:stop].all() and not sketch.known[voice, stop]:
                onset[voice, stop] = filled.pitch[voice, stop] != REST
    return replace(filled, onset=onset)
