"""Reverb: the original's numbers, and what a room must do."""

from __future__ import annotations

import pytest
import torch

from mididdsp.synthesis.dsp.noise import filtered_noise, noise_controls
from mididdsp.synthesis.effects import chorus, decayed_impulse_response, exponential_impulse_response, reverb


def within(found: torch.Tensor, wanted: torch.Tensor, absolute: float = 1e-6) -> None:
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=absolute)  # 1e-6: float32 FFTs


def test_reverb_matches_the_original(golden) -> None:
    case = golden("reverb")
    audio = case["audio"]
    within(reverb(audio, case["ir"]), case["reverb"])
    within(reverb(audio, case["ir"], add_dry=False), case["reverb_nodry"])
    within(reverb(audio, case["ir_longer_than_audio"]), case["reverb_ir_longer_than_audio"])
    decaying = exponential_impulse_response(case["expdecay_raw_gain"], case["expdecay_raw_decay"],
                                            case["expdecay_noise"])
    within(decaying, case["expdecay_ir"])
    within(reverb(audio, decaying), case["expdecay_audio"])
    shaped = filtered_noise(case["filtnoise_noise"], noise_controls(case["filtnoise_raw_magnitudes"], bias=-3.0))
    within(shaped, case["filtnoise_ir"])
    within(reverb(audio, shaped), case["filtnoise_audio"])
    decay = decayed_impulse_response(torch.ones(48_000))
    within(decay[::100], case["inference_decay_48000_step100"])
    within(decay[-1], case["inference_decay_48000_last"])


def test_midi_ddsp_reverb_matches_the_original(golden) -> None:
    case = golden("mididdsp_reverb")
    audio = torch.nn.functional.pad(case["audio_first_512_then_zeros"], (0, int(case["n_samples"]) - 512))
    responses = torch.stack([case["ir_row3"], case["ir_row7"]])
    within(reverb(audio, responses), case["audio_training"])
    decayed = decayed_impulse_response(responses, int(case["decay_start"]), float(case["decay_exponent"]))
    within(reverb(audio, decayed), case["audio_inference"])


def test_an_echo_comes_when_it_should() -> None:
    audio = torch.zeros(100)
    audio[10] = 1.0
    response = torch.zeros(50)
    response[0], response[30] = 9.0, 0.5  # the first value is the dry path's, and ignored
    wanted = torch.zeros(100)
    wanted[10], wanted[40] = 1.0, 0.5
    within(reverb(audio, response), wanted)


def test_a_response_shorter_than_the_decay_is_left_alone() -> None:
    response = torch.randn(100)
    assert torch.equal(decayed_impulse_response(response), response)


def test_gradients() -> None:
    audio = torch.randn(2, 10, dtype=torch.float64, requires_grad=True)
    response = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, r: reverb(a, decayed_impulse_response(r, start=3)), (audio, response))


def test_a_chorus_adds_copies_that_drift_apart() -> None:
    rate = 16_000.0
    audio = torch.zeros(8_000)
    audio[100] = 1.0
    found = chorus(audio, rate, voices=2, centre_ms=10.0, depth_ms=4.0, wet_db=-6.0)
    assert found[100] == 1.0
    copies = torch.nonzero(found[101:].abs() > 0.05).squeeze(-1) + 1
    assert copies.min() >= 0.010 * rate  # no earlier than the shortest delay
    assert copies.max() <= 0.014 * rate + 1  # and no later than the longest
    # an impulse between two samples is shared by both: the copies sum to their gain
    within(found[101:].sum(), torch.tensor(2 * 10 ** (-6 / 20) / 2**0.5), 0.02)
    with pytest.raises(ValueError, match="give at least 1"):
        chorus(audio, rate, voices=0)
