"""The multi-scale spectral loss, with all its terms; parity with DDSP.

Conventions: the terms of each FFT size are means over all frames and bins, and the sizes are summed, not averaged.

| term | compares |
|---|---|
| mag | magnitudes |
| logmag | logarithms of magnitudes (``safe_log``) |
| delta_time | differences of magnitudes from frame to frame |
| delta_freq | differences of magnitudes from bin to bin |
| cumsum_freq | sums of magnitudes up to each bin |
| loudness | A-weighted loudness, FFT 2048, once |

Source: Wang et al. 2019 and Engel et al. 2020; DDSP library 3.7.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.scaling import safe_log
from mididdsp.synthesis.features import loudness, magnitudes

FFT_SIZES = (2048, 1024, 512, 256, 128, 64)

Distance = Literal["L1", "L2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralWeights:
    """Weight of each term; a term with weight 0 is not computed."""

    mag: float = 1.0
    logmag: float = 0.0
    delta_time: float = 0.0
    delta_freq: float = 0.0
    cumsum_freq: float = 0.0
    loudness: float = 0.0


MIDI_DDSP_WEIGHTS = SpectralWeights(mag=1.0, logmag=1.0)


def mean_difference(target: Tensor, value: Tensor, distance: Distance = "L1", weights: Tensor | None = None) -> Tensor:
    """Mean of the absolute (L1) or squared (L2) difference, each weighted if ``weights`` are given; a scalar."""
    difference = target - value
    if distance == "L1":
        each = difference.abs()
    elif distance == "L2":
        each = difference**2
    else:
        raise ValueError(f'distance is "{distance}"; use "L1" or "L2"')
    return (each if weights is None else each * weights).mean()


def spectral_loss(
    target: Tensor,
    audio: Tensor,
    weights: SpectralWeights | None = None,
    *,
    distance: Distance = "L1",
    fft_sizes: Sequence[int] = FFT_SIZES,
    sample_rate: float = 16_000.0,
) -> Tensor:
    """How far two sounds are apart, over FFTs of several sizes with 75 % overlap; a scalar with gradients.

    Args:
        target: [..., N].
        audio: the same shape.
        weights: of the terms; magnitudes alone if not given.
        distance: "L1" or "L2".
        fft_sizes: in samples.
        sample_rate: Hz; for the loudness term only.

    Raises:
        ValueError: shapes that differ, or an unknown distance.
    """
    if target.shape != audio.shape:
        raise ValueError(f"target has shape {tuple(target.shape)} and audio {tuple(audio.shape)}; "
                         "cut both to the same samples")
    weights = weights or SpectralWeights()
    terms = [audio.new_zeros(())]

    def add(weight: float, wanted: Tensor, found: Tensor) -> None:
        terms.append(weight * mean_difference(wanted, found, distance))

    for size in fft_sizes:
        wanted, found = magnitudes(target, size), magnitudes(audio, size)
        if weights.mag > 0:
            add(weights.mag, wanted, found)
        if weights.delta_time > 0:
            add(weights.delta_time, wanted.diff(dim=-2), found.diff(dim=-2))
        if weights.delta_freq > 0:
            add(weights.delta_freq, wanted.diff(dim=-1), found.diff(dim=-1))
        if weights.cumsum_freq > 0:
            add(weights.cumsum_freq, wanted.cumsum(dim=-1), found.cumsum(dim=-1))
        if weights.logmag > 0:
            add(weights.logmag, safe_log(wanted), safe_log(found))
    if weights.loudness > 0:
        add(weights.loudness, loudness(target, sample_rate, n_fft=2048), loudness(audio, sample_rate, n_fft=2048))
    return torch.stack(terms).sum()
