"""A sound taken apart: known partials and noise are found, and put together again they are the sound."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.synthesis.decomposition import (
    decompose,
    frame_hop,
    measured_powers,
    noise_edges,
    partial_count,
    refine_f0,
    share_left,
    window_periods,
)

RATE = 16_000
HOP = 64


def tone(f0: np.ndarray, amplitudes: list[float], rate: int = RATE) -> np.ndarray:
    """Sum of partials with odd phases under a fundamental given on frames; independent of the code under test."""
    hop = rate // 250
    samples = np.arange((len(f0) - 1) * hop)
    hz = np.interp(samples / hop, np.arange(len(f0)), f0)
    cycles = np.concatenate([[0.0], np.cumsum(0.5 * (hz[1:] + hz[:-1]) / rate)])
    return sum(a * np.sin(2 * np.pi * (k * cycles + 0.37 * k * k)) for k, a in enumerate(amplitudes, 1))


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("hz", [55.0, 440.0, 1760.0])
def test_partials_of_a_steady_tone_are_found(hz: float, rate: int) -> None:
    wanted = [0.2, 0.1, 0.05, 0.02]
    f0 = np.full(251, hz)
    audio = tone(f0, wanted, rate)
    found = decompose(audio, f0, np.ones(251), sample_rate=rate, partials=6)
    inside = slice(40, 210)
    # the sinc of the warp is short: a ten-thousandth of the strongest partial
    np.testing.assert_allclose(found.partials[inside, :4], np.tile(wanted, (170, 1)), atol=2e-4)
    assert np.abs(found.partials[inside, 4:]).max() < 2e-4
    # and nothing is left over: 60 dB below the tone in all
    assert 10 * np.log10((10 ** (found.noise_db[inside] / 10)).sum(1).max()) < -74.0


def test_vibrato_does_not_leak_into_the_noise() -> None:
    time = np.arange(501) / 250
    f0 = 440.0 * 2 ** (50.0 * np.sin(2 * np.pi * 6.0 * time) / 1200)
    audio = tone(f0, [0.1] * 12)
    found = decompose(audio, f0, np.ones(501), sample_rate=RATE, partials=15)
    np.testing.assert_allclose(found.partials[40:460, :12], 0.1, rtol=0.02)
    # a window of a fixed length would leave the twelfth partial at -40 dB
    assert (10 ** (found.noise_db[40:460] / 10)).sum(1).max() < 0.06 * 1e-4


def test_a_leap_is_cut_cleanly() -> None:
    f0 = np.concatenate([np.full(125, 300.0), np.full(126, 600.0)])
    audio = tone(f0, [0.1, 0.1, 0.1])
    found = decompose(audio, f0, np.ones(251), sample_rate=RATE, partials=5)
    for inside in (slice(40, 115), slice(136, 210)):
        np.testing.assert_allclose(found.partials[inside, :3], 0.1, rtol=0.01)


@pytest.mark.parametrize("cents", [-20.0, 7.0, 20.0])
def test_phases_mend_the_fundamental(cents: float) -> None:
    true = np.full(251, 330.0)
    audio = tone(true, [0.1, 0.05, 0.03]) + 1e-3 * np.random.default_rng(1).standard_normal(250 * HOP)
    mended = refine_f0(audio, true * 2 ** (cents / 1200), sample_rate=RATE, rounds=2)
    assert np.abs(1200 * np.log2(mended[20:-20] / true[20:-20])).max() < 1.0


def test_a_fundamental_that_is_far_off_stays() -> None:
    audio = tone(np.full(251, 330.0), [0.1, 0.05])
    guess = np.full(251, 345.0)
    assert np.abs(1200 * np.log2(refine_f0(audio, guess, sample_rate=RATE) / guess)).max() < 30.0


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_white_noise_is_white_at_its_level(rate: int) -> None:
    audio = 0.01 * np.random.default_rng(2).standard_normal(rate * 4)
    f0 = np.full(1001, 440.0)
    found = decompose(audio, f0, np.zeros(1001), sample_rate=rate, partials=3)
    edges = np.array(noise_edges(rate))
    density = (10 ** (found.noise_db[50:-50] / 10)).mean(0) / np.diff(edges)
    wanted = 0.01**2 / (rate / 2)
    # 4 s of 16 ms windows: 5 % of scatter a band; the ends, below 20 Hz and at Nyquist, are half bins
    np.testing.assert_allclose(density[2:-1], wanted, rtol=0.3)
    assert abs(float(np.sum(density * np.diff(edges))) / 0.01**2 - 1.0) < 0.03
    assert found.partials.max() < 0.01  # white noise is not explained by partials


def test_what_rings_beside_a_high_note_is_not_its_partial() -> None:
    # another tone 120 Hz off lies outside the main lobe of 20 ms, 100 Hz wide to either side; inside that of 5 periods
    audio = tone(np.full(501, 1_000.0), [0.1]) + tone(np.full(501, 1_120.0), [0.02])
    found = decompose(audio, np.full(501, 1_000.0), np.ones(501), sample_rate=RATE, partials=3)
    assert np.ptp(found.partials[40:-40, 0]) < 0.002
    assert window_periods(np.array([50.0, 250.0, 440.0, 1_000.0])).tolist() == [5, 5, 9, 20]


def test_long_windows_leave_half_and_short_ones_all() -> None:
    # a Hann window of five periods weighs them .038 .262 .4 .262 .038: with .4 - 1 in the middle, the squares sum to .5
    np.testing.assert_allclose(share_left(np.array([15.0])), 0.5, atol=0.005)
    assert share_left(np.array([4_000.0]))[0] > 0.9


@pytest.mark.parametrize("hz", [100.0, 400.0, 1_000.0])
def test_what_the_fit_took_up_is_given_back(hz: float) -> None:
    random = np.random.default_rng(3)
    f0 = np.full(1001, hz)
    audio = tone(f0, [0.1, 0.0, 0.05]) + 0.01 * random.standard_normal(1000 * HOP)
    found = decompose(audio, f0, np.ones(1001), sample_rate=RATE, partials=80)
    partials, noise = measured_powers(found.partials, found.noise_db, f0, found.harmonic, noise_edges(RATE))
    inside = slice(50, -50)
    assert abs(noise[inside].mean() / 1e-4 - 1.0) < 0.05
    # partial 1 is a tone, partial 2 was noise alone: what scatters above the mean stays
    assert abs(partials[inside, 0].mean() / (0.1**2 / 2) - 1.0) < 0.02
    window_power = 1e-4 * 0.3 * hz / 8_000.0
    assert partials[inside, 1].mean() < 0.7 * window_power


def test_what_rings_on_keeps_its_partials() -> None:
    audio = tone(np.full(251, 440.0), [0.1, 0.05])
    found = decompose(audio, np.full(251, 440.0), np.zeros(251), sample_rate=RATE, partials=4)
    assert found.harmonic[40:210].min() == 1.0
    np.testing.assert_allclose(found.partials[40:210, 0], 0.1, rtol=0.01)


def test_silence_is_silence() -> None:
    found = decompose(np.zeros(8_000), np.full(126, 220.0), np.ones(126), sample_rate=RATE, partials=4)
    assert not found.partials.any()
    assert (found.noise_db == -120.0).all()


def test_a_piece_of_a_sound_is_that_piece_of_the_whole() -> None:
    random = np.random.default_rng(4)
    time = np.arange(1001) / 250
    f0 = 220.0 * 2 ** (30.0 * np.sin(2 * np.pi * 5.0 * time) / 1200)
    audio = tone(f0, [0.1, 0.08, 0.05, 0.02]) + 0.003 * random.standard_normal(1000 * HOP)
    whole = decompose(audio, f0, np.ones(1001), sample_rate=RATE, partials=8)
    part = decompose(audio[240 * HOP : 760 * HOP], f0[240:760], np.ones(520), sample_rate=RATE, partials=8)
    # the warp starts elsewhere, so its samples lie elsewhere: rounding of windows to whole samples shows
    np.testing.assert_allclose(part.partials[60:-60], whole.partials[300:700], atol=3e-4)
    difference = np.abs(part.noise_db[60:-60] - whole.noise_db[300:700])
    assert np.median(difference) < 0.3


def test_rates_and_counts() -> None:
    assert frame_hop(48_000) == 192
    with pytest.raises(ValueError, match="resample to one of"):
        frame_hop(44_100)
    assert partial_count(440.0, 16_000) == 18
    assert partial_count(20.0, 48_000) == 300
    for rate in (16_000, 48_000):
        edges = np.array(noise_edges(rate))
        assert edges[0] == 0.0
        assert edges[-1] == rate / 2
        assert (np.diff(edges) > 0).all()
    assert len(noise_edges(16_000)) == 130
