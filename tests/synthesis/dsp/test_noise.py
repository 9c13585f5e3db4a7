"""Noise: the original's filter on given noise; the production noise's power, spectrum, tiles and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mididdsp.random import keyed_generator
from mididdsp.synthesis.dsp import noise as noise_module
from mididdsp.synthesis.dsp.noise import (
    filtered_noise,
    noise_blocks,
    noise_controls,
    noise_hop,
    random_spectra,
    shaped_noise,
)

RATES = (16_000, 44_100, 48_000)


def make(band_rms: torch.Tensor, edges: list[float], rate: int, samples: int, seed: int = 0) -> torch.Tensor:
    spectra = random_spectra(keyed_generator(seed, "test"), noise_blocks(samples, rate), rate)
    return shaped_noise(band_rms, spectra, samples=samples, edges_hz=edges, sample_rate=rate)


def band_power_db(audio: np.ndarray, rate: int, low: float, high: float) -> float:
    """Power between two frequencies, by averaged Hann spectra with 4 Hz bins."""
    size = rate // 4
    frames = np.lib.stride_tricks.sliding_window_view(audio.astype(np.float64), size)[:: size // 2]
    window = np.hanning(size + 1)[:-1]
    spectrum = (np.abs(np.fft.rfft(frames * window)) ** 2).mean(0) * 2 / (size * (window**2).sum())
    hz = np.fft.rfftfreq(size, 1 / rate)
    return float(10 * np.log10(spectrum[(hz >= low) & (hz < high)].sum()))


def test_filtered_noise_matches_the_original(golden) -> None:
    case = golden("filtered_noise")
    for name, window, bias in (("default", 257, -5.0), ("mididdsp", 16_000, -5.0), ("w0", 0, -5.0),
                               ("bias0_w65", 65, 0.0)):
        magnitudes = noise_controls(case["raw_magnitudes"], bias)
        torch.testing.assert_close(magnitudes, case[f"ctl_magnitudes_{name}"], rtol=0.0, atol=1e-6)  # FFT
        found = filtered_noise(case["noise"], magnitudes, window)
        torch.testing.assert_close(found, case[f"audio_{name}"], rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_band_power_is_what_was_asked(rate: int) -> None:
    edges = [0.0, 300.0, 700.0, 1_200.0, 2_000.0, 3_000.0, 4_500.0, 7_000.0]
    levels_db = np.array([-34.0, -30.0, -36.0, -40.0, -44.0, -42.0, -50.0])
    seconds = 40
    rms = torch.from_numpy(10 ** (levels_db / 20)).float().expand(seconds * 250, -1)
    audio = make(rms, edges, rate, seconds * rate).numpy()
    for low, high, level in zip(edges[:-1], edges[1:], levels_db):
        # 0.3 dB: what still blurs over the edges, and the scatter of 40 s (a 300 Hz band: 0.04 dB).
        assert band_power_db(audio, rate, low, high) == pytest.approx(level, abs=0.3)
    total = 10 * np.log10((10 ** (levels_db / 10)).sum())
    assert 10 * np.log10(np.mean(audio**2)) == pytest.approx(total, abs=0.1)  # the whole loses nothing


def test_the_spectrum_below_7_khz_does_not_depend_on_the_rate() -> None:
    edges = np.linspace(0.0, 24_000.0, 97).tolist()
    levels = 10 ** (np.linspace(-50.0, -75.0, 96) / 20)
    seconds = 30
    rms = torch.from_numpy(levels).float().expand(seconds * 250, -1)
    powers = {}
    for rate in RATES:
        audio = make(rms, edges, rate, seconds * rate, seed=rate).numpy()
        powers[rate] = [band_power_db(audio, rate, low, low + 500.0) for low in range(0, 7_000, 500)]
    # 0.5 dB is promised; 30 s of a 500 Hz band scatter by 0.04 dB.
    np.testing.assert_allclose(powers[16_000], powers[48_000], atol=0.25)
    np.testing.assert_allclose(powers[44_100], powers[48_000], atol=0.25)


def test_bands_above_nyquist_are_silent_and_the_rest_keep_their_level() -> None:
    edges = [0.0, 4_000.0, 8_000.0, 16_000.0]
    rms = torch.tensor([[0.0, 0.0, 0.1]]).expand(500, -1)
    assert torch.count_nonzero(make(rms, edges, 16_000, 32_000)) == 0
    half = torch.tensor([[0.0, 0.1, 0.1]]).expand(500, -1)
    both = make(half, [0.0, 4_000.0, 6_000.0, 10_000.0], 16_000, 32_000)
    # Half of the last band fits below 8 kHz: power 0.01 + 0.005; 64,000 samples scatter by about 1 %.
    assert float(both.square().mean()) == pytest.approx(0.015, rel=0.05)


def test_levels_follow_in_time() -> None:
    rms = torch.zeros(500, 1)
    rms[250:] = 0.1
    audio = make(rms, [0.0, 24_000.0], 48_000, 96_000).numpy()
    assert np.count_nonzero(audio[: 48_000 - 5 * 192]) == 0  # blocks reach two hops back, frames interpolate over one
    assert np.sqrt(np.mean(audio[48_000 + 400 :] ** 2)) == pytest.approx(0.1, rel=0.02)


def test_noise_is_gaussian_and_white() -> None:
    audio = make(torch.full((2500, 1), 1.0), [0.0, 24_000.0], 48_000, 480_000).numpy().astype(np.float64)
    assert np.mean(audio**4) / np.mean(audio**2) ** 2 == pytest.approx(3.0, abs=0.05)  # scatter sqrt(24/N) = 0.007
    correlation = np.mean(audio[1:] * audio[:-1]) / np.mean(audio**2)
    assert abs(correlation) < 0.01  # DC and the edge of Nyquist are left out, which is 1 part in 768 each


def test_draws_do_not_depend_on_how_many_are_asked_at_once() -> None:
    whole = random_spectra(keyed_generator(3, "a"), 10, 44_100)
    generator = keyed_generator(3, "a")
    parts = torch.cat([random_spectra(generator, count, 44_100) for count in (1, 4, 5)])
    assert torch.equal(whole, parts)
    assert not torch.equal(whole, random_spectra(keyed_generator(3, "b"), 10, 44_100))
    assert float(whole.abs().square().mean()) == pytest.approx(1.0, abs=0.05)  # 3,520 values


def test_a_shorter_sound_is_the_start_of_a_longer_one() -> None:
    rms = torch.rand(600, 3, generator=torch.Generator().manual_seed(1))
    long = make(rms, [0.0, 1_000.0, 4_000.0, 8_000.0], 16_000, 38_400)
    short = make(rms, [0.0, 1_000.0, 4_000.0, 8_000.0], 16_000, 10_000)
    # The same numbers, in tiles of other sizes: float32 matrix products and FFTs.
    torch.testing.assert_close(short, long[:10_000], rtol=0.0, atol=1e-5)


def test_hops_are_whole_samples_near_4_ms() -> None:
    assert [noise_hop(rate) for rate in RATES] == [64, 176, 192]


def test_bad_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="2 noise bands need 3 edges, not 2"):
        make(torch.ones(5, 2), [0.0, 100.0], 16_000, 100)
    with pytest.raises(ValueError, match="increasing"):
        make(torch.ones(5, 2), [0.0, 100.0, 50.0], 16_000, 100)
    with pytest.raises(ValueError, match="need .* random spectra"):
        shaped_noise(torch.ones(5, 1), torch.ones(1, 128), samples=1_000, edges_hz=[0.0, 8_000.0], sample_rate=16_000)


def test_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_module, "NOISE_HOP_S", 0.0005)  # blocks of 16 samples keep the check small
    rate = 8_000
    spectra = random_spectra(keyed_generator(1, "g"), noise_blocks(20, rate), rate).to(torch.complex128)
    rms = torch.rand(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).add_(0.1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: shaped_noise(x, spectra, samples=20, edges_hz=[0.0, 900.0, 2_000.0, 4_000.0], sample_rate=rate,
                               frame_rate=2_000.0), (rms,))


def test_silent_bands_have_finite_gradients() -> None:
    rms = torch.zeros(10, 2, requires_grad=True)
    make(rms, [0.0, 1_000.0, 8_000.0], 16_000, 640).square().sum().backward()
    assert rms.grad is not None
    assert bool(rms.grad.isfinite().all())
