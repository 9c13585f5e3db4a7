"""From frames to samples (or other frames): nearest, linear, cubic, overlapping windows; parity with DDSP.

Conventions: the original's grid. With ``endpoint`` output i is at input position i * T / n and the last frame is held;
without, the first and last outputs fall on the first and last frames. There is no half-pixel shift.

Source: DDSP library 3.7.0, which calls the image resize of TensorFlow 1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

CUBIC_SLOPE = -0.75
"""Keys's parameter as TensorFlow sets it; -0.5 would be the usual Catmull-Rom."""

Method = Literal["nearest", "linear", "cubic", "window"]


def resample(x: Tensor, n: int, method: Method = "linear", endpoint: bool = True, dim: int = -2) -> Tensor:
    """Resample along one axis; differentiable.

    Args:
        x: any shape; frames along ``dim``.
        n: how many values to make, at least 1.
        method: "nearest", "linear", "cubic", or "window" (overlapping Hann windows, smooth and never overshooting).
        endpoint: hold the last frame to the end, rather than end on it.
        dim: the axis; -2 suits [..., frames, channels].

    Returns:
        ``x`` with n values along ``dim``.

    Raises:
        ValueError: an unknown method; for "window", n not a multiple of the intervals or not above them.
    """
    frames = x.shape[dim]
    if n < 1 or frames < 1:
        raise ValueError(f"resample from {frames} frames to {n} was asked; both must be at least 1")
    if method == "window":
        return _window(x, n, endpoint, dim)
    index = torch.arange(n, device=x.device)
    if endpoint:
        over, under = frames, n
    else:
        over, under = frames - 1, max(n - 1, 1)
    if method == "nearest":
        doubled = 2 * index * over
        nearest = doubled // (2 * under) if endpoint else (doubled + under) // (2 * under)
        return x.index_select(dim, nearest.clamp(max=frames - 1))
    first = index * over // under
    fraction = ((index * over - first * under).double() / under).to(x.dtype)
    if method == "linear":
        taps = torch.stack([1.0 - fraction, fraction])
        places = torch.stack([first, first + 1])
    elif method == "cubic":
        taps = _cubic_taps(fraction)
        places = torch.stack([first + shift for shift in (-1, 0, 1, 2)])
    else:
        raise ValueError(f'method is "{method}"; use "nearest", "linear", "cubic" or "window"')
    shape = [1] * x.ndim
    shape[dim] = n
    parts = [weight.view(shape) * x.index_select(dim, place.clamp(0, frames - 1))
             for weight, place in zip(taps, places)]
    return torch.stack(parts).sum(0)


def _cubic_taps(u: Tensor) -> Tensor:
    """Keys's four weights at fraction u between the second and the third value."""
    a = CUBIC_SLOPE

    def near(t: Tensor) -> Tensor:
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0

    def far(t: Tensor) -> Tensor:
        return ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a

    return torch.stack([far(1.0 + u), near(u), near(1.0 - u), far(2.0 - u)])


def _window(x: Tensor, n: int, endpoint: bool, dim: int) -> Tensor:
    """Overlap-add of Hann windows two hops long: a raised-cosine cross-fade that meets each frame at its time."""
    intervals = x.shape[dim] if endpoint else x.shape[dim] - 1
    if intervals < 1 or n % intervals or n <= intervals:
        raise ValueError(f"window resampling goes from {intervals} intervals to a larger multiple of them, not to {n}; "
                         'choose n so, or use "linear"')
    hop = n // intervals
    last = x.shape[dim] - 1
    index = torch.arange(n, device=x.device)
    frame = index // hop
    phase = (index % hop).to(x.dtype) / hop
    shape = [1] * x.ndim
    shape[dim] = n
    rise = (0.5 - 0.5 * torch.cos(torch.pi * phase)).view(shape)
    before, after = x.index_select(dim, frame), x.index_select(dim, (frame + 1).clamp(max=last))
    return before * (1.0 - rise) + after * rise
