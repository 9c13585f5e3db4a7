"""Controllers: General MIDI's decibels, defaults that change nothing, ramps instead of steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.expression.controllers import controller_pan, handwork
from mididdsp.expression.curves import sample_curves
from mididdsp.expression.types import Curve
from mididdsp.notes.types import Lane, Note, Part


def part(*lanes: Lane, onset: float = 1.0) -> Part:
    return Part(name="p", instrument="violin", notes=(Note(id="a", onset=onset, duration=4.0, pitch=60),), lanes=lanes)


def lane(name: str, *events: tuple[float, float]) -> Lane:
    return Lane(name=name, times=tuple(time for time, _ in events), values=tuple(value for _, value in events))


def value(played: Part, target: str, *times: float) -> list[float]:
    return sample_curves(handwork(played).curves, target, played, np.array(times)).tolist()


def fader_db(value: float, reference: float) -> float:
    """General MIDI's decibels, written apart from the code under test."""
    return max(-120.0, 40 * math.log10(value / reference)) if value else -120.0


def test_volume_follows_general_midi() -> None:
    assert value(part(lane("cc7", (0.0, 50.0))), "gain", 0.0, 9.0) == pytest.approx([40 * math.log10(50 / 100)] * 2)
    # half way down is 12 dB less: the GM table; all the way is silence
    assert value(part(lane("cc11", (0.0, 64.0))), "level", 2.0) == pytest.approx([-11.905], abs=1e-3)
    assert value(part(lane("cc11", (0.0, 0.0))), "level", 2.0) == [-120.0]


def test_expression_and_breath_move_the_dynamic_level() -> None:
    soft = 40 * math.log10(64 / 127)
    assert value(part(lane("cc11", (0.0, 64.0))), "level", 2.0) == pytest.approx([soft])
    assert value(part(lane("cc2", (0.0, 64.0))), "level", 2.0) == pytest.approx([soft])
    assert value(part(lane("cc2", (0.0, 10.0)), lane("cc11", (0.0, 64.0))), "level", 2.0) == pytest.approx([soft])


def test_bend_moves_the_pitch() -> None:
    bent = part(lane("bend", (0.0, 0.0), (2.0, 1.5), (3.0, -0.25)))
    assert value(bent, "pitch", 0.0, 1.98, 1.995, 2.0, 2.9, 3.0, 9.0) == pytest.approx(
        [0.0, 0.0, 75.0, 150.0, 150.0, -25.0, -25.0])


@pytest.mark.parametrize("lanes", [
    (), (lane("cc7"),), (lane("cc7", (0.0, 100.0)), lane("cc11", (0.0, 127.0)), lane("bend", (0.0, 0.0), (1.0, 0.0))),
    (lane("cc1", (0.0, 60.0)), lane("cc91", (0.0, 60.0)), lane("cc10", (0.0, 60.0))),
])
def test_defaults_and_other_lanes_change_nothing(lanes: tuple[Lane, ...]) -> None:
    assert handwork(part(*lanes)).curves == ()


def test_a_late_controller_leaves_the_default_before_it() -> None:
    late = part(lane("cc7", (3.0, 50.0)))
    assert value(late, "gain", 0.0, 2.98, 3.0) == pytest.approx([0.0, 0.0, fader_db(50, 100)])


def test_a_controller_set_before_the_first_note_holds_from_the_start() -> None:
    assert value(part(lane("cc7", (0.5, 50.0))), "gain", 0.0) == pytest.approx([fader_db(50, 100)])


def test_a_moving_fader_becomes_a_straight_line() -> None:
    # A fader from 60 to 100 in two seconds, an event every 50 ms: the line through the events, nowhere a step.
    events = tuple((1.0 + step * 0.05, 60.0 + step) for step in range(41))
    times = np.linspace(1.0, 3.0, 4001)
    played = part(lane("cc11", *events))
    line = np.interp(times, [time for time, _ in events], [fader_db(v, 127) for _, v in events])
    np.testing.assert_allclose(sample_curves(handwork(played).curves, "level", played, times), line, atol=1e-9)


def test_a_jump_takes_10_ms_and_arrives_at_its_event() -> None:
    played = part(lane("cc11", (0.0, 20.0), (3.0, 127.0)))
    low = fader_db(20, 127)
    assert value(played, "level", 2.98, 2.989, 2.995, 3.0) == pytest.approx([low, low, low / 2, 0.0])


def test_of_events_at_one_time_the_last_counts() -> None:
    assert value(part(lane("cc7", (0.0, 10.0), (0.0, 50.0))), "gain", 0.0) == pytest.approx([fader_db(50, 100)])


@settings(max_examples=60, deadline=None)
@given(lanes=st.tuples(strategies.lanes(name="cc7"), strategies.lanes(name="cc11"), strategies.lanes(name="bend")))
def test_curves_pass_through_every_event(lanes: tuple[Lane, ...]) -> None:
    played = part(*lanes)
    curves = handwork(played).curves
    assert all(isinstance(curve, Curve) and curve.origin == "controller" for curve in curves)
    for name, target, reference in (("cc7", "gain", 100.0), ("cc11", "level", 127.0)):
        found = played.lane(name)
        if found is not None and found.times:
            expected = [fader_db(v, reference) for v in found.values]
            got = sample_curves(curves, target, played, np.array(found.times))
            np.testing.assert_allclose(got, expected, atol=1e-9)


@pytest.mark.parametrize(("events", "pan"), [
    (((0.0, 64.0),), 0.0), (((0.0, 127.0),), 1.0), (((0.0, 1.0),), -1.0), (((0.0, 0.0),), -1.0),
    (((0.0, 64.0), (1.0, 127.0), (2.0, 0.0)), 1.0), (((2.0, 127.0),), 1.0),
])
def test_pan_is_where_it_stands_when_the_first_note_sounds(events: tuple[tuple[float, float], ...], pan: float) -> None:
    assert controller_pan(part(lane("cc10", *events))) == pan


def test_without_pan_the_part_keeps_its_seat() -> None:
    assert controller_pan(part()) is None
    assert controller_pan(part(lane("cc10"))) is None
