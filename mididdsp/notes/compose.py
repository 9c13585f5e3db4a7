"""Composing with the prior over notes: harmonise, infill, continue, generate, vary.

A task becomes a *sketch*: a grid, which of its cells are known, and what is wished of the others (ranges, chords,
cadences, rhythm). The prior fills the open cells, take by take; each take is written back as a score and comes with a
report. What the composer wrote is kept to the note: where no cell of a note was open, the note itself goes into the
result, off the grid as it may be.

Conventions: voices are numbered from the highest, from 0, as many as the prior has; bars are counted from 1, a pickup
is bar 0; pitches are MIDI numbers; a *step* is a sixteenth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, beat_at, grid_to_score, note_spans
from mididdsp.notes.keys import Key, find_key, parse_key
from mididdsp.notes.mending import mend_parallels
from mididdsp.notes.sketch import (
    Sketch,
    absent_voices,
    given_rhythm,
    guided,
    instruments_of,
    low_melody,
    positions,
    ranges_of,
    sketch_of,
    voices_of,
)
from mididdsp.notes.types import MeterChange, Note, Part, Score, TempoChange
from mididdsp.notes.voice_leading import Marks, in_key_share, marks
from mididdsp.notes.wishes import FROM_FILE, Cadence, ComposeError, Wishes, check_bars, voice_names
from mididdsp.random import keyed_generator

if TYPE_CHECKING:
    from mididdsp.notes.generator import NotePrior


_DEFAULT_BPM = 90.0

_DEFAULT_VELOCITY = 72

_PHRASE_BARS = 4

NEW = Wishes()
"""What is wished where nothing is said: of new pieces."""

KEEPING = Wishes(ensemble=FROM_FILE)
"""The same for pieces that are changed: their instruments stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The table of a take.

    Attributes:
        surprise: nats per sixteenth of all voices (``NotePrior.surprise``); lower is likelier, Bach lies near 3.4.
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
                f"surprise   {self.surprise:.2f} nats a sixteenth (lower is likelier; Bach's chorales: 3.4)",
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


def harmonize(
    prior: NotePrior,
    score: Score,
    *,
    given: Sequence[int] | None = None,
    voices: Sequence[int] | None = None,
    wishes: Wishes = NEW,
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Add the other voices to what is given.

    Args:
        prior: with two to five voices.
        score: one part for each voice that is given.
        given: voice of each part, from the first on; by default one part is the highest voice (a lower one where most
            of it is too low for that player), two are the outer ones, and where there is a part for each voice the
            highest is kept and the others are drawn anew.
        voices: of the result; None is all that the prior has.
        wishes: see ``Wishes``; locked cells of other given voices are kept too.
        takes: how many.
        seed: of the first; the others have the next ones.
        progress: called with the share done, 0 to 1.

    Raises:
        ComposeError: the task cannot be done as it was given.
    """
    total = prior.config.voices
    low = low_melody(score, wishes, total) if given is None and voices is None else None
    if low is not None:
        given = (low,)
    sketch = sketch_of(prior, score, wishes, given=given, voices=range(total) if voices is None else voices)
    if low is not None:
        told = f"the melody is low: it is taken as the {voice_names(total)[low]}; name its voice as given to choose"
        sketch = replace(sketch, messages=(*sketch.messages, told))
    kept = sketch.voice_of if given is not None or len(sketch.voice_of) < total else (0,)
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
    wishes: Wishes = KEEPING,
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write some bars of some voices anew; everything else stays. See ``harmonize`` for what is not said here.

    Args:
        bars: first and last bar to write; None is the whole piece.
        open_voices: to write; None is all there are.
    """
    held = voices_of(score, given, prior.config.voices)
    written = tuple(held if open_voices is None else open_voices)
    sketch = sketch_of(prior, score, wishes, given=given, voices=sorted({*held, *written}))
    known = np.ones(sketch.grid.pitch.shape, bool)
    first, last = bars if bars is not None else (sketch.bars[0][0], sketch.last_bar)
    check_bars((first, last))
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
    wishes: Wishes = KEEPING,
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write so many bars after the end, in the voices there are; the last one ends on a cadence unless others are asked
    for. See ``harmonize`` for what is not said here.
    """
    if bars < 1:
        raise ComposeError(f"there are {bars} bars to write; it must be at least 1")
    held = voices_of(score, given, prior.config.voices)
    sketch = sketch_of(prior, score, wishes, given=given, voices=held, more_bars=bars)
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
    voices: Sequence[int] | None = None,
    wishes: Wishes = NEW,
    takes: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Take, ...]:
    """Write a piece from nothing, in phrases of four bars that end on cadences unless others are asked for.

    Args:
        bars: whole bars, at least 1; a pickup (see ``Wishes``) comes before them.
        meter: numerator and denominator.
        bpm: quarter notes a minute.
        voices: of the piece; None is all that the prior has.

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
    position, bar = positions(changes, bars * int(length) + pickup, pickup)
    total = len(voice_names(prior.config.voices))
    shape = (total, len(position))
    key = wishes.key
    if key is None:
        key = parse_key(("C", "G", "D", "F", "Bb", "A minor", "E minor", "D minor", "G minor")[
            int(keyed_generator(seed, "notes", "key").integers(9))])
    source = Score(parts=(), tempo=(TempoChange(time=0.0, beat=0.0, bpm=bpm),), meter=changes, title="Composed")
    sketch = Sketch(
        grid=NoteGrid(pitch=np.full(shape, REST, np.int16), onset=np.zeros(shape, bool), position=position, bar=bar,
                      fermata=np.zeros(shape[1], bool)),
        known=np.zeros(shape, bool), key=key, source=source, pickup=pickup, meter=changes,
        absent=absent_voices(range(total) if voices is None else voices, total),
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
    wishes: Wishes = KEEPING,
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
    held = voices_of(score, given, prior.config.voices)
    sketch = sketch_of(prior, score, wishes, given=given, voices=held)
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


def _takes(
    prior: NotePrior, sketch: Sketch, wishes: Wishes, takes: int, seed: int, progress: Callable[[float], None] | None
) -> tuple[Take, ...]:
    if takes < 1:
        raise ComposeError(f"takes is {takes}; it must be at least 1")
    known = sketch.known.copy()
    total, names = sketch.grid.voices, voice_names(sketch.grid.voices)
    for lock in wishes.locks:
        bars = lock.bars or (sketch.bars[0][0], sketch.last_bar)
        steps = slice(sketch.bar(bars[0]).start, sketch.bar(bars[1]).stop)
        for voice in range(total) if lock.voices is None else lock.voices:
            if not 0 <= voice < total:
                raise ComposeError(f"voice {voice} cannot be kept; the prior has 0 to {total - 1}")
            if voice in sketch.voice_of:
                known[voice, steps] = True
            elif lock.voices is not None:
                raise ComposeError(f"the {names[voice]} cannot be kept: the file has no such voice")
    known[list(sketch.absent)] = True
    tied = given_rhythm(sketch, known) if wishes.keep_rhythm else None
    if tied is not None:
        # A rest of a given rhythm is given.
        known |= (sketch.grid.pitch == REST) & np.isin(np.arange(total), sketch.voice_of)[:, None]
    sketch = replace(sketch, known=known)
    grid, bias = guided(prior, sketch, wishes)
    ranges = ranges_of(prior, sketch, wishes)
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


def _take(prior: NotePrior, sketch: Sketch, filled: NoteGrid, wishes: Wishes, seed: int) -> Take:
    sounding = replace(
        filled, pitch=np.where(filled.pitch == REST, REST, filled.pitch + sketch.octave).astype(np.int16)
    )
    key = sketch.key or find_key(sounding.pitch) or parse_key("C")
    names = voice_names(filled.voices)
    present = [voice for voice in range(filled.voices) if voice not in sketch.absent]
    instruments = instruments_of(sketch, wishes)
    limits = [(INSTRUMENTS[instruments[voice]].low, INSTRUMENTS[instruments[voice]].high) for voice in present]
    ranges = []
    for voice in present:
        notes = sounding.pitch[voice][sounding.pitch[voice] != REST]
        if notes.size:
            ranges.append((names[voice], int(notes.min()), int(notes.max())))
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
    instruments = instruments_of(sketch, wishes)
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
            name = f"{name} ({voice_names(sketch.grid.voices)[voice]})"
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
