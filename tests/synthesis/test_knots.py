"""Knots: every partial is read off two neighbours, and flat or straight spectra survive the way there and back."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.synthesis.knots import KNOTS, SINGLE_KNOTS, knot_weights, partials_of_knots, partials_to_knots


def test_knots_are_the_first_partials_then_a_series() -> None:
    assert list(KNOTS[:SINGLE_KNOTS]) == list(range(1, SINGLE_KNOTS + 1))
    assert (np.diff(KNOTS) > 0).all()
    assert (KNOTS[SINGLE_KNOTS:] / KNOTS[SINGLE_KNOTS - 1 : -1] < 1.17).all()  # 1.125, rounded to whole numbers
    assert KNOTS[-1] >= 400


@pytest.mark.parametrize("partials", [1, 2, 12, 13, 100, 400, 700])
def test_weights_interpolate(partials: int) -> None:
    weights = knot_weights(partials)
    assert weights.shape == (partials, len(KNOTS))
    assert (weights >= 0).all()
    assert ((weights > 0).sum(1) <= 2).all()
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-12)
    # A straight line in dB over the logarithm of the number is read exactly; beyond the last knot it stays level.
    line = -12.0 * np.log2(KNOTS)
    number = np.minimum(np.arange(1, partials + 1), KNOTS[-1])
    np.testing.assert_allclose(weights @ line, -12.0 * np.log2(number), atol=1e-9)


def test_partials_at_a_knot_are_that_knot() -> None:
    weights = knot_weights(400)
    for column, number in enumerate(KNOTS[KNOTS <= 400]):
        assert weights[int(number) - 1, column] == pytest.approx(1.0)


def test_flat_partials_give_flat_knots() -> None:
    levels, known = partials_to_knots(np.full((3, 60), 1e-4))
    assert known[:, :-1][:, KNOTS[:-1] <= 50].all()
    np.testing.assert_allclose(levels[known], -40.0, atol=1e-6)


def test_single_partials_go_to_their_own_knots() -> None:
    power = 10.0 ** (-np.arange(1.0, 13.0) / 2.0)[None]
    levels, known = partials_to_knots(power)
    # The twelfth is shared with the next knot but is all there is.
    np.testing.assert_allclose(levels[0, :11], -5.0 * np.arange(1, 12), atol=1e-6)
    assert known[0, :11].all()
    assert not known[0, 13:].any()


def test_unknown_partials_are_not_silent_ones() -> None:
    power = np.full((2, 40), 1e-3)
    power[1, 20:] = np.nan
    power[0, 20:] = 0.0
    levels, known = partials_to_knots(power)
    high = (KNOTS >= 24) & (KNOTS <= 36)
    assert known[0, high].all()
    assert (levels[0, high] == -140.0).all()  # 1e-14: silence is known
    assert not known[1, high].any()
    np.testing.assert_allclose(levels[1, KNOTS <= 18], -30.0, atol=1e-6)


def test_a_knot_scatters_as_the_mean_of_its_partials_does() -> None:
    many = partials_of_knots()
    assert (many[: SINGLE_KNOTS - 1] == 1.0).all()
    power = 1.0 + 0.05 * np.random.default_rng(0).standard_normal((20_000, 400))
    knots, _ = partials_to_knots(power)
    spread = (10.0 ** (knots / 10.0)).std(0) / 0.05
    # 20,000 values tell a spread to half a percent
    np.testing.assert_allclose(spread, many**-0.5, rtol=0.03)
