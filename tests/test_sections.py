"""Sections: n players, each a little different, divided over the notes of a chord, about as loud as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import players
import pytest

from mididdsp.expression.types import NoteExpression, Performance
from mididdsp.notes.types import Note, Part, PartPlan, Score
from mididdsp.notes.voices import plan_part
from mididdsp.sections import (
    by_desk,
    desk_of,
    desk_pans,
    divided,
    play_section,
    player_expressions,
    player_seed,
    with_players,
)
from mididdsp.synthesis.types import Segment
from mididdsp.units import power_to_db


def part(*chords: tuple[float, ...], count: int = 6) -> Part:
    notes = tuple(Note(id=f"{index}.{pitch:g}", onset=0.6 * index, duration=0.5, pitch=pitch, velocity=80)
                  for index, chord in enumerate(chords) for pitch in sorted(chord))
    return Part(name="Violins I", instrument="violin", notes=notes, players=count)


def performed(given: Part) -> Performance:
    return players.tiny().perform(Score(parts=(given,)))


def test_one_line_is_played_by_all() -> None:
    plan = plan_part(part((60,), (62,), (64,)))
    assert [len(own.chains) for own in divided(plan, 4)] == [3, 3, 3, 3]


@pytest.mark.parametrize(("count", "expected"), [(6, [3, 3]), (5, [3, 2]), (2, [1, 1])])
def test_a_chord_is_divided(count: int, expected: list[int]) -> None:
    plan = plan_part(part((60, 67), (62, 69)))
    given = divided(plan, count)
    for index, (low, high) in enumerate(((60, 67), (62, 69))):
        names = [chain.id for own in given for chain in own.chains]
        assert [names.count(f"{index}.{high}"), names.count(f"{index}.{low}")] == expected


def test_fewer_players_than_notes_take_several() -> None:
    given = divided(plan_part(part((60, 64, 67))), 2)
    assert sorted(chain.id for own in given for chain in own.chains) == ["0.60", "0.64", "0.67"]
    assert all(own.chains for own in given)


def test_players_differ_from_each_other_and_are_themselves_again() -> None:
    performance = performed(part(*((60.0 + index % 5,) for index in range(30))))
    plan = plan_part(performance.score.parts[0])
    takes = [player_expressions(plan, performance.expressions, player=number, seed=3) for number in range(6)]
    assert takes[2] == player_expressions(plan, performance.expressions, player=2, seed=3)
    assert takes[2] != player_expressions(plan, performance.expressions, player=2, seed=4)
    assert len({player_seed(3, number) for number in range(6)}) == 6
    for name, low, high in (("tuning_cents", 2.0, 12.0), ("timing_s", 0.004, 0.03)):
        away = np.array([[getattr(take[note.id], name) - getattr(performance.expressions[note.id], name)
                          for note in plan.part.notes] for take in takes])
        assert low < away.std() < high
        assert abs(away).max() < 4.5 * away.std()


def _play(plan: PartPlan, expressions: Mapping[str, NoteExpression], seed: int) -> Iterator[Segment]:
    """Segments of one frame, one a chain."""
    for chain in plan.chains:
        frame = np.zeros(1, np.float32)
        yield Segment(id=chain.id, note_ids=(chain.id,), start_s=max(0.0, chain.notes[0].onset
                      + expressions[chain.id].timing_s), f0_hz=frame + 440.0, amplitude_db=frame - 20.0,
                      harmonics=np.ones((1, 1), np.float32), noise_db=np.full((1, 1), -60.0, np.float32))


def test_segments_come_in_time_with_names_and_levels_of_their_own() -> None:
    performance = performed(part((60,), (62,), (64,), count=5))
    plan = plan_part(performance.score.parts[0])
    segments = list(play_section(plan, performance.expressions, players=5, seed=0, play=_play))
    starts = [segment.start_s for segment in segments]
    assert starts == sorted(starts)
    assert len({segment.id for segment in segments}) == 15
    assert segments[0].amplitude_db[0] == pytest.approx(-20.0 - 10.0 * np.log10(5.0))
    alone = list(play_section(plan, performance.expressions, players=1, seed=0, play=_play))
    assert [segment.id for segment in alone] == [chain.id for chain in plan.chains]


def test_desks_share_the_players_and_wait_for_no_more_than_needed() -> None:
    performance = performed(part(*((60.0,) for _ in range(20))))
    plan = plan_part(performance.score.parts[0])
    read: list[str] = []

    def watched() -> Iterator[Segment]:
        for segment in play_section(plan, performance.expressions, players=6, seed=0, play=_play):
            read.append(segment.id)
            yield segment

    desks = by_desk(watched())
    firsts = [next(desk) for desk in desks]
    assert len(read) <= 6  # lazily
    assert {desk_of(segment.id) for segment in firsts} == {0, 1, 2}
    assert sum(len(list(desk)) for desk in desks) == 20 * 6 - 3
    assert desk_of("plain") is None
    assert desk_pans(-0.5) == pytest.approx((-0.62, -0.5, -0.38))
    assert min(desk_pans(-1.0)) == -1.0


def test_a_section_is_about_as_loud_as_one_and_wider() -> None:
    chords = [(60.0 + index % 3,) for index in range(6)]
    performance = performed(part(*chords))
    one = replace(performance.score.parts[0], players=1)
    solo = replace(performance, score=replace(performance.score, parts=(one,)))
    performer = players.tiny()
    section = performer.render(performance, room="none", sample_rate=16_000).audio
    alone = performer.render(solo, room="none", sample_rate=16_000).audio

    def level(audio: np.ndarray) -> float:
        return float(power_to_db(float(np.mean(np.sum(audio.astype(np.float64) ** 2, axis=0)))))

    assert section.shape[0] == 2
    # six players beat against each other: their powers add on the mean, within a few dB over three seconds
    assert level(section) == pytest.approx(level(alone), abs=3.0)
    similar = np.corrcoef(section)[0, 1]
    assert similar < np.corrcoef(alone)[0, 1] - 0.01  # left and right differ


def test_saved_levels_of_a_section_render_to_the_same_sound() -> None:
    performer = players.tiny()
    performance = performed(part((60.0, 64.0), (62.0,), count=3))
    direct = performer.render(performance, room="none", sample_rate=16_000).audio
    (params,) = performer.synthesize(performance)
    again = performer.render(params, mix=performance.mix, room="none", sample_rate=16_000)
    assert again.audio.shape == direct.shape
    # The gain is estimated from notes there and from segments here; the sound is the same.
    np.testing.assert_allclose(again.audio / np.abs(again.audio).max(), direct / np.abs(direct).max(), atol=1e-5)


def test_a_score_is_given_players() -> None:
    parts = tuple(Part(name=name, instrument="violin", notes=()) for name in ("Violin I", "Violin II"))
    score = Score(parts=parts)
    assert [part.players for part in with_players(score, {"*": 6, "Violin II": 4}).parts] == [6, 4]
    assert [part.players for part in with_players(score, {"Violin II": 4}).parts] == [1, 4]
    with pytest.raises(ValueError, match="there is no part 'Viola'; the parts are Violin I, Violin II"):
        with_players(score, {"Viola": 4})
    with pytest.raises(ValueError, match="give 1 to 64"):
        with_players(score, {"*": 0})
