"""Weighted quantiles of known answers."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.training.quantiles import weighted_quantiles


def test_equal_weights_give_the_median_and_what_weighs_nothing_does_not_count() -> None:
    values = np.array([5.0, 1.0, 3.0])
    assert weighted_quantiles(values, np.ones(3), (0.5,)) == pytest.approx([3.0])
    assert weighted_quantiles(np.append(values, 99.0), np.array([2.0, 2.0, 2.0, 0.0]), (0.5,)) == pytest.approx([3.0])


def test_shares_lie_straight_between_the_middles_of_the_weights() -> None:
    # the middles lie at 1/8 and 5/8 of the weights
    found = weighted_quantiles(np.array([10.0, 0.0]), np.array([3.0, 1.0]), (0.0, 0.125, 0.375, 0.625, 1.0))
    assert found == pytest.approx([0.0, 0.0, 5.0, 10.0, 10.0])
