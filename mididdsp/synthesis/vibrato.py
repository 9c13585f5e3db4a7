"""The swing of a note's pitch.

A vibrato has an extent and a rate, begins after a delay, grows, and is never quite regular. What a note does not say
is as players of its family let it be: the growth over the note, the phase in which it begins, a rate that wanders by a
few per cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import NoteExpression
from mididdsp.note_lines import find_vibrato, smoothed
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

GROWTH: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "strings": (0.72, 0.97, 1.0, 0.80, 0.48),
    "woodwind": (0.30, 0.60, 0.97, 0.95, 0.75),
    "brass": (0.45, 0.60, 0.90, 0.98, 0.80),
})
"""Relative extent at 10, 30, 50, 70 and 90 % of a note, measured on phrases of many players (figures/playing.md)."""

GROWTH_AT = (0.1, 0.3, 0.5, 0.7, 0.9)

BEGUN = 0.85
"""Least relative extent once a vibrato has begun, in the first half of a note. The growth above is a mean over notes
that begin theirs at different times; each by itself is above half of its extent within a cycle."""

EXTENT_MENDED = (0.9, 1.25)
"""How far a swing is scaled for the extent found in the note to be the one that was asked for."""

SHORTEST_FADE_S = 0.02
"""A swing that starts at once takes this long: a jump of pitch would click."""

PLAIN_WANDER = 0.15
"""Radians by which each of two slow sinusoids moves the phase of a player's vibrato."""

STRAY_PHASE = 0.4
"""Radians over which the phase is spread in which players begin."""

SWELL_CENTS = 10.0
"""What a vibrato does to the sound is told for a swing of so many cents."""

MOST_SWELL_DB = 1.2
MOST_TILT_DB = 1.0
"""A wide vibrato moves the level by no more than the first beyond what the network does, and the partials against one
another by no more than the second an octave."""

SWELL_AFTER_S = 0.1
"""A swell grows over so long after the attack, which stays as it is."""

WANDER_HZ = (0.7, 1.6)
EXTENT_WANDER_HZ = (0.5, 1.1)
"""Slow sinusoids that move rate and extent; two that have no common period do not sound periodic."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swell:
    """What moves with a vibrato besides the pitch, dB.

    Attributes:
        level: of the partials; [T].
        tilt: of the partials against one another, an octave; [T].
        noise: [T].
    """

    level: Array
    tilt: Array
    noise: Array


def swell(
    amounts: Array, expression: NoteExpression, since: Array, swing: Array, turned: Array, drawn: Array
) -> Swell | None:
    """How sound moves with the pitch; None where it does not.

    Breath makes a vibrato of flute and oboe, so that level and pitch rise together; lips or jaw make others, whose
    level may be highest anywhere in the cycle.

    Args:
        amounts: dB for ``SWELL_CENTS`` of level, tilt and noise with the swing and a quarter period later, then the
            spread of those of level and noise from note to note; [4, 2].
        expression: of the note.
        since: seconds since the onset; [T].
        swing, turned: as ``swing`` gives them; [T].
        drawn: two standard normal numbers of the note, 0 for what notes have in common.
    """
    if not expression.vibrato_cents or not amounts.any():
        return None
    own = amounts[:3] + np.array([1.0, 0.0, 1.0])[:, None] * amounts[3] * drawn
    size = np.hypot(*own.T) * expression.vibrato_cents / SWELL_CENTS
    share = min(1.0, MOST_SWELL_DB / max(size[0], size[2], 1e-9), MOST_TILT_DB / max(size[1], 1e-9))
    grown = np.clip((since - expression.attack_s) / SWELL_AFTER_S, 0.0, 1.0) * share / SWELL_CENTS
    level, tilt, noise = (grown * (with_it * swing + after * turned) for with_it, after in own)
    return Swell(level=level, tilt=tilt, noise=noise)


def swing(
    expression: NoteExpression, since: Array, seconds: float, family: str, random: np.random.Generator,
    temperature: float,
) -> tuple[Array, Array]:
    """The deviation of a note's pitch by its vibrato.

    Args:
        expression: of the note.
        since: seconds since the onset, negative before it; [T].
        seconds: length of the note.
        family: of the instrument.
        random: keyed by the note; nine numbers are drawn whatever the note is.
        temperature: 0 leaves the rate as it is where the note says nothing of its irregularity.

    Returns:
        (deviation in cents, the same a quarter period later), both [T]; zeros without a vibrato.
    """
    phase0 = 2 * np.pi * random.random()
    drift = random.standard_normal(8)
    still = np.zeros(len(since)), np.zeros(len(since))
    if not expression.vibrato_cents or not expression.vibrato_rate_hz:
        return still
    rate = expression.vibrato_rate_hz
    delay = min(expression.vibrato_delay_s or 0.0, 0.8 * seconds)
    envelope = _envelope(expression.vibrato_fade_s, since, seconds, rate, delay, family)
    if envelope is None:
        return still
    irregularity = expression.vibrato_irregularity

    def phase(time: Array) -> Array:
        """Without the phase at its beginning, radians."""
        moved = 2 * np.pi * rate * time
        for k, speed in enumerate(WANDER_HZ):
            angle = 2 * np.pi * speed * time + 3.0 * drift[2 * k + 1]
            if irregularity is None:
                moved = moved + PLAIN_WANDER * temperature * drift[2 * k] * np.sin(angle)
            else:  # the rate moves by sinusoids whose power sums to irregularity squared
                moved = moved - irregularity * rate / speed * np.cos(angle)
        return np.asarray(moved)

    # a finger or a breath that has been still begins at about the centre, up or down
    begun = np.pi * (phase0 >= np.pi) + STRAY_PHASE * (phase0 % np.pi / np.pi - 0.5)
    if expression.vibrato_phase is not None:
        begun = 2 * np.pi * expression.vibrato_phase
    start = begun - float(phase(np.array([delay]))[0])
    if irregularity:
        envelope = envelope * np.maximum(0.0, 1.0 + irregularity * sum(
            np.sin(2 * np.pi * speed * since + 3.0 * drift[5 + 2 * k]) for k, speed in enumerate(EXTENT_WANDER_HZ)))
    angle = phase(since) + start
    extent = expression.vibrato_cents
    if expression.vibrato_fade_s is None:  # as players do: what grows, wanders and ends is less than its most
        found = find_vibrato(extent * (envelope * np.sin(angle))[(since >= 0) & (since < seconds)])
        if found is not None:
            extent *= float(np.clip(extent / found.cents, *EXTENT_MENDED))
    return extent * envelope * np.sin(angle), -extent * envelope * np.cos(angle)


def unswung(slow: Array, swing: Array, turned: Array, begin: int, end: int, rate_hz: float) -> Array:
    """What moves a note's pitch slowly, less what in it moves with the vibrato.

    A network that sees the swing takes a share of it back, as far as the extents it was shown were larger than what
    was played; the extent that was asked for is that of the swing alone.

    Args:
        slow: cents; [T].
        swing, turned: as ``swing`` gives them; [T].
        begin, end: frames of the note.
        rate_hz: of the vibrato.
    """
    cycle = round(FRAME_RATE / rate_hz) | 1
    first = begin + min(cycle, (end - begin) // 4)  # the way into the note is no part of it
    if end - first < 2 * cycle:
        return slow
    quick = np.stack([line - smoothed(line, cycle) for line in (swing[first:end], turned[first:end])], axis=1)
    rest = slow[first:end] - smoothed(slow[first:end], cycle)
    share, *_ = np.linalg.lstsq(quick, rest, rcond=None)
    return np.asarray(slow - share[0] * swing - share[1] * turned)


def _envelope(
    fade_s: float | None, since: Array, seconds: float, rate: float, delay: float, family: str
) -> Array | None:
    """Relative extent over the note, about 1 where it is strong; None where there is no room for any."""
    exit_ = np.clip((seconds - since) * rate * 2.0 + 0.3, 0.0, 1.0)
    if fade_s is not None:
        return np.asarray(np.clip((since - delay) / max(fade_s, SHORTEST_FADE_S), 0.0, 1.0) * exit_)
    place = np.clip(since / max(seconds, 0.01), 0, 1)
    growth = np.interp(place, GROWTH_AT, GROWTH[family])
    growth = np.where(place < 0.5, np.maximum(growth, BEGUN), growth)
    envelope = growth * np.clip((since - delay) * rate * 2.0 + 0.4, 0.0, 1.0) * exit_
    sounding = (since >= 0) & (since < seconds)
    peak = float(envelope[sounding].max()) if sounding.any() else 0.0
    if peak <= 0:
        return None
    strong = sounding & (envelope >= 0.5 * peak)
    return np.asarray(envelope / float(envelope[strong].mean()))
