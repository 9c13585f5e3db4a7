"""One period of sound in a table, read by phase; parity with DDSP.

Conventions: phase is in cycles; a table's value after its last is its first. Reading is linear between values, so a
table should hold several times more values than partials; ``period_tables`` is the exact form that renders. Difference
from the original: the running phase is kept in float64 and does not drift.

Source: DDSP library 3.7.0; Shan et al. 2022, "Differentiable wavetable synthesis".
"""

from __future__ import annotations

import torch
from torch import Tensor

from mididdsp.synthesis.dsp.oscillators import running_phase
from mididdsp.synthesis.dsp.resampling import resample


def linear_lookup(phase: Tensor, tables: Tensor) -> Tensor:
    """Read tables at phases; differentiable in both.

    Args:
        phase: cycles, 0 to 1; [..., N].
        tables: one for all samples [..., W], or one a sample [..., N, W].

    Returns:
        [..., N].
    """
    size = tables.shape[-1]
    if tables.ndim <= phase.ndim:
        tables = tables.unsqueeze(-2)
    position = (phase * size).unsqueeze(-1)
    below = position.detach().floor()
    part = position - below
    index = below.long() % size
    spread = tables + torch.zeros_like(part)  # one table for each sample
    index = index + torch.zeros_like(spread[..., :1], dtype=torch.long)
    read = (1.0 - part) * spread.gather(-1, index) + part * spread.gather(-1, (index + 1) % size)
    return read.squeeze(-1)


def harmonics_to_wavetable(harmonics: Tensor, size: int = 2048) -> Tensor:
    """One period of partials [..., H] of those peak amplitudes, all in cosine phase; [..., size].

    Raises:
        ValueError: the table is too small for the partials.
    """
    partials = harmonics.shape[-1]
    if partials > size // 2:
        raise ValueError(f"{partials} partials do not fit a table of {size} values; give at least {2 * partials}")
    spectrum = torch.nn.functional.pad(harmonics, (1, size // 2 - partials))
    table: Tensor = torch.fft.irfft(torch.complex(spectrum, torch.zeros_like(spectrum)), size) * (size / 2.0)
    return table


def wavetable_synthesis(
    f0_hz: Tensor, amplitude: Tensor, tables: Tensor, *, samples: int, sample_rate: float
) -> Tensor:
    """Controls per frame and one table, or one a frame, to audio; differentiable.

    Args:
        f0_hz: [..., T].
        amplitude: [..., T].
        tables: [..., W], or [..., T, W] with one more axis than ``f0_hz``, cross-faded from frame to frame.
        samples: how many to make.
        sample_rate: Hz.

    Returns:
        [..., samples]; the first sample is at phase 0.
    """
    level = resample(amplitude.unsqueeze(-1), samples, "window").squeeze(-1)
    frequency = resample(f0_hz.double().unsqueeze(-1), samples, "linear").squeeze(-1)
    phase = running_phase(frequency, sample_rate, dim=-1) / (2.0 * torch.pi)
    phase = torch.remainder(phase - frequency / sample_rate, 1.0)  # the sum up to, not with, each sample
    if tables.ndim > f0_hz.ndim:
        tables = resample(tables, samples, "linear")
    return level * linear_lookup(phase.to(amplitude.dtype), tables)
