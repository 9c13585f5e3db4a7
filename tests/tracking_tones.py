"""Harmonic tones for the tests of tracking and transcription."""

from __future__ import annotations

import numpy as np

from mididdsp.synthesis.analysis import ANALYSIS_RATE
from mididdsp.units import midi_to_hz


def melody(pitches: list[float], seconds: float = 0.4, partials: int = 12) -> np.ndarray:
    """Harmonic tones one after another, 50 ms of silence between."""
    count = int(seconds * ANALYSIS_RATE)
    time = np.arange(count) / ANALYSIS_RATE
    envelope = np.minimum(1.0, np.minimum(time, seconds - time) / 0.02)
    gap = np.zeros(int(0.05 * ANALYSIS_RATE))
    tones = []
    for pitch in pitches:
        hz = midi_to_hz(pitch)
        tone = sum(np.sin(2 * np.pi * k * hz * time) / k for k in range(1, partials + 1) if k * hz < 15_000)
        tones += [0.1 * envelope * tone, gap]
    return np.concatenate(tones)
