"""Quantiles of values that count by weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> Array:
    """Values below which these shares of the weights lie, straight between the middles of the weights; [shares].

    Args:
        values: in any order; [N], N >= 1.
        weights: of each, from 0; [N].
        shares: 0 to 1.
    """
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.asarray(np.interp(np.array(shares) * weights.sum(), below, values[order]))
