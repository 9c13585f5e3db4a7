"""Delays that move: the original's numbers, and delays that are what they say."""

from __future__ import annotations

import torch

from mididdsp.synthesis.dsp.delays import modulated_delay, modulation_controls, variable_delay


def within(found: torch.Tensor, wanted: torch.Tensor, absolute: float) -> None:
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=absolute)


def test_delays_match_the_original(golden) -> None:
    case = golden("delay")
    audio, phase = case["audio"], case["phase"][..., 0]
    place = 5e-4  # a position in float32
    within(variable_delay(audio, phase, 512), case["delayed_max512"], place)
    within(variable_delay(audio, phase, 64), case["delayed_max64"], place)
    gain, swing = modulation_controls(case["mod_raw_gain"][..., 0], case["mod_raw_phase"][..., 0])
    within(gain, case["mod_ctl_gain"][..., 0], 1e-6)
    within(swing, case["mod_ctl_phase"][..., 0], 1e-6)
    within(modulated_delay(audio, gain, swing), case["mod_center15_depth10"], place)
    found = modulated_delay(audio, case["mod2_gain"][..., 0], phase, centre_ms=1.0, depth_ms=0.75, add_dry=False)
    within(found, case["mod2_center1_depth075_nodry"], place)


def test_a_steady_delay_is_a_shift() -> None:
    audio = torch.randn(2, 200)
    delayed = variable_delay(audio, torch.full((200,), 10.0 / 64), 64)
    assert torch.equal(delayed[:, 10:], audio[:, :-10])
    assert not delayed[:, :10].any()  # silence before the sound
    assert torch.equal(variable_delay(audio, torch.zeros(200), 64), audio)


def test_half_a_sample_is_the_mean_of_two() -> None:
    audio = torch.randn(50, dtype=torch.float64)
    delayed = variable_delay(audio, torch.full((50,), 2.5 / 16, dtype=torch.float64), 16)
    within(delayed[3:], 0.5 * (audio[1:-2] + audio[:-3]), 1e-12)


def test_gradients() -> None:
    audio = torch.randn(12, dtype=torch.float64, requires_grad=True)
    gain = torch.rand(12, dtype=torch.float64, requires_grad=True)
    # 1 ms of 8 kHz are 8 samples, 0.75 of them apart from a whole number: the slope jumps only there
    phase = torch.full((12,), 0.34, dtype=torch.float64, requires_grad=True)

    def sound(audio: torch.Tensor, gain: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        return modulated_delay(audio, gain, phase, sample_rate=8_000.0, centre_ms=0.25, depth_ms=0.75)

    assert torch.autograd.gradcheck(sound, (audio, gain, phase))
