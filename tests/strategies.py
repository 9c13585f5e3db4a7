"""Hypothesis builds the values of every level: notes, parts, scores, expressions, performances, synthesis parameters.

Sizes are small, so that an example takes little time; ranges are those the types allow, or what the argument says.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mididdsp.expression.types import (
    ATTRIBUTE_RANGES,
    CURVE_TARGETS,
    NOTE_ATTRIBUTES,
    ORIGINS,
    UNDRAWN,
    Curve,
    Mix,
    NoteExpression,
    PartMix,
    Performance,
)
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import ARTICULATIONS, KeyChange, Lane, MeterChange, Note, Part, Score, TempoChange
from mididdsp.synthesis.types import Segment, SynthParams

instrument_names = st.sampled_from(sorted(INSTRUMENTS))
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())).filter(bool)
"""Names of parts and titles: any script, no control characters, no spaces at the ends."""


def seconds(low: float, high: float) -> SearchStrategy[float]:
    """Times in seconds as people and sequencers make them: thousandths, or any float."""
    grid = st.integers(int(np.ceil(low * 1000)), int(high * 1000)).map(lambda ms: ms / 1000)
    return st.one_of(grid, st.floats(low, high, allow_nan=False))


@st.composite
def notes(
    draw: DrawFn, *, note_id: str = "n", onset: SearchStrategy[float] | None = None,
    duration: SearchStrategy[float] | None = None, pitch: SearchStrategy[float] | None = None, marks: bool = True,
) -> Note:
    """A note; onsets to 20 s, durations from 4 ms to 4 s and whole keys unless told otherwise."""
    return Note(
        id=note_id,
        onset=draw(seconds(0.0, 20.0) if onset is None else onset),
        duration=draw(seconds(0.004, 4.0) if duration is None else duration),
        pitch=float(draw(st.integers(22, 103) if pitch is None else pitch)),
        velocity=draw(st.one_of(st.none(), st.integers(1, 127))),
        articulations=tuple(sorted(draw(st.sets(st.sampled_from(ARTICULATIONS), max_size=2)))) if marks else ())


@st.composite
def lanes(draw: DrawFn, name: str | None = None) -> Lane:
    """A controller, bend or pressure lane of up to eight points."""
    name = draw(st.sampled_from(("cc1", "cc2", "cc7", "cc10", "cc11", "bend", "pressure"))) if name is None else name
    times = sorted(draw(st.sets(st.integers(0, 20_000), max_size=8)))
    values = st.floats(-12.0, 12.0) if name == "bend" else st.integers(0, 127).map(float)
    return Lane(name=name, times=tuple(ms / 1000 for ms in times), values=tuple(draw(values) for _ in times))


@st.composite
def parts(
    draw: DrawFn, *, name: str | None = None, min_notes: int = 0, max_notes: int = 12, monophonic: bool = False,
    marks: bool = True, with_lanes: bool = True,
) -> Part:
    """A part of any instrument, with chords and overlaps unless ``monophonic``; note ids begin with the part's name."""
    name = draw(names) if name is None else name
    count = draw(st.integers(min_notes, max_notes))
    found = [draw(notes(note_id=f"{name}/{index}", marks=marks)) for index in range(count)]
    if monophonic:
        found = _one_after_the_other(draw, found)
    found.sort(key=lambda note: (note.onset, note.pitch))
    lane_names = draw(st.sets(st.sampled_from(("cc1", "cc7", "cc11", "bend")), max_size=2)) if with_lanes else set()
    return Part(
        name=name, instrument=draw(instrument_names), notes=tuple(found), players=draw(st.sampled_from((1, 1, 4))),
        lanes=tuple(draw(lanes(name=lane)) for lane in sorted(lane_names)),
        program=draw(st.one_of(st.none(), st.integers(0, 127))), channel=draw(st.one_of(st.none(), st.integers(0, 15))))


def _one_after_the_other(draw: DrawFn, found: list[Note]) -> list[Note]:
    now = 0.0
    result = []
    for note in found:
        now += draw(st.sampled_from((0.0, 0.01, 0.2, 1.0)))
        result.append(Note(id=note.id, onset=now, duration=note.duration, pitch=note.pitch, velocity=note.velocity,
                           articulations=note.articulations))
        now = result[-1].offset
    return result


@st.composite
def scores(draw: DrawFn, *, min_parts: int = 1, max_parts: int = 3, min_notes: int = 0, max_notes: int = 8) -> Score:
    """A score with unique part names, and tempo, meter and key maps whose seconds and beats agree."""
    part_names = draw(st.lists(names, min_size=min_parts, max_size=max_parts, unique_by=str.casefold))
    return Score(
        parts=tuple(draw(parts(name=name, min_notes=min_notes, max_notes=max_notes)) for name in part_names),
        tempo=draw(tempo_maps()),
        meter=tuple(MeterChange(beat=float(beat), numerator=draw(st.integers(1, 12)),
                                denominator=2 ** draw(st.integers(0, 4)))
                    for beat in sorted(draw(st.sets(st.integers(0, 40), max_size=2)))),
        key=tuple(KeyChange(beat=float(beat), fifths=draw(st.integers(-7, 7)), mode=draw(st.sampled_from(
            ("major", "minor")))) for beat in sorted(draw(st.sets(st.integers(0, 40), max_size=2)))),
        title=draw(st.one_of(st.just(""), names)))


@st.composite
def tempo_maps(draw: DrawFn) -> tuple[TempoChange, ...]:
    """Up to three tempi from the start of the piece on; empty is 120 bpm."""
    changes: list[TempoChange] = []
    time = beat = 0.0
    for bpm in draw(st.lists(st.integers(20, 300), max_size=3)):
        changes.append(TempoChange(time=time, beat=beat, bpm=float(bpm)))
        beats = draw(st.integers(1, 16))
        beat += beats
        time += beats * 60.0 / bpm
    return tuple(changes)


@st.composite
def expressions(draw: DrawFn, *, joined: bool | None = None, leads: bool | None = None) -> NoteExpression:
    """An expression of any legal values; a rate and delay just when there is vibrato, a glide just when joined."""
    values: dict[str, float | None] = {
        name: draw(st.floats(low, high, allow_nan=False)) for name, (low, high, _) in ATTRIBUTE_RANGES.items()}
    if draw(st.booleans()):
        values |= {"vibrato_cents": 0.0, "vibrato_rate_hz": None, "vibrato_delay_s": None}
    if draw(st.booleans()):
        values |= dict.fromkeys(UNDRAWN)
    if not (draw(st.booleans()) if joined is None else joined):
        values["glide_s"] = None
    if draw(st.booleans()) if leads is None else leads:
        values["length_ratio"] = None
    return NoteExpression(**values)  # type: ignore[arg-type]  # the ranges say which may be None


@st.composite
def curves(draw: DrawFn, part: Part) -> Curve:
    """A curve of that part, for the whole of it or anchored to one of its notes."""
    anchor = draw(st.sampled_from(("piece", "onset", "offset"))) if part.notes else "piece"
    times = sorted(draw(st.sets(st.integers(0, 20_000), min_size=1, max_size=6)))
    target = draw(st.sampled_from(sorted(CURVE_TARGETS)))
    low = draw(st.integers(1, 40))
    return Curve(
        target=target, band=(low, low + draw(st.integers(0, 20))) if target == "partials" else None,
        mode=draw(st.sampled_from(("add", "set"))),
        times=tuple(ms / 1000 for ms in times),
        values=tuple(draw(st.floats(-200.0, 200.0)) for _ in times), part=part.name,
        note_id=None if anchor == "piece" else draw(st.sampled_from(part.notes)).id, anchor=anchor,
        origin=draw(st.sampled_from(ORIGINS)))


@st.composite
def performances(draw: DrawFn, *, max_parts: int = 2, max_notes: int = 5) -> Performance:
    """A score with an expression for every note, and some curves, origins, locks and mix."""
    score = draw(scores(max_parts=max_parts, max_notes=max_notes))
    ids = [note.id for part in score.parts for note in part.notes]
    some = st.lists(st.sampled_from(ids), max_size=3, unique=True) if ids else st.just([])
    attributes = st.sampled_from(NOTE_ATTRIBUTES)
    return Performance(
        score=score,
        expressions={note_id: draw(expressions()) for note_id in ids},
        curves=tuple(draw(curves(draw(st.sampled_from(score.parts)))) for _ in range(draw(st.integers(0, 2)))),
        origins={note_id: {draw(attributes): draw(st.sampled_from(ORIGINS))} for note_id in draw(some)},
        locks={note_id: frozenset({draw(attributes)}) for note_id in draw(some)},
        seed=draw(st.integers(0, 2**31 - 1)),
        temperature=draw(st.floats(0.0, 2.0)),
        a4_hz=draw(st.sampled_from((440.0, 442.0, 415.3))),
        mix=Mix(gain_db=draw(st.one_of(st.none(), st.floats(-60.0, 12.0))), parts={
            part.name: PartMix(gain_db=draw(st.floats(-60.0, 12.0)), pan=draw(st.floats(-1.0, 1.0)),
                               room=draw(st.sampled_from(("own", "none")))) for part in score.parts}),
        checkpoints=draw(st.sampled_from(({}, {"synthesis": "ab" * 32}))))


@st.composite
def segments(
    draw: DrawFn, *, segment_id: str = "s", partials: int = 8, bands: int = 5, max_frames: int = 40,
    start: SearchStrategy[float] | None = None,
) -> Segment:
    """A segment of random frames: f0 30 to 4000 Hz, levels -90 to -10 dB, partials that sum to 1."""
    frames = draw(st.integers(1, max_frames))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    f0_hz = draw(st.floats(30.0, 4000.0)) * 2.0 ** (rng.uniform(-1.0, 1.0, frames) / 12.0)
    shares = rng.gamma(0.5, size=(frames, partials)) + 1e-6
    return Segment(
        id=segment_id, note_ids=(segment_id,), start_s=draw(seconds(-0.05, 4.0) if start is None else start),
        f0_hz=f0_hz.astype(np.float32),
        amplitude_db=rng.uniform(-90.0, -10.0, frames).astype(np.float32),
        harmonics=(shares / shares.sum(1, keepdims=True)).astype(np.float32),
        noise_db=rng.uniform(-120.0, -30.0, (frames, bands)).astype(np.float32))


@st.composite
def synth_params(draw: DrawFn, *, max_segments: int = 4, partials: int = 8, bands: int = 5) -> SynthParams:
    """Parameters of a part: segments by start time, which may overlap."""
    count = draw(st.integers(0, max_segments))
    found = [draw(segments(segment_id=f"s{index}", partials=partials, bands=bands)) for index in range(count)]
    edges = np.geomspace(50.0, 20_000.0, bands + 1)
    return SynthParams(
        part=draw(names), instrument=draw(instrument_names),
        segments=tuple(sorted(found, key=lambda segment: (segment.start_s, segment.id))),
        noise_edges_hz=tuple(float(edge) for edge in edges), seed=draw(st.integers(0, 2**31 - 1)),
        skirts=draw(st.booleans()))
