"""Conversions between the units of the project; each exists once, here.

Conventions: pitch is a MIDI number (69.0 is A4, 440 Hz); levels are dB re full scale; deviations are cents.
All functions take and return NumPy arrays or Python floats, and are exact inverses of one another in float64.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

FRAME_RATE = 250.0
"""Frames of synthesis parameters per second."""

SILENCE_DB = -120.0
"""At or below this level a sound is exactly zero."""

_KEY_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

FloatArray = NDArray[np.floating[Any]]


@overload
def midi_to_hz(pitch: float, a4_hz: float = 440.0) -> float: ...
@overload
def midi_to_hz(pitch: FloatArray, a4_hz: float = 440.0) -> FloatArray: ...
def midi_to_hz(pitch: float | FloatArray, a4_hz: float = 440.0) -> float | FloatArray:
    """Frequency in Hz of a MIDI number; fractions allowed."""
    return a4_hz * 2.0 ** ((pitch - 69.0) / 12.0)


@overload
def hz_to_midi(frequency_hz: float, a4_hz: float = 440.0) -> float: ...
@overload
def hz_to_midi(frequency_hz: FloatArray, a4_hz: float = 440.0) -> FloatArray: ...
def hz_to_midi(frequency_hz: float | FloatArray, a4_hz: float = 440.0) -> float | FloatArray:
    """MIDI number of a frequency in Hz, which must be above 0."""
    result = 69.0 + 12.0 * np.log2(np.asarray(frequency_hz) / a4_hz)
    return float(result) if np.ndim(frequency_hz) == 0 else result


def pitch_name(pitch: float, *, cents: bool = False) -> str:
    """The name of the nearest key (of two, the higher) with its octave; middle C (60) is C4.

    Args:
        pitch: MIDI number; fractions allowed.
        cents: tell how far off the key the pitch lies, where it does: ``C#4+25c``.
    """
    key = math.floor(pitch + 0.5)
    off = round(100.0 * (pitch - key)) if cents else 0
    return f"{_KEY_NAMES[key % 12]}{key // 12 - 1}" + (f"{off:+d}c" if off else "")


@overload
def db_to_amplitude(level_db: float) -> float: ...
@overload
def db_to_amplitude(level_db: FloatArray) -> FloatArray: ...
def db_to_amplitude(level_db: float | FloatArray) -> float | FloatArray:
    """Amplitude of a level: 10 ** (dB / 20)."""
    return 10.0 ** (level_db / 20.0)


@overload
def amplitude_to_db(amplitude: float, floor_db: float = SILENCE_DB) -> float: ...
@overload
def amplitude_to_db(amplitude: FloatArray, floor_db: float = SILENCE_DB) -> FloatArray: ...
def amplitude_to_db(amplitude: float | FloatArray, floor_db: float = SILENCE_DB) -> float | FloatArray:
    """Level of an amplitude in dB, never below ``floor_db``."""
    result = 20.0 * np.log10(np.maximum(np.asarray(amplitude), 10.0 ** (floor_db / 20.0)))
    return float(result) if np.ndim(amplitude) == 0 else result


@overload
def power_to_db(power: float, floor_db: float = SILENCE_DB) -> float: ...
@overload
def power_to_db(power: FloatArray, floor_db: float = SILENCE_DB) -> FloatArray: ...
def power_to_db(power: float | FloatArray, floor_db: float = SILENCE_DB) -> float | FloatArray:
    """Level of a power (mean square) in dB, never below ``floor_db``."""
    result = 10.0 * np.log10(np.maximum(np.asarray(power), 10.0 ** (floor_db / 10.0)))
    return float(result) if np.ndim(power) == 0 else result
