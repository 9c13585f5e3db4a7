"""Conversions: known values, exact inverses, floors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mididdsp.units import (
    SILENCE_DB,
    amplitude_to_db,
    db_to_amplitude,
    hz_to_midi,
    midi_to_hz,
    pitch_name,
    power_to_db,
)


def test_known_values() -> None:
    # Equal temperament over A4: an octave doubles, middle C is nine semitones below A4.
    assert midi_to_hz(69.0) == 440.0
    assert midi_to_hz(81.0) == 880.0
    assert midi_to_hz(60.0) == pytest.approx(261.6255653, rel=1e-9)
    assert midi_to_hz(69.0, a4_hz=415.0) == 415.0
    assert hz_to_midi(220.0) == 57.0
    assert hz_to_midi(415.0, a4_hz=415.0) == 69.0
    assert db_to_amplitude(-20.0) == pytest.approx(0.1, rel=1e-15)
    assert amplitude_to_db(10.0) == pytest.approx(20.0, rel=1e-15)
    assert power_to_db(0.5) == pytest.approx(-3.010299957, rel=1e-9)


@pytest.mark.parametrize(("pitch", "key", "with_cents"), [
    (60, "C4", "C4"), (69.0, "A4", "A4"), (61.25, "C#4", "C#4+25c"), (0, "C-1", "C-1"),
    (60.5, "C#4", "C#4-50c"), (61.5, "D4", "D4-50c"),  # half way is the higher key's, whether even or odd
])
def test_pitches_have_names(pitch: float, key: str, with_cents: str) -> None:
    assert (pitch_name(pitch), pitch_name(pitch, cents=True)) == (key, with_cents)


@given(value=st.floats(-12.0, 140.0))
def test_pitch_and_frequency_are_inverses(value: float) -> None:
    # Two roundings of float64 in a value of up to 140.
    assert hz_to_midi(midi_to_hz(value)) == pytest.approx(value, abs=1e-12)


@given(level=st.floats(SILENCE_DB, 40.0))
def test_levels_are_inverses_above_the_floor(level: float) -> None:
    assert amplitude_to_db(db_to_amplitude(level)) == pytest.approx(level, abs=1e-11)
    assert power_to_db(db_to_amplitude(level) ** 2) == pytest.approx(level, abs=1e-11)


@pytest.mark.parametrize("convert", [amplitude_to_db, power_to_db])
def test_silence_has_a_floor(convert: Callable[..., float]) -> None:
    assert convert(0.0) == SILENCE_DB
    assert convert(0.0, floor_db=-60.0) == pytest.approx(-60.0, rel=1e-12)


@pytest.mark.parametrize("convert", [midi_to_hz, hz_to_midi, db_to_amplitude, amplitude_to_db, power_to_db])
def test_arrays_are_converted_element_by_element(convert: Callable[..., object]) -> None:
    values = np.array([[1.0, 10.0], [60.0, 80.5]])
    together = convert(values)
    assert isinstance(together, np.ndarray)
    assert together.shape == values.shape
    one_by_one = [convert(float(value)) for value in values.ravel()]
    assert all(isinstance(value, float) for value in one_by_one)
    # NumPy's vector routines may differ from its scalar ones in the last bit.
    np.testing.assert_allclose(together.ravel(), np.array(one_by_one, dtype=np.float64), rtol=1e-15)
