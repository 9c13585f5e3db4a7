"""Between harmonic parameters (one fundamental, a distribution) and free sinusoids; parity with DDSP.

Conventions: amplitudes are linear peaks. To make sinusoids sound use ``oscillators.oscillator_bank``.

Source: DDSP library 3.7.0; Engel et al. 2020, "Self-supervised pitch detection by inverse audio synthesis".
"""

from __future__ import annotations

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.oscillators import harmonic_frequencies, normalize_harmonics, remove_above_nyquist
from mididdsp.synthesis.dsp.scaling import safe_divide


def harmonic_to_sinusoidal(
    amplitude: Tensor, harmonics: Tensor, f0_hz: Tensor, sample_rate: float = 16_000.0
) -> tuple[Tensor, Tensor]:
    """The partials of a harmonic sound as sinusoids.

    Args:
        amplitude: of all partials together; [..., T].
        harmonics: distribution, band-limited and normalised here; [..., T, H].
        f0_hz: [..., T].
        sample_rate: Hz.

    Returns:
        (amplitudes [..., T, H], frequencies in Hz [..., T, H]).
    """
    shares = normalize_harmonics(harmonics, f0_hz, sample_rate)
    return amplitude.unsqueeze(-1) * shares, harmonic_frequencies(f0_hz, harmonics.shape[-1])


def sinusoidal_to_harmonic(
    amplitudes: Tensor,
    frequencies_hz: Tensor,
    f0_hz: Tensor,
    *,
    width: float = 0.1,
    partials: int = 100,
    sample_rate: float = 16_000.0,
    normalize: bool = False,
) -> tuple[Tensor, Tensor]:
    """Free sinusoids gathered into the partials they lie near, by a Gaussian of their distance.

    Args:
        amplitudes: [..., T, K].
        frequencies_hz: [..., T, K].
        f0_hz: fundamental of the partials, > 0; [..., T].
        width: distance at which a sinusoid counts exp(-1), as a share of f0.
        partials: H.
        sample_rate: Hz; partials at or above Nyquist are silent.
        normalize: a partial that several sinusoids lie near gets their weighted mean, not their sum.

    Returns:
        (amplitude of all partials together [..., T], distribution [..., T, H]).
    """
    places = harmonic_frequencies(f0_hz, partials)
    distance = (frequencies_hz.unsqueeze(-1) - places.unsqueeze(-2)) / f0_hz[..., None, None]
    weights = torch.exp(-((distance / width) ** 2))
    if normalize:
        total = weights.sum(-2, keepdim=True)
        weights = torch.where(total > 1.0, safe_divide(weights, total), weights)
    gathered = remove_above_nyquist(places, (weights * amplitudes.unsqueeze(-1)).sum(-2), sample_rate)
    amplitude = gathered.sum(-1)
    return amplitude, safe_divide(gathered, amplitude.unsqueeze(-1))
