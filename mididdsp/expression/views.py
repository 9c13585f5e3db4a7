"""The six 0…1 scales of MIDI-DDSP, as a view on the attributes here.

Conventions: the paper's scales are linear in a quantity of their own (``PAPER``: level in dB, spread in dB, spectral
peak in semitones, centroid in partials, noise in dB, position), measured on 60 partials and 65 noise bands at 16 kHz.
``paper_to_quantity`` and ``quantity_to_paper`` are exact, and ``measure`` gives the six of a note from its frames as
the original does. A note's own attributes are measured otherwise (power in place of amplitude, noise re the note's
level, octaves in place of partials): ``from_paper`` and ``to_paper`` cross over with the mean relation that notes of
all sixteen instruments show (``bench/control.py``), so that a slider moves what its label says by the right amount.

Source: the formulas of Wu et al. 2022 (MIDI-DDSP) as its code computes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import ATTRIBUTE_RANGES, NoteExpression
from mididdsp.units import hz_to_midi

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperScale:
    """One of the paper's scales.

    Attributes:
        attribute: what it is a view of here.
        unit: of the quantity it is linear in.
        per_unit: paper units per unit of the quantity.
        at_zero: paper value where the quantity is 0.
    """

    attribute: str
    unit: str
    per_unit: float
    at_zero: float = 0.0


PAPER: Mapping[str, PaperScale] = MappingProxyType({
    "volume": PaperScale(attribute="level_db", unit="dB", per_unit=1.0 / 60.0, at_zero=1.5),
    "volume_fluctuation": PaperScale(attribute="fluctuation_db", unit="dB", per_unit=2.5 / 60.0),
    "vibrato": PaperScale(attribute="vibrato_cents", unit="semitones of spectral peak", per_unit=10.0),
    "brightness": PaperScale(attribute="brightness", unit="partials", per_unit=1.0 / 12.0),
    "attack": PaperScale(attribute="attack_noise_db", unit="dB", per_unit=1.0 / 40.0, at_zero=2.625),
    "volume_peak_position": PaperScale(attribute="peak_position", unit="of the note", per_unit=1.0),
})
"""The paper's names in the order of its vectors, with the scale of each."""

PAPER_COLUMNS: Mapping[str, str] = MappingProxyType({
    "volume": "volume", "vol_fluc": "volume_fluctuation", "vibrato": "vibrato", "brightness": "brightness",
    "attack": "attack", "vol_peak_pos": "volume_peak_position",
})
"""Column of the original's tables to the paper's name."""

VIBRATO_PEAK = 0.375
"""Spectral peak of a vibrato over the whole note, as a share of its extent."""

LEVEL_BELOW_AMPLITUDE_DB = 7.0
"""Power of a tone re the sum of its partials' amplitudes: -3 dB for a sine, lower the richer the tone."""

FLUCTUATION_AT_ENDS_DB = 2.5
"""What attack and release, which the paper's fluctuation holds too, add to the spread within the body."""

NOISE_OVER_BANDS_DB: Mapping[str, float] = MappingProxyType({
    "violin": 2.1, "viola": 5.1, "cello": 8.3, "double_bass": 12.0, "flute": 2.4, "oboe": 11.1, "english_horn": 4.7,
    "clarinet": 0.7, "bass_clarinet": 5.8, "saxophone": 2.2, "bassoon": 15.6, "contrabassoon": 13.2, "trumpet": 9.6,
    "horn": 16.5, "trombone": 14.2, "tuba": 27.8,
})
"""Power of the noise of an attack re the mean of its 65 bands in dB: coloured noise has its power in few bands, the
darker that of the instrument the fewer."""

MEAN_NOISE_OVER_BANDS_DB = 9.5
"""The same where the instrument is not known."""

CENTROID_SLOPE, CENTROID_AT_ONE = 1.25, -0.75
"""Power centroid in octaves against log2 of the amplitude centroid, which weak high partials raise more."""


def paper_to_quantity(name: str, value: float) -> float:
    """A paper value in the unit of its quantity; ``name`` is a key of ``PAPER``."""
    scale = PAPER[name]
    return (value - scale.at_zero) / scale.per_unit


def quantity_to_paper(name: str, quantity: float) -> float:
    """The paper value of a quantity; the inverse of ``paper_to_quantity``."""
    scale = PAPER[name]
    return quantity * scale.per_unit + scale.at_zero


def from_paper(name: str, value: float, level_db: float, instrument: str | None = None) -> float:
    """The attribute that a paper value asks for, within its legal range.

    Args:
        name: a key of ``PAPER``.
        value: on the paper's scale, 0 to 1 by custom; beyond is allowed.
        level_db: of the note; ``attack`` is noise re full scale there and re the note's level here.
        instrument: whose noise it is; None takes the mean of all.
    """
    quantity = paper_to_quantity(name, value)
    if name == "volume":
        quantity -= LEVEL_BELOW_AMPLITUDE_DB
    elif name == "volume_fluctuation":
        quantity -= FLUCTUATION_AT_ENDS_DB
    elif name == "vibrato":
        quantity = 100.0 * quantity / VIBRATO_PEAK
    elif name == "brightness":
        quantity = CENTROID_SLOPE * math.log2(max(quantity, 1.0)) + CENTROID_AT_ONE
    elif name == "attack":
        quantity += _noise_over_bands(instrument) - level_db
    low, high, _ = ATTRIBUTE_RANGES[PAPER[name].attribute]
    return min(max(quantity, low), high)


def to_paper(name: str, expression: NoteExpression, instrument: str | None = None) -> float:
    """What a note's attribute is on the paper's scale; the inverse of ``from_paper`` inside the legal range."""
    value = float(getattr(expression, PAPER[name].attribute))
    if name == "volume":
        value += LEVEL_BELOW_AMPLITUDE_DB
    elif name == "volume_fluctuation":
        value += FLUCTUATION_AT_ENDS_DB
    elif name == "vibrato":
        value = value * VIBRATO_PEAK / 100.0
    elif name == "brightness":
        value = 2.0 ** ((value - CENTROID_AT_ONE) / CENTROID_SLOPE)
    elif name == "attack":
        value += expression.level_db - _noise_over_bands(instrument)
    return quantity_to_paper(name, value)


def _noise_over_bands(instrument: str | None) -> float:
    return MEAN_NOISE_OVER_BANDS_DB if instrument is None else NOISE_OVER_BANDS_DB[instrument]


def measure(
    *, f0_hz: Array, amplitude_db: Array, harmonics: Array, noise_db: Array, pitch: float,
    total_frames: int | None = None,
) -> dict[str, float]:
    """The paper's six values of one note from its frames, as the original computes them.

    Args:
        f0_hz: > 0; [L].
        amplitude_db: 20 log10 of the sum of the partials' amplitudes, floor -80; [L].
        harmonics: shares, summing to 1; [L, K], K = 60 in the original.
        noise_db: magnitudes of the bands in dB, floor -80; [L, B].
        pitch: as written, MIDI number.
        total_frames: length of the sequence the note lies in, which sets the frequency grid of the vibrato; None is
            the 1000 frames of the original's data set, or the note's length where it is longer.
    """
    frames = len(f0_hz)
    deviation = pitch - hz_to_midi(np.asarray(f0_hz, np.float64))
    deviation = np.where(np.abs(deviation) > 2.0, 0.0, deviation)
    partials = harmonics.shape[-1]
    brightness = (harmonics * np.arange(1, partials + 1)).mean(axis=-1)
    return {
        "volume": float(np.mean(amplitude_db)) / 60.0 + 1.5,
        "volume_fluctuation": float(np.std(amplitude_db)) * 2.5 / 60.0,
        "vibrato": 10.0 * _vibrato_peak(deviation, max(total_frames or 1000, frames)),
        "brightness": 5.0 * float(np.mean(brightness)),
        "attack": float(noise_db[: min(10, frames)].mean()) / 40.0 + 2.625,
        "volume_peak_position": int(np.argmax(amplitude_db)) / frames,
    }


def _vibrato_peak(deviation: Array, total_frames: int) -> float:
    """Spectral peak of the windowed deviation in semitones, 0 outside 3 to 9 Hz or for 50 frames and fewer."""
    frames = len(deviation)
    if frames <= 50:
        return 0.0
    place = np.arange(1, frames + 1) / frames
    window = np.clip(0.5 * (1.0 - np.cos(4.0 * np.pi * place)) + ((place > 0.25) & (place < 0.75)), 0.0, 1.0)
    spectrum = np.abs(np.fft.rfft((deviation - deviation.mean()) * window, total_frames)) / frames
    peak = int(np.argmax(spectrum))
    rate = peak * 250.0 / (total_frames - 1)  # the original's grid, end point included
    return float(spectrum[peak]) if 3.0 <= rate <= 9.0 and rate > 1.0 / (0.004 * frames) else 0.0
