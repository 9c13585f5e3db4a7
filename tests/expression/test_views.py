"""The paper's scales: exact against the original's own numbers, and a view there and back on ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mididdsp.expression.types import ATTRIBUTE_RANGES, NoteExpression
from mididdsp.expression.views import (
    PAPER,
    PAPER_COLUMNS,
    from_paper,
    measure,
    paper_to_quantity,
    quantity_to_paper,
    to_paper,
)
from mididdsp.instruments import INSTRUMENTS


@pytest.mark.parametrize(("name", "quantity", "value"), [
    ("volume", -90.0, 0.0), ("volume", -30.0, 1.0), ("volume", 0.0, 1.5), ("volume_fluctuation", 24.0, 1.0),
    ("brightness", 12.0, 1.0), ("attack", -105.0, 0.0), ("attack", -65.0, 1.0), ("volume_peak_position", 0.25, 0.25),
    ("vibrato", 0.1, 1.0)])
def test_the_scales_are_those_of_the_original(name: str, quantity: float, value: float) -> None:
    assert quantity_to_paper(name, quantity) == pytest.approx(value)
    assert paper_to_quantity(name, value) == pytest.approx(quantity)


def test_the_measure_agrees_with_the_original(golden: Callable[[str], Any]) -> None:
    case = {name: value.numpy() for name, value in golden("note_expression").items()}
    names = [PAPER_COLUMNS[name] for name in ("volume", "vol_fluc", "vibrato", "brightness", "attack", "vol_peak_pos")]
    wanted = case["per_note_attributes_order_volume_volfluc_vibrato_brightness_attack_volpeakpos"]
    for (item, first, last, pitch), row in zip(case["notes_batch_onset_offsetexclusive_pitch"], wanted):
        got = measure(
            f0_hz=case["f0_hz"][item, first:last, 0], amplitude_db=case["amplitudes_db"][item, first:last, 0],
            harmonics=case["harmonic_distribution"][item, first:last],
            noise_db=case["noise_magnitudes_db"][item, first:last], pitch=float(pitch), total_frames=1000)
        # The original is float32 and its vibrato comes from an FFT: 5e-6 apart at worst.
        np.testing.assert_allclose([got[name] for name in names], row, atol=2e-5)


def test_a_sinusoid_over_the_whole_note_has_the_vibrato_the_original_finds() -> None:
    time = np.arange(1000) / 250.0
    f0_hz = 440.0 * 2 ** (0.3 * np.sin(2 * np.pi * 5.0 * time) / 12.0)
    found = measure(f0_hz=f0_hz, amplitude_db=np.full(1000, -30.0), harmonics=np.eye(1, 60).repeat(1000, 0),
                    noise_db=np.full((1000, 65), -80.0), pitch=69.0)
    assert found["vibrato"] == pytest.approx(1.109, abs=0.02)  # what running the original gave
    assert found["volume"] == pytest.approx(1.0)


@given(name=st.sampled_from(sorted(PAPER)), value=st.floats(0.2, 0.9), level=st.floats(-50.0, -10.0),
       instrument=st.sampled_from([None, *INSTRUMENTS]))
def test_there_and_back(name: str, value: float, level: float, instrument: str | None) -> None:
    attribute = PAPER[name].attribute
    asked = from_paper(name, value, level, instrument)
    low, high, _ = ATTRIBUTE_RANGES[attribute]
    assert low <= asked <= high
    note = NoteExpression(**({
        "level_db": level, "fluctuation_db": 1.0, "peak_position": 0.3, "brightness": 1.5, "attack_noise_db": -30.0,
        "attack_s": 0.05, "release_s": 0.1, "vibrato_cents": 5.0, "vibrato_rate_hz": 5.0, "vibrato_delay_s": 0.1,
        "tuning_cents": 0.0, "timing_s": 0.0, "length_ratio": 1.0, "glide_s": None} | {attribute: asked}))
    if low < asked < high:
        assert to_paper(name, note, instrument) == pytest.approx(value)


def test_an_attack_says_its_noise_by_the_colour_of_its_instrument() -> None:
    dark, bright, unknown = (from_paper("attack", 0.6, -26.0, name) for name in ("tuba", "clarinet", None))
    assert dark > unknown > bright, "the same mean over bands is more power where few of them hold it"


def test_every_scale_rises_with_its_attribute() -> None:
    for name in PAPER:
        values = [from_paper(name, value, -26.0) for value in np.linspace(0.2, 1.0, 9)]
        assert all(later > earlier for earlier, later in zip(values, values[1:])), name
