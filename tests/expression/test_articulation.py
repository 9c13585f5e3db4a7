"""Articulation: one table, stacking predictably, and taken off without a trace."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import expressions

from mididdsp.expression.articulation import RULES, ArticulationError, articulated, combined, load_rules, swell
from mididdsp.expression.types import NoteExpression
from mididdsp.notes.types import ARTICULATIONS, Note

PLAIN = NoteExpression(
    level_db=-26.0, fluctuation_db=1.0, peak_position=0.4, brightness=1.5, attack_noise_db=-30.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None, tuning_cents=0.0, timing_s=0.0,
    length_ratio=0.96, glide_s=None)
MARKS = st.sets(st.sampled_from(ARTICULATIONS), max_size=4)


def test_every_mark_has_a_rule() -> None:
    assert tuple(RULES) == ARTICULATIONS


@pytest.mark.parametrize(("marks", "length"), [
    ((), 0.96), (("staccato",), 0.48), (("staccatissimo",), 0.32), (("portato",), 0.64), (("tenuto",), 1.0),
    (("staccato", "tenuto"), 0.64), (("marcato",), 0.64), (("accent",), 0.96), (("sforzato",), 0.96),
    (("accent", "staccato"), 0.48), (("detache",), 0.8448), (("legato",), 0.96)])
def test_lengths(marks: tuple[str, ...], length: float) -> None:
    assert articulated(PLAIN, (), marks)[0].length_ratio == pytest.approx(length)


def test_a_joined_note_keeps_its_end() -> None:
    from dataclasses import replace

    assert articulated(replace(PLAIN, length_ratio=None), (), ("staccato",))[0].length_ratio is None


@given(marks=MARKS)
def test_the_order_of_marks_does_not_matter_and_shortening_marks_only_shorten(marks: set[str]) -> None:
    assert all(combined(order, RULES) == combined(marks, RULES)
               for order in itertools.islice(itertools.permutations(marks), 6))
    before = articulated(PLAIN, (), marks)[0].length_ratio
    after = articulated(PLAIN, (), marks | {"staccato"})[0].length_ratio
    assert before is not None
    assert after is not None
    assert after <= before


@given(expression=expressions(leads=False), marks=MARKS.map(
    lambda found: found - {"tenuto"}))
def test_what_a_mark_did_is_undone_with_it(expression: NoteExpression, marks: set[str]) -> None:
    there, moved = articulated(expression, (), marks)
    back, _ = articulated(there, marks, ())
    for name in ("level_db", "attack_s", "release_s", "attack_noise_db", "length_ratio"):
        low_or_high = getattr(there, name) in (-120.0, 12.0, 10.0, 20.0, 40.0, 0.01, 4.0, 1.0)  # cut at its edge
        if not low_or_high:
            assert getattr(back, name) == pytest.approx(getattr(expression, name), rel=1e-9, abs=1e-9)
    assert moved <= {"level_db", "attack_s", "release_s", "attack_noise_db", "length_ratio", "peak_position"}


def test_an_accent_raises_the_start_and_returns_to_the_level() -> None:
    note = Note(id="n", onset=1.0, duration=1.0, pitch=60)
    curve = swell("p", note, ("accent",), origin="score")
    assert curve is not None
    assert (curve.values[0], curve.values[-1], curve.times[-1]) == (5.0, 0.0, pytest.approx(0.4))
    stronger = swell("p", note, ("accent", "sforzato"), origin="hand")
    assert stronger is not None
    assert stronger.values[0] == 9.0
    assert swell("p", note, ("staccato",), origin="hand") is None


def test_a_user_changes_the_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[staccato]\nlength = 0.4\n[accent]\nswell_db = 8\n")
    rules = load_rules(path)
    assert articulated(PLAIN, (), ("staccato",), rules)[0].length_ratio == pytest.approx(0.384)
    assert rules["accent"].swell_db == 8
    assert rules["accent"].noise_db == RULES["accent"].noise_db
    assert rules["tenuto"] == RULES["tenuto"]


@pytest.mark.parametrize(("text", "sentence"), [
    ("[pizzicato]\nlength=1", "[pizzicato] is no articulation; known are legato"),
    ("[staccato]\nwidth=1", "[staccato]: there is no 'width'; a mark has attack"),
    ("[staccato]\nlength='short'", "a value is no number"),
    ("[staccato]\nlength=9", "length is 9; it must be from 0.02"),
    ("[staccato", "it is not legal TOML"), ("staccato = 1", "[staccato] is no articulation")])
def test_a_table_that_cannot_be_used_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ArticulationError, match=re.escape(sentence)):
        load_rules(path)


def test_an_unknown_mark_is_told() -> None:
    with pytest.raises(ArticulationError, match="'loud' is no articulation"):
        combined(("loud",))
