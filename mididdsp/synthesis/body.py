"""What a vibrato does to the partials of a string: each slides up and down the narrow resonances of the body.

A partial gets louder where its resonance rises and softer where it falls, so that one swells while another fades, and
the sound shimmers at the rate of the vibrato. Most of it is the instrument's own: the same at the same frequency,
whatever note is played. The rest, more of it the higher the partial, is another in every note.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.synthesis.knots import knot_weights

Array = NDArray[np.floating[Any]]

BODY_LOW_HZ, BODY_HIGH_HZ = 40.0, 20_000.0
BODY_STEP_CENTS = 6.0
"""The resonances are told at steps of this, with straight lines between; the narrowest are about 14 cents wide."""

BODY_POINTS = int(np.log2(BODY_HIGH_HZ / BODY_LOW_HZ) * 1200.0 / BODY_STEP_CENTS) + 1
BODY_CENTS: Array = BODY_STEP_CENTS * np.arange(BODY_POINTS)
"""Cents above ``BODY_LOW_HZ``."""

OWN_SHIFT_CENTS = 600.0
"""A note's own resonances are those of a table, moved by up to so much: far more than one is wide, but so little that
as much of the swing stays with low partials, and with high ones, as was learned."""


def sway(
    body: Array, f0_hz: float, partials: int, swing: Array, turned: Array, *, shift_cents: float, own: float
) -> Array:
    """How far the level of each partial is moved by the swing of its pitch, dB; over a whole cycle it is 0.

    Args:
        body: dB of what all notes share and of what each has of its own, at ``BODY_CENTS``; [2, BODY_POINTS].
        f0_hz: of the note, without its swing.
        partials: how many are wanted.
        swing, turned: cents, and the same a quarter period later; [T].
        shift_cents: by which the note's own table is moved.
        own: how much of the note's own counts, 1 as in recordings.

    Returns:
        [T, partials]
    """
    extent = np.hypot(swing, turned)
    most = float(extent.max(initial=0.0))
    if most == 0.0:
        return np.zeros((len(swing), partials))
    at = 1200.0 * np.log2(f0_hz * np.arange(1, partials + 1) / BODY_LOW_HZ)
    reach = int(np.ceil(most / BODY_STEP_CENTS))
    steps = BODY_STEP_CENTS * np.arange(-reach, reach + 1)

    def moved(cents: Array) -> Array:
        """dB re the partials without a swing; [len(cents), partials]."""
        places = at + np.concatenate([[0.0], cents])[:, None]
        level = np.interp(places, BODY_CENTS, body[0]) + own * np.interp(places + shift_cents, BODY_CENTS, body[1])
        return np.asarray(level[1:] - level[0])

    # straight lines between the steps, for all partials at once
    place = swing / BODY_STEP_CENTS + reach
    left = np.minimum(place.astype(int), 2 * reach - 1)
    hats = np.zeros((len(swing), len(steps)))
    hats[np.arange(len(swing)), left] = 1.0 - (place - left)
    hats[np.arange(len(swing)), left + 1] = place - left
    # a resonance is no straight line, so that a swing moves the mean as well: the timbre that was learned has it
    cycle = moved(most * np.cos(np.pi * (np.arange(16) + 0.5) / 16.0)).mean(0)
    return np.asarray(hats @ moved(steps) - ((extent / most) ** 2)[:, None] * cycle)


def common_sway(swayed: Array, knots: Array) -> Array:
    """How far the level of all partials together is moved, dB; [T].

    Args:
        swayed: as ``sway`` gives it; [T, H].
        knots: mean level of the partials, dB; [K].
    """
    level = knot_weights(swayed.shape[1]) @ knots
    power = 10.0 ** ((level - level.max()) / 10.0)
    return np.asarray(swayed @ (power / power.sum()))
