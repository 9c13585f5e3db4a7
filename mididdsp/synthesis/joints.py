"""Notes of a segment in time, and how their windows are joined: glides, cross-fades, slurs without a new attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import NoteExpression
from mididdsp.notes.types import Chain, Note, PlannedNote
from mididdsp.synthesis.frame_network import NOISE_CENTRES, Surroundings
from mididdsp.synthesis.knots import KNOTS
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

PRE_FRAMES = 8
"""Frames generated before the onset: the sound's rise to 25 dB below its top."""

_SLUR_REACH_S = 0.2
_SLUR_DIP_DB = {"strings": 1.2, "woodwind": 1.5, "brass": 1.4}
"""How far slurs dip beyond what two notes of different levels do anyway. Players dip by 2.6 to 3.4 dB on average
(figures/playing.md); from 3 dB on a dip is heard as a new bow or breath, and a slur that was asked for has none."""
_SLUR_DIP_S = {"strings": 0.05, "woodwind": 0.03, "brass": 0.035}
"""How wide they are at half their depth, in recorded phrases: fingers and tongues are quicker than bows."""
_SLUR_NEAR_DB = 0.3
_SLUR_NOISE_DB = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A note on its segment's clock, s: where it begins, where it ends, and its way in and out."""

    planned: PlannedNote
    expression: NoteExpression
    around: Surroundings
    onset: float
    offset: float
    glide_in: float
    glide_out: float

    @property
    def seconds(self) -> float:
        return self.offset - self.onset

    @property
    def room_to_wander(self) -> float:
        """Share of its wandering from its pitch that a note has time for."""
        return float(np.clip(self.seconds / 0.4, 0.1, 1.0) ** 1.5)

    @property
    def room_to_bend(self) -> float:
        """Share of a rise or fall of its pitch that a note is long enough for."""
        return float(np.clip((self.seconds - 0.15) / 0.15, 0.0, 1.0))

    @property
    def alone(self) -> bool:
        """Whether it has no neighbours."""
        return self.around.interval_before is None and self.around.interval_after is None

    @property
    def lead_in(self) -> float:
        """How long before its onset its window begins, s."""
        return 2.0 * self.glide_in + 0.02 if self.planned.joined else PRE_FRAMES / FRAME_RATE

    @property
    def lead_out(self) -> float:
        """How long after its offset its window ends when it leads to another, s."""
        return 2.0 * self.glide_out + 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """One note's parameters in its own window, before the joints; frame 0 is ``first`` on the segment's clock.

    ``swayed`` is added to its partials, dB [T, H]; None: nothing.
    """

    first: int
    cents: Array
    level: Array
    knots: Array
    noise: Array
    swayed: Array | None = None


def places_of(
    chain: Chain, expressions: Mapping[str, NoteExpression], notes: Mapping[str, Note]
) -> tuple[float, list[Place]]:
    """(time of the segment's frame 0, its notes in time)."""
    onsets: list[float] = []
    for planned in chain.notes:
        onset = max(0.0, planned.onset + expressions[planned.note.id].timing_s)
        onsets.append(max(onset, onsets[-1] + 0.01) if onsets else onset)
    places = []
    for index, planned in enumerate(chain.notes):
        expression = expressions[planned.note.id]
        if planned.leads:
            offset = onsets[index + 1]
        else:
            written = planned.offset - planned.onset
            ratio = expression.length_ratio if expression.length_ratio is not None else 1.0
            offset = max(planned.onset + written * ratio, onsets[index] + 1.0 / FRAME_RATE)
        glide_in = _glide(chain, index, onsets, expressions) if planned.joined else 0.0
        glide_out = _glide(chain, index + 1, onsets, expressions) if planned.leads else 0.0
        before, after = notes.get(planned.previous or ""), notes.get(planned.following or "")
        around = Surroundings(
            interval_before=None if before is None else before.pitch - planned.note.pitch,
            gap_before=None if before is None else max(planned.onset - before.offset, 0.0),
            interval_after=None if after is None else after.pitch - planned.note.pitch,
            gap_after=None if after is None else after.onset - offset)
        places.append(Place(planned=planned, expression=expression, around=around, onset=onsets[index], offset=offset,
                             glide_in=glide_in, glide_out=glide_out))
    return onsets[0] - PRE_FRAMES / FRAME_RATE, places


def _glide(
    chain: Chain, index: int, onsets: list[float], expressions: Mapping[str, NoteExpression]
) -> float:
    """10–90 % time of the way into note ``index``: what is asked, but never longer than half of either note."""
    ends = [*onsets[1:], chain.notes[-1].offset]
    shorter = min(ends[index - 1] - onsets[index - 1], ends[index] - onsets[index])
    asked = expressions[chain.notes[index].note.id].glide_s or 0.0
    return float(np.clip(asked, 0.012, max(0.5 * shorter, 0.012)))


def joined_windows(places: list[Place], windows: list[Window], total: int) -> tuple[Array, Array, Array, Array]:
    """Cross-fade the windows of a segment at its joints, in cents and dB."""
    if len(windows) == 1 and windows[0].first == 0:
        return windows[0].cents, windows[0].level, windows[0].knots, windows[0].noise
    cents = np.zeros(total)
    level, weight_sum = np.zeros(total), np.zeros(total)
    pitch_sum = np.zeros(total)
    knots = np.zeros((total, len(KNOTS)))
    noise = np.zeros((total, NOISE_CENTRES))
    start = places[0].onset - PRE_FRAMES / FRAME_RATE
    clock = start + np.arange(total) / FRAME_RATE
    for place, window in zip(places, windows):
        span = slice(window.first, window.first + len(window.level))
        time = clock[span]
        fade, glide = _fade(place, time, 0.02), _fade(place, time, 0.0)
        cents[span] += glide * window.cents
        pitch_sum[span] += glide
        weight_sum[span] += fade
        level[span] += fade * window.level
        knots[span] += fade[:, None] * window.knots
        noise[span] += fade[:, None] * window.noise
    return cents / pitch_sum, level / weight_sum, knots / weight_sum[:, None], noise / weight_sum[:, None]


def joined_sway(places: list[Place], windows: list[Window], total: int, partials: int) -> Array | None:
    """What is added to the partials of a segment, cross-faded as they are, dB; [total, partials], None: nothing."""
    if all(window.swayed is None for window in windows):
        return None
    return _joined(places, windows, total, partials, [window.swayed for window in windows])


def joined_constants(
    places: list[Place], windows: list[Window], total: int, constants: Sequence[Array]
) -> Array:
    """What is the same all through a note, faded as partials are; [total, D] of [D] a note, of one note [1, D]."""
    if len(places) == 1:
        return constants[0][None].astype(np.float32)
    return _joined(places, windows, total, len(constants[0]), [constant[None] for constant in constants])


def _joined(
    places: list[Place], windows: list[Window], total: int, width: int, lines: Sequence[Array | None]
) -> Array:
    """Lines of a segment's notes [T or 1, D], None for zeros, cross-faded as partials are; [total, width]."""
    result, weight_sum = np.zeros((total, width), np.float32), np.zeros(total, np.float32)
    start = places[0].onset - PRE_FRAMES / FRAME_RATE
    for place, window, line in zip(places, windows, lines):
        span = slice(window.first, window.first + len(window.level))
        fade = _fade(place, start + np.arange(span.start, span.stop) / FRAME_RATE, 0.02)
        weight_sum[span] += fade
        if line is not None:
            there = min(width, line.shape[1])
            result[span, :there] += fade[:, None] * line[:, :there]
    return result / weight_sum[:, None]


def _fade(place: Place, time: Array, least_s: float) -> Array:
    """How much a note's window counts at its joints, 0 to 1; they last as long as its glides, at least so long."""
    fade = np.ones(len(time))
    if place.planned.joined:
        fade = fade * _ramp((time - place.onset) / max(place.glide_in, least_s))
    if place.planned.leads:
        fade = fade * _ramp((place.offset - time) / max(place.glide_out, least_s))
    return fade + 1e-12


def bridged(
    level: Array, noise: Array, places: list[Place], start: float, family: str
) -> tuple[Array, Array]:
    """No new attack inside a slur, but a small dip: around a joint the level lies on or above a line between its sides,
    and dips from there for 30 to 50 ms on either side. The noise dips with it, and has no burst there.

    Recorded slurs are few and of strings and winds alone; where the network knows none it begins each note anew.
    """
    level, noise = level.copy(), noise.copy()
    for before, place in zip(places, places[1:]):
        reach = min(_SLUR_REACH_S, 0.4 * before.seconds, 0.4 * place.seconds)
        first = max(0, round((place.onset - reach - start) * FRAME_RATE))
        last = min(len(level) - 1, round((place.onset + reach - start) * FRAME_RATE))
        if last <= first:
            continue
        since = np.arange(first, last + 1) / FRAME_RATE + start - place.onset
        bump = 0.5 + 0.5 * np.cos(np.pi * np.clip(since / min(_SLUR_DIP_S[family], reach), -1.0, 1.0))
        part = np.linspace(0.0, 1.0, last - first + 1)
        span = slice(first, last + 1)
        line = level[first] + (level[last] - level[first]) * part
        level[span] = np.maximum(level[span], line - _SLUR_NEAR_DB) - _SLUR_DIP_DB[family] * bump
        ends = noise[first], noise[last]
        most = ends[0] + np.outer(part, ends[1] - ends[0]) - (_SLUR_DIP_DB[family] * bump)[:, None] + _SLUR_NOISE_DB
        noise[span] = np.minimum(noise[span], most + 60.0 * (1.0 - bump[:, None]) ** 2)
    return level, noise


def _ramp(position: Array) -> Array:
    """Raised cosine from 0 to 1 whose 10–90 % way is one unit of ``position``, centred at 0."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(0.5 + 0.5904 * position, 0.0, 1.0)))
