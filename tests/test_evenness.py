"""Dynamics that move are heard: levels are evened out where velocities rise or fall, and nowhere else."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mididdsp import interpretation
from mididdsp.evenness import KEPT_SHARE, VELOCITIES, evening
from mididdsp.expression.articulation import HELD_FLUCTUATION_DB
from mididdsp.expression.types import Curve, NoteExpression
from mididdsp.notes.types import Note, Part, PartPlan, Score
from mididdsp.notes.voices import plan_part

DB_PER_VELOCITY = 0.25


class Uneven:
    """A prior that plays every E 8 dB too soft, long notes 3 dB softer, and velocities straight."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}

    def express(
        self, plan: PartPlan, *, seed: int, temperature: float = 1.0,
        given: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> dict[str, NoteExpression]:
        result = {}
        for chain in plan.chains:
            for item in chain.notes:
                note, values = item.note, dict((given or {}).get(item.note.id, {}))
                if values.get("level_db") is not None:
                    self.told[note.id] = float(values["level_db"] or 0.0)
                level = (-30.0 + DB_PER_VELOCITY * ((note.velocity or 80) - 80) - 8.0 * (note.pitch % 12 == 4)
                         - 3.0 * (note.duration > 5.0))
                plain = NoteExpression(
                    level_db=level, fluctuation_db=3.0, peak_position=0.4, brightness=1.0, attack_noise_db=-25.0,
                    attack_s=0.05, release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None,
                    tuning_cents=0.0, timing_s=0.0, length_ratio=None if item.leads else 0.97,
                    glide_s=0.03 if item.joined else None)
                result[note.id] = replace(plain, **values)  # type: ignore[arg-type]
        return result


def line(velocities: list[int | None], pitches: list[float] | None = None, seconds: float = 0.5) -> Score:
    pitches = pitches or [64.0 if index % 2 else 62.0 for index in range(len(velocities))]
    notes = tuple(Note(id=f"n{index}", onset=index * seconds, duration=seconds, pitch=pitch, velocity=velocity)
                  for index, (pitch, velocity) in enumerate(zip(pitches, velocities)))
    return Score(parts=(Part(name="Violin", instrument="violin", notes=notes),))


def levels(score: Score, **options: object) -> list[float]:
    played = interpretation.first(Uneven(), score, seed=1, temperature=1.0, **options)  # type: ignore[arg-type]
    return [played.expressions[note.id].level_db for note in score.parts[0].notes]


def test_a_crescendo_rises_over_uneven_notes() -> None:
    rising = levels(line([49, 53, 57, 61, 65, 69]))
    # 4 units are 1 dB; robust weights leave a soft E in every octave aside, to a quarter of a dB
    assert [later - earlier for earlier, later in zip(rising, rising[1:])] == pytest.approx([1.0] * 5, abs=0.25)


def test_notes_of_one_dynamic_stay_as_they_were_drawn() -> None:
    assert levels(line([64, 64, 64, 64])) == [-34.0, -42.0, -34.0, -42.0]
    assert levels(line([None, None, None])) == [-30.0, -38.0, -30.0]


def test_notes_far_from_what_moves_stay_as_they_were_drawn() -> None:
    found = levels(line([64] * 6 + [96, 112]))
    assert found[:3] == [-34.0, -42.0, -34.0]  # three notes on either side are reached
    assert found[5] != -42.0


def test_a_long_note_is_as_loud_as_a_short_one_where_dynamics_move() -> None:
    notes = (Note(id="a", onset=0.0, duration=6.0, pitch=62.0, velocity=64),
             Note(id="b", onset=6.0, duration=0.6, pitch=62.0, velocity=96))
    played = interpretation.first(
        Uneven(), Score(parts=(Part(name="Violin", instrument="violin", notes=notes),)), seed=1, temperature=1.0)
    assert played.expressions["b"].level_db - played.expressions["a"].level_db == pytest.approx(8.0, abs=0.25)


def test_a_draw_keeps_half_of_what_is_its_own() -> None:
    way = next(iter(evening(Uneven(), plan_part(line([33, 96]).parts[0])).values()))
    assert way.keep == KEPT_SHARE
    assert way.evened(way.usual + way.uneven + 4.0) == pytest.approx(way.usual + 4.0 * KEPT_SHARE)
    for level in (-70.0, -30.0, 0.0):  # there and back is the same level but for rounding
        assert way.evened(way.drawn(level)) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("velocity", VELOCITIES)
def test_every_velocity_has_its_usual_level(velocity: int) -> None:
    way = evening(Uneven(), plan_part(line([velocity, 60 if velocity > 64 else 70]).parts[0]))["n0"]
    assert way.usual == pytest.approx(-30.0 + DB_PER_VELOCITY * (velocity - 80), abs=0.25)


def test_another_draw_keeps_levels_and_tells_the_prior_what_it_would_have_drawn() -> None:
    prior, score = Uneven(), line([49, 57, 65, 73])
    played = interpretation.first(prior, score, seed=1, temperature=1.0)
    again = interpretation.again(prior, played, attributes=["brightness"], seed=2)
    assert again.expressions == played.expressions
    assert prior.told["n1"] == pytest.approx(-30.0 + DB_PER_VELOCITY * (57 - 80) - 8.0)
    quiet = replace(played, expressions={**played.expressions, "n1": replace(played.expressions["n1"],
                                                                            level_db=-119.0)})
    kept = interpretation.again(prior, quiet, attributes=["brightness"], seed=2)
    assert kept.expressions["n1"].level_db == -119.0


def test_a_hairpin_inside_a_note_is_all_that_moves_its_level() -> None:
    score = line([49, 96], seconds=2.0)
    hairpin = Curve(target="level", times=(0.0, 2.0), values=(0.0, 12.0), part="Violin", note_id="n0", anchor="onset",
                    origin="score")
    played = interpretation.first(Uneven(), score, seed=1, temperature=1.0, curves=(hairpin,))
    assert played.expressions["n0"].fluctuation_db == HELD_FLUCTUATION_DB
    assert played.expressions["n1"].fluctuation_db == 3.0
    assert played.origins["n0"]["fluctuation_db"] == "score"
