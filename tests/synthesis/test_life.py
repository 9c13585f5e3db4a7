"""Life: noise with the spectrum asked for, of any length, from its own generator alone."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.random import keyed_generator
from mididdsp.synthesis.life import MODULATION_BANDS, MODULATION_EDGES_HZ, NOISE_FRAMES, band_rms, draw, read
from mididdsp.units import FRAME_RATE


def test_bands_are_drawn_as_asked() -> None:
    rms = np.zeros((3, MODULATION_BANDS))
    rms[0] = 1.0
    rms[1, 3] = 2.0
    rms[2] = np.arange(MODULATION_BANDS)
    series = draw(rms, 60_000, keyed_generator(0, "life"))
    assert series.shape == (60_000, 3)
    measured = band_rms(series)
    # Four minutes: 0.6 Hz times 240 s are 144 independent values in the slowest band, 6 % of standard error.
    np.testing.assert_allclose(measured, rms, rtol=0.2, atol=0.05)
    np.testing.assert_allclose(series.std(0), np.sqrt((rms**2).sum(1)), rtol=0.1)


def test_a_sine_is_measured_in_its_band() -> None:
    time = np.arange(2000) / FRAME_RATE
    measured = band_rms(np.stack([3.0 * np.sin(2 * np.pi * 5.7 * time), np.full(2000, 7.0)], 1))
    band = int(np.searchsorted(MODULATION_EDGES_HZ, 5.7)) - 1
    # A sine's rms is its amplitude over the root of 2; a constant has no modulation.
    assert measured[0, band] == pytest.approx(3.0 / np.sqrt(2.0), rel=0.02)
    others = np.delete(measured[0], band)
    assert np.nanmax(others) < 0.05
    assert np.nanmax(measured[1]) < 1e-9


def test_bands_too_slow_for_the_length_are_unknown() -> None:
    for frames in (1, 2, 3, 10, 100, 1000):
        measured = band_rms(np.random.default_rng(0).normal(size=(frames, 2)))
        assert measured.shape == (2, MODULATION_BANDS)
        slow = np.array(MODULATION_EDGES_HZ[:-1]) < 1.5 * FRAME_RATE / frames
        assert np.isnan(measured[:, slow]).all()
        assert np.isfinite(measured[:, ~slow]).all()


@pytest.mark.parametrize("frames", [1, 2, 191, 192, 193, 5000])
def test_any_length_is_a_function_of_the_generator(frames: int) -> None:
    rms = np.ones((4, MODULATION_BANDS), np.float32)
    one = draw(rms, frames, keyed_generator(1, "a"))
    assert one.shape == (frames, 4)
    assert np.isfinite(one).all()
    assert np.array_equal(one, draw(rms, frames, keyed_generator(1, "a")))
    assert not np.array_equal(one, draw(rms, frames, keyed_generator(1, "b")))
    assert not draw(np.zeros_like(rms), frames, keyed_generator(1, "a")).any()


def test_lines_read_are_as_asked_and_no_two_alike() -> None:
    rms = np.zeros((4, MODULATION_BANDS))
    rms[0], rms[1, 3], rms[2] = 1.0, 2.0, np.arange(MODULATION_BANDS)
    lines = read(rms, NOISE_FRAMES, np.array([0, 7_000, 14_000, 21_000]))
    assert lines.shape == (4, NOISE_FRAMES)
    # Two minutes: half as long as what is drawn above, so that its slowest band is known to 9 %.
    np.testing.assert_allclose(band_rms(lines.T), rms, rtol=0.25, atol=0.05)
    assert np.abs(np.corrcoef(lines[:3])[np.triu_indices(3, 1)]).max() < 0.1
    assert not lines[3].any()


def test_a_line_read_is_a_stretch_of_the_noise_and_goes_on_without_a_seam() -> None:
    rms = np.ones((1, MODULATION_BANDS))
    rms[0, -1] = 0.0  # nothing quick: a seam would be a step
    long = read(rms, 2 * NOISE_FRAMES + 50, np.array([NOISE_FRAMES - 100]))[0]
    np.testing.assert_array_equal(long[:NOISE_FRAMES], read(rms, NOISE_FRAMES, np.array([NOISE_FRAMES - 100]))[0])
    np.testing.assert_array_equal(long[100:1_100], read(rms, 1_000, np.array([0]))[0])
    np.testing.assert_array_equal(long[-50:], long[:50])
    steps = np.abs(np.diff(long))
    for seam in (100, NOISE_FRAMES, NOISE_FRAMES + 100, 2 * NOISE_FRAMES):
        assert steps[seam - 1] <= np.delete(steps, seam - 1).max()
