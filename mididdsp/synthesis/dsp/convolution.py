"""Convolution by FFT, with one impulse response or one per frame; parity with DDSP.

Conventions: the original's framing and delay compensation. Differences: the output is never shorter than its padding
says (the original's can come out empty), and the FFT need not be a power of two.

Source: DDSP library 3.7.0.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Padding = Literal["same", "valid"]


def fft_size(frame: int, taps: int) -> int:
    """Least power of two that holds the convolution of a frame with an impulse response."""
    return 1 << (frame + taps - 2).bit_length()


def fft_convolve(audio: Tensor, impulse_response: Tensor, padding: Padding = "same",
                 delay_compensation: int = -1) -> Tensor:
    """Filter audio; with several impulse responses each filters its own stretch, and the results overlap and add.

    Args:
        audio: [..., N].
        impulse_response: [..., taps], or [..., frames, taps] with one more axis than the audio; leading axes broadcast.
        padding: "same" gives N samples, "valid" N + taps - 1.
        delay_compensation: samples to cut in front; negative: (taps - 1) // 2 - 1, which centres a linear-phase filter.

    Returns:
        [..., N] or [..., N + taps - 1].

    Raises:
        ValueError: the frames do not divide the audio as ceil(N / ceil(N / frames)) == frames.
    """
    samples, taps = audio.shape[-1], impulse_response.shape[-1]
    if impulse_response.ndim <= audio.ndim:
        impulse_response = impulse_response.unsqueeze(-2)
    frames = impulse_response.shape[-2]
    frame = -(-samples // frames)
    if -(-samples // frame) != frames:
        raise ValueError(f"{samples} samples cut into {frames} frames of {frame} would leave some empty; "
                         "give a number of impulse responses that fits")
    size = fft_size(frame, taps)
    padded = torch.nn.functional.pad(audio, (0, frame * frames - samples))
    pieces = padded.reshape(*audio.shape[:-1], frames, frame)
    spectrum = torch.fft.rfft(pieces, size) * torch.fft.rfft(impulse_response, size)
    wet = torch.fft.irfft(spectrum, size)[..., : frame + taps - 1]
    full = _overlap_add(wet, frame)
    wanted = samples if padding == "same" else samples + taps - 1
    start = (taps - 1) // 2 - 1 if delay_compensation < 0 else delay_compensation
    full = full[..., max(start, 0) :]
    before = max(-start, 0)  # a one- or two-tap response is centred before its first value
    return torch.nn.functional.pad(full, (before, max(0, wanted - before - full.shape[-1])))[..., :wanted]


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Sum frames [..., F, W] placed ``hop`` apart; [..., (F - 1) * hop + W]."""
    count, width = frames.shape[-2:]
    turns = -(-width // hop)
    padded = torch.nn.functional.pad(frames, (0, turns * hop - width))
    padded = padded.reshape(*frames.shape[:-1], turns, hop)
    total = frames.new_zeros(*frames.shape[:-2], count + turns - 1, hop)
    for turn in range(turns):
        total = total + torch.nn.functional.pad(padded[..., turn, :], (0, 0, turn, turns - 1 - turn))
    return total.flatten(-2)[..., : (count - 1) * hop + width]
