"""Filters: the original's numbers, and what passes and what dies."""

from __future__ import annotations

import math

import torch

from mididdsp.synthesis.dsp.filters import (
    frequency_filter,
    frequency_impulse_response,
    sinc,
    sinc_filter,
    sinc_impulse_response,
    window_impulse_response,
)


def within(found: torch.Tensor, wanted: torch.Tensor, absolute: float) -> None:
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=absolute)


def test_impulse_responses_match_the_original(golden) -> None:
    case = golden("impulse_response")
    for size in (0, 257, 16_000, 64, 33, 65):  # even sizes below the taps give one tap less, as there
        within(frequency_impulse_response(case["magnitudes"], size), case[f"ir_window{size}"], 1e-6)
    within(frequency_impulse_response(case["magnitudes_2d"]), case["ir_2d_window0"], 1e-6)
    for key in (key for key in case if key.startswith("apply_window")):
        size = int(key.split("_")[1][len("window"):])
        response = case["zero_phase_ir63" if key.endswith("odd") else "zero_phase_ir64"]
        within(window_impulse_response(response, size, causal="causal" in key), case[key], 1e-6)


def test_frequency_filter_matches_the_original(golden) -> None:
    case = golden("frequency_filter")
    for key in (key for key in case if "window" in key):
        magnitudes = case["static_magnitudes" if "static" in key else "magnitudes"]
        found = frequency_filter(case["audio"], magnitudes, int(key.split("window")[1]),
                                 "valid" if "valid" in key else "same")
        within(found, case[key], 1e-5)


def test_sinc_filters_match_the_original(golden) -> None:
    case = golden("sinc")
    ratio, hz = case["cutoff_ratio"], case["cutoff_hz"]
    within(sinc(case["x"]), case["sinc_x"], 1e-5)
    within(sinc_impulse_response(ratio, 128), case["ir_low_w128"], 1e-5)
    within(sinc_impulse_response(ratio, 128, high_pass=True), case["ir_high_w128"], 1e-5)
    within(sinc_impulse_response(hz, 128, 16_000.0), case["ir_low_hz_w128"], 1e-5)
    within(sinc_impulse_response(ratio, 127), case["ir_low_w127"], 1e-5)
    within(sinc_filter(case["audio"], ratio, 128), case["filt_low_w128"], 1e-5)
    within(sinc_filter(case["audio"], ratio, 128, high_pass=True), case["filt_high_w128"], 1e-5)
    within(sinc_filter(case["audio"], hz, 128, 16_000.0), case["filt_low_hz_w128"], 1e-5)
    within(sinc_filter(case["audio"], case["cutoff_static"], 128, padding="valid"), case["filt_static_low_w128_valid"],
           1e-5)


def test_a_tone_below_the_cutoff_passes_and_one_above_dies() -> None:
    time = torch.arange(16_000, dtype=torch.float64) / 16_000
    cutoff = torch.tensor([[2_000.0]], dtype=torch.float64)
    for hz, low, high in ((500.0, 0.99, 1.01), (6_000.0, 0.0, 0.005)):  # Hamming: -53 dB, that is 0.2 %
        tone = torch.sin(2 * math.pi * hz * time)
        kept = sinc_filter(tone, cutoff, 512, 16_000.0)[2_000:14_000].std() / tone.std()
        assert low <= float(kept) <= high


def test_flat_magnitudes_pass_audio_through() -> None:
    audio = torch.randn(640, dtype=torch.float64)
    found = frequency_filter(audio, torch.ones(5, 65, dtype=torch.float64))
    # The original's delay compensation leaves the middle of an even filter two samples late.
    within(found[2:], audio[:-2], 1e-12)


def test_gradients() -> None:
    audio = torch.randn(20, dtype=torch.float64, requires_grad=True)
    magnitudes = torch.rand(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frequency_filter, (audio, magnitudes))
