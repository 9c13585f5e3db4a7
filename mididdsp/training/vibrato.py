"""How often, how wide, how fast and how late a vibrato is asked for, so that players' is what is heard.

What is found in a note is not what it was asked for: a vibrato grows and ends, slow movement of the pitch draws the
rate down, what is small or late is not found at all, and now and then something is found that nobody played. The
published figures were found in the sound of players, so what is generated is looked at in the same way: made-up lines
over the whole range of an instrument are played, once without any vibrato, to know what is found all the same, and
then every note with one. The means asked for are moved until the medians of what is found are those of the players, the
one and the other in the shares in which they will be heard; the chance likewise, by what was found and what was missed.

Source: the definitions are those of the published figures (``figures/playing.md``).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.expression.generator import ExpressionGenerator
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import NoteExpression
from mididdsp.expression.vibrato_lines import CHANCE, LINED
from mididdsp.instruments import INSTRUMENTS
from mididdsp.note_lines import (
    VIBRATO_BAND_HZ,
    VIBRATO_FLOOR_CENTS,
    VIBRATO_SHARE,
    VIBRATO_WINDOW_S,
    smoothed,
)
from mididdsp.notes.types import Note, Part, PartPlan
from mididdsp.notes.voices import plan_part
from mididdsp.random import keyed_generator
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.training.quantiles import weighted_quantiles
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]

TARGETS = {"vibrato_cents": "vibrato_extent_cents", "vibrato_rate_hz": "vibrato_rate_hz",
           "vibrato_delay_s": "vibrato_delay_s"}
"""Column of the published figures for each of ``LINED``."""

SPANS = {"violin": {"vibrato_cents": 13.9, "vibrato_delay_s": 0.55}}
"""10 to 90 % of what ``published_vibrato`` finds in notes of half a second and more, where many players tell it: études
by 22 violinists, training pieces (delays: 0.48 of notes up to 1.8 s, 0.63 of all). Rates are drawn as learned."""

LARGEST_STRETCH = 0.5

SHORTEST_S, LONGEST_S = 0.5, 1.8
"""Lengths of the notes that are played: the figures are of notes from half a second on."""

AS_GOOD_AS_NONE = 0.05
"""The most that is heard of instruments whose players have no vibrato to speak of, and so no rate."""

SURE = 30.0
"""A logit that leaves nothing to chance."""

KEPT = 0.9
"""Share of a shift that would bring a median all the way: what can hardly be brought is not forced."""

LARGEST_SHIFT = {"vibrato_cents": 0.8, "vibrato_rate_hz": 1.0, "vibrato_delay_s": 0.7}
"""No mean is moved further: a vibrato that begins later still, or is smaller, is found less often."""

_NOTES = 12
_AFTER_ONSET_S, _BEFORE_END_S = 0.02, 0.03
_LARGE = 0.6
_STEP = 11  # frames from window to window
_GRID_HZ = np.arange(1.5, 20.01, 0.1)
_WAVES = np.exp(-2j * np.pi * np.outer(np.arange(int(VIBRATO_WINDOW_S * FRAME_RATE)) / FRAME_RATE, _GRID_HZ))
_FEWEST = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What is found in notes of one instrument.

    Attributes:
        share: of notes in which a vibrato is found.
        values: of those, in the order of ``LINED``, in their units; [found, LINED].
    """

    share: float
    values: Array


def published_vibrato(cents: Array) -> tuple[float, float, float] | None:
    """(extent in cents, rate in Hz, delay in s) of a note by the definitions of the published figures, or None.

    Windows of 0.45 s show a vibrato where their spectrum peaks between 3.25 and 8.95 Hz, by 6 cents or more, with 55 %
    of the power between 1.5 and 20 Hz; such windows must cover half of the note or 0.6 s. The extent is the median over
    their half cycles of half their height from peak to trough; the delay ends where the first half cycle begins that
    is large and turns back as far.

    Args:
        cents: of one note, one value a frame; [T].
    """
    window = int(VIBRATO_WINDOW_S * FRAME_RATE)
    if len(cents) < window:
        return None
    starts = np.arange(0, len(cents) - window + 1, _STEP)
    place = np.linspace(-1.0, 1.0, window)
    parts = np.lib.stride_tricks.sliding_window_view(cents, window)[starts]
    parts = parts - parts.mean(1, keepdims=True)
    parts = parts - (parts @ place / (place @ place))[:, None] * place
    taper = np.hanning(window + 2)[1:-1]
    swing = 2.0 * np.abs((parts * taper) @ _WAVES) / taper.sum()
    best = np.argmax(swing, axis=1)
    rates, rows = _GRID_HZ[best], np.arange(len(starts))
    near = np.abs(_GRID_HZ[None, :] - rates[:, None]) <= 2.0 / VIBRATO_WINDOW_S  # the main lobe
    share = (swing**2 * near).sum(1) / np.maximum((swing**2).sum(1), 1e-12)
    has = ((rates >= VIBRATO_BAND_HZ[0]) & (rates <= VIBRATO_BAND_HZ[1]) & (share >= VIBRATO_SHARE)
           & (swing[rows, best] >= VIBRATO_FLOOR_CENTS))
    covered = np.zeros(len(cents), bool)
    for start in starts[has]:
        covered[start : start + window] = True
    if covered.sum() < min(0.5 * len(cents), 0.6 * FRAME_RATE):
        return None
    rate = float(np.median(rates[has]))
    cycle = FRAME_RATE / rate
    width = max(3, int(cycle / 4) | 1)
    line = smoothed(cents, width)  # faster flutter is no swing
    turns = np.concatenate([[0], np.flatnonzero(np.diff(np.sign(np.diff(line))) != 0) + 1, [len(line) - 1]])
    kept = [int(turns[0])]
    for turn in turns[1:]:  # nor is a ripple
        if turn - kept[-1] >= 0.25 * cycle:
            kept.append(int(turn))
    heights = np.abs(np.diff(line[kept])) / 2.0 / float(np.sinc(width / cycle))  # what smoothing took is given back
    middles = (np.array(kept[1:]) + np.array(kept[:-1])) / 2.0
    inside = covered[middles.astype(int)]
    if not inside.any():
        return None
    large = heights >= _LARGE * float(np.percentile(heights[inside], 90))
    begun = np.flatnonzero(large[:-1] & large[1:])  # the scoop into a note does not turn back
    first = begun[0] if len(begun) else np.flatnonzero(large)[0]
    return float(np.median(heights[inside])), rate, max(0.0, float(middles[first] - 0.5 * cycle) / FRAME_RATE)


def made_up_line(instrument: str, number: int) -> PartPlan:
    """Twelve notes of half a second and more anywhere in the range, a third of them slurred, half of the lines without
    velocities; the same for the same name and number."""
    entry = INSTRUMENTS[instrument]
    random = keyed_generator(number, "line to calibrate by", instrument)
    low, high = (entry.low + share * (entry.high - entry.low) for share in (0.08, 0.85))
    at, clock, notes = float(np.rint(random.uniform(low, high))), 0.5, []
    told = bool(random.random() < 0.5)
    for index in range(_NOTES):
        seconds = float(np.exp(random.uniform(math.log(SHORTEST_S), math.log(LONGEST_S))))
        notes.append(Note(id=f"{instrument} {number} {index}", onset=clock, duration=seconds, pitch=at,
                          velocity=int(random.integers(40, 110)) if told else None,
                          articulations=("legato",) if random.random() < 1 / 3 else ()))
        clock += seconds + (0.0 if random.random() < 0.75 else float(random.uniform(0.1, 0.5)))
        step = float(random.choice([-7, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7]))
        at = at + step if low <= at + step <= high else at - step
    return plan_part(Part(name=instrument, instrument=instrument, notes=tuple(notes)))


def contours(synthesis: SynthesisGenerator, plan: PartPlan, expressions: Mapping[str, NoteExpression]) -> list[Array]:
    """The pitch of each note of a plan as it is generated, cents re the written one; one [T] a note."""
    found: list[Array] = []
    for chain, segment in zip(plan.chains, synthesis.segments(plan, expressions, seed=0)):
        for item in chain.notes:
            first, last = (round((time - segment.start_s) * FRAME_RATE) for time in (
                item.onset + _AFTER_ONSET_S, item.offset - _BEFORE_END_S))
            f0 = segment.f0_hz[first:last].astype(np.float64)
            found.append(1200.0 * np.log2(f0 / midi_to_hz(item.note.pitch)))
    return found


def found_in(
    expression: ExpressionGenerator, synthesis: SynthesisGenerator, plans: Sequence[PartPlan], shift: Array,
    stretch: Array,
) -> Found:
    """What is found in lines of one instrument whose vibrato is shifted by ``shift`` [1 + LINED] and stretched by
    ``stretch`` [LINED]."""
    if not plans:
        raise ValueError("there is no line to look at; give at least one")
    network = copy.deepcopy(expression.network)
    row = list(INSTRUMENTS).index(plans[0].part.instrument)
    network.lines.shifts[row] = torch.from_numpy(shift).to(network.lines.shifts)
    network.lines.stretches[row] = torch.from_numpy(stretch).to(network.lines.stretches)
    shifted = ExpressionGenerator(network)
    read = [published_vibrato(cents) for plan in plans
            for cents in contours(synthesis, plan, shifted.express(plan, seed=0))]
    there = [item for item in read if item is not None]
    return Found(share=len(there) / len(read), values=np.array(there, np.float64).reshape(-1, len(LINED)))


def percentiles(played: Found, still: Found, chance: float, shares: Sequence[float]) -> Array:
    """Values below which shares lie of what is found where a vibrato is played by a chance; [shares, LINED].

    Args:
        played, still: found in the same notes with a vibrato and without; something in one of them.
        chance: that a note has one, 0 to 1.
        shares: 0 to 1.
    """
    values = np.concatenate([played.values, still.values])
    weights = np.repeat([chance, 1.0 - chance], [len(played.values), len(still.values)])
    return np.stack([weighted_quantiles(column, weights, shares) for column in values.T], axis=1)


def calibrate_vibrato(
    expression: ExpressionGenerator, synthesis: SynthesisGenerator, targets: Mapping[str, Mapping[str, float | None]],
    *, lines: int = 12, rounds: int = 3, instruments: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """``shifts`` and ``stretches`` of ``VibratoLines`` with which what is found in made-up lines is what is found in
    players' phrases.

    Args:
        expression: its shifts and stretches so far do not count.
        synthesis: what the lines are generated by.
        targets: the published figures, by instrument; one without a share keeps shifts of 0, one without a rate has
            its chance moved alone.
        lines: of each instrument; every one has twelve notes.
        rounds: of looking and moving.
        instruments: that are calibrated; None is all.

    Returns:
        [instruments, 1 + LINED], on the model's scale, and [instruments, LINED].
    """
    shifts = np.zeros((len(INSTRUMENTS), 1 + len(LINED)))
    plain = ExpressionGenerator(copy.deepcopy(expression.network))
    plain.network.lines.shifts.zero_()
    plain.network.lines.stretches.zero_()
    stretches = np.zeros((len(INSTRUMENTS), len(LINED)))
    for row, name in enumerate(INSTRUMENTS):
        target = targets.get(name, {})
        share = target.get("vibrato_share")
        if share is None or (instruments is not None and name not in instruments):
            continue
        plans = [made_up_line(name, number) for number in range(lines)]
        shift = np.zeros(1 + len(LINED))
        shift[CHANCE] = SURE
        stretch = stretches[row]
        wanted = [target.get(TARGETS[attribute]) for attribute in LINED]
        still = found_in(plain, synthesis, plans, np.array([-SURE, *[0.0] * len(LINED)]), stretch)
        for _ in range(rounds if None not in wanted else 0):
            found = found_in(plain, synthesis, plans, shift, stretch)
            if len(found.values) < _FEWEST:
                break
            # what is found where nothing was played is heard among the rest
            chance = float(np.clip((share - still.share) / max(found.share - still.share, 1e-3), 0.05, 1.0))
            low, middle, high = percentiles(found, still, chance, (0.1, 0.5, 0.9))
            for column, (attribute, span) in enumerate(zip(LINED, high - low)):
                if attribute in SPANS.get(name, {}):
                    wider = (1.0 + stretch[column]) * SPANS[name][attribute] / max(span, 1e-3) - 1.0
                    stretch[column] = float(np.clip(wider, -LARGEST_STRETCH, LARGEST_STRETCH))
            for column, (attribute, sought, median) in enumerate(zip(LINED, wanted, middle), CHANCE + 1):
                step = SCALES[attribute].forward(float(sought or 0.0)) - SCALES[attribute].forward(max(median, 0.01))
                most = LARGEST_SHIFT[attribute]
                shift[column] = float(np.clip(KEPT * (shift[column] + step), -most, most))
        hits = found_in(plain, synthesis, plans, shift, stretch).share
        if None in wanted:
            share = min(share, AS_GOOD_AS_NONE)
        shift[CHANCE] = chance_shift(logits_of(plain, plans), share, hits, still.share)
        shifts[row] = shift
    return {"shifts": torch.from_numpy(shifts).float(), "stretches": torch.from_numpy(stretches).float()}


def chance_shift(logits: Array, share: float, hits: float, alarms: float) -> float:
    """What to add to logits of having a vibrato for one to be found in a share of the notes.

    Args:
        logits: of the notes; [N].
        share: sought.
        hits, alarms: shares of notes with and without a vibrato in which one is found.
    """
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2.0
        chance = float(np.mean(1.0 / (1.0 + np.exp(-(logits + middle)))))
        low, high = (middle, high) if chance * hits + (1.0 - chance) * alarms < share else (low, middle)
    return (low + high) / 2.0


def logits_of(expression: ExpressionGenerator, plans: Sequence[PartPlan]) -> Array:
    """Of having a vibrato, for every note, unshifted."""
    chances = np.array([chance for plan in plans for chance in expression.chances(plan).values()])
    return np.asarray(np.log(chances / (1.0 - chances)))
