"""Unit conversions that carry gradients; parity with DDSP.

Conventions: the original's, including what it gives at and below zero. ``mididdsp.units`` is for values and files;
these are for networks and losses. All functions are pointwise and keep dtype and device.

Source: DDSP library 3.7.0; the scales of Traunmüller (bark), O'Shaughnessy (mel), Glasberg and Moore (erb).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DB_RANGE = 80.0
"""Levels are floored this far below 0 dB."""


def midi_to_hz(midi: Tensor, midi_zero_silence: bool = False) -> Tensor:
    """Frequency in Hz of a MIDI number; with ``midi_zero_silence`` exactly 0 gives 0 Hz."""
    hz = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
    return torch.where(midi == 0.0, torch.zeros_like(hz), hz) if midi_zero_silence else hz


def hz_to_midi(hz: Tensor) -> Tensor:
    """MIDI number of a frequency in Hz; 0 where the frequency is not above 0."""
    positive = hz > 0.0
    midi = 12.0 * (torch.log2(torch.where(positive, hz, torch.ones_like(hz))) - math.log2(440.0)) + 69.0
    return torch.where(positive, midi, torch.zeros_like(midi))


def db_to_amplitude(db: Tensor) -> Tensor:
    """10 ** (dB / 20)."""
    return 10.0 ** (db / 20.0)


def db_to_power(db: Tensor) -> Tensor:
    """10 ** (dB / 10)."""
    return 10.0 ** (db / 10.0)


def power_to_db(power: Tensor, ref_db: float = 0.0, range_db: float = DB_RANGE) -> Tensor:
    """Level of a power re ``ref_db``, floored at ``-range_db``."""
    least = 10.0 ** (-range_db / 10.0)
    return (10.0 * torch.log10(power.clamp_min(least)) - ref_db).clamp_min(-range_db)


def amplitude_to_db(amplitude: Tensor, ref_db: float = 0.0, range_db: float = DB_RANGE) -> Tensor:
    """Level of an amplitude re ``ref_db``, floored at ``-range_db``."""
    return power_to_db(amplitude**2, ref_db, range_db)


def unit_to_midi(unit: Tensor, midi_min: float = 20.0, midi_max: float = 90.0, clip: bool = False) -> Tensor:
    """Map 0..1 to a range of MIDI numbers; ``clip`` first keeps the input in 0..1."""
    return midi_min + (midi_max - midi_min) * (unit.clamp(0.0, 1.0) if clip else unit)


def midi_to_unit(midi: Tensor, midi_min: float = 20.0, midi_max: float = 90.0, clip: bool = False) -> Tensor:
    """Map a range of MIDI numbers to 0..1; ``clip`` keeps the output there."""
    unit = (midi - midi_min) / (midi_max - midi_min)
    return unit.clamp(0.0, 1.0) if clip else unit


def unit_to_hz(unit: Tensor, hz_min: float, hz_max: float, clip: bool = False) -> Tensor:
    """Map 0..1 to a range in Hz, linear in pitch."""
    return midi_to_hz(unit_to_midi(unit, _midi(hz_min), _midi(hz_max), clip))


def hz_to_unit(hz: Tensor, hz_min: float, hz_max: float, clip: bool = False) -> Tensor:
    """Map a range in Hz to 0..1, linear in pitch."""
    return midi_to_unit(hz_to_midi(hz), _midi(hz_min), _midi(hz_max), clip)


def hz_to_bark(hz: Tensor) -> Tensor:
    """Critical-band rate of a frequency > 0 in Hz."""
    return 26.81 / (1.0 + 1960.0 / hz) - 0.53


def bark_to_hz(bark: Tensor) -> Tensor:
    """Inverse of ``hz_to_bark``."""
    return 1960.0 / (26.81 / (bark + 0.53) - 1.0)


def hz_to_mel(hz: Tensor) -> Tensor:
    """Mel, 2595 log10(1 + f / 700)."""
    return 2595.0 * torch.log10(1.0 + hz / 700.0)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Inverse of ``hz_to_mel``."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def hz_to_erb(hz: Tensor) -> Tensor:
    """Equivalent rectangular bandwidth in Hz."""
    return 0.108 * hz + 24.7


def _midi(hz: float) -> float:
    return 12.0 * (math.log2(hz) - math.log2(440.0)) + 69.0 if hz > 0 else 0.0
