"""The spectral loss: the original's numbers term by term, and a value worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mididdsp.synthesis.losses import FFT_SIZES, MIDI_DDSP_WEIGHTS, SpectralWeights, mean_difference, spectral_loss

TERMS = ("mag", "logmag", "delta_time", "delta_freq", "cumsum_freq", "loudness")
RELATIVE = 1e-4  # float32 sums over some hundred thousand magnitudes


def only(term: str) -> SpectralWeights:
    return SpectralWeights(**{name: float(name == term) for name in TERMS})


@pytest.mark.parametrize("distance", ["L1", "L2"])
@pytest.mark.parametrize("term", TERMS)
def test_each_term_matches_the_original(golden, term: str, distance: str) -> None:
    case = golden("spectral_loss")
    found = spectral_loss(case["target_audio"], case["audio"], only(term), distance=distance)
    torch.testing.assert_close(found, case[f"{term}_{distance}"], rtol=RELATIVE, atol=0.0)


@pytest.mark.parametrize("size", FFT_SIZES)
@pytest.mark.parametrize("term", ["mag", "logmag"])
def test_each_size_matches_the_original(golden, term: str, size: int) -> None:
    case = golden("spectral_loss")
    found = spectral_loss(case["target_audio"], case["audio"], only(term), fft_sizes=[size])
    torch.testing.assert_close(found, case[f"{term}_L1_only{size}"], rtol=RELATIVE, atol=0.0)


def test_totals_match_the_original(golden) -> None:
    case = golden("spectral_loss")
    target, audio = case["target_audio"], case["audio"]
    for found, key in (
        (spectral_loss(target, audio), "default"),
        (spectral_loss(target, audio, MIDI_DDSP_WEIGHTS), "mididdsp_mag1_logmag1_L1"),
        (spectral_loss(target, torch.zeros_like(target), MIDI_DDSP_WEIGHTS), "mididdsp_vs_silence"),
    ):
        torch.testing.assert_close(found, case[key], rtol=RELATIVE, atol=0.0)


def test_gradient_matches_the_original(golden) -> None:
    case = golden("spectral_loss")
    audio = case["audio"].clone().requires_grad_()
    spectral_loss(case["target_audio"], audio, MIDI_DDSP_WEIGHTS).backward()
    wanted = case["grad_wrt_audio_of_mididdsp_loss"]
    assert audio.grad is not None
    # 1e-3 of the largest: the sign of a magnitude difference near 0 is a matter of rounding.
    torch.testing.assert_close(audio.grad, wanted, rtol=0.0, atol=1e-3 * float(wanted.abs().max()))


def test_mean_difference_matches_the_original(golden) -> None:
    case = golden("spectral_loss")
    for distance in ("L1", "L2"):
        plain = mean_difference(case["md_target"], case["md_value"], distance)
        weighted = mean_difference(case["md_target"], case["md_value"], distance, case["md_weights"])
        torch.testing.assert_close(plain, case[f"md_{distance}"], rtol=1e-5, atol=0.0)
        torch.testing.assert_close(weighted, case[f"md_{distance}_weighted"], rtol=1e-5, atol=0.0)


def test_a_sound_against_itself_is_zero_and_half_as_loud_is_log_two() -> None:
    time = torch.arange(4_000) / 16_000
    audio = torch.sin(2 * math.pi * 440.0 * time) + 0.1 * torch.randn(4_000, generator=torch.Generator().manual_seed(0))
    assert float(spectral_loss(audio, audio, MIDI_DDSP_WEIGHTS)) == 0.0
    halved = spectral_loss(audio, audio / 2, only("logmag"), fft_sizes=[256])
    assert float(halved) == pytest.approx(math.log(2.0), rel=1e-4)  # float32 means


def test_differing_shapes_and_distances_are_refused() -> None:
    with pytest.raises(ValueError, match="same samples"):
        spectral_loss(torch.zeros(10), torch.zeros(11))
    with pytest.raises(ValueError, match='distance is "L3"'):
        spectral_loss(torch.zeros(10), torch.zeros(10), distance="L3")


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(5)
    target = torch.randn(70, dtype=torch.float64, generator=generator)
    audio = torch.randn(70, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = SpectralWeights(logmag=1.0, delta_time=1.0, delta_freq=1.0, cumsum_freq=1.0)
    assert torch.autograd.gradcheck(lambda a: spectral_loss(target, a, weights, fft_sizes=[16, 8], distance="L2"),
                                    (audio,))
