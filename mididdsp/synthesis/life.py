"""Life: the micro-variation of level, pitch, partials and noise that a player's sound has, as coloured noise.

A channel's variation is described by its rms in bands of modulation frequency; it is drawn as Gaussian noise with that
spectrum, keyed by the note. Channels: common level (dB), fundamental (cents), each knot of the partials (dB), then
groups of noise bands (dB).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.random import keyed_generator
from mididdsp.units import FRAME_RATE

MODULATION_EDGES_HZ = (0.4, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 125.0)
"""Edges of the modulation bands, Hz."""

MODULATION_BANDS = len(MODULATION_EDGES_HZ) - 1

NOISE_FRAMES = 1 << 15
"""Length of the noise that ``read`` takes lines from, each from a place of its own: two minutes, without a seam."""

Array = NDArray[np.floating[Any]]


def band_rms(series: Array) -> Array:
    """Rms of each modulation band of series that have no trend to speak of.

    Args:
        series: one column a channel, 250 rows a second; [T, C].

    Returns:
        [C, MODULATION_BANDS]; bands too slow for the length are NaN.
    """
    count = len(series)
    taper = np.hanning(count + 2)[1:-1, None]
    centred = series - (series * taper).sum(0) / taper.sum()
    spectrum = np.abs(np.fft.rfft(centred * taper, axis=0)) ** 2 / (taper**2).sum() / count * 2.0
    frequency = np.fft.rfftfreq(count, 1.0 / FRAME_RATE)
    result = np.full((series.shape[1], MODULATION_BANDS), np.nan)
    for band, (low, high) in enumerate(zip(MODULATION_EDGES_HZ, MODULATION_EDGES_HZ[1:])):
        inside = (frequency >= low) & (frequency < high)
        if inside.any() and low >= 1.5 * FRAME_RATE / count:
            # the mean over the bins there are, times the band's width
            result[:, band] = np.sqrt(spectrum[inside].mean(0) * (high - low) * count / FRAME_RATE)
    return result


def draw(rms: Array, frames: int, random: np.random.Generator) -> Array:
    """Noise with the given rms in each modulation band; [frames, C] for ``rms`` [C, MODULATION_BANDS]."""
    count = max(256, 1 << int(np.ceil(np.log2(frames + 64))))
    white = random.standard_normal((count, len(rms)), dtype=np.float32)
    frequency = np.fft.rfftfreq(count, 1.0 / FRAME_RATE)
    edges = np.array(MODULATION_EDGES_HZ)
    band = np.clip(np.searchsorted(edges, frequency, side="right") - 1, 0, MODULATION_BANDS - 1)
    share = np.diff(edges) / (FRAME_RATE / 2)
    gain = (rms / np.sqrt(share)).T[band] * (frequency >= edges[0])[:, None]
    from scipy import fft

    return np.asarray(fft.irfft(fft.rfft(white, axis=0) * gain.astype(np.float32), n=count, axis=0)[:frames])


def read(rms: Array, frames: int, places: NDArray[np.int64]) -> Array:
    """Lines with the given rms in each modulation band, read off one long noise; [H, frames] for ``rms`` [H,
    MODULATION_BANDS]. Many lines so cost a fraction of what it takes to draw them.

    Args:
        places: where in the noise each line begins; [H], from 0 to below ``NOISE_FRAMES``.
    """
    lines = np.zeros((len(rms), frames), np.float32)
    for first in range(0, frames, NOISE_FRAMES):
        piece = lines[:, first : first + NOISE_FRAMES]
        for band in np.flatnonzero(rms.any(0)):
            stretches = np.lib.stride_tricks.sliding_window_view(_noise(int(band)), piece.shape[1])
            piece += stretches[places] * rms[:, band, None].astype(np.float32)
    return lines


@lru_cache(maxsize=MODULATION_BANDS)
def _noise(band: int) -> Array:
    """Noise of one band and of rms 1, twice over."""
    random = keyed_generator(0, "life", str(band))
    low, high = MODULATION_EDGES_HZ[band : band + 2]
    frequency = np.fft.rfftfreq(NOISE_FRAMES, 1.0 / FRAME_RATE)
    spectrum = random.standard_normal((2, len(frequency))) * ((frequency >= low) & (frequency < high))
    noise = np.fft.irfft(spectrum[0] + 1j * spectrum[1], n=NOISE_FRAMES)
    return np.tile((noise / noise.std()).astype(np.float32), 2)
