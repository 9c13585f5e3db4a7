"""Notes that sound together are tuned to each other; those alone are left as a soloist plays them."""

from __future__ import annotations

import numpy as np
import pytest
from players import shipped, tiny

from mididdsp.intonation import TOGETHER, tuning_shares
from mididdsp.notes.types import Note, Part, Score


def part(name: str, instrument: str, *notes: tuple[float, float, float]) -> Part:
    return Part(name=name, instrument=instrument, notes=tuple(
        Note(id=f"{name}{index}", onset=onset, duration=duration, pitch=pitch, velocity=80)
        for index, (onset, duration, pitch) in enumerate(notes)))


def test_a_share_falls_with_the_time_in_which_others_sound() -> None:
    shares = tuning_shares(Score(parts=(
        part("a", "violin", (0.0, 1.0, 69.0), (1.0, 2.0, 71.0), (4.0, 1.0, 72.0)),
        part("b", "cello", (2.0, 1.0, 48.0), (6.0, 1.0, 50.0), (6.0, 1.0, 57.0)))))
    half = 1.0 - 0.5 * (1.0 - TOGETHER)
    assert shares == pytest.approx({
        "a0": 1.0, "a1": half, "a2": 1.0, "b0": TOGETHER, "b1": TOGETHER, "b2": TOGETHER})
    assert tuning_shares(Score(parts=())) == {}


def line(name: str, instrument: str, pitch: float) -> Part:
    return part(name, instrument, *((0.5 * index, 0.5, pitch + (0, 2, 4, 5, 4, 2)[index % 6]) for index in range(48)))


def test_a_duet_is_in_tune_and_a_solo_is_as_it_was() -> None:
    performer = shipped()
    solo = performer.perform(Score(parts=(line("a", "violin", 67.0),)), seed=2)
    duet = performer.perform(Score(parts=(line("a", "violin", 67.0), line("b", "viola", 55.0))), seed=2)
    alone = np.array([solo.expressions[f"a{index}"].tuning_cents for index in range(48)])
    both = np.array([[duet.expressions[f"{name}{index}"].tuning_cents for index in range(48)] for name in "ab"])
    np.testing.assert_allclose(both[0], TOGETHER * alone, atol=1e-9)
    assert alone.std() > 6.0  # 12 cents in the figures; 48 notes that hang together
    assert np.median(np.abs(both[0] - both[1])) < 8.0


def test_a_note_drawn_again_hears_its_neighbours_as_they_were_drawn() -> None:
    performer = tiny()
    duet = Score(parts=(line("a", "violin", 67.0), line("b", "viola", 55.0)))
    played = performer.perform(duet, seed=4)
    again = performer.resample(played.select(notes=["a7"]), ["vibrato"], seed=9)
    for key, expression in played.expressions.items():
        assert again.expressions[key].tuning_cents == expression.tuning_cents
    set_by_hand = played.select(notes=["a7"]).edit("tuning=13c").performance
    redrawn = performer.resample(set_by_hand.select(notes=["a7"]), ["level"], seed=9)
    assert redrawn.expressions["a7"].tuning_cents == 13.0
