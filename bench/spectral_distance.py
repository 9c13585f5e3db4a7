"""The multi-scale spectral measure: how far a resynthesis is from its recording. One function, shared by benches.

Conventions: mono audio at 16 kHz. FFT sizes 2048 … 64 with 75 % overlap, periodic Hann windows, unscaled transforms,
zeros after the end so that every sample is in a frame. For each size the mean distance of magnitudes plus the mean
distance of their natural logarithms (1e-5 added), and the sizes are summed. ``distance`` first brings the reference to
-20 dB RMS and gives the estimate the same gain, so that a clip counts the same however loud it was stored.

Source: Engel et al. 2020 (DDSP), as its authors report reconstructions; the constants are fixed here because figures of
different constants cannot be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.floating[Any]]

SAMPLE_RATE = 16_000
FFT_SIZES = (2048, 1024, 512, 256, 128, 64)
REFERENCE_DB = -20.0
LOG_OFFSET = 1e-5
_FRAMES_AT_ONCE = 4096


def magnitudes(audio: Array, size: int) -> Array:
    """Absolute spectra of frames a quarter of their size apart; [ceil(N / hop), size // 2 + 1]."""
    hop = size // 4
    count = -(-len(audio) // hop)
    padded = np.concatenate([np.asarray(audio, np.float32), np.zeros(count * hop + size - len(audio), np.float32)])
    taper = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count]
    pieces = [np.abs(fft.rfft(frames[first : first + _FRAMES_AT_ONCE] * taper, axis=1))
              for first in range(0, count, _FRAMES_AT_ONCE)]
    return np.concatenate(pieces)


def spectral_distance(reference: Array, estimate: Array) -> float:
    """The measure at the levels given; 0 for equal sounds.

    Args:
        reference: the recording; [N] at 16 kHz, at least one sample.
        estimate: what is compared with it; cut, or filled with silence, to the same length.

    Raises:
        ValueError: no samples.
    """
    if len(reference) == 0:
        raise ValueError("the reference has no samples; give a recording")
    fitted = np.zeros(len(reference), np.float32)
    shared = min(len(reference), len(estimate))
    fitted[:shared] = estimate[:shared]
    total = 0.0
    for size in FFT_SIZES:
        wanted, found = magnitudes(reference, size), magnitudes(fitted, size)
        total += float(np.abs(wanted - found).mean(dtype=np.float64))
        total += float(np.abs(np.log(wanted + LOG_OFFSET) - np.log(found + LOG_OFFSET)).mean(dtype=np.float64))
    return total


def distance(reference: Array, estimate: Array) -> float:
    """``spectral_distance`` with the reference brought to -20 dB RMS and the estimate given the same gain.

    Raises:
        ValueError: no samples, or a silent reference.
    """
    rms = float(np.sqrt(np.mean(np.square(reference, dtype=np.float64)))) if len(reference) else 0.0
    if rms <= 0.0:
        raise ValueError("the reference is silent or empty; give a recording that sounds")
    gain = 10.0 ** (REFERENCE_DB / 20.0) / rms
    return spectral_distance(np.asarray(reference) * gain, np.asarray(estimate) * gain)
