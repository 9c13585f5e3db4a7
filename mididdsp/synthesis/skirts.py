"""The noise around each partial turns its phase as much as it moves its amplitude.

Breath, bow and lips put noise around every partial, each by itself: in recordings the logarithm of a partial's
amplitude and its phase move by the same power between 30 and 90 Hz, and no two partials together. Parameters hold
the amplitudes alone, and a partial that only swells has half the noise around it, and that half in step with itself.
So phases are drawn: noise with the spectrum of quick movement, as strong at each moment as the amplitude moves there.
A partial that is still, at temperature 0, is not turned.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.random import keyed_generator

Array = NDArray[np.floating[Any]]

QUICK_FRAMES = 7
"""What two running means of so many frames take away is slow. Twice taken away: half the power is left at 24 Hz, and of
the swing of a vibrato at 6 Hz a hundredth."""

NEAR_FRAMES = 31
"""Over so many frames it is measured how strongly an amplitude moves: before and after, the weaker counts, for a note
that speaks or ends is no noise."""

STRONGEST = 0.25
"""Nepers (2.2 dB): an amplitude that moves by more counts as one that moves by this."""

REACH = 2 * (QUICK_FRAMES - 1) + NEAR_FRAMES - 1
"""Frames to either side that have a say."""

NOISE_FRAMES = 1 << 16
"""Length of the noise that all partials take theirs from, each from a place of its own: four minutes."""

_SMOOTH = (0.25, 0.5, 0.25)
_LIKE_AMPLITUDES = 2.0
"""Noise so made, of the strength of recorded amplitudes' quick movement, has their power between 30 and 90 Hz."""


def turned(log_amplitude: Array, places: NDArray[np.int64]) -> Array:
    """Phases of partials, radians; [H, T].

    Args:
        log_amplitude: natural logarithm of each partial's amplitude, 250 frames a second; [H, T].
        places: in the noise, of each partial's first frame; [H]. Those of a later stretch lie as much further on.
    """
    from scipy.ndimage import uniform_filter1d

    power = np.minimum(_quick(log_amplitude) ** 2, STRONGEST**2)
    before, after = (uniform_filter1d(power, NEAR_FRAMES, mode="nearest", origin=side * (NEAR_FRAMES // 2))
                     for side in (1, -1))
    strength = np.maximum(np.minimum(before, after), 0.0)  # running sums fall below by a rounding
    noise = _noise()[(places[:, None] + np.arange(log_amplitude.shape[1])) % NOISE_FRAMES]
    return np.asarray(np.sqrt(strength) * noise)


@lru_cache(maxsize=1)
def _noise() -> Array:
    white = keyed_generator(0, "skirts").standard_normal(NOISE_FRAMES)
    quick = np.convolve(_quick(white), _SMOOTH, mode="same")
    return (_LIKE_AMPLITUDES * quick).astype(np.float32)


def _quick(series: Array) -> Array:
    """What is quick, along the last axis."""
    from scipy.ndimage import uniform_filter1d

    for _ in range(2):
        slow = series
        for _ in range(2):
            slow = uniform_filter1d(slow, QUICK_FRAMES, mode="nearest")
        series = series - slow
    return series
