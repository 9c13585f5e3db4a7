"""Partials slide over resonances as a direct look-up says, and a cycle of the vibrato leaves their mean as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mididdsp.synthesis.body import BODY_CENTS, BODY_LOW_HZ, BODY_POINTS, common_sway, sway
from mididdsp.synthesis.knots import KNOTS

Array = NDArray[np.floating[Any]]
ANGLE = 2 * np.pi * 6.0 * np.arange(250) / 250.0
"""Six whole cycles."""


def waves() -> Array:
    """Smooth lines, as those of resonances are."""
    return np.stack([3.0 * np.sin(2 * np.pi * BODY_CENTS / 170.0), 2.0 * np.cos(2 * np.pi * BODY_CENTS / 230.0)])


def swung(body: Array, cents: float, *, partials: int = 30, shift_cents: float = 0.0, own: float = 1.0) -> Array:
    return sway(body, 220.0, partials, cents * np.sin(ANGLE), -cents * np.cos(ANGLE), shift_cents=shift_cents, own=own)


@pytest.mark.parametrize("cents", [2.0, 15.0, 80.0])
def test_each_partial_is_as_loud_as_the_body_where_it_is(cents: float) -> None:
    found = swung(waves(), cents, shift_cents=90.0)
    at = 1200.0 * np.log2(220.0 * np.arange(1, 31) / BODY_LOW_HZ) + cents * np.sin(ANGLE)[:, None]
    level = 3.0 * np.sin(2 * np.pi * at / 170.0) + 2.0 * np.cos(2 * np.pi * (at + 90.0) / 230.0)
    np.testing.assert_allclose(found, level - level.mean(0), atol=0.05)


def test_how_much_of_the_notes_own_counts() -> None:
    body = waves()
    only = np.stack([body[0], np.zeros(BODY_POINTS)])
    np.testing.assert_allclose(swung(body, 15.0, own=0.0), swung(only, 15.0), atol=1e-12)
    np.testing.assert_allclose(swung(body, 15.0) - swung(only, 15.0),
                               swung(np.stack([np.zeros(BODY_POINTS), body[1]]), 15.0), atol=1e-9)


def test_without_a_swing_nothing_moves() -> None:
    still = np.zeros(50)
    np.testing.assert_array_equal(
        sway(waves(), 220.0, 9, still, still, shift_cents=0.0, own=1.0), np.zeros((50, 9)))


def test_beyond_the_table_nothing_moves() -> None:
    high = sway(waves(), 21_000.0, 1, 10.0 * np.sin(ANGLE), -10.0 * np.cos(ANGLE), shift_cents=0.0, own=0.0)
    np.testing.assert_allclose(high, 0.0, atol=1e-12)


def test_the_level_moves_as_the_loudest_partials_do() -> None:
    swayed = np.stack([np.full(4, 2.0), np.full(4, -1.0), np.full(4, 5.0)], axis=1)
    knots = np.full(len(KNOTS), -80.0)
    knots[:2] = -20.0, -20.0 - 10.0 * np.log10(3.0)  # three quarters and a quarter of the power
    np.testing.assert_allclose(common_sway(swayed, knots), 0.75 * 2.0 - 0.25, atol=1e-4)
