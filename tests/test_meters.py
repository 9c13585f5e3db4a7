"""Loudness and true peak against the standard's own numbers, another implementation and slow oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import resample_poly

from mididdsp.meters import LoudnessMeter, TruePeakMeter, k_weighting

RATES = (16_000, 44_100, 48_000, 96_000)


def sine(frequency: float, seconds: float, rate: int = 48_000, level: float = 1.0, phase: float = 0.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate + phase)).astype(np.float32)


def loudness(audio: np.ndarray, rate: int = 48_000, block: int = 50_000) -> float | None:
    meter = LoudnessMeter(rate, len(audio))
    for start in range(0, audio.shape[1], block):
        meter.add(audio[:, start:start + block])
    return meter.integrated_lufs()


def true_peak(audio: np.ndarray, block: int = 50_000) -> float:
    meter = TruePeakMeter(len(audio))
    for start in range(0, audio.shape[1], block):
        meter.add(audio[:, start:start + block])
    return meter.finish()


def test_the_weighting_is_that_of_the_standard() -> None:
    # BS.1770-4, tables 1 and 2, at 48 kHz.
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    cut = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(k_weighting(48_000), [shelf, cut], atol=1e-11)


@pytest.mark.parametrize("rate", RATES)
def test_a_full_scale_sine_in_one_channel_reads_minus_3(rate: int) -> None:
    audio = np.stack([sine(997, 3, rate), np.zeros(3 * rate, np.float32)])
    # -3.01 by the standard, which gives the filters at 48 kHz alone; elsewhere they lie up to 0.04 dB off.
    assert loudness(audio, rate) == pytest.approx(-3.01, abs=0.01 if rate == 48_000 else 0.05)


def test_gating_follows_tech_3341() -> None:
    # EBU Tech 3341, case 3, shortened: -36 dBFS, -23 dBFS and -36 dBFS again read -23.0 within 0.1.
    level = np.concatenate([np.full(10, -36.0), np.full(20, -23.0), np.full(10, -36.0)]).repeat(48_000)
    tone = sine(1000, 40) * 10.0 ** (level / 20.0).astype(np.float32)
    assert loudness(np.stack([tone, tone])) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_loudness_agrees_with_pyloudnorm(rate: int) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    rng = np.random.default_rng(1)
    audio = (rng.standard_normal((2, 6 * rate)) * np.linspace(0.001, 0.3, 6 * rate)).astype(np.float32)
    expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio.T.astype(np.float64))
    # Both follow one standard; float32 and the cut response leave a hundredth of what a meter shows.
    assert loudness(audio, rate) == pytest.approx(expected, abs=0.005)


def test_loudness_does_not_depend_on_the_blocks() -> None:
    audio = (np.random.default_rng(1).standard_normal((2, 100_000)) * 0.1).astype(np.float32)
    # The same sums in another order.
    assert loudness(audio, block=100_000) == pytest.approx(loudness(audio, block=777), abs=1e-4)


def test_silence_and_short_sounds_have_no_loudness() -> None:
    assert loudness(np.zeros((2, 96_000), np.float32)) is None
    assert loudness(np.stack([sine(997, 0.399)] * 2)) is None
    assert loudness(np.zeros((2, 0), np.float32)) is None
    assert loudness(np.stack([sine(997, 1.0, level=1e-5)] * 2)) is None  # -100 LUFS: below the absolute gate


@pytest.mark.parametrize("frequency", [997.0, 6_000.0, 12_000.0])
def test_a_sine_between_its_samples_reads_its_amplitude(frequency: float) -> None:
    # Faded in and out: a sine cut off really peaks higher. At a quarter of the rate samples miss 3 dB of it.
    audio = sine(frequency, 1.0, phase=math.pi / 4) * np.hanning(48_000).astype(np.float32)
    measured = true_peak(audio[np.newaxis])
    # Four points a sample: they miss at most cos(pi f / 4 rate), 0.17 dB at 12 kHz.
    assert math.cos(math.pi * frequency / 4 / 48_000) - 1e-3 < measured < 1.0 + 1e-3


def test_the_true_peak_agrees_with_resampling_everything() -> None:
    rng = np.random.default_rng(2)
    audio = (rng.standard_normal((2, 60_000)) * np.geomspace(0.01, 1.0, 60_000)).astype(np.float32)
    audio[:, -100:] *= np.linspace(1, 0, 100, dtype=np.float32)  # an end inside the file
    dense = resample_poly(audio.astype(np.float64), 4, 1, axis=1, window=("kaiser", 12.0))
    # The resampler's own filter is short and rolls off below Nyquist, where white noise has its share.
    assert true_peak(audio) == pytest.approx(np.abs(dense).max(), rel=0.05)
    assert true_peak(audio) >= np.abs(audio).max()


@pytest.mark.parametrize("block", [1, 100, 5_000])
def test_the_peak_is_found_wherever_blocks_are_cut(block: int) -> None:
    audio = np.zeros((1, 6_000), np.float32)
    audio[0, 4_990:5_010] = sine(11_000, 20 / 48_000, phase=1.0)
    assert true_peak(audio, block) == true_peak(audio, 6_000) > np.abs(audio).max()


def test_a_peak_in_the_last_sample_counts() -> None:
    audio = np.zeros((2, 3_000), np.float32)
    audio[1, -1] = -0.7
    assert true_peak(audio) == pytest.approx(0.7, rel=1e-3)
    assert true_peak(np.zeros((2, 0), np.float32)) == 0.0
