"""From raw network output to legal parameters, and the guarded logarithms; parity with DDSP.

Conventions: the original's, constant for constant. All functions are pointwise, take any shape, and keep dtype and
device.

Source: Engel et al. 2020, "DDSP: Differentiable digital signal processing", library 3.7.0.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from mididdsp.synthesis.dsp.conversions import bark_to_hz, hz_to_bark, hz_to_erb, hz_to_mel, mel_to_hz, unit_to_hz

SAFE_LOG_FLOOR = 1e-5
"""What ``safe_log`` takes the logarithm of where its input is not above 0."""

SAFE_DENOMINATOR = 1e-7
"""What ``safe_divide`` divides by where its denominator is exactly 0."""


def exp_sigmoid(x: Tensor, exponent: float = 10.0, max_value: float = 2.0, threshold: float = 1e-7) -> Tensor:
    """A sigmoid raised to ln(exponent), so that equal steps of ``x`` are nearly equal steps in dB.

    Returns:
        max_value * sigmoid(x) ** ln(exponent) + threshold, in (threshold, max_value + threshold).
    """
    return max_value * torch.sigmoid(x) ** math.log(exponent) + threshold


def sym_exp_sigmoid(x: Tensor, width: float = 8.0) -> Tensor:
    """``exp_sigmoid`` of the distance from 0: small at 0, large on both sides."""
    return exp_sigmoid(width * (x.abs() / 2.0 - 1.0))


def soft_limit(x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Clip to [low, high] with rounded corners."""
    return softplus(x) + low - softplus(x - (high - low))


def log_scale(x: Tensor, low: float, high: float) -> Tensor:
    """Map -1..1 to low..high, both > 0, on a logarithmic scale."""
    unit = (x + 1.0) / 2.0
    return torch.exp((1.0 - unit) * math.log(low) + unit * math.log(high))


def safe_log(x: Tensor, floor: float = SAFE_LOG_FLOOR) -> Tensor:
    """Natural logarithm, with ``floor`` in place of values not above 0.

    Only those are replaced: a value between 0 and ``floor`` gives less than 0 does. The original's losses were made
    with this; for a monotonic logarithm clamp the input instead.
    """
    return torch.log(torch.where(x <= 0.0, torch.full_like(x, floor), x))


def safe_divide(numerator: Tensor, denominator: Tensor, guard: float = SAFE_DENOMINATOR) -> Tensor:
    """Quotient, with ``guard`` in place of a denominator of exactly 0."""
    return numerator / torch.where(denominator == 0.0, torch.full_like(denominator, guard), denominator)


def frequencies_softmax(raw: Tensor, depth: int, hz_min: float = 20.0, hz_max: float = 8_000.0) -> Tensor:
    """Frequencies in Hz as a weighted mean of ``depth`` places, equally spaced in pitch.

    Args:
        raw: [..., N * depth]; the depth varies fastest.
        depth: places per frequency, at least 2.

    Returns:
        [..., N] in Hz.
    """
    weights = torch.softmax(_split_depth(raw, depth), dim=-1)
    place = torch.linspace(0.0, 1.0, depth, dtype=raw.dtype, device=raw.device)
    return unit_to_hz((weights * place).sum(-1), hz_min, hz_max)


def frequencies_sigmoid(raw: Tensor, depth: int = 1, hz_min: float = 0.0, hz_max: float = 8_000.0) -> Tensor:
    """Frequencies in Hz as a sum of ``depth`` sigmoids, each spanning a constant factor less than the one before.

    Args:
        raw: [..., N * depth]; the depth varies fastest.

    Returns:
        [..., N] in Hz.
    """
    unit = torch.sigmoid(_split_depth(raw, depth))
    remainder = hz_max - hz_min
    factor = remainder ** (1.0 / depth)
    parts = []
    for component in range(depth - 1):
        span = remainder * (1.0 - 1.0 / factor)
        parts.append(unit_to_hz(unit[..., component], 0.0, span))
        remainder -= span
    parts.append(unit_to_hz(unit[..., depth - 1], hz_min, remainder))
    return torch.stack(parts, dim=-1).sum(-1)


def frequencies_critical_bands(raw: Tensor, depth: int = 1, *, depth_scale: float = 10.0, bandwidth_scale: float = 1.0,
                               hz_min: float = 20.0, hz_max: float = 8_000.0,
                               scale: Literal["bark", "mel"] = "bark") -> Tensor:
    """Frequencies in Hz that each stay within a critical band of a place of their own, equally spaced on the scale.

    As in the original the soft limit raises what is well inside it by ``hz_min``.

    Args:
        raw: [..., N * depth]; the depth varies fastest, and each step of it counts 1 / ``depth_scale`` of the last.
        bandwidth_scale: how far a frequency may move, over the band's equivalent rectangular width.
        scale: on which the places are equally spaced.

    Returns:
        [..., N] in Hz.

    Raises:
        ValueError: an unknown scale.
    """
    if scale not in ("bark", "mel"):
        raise ValueError(f'scale is "{scale}"; use "bark" or "mel"')
    parts = _split_depth(raw, depth)
    onto, back = (hz_to_bark, bark_to_hz) if scale == "bark" else (hz_to_mel, mel_to_hz)
    ends = onto(torch.tensor([hz_min, hz_max], dtype=raw.dtype, device=raw.device))
    step = torch.linspace(0.0, 1.0, parts.shape[-2], dtype=raw.dtype, device=raw.device)
    places = back(ends[0] + (ends[1] - ends[0]) * step)
    weight = depth_scale ** -torch.arange(depth, dtype=raw.dtype, device=raw.device)
    moved = places + bandwidth_scale * hz_to_erb(places) * (weight * torch.tanh(parts)).sum(-1)
    return soft_limit(moved, hz_min, hz_max)


def _split_depth(raw: Tensor, depth: int) -> Tensor:
    return raw.reshape(*raw.shape[:-1], -1, depth)
