"""Unit conversions with gradients: the original's numbers, and inverses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mididdsp import units
from mididdsp.synthesis.dsp import conversions


@pytest.mark.parametrize(("name", "given", "absolute"), [
    ("hz_to_midi", "hz", 1e-4), ("midi_to_hz", "midi", None), ("hz_to_bark", "hz_positive", None),
    ("hz_to_mel", "hz_positive", None), ("hz_to_erb", "hz_positive", None), ("amplitude_to_db", "amp", 1e-4),
    ("power_to_db", "amp", 1e-4), ("db_to_amplitude", "db", None), ("db_to_power", "db", None),
    ("unit_to_midi", "unit", 1e-4)])
def test_conversions_match_the_original(golden, name: str, given: str, absolute: float | None) -> None:
    case = golden("unit_conversions")
    found = getattr(conversions, name)(case[given])
    if absolute is None:  # 1e-5 relative: float32 logarithms and powers
        torch.testing.assert_close(found, case[name], rtol=1e-5, atol=0.0)
    else:
        torch.testing.assert_close(found, case[name], rtol=0.0, atol=absolute)


def test_options_and_inverses_match_the_original(golden) -> None:
    case = golden("unit_conversions")
    pairs = [
        (conversions.midi_to_hz(case["midi"], midi_zero_silence=True), "midi_to_hz_zero_silence"),
        (conversions.bark_to_hz(case["hz_to_bark"]), "bark_to_hz_of_hz_to_bark"),
        (conversions.mel_to_hz(case["hz_to_mel"]), "mel_to_hz_of_hz_to_mel"),
        (conversions.unit_to_midi(case["unit"], clip=True), "unit_to_midi_clip"),
        (conversions.unit_to_hz(case["unit"], 20.0, 8_000.0), "unit_to_hz_20_8000"),
        (conversions.hz_to_unit(case["hz_positive"], 20.0, 8_000.0), "hz_to_unit_20_8000"),
        (conversions.midi_to_unit(case["midi"]), "midi_to_unit"),
        (conversions.amplitude_to_db(case["amp"], 20.0, 60.0), "amplitude_to_db_ref20_range60"),
    ]
    for found, key in pairs:
        # 1e-5 relative to the largest: values that pass through 0 are differences of larger float32 numbers.
        torch.testing.assert_close(found, case[key], rtol=0.0, atol=1e-5 * float(case[key].abs().max()))


def test_agrees_with_the_conversions_of_values_and_files() -> None:
    pitch = np.linspace(12.0, 110.0, 50)
    np.testing.assert_allclose(conversions.midi_to_hz(torch.from_numpy(pitch)).numpy(), units.midi_to_hz(pitch),
                               rtol=1e-12)  # both float64
    np.testing.assert_allclose(conversions.hz_to_midi(torch.from_numpy(units.midi_to_hz(pitch))).numpy(), pitch,
                               rtol=1e-12)


def test_hz_to_midi_has_a_finite_gradient_at_zero() -> None:
    hz = torch.tensor([0.0, 440.0], requires_grad=True)
    conversions.hz_to_midi(hz).sum().backward()
    assert hz.grad is not None
    assert float(hz.grad[0]) == 0.0
    assert float(hz.grad[1]) == pytest.approx(12.0 / np.log(2.0) / 440.0, rel=1e-6)
