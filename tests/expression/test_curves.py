"""Curves: linear between points, held outside, a note's own on that note alone, in layers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mididdsp.expression.curves import BLEND_S, PartCurves, sample_curves
from mididdsp.expression.types import Curve
from mididdsp.notes.types import Note, Part

PART = Part(name="p", instrument="violin", notes=(
    Note(id="a", onset=1.0, duration=1.0, pitch=60), Note(id="b", onset=2.5, duration=0.5, pitch=62),
    Note(id="c", onset=3.0, duration=1.0, pitch=64)))


def curve(**changes: Any) -> Curve:
    return Curve(**({"target": "level", "times": (0.0, 2.0), "values": (0.0, -6.0), "part": "p"} | changes))


def on(**changes: Any) -> Curve:
    return curve(**({"note_id": "a", "anchor": "onset", "times": (0.0, 1.0)} | changes))


def line(*curves: Curve, note: str = "a", at: tuple[float, ...], generated: float = -20.0) -> list[float]:
    """What becomes of a constant generated level."""
    found = PartCurves(curves, PART)("level", note, np.array(at))
    if found is None:
        return [generated] * len(at)
    return (found[0] * generated + found[1]).tolist()


def test_a_curve_is_linear_between_its_points_and_held_outside() -> None:
    assert line(curve(times=(1.0, 3.0)), at=(-1.0, 1.0, 1.5, 2.0, 3.0, 9.0), generated=0.0) == [
        0.0, 0.0, -1.5, -3.0, -6.0, -6.0]


def test_curves_add_up_and_others_are_passed_over() -> None:
    curves = (curve(), curve(times=(0.0,), values=(1.0,)), curve(target="gain"), curve(part="q"))
    assert line(*curves, at=(0.0, 2.0), generated=0.0) == [1.0, -5.0]
    assert PartCurves(curves, PART)("pitch", "a", np.array([0.0])) is None


def test_a_notes_own_curve_acts_on_that_note_alone() -> None:
    assert line(on(), note="a", at=(1.0, 1.5, 2.0, 2.6), generated=0.0) == pytest.approx([0.0, -3.0, -6.0, -6.0])
    assert line(on(), note="b", at=(1.0, 1.5, 2.0, 2.6), generated=0.0) == [0.0] * 4
    end = on(anchor="offset", times=(-0.5, 0.0))
    assert line(end, at=(1.0, 1.75, 2.0), generated=0.0) == pytest.approx([0.0, -3.0, -6.0])


def test_a_curve_goes_with_a_note_that_sounds_late(expression: Any) -> None:
    late = {name: expression(timing_s=0.25 if name == "a" else 0.0) for name in "abc"}
    found = PartCurves((on(),), PART, late)("level", "a", np.array([1.25, 1.75]))
    assert found is not None
    assert found[1].tolist() == pytest.approx([0.0, -3.0])


@pytest.fixture
def expression() -> Any:
    from mididdsp.expression.types import NoteExpression

    return lambda **changes: NoteExpression(**({
        "level_db": -26.0, "fluctuation_db": 1.0, "peak_position": 0.3, "brightness": 1.5, "attack_noise_db": -30.0,
        "attack_s": 0.05, "release_s": 0.1, "vibrato_cents": 0.0, "vibrato_rate_hz": None, "vibrato_delay_s": None,
        "tuning_cents": 0.0, "timing_s": 0.0, "length_ratio": 1.0, "glide_s": None} | changes))


def test_a_set_curve_takes_the_place_of_what_is_generated_from_its_first_point_to_its_last() -> None:
    drawn = on(mode="set", times=(0.3, 0.6), values=(-30.0, -36.0))
    blend = 1.3 - BLEND_S / 2
    assert line(drawn, at=(1.0, blend, 1.3, 1.45, 1.6, 1.6 + BLEND_S, 1.9)) == pytest.approx(
        [-20.0, -25.0, -30.0, -33.0, -36.0, -20.0, -20.0])
    # Points at the note's ends reach over its attack and release.
    whole = on(mode="set", times=(0.0, 1.0), values=(-30.0, -36.0))
    assert line(whole, at=(0.9, 1.5, 2.4)) == pytest.approx([-30.0, -33.0, -36.0])
    assert line(on(mode="set", times=(0.5,), values=(-31.0,)), at=(0.9, 2.4)) == [-31.0, -31.0]


def test_layers_apply_in_their_order_whatever_order_they_stand_in() -> None:
    curves = (on(values=(1.0, 1.0)), curve(values=(2.0, 2.0), origin="controller"),
              on(mode="set", values=(-40.0, -40.0)), curve(values=(4.0, 4.0), origin="score"))
    # The hand's set hides score and controller; the hand's add lies on it.
    assert line(*curves, at=(1.5,)) == [-39.0]
    assert line(*curves, note="b", at=(2.6,)) == [-14.0]


def test_the_later_of_two_set_curves_counts() -> None:
    assert line(on(mode="set", values=(-40.0, -40.0)), on(mode="set", values=(-50.0, -50.0)), at=(1.5,)) == [-50.0]


def test_a_key_changes_with_what_reaches_the_note_and_with_nothing_else() -> None:
    far, near = curve(times=(0.0, 30.0, 31.0), values=(0.0, 0.0, 1.0)), on()
    key = PartCurves((far, near), PART).key("a", 1.0, 2.0)
    assert key == PartCurves((curve(times=(0.0, 30.0, 31.0), values=(0.0, 0.0, 5.0)), near), PART).key("a", 1.0, 2.0)
    assert key != PartCurves((curve(times=(0.0, 30.0, 31.0), values=(0.0, 3.0, 1.0)), near), PART).key("a", 1.0, 2.0)
    assert key != PartCurves((far, on(values=(0.0, -7.0))), PART).key("a", 1.0, 2.0)
    assert key == PartCurves((far, near, on(note_id="b")), PART).key("a", 1.0, 2.0)


def test_lanes_show_the_sum_of_what_adds() -> None:
    times = np.array([0.99, 1.0, 1.5, 2.0, 2.4, 2.5])
    assert sample_curves((on(),), "level", PART, times).tolist() == pytest.approx([0.0, 0.0, -3.0, -6.0, -6.0, 0.0])
    assert sample_curves((curve(), on(mode="set")), "level", PART, np.array([1.0])).tolist() == [-3.0]


def test_a_curve_of_a_note_that_is_not_there_is_told() -> None:
    sentence = "part p: a curve is anchored to note z, which the part does not have; remove the curve or name another"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        PartCurves((on(note_id="z"),), PART)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sample_curves((on(note_id="z"),), "level", PART, np.array([0.0]))
