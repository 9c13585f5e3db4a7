"""Edits: what each word does, to which notes, and that nothing else moves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import performances

from mididdsp.expression.articulation import HELD_FLUCTUATION_DB
from mididdsp.expression.changes import changes
from mididdsp.expression.edit import Selection, select
from mididdsp.expression.quantities import EditError
from mididdsp.expression.types import ATTRIBUTE_RANGES, ATTRIBUTES, Curve, NoteExpression, Performance
from mididdsp.expression.views import PAPER
from mididdsp.expression.workpiece import USUAL_VIBRATO
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import MeterChange, Note, Part, Score, TempoChange

PLAIN = NoteExpression(
    level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=1.5, attack_noise_db=-30.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=20.0, vibrato_rate_hz=5.0, vibrato_delay_s=0.2, tuning_cents=0.0, timing_s=0.0,
    length_ratio=0.96, glide_s=None)
STILL = replace(PLAIN, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None)


def piece() -> Performance:
    """Violin a–d, a second each from 0 s, in bars of 2/4 at 60 quarters a minute; flute x, y without vibrato."""
    violin = tuple(Note(id=name, onset=float(index), duration=1.0, pitch=60.0 + 2 * index, velocity=80)
                   for index, name in enumerate("abcd"))
    flute = (Note(id="x", onset=0.0, duration=2.0, pitch=72.0, articulations=("staccato",)),
             Note(id="y", onset=2.0, duration=2.0, pitch=74.0))
    score = Score(parts=(Part(name="Violin I", instrument="violin", notes=violin),
                         Part(name="Flute", instrument="flute", notes=flute)),
                  tempo=(TempoChange(time=0.0, beat=0.0, bpm=60.0),),
                  meter=(MeterChange(beat=0.0, numerator=2, denominator=4),))
    return Performance(score=score, expressions={name: PLAIN for name in "abcd"} | {"x": STILL, "y": STILL})


def edited(*assignments: str, notes: str | None = "a", **values: Any) -> Selection:
    return piece().select(notes=notes).edit(*assignments, **values)


@pytest.mark.parametrize(("conditions", "ids"), [
    ({}, "abcdxy"), ({"part": "Violin I"}, "abcd"), ({"part": "violin i"}, "abcd"), ({"part": "flute"}, "xy"),
    ({"part": ["Violin I", "flute"]}, "abcdxy"), ({"bars": 1}, "abx"), ({"bars": (1, 2)}, "abcdxy"),
    ({"bars": "2"}, "cdy"), ({"bars": "1,2"}, "abcdxy"), ({"time": (1.0, 3.0)}, "bcy"), ({"time": "1-2s"}, "b"),
    ({"notes": ["b", "x"]}, "bx"), ({"pitches": "C4-D4"}, "ab"), ({"pitches": 64}, "c"),
    ({"pitches": ("d4", 72)}, "bcdx"),
    ({"marks": "staccato"}, "x"), ({"where": "vibrato>10c"}, "abcd"), ({"where": "vibrato=0"}, "xy"),
    ({"where": ["duration>=2s", "pitch>72"]}, "y"), ({"where": "velocity==80"}, "abcd"),
    ({"where": "vibrato_rate=none"}, "xy"), ({"where": "articulation=staccato"}, "x"), ({"where": "level=hand"}, ""),
    ({"where": "level!=locked"}, "abcdxy"), ({"where": "volume>0.5"}, "abcdxy"), ({"part": "Flute", "bars": 2}, "y"),
])
def test_selections(conditions: dict[str, Any], ids: str) -> None:
    assert "".join(piece().select(**conditions).chosen) == ids


@pytest.mark.parametrize(("conditions", "sentence"), [
    ({"part": "Oboe"}, "there is no part 'Oboe'; the parts are Violin I, Flute"), ({"bars": "4-2"}, "run backwards"),
    ({"bars": "x"}, "'x' are no bars; write 3"), ({"bars": 0}, "bar 0 does not exist"),
    ({"time": (2.0, 1.0)}, "is empty"),
    ({"notes": "q"}, "there is no note 'q' (no id begins with it)"), ({"pitches": "H4"}, "'H4' is no pitch"),
    ({"where": "vibrato"}, "is no condition"), ({"where": "vibrato>10s"}, "'s' is no unit of vibrato_cents; use c"),
    ({"marks": "loud"}, "'loud' is no articulation"), ({"where": "colour>1"}, "'colour' is no attribute"),
    ({"pitches": "C5-C4"}, "run downwards"),
])
def test_what_cannot_be_selected_is_told(conditions: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EditError, match=re.escape(sentence)):
        piece().select(**conditions)


@pytest.mark.parametrize(("assignment", "attribute", "value"), [
    ("vibrato=60c", "vibrato_cents", 60.0), ("vibrato=0.6st", "vibrato_cents", 60.0),
    ("vibrato*=1.5", "vibrato_cents", 30.0),
    ("vibrato_rate=5.5Hz", "vibrato_rate_hz", 5.5), ("vibrato_delay=200ms", "vibrato_delay_s", 0.2),
    ("level+=3dB", "level_db", -23.0), ("level = mf", "level_db", -26.0), ("level=-20", "level_db", -20.0),
    ("level-=200dB", "level_db", -120.0), ("attack/=2", "attack_s", 0.025), ("length=50%", "length_ratio", 0.5),
    ("brightness=2oct", "brightness", 2.0), ("peak=0.25", "peak_position", 0.25), ("timing+=10ms", "timing_s", 0.01),
    ("tuning-=5c", "tuning_cents", -5.0), ("volume_peak_position=0.5", "peak_position", 0.5),
    ("vol_fluc=0.5", "fluctuation_db", 9.5), ("paper.vibrato=0.375", "vibrato_cents", 10.0),
    ("glide=none", "glide_s", None),
    ("level_db=-30", "level_db", -30.0), ("vibrato_fade=0.3s", "vibrato_fade_s", 0.3),
    ("fade=none", "vibrato_fade_s", None),
    ("phase=90deg", "vibrato_phase", 0.25), ("vibrato_phase=50%", "vibrato_phase", 0.5),
    ("irregularity=5%", "vibrato_irregularity", 0.05),
])
def test_assignments(assignment: str, attribute: str, value: float | None) -> None:
    after = edited(assignment)
    assert getattr(after.expressions["a"], attribute) == (value if value is None else pytest.approx(value))
    assert after.origins["a"][attribute] == "hand"
    assert {name: item for name, item in after.expressions.items() if name != "a"} == {
        name: item for name, item in piece().expressions.items() if name != "a"}


def test_keywords_do_what_text_does() -> None:
    assert edited(vibrato="60c", level_db=-20).performance == edited("vibrato=60c", "level_db=-20").performance


@pytest.mark.parametrize(("assignment", "sentence"), [
    ("vibrato=0.5", "'0.5' has no unit: write 0.5c, or say paper.vibrato=0.5"), ("vibrato=5Hz", "'Hz' is no unit"),
    ("attack=0.1", "has no unit: write 0.1s, or say paper.attack=0.1"), ("level+=mf", "is a level, not a difference"),
    ("loud", "'loud' is no edit; write a name"), ("level=", "has no value"), ("level=none", "level_db cannot be none"),
    ("articulation=loud", "any of legato"), ("vibrato=curve(0:0c)", "only vibrato=ramp(from,to) is known"),
    ("level=ramp(p)", "ramp(p) has 1 values"), ("pitch=3c", "write pitch+=3c"),
    ("pitch+=curve(0.2:0c,0.1:0c)", "go back"),
    ("level/=0", "divides by nothing"), ("volume=3dB", "the paper's volume has none"), ("colour=1", "is no attribute"),
    ("partials+=3dB", "say which partials, as partials.5-12+=3dB"), ("partials.0+=3dB", "is no band of partials"),
    ("partials.9-3=none", "is no band of partials"), ("noise=-30dB", "write noise+=-30dB to move the noise"),
    ("curves=0", "write curves=none"), ("paper.colour=1", "the paper has no attribute 'colour'"),
])
def test_what_cannot_be_done_is_told(assignment: str, sentence: str) -> None:
    with pytest.raises(EditError, match=re.escape(sentence)):
        edited(assignment)


def test_a_vibrato_where_there_was_none_gets_a_rate_and_a_delay() -> None:
    note = edited("vibrato=30c", notes="x").expressions["x"]
    assert (note.vibrato_cents, note.vibrato_rate_hz, note.vibrato_delay_s) == (30.0, *USUAL_VIBRATO["flute"][1:])
    # Where the part plays vibrato, its own is the usual one.
    still = piece().select(notes="a").edit("vibrato=none")
    assert still.expressions["a"] == replace(STILL, length_ratio=0.96)
    assert still.edit("vibrato=10c").expressions["a"].vibrato_rate_hz == 5.0
    # The order of the words does not matter, and a rate alone makes no vibrato.
    assert edited("vibrato_rate=6Hz", "vibrato=9c", notes="x").expressions["x"].vibrato_rate_hz == 6.0
    assert edited("vibrato_rate=6Hz", notes="x").expressions["x"] == STILL
    assert set(USUAL_VIBRATO) == set(INSTRUMENTS)


def test_a_level_ramp_goes_through_the_notes_and_inside_them() -> None:
    after = piece().select(part="Violin I").edit("level=ramp(-40dB,-20dB)")
    assert [after.expressions[name].level_db for name in "abcd"] == pytest.approx([-37.5, -32.5, -27.5, -22.5])
    inside = {curve.note_id: curve for curve in after.curves}
    assert inside["b"].values == pytest.approx((-2.5, 2.5))
    assert inside["b"].times == (0.0, 1.0)
    assert after.edit("level=ramp(-40dB,-20dB)").performance == after.performance
    assert [after.edit("vibrato=ramp(0c,40c)").expressions[name].vibrato_cents for name in "abcd"] == pytest.approx(
        [5.0, 15.0, 25.0, 35.0])


def test_a_crescendo_leaves_levels_and_draws_over_the_notes() -> None:
    after = piece().select(part="Violin I", bars=1).edit("crescendo")
    steady = {name: replace(note, fluctuation_db=after.expressions[name].fluctuation_db)
              for name, note in piece().expressions.items()}
    assert after.expressions == steady
    assert after.expressions["b"].fluctuation_db == HELD_FLUCTUATION_DB  # a held note moves by its line alone
    assert [(curve.note_id, curve.values) for curve in after.curves] == [("a", (0.0, 3.0)), ("b", (3.0, 6.0))]
    assert piece().select(notes="a").edit("diminuendo(9dB)").curves[0].values == (0.0, -9.0)
    assert after.edit("curves=none").curves == ()


def test_curves_are_drawn_on_each_note() -> None:
    after = piece().select(part="flute").edit("pitch+=curve(0s:0c,300ms:-40c)")
    assert [(curve.note_id, curve.mode, curve.times) for curve in after.curves] == [
        ("x", "add", (0.0, 0.3)), ("y", "add", (0.0, 0.3))]
    assert edited("gain-=2dB").curves[0].values == (-2.0,)
    again = edited("level=curve(0:-30dB,1:-20dB)").edit("level=curve(0:-10dB)")
    assert [(curve.mode, curve.values) for curve in again.curves] == [("set", (-10.0,))]
    piecewise = piece().select(part="flute").draw("pitch", (0.0, 1.0), (0.0, 5.0), anchor="piece")
    assert [(curve.part, curve.note_id) for curve in piecewise.curves] == [("Flute", None)]
    with pytest.raises(EditError, match="a curve's target is 'colour'"):
        piece().select().draw("colour", (0.0,), (0.0,))


def test_noise_and_bands_of_partials_are_drawn() -> None:
    after = edited("noise+=3dB", "partials.5-12-=curve(0s:0dB,1s:6dB)", "partials.2=curve(0:-40dB)")
    drawn = [(item.target, item.band, item.mode, item.times, item.values) for item in after.curves]
    assert drawn == [("noise", None, "add", (0.0,), (3.0,)), ("partials", (5, 12), "add", (0.0, 1.0), (0.0, -6.0)),
                     ("partials", (2, 2), "set", (0.0,), (-40.0,))]
    assert [item.band for item in after.edit("partials.5-12=none").curves] == [None, (2, 2)]
    assert [item.target for item in after.edit("partials=none").curves] == ["noise"]
    assert after.edit("curves=none").curves == ()
    assert after.draw("partials", (0.0,), (2.0,), band=(1, 3)).curves[-1].band == (1, 3)


def test_a_vibrato_that_goes_takes_its_shape_along() -> None:
    shaped = edited("phase=0.5", "fade=0.2s")
    assert edited("vibrato=0", "phase=0.5").expressions["a"].vibrato_phase is None
    gone = shaped.edit("vibrato=0").expressions["a"]
    assert (gone.vibrato_phase, gone.vibrato_fade_s, gone.vibrato_rate_hz) == (None, None, None)


def test_a_part_becomes_a_section() -> None:
    after = piece().select(part="Violin I", bars=2).edit("players=8")
    assert [part.players for part in after.score.parts] == [8, 1]
    row, = changes(piece(), after)
    assert (row.part, row.what, row.before, row.after) == ("Violin I", "players", "1", "8")
    for wrong in ("players=0", "players=many", "players+=2"):
        with pytest.raises(EditError, match="write how many play the part, as players=8"):
            edited(wrong)


def test_articulation_changes_marks_and_what_they_do() -> None:
    short = edited("articulation=staccato")
    assert short.score.note("a").articulations == ("staccato",)
    assert short.expressions["a"].length_ratio == pytest.approx(0.48)
    assert short.origins["a"]["length_ratio"] == "hand"
    accented = short.edit("accent")
    assert accented.score.note("a").articulations == ("accent", "staccato")
    assert accented.expressions["a"].length_ratio == pytest.approx(0.48)
    assert [curve.target for curve in accented.curves] == ["level"]
    plain = accented.edit("articulation=none")
    assert plain.curves == ()
    for name in ATTRIBUTES:
        if name != "peak_position":  # what it was before the accent is not known any more
            assert getattr(plain.expressions["a"], name) == pytest.approx(getattr(PLAIN, name)), name


def test_a_slur_joins_all_notes_but_the_first_of_each_run() -> None:
    def slurred(ids: list[str]) -> str:
        after = piece().select(notes=ids).edit("articulation=legato")
        return "".join(note.id for note in after.score.parts[0].notes if "legato" in note.articulations)

    assert slurred(["a", "b", "c"]) == "bc"
    assert slurred(["a", "b", "d"]) == "bd"
    assert slurred(["c"]) == "c"
    assert slurred(["a"]) == ""
    assert edited("legato", notes="c").expressions["c"].glide_s is not None


def test_lock_keeps_what_was_touched_and_the_hand_may_change_it_all_the_same() -> None:
    locked = edited("vibrato=60c").lock()
    assert locked.locks == {"a": frozenset({"vibrato_cents"})}
    assert locked.edit("vibrato=10c").expressions["a"].vibrato_cents == 10.0
    assert piece().select(notes="b").lock().locks == {"b": frozenset(ATTRIBUTES)}
    assert piece().select(notes="b").lock("level", "rate").locks == {"b": frozenset({"level_db", "vibrato_rate_hz"})}
    assert locked.unlock().locks == {}
    assert locked.lock("level").unlock("vibrato").locks == {"a": frozenset({"level_db"})}


def test_a_table_of_changes() -> None:
    before = piece()
    after = before.select(notes="c").edit("level=-20dB", "accent")
    rows = {row.what: (row.before, row.after) for row in changes(before, after)}
    assert rows["level_db"] == (-26.0, -20.0)
    assert rows["articulation"] == ("none", "accent")
    assert rows["curves"] == ("0", "1")
    assert {(row.part, row.note_id, row.bar) for row in changes(before, after)} == {("Violin I", "c", 2)}
    assert changes(before, before) == ()


WORDS = st.sampled_from([
    "vibrato=60c", "vibrato*=3", "vibrato=none", "vibrato_rate+=1Hz", "level+=30dB", "level=ramp(pp,ff)", "length*=9",
    "articulation=staccato,accent", "legato", "sforzato", "articulation=none", "crescendo", "diminuendo(p,f)",
    "pitch+=20c", "gain+=ramp(0dB,-6dB)", "level=curve(0:-30dB,1:-10dB)", "curves=none", "brightness-=4oct",
    "attack*=100", "tuning-=2000c", "glide=30ms", "volume*=2", "paper.attack=0", "paper.brightness=1", "marcato"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(performance=performances(), words=st.lists(WORDS, max_size=4), some=st.randoms())
def test_any_edit_gives_a_legal_performance_and_leaves_the_other_notes(
    performance: Performance, words: list[str], some: Any
) -> None:
    ids = [name for name in performance.expressions if some.random() < 0.5]
    before = replace(performance)
    after = select(performance, notes=ids).edit(*words)
    assert performance == before
    for name, expression in performance.expressions.items():
        if name not in ids:
            assert after.expressions[name] == expression
            assert after.score.note(name) == performance.score.note(name)
            assert after.origins.get(name) == performance.origins.get(name)
        for attribute, (low, high, _) in ATTRIBUTE_RANGES.items():
            value = getattr(after.expressions[name], attribute)
            assert value is None or low <= value <= high
    assert after.locks == performance.locks
    kept = [curve for curve in performance.curves if curve.note_id not in ids]
    assert [curve for curve in after.curves if curve.note_id not in ids] == kept


def test_a_selection_is_saved_and_read_as_the_performance_it_is(tmp_path: Any) -> None:
    from mididdsp.expression.document import load_performance, save_performance

    after = edited("vibrato=60c", "accent").lock()
    save_performance(tmp_path / "x.performance.json", after)
    assert load_performance(tmp_path / "x.performance.json") == after.performance
    assert isinstance(after.curves[0], Curve)


def test_every_scale_of_the_paper_can_be_assigned() -> None:
    for name in PAPER:
        assert edited(f"paper.{name}=0.5").origins["a"]


@pytest.mark.parametrize("text", ["vibrato=-10c", "attack=-5ms", "length=100000%", "timing=-100s", "level=40dB",
                                  "paper.vibrato=1.5", "vibrato=ramp(0c,5000c)"])
def test_a_value_that_no_note_can_have_is_refused(text: str) -> None:
    with pytest.raises(EditError, match=r"cannot be .*; give a number from"):
        piece().select().edit(text)


def test_a_vibrato_that_is_moved_below_nothing_is_none() -> None:
    edited = piece().select().edit("vibrato=20c", "vibrato-=50c").performance
    for expression in edited.expressions.values():
        assert (expression.vibrato_cents, expression.vibrato_rate_hz, expression.vibrato_delay_s) == (0.0, None, None)
