"""Wavetables: the original's numbers, and a period that sounds like its partials."""

from __future__ import annotations

import pytest
import torch

from mididdsp.synthesis.dsp.wavetables import harmonics_to_wavetable, linear_lookup, wavetable_synthesis


def within(found: torch.Tensor, wanted: torch.Tensor, absolute: float) -> None:
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=absolute)


def test_tables_and_their_reading_match_the_original(golden) -> None:
    case = golden("wavetable")
    phase = case["lookup_phase"][..., 0]
    within(linear_lookup(phase, case["lookup_table_static"]), case["lookup_static"], 1e-5)
    within(linear_lookup(phase, case["lookup_tables_per_sample"]), case["lookup_per_sample"], 1e-5)
    within(harmonics_to_wavetable(case["hd_for_wavetable"], 256), case["hd_to_wavetable_256"], 1e-5)


def test_wavetable_synthesis_matches_the_original(golden) -> None:
    case = golden("wavetable")
    for tables, audio in (("wavetable_static", "audio_static"), ("wavetables_per_frame", "audio_per_frame")):
        found = wavetable_synthesis(
            case["frequencies"][..., 0],
            case["amplitudes"][..., 0],
            case[tables],
            samples=int(case["n_samples"]),
            sample_rate=float(case["sample_rate"]),
        )
        within(found, case[audio], 3e-3)  # the original's phase is a float32 sum


def test_a_period_of_partials_sounds_like_them() -> None:
    harmonics = torch.tensor([0.5, 0.0, 0.25], dtype=torch.float64)
    frames = torch.full((10,), 100.0, dtype=torch.float64)
    audio = wavetable_synthesis(
        frames, torch.ones_like(frames), harmonics_to_wavetable(harmonics, 512), samples=1_600, sample_rate=16_000.0
    )
    time = torch.arange(1_600, dtype=torch.float64) / 16_000
    wanted = 0.5 * torch.cos(2 * torch.pi * 100 * time) + 0.25 * torch.cos(2 * torch.pi * 300 * time)
    within(audio, wanted, 3e-4)  # linear reading: (3 pi / 512)^2 / 2 of the third partial, and the first


def test_the_end_of_a_table_meets_its_start() -> None:
    table = torch.tensor([0.0, 1.0, 2.0, 3.0])
    within(linear_lookup(torch.tensor([0.0, 0.75, 0.875, 1.0]), table), torch.tensor([0.0, 3.0, 1.5, 0.0]), 1e-6)


def test_a_table_too_small_for_its_partials_is_refused() -> None:
    with pytest.raises(ValueError, match="60 partials do not fit a table of 64"):
        harmonics_to_wavetable(torch.ones(60), 64)


def test_gradients() -> None:
    f0 = torch.tensor([900.0, 1_000.0], dtype=torch.float64, requires_grad=True)
    amplitude = torch.rand(2, dtype=torch.float64, requires_grad=True)
    harmonics = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)

    def sound(f0: torch.Tensor, amplitude: torch.Tensor, harmonics: torch.Tensor) -> torch.Tensor:
        return wavetable_synthesis(
            f0, amplitude, harmonics_to_wavetable(harmonics, 16), samples=12, sample_rate=16_000.0
        )

    assert torch.autograd.gradcheck(sound, (f0, amplitude, harmonics))
