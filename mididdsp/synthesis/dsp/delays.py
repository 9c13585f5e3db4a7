"""Delays that change while they sound; parity with DDSP.

Conventions: the original's, its wrap included: a phase of 1 is no delay at all, and the last sample before it
interpolates towards that.

Source: DDSP library 3.7.0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.scaling import exp_sigmoid


def variable_delay(audio: Tensor, phase: Tensor, longest: int = 512) -> Tensor:
    """Each sample read a fraction of ``longest`` samples back, linearly between samples; differentiable in both.

    Args:
        audio: [..., N]; before it is silence.
        phase: delay over ``longest``, 0 to 1; [..., N].
        longest: samples.

    Returns:
        [..., N].
    """
    audio, phase = audio + torch.zeros_like(phase), phase + torch.zeros_like(audio)
    samples = audio.shape[-1]
    padded = torch.nn.functional.pad(audio, (longest - 1, 0))
    position = phase * longest
    below = position.detach().floor()
    part = position - below
    whole = below.long()
    now = torch.arange(samples, device=audio.device) + longest - 1
    early = padded.gather(-1, now - whole % longest)
    late = padded.gather(-1, now - (whole + 1) % longest)
    return (1.0 - part) * early + part * late


def modulation_controls(raw_gain: Tensor, raw_phase: Tensor) -> tuple[Tensor, Tensor]:
    """Raw network output to the gain and the phase of ``modulated_delay``."""
    return exp_sigmoid(raw_gain), torch.sigmoid(raw_phase)


def modulated_delay(
    audio: Tensor,
    gain: Tensor,
    phase: Tensor,
    *,
    sample_rate: float = 16_000.0,
    centre_ms: float = 15.0,
    depth_ms: float = 10.0,
    add_dry: bool = True,
) -> Tensor:
    """A delay from ``centre_ms`` to ``centre_ms + depth_ms``: chorus, flanger, vibrato.

    Args:
        audio: [..., N].
        gain: of the delayed sound; [..., N].
        phase: where in its range the delay is, 0 to 1; [..., N].
        sample_rate: Hz.
        centre_ms: shortest delay.
        depth_ms: range of the delay.
        add_dry: add the sound itself.

    Returns:
        [..., N].
    """
    longest = sample_rate / 1000.0 * (centre_ms + depth_ms)
    wet = gain * variable_delay(
        audio, phase * (depth_ms / (centre_ms + depth_ms)) + centre_ms / (centre_ms + depth_ms), int(longest)
    )
    return wet + audio if add_dry else wet
