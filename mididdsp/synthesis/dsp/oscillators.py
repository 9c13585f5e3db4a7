"""Harmonic oscillators with a phase per partial and sample.

Conventions: parity with DDSP unless a docstring says otherwise. Partials are sines, k * f0 from k = 1; the phase is an
inclusive running sum (the first sample is already one step in). Differences from the original: the running sum is kept
in float64 cycles, where the original's float32 drifts (1.5 rad after 2.5 s of 440 Hz); it follows exact arithmetic.

For long or fast rendering use ``period_tables``; this form is the plain, readable one.

Source: DDSP library 3.7.0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.resampling import Method, resample
from mididdsp.synthesis.dsp.scaling import exp_sigmoid, safe_divide


def harmonic_frequencies(f0_hz: Tensor, partials: int) -> Tensor:
    """Frequencies of partials 1..H; [..., T] to [..., T, H]."""
    number = torch.arange(1, partials + 1, device=f0_hz.device, dtype=f0_hz.dtype)
    return f0_hz.unsqueeze(-1) * number


def audible_harmonics(harmonics: Tensor, f0_hz: Tensor, sample_rate: float) -> Tensor:
    """Silence the partials at or above Nyquist; the others keep their level. Production.

    Not renormalising lets a 16 kHz and a 48 kHz render agree wherever both can sound.

    Args:
        harmonics: share of each partial, >= 0, summing to 1; shape (..., frames, H).
        f0_hz: fundamental in Hz, > 0; shape (..., frames).
        sample_rate: of the audio to come, in Hz.

    Returns:
        Shape, dtype and device of ``harmonics``; sums to at most 1.

    Raises:
        ValueError: the two do not have the same frames.

    Source: the band limit of Engel et al. 2020 (DDSP), without its renormalisation.
    """
    if harmonics.shape[:-1] != f0_hz.shape:
        raise ValueError(f"harmonics has frames {tuple(harmonics.shape[:-1])}, "
                         f"f0_hz has {tuple(f0_hz.shape)}; give one f0 per frame")
    return remove_above_nyquist(harmonic_frequencies(f0_hz, harmonics.shape[-1]), harmonics, sample_rate)


def remove_above_nyquist(frequencies_hz: Tensor, amplitudes: Tensor, sample_rate: float) -> Tensor:
    """Amplitudes with 0 where the frequency is at or above Nyquist; the shapes must be equal."""
    return amplitudes * (frequencies_hz < sample_rate / 2)


def normalize_harmonics(harmonics: Tensor, f0_hz: Tensor | None = None, sample_rate: float = 16_000.0) -> Tensor:
    """Scale each frame's distribution to sum to 1, after the band limit if f0 is given; all zeros stay so."""
    if f0_hz is not None:
        harmonics = audible_harmonics(harmonics, f0_hz, sample_rate)
    return safe_divide(harmonics, harmonics.sum(-1, keepdim=True))


def harmonic_controls(raw_amplitude: Tensor, raw_harmonics: Tensor, f0_hz: Tensor,
                      sample_rate: float) -> tuple[Tensor, Tensor]:
    """Raw network output to legal controls, as in the original.

    Args:
        raw_amplitude: [..., T].
        raw_harmonics: [..., T, H].
        f0_hz: [..., T].

    Returns:
        Amplitude [..., T] and a distribution [..., T, H] that is band-limited, then renormalised.
    """
    return exp_sigmoid(raw_amplitude), normalize_harmonics(exp_sigmoid(raw_harmonics), f0_hz, sample_rate)


def running_phase(frequencies_hz: Tensor, sample_rate: float, initial: Tensor | float = 0.0, dim: int = -2) -> Tensor:
    """Phase after each sample, in radians in [0, 2 pi), by an inclusive running sum in float64.

    Args:
        frequencies_hz: one per sample along ``dim``.
        initial: phase before the first sample, radians; a number, or a tensor that broadcasts against the result.
    """
    cycles = torch.cumsum(frequencies_hz.double() / sample_rate, dim=dim) + initial / (2.0 * torch.pi)
    return 2.0 * torch.pi * torch.remainder(cycles, 1.0)


def oscillator_bank(frequencies_hz: Tensor, amplitudes: Tensor, sample_rate: float, *,
                    sum_partials: bool = True) -> Tensor:
    """Sum of sines with a frequency and an amplitude per sample.

    Args:
        frequencies_hz: Hz, any >= 0; [..., N, K].
        amplitudes: peak; [..., N, K]. Silenced where the frequency is at or above Nyquist.
        sum_partials: False keeps the sines apart.

    Returns:
        [..., N], or [..., N, K] if kept apart, in the dtype of ``amplitudes``.
    """
    amplitudes = remove_above_nyquist(frequencies_hz, amplitudes, sample_rate)
    sines = torch.sin(running_phase(frequencies_hz, sample_rate)).to(amplitudes.dtype) * amplitudes
    return sines.sum(-1) if sum_partials else sines


def harmonic_oscillator_bank(f0_hz: Tensor, amplitudes: Tensor, initial_phase: Tensor | float,
                             sample_rate: float) -> tuple[Tensor, Tensor]:
    """Sum of partials whose phases are multiples of one fundamental phase, for sound made in pieces.

    Args:
        f0_hz: per sample; [..., N].
        amplitudes: per sample and partial; [..., N, H]. Silence partials above Nyquist first (``audible_harmonics``).
        initial_phase: of the fundamental before the first sample, radians; [..., 1] or a number.

    Returns:
        Audio [..., N] and the fundamental's phase after the last sample, radians, [..., 1]: the next piece's initial
        phase.
    """
    phase = running_phase(f0_hz, sample_rate, initial_phase, dim=-1)
    sines = torch.sin(harmonic_frequencies(phase, amplitudes.shape[-1])).to(amplitudes.dtype)
    return (sines * amplitudes).sum(-1), phase[..., -1:]


def harmonic_synthesis(
    f0_hz: Tensor,
    amplitude: Tensor,
    harmonics: Tensor | None = None,
    *,
    samples: int,
    sample_rate: float,
    shifts: Tensor | None = None,
    amplitude_method: Method = "window",
) -> Tensor:
    """Controls per frame to audio; differentiable.

    Args:
        f0_hz: [..., T].
        amplitude: of all partials together; [..., T].
        harmonics: distribution; [..., T, H]. A single sine if not given.
        samples: how many to make.
        sample_rate: Hz.
        shifts: relative shift of each partial's frequency, 0 for none; [..., T, H].
        amplitude_method: how amplitudes go from frames to samples; frequencies go linearly.

    Returns:
        [..., samples], in the dtype of ``amplitude``.
    """
    partials = amplitude.unsqueeze(-1) if harmonics is None else amplitude.unsqueeze(-1) * harmonics
    # float64 before the interpolation: a frequency rounded to float32 is a phase that drifts.
    frequencies = harmonic_frequencies(f0_hz.double(), partials.shape[-1])
    if shifts is not None:
        frequencies = frequencies * (1.0 + shifts)
    return oscillator_bank(resample(frequencies, samples, "linear"), resample(partials, samples, amplitude_method),
                           sample_rate)


def harmonic_synthesis_streaming(f0_hz: Tensor, amplitude: Tensor, harmonics: Tensor, initial_phase: Tensor | float, *,
                                 samples: int, sample_rate: float) -> tuple[Tensor, Tensor]:
    """``harmonic_synthesis`` for sound made in pieces: linear amplitudes, phases as multiples of the fundamental's.

    The distribution is band-limited and renormalised per frame first, as in the original.

    Shapes as there; ``initial_phase`` and the second result as in ``harmonic_oscillator_bank``.
    """
    f0 = resample(f0_hz.double().unsqueeze(-1), samples, "linear").squeeze(-1)
    harmonics = normalize_harmonics(harmonics, f0_hz, sample_rate)
    partials = resample(amplitude.unsqueeze(-1) * harmonics, samples, "linear")
    return harmonic_oscillator_bank(f0, partials, initial_phase, sample_rate)
