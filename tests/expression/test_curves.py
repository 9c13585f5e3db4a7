"""Curves: linear between points, held outside, a note's own on that note alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mididdsp.expression.curves import curve_function, sample_curves
from mididdsp.expression.types import Curve
from mididdsp.notes.types import Note, Part

PART = Part(name="p", instrument="violin", notes=(
    Note(id="a", onset=1.0, duration=1.0, pitch=60), Note(id="b", onset=2.5, duration=0.5, pitch=62),
    Note(id="c", onset=3.0, duration=1.0, pitch=64)))


def curve(**changes: Any) -> Curve:
    return Curve(**({"target": "level", "times": (0.0, 2.0), "values": (0.0, -6.0), "part": "p"} | changes))


def sampled(*curves: Curve, at: tuple[float, ...], target: str = "level") -> list[float]:
    return sample_curves(curves, target, PART, np.array(at)).tolist()


def test_a_curve_is_linear_between_its_points_and_held_outside() -> None:
    assert sampled(curve(times=(1.0, 3.0)), at=(-1.0, 1.0, 1.5, 2.0, 3.0, 9.0)) == [0.0, 0.0, -1.5, -3.0, -6.0, -6.0]


def test_curves_add_up_and_others_are_passed_over() -> None:
    curves = (curve(), curve(times=(0.0,), values=(1.0,)), curve(target="gain"), curve(part="q"))
    assert sampled(*curves, at=(0.0, 2.0)) == [1.0, -5.0]
    assert sampled(*curves, at=(0.0, 2.0), target="gain") == [0.0, -6.0]
    assert sampled(*curves, at=(0.0, 2.0), target="pitch") == [0.0, 0.0]


@pytest.mark.parametrize(("anchor", "expected"), [("onset", [0.0, 0.0, -3.0, -6.0, -6.0, 0.0]),
                                                  ("offset", [0.0, 0.0, 0.0, 0.0, -1.2, 0.0])])
def test_a_notes_curve_starts_with_it_and_ends_with_the_next_onset(anchor: str, expected: list[float]) -> None:
    own = curve(note_id="a", anchor=anchor, times=(0.0, 1.0 if anchor == "onset" else 2.0))
    assert sampled(own, at=(0.99, 1.0, 1.5, 2.0, 2.4, 2.5)) == pytest.approx(expected)


def test_the_last_notes_curve_carries_its_release() -> None:
    assert sampled(curve(note_id="c", anchor="onset", times=(0.0, 1.0)), at=(2.9, 3.5, 100.0)) == [0.0, -3.0, -6.0]


def test_sampling_a_window_gives_the_same_numbers_as_sampling_the_whole() -> None:
    curves = (curve(), curve(note_id="a", anchor="onset"), curve(note_id="b", anchor="offset", times=(-0.2, 0.1)))
    function = curve_function(curves, "level", PART)
    assert function is not None
    times = np.linspace(0.0, 5.0, 1001)
    whole = function(times)
    pieces = [function(times[start:start + 37]) for start in range(0, len(times), 37)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert function(np.array([])).shape == (0,)


def test_without_curves_there_is_no_function() -> None:
    assert curve_function((curve(part="q"),), "level", PART) is None


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"mode": "set"}, "part p: a curve sets the level, and only curves that add are played; change its mode to add"),
    ({"note_id": "z", "anchor": "onset"}, "part p: a curve is anchored to note z, which the part does not have"),
])
def test_what_cannot_be_played_is_told(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        curve_function((curve(**changes),), "level", PART)
