"""Reverb by impulse response, parity with DDSP and MIDI-DDSP; and a chorus.

Conventions: the impulse response is for the wet sound alone, so its first value is forced to 0 and the dry sound is
added; the output is as long as the dry sound (parity). For a full ring-out pad the dry sound with silence first.

Source: DDSP library 3.7.0; MIDI-DDSP 0.2.6 for the decay at inference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.convolution import fft_convolve
from mididdsp.synthesis.dsp.delays import modulated_delay
from mididdsp.synthesis.dsp.scaling import exp_sigmoid

INFERENCE_DECAY_START = 16_000
"""Samples of a MIDI-DDSP impulse response that inference leaves as they are: 1 s at 16 kHz."""

INFERENCE_DECAY_EXPONENT = 4.0
"""Inference ends its responses at exp(-4), 35 dB down."""


def reverb(audio: Tensor, impulse_response: Tensor, add_dry: bool = True) -> Tensor:
    """The sound in a room; differentiable in both.

    Args:
        audio: dry; [..., N].
        impulse_response: [..., taps], of any length; its first value is taken as 0. Leading axes broadcast.
        add_dry: add the dry sound.

    Returns:
        [..., N].
    """
    silent = torch.zeros_like(impulse_response[..., :1])
    wet = fft_convolve(audio, torch.cat([silent, impulse_response[..., 1:]], dim=-1), "same", delay_compensation=0)
    return wet + audio if add_dry else wet


def decayed_impulse_response(impulse_response: Tensor, start: int = INFERENCE_DECAY_START,
                             exponent: float = INFERENCE_DECAY_EXPONENT) -> Tensor:
    """Fade a trained response [..., taps] from sample ``start`` on by exp(-exponent s), s going 0..1 to the last."""
    taps = impulse_response.shape[-1]
    if taps <= start:
        return impulse_response
    fade = torch.exp(-exponent * torch.linspace(0.0, 1.0, taps - start, dtype=impulse_response.dtype,
                                                device=impulse_response.device))
    return torch.cat([impulse_response[..., :start], impulse_response[..., start:] * fade], dim=-1)


def exponential_impulse_response(raw_gain: Tensor, raw_decay: Tensor, noise: Tensor) -> Tensor:
    """White noise that dies away, from two numbers a network gives.

    Args:
        raw_gain, raw_decay: [..., 1].
        noise: uniform in -1..1; [..., taps].

    Returns:
        exp_sigmoid(raw_gain) * exp(-(2 + exp(raw_decay)) t) * noise, t from 0 to 1 over the taps.
    """
    time = torch.linspace(0.0, 1.0, noise.shape[-1], dtype=noise.dtype, device=noise.device)
    return exp_sigmoid(raw_gain) * torch.exp(-(2.0 + torch.exp(raw_decay)) * time) * noise


def chorus(audio: Tensor, sample_rate: float, *, voices: int = 3, rate_hz: float = 0.8, centre_ms: float = 12.0,
           depth_ms: float = 5.0, wet_db: float = -4.0) -> Tensor:
    """The sound of several players: delayed copies whose delays swing, each at its own place of the swing.

    Args:
        audio: [..., N].
        sample_rate: Hz.
        voices: delayed copies, at least 1.
        rate_hz: of the swing.
        centre_ms: shortest delay.
        depth_ms: range of the delays.
        wet_db: of all copies together, re the sound itself, where they do not cohere.

    Returns:
        [..., N]; the sound itself is in it.

    Raises:
        ValueError: no voices.
    """
    if voices < 1:
        raise ValueError(f"a chorus of {voices} voices has no sound; give at least 1")
    time = torch.arange(audio.shape[-1], dtype=audio.dtype, device=audio.device) / sample_rate
    gain = torch.full_like(time, 10.0 ** (wet_db / 20.0) / voices**0.5)
    # the last sample of a delay's range interpolates towards no delay at all (see ``dsp.delays``): stay below it
    reach = 1.0 - 1_000.0 * 1.01 / (depth_ms * sample_rate)
    total = audio
    for voice in range(voices):
        swing = reach * (0.5 - 0.5 * torch.cos(2.0 * torch.pi * (rate_hz * time + voice / voices)))
        total = total + modulated_delay(audio, gain, swing, sample_rate=sample_rate, centre_ms=centre_ms,
                                        depth_ms=depth_ms, add_dry=False)
    return total
