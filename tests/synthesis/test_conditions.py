"""Loudness of parameters and of sound agree, and memories run in pieces as they do at once."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.conditions import (
    QUIET_DB,
    causal_features,
    condition_features,
    feature_count,
    loudness_of_parameters,
    measured_loudness,
    pitch_of,
    windowed,
)
from mididdsp.synthesis.knots import KNOTS
from mididdsp.units import hz_to_midi


def sine(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_sine_at_1_khz_has_the_level_of_its_power(rate: int) -> None:
    loudness = measured_loudness(sine(1_000.0, rate, amplitude=0.1), rate)
    # A-weighting is 0 dB at 1 kHz within 0.01; the window leaks into bins weighted a little otherwise
    assert np.abs(loudness[20:-20] - (-23.01)).max() < 0.05


def test_silence_is_the_floor() -> None:
    assert (measured_loudness(np.zeros(4_000), 16_000) == QUIET_DB).all()


def test_long_sounds_are_measured_in_pieces_without_a_seam() -> None:
    audio = np.random.default_rng(0).normal(0.0, 0.1, 16_000 * 61)
    whole = measured_loudness(audio, 16_000)
    assert len(whole) == 61 * 250 + 1
    # Frame 14,999 of 15,000 is the last of its piece; alone it is measured from a cut of the sound.
    cut = measured_loudness(audio[16_000 * 59 :], 16_000)
    np.testing.assert_allclose(whole[59 * 250 + 10 : -10], cut[10:-10], atol=1e-4)


def test_the_loudness_of_parameters_is_that_of_their_sound() -> None:
    f0 = np.full(250, 300.0)
    knots = np.full((250, len(KNOTS)), -140.0)
    knots[:, 0], knots[:, 2] = -20.0, -26.0
    noise = np.full((250, len(NOISE_EDGES_HZ) - 1), -140.0)
    rate = 48_000
    sound = sine(300.0, rate, amplitude=np.sqrt(0.02)) + sine(900.0, rate, amplitude=np.sqrt(2 * 10**-2.6))
    told = windowed(loudness_of_parameters(f0, knots, noise, NOISE_EDGES_HZ))
    heard = measured_loudness(sound, rate)
    assert np.abs(told[30:-30] - heard[30 : 30 + len(told) - 60]).max() < 0.1  # beats of the two partials


@pytest.mark.parametrize("size", [1, 5, 40])
def test_features_in_blocks_equal_features_at_once(size: int) -> None:
    random = np.random.default_rng(1)
    pitch, level = 60.0 + random.normal(0, 3, 120), -40.0 + random.normal(0, 9, 120)
    whole, _ = causal_features(pitch, level)
    memory, pieces = None, []
    for first in range(0, 120, size):
        piece, memory = causal_features(pitch[first : first + size], level[first : first + size], memory)
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)  # float32 of sums in another order


def test_features_without_lookahead_do_not_see_what_comes() -> None:
    random = np.random.default_rng(2)
    f0, level = 200.0 + random.normal(0, 9, 80), -40.0 + random.normal(0, 9, 80)
    changed = level.copy()
    changed[50:] -= 20.0
    for lookahead in (False, True):
        one = condition_features(f0, level, lookahead=lookahead)
        other = condition_features(f0, changed, lookahead=lookahead)
        assert one.shape == (80, feature_count(lookahead))
        assert np.array_equal(one[:50], other[:50]) is not lookahead
    np.testing.assert_allclose(pitch_of(one), hz_to_midi(f0), atol=1e-4)
