"""A performance on another instrument keeps the player and changes the instrument."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mididdsp.expression.types import NoteExpression, Performance
from mididdsp.notes.types import Note, Part, PartPlan, Score
from mididdsp.recasting import INSTRUMENTAL, recast

PLAIN = NoteExpression(
    level_db=-25.0, fluctuation_db=1.0, peak_position=0.4, brightness=2.0, attack_noise_db=-20.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=20.0, vibrato_rate_hz=6.0, vibrato_delay_s=0.1, tuning_cents=4.0, timing_s=0.01,
    length_ratio=0.9, glide_s=None,
)
MEANS = {"violin": (1.8, -22.0), "cello": (2.5, -26.0), "flute": (0.6, -15.0)}


class Means:
    """A prior that knows one brightness and one attack noise for each instrument."""

    def express(self, plan: PartPlan, **_: object) -> dict[str, NoteExpression]:
        brightness, noise = MEANS[plan.part.instrument]
        return {note.id: replace(PLAIN, brightness=brightness, attack_noise_db=noise) for note in plan.part.notes}


def performance(**changes: object) -> Performance:
    notes = tuple(Note(id=f"n{index}", onset=float(index), duration=0.9, pitch=55.0 + index) for index in range(3))
    score = Score(parts=(Part(name="solo", instrument="violin", notes=notes, program=40),))
    return Performance(score=score, expressions={note.id: PLAIN for note in notes}, **changes)  # type: ignore[arg-type]


def test_the_distance_from_the_mean_is_kept() -> None:
    found, messages = recast(performance(), {"*": "cello"}, Means())
    assert found.score.parts[0].instrument == "cello"
    assert messages == ()
    for expression in found.expressions.values():
        assert expression.brightness == pytest.approx(2.0 + 2.5 - 1.8)
        assert expression.attack_noise_db == pytest.approx(-20.0 - 26.0 + 22.0)
        same = {name: getattr(PLAIN, name) for name in INSTRUMENTAL}
        assert replace(expression, **same) == PLAIN


def test_hands_and_locks_hold() -> None:
    found, _ = recast(performance(origins={"n0": {"brightness": "hand"}}, locks={"n1": frozenset({"brightness"})}),
                      {"solo": "cello"}, Means())
    assert [found.expressions[f"n{index}"].brightness for index in range(3)] == pytest.approx([2.0, 2.0, 2.7])


def test_notes_out_of_range_are_counted() -> None:
    _, messages = recast(performance(), {"*": "flute"}, Means())
    assert len(messages) == 1
    assert messages[0].startswith("solo: 3 of 3 notes lie outside the range of the flute")


def test_the_same_instrument_changes_nothing() -> None:
    before = performance()
    assert recast(before, {"*": "violin"}, Means()) == (before, ())


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no part is called 'duo'; the parts are solo"):
        recast(performance(), {"duo": "cello"}, Means())
    with pytest.raises(ValueError, match="kazoo"):
        recast(performance(), {"*": "kazoo"}, Means())
