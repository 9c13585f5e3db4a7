"""Filtered noise: the original's (parity) and the one that renders (production).

Conventions of the production noise: band levels are RMS per band, bands are given by their edges in Hz, the density is
flat inside a band. Noise is made in blocks of four hops under a Hann window, each block a random spectrum times the
levels at its centre, overlapped and added; the hop is about 4 ms whatever the frame rate, so that 16, 44.1 and 48 kHz
have the same resolution (about 62.5 Hz) and the same spectrum where all can sound. Levels therefore blur over about
6 ms in time and 90 Hz in frequency.

Source: Engel et al. 2020 (DDSP) for the first; Serra and Smith 1990, "Spectral modeling synthesis", for the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.synthesis.dsp.filters import frequency_filter
from mididdsp.synthesis.dsp.period_tables import tile_borders
from mididdsp.synthesis.dsp.scaling import exp_sigmoid

DEFAULT_BIAS = -5.0
"""Added to raw noise magnitudes by the original, so that untrained networks start quiet."""

DEFAULT_WINDOW = 257

NOISE_HOP_S = 0.004

HOPS_PER_BLOCK = 4
"""Hann windows overlapped by three quarters: their squares sum to the same everywhere."""

TILE_BLOCKS = 128


def noise_controls(raw_magnitudes: Tensor, bias: float = DEFAULT_BIAS) -> Tensor:
    """Raw network output to magnitudes, as in the original."""
    return exp_sigmoid(raw_magnitudes + bias)


def filtered_noise(noise: Tensor, magnitudes: Tensor, window_size: int = DEFAULT_WINDOW) -> Tensor:
    """White noise [..., N], uniform in -1..1, filtered by magnitudes [..., frames, M]; parity."""
    return frequency_filter(noise, magnitudes, window_size)


def noise_hop(sample_rate: float) -> int:
    """Samples between blocks: 64 at 16 kHz, 176 at 44.1 kHz, 192 at 48 kHz."""
    return max(1, round(NOISE_HOP_S * sample_rate))


def spectrum_bins(sample_rate: float) -> int:
    """Bins of a block's random spectrum, DC left out."""
    return HOPS_PER_BLOCK * noise_hop(sample_rate) // 2


def random_spectra(generator: np.random.Generator, blocks: int, sample_rate: float) -> Tensor:
    """Random spectra of white noise; complex64 [blocks, bins], mean square 1.

    Uniform 16-bit numbers: a block sums hundreds of them, which makes it Gaussian, at a quarter of the cost. Drawing
    in several calls gives the same numbers as in one.
    """
    bins = spectrum_bins(sample_rate)
    words = -(-bins // 2)  # a complex value takes 32 of a word's 64 bits
    raw = generator.bit_generator.random_raw(blocks * words).view("<i2").reshape(blocks, -1)
    numbers = torch.from_numpy(raw[:, : 2 * bins].astype(np.float32)).mul_(np.sqrt(1.5) / 32_768.0)
    return torch.view_as_complex(numbers.view(blocks, bins, 2))


@lru_cache(maxsize=16)
def band_shares(edges_hz: tuple[float, ...], sample_rate: float) -> Tensor:
    """Power that each bin takes from each band's power, float32 [B, bins]; bins reach halfway to their neighbours.

    The first bin reaches down to 0 and the last but one up to Nyquist (bin Nyquist itself is left silent). What the
    window spreads from a band into others is made up for once: taken from those, given to the band. A few weights are
    therefore below 0, and so may a bin's power be beside a much louder band; such a bin is silent.
    """
    edges = np.asarray(edges_hz, dtype=np.float64)
    if len(edges) < 2 or not (np.diff(edges) > 0).all() or edges[0] < 0:
        raise ValueError(f"noise bands have edges {edges_hz[:4]}... Hz; give at least two, increasing from 0 or above")
    bins = spectrum_bins(sample_rate)
    spacing = sample_rate / (2 * bins)
    borders = (np.arange(bins) + 0.5) * spacing
    borders[0], borders[-1] = 0.0, sample_rate / 2
    low, high = edges[:-1, None], edges[1:, None]
    overlap = np.minimum(high, borders[None, 1:]) - np.maximum(low, borders[None, :-1])
    shares = np.pad(np.maximum(overlap, 0.0) / (high - low), ((0, 0), (0, 1)))
    found = shares @ _spread(edges, sample_rate)
    shares = (np.eye(len(shares)) + np.diag(shares.sum(axis=1)) - found) @ shares
    return torch.from_numpy(shares.astype(np.float32))


def _spread(edges_hz: NDArray[np.float64], sample_rate: float) -> NDArray[np.float64]:
    """Share of each bin's power that the window puts into each band, below 0 Hz folded back; [bins, B]."""
    finer, bins = 16, spectrum_bins(sample_rate)
    spectrum = np.abs(np.fft.fft(block_window(sample_rate).double().numpy(), 2 * bins * finer)) ** 2
    reach = np.cumsum(np.fft.fftshift(spectrum)) / spectrum.sum()
    place = np.fft.fftshift(np.fft.fftfreq(len(spectrum), 1.0 / sample_rate)) + sample_rate / len(spectrum) / 2
    centre = np.arange(1, bins + 1)[:, None] * sample_rate / (2 * bins)
    above = np.interp(edges_hz - centre, place, reach)
    folded = np.interp(-edges_hz - centre, place, reach)
    return np.asarray(np.diff(above, axis=1) - np.diff(folded, axis=1))


@lru_cache(maxsize=8)
def block_window(sample_rate: float) -> Tensor:
    """Hann window scaled so that overlapped squares sum to 1, and a real spectrum's two halves count once."""
    window = torch.hann_window(HOPS_PER_BLOCK * noise_hop(sample_rate), dtype=torch.float64)
    scaled: Tensor = (window * np.sqrt(0.5 / (0.375 * HOPS_PER_BLOCK))).float()
    return scaled


def noise_tiles(
    levels_of: Callable[[int, int], Tensor],
    frames: int,
    samples: int,
    spectra_of: Callable[[int], Tensor],
    *,
    edges_hz: Sequence[float],
    sample_rate: float,
    frame_rate: float = 250.0,
    offset_s: float = 0.0,
) -> Iterator[Tensor]:
    """Shaped noise, tile by tile; the tiles joined are ``shaped_noise``.

    Args:
        levels_of: given frames [first, last), the RMS of each band, >= 0; [..., last - first, B].
        frames: how many there are; the first and last are held outward.
        samples: how many to make.
        spectra_of: given a number of blocks, the next random spectra [..., blocks, bins].
        edges_hz: B + 1 band edges; what lies above Nyquist is silent.
        sample_rate: Hz.
        frame_rate: frames per second.
        offset_s: time of sample 0 after frame 0, s.

    Yields:
        Audio [..., samples of the tile].
    """
    hop = noise_hop(sample_rate)
    shares = band_shares(tuple(float(edge) for edge in edges_hz), sample_rate)
    window = block_window(sample_rate)
    blocks = -(-samples // hop) + HOPS_PER_BLOCK - 1
    carried: Tensor | None = None
    left = samples
    tiles = tile_borders(blocks, TILE_BLOCKS)
    for first, last in zip(tiles[:-1], tiles[1:]):
        number = np.arange(first, last)
        # Block b is centred on sample (b - 1) * hop: hop m then lies under blocks m to m + 3.
        place = np.clip(((number - 1) * hop / sample_rate + offset_s) * frame_rate, 0, frames - 1)
        below = np.minimum(place.astype(np.int64), max(frames - 2, 0))
        first_frame, last_frame = int(below[0]), min(int(below[-1]) + 2, frames)
        levels = levels_of(first_frame, last_frame)
        before = torch.from_numpy(below - first_frame).to(levels.device)
        after = (before + 1).clamp_(max=last_frame - first_frame - 1)
        blend = torch.from_numpy(place - below).to(levels)[:, None]
        low, high = levels.index_select(-2, before), levels.index_select(-2, after)
        level = low + (high - low) * blend
        power = (level * level) @ shares.to(levels)
        loud = power > 0.0
        gain = torch.where(loud, torch.sqrt(torch.where(loud, power, torch.ones_like(power))), torch.zeros_like(power))
        spectra = spectra_of(len(number)).to(levels.device) * gain
        spectra = torch.nn.functional.pad(spectra, (1, 0))
        sound = torch.fft.irfft(spectra, HOPS_PER_BLOCK * hop, norm="forward") * window.to(levels)
        parts = sound.reshape(*sound.shape[:-1], HOPS_PER_BLOCK, hop)
        if carried is not None:
            parts = torch.cat([carried, parts], dim=-3)
        carried = parts[..., -(HOPS_PER_BLOCK - 1):, :, :]
        hops = parts.shape[-3] - (HOPS_PER_BLOCK - 1)
        if hops < 1:
            continue
        total = parts[..., :hops, HOPS_PER_BLOCK - 1, :]
        for step in range(1, HOPS_PER_BLOCK):
            total = total + parts[..., step : step + hops, HOPS_PER_BLOCK - 1 - step, :]
        audio = total.flatten(-2)[..., :left]
        left -= audio.shape[-1]
        yield audio


def shaped_noise(
    band_rms: Tensor,
    spectra: Tensor,
    *,
    samples: int,
    edges_hz: Sequence[float],
    sample_rate: float,
    frame_rate: float = 250.0,
    offset_s: float = 0.0,
) -> Tensor:
    """Noise with a given RMS per band; differentiable in it.

    Args:
        band_rms: >= 0; [..., T, B].
        spectra: random, from ``random_spectra``; [..., blocks, bins] with blocks >= ``noise_blocks(samples)``.
        samples: how many to make.
        edges_hz: B + 1 band edges; what lies above Nyquist is silent.
        sample_rate: Hz.
        frame_rate: frames per second.
        offset_s: time of sample 0 after frame 0, s.

    Returns:
        [..., samples].

    Raises:
        ValueError: edges that do not fit the bands, or too few spectra.
    """
    if len(edges_hz) != band_rms.shape[-1] + 1:
        raise ValueError(f"{band_rms.shape[-1]} noise bands need {band_rms.shape[-1] + 1} edges, not {len(edges_hz)}")
    if spectra.shape[-2] < noise_blocks(samples, sample_rate):
        raise ValueError(f"{samples} samples need {noise_blocks(samples, sample_rate)} random spectra, "
                         f"not {spectra.shape[-2]}")
    used = 0

    def next_spectra(count: int) -> Tensor:
        nonlocal used
        used += count
        return spectra[..., used - count : used, :]

    tiles = noise_tiles(lambda first, last: band_rms[..., first:last, :], band_rms.shape[-2], samples, next_spectra,
                        edges_hz=edges_hz, sample_rate=sample_rate, frame_rate=frame_rate, offset_s=offset_s)
    return torch.cat(list(tiles), dim=-1)


def noise_blocks(samples: int, sample_rate: float) -> int:
    """How many random spectra ``samples`` of noise use."""
    return -(-samples // noise_hop(sample_rate)) + HOPS_PER_BLOCK - 1
