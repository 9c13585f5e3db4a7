"""Notes to voices and chains: what is joined, what is cut, and that nothing is moved."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import parts

from mididdsp.notes.types import Chain, Note, Part, PartPlan, PlannedNote
from mididdsp.notes.voices import MEMORY_S, SHORTEST_OVERLAP_S, plan_part


def part_of(*spans: tuple[float, float, float], marks: tuple[int, ...] = ()) -> Part:
    """A violin part of (onset, offset, pitch); the notes numbered in ``marks`` are marked legato."""
    notes = [Note(id=f"n{index}", onset=on, duration=off - on, pitch=pitch,
                  articulations=("legato",) if index in marks else ()) for index, (on, off, pitch) in enumerate(spans)]
    notes.sort(key=lambda note: (note.onset, note.pitch))
    return Part(name="Violin", instrument="violin", notes=tuple(notes))


def ids(plan: PartPlan) -> list[list[str]]:
    return [[planned.note.id for planned in chain.notes] for chain in plan.chains]


def planned(plan: PartPlan) -> dict[str, PlannedNote]:
    return {item.note.id: item for chain in plan.chains for item in chain.notes}


def test_a_detached_line_is_one_voice_and_a_chain_a_note() -> None:
    plan = plan_part(part_of((0.0, 0.5, 60), (0.6, 1.0, 84), (1.0, 1.4, 62)))
    assert (plan.voices, ids(plan)) == (1, [["n0"], ["n1"], ["n2"]])
    assert [(item.previous, item.following) for item in planned(plan).values()] == [
        (None, "n1"), ("n0", "n2"), ("n1", None)]


def test_a_short_overlap_joins_and_ends_the_earlier_note_at_the_later_onset() -> None:
    plan = plan_part(part_of((0.0, 0.55, 60), (0.5, 1.05, 62), (1.0, 1.5, 60)))
    (chain,) = plan.chains
    assert [(item.onset, item.offset, item.joined, item.leads) for item in chain.notes] == [
        (0.0, 0.5, False, True), (0.5, 1.0, True, True), (1.0, 1.5, True, False)]
    assert chain.id == "n0"


@pytest.mark.parametrize(
    ("overlap", "joined"), [(0.0, False), (0.0009, False), (0.0011, True), (0.24, True), (0.26, False)])
def test_an_overlap_joins_from_a_millisecond_to_half_of_the_shorter_note(overlap: float, joined: bool) -> None:
    # The shorter note is half a second.
    plan = plan_part(part_of((0.0, 1.0 + overlap, 60), (1.0, 1.5, 62)))
    assert planned(plan)["n1"].joined is joined
    assert plan.voices == (1 if overlap < 0.25 else 2)


@pytest.mark.parametrize(("overlap", "voices"), [(0.2, 1), (0.3, 2)])
def test_the_earlier_note_may_be_the_shorter(overlap: float, voices: int) -> None:
    # Half a second, of which 0.25 s may sound into the next.
    assert plan_part(part_of((0.0, 0.5, 60), (0.5 - overlap, 4.0, 62))).voices == voices


def test_notes_that_touch_are_attacked_anew_unless_marked() -> None:
    spans = (0.0, 0.5, 60), (0.5, 1.0, 62), (1.0, 1.5, 64)
    assert ids(plan_part(part_of(*spans))) == [["n0"], ["n1"], ["n2"]]
    assert ids(plan_part(part_of(*spans, marks=(1,)))) == [["n0", "n1"], ["n2"]]


def to_and_fro(count: int, length: float = 0.09, gap: float = 0.0, interval: float = 2.0) -> list[
        tuple[float, float, float]]:
    """A melody note, then two pitches in turn."""
    return [(0.0, 1.0, 55.0), *((1.0 + index * (length + gap), 1.0 + index * (length + gap) + length,
                                 60.0 + interval * (index % 2)) for index in range(count))]


@pytest.mark.parametrize(("count", "more", "slurred"), [
    (8, {}, True), (6, {}, True), (5, {}, False), (8, {"gap": 0.015}, True), (8, {"gap": 0.04}, False),
    (8, {"length": 0.14}, True), (8, {"length": 0.16}, False), (8, {"interval": 3.0}, True),
    (8, {"interval": 4.0}, False), (8, {"interval": 0.0}, False)])
def test_the_notes_of_a_trill_are_slurred(count: int, more: dict[str, float], slurred: bool) -> None:
    found = ids(plan_part(part_of(*to_and_fro(count, **more))))
    trill = [f"n{index}" for index in range(1, count + 1)]
    assert found == [["n0"], trill] if slurred else [["n0"], *([name] for name in trill)]


def test_a_trill_comes_to_rest_on_a_long_note_and_marked_notes_are_played_as_marked() -> None:
    spans = [*to_and_fro(7), (1.63, 2.5, 62.0), (2.5, 2.6, 64.0)]
    part = part_of(*spans)
    assert ids(plan_part(part)) == [["n0"], [f"n{index}" for index in range(1, 9)], ["n9"]]
    marked = replace(part, notes=tuple(replace(note, articulations=("staccato",)) for note in part.notes))
    assert [len(chain) for chain in ids(plan_part(marked))] == [1] * 10


@pytest.mark.parametrize(("gap", "joined"), [(0.1, True), (0.2, True), (0.3, False)])
def test_a_slur_bridges_a_short_gap_only(gap: float, joined: bool) -> None:
    plan = plan_part(part_of((0.0, 1.0, 60), (1.0 + gap, 2.0, 62), marks=(1,)))
    assert planned(plan)["n1"].joined is joined
    # The earlier note lasts to the joint.
    assert planned(plan)["n0"].offset == (1.0 + gap if joined else 1.0)


def test_the_same_pitch_is_struck_again_and_cuts_its_first_sound() -> None:
    plan = plan_part(part_of((0.0, 0.6, 60), (0.5, 1.0, 60), (1.0, 1.5, 60), marks=(2,)))
    assert (plan.voices, ids(plan)) == (1, [["n0"], ["n1"], ["n2"]])
    assert planned(plan)["n0"].offset == 0.5
    assert not any(item.joined for item in planned(plan).values())


def test_the_same_pitch_within_a_longer_one_is_another_voice_and_cuts_nothing() -> None:
    plan = plan_part(part_of((0.0, 4.0, 60), (1.0, 2.0, 60)))
    assert plan.voices == 2
    assert planned(plan)["n0"].offset == 4.0


def test_quarter_tones_are_two_pitches() -> None:
    assert planned(plan_part(part_of((0.0, 0.52, 60.0), (0.5, 1.0, 60.5))))["n1"].joined


def test_chords_go_to_voices_that_do_not_cross() -> None:
    triads = [(0.5 * bar, 0.5 * bar + 0.5, key + shift)
              for bar, shift in enumerate((0, 2, -1, 5)) for key in (60, 64, 67)]
    plan = plan_part(part_of(*triads))
    assert plan.voices == 3
    for chain in plan.chains:
        (item,) = chain.notes
        if item.previous is not None:
            # A triad moved whole: each voice moves by what the chord moves.
            assert int(item.note.id[1:]) - int(item.previous[1:]) == 3


def test_slurred_chords_are_joined_voice_by_voice() -> None:
    plan = plan_part(part_of((0.0, 1.02, 60), (0.0, 1.02, 67), (1.0, 2.0, 62), (1.0, 2.0, 65)))
    assert sorted(ids(plan)) == [["n0", "n2"], ["n1", "n3"]]


def test_a_melody_over_a_held_note_keeps_its_voice() -> None:
    melody = [(0.5 * at, 0.5 * at + 0.45, 72 + at) for at in range(8)]
    plan = plan_part(part_of((0.0, 4.0, 48), *melody))
    assert plan.voices == 2
    assert {chain.voice for chain in plan.chains if chain.notes[0].note.pitch > 60} == {1}


def test_a_bass_note_does_not_continue_a_far_melody_by_a_chance_overlap() -> None:
    held = (0.0, 3.0, 55)
    plan = plan_part(part_of(held, (0.0, 1.02, 84), (1.0, 2.0, 36)))
    assert not planned(plan)["n2"].joined
    assert planned(plan)["n1"].offset == 1.02


def test_a_leap_is_joined_where_one_note_sounds_at_a_time() -> None:
    assert planned(plan_part(part_of((0.0, 1.02, 84), (1.0, 2.0, 55))))["n1"].joined


def test_after_a_long_rest_nothing_is_remembered() -> None:
    plan = plan_part(part_of((0.0, 1.0, 60), (0.0, 1.0, 67), (1.1 + MEMORY_S, 5.0, 67)))
    assert planned(plan)["n2"].previous is None
    assert planned(plan)["n1"].following is None
    assert next(chain for chain in plan.chains if chain.id == "n2").voice == 0


def test_an_empty_part_has_a_voice_and_no_chains() -> None:
    plan = plan_part(part_of())
    assert (plan.voices, plan.chains) == (1, ())


def check_plan(plan: PartPlan) -> None:
    """What holds of every plan."""
    notes = {note.id: note for note in plan.part.notes}
    items = planned(plan)
    assert items.keys() == notes.keys()
    assert sum(len(chain.notes) for chain in plan.chains) == len(notes)
    starts = [chain.notes[0].onset for chain in plan.chains]
    assert starts == sorted(starts)
    for chain in plan.chains:
        assert chain.id == chain.notes[0].note.id
        assert 0 <= chain.voice < plan.voices
        assert [item.joined for item in chain.notes] == [False] + [True] * (len(chain.notes) - 1)
        assert [item.leads for item in chain.notes] == [True] * (len(chain.notes) - 1) + [False]
    for item in items.values():
        check_note(item, items)
    if notes:
        # The part is as long as its notes say.
        assert max(item.offset for item in items.values()) == pytest.approx(
            max(note.offset for note in notes.values()), abs=SHORTEST_OVERLAP_S)


def check_note(item: PlannedNote, items: dict[str, PlannedNote]) -> None:
    """A note is not moved, and ends elsewhere than written only for a joint or a new strike of its pitch."""
    assert item.onset == item.note.onset
    assert item.offset > item.onset
    following = items[item.following] if item.following is not None else None
    if following is not None:
        assert following.previous == item.note.id
        assert following.onset > item.onset
        assert item.leads == following.joined
    if item.joined:
        assert item.previous is not None
        assert items[item.previous].note.pitch != item.note.pitch
    if item.leads:
        assert following is not None
        assert item.offset == following.onset
    elif item.offset != item.note.offset:
        assert following is not None
        assert item.offset == following.onset < item.note.offset
        assert abs(following.note.pitch - item.note.pitch) < 0.25


def check_voices(plan: PartPlan) -> None:
    """Within a voice one note sounds at a time, but for the rounding of ticks."""
    by_voice: dict[int, list[PlannedNote]] = {}
    for chain in plan.chains:
        by_voice.setdefault(chain.voice, []).extend(chain.notes)
    for items in by_voice.values():
        items.sort(key=lambda item: item.onset)
        for before, after in zip(items, items[1:]):
            assert before.offset <= after.onset + SHORTEST_OVERLAP_S


@settings(max_examples=150, deadline=None)
@given(part=parts(name="P", max_notes=14, with_lanes=False))
def test_any_part_is_planned_whole_and_in_time(part: Part) -> None:
    plan = plan_part(part)
    check_plan(plan)
    check_voices(plan)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_dense_and_contiguous_parts_are_planned_whole_and_in_time(data: st.DataObject) -> None:
    # On a coarse grid notes touch, coincide and repeat, as in scores.
    spans = data.draw(st.lists(st.tuples(st.integers(0, 24), st.integers(1, 9), st.integers(60, 66)), max_size=24))
    shift = data.draw(st.sampled_from((0.0, 0.02, -0.02)))
    plan = plan_part(part_of(*((on / 8, (on + length) / 8 + shift, float(key)) for on, length, key in spans)))
    check_plan(plan)
    check_voices(plan)


@settings(max_examples=100, deadline=None)
@given(part=parts(name="P", max_notes=10, monophonic=True, with_lanes=False))
def test_a_monophonic_part_is_one_voice(part: Part) -> None:
    assert plan_part(part).voices == 1


def chains_without_numbers(chains: tuple[Chain, ...]) -> set[Chain]:
    return {replace(chain, voice=0) for chain in chains}


def test_an_edit_changes_chains_nearby_only() -> None:
    rng = random.Random(3)
    spans = []
    now = 0.0
    for at in range(400):
        length = rng.choice((0.1, 0.25, 0.5))
        if rng.random() < 0.2:
            spans.append((now, now + length, float(rng.randrange(48, 60))))
        spans.append((now, now + length * rng.choice((0.9, 1.0, 1.08)), float(rng.randrange(60, 84))))
        now += length + (2.5 if at % 50 == 49 else 0.0)
    before = part_of(*spans)
    middle = len(before.notes) // 2
    for edit in ({"pitch": 90.0}, {"duration": 0.05}, {"duration": 1.5}):
        notes = list(before.notes)
        notes[middle] = replace(notes[middle], **edit)  # type: ignore[arg-type]
        after = replace(before, notes=tuple(notes))
        changed = chains_without_numbers(plan_part(after).chains) ^ chains_without_numbers(plan_part(before).chains)
        onsets = [item.onset for chain in changed for item in chain.notes]
        centre = notes[middle].onset
        # Nothing before the chains that touch the note, nothing after the next long rest (here every 50 notes).
        assert centre - 3.0 < min(onsets)
        assert max(onsets) < centre + 25.0
        assert len(changed) < 60


@pytest.mark.parametrize("shape", ["line", "held", "chord", "arpeggio"])
def test_100_000_notes_are_planned_in_seconds_whatever_their_shape(shape: str) -> None:
    count = 100_000 if shape == "line" else 20_000
    rng = random.Random(1)
    notes = []
    for at in range(count):
        onset, duration = {"line": (0.1 * at, 0.12), "held": (0.001 * at, 10_000.0), "chord": (0.0, 1.0 + 0.001 * at),
                           "arpeggio": (0.001 * (at // 4), 1.9)}[shape]
        notes.append(Note(id=f"n{at}", onset=onset, duration=duration, pitch=float(rng.randrange(40, 90))))
    part = Part(name="P", instrument="violin", notes=tuple(sorted(notes, key=lambda note: (note.onset, note.pitch))))
    started = time.process_time()
    plan = plan_part(part)
    # Two seconds on an idle core; quadratic time would take many minutes.
    assert time.process_time() - started < 15.0
    assert sum(len(chain.notes) for chain in plan.chains) == count


def test_the_plan_depends_on_the_notes_alone() -> None:
    part = part_of(*((0.1 * (at % 37), 0.1 * (at % 37) + 0.3, 50.0 + at % 23) for at in range(200)))
    assert plan_part(part) == plan_part(part)
