"""Bends: there and back, and how densities change by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mididdsp.expression.bends import KNOTS, bent, straightened

STEP = KNOTS[1] - KNOTS[0]


def bends(seed: int = 0) -> torch.Tensor:
    """Of 50 spreads; steps between knots from a tenth to three times as long."""
    random = np.random.default_rng(seed)
    steps = STEP * np.exp(random.uniform(np.log(0.1), np.log(3.0), (50, len(KNOTS) - 1)))
    there = np.concatenate([np.zeros((50, 1)), steps.cumsum(1)], axis=1)
    return torch.from_numpy(there - there[:, [12]] - np.array(KNOTS))


def test_knots_are_even_and_lie_about_0() -> None:
    assert np.diff(KNOTS) == pytest.approx(STEP)
    assert KNOTS[12] == 0.0
    assert KNOTS[-1] == -KNOTS[0] == 3.0


def test_no_bend_changes_nothing() -> None:
    deviations = torch.linspace(-5.0, 5.0, 101, dtype=torch.float64)
    nothing = torch.zeros(101, len(KNOTS), dtype=torch.float64)
    assert torch.allclose(bent(deviations, nothing), deviations, atol=1e-12)
    straight, gain = straightened(deviations, nothing)
    assert torch.allclose(straight, deviations, atol=1e-12)
    assert torch.allclose(gain, torch.zeros_like(gain), atol=1e-12)


def test_there_and_back_even_beyond_the_knots() -> None:
    deviations = torch.linspace(-6.0, 6.0, 50, dtype=torch.float64)
    for seed in range(5):
        there = bent(deviations, bends(seed))
        assert torch.allclose(straightened(there, bends(seed))[0], deviations, atol=1e-9)


def test_knots_lie_where_they_are_said_to() -> None:
    one = bends()[0]
    at = torch.tensor(KNOTS, dtype=torch.float64)
    assert torch.allclose(bent(at, one.expand(len(KNOTS), -1)), at + one, atol=1e-12)
    assert float(bent(torch.tensor(5.0, dtype=torch.float64), one)) == pytest.approx(5.0 + float(one[-1]))


def test_a_bent_density_is_one() -> None:
    one = bends(3)[0]
    x = torch.linspace(-12.0, 12.0, 200_001, dtype=torch.float64)
    straight, gain = straightened(x, one.expand(len(x), -1))
    density = torch.exp(gain - 0.5 * straight**2) / np.sqrt(2 * np.pi)
    # steps of 1.2e-4 over jumps of the density at 25 knots
    assert float(torch.trapezoid(density, x)) == pytest.approx(1.0, abs=1e-3)
