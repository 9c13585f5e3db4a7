"""The table of controllers: presets, a user's file, and what each rule does to notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mididdsp.expression.controller_map import PRESETS, ControllerError, Rule, load_controllers
from mididdsp.expression.controllers import handwork
from mididdsp.expression.types import ATTRIBUTE_RANGES, CURVE_TARGETS, NoteExpression
from mididdsp.notes.types import Lane, Note, Part

EXPRESSION = NoteExpression(
    level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=1.0, attack_noise_db=-25.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=20.0, vibrato_rate_hz=5.5, vibrato_delay_s=0.2, tuning_cents=0.0, timing_s=0.0,
    length_ratio=0.95, glide_s=None)


def part(*lanes: Lane, velocity: int | None = 80) -> Part:
    notes = (Note(id="a", onset=0.0, duration=1.0, pitch=60, velocity=velocity),
             Note(id="b", onset=1.0, duration=1.0, pitch=62, velocity=velocity))
    return Part(name="p", instrument="violin", notes=notes, lanes=lanes)


def lane(name: str, *events: tuple[float, float]) -> Lane:
    return Lane(name=name, times=tuple(time for time, _ in events), values=tuple(value for _, value in events))


def played(name: str, value: float, attribute: str, preset: str = "gm") -> float | None:
    hand = handwork(part(lane(name, (0.0, value))), PRESETS[preset])
    given = hand.given.get("a", {})
    return given[attribute] if attribute in given else getattr(hand.moved("a", EXPRESSION), attribute)


def test_every_preset_is_legal_and_has_a_bend() -> None:
    for rules in PRESETS.values():
        assert any(rule.source == "bend" for rule in rules)
        for rule in rules:
            assert rule.target in CURVE_TARGETS or rule.target in ATTRIBUTE_RANGES


@pytest.mark.parametrize(("name", "attribute", "half", "twice"), [
    ("cc72", "release_s", 0.05, 0.2), ("cc73", "attack_s", 0.025, 0.1), ("cc77", "vibrato_cents", 10.0, 40.0),
    ("cc78", "vibrato_delay_s", 0.1, 0.4),
])
def test_sound_controllers_leave_64_alone(name: str, attribute: str, half: float, twice: float) -> None:
    assert played(name, 64, attribute) == getattr(EXPRESSION, attribute)
    assert played(name, 32, attribute) == pytest.approx(half)
    assert played(name, 96, attribute) == pytest.approx(twice)


def test_brightness_moves_by_octaves() -> None:
    assert played("cc74", 64, "brightness") == 1.0
    assert played("cc74", 32, "brightness") == pytest.approx(0.5)
    assert played("cc74", 0, "brightness") == 0.0


def test_the_wheel_means_what_the_preset_says() -> None:
    wheel = part(lane("cc1", (0.0, 127.0)))
    assert handwork(wheel, PRESETS["gm"]).moved("a", EXPRESSION).vibrato_cents == pytest.approx(70.0)
    assert [curve.target for curve in handwork(part(lane("cc1", (0.0, 64.0))), PRESETS["library"]).curves] == ["level"]
    assert handwork(wheel, PRESETS["modelled"]).given["a"]["vibrato_cents"] == pytest.approx(80.0)


def test_the_wheel_is_averaged_over_the_note() -> None:
    moving = part(lane("cc1", (0.0, 0.0), (0.5, 127.0), (1.0, 0.0)))
    given = handwork(moving, PRESETS["modelled"]).given
    assert given["a"]["vibrato_cents"] == pytest.approx(40.0)
    assert given["b"]["vibrato_cents"] == 0.0


def test_a_wheel_makes_a_vibrato_where_none_was_drawn() -> None:
    straight = NoteExpression(**{
        **{name: getattr(EXPRESSION, name) for name in ATTRIBUTE_RANGES}, "vibrato_cents": 0.0,
        "vibrato_rate_hz": None, "vibrato_delay_s": None})
    moved = handwork(part(lane("cc1", (0.0, 127.0)))).moved("a", straight)
    assert (moved.vibrato_cents, moved.vibrato_rate_hz) == (50.0, 5.5)


def test_portamento_needs_its_switch() -> None:
    assert handwork(part(lane("cc5", (0.0, 64.0)))).given == {}
    given = handwork(part(lane("cc5", (0.0, 64.0)), lane("cc65", (0.0, 0.0), (0.9, 127.0)))).given
    assert set(given) == {"b"}
    assert 0.05 < given["b"]["glide_s"] < 0.2


def test_a_source_note_is_glided_from() -> None:
    (curve,) = handwork(part(lane("cc84", (0.95, 55.0)))).curves
    assert (curve.note_id, curve.target, curve.values) == ("b", "pitch", (-700.0, 0.0))


def test_velocity_may_be_the_attack() -> None:
    soft = handwork(part(velocity=20), PRESETS["modelled"]).given["a"]["attack_s"]
    hard = handwork(part(velocity=120), PRESETS["modelled"]).given["a"]["attack_s"]
    assert hard < 0.05 < soft


def test_the_soft_pedal_lowers_the_level() -> None:
    (curve,) = handwork(part(lane("cc67", (0.0, 0.0), (1.0, 127.0)))).curves
    assert (curve.target, curve.values[0], curve.values[-1]) == ("level", 0.0, -4.0)


def test_what_is_sent_with_one_note_stays_with_it() -> None:
    alone = {"b": (lane("bend", (1.0, 0.0), (1.5, 2.0)), lane("cc74", (1.0, 127.0)))}
    hand = handwork(part(), PRESETS["mpe"], alone)
    (curve,) = hand.curves
    assert (curve.note_id, curve.anchor, curve.times[-1], curve.values[-1]) == ("b", "onset", 0.5, 200.0)
    assert set(hand.moves) == {"b"}


def test_fine_halves_count() -> None:
    rules = (Rule(source="cc20", target="level_db", law="line", low=-90.0, high=0.0),)
    coarse = handwork(part(lane("cc20", (0.0, 64.0))), rules).given["a"]["level_db"]
    fine = handwork(part(lane("cc20", (0.0, 64.0)), lane("cc52", (0.0, 64.0))), rules).given["a"]["level_db"]
    assert fine - coarse == pytest.approx(0.5 * 90.0 / 127.0)


@pytest.mark.parametrize("rule", [rule for rule in PRESETS["own"] if rule.law in ("line", "ratio", "fader")
                                  and rule.source != "velocity"], ids=lambda rule: rule.target)
def test_rules_can_be_turned_round(rule: Rule) -> None:
    for value in (1.0, 40.0, 64.0, 126.0):
        assert rule.controller(rule.value(value)) == pytest.approx(value, abs=1e-9)


def test_a_users_table_changes_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "gm"\n[cc1]\ntarget = "level"\nlaw = "fader"\n[cc11]\noff = true\n'
                    '[blow]\nsource = "cc2"\ntarget = "brightness"\nlaw = "around"\nspan = 2\n', encoding="utf-8")
    rules = load_controllers(path)
    assert [(rule.target, rule.law) for rule in rules if rule.source == "cc1"] == [("level", "fader")]
    assert not any(rule.source == "cc11" for rule in rules)
    assert [(rule.target, rule.span) for rule in rules if rule.source == "cc2"] == [("brightness", 2)]
    assert any(rule.source == "cc7" for rule in rules)


@pytest.mark.parametrize(("text", "says"), [
    ("[cc1", "not legal TOML"), ('base = "nobody"', "base is"), ("cc1 = 3", "no section"),
    ('[cc200]\ntarget = "level"\nlaw = "fader"', "no controller"),
    ('[cc1]\ntarget = "colour"\nlaw = "line"', "no target"),
    ('[cc1]\ntarget = "level"\nlaw = "magic"', "no law"), ('[cc1]\nlaw = "line"', "target and a law"),
    ('[cc1]\ntarget = "level"\nlaw = "line"\nhigh = "big"', "write a number"),
    ('[cc1]\ntarget = "level"\nlaw = "line"\nheight = 1', "no 'height'"),
    ('[cc1]\ntarget = "attack_s"\nlaw = "ratio"', "above 0"),
    ('[velocity]\ntarget = "level"\nlaw = "fader"', "one number a note"),
    ('[cc1]\ntarget = "level"\nlaw = "line"\nhigh = inf', "finite"),
])
def test_a_broken_table_is_refused_with_a_sentence(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ControllerError, match=says) as caught:
        load_controllers(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_preset_that_is_not_there() -> None:
    with pytest.raises(ControllerError, match="neither a preset"):
        load_controllers("nobody")
