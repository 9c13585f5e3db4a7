"""The measure of the round trip, against an oracle of its own."""

from __future__ import annotations

import numpy as np
import pytest

from bench import roundtrip


def oracle(reference: np.ndarray, estimate: np.ndarray) -> float:
    """The loss in float64, frame by frame."""
    total = 0.0
    for size in (2048, 1024, 512, 256, 128, 64):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        spectra = []
        for sound in (reference, estimate):
            frames = []
            for start in range(0, len(sound), size // 4):
                frame = np.zeros(size)
                piece = sound[start : start + size]
                frame[: len(piece)] = piece
                frames.append(np.abs(np.fft.rfft(frame * window)))
            spectra.append(np.array(frames))
        first, second = spectra
        total += np.abs(first - second).mean() + np.abs(np.log(first + 1e-5) - np.log(second + 1e-5)).mean()
    return total


def test_the_loss_is_its_definition() -> None:
    random = np.random.default_rng(0)
    first, second = (0.1 * random.standard_normal(5_000).astype(np.float32) for _ in range(2))
    assert roundtrip.spectral_loss(first, first) == 0.0
    # float32 spectra against float64 ones
    assert roundtrip.spectral_loss(first, second) == pytest.approx(oracle(first, second), rel=1e-5)


def test_the_gain_brings_a_recording_to_minus_20_db() -> None:
    sound = np.random.default_rng(1).standard_normal(4_000).astype(np.float32)
    scaled = sound * roundtrip.to_minus_20(sound)
    assert 10 * np.log10(np.mean(scaled.astype(float) ** 2)) == pytest.approx(-20.0, abs=1e-4)


def test_level_error_is_the_gain() -> None:
    sound = np.random.default_rng(2).standard_normal(16_000).astype(np.float32) * np.float32(0.1)
    assert roundtrip.level_error(sound, sound * np.float32(10 ** (0.7 / 20))) == pytest.approx(0.7, abs=1e-3)
