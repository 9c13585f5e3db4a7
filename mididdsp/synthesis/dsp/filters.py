"""Filters sampled in frequency, and windowed-sinc filters; parity with DDSP.

Conventions: magnitudes are linear at M equally spaced frequencies from 0 to Nyquist; responses are linear-phase and
causal. Windows follow TensorFlow: a "periodic" window of odd size is symmetric.

Source: DDSP library 3.7.0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.convolution import Padding, fft_convolve


def hann_window(size: int, like: Tensor) -> Tensor:
    """Hann window, periodic for even sizes and symmetric for odd ones, with dtype and device of ``like``."""
    window: Tensor = torch.hann_window(size, periodic=size % 2 == 0, dtype=like.dtype, device=like.device)
    return window


def window_impulse_response(impulse_response: Tensor, window_size: int = 0, causal: bool = False) -> Tensor:
    """Window an impulse response and return it in causal form.

    Args:
        impulse_response: [..., taps], zero-phase (its middle at index 0) unless ``causal`` (its middle in the middle).
        window_size: of the Hann window; not above 0, or above taps, means taps.
        causal: the form of the input.

    Returns:
        [..., taps], or with a window shorter than that [..., window_size], less 1 where it is even.
    """
    if causal:
        impulse_response = torch.fft.fftshift(impulse_response, dim=-1)
    taps = impulse_response.shape[-1]
    if not 0 < window_size < taps:
        window = torch.fft.fftshift(hann_window(taps, impulse_response))
        causal_form: Tensor = torch.fft.fftshift(impulse_response * window, dim=-1)
        return causal_form
    window = hann_window(window_size, impulse_response)
    half = (window_size + 1) // 2
    padding = window.new_zeros(taps - window_size)
    windowed = impulse_response * torch.cat([window[half:], padding, window[:half]])
    return torch.cat([windowed[..., taps - half + 2 :], windowed[..., : half + 1]], dim=-1)


def frequency_impulse_response(magnitudes: Tensor, window_size: int = 0) -> Tensor:
    """Linear-phase filter with the given magnitudes; [..., M] to [..., 2 (M - 1)] taps or fewer, see above."""
    zero_phase = torch.fft.irfft(torch.complex(magnitudes, torch.zeros_like(magnitudes)))
    return window_impulse_response(zero_phase, window_size)


def frequency_filter(audio: Tensor, magnitudes: Tensor, window_size: int = 0, padding: Padding = "same") -> Tensor:
    """Filter audio by magnitudes, constant or per frame; differentiable.

    Args:
        audio: [..., N].
        magnitudes: [..., M], or [..., frames, M] with one more axis than the audio.

    Returns:
        [..., N], or longer by the filter with padding "valid".
    """
    return fft_convolve(audio, frequency_impulse_response(magnitudes, window_size), padding)


def sinc(x: Tensor) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    return torch.sinc(x)


def sinc_impulse_response(cutoff: Tensor, window_size: int = 512, sample_rate: float | None = None,
                          high_pass: bool = False) -> Tensor:
    """Windowed-sinc low or high pass.

    Args:
        cutoff: 0 to 1 of Nyquist, or Hz if ``sample_rate`` is given; [..., 1].
        window_size: the response has 2 * (window_size // 2) + 1 taps under a symmetric Hamming window.

    Returns:
        [..., taps]; the low pass sums to 1 in absolute value of its sum.
    """
    if sample_rate is not None:
        cutoff = cutoff * 2.0 / sample_rate
    half = window_size // 2
    taps = 2 * half + 1
    place = torch.arange(-half, half + 1, dtype=cutoff.dtype, device=cutoff.device)
    window = torch.hamming_window(taps, periodic=False, dtype=cutoff.dtype, device=cutoff.device)
    response = window * sinc(cutoff * place)
    response = response / response.sum(-1, keepdim=True).abs()
    if high_pass:
        response = (place == 0).to(response.dtype) - response
    return response


def sinc_filter(audio: Tensor, cutoff: Tensor, window_size: int = 512, sample_rate: float | None = None,
                padding: Padding = "same", high_pass: bool = False) -> Tensor:
    """Filter audio [..., N] with a cutoff [..., 1] or one per frame [..., frames, 1]; arguments as above."""
    return fft_convolve(audio, sinc_impulse_response(cutoff, window_size, sample_rate, high_pass), padding)
