"""What is drawn, what is kept: marks on top of draws, resampling, and revisions of a score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from players import shipped, tiny

from mididdsp.expression.types import ATTRIBUTES, Performance
from mididdsp.notes.types import Note, Part, Score

VIBRATO = {"vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s"}


def melody(count: int = 12, **more: Any) -> Score:
    pitches = (60, 62, 64, 65, 67, 69, 67, 65, 64, 62, 64, 60)
    notes = tuple(Note(id=f"n{i}", onset=0.5 * i, duration=0.5, pitch=float(pitches[i % 12]), velocity=80, **more)
                  for i in range(count))
    return Score(parts=(Part(name="Violin", instrument="violin", notes=notes),))


def values(performance: Performance, name: str, ids: Any = None) -> list[Any]:
    return [getattr(performance.expressions[key], name) for key in (ids or performance.expressions)]


def test_marks_move_a_draw_and_the_score_says_so() -> None:
    performer = tiny()
    plain = performer.perform(melody(), seed=3)
    short = performer.perform(melody(articulations=("staccato",)), seed=3)
    np.testing.assert_allclose(values(short, "length_ratio"), 0.5 * np.array(values(plain, "length_ratio")))
    assert values(short, "level_db") == values(plain, "level_db")
    assert short.origins["n3"] == {"attack_s": "score", "release_s": "score", "length_ratio": "score"}
    loud = performer.perform(melody(articulations=("accent",)), seed=3)
    assert {curve.note_id for curve in loud.curves} == {f"n{i}" for i in range(12)}
    assert {curve.origin for curve in loud.curves} == {"score"}


def test_resampling_draws_what_is_asked_and_nothing_else() -> None:
    performer = tiny()
    before = performer.perform(melody(), seed=1)
    chosen = before.select(notes=["n4", "n5"])
    after = performer.resample(chosen, ["vibrato", "level"], seed=7)
    for key, expression in before.expressions.items():
        for name in ATTRIBUTES:
            same = getattr(after.expressions[key], name) == getattr(expression, name)
            if key not in ("n4", "n5") or name not in VIBRATO | {"level_db"}:
                assert same, (key, name)
    assert values(after, "level_db", ["n4", "n5"]) != values(before, "level_db", ["n4", "n5"])
    assert performer.resample(chosen, ["vibrato", "level"], seed=7) == after
    assert performer.resample(chosen, ["vibrato", "level"], seed=8) != after


def test_locks_hold_against_the_prior() -> None:
    performer = tiny()
    before = performer.perform(melody(), seed=1).select(notes="n4").edit("vibrato=33c", "level=-11dB").lock()
    after = performer.resample(before.performance, seed=5)
    assert after.expressions["n4"].vibrato_cents == 33.0
    assert after.expressions["n4"].level_db == -11.0
    assert after.expressions["n4"].brightness != before.expressions["n4"].brightness
    assert after.expressions["n5"] != before.expressions["n5"]
    locked = before.performance.select().lock(*ATTRIBUTES)
    assert performer.resample(locked.performance, seed=5).expressions == before.expressions
    assert after.origins["n4"] == {name: "hand" for name in VIBRATO | {"level_db"} if name in before.origins["n4"]}


def test_what_is_drawn_again_under_a_mark_is_marked_once() -> None:
    performer = tiny()
    before = performer.perform(melody(articulations=("staccato", "staccatissimo")), seed=1)
    same_seed = performer.resample(before, seed=1)
    np.testing.assert_allclose(values(same_seed, "length_ratio"), values(before, "length_ratio"))
    assert same_seed.origins == before.origins


def test_a_drawn_note_follows_the_mood_of_its_neighbours() -> None:
    performer = shipped()
    loud, soft = [], []
    for shift, found in ((6.0, loud), (-6.0, soft)):
        base = performer.perform(melody(), seed=1)
        moved = {key: replace(item, level_db=item.level_db + shift) if key != "n5" else item
                 for key, item in base.expressions.items()}
        for seed in range(4):
            after = performer.resample(replace(base, expressions=moved), ["level"], notes=["n5"], seed=seed)
            found.append(after.expressions["n5"].level_db)
    assert np.mean(loud) > np.mean(soft) + 1.0  # inside a phrase levels are drawn narrowly


# --- revisions


def edited(performer: Any) -> Performance:
    chosen = performer.perform(melody(24), seed=2).select(notes=["n8", "n9"])
    return chosen.edit("vibrato=44c", "pitch+=curve(0s:0c,0.2s:30c)").lock().performance


def moved(score: Score, **changes: Any) -> Score:
    part = score.parts[0]
    return replace(score, parts=(replace(part, notes=tuple(changes.pop("notes", part.notes)), **changes),))


def test_the_same_score_keeps_everything() -> None:
    performer = tiny()
    old = edited(performer)
    again, revision = performer.revise(old.score, old)
    assert replace(again, checkpoints=old.checkpoints) == old
    assert (revision.kept, revision.changed, revision.added, revision.gone, revision.lost) == (24, 0, 0, 0, ())


def test_a_bar_put_in_moves_everything_after_it() -> None:
    performer = tiny()
    old = edited(performer)
    notes = [replace(note, id=f"m{i}", onset=note.onset + (2.0 if i >= 6 else 0.0))
             for i, note in enumerate(old.score.parts[0].notes)]
    added = [Note(id=f"extra{k}", onset=3.0 + 0.5 * k, duration=0.5, pitch=80.0 + k, velocity=80) for k in range(4)]
    new, revision = performer.revise(moved(old.score, notes=[*notes[:6], *added, *notes[6:]]), old)
    assert (revision.kept, revision.added, revision.gone) == (24, 4, 0)
    assert all(new.expressions[key] == item for key, item in old.expressions.items())
    assert new.curves == old.curves
    assert new.locks == old.locks
    assert new.score.note("n8").onset == 6.0


def test_what_a_hand_did_to_a_note_that_goes_is_told() -> None:
    performer = tiny()
    old = edited(performer)
    new, revision = performer.revise(
        moved(old.score, notes=[note for note in old.score.parts[0].notes if note.id != "n8"]), old)
    assert revision.gone == 1
    assert "n8" not in new.expressions
    assert any("note n8 (at 4.00 s" in line and "vibrato_cents" in line for line in revision.lost)
    assert any("a drawn curve (pitch) of note n8" in line for line in revision.lost)


def test_a_changed_velocity_draws_the_level_unless_a_hand_decided_it() -> None:
    performer = tiny()
    old = performer.perform(melody(), seed=2).select(notes="n3").edit("level=-15dB").performance
    louder = [replace(note, velocity=120) for note in old.score.parts[0].notes]
    new, _ = performer.revise(moved(old.score, notes=louder), old)
    assert new.expressions["n3"] == old.expressions["n3"]
    assert new.expressions["n4"].level_db != old.expressions["n4"].level_db
    assert new.expressions["n4"].brightness == old.expressions["n4"].brightness


def test_new_marks_move_kept_values() -> None:
    performer = tiny()
    old = performer.perform(melody(), seed=2)
    dotted = [replace(note, articulations=("staccato",)) for note in old.score.parts[0].notes]
    new, _ = performer.revise(moved(old.score, notes=dotted), old)
    np.testing.assert_allclose(values(new, "length_ratio"), 0.5 * np.array(values(old, "length_ratio")))
    back, _ = performer.revise(old.score, new)
    for name in ("level_db", "attack_s", "length_ratio"):
        np.testing.assert_allclose(values(back, name), values(old, name))


def test_a_curve_of_the_piece_moves_with_the_notes_around_it() -> None:
    performer = tiny()
    old = performer.perform(melody(), seed=2).select().draw("gain", (1.0, 2.0), (0.0, -6.0), anchor="piece").performance
    late = [replace(note, onset=note.onset + 4.0) for note in old.score.parts[0].notes]
    new, _ = performer.revise(moved(old.score, notes=late), old)
    assert new.curves[0].times == pytest.approx((5.0, 6.0))


def test_an_id_that_an_old_note_has_is_never_given_to_another() -> None:
    performer = tiny()
    old = performer.perform(melody(4), seed=2)
    notes = old.score.parts[0].notes
    stranger = Note(id="n0", onset=0.0, duration=0.25, pitch=90.0)  # the id of what is now the second note
    new, revision = performer.revise(
        moved(old.score, notes=[stranger, *(replace(note, id=f"q{i}", onset=note.onset + 8.0)
                                            for i, note in enumerate(notes))]), old)
    assert revision.kept == 4
    assert new.score.note("n0").pitch == 60.0
    assert len(new.expressions) == 5
