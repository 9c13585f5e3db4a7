"""The parts of a performance as what a render takes: segments made when they are asked for, excerpts included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mididdsp.expression.curves import PartCurves
from mididdsp.expression.types import NoteExpression, Performance
from mididdsp.notes.types import Chain, Part, PartPlan
from mididdsp.notes.voices import plan_part
from mididdsp.rendering import PartSource
from mididdsp.sections import play_section
from mididdsp.synthesis.drawn import with_drawn
from mididdsp.synthesis.types import Segment
from mididdsp.units import FRAME_RATE

if TYPE_CHECKING:
    from mididdsp.synthesis.ensemble import EnsembleGenerator
    from mididdsp.synthesis.generator import SynthesisGenerator

CONTEXT_CHAINS = 16
"""Chains kept on either side of an excerpt; the generators look at fewer neighbours than that."""

RELEASES = 5.0
"""A release of ``release_s`` from -3 to -20 dB is below -85 dB after this many of them."""

SPARE_S = 0.5
"""Kept around a chain beyond what its expression says it sounds, s."""


def part_source(
    performance: Performance, part: Part, generator: SynthesisGenerator | EnsembleGenerator | None
) -> PartSource:
    """A part ready to render.

    Args:
        performance: how the piece is played.
        part: one of its parts, with notes.
        generator: makes the segments; None for a part whose parameters are given.
    """
    plan = plan_part(part)

    def segments(start_s: float, end_s: float | None) -> Iterator[Segment]:
        assert generator is not None, "a part whose parameters are given is not generated"
        curves = PartCurves(performance.curves, part, performance.expressions)

        def play(own: PartPlan, expressions: Mapping[str, NoteExpression], seed: int) -> Iterator[Segment]:
            assert generator is not None
            return played(
                generator, own, expressions, curves, seed=seed, temperature=performance.temperature,
                a4_hz=performance.a4_hz,
            )

        excerpt = _excerpt(plan, performance, start_s, end_s)
        return play_section(excerpt, performance.expressions, players=part.players, seed=performance.seed, play=play)

    return PartSource(
        name=part.name,
        instrument=part.instrument,
        notes=len(part.notes),
        voices=plan.voices,
        players=part.players,
        end_s=max(note.offset for note in part.notes),
        segments=segments,
        seed=performance.seed,
        noise_edges_hz=generator.noise_edges_hz if generator is not None else (),
        frame_rate=FRAME_RATE,
        a4_hz=performance.a4_hz,
        skirts=True,
        levels=partial(_levels, performance, part),
    )


def played(
    generator: SynthesisGenerator | EnsembleGenerator, plan: PartPlan, expressions: Mapping[str, NoteExpression],
    curves: PartCurves, *, seed: int, temperature: float, a4_hz: float,
) -> Iterator[Segment]:
    """The segments of a plan, by start time, with all that is drawn on its notes."""
    plan = _by_start(plan, expressions)
    segments = generator.segments(plan, expressions, seed=seed, temperature=temperature, curves=curves,
                                  a4_hz=a4_hz)
    for chain, segment in zip(plan.chains, segments):
        onsets = [item.onset + expressions[item.note.id].timing_s for item in chain.notes]
        last = chain.notes[-1]
        length = (last.offset - last.onset) * (expressions[last.note.id].length_ratio or 1.0)
        yield with_drawn(segment, onsets, last.onset + length, curves)


def _excerpt(plan: PartPlan, performance: Performance, start_s: float, end_s: float | None) -> PartPlan:
    """The chains that can sound in an excerpt, and enough chains around them to give the generator its context."""

    def end_of(chain: Chain) -> float:
        last = chain.notes[-1]
        expression = performance.expressions[last.note.id]
        stretch = max(1.0, expression.length_ratio or 1.0)
        return (
            last.onset
            + expression.timing_s
            + (last.offset - last.onset) * stretch
            + RELEASES * expression.release_s
            + SPARE_S
        )

    def start_of(chain: Chain) -> float:
        return chain.notes[0].onset + performance.expressions[chain.id].timing_s - SPARE_S

    inside = [
        index
        for index, chain in enumerate(plan.chains)
        if end_of(chain) >= start_s and (end_s is None or start_of(chain) < end_s)
    ]
    if len(inside) == len(plan.chains):
        return plan
    if not inside:
        return replace(plan, chains=())
    first, last = max(0, inside[0] - CONTEXT_CHAINS), inside[-1] + 1 + CONTEXT_CHAINS
    return replace(plan, chains=plan.chains[first:last])


def _levels(performance: Performance, part: Part) -> list[tuple[float, float, float]]:
    """Level in dB re full scale, curves added, onset and seconds of each note: what the mix estimates its gain from."""
    curves = PartCurves(performance.curves, part, performance.expressions)
    found = []
    for note in part.notes:
        level = performance.expressions[note.id].level_db
        middle = np.array([note.onset + note.duration / 2.0])
        for target in ("level", "gain"):
            drawn = curves(target, note.id, middle)
            if drawn is not None:
                level = (float(drawn[0][0]) if target == "level" else 1.0) * level + float(drawn[1][0])
        found.append((level, note.onset, note.duration))
    return found


def _by_start(plan: PartPlan, expressions: Mapping[str, NoteExpression]) -> PartPlan:
    """The same chains by the time they begin to sound, which an expression may shift."""

    def start(chain: Chain) -> float:
        return max(0.0, chain.notes[0].onset + expressions[chain.id].timing_s)

    return replace(plan, chains=tuple(sorted(plan.chains, key=start)))
