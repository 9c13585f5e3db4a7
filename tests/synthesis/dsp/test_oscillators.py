"""The plain oscillators: the original's numbers where its float32 phase allows, exact arithmetic else."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.synthesis.dsp.oscillators import (
    audible_harmonics,
    harmonic_controls,
    harmonic_frequencies,
    harmonic_oscillator_bank,
    harmonic_synthesis,
    harmonic_synthesis_streaming,
    normalize_harmonics,
    oscillator_bank,
    remove_above_nyquist,
    running_phase,
)

RATE = 16_000.0


def within(found: torch.Tensor, wanted: torch.Tensor, absolute: float) -> None:
    torch.testing.assert_close(found.to(wanted.dtype), wanted, rtol=0.0, atol=absolute)


def same_angle(found: torch.Tensor, wanted: torch.Tensor, absolute: float) -> None:
    turn = torch.remainder(found - wanted + math.pi, 2 * math.pi) - math.pi
    assert float(turn.abs().max()) <= absolute


def test_oscillator_bank_matches_the_original(golden) -> None:
    case = golden("oscillator_bank")
    frequencies, amplitudes = case["frequency_envelopes"], case["amplitude_envelopes"]
    phase = 5e-3  # the original's phase is a float32 sum
    within(remove_above_nyquist(frequencies, amplitudes, RATE), case["remove_above_nyquist_16k"], 1e-5)
    within(oscillator_bank(frequencies, amplitudes, RATE), case["audio"], phase)
    within(oscillator_bank(frequencies, amplitudes, RATE), case["audio_angular_cumsum"], phase)
    within(oscillator_bank(frequencies, amplitudes, RATE, sum_partials=False), case["audio_no_sum"], phase)
    f0 = case["f0_edge"][..., 0]
    within(harmonic_frequencies(f0, 10), case["harmonic_frequencies_10"], 1e-5)
    flat = case["normalize_harmonics_10_no_f0"]
    within(normalize_harmonics(flat), flat, 1e-5)
    within(normalize_harmonics(flat, f0, RATE), case["normalize_harmonics_10"], 1e-5)
    # The file's fundamental for this key is its first frequency over 17 (read off the audio itself).
    audio, last = harmonic_oscillator_bank(frequencies[..., 0].double() / 17.0, amplitudes,
                                           case["harmonic_oscillator_initial_phase"][..., 0], RATE)
    within(audio, case["harmonic_oscillator_audio"], phase)
    same_angle(last, case["harmonic_oscillator_final_phase"][..., 0], phase)


def test_phase_matches_the_original_modulo_a_turn(golden) -> None:
    case = golden("angular_cumsum")
    hz = case["omega"] * RATE / (2 * math.pi)
    same_angle(running_phase(hz, RATE), case["phase_chunk1000"], 5e-3)  # float32 accumulation
    same_angle(running_phase(hz, RATE), case["phase_chunk500"], 5e-3)
    same_angle(running_phase(hz[:, :3000], RATE), case["phase_exact_multiple_3000"], 5e-3)
    steady = torch.full((1, 40_000, 1), float(case["const440_omega"]) * RATE / (2 * math.pi))
    found = running_phase(steady, RATE)[:, case["const440_phase_samples"].long()]
    same_angle(found, case["const440_phase"], 0.1)  # the original's own drift over 2.5 s


@pytest.mark.parametrize(("name", "f0", "distribution", "options", "tolerance"), [
    ("audio_const_hd60", "const", "hd60", {}, 1e-2),  # measured: the original is 5.8e-3 off exact arithmetic
    ("audio_gliss_hd60", "gliss", "hd60", {}, 1e-3),
    ("audio_gliss_hd100", "gliss", "hd100", {}, 1e-3),
    ("audio_vib_high_hd100", "vib_high", "hd100", {}, 1e-3),
    ("audio_gliss_hd60_angular", "gliss", "hd60", {}, 1e-3),
    ("audio_gliss_hd60_amp_linear", "gliss", "hd60", {"amplitude_method": "linear"}, 1e-3),
    ("audio_gliss_hd60_shifts", "gliss", "hd60", {"shifts": "harmonic_shifts"}, 1e-3),
    ("audio_gliss_single_sine", "gliss", None, {}, 1e-3),
])
def test_harmonic_synthesis_matches_the_original(golden, name, f0, distribution, options, tolerance) -> None:
    case = golden("harmonic_synthesis")
    options = {key: case.get(value, value) if key == "shifts" else value for key, value in options.items()}
    harmonics = None if distribution is None else case[distribution]
    found = harmonic_synthesis(case[f"f0_{f0}"][..., 0], case["amplitudes"][..., 0], harmonics, samples=3200,
                               sample_rate=RATE, **options)
    within(found, case[name], tolerance)


@pytest.mark.parametrize(("name", "f0", "distribution"), [
    ("const_hd60", "const", "hd60"), ("gliss_hd60", "gliss", "hd60"), ("gliss_hd100", "gliss", "hd100"),
    ("vib_high_hd100", "vib_high", "hd100")])
def test_harmonic_synthesis_is_exact(golden, name: str, f0: str, distribution: str) -> None:
    exact = golden("harmonic_exact_float64")
    case = golden("harmonic_synthesis")
    found = harmonic_synthesis(case[f"f0_{f0}"][..., 0], case["amplitudes"][..., 0], case[distribution], samples=3200,
                               sample_rate=RATE)
    within(found, exact[name], 1e-6)  # amplitudes are float32; the file's tolerance is 1e-5


def test_ten_seconds_do_not_drift(golden) -> None:
    case, exact = golden("harmonic_synthesis_long"), golden("harmonic_exact_float64")
    frames = case["f0_hz"].shape[1]
    found = harmonic_synthesis(case["f0_hz"][..., 0], case["amplitude"].expand(1, frames),
                               case["harmonic_distribution"].expand(1, frames, 3), samples=160_000, sample_rate=RATE)
    within(found[:, :2000], case["audio_angular_first_2000"], 1e-3)
    within(found[:, -2000:], case["audio_angular_last_2000"], 1e-2)  # the original drifts by then
    within(found[:, -2000:], exact["long_last_2000"], 1e-6)


def test_streaming_matches_the_original_and_its_pieces_join(golden) -> None:
    case = golden("harmonic_synthesis")
    f0, amplitude, harmonics = case["f0_gliss"][..., 0], case["amplitudes"][..., 0], case["hd60"]
    audio, last = harmonic_synthesis_streaming(f0, amplitude, harmonics, case["streaming_initial_phase"][..., 0],
                                               samples=3200, sample_rate=RATE)
    within(audio, case["streaming_audio"], 1e-3)
    same_angle(last, case["streaming_final_phase"][..., 0], 1e-3)
    hz, level = torch.full((1, 400), 333.0), torch.full((1, 400, 3), 0.1)
    whole, _ = harmonic_oscillator_bank(hz, level, 0.0, RATE)
    first, phase = harmonic_oscillator_bank(hz[:, :150], level[:, :150], 0.0, RATE)
    second, _ = harmonic_oscillator_bank(hz[:, 150:], level[:, 150:], phase, RATE)
    within(torch.cat([first, second], dim=-1), whole, 1e-6)  # float32 output, float64 phase


def test_controls_match_the_original(golden) -> None:
    case = golden("harmonic_processor")
    for f0, prefix in (("f0_hz", ""), ("f0_hz_with_zeros", "zero_")):
        hz = case[f0][..., 0]
        amplitude, harmonics = harmonic_controls(case["raw_amplitudes"][..., 0], case["raw_harmonic_distribution"], hz,
                                                 RATE)
        within(amplitude, case["ctl_amplitudes"][..., 0], 1e-6)
        within(harmonics, case[f"{prefix}ctl_harmonic_distribution"], 1e-6)
        audio = harmonic_synthesis(hz, amplitude, harmonics, samples=3200, sample_rate=RATE)
        within(audio, case[f"{prefix}audio"], 5e-3)  # float32 phase


@given(f0_hz=st.floats(20.0, 30_000.0, width=32), count=st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_a_lower_rate_only_removes_partials(f0_hz: float, count: int) -> None:
    harmonics = torch.full((1, count), 1.0 / count)
    at_16k, at_48k = (audible_harmonics(harmonics, torch.tensor([f0_hz]), rate) for rate in (16_000.0, 48_000.0))
    # Exact: a partial is either passed on untouched or dropped.
    assert torch.equal(at_16k, torch.where(at_16k > 0, at_48k, 0.0))
    assert (at_16k[0, 0] > 0) == (f0_hz < 8_000.0)


def test_frames_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="give one f0 per frame"):
        audible_harmonics(torch.ones(5, 3), torch.ones(4), RATE)


def test_a_sine_is_a_sine() -> None:
    found = harmonic_synthesis(torch.full((10,), 1000.0), torch.full((10,), 0.5), samples=640, sample_rate=RATE)
    # The first sample is one step in: the original's inclusive sum.
    wanted = 0.5 * torch.sin(2 * math.pi * 1000.0 / RATE * torch.arange(1, 641, dtype=torch.float64))
    within(found, wanted.float(), 1e-6)


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(3)
    f0 = (200.0 + 5.0 * torch.rand(3, dtype=torch.float64, generator=generator)).requires_grad_()
    amplitude = torch.rand(3, dtype=torch.float64, generator=generator, requires_grad=True)
    harmonics = torch.rand(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda *inputs: harmonic_synthesis(*inputs, samples=12, sample_rate=RATE), (f0, amplitude, harmonics))
