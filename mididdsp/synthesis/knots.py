"""Partials in a compact form: a few knots over the partial number, the same for a flute and a contrabassoon.

The first twelve partials have a knot each; above, knots stand in a geometric series, as the ear groups what it cannot
resolve. Between knots the level is a straight line in dB over the logarithm of the partial number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SINGLE_KNOTS = 12
KNOT_RATIO = 1.125
LAST_PARTIAL = 400

Array = NDArray[np.floating[Any]]


def _numbers() -> Array:
    numbers = list(range(1, SINGLE_KNOTS + 1))
    value = float(SINGLE_KNOTS)
    while value < LAST_PARTIAL:
        value *= KNOT_RATIO
        numbers.append(int(round(value)))
    return np.array(sorted(set(numbers)), dtype=np.float64)


KNOTS: Array = _numbers()
"""Partial number of each knot; [K]."""


@lru_cache(maxsize=256)
def knot_weights(partials: int) -> Array:
    """Matrix [partials, K] that reads each partial off the knots, linear in log partial number; rows sum to 1. It is
    made once and cannot be written to."""
    number = np.log(np.minimum(np.arange(1, partials + 1), KNOTS[-1]))
    at = np.log(KNOTS)
    upper = np.clip(np.searchsorted(at, number, side="left"), 1, len(at) - 1)
    part = np.clip((number - at[upper - 1]) / (at[upper] - at[upper - 1]), 0.0, 1.0)
    weights = np.zeros((partials, len(KNOTS)))
    rows = np.arange(partials)
    weights[rows, upper - 1] = 1.0 - part
    weights[rows, upper] += part
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=1)
def partials_of_knots() -> Array:
    """How many partials the mean at each knot is of: those of one weight whose mean would scatter as much; [K]."""
    weights = knot_weights(LAST_PARTIAL)
    return np.asarray(weights.sum(0) ** 2 / (weights**2).sum(0))


def partials_to_knots(power: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Mean power of the partials around each knot, in dB.

    Args:
        power: mean square of each partial, NaN where unknown; [T, H].

    Returns:
        (dB [T, K], known [T, K]): a knot is known when most of the weight around it is.
    """
    weights = knot_weights(power.shape[1])
    finite = np.isfinite(power)
    weight = finite @ weights
    value = np.where(finite, power, 0.0) @ weights
    full = weights.sum(0)
    known = (weight > 0.6 * full) & (full > 0.4)
    return 10.0 * np.log10(np.maximum(value / np.maximum(weight, 1e-9), 1e-14)), known
