"""Spreads that are not Gaussian: a deviation drawn from a Gaussian is bent to where players' lies at the same quantile.

A joint Gaussian stays under it, so that conditioning remains exact (a Gaussian copula). A bend says at every knot, in
standard deviations, how far the deviation lies from the Gaussian's; it is straight between knots and the same beyond
the outermost. All 0 changes nothing.

Source: Nelsen 2006, An Introduction to Copulas, section 2.9 on transformed margins.
"""

from __future__ import annotations

import torch
from torch import Tensor

KNOTS = tuple(0.25 * step for step in range(-12, 13))
"""Deviations of a standard Gaussian at which bends are told."""

_STEP = KNOTS[1] - KNOTS[0]


def bent(deviations: Tensor, bends: Tensor) -> Tensor:
    """Deviations as players have them, of a standard Gaussian's.

    Args:
        deviations: [...].
        bends: of each, such that knots keep their order; [..., KNOTS].
    """
    place = ((deviations - KNOTS[0]) / _STEP).clamp(0.0, len(KNOTS) - 1.0)
    below = place.floor().clamp(max=len(KNOTS) - 2.0)
    low, high = (bends.gather(-1, (below.long() + side).unsqueeze(-1))[..., 0] for side in (0, 1))
    return deviations + low + (place - below) * (high - low)


def straightened(deviations: Tensor, bends: Tensor) -> tuple[Tensor, Tensor]:
    """A standard Gaussian's deviations of those that players have, and the logarithm of how they grow with them.

    The inverse of :func:`bent`; the second is what a log density gains.

    Args:
        deviations: [...].
        bends: of each; [..., KNOTS].
    """
    knots = torch.tensor(KNOTS, dtype=bends.dtype, device=bends.device)
    there = knots + bends
    above = (deviations.unsqueeze(-1) >= there[..., 1:-1]).sum(-1, keepdim=True)
    first, second = (there.gather(-1, above + side)[..., 0] for side in (0, 1))
    inside = torch.minimum(torch.maximum(deviations, there[..., 0]), there[..., -1])
    straight = knots[above[..., 0]] + _STEP * (inside - first) / (second - first) + (deviations - inside)
    return straight, torch.where(deviations == inside, torch.log(_STEP / (second - first)), 0.0)
