"""Which note of a revised score is which: ten kinds of revision of a real quartet movement.

The score is the minuet of Haydn's op. 74 no. 1 from the corpus that comes with music21.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import scores

from mididdsp.bars import Bars, beat_at, time_at
from mididdsp.notes.alignment import align
from mididdsp.notes.types import Note, Part, Score, TempoChange

BEAT_S = 0.5
BAR_BEATS = 3.0


@cache
def minuet() -> Score:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from music21 import corpus

        stream = corpus.parse("haydn/opus74no1/movement3")
    parts = []
    for number, (name, part) in enumerate(zip(("Violin I", "Violin II", "Viola", "Cello"), stream.parts)):
        notes = [Note(id=f"{number}-{index}-{voice}", onset=float(found.offset) * BEAT_S,
                      duration=float(found.quarterLength) * BEAT_S, pitch=float(pitch.midi), velocity=70)
                 for index, found in enumerate(part.flatten().notes) if found.quarterLength > 0
                 for voice, pitch in enumerate(found.pitches)]
        parts.append(Part(name=name, instrument=("violin", "violin", "viola", "cello")[number],
                          notes=tuple(sorted(notes, key=lambda note: (note.onset, note.pitch)))))
    return Score(parts=tuple(parts))


def at_bar(number: int) -> float:
    return (number - 1) * BAR_BEATS * BEAT_S


def each(change: Callable[[Part], Part]) -> Score:
    return replace(minuet(), parts=tuple(map(change, minuet().parts)))


def notes_of(part: Part, notes: list[Note]) -> Part:
    return replace(part, notes=tuple(sorted(notes, key=lambda note: (note.onset, note.pitch))))


def bar_put_in() -> tuple[Score, set[str]]:
    cut, gap = at_bar(12), BAR_BEATS * BEAT_S

    def change(part: Part) -> Part:
        moved = [replace(note, onset=note.onset + gap) if note.onset >= cut - 1e-6 else note for note in part.notes]
        new = [Note(id=f"new {part.name} {k}", onset=cut + k * BEAT_S, duration=BEAT_S, pitch=60.0 + k)
               for k in range(3)]
        return notes_of(part, [*moved, *new])

    return each(change), set()


def bar_repeated() -> tuple[Score, set[str]]:
    """A bar is played twice: which of the two is the old one is all the same, so the bar itself does not count."""
    first, cut, gap = at_bar(20), at_bar(21), BAR_BEATS * BEAT_S
    twice = {note.id for part in minuet().parts for note in part.notes if first - 1e-6 <= note.onset < cut - 1e-6}

    def change(part: Part) -> Part:
        moved = [replace(note, onset=note.onset + gap) if note.onset >= cut - 1e-6 else note for note in part.notes]
        copy = [replace(note, id=f"copy {note.id}", onset=note.onset + gap) for note in part.notes if note.id in twice]
        return notes_of(part, [*moved, *copy])

    return each(change), twice


def bars_taken_out() -> tuple[Score, set[str]]:
    first, cut = at_bar(30), at_bar(34)
    gone = {note.id for part in minuet().parts for note in part.notes if first - 1e-6 <= note.onset < cut - 1e-6}
    return each(lambda part: notes_of(part, [
        replace(note, onset=note.onset - (cut - first)) if note.onset >= cut - 1e-6 else note
        for note in part.notes if note.id not in gone])), gone


def part_transposed() -> tuple[Score, set[str]]:
    return each(lambda part: part if part.name != "Viola" else notes_of(
        part, [replace(note, pitch=note.pitch - 12.0) for note in part.notes])), set()


def all_transposed() -> tuple[Score, set[str]]:
    return each(lambda part: notes_of(part, [replace(note, pitch=note.pitch + 2.0) for note in part.notes])), set()


def rhythm_changed() -> tuple[Score, set[str]]:
    """Every tenth note is halved and struck again."""
    changed: set[str] = set()

    def change(part: Part) -> Part:
        found: list[Note] = []
        for index, note in enumerate(part.notes):
            if index % 10 == 4:
                changed.add(note.id)
                half = note.duration / 2
                found += [replace(note, duration=half),
                          replace(note, id=f"again {note.id}", onset=note.onset + half, duration=half)]
            else:
                found.append(note)
        return notes_of(part, found)

    return each(change), changed


def notes_deleted() -> tuple[Score, set[str]]:
    gone = {note.id for part in minuet().parts for note in random.Random(1).sample(part.notes, len(part.notes) // 8)}
    return each(lambda part: notes_of(part, [note for note in part.notes if note.id not in gone])), gone


def notes_added() -> tuple[Score, set[str]]:
    return each(lambda part: notes_of(part, [*part.notes, *(
        Note(id=f"grace {note.id}", onset=max(0.0, note.onset - 0.05), duration=0.05, pitch=note.pitch + 2)
        for note in part.notes[::7])])), set()


def pitches_changed() -> tuple[Score, set[str]]:
    changed = {note.id for part in minuet().parts for note in part.notes[3::9]}
    return each(lambda part: notes_of(part, [
        replace(note, pitch=note.pitch + 4.0) if note.id in changed else note for note in part.notes])), changed


def tempo_and_names() -> tuple[Score, set[str]]:
    """Another tempo, parts renamed and in another order."""
    slow = [notes_of(replace(part, name=f"{part.name} (rev.)"), [
        replace(note, onset=note.onset * 1.5, duration=note.duration * 1.5) for note in part.notes])
        for part in reversed(minuet().parts)]
    return replace(minuet(), parts=tuple(slow), tempo=(TempoChange(time=0.0, beat=0.0, bpm=80.0),)), set()


REVISIONS = (bar_put_in, bar_repeated, bars_taken_out, part_transposed, all_transposed, rhythm_changed, notes_deleted,
             notes_added, pitches_changed, tempo_and_names)


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda item: item.__name__)
def test_revisions_of_a_real_score_keep_their_notes(revision: Callable[[], tuple[Score, set[str]]]) -> None:
    new, changed = revision()
    # Ids are forgotten: only what is played may tell the notes apart.
    names = {note.id: f"r{index}" for index, note in enumerate(n for part in new.parts for n in part.notes)}
    blind = replace(new, parts=tuple(replace(part, notes=tuple(
        replace(note, id=names[note.id]) for note in part.notes)) for part in new.parts))
    found = {match.old: match.new for match in align(minuet(), blind).matches}
    kept = [note.id for part in minuet().parts for note in part.notes if note.id not in changed]
    right = sum(found.get(name) == names[name] for name in kept)
    assert right >= 0.95 * len(kept), f"{right} of {len(kept)}"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(score=scores())
def test_a_score_is_aligned_with_itself_note_by_note(score: Score) -> None:
    found = align(score, score)
    assert len(found.matches) == sum(len(part.notes) for part in score.parts)
    assert all(match.unchanged and match.place == 0.0 for match in found.matches)
    assert found.new == found.gone == ()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(old=scores(), new=scores())
def test_no_note_is_in_two_pairs(old: Score, new: Score) -> None:
    found = align(old, new)
    for side in ({match.old for match in found.matches}, {match.new for match in found.matches}):
        assert len(side) == len(found.matches)
    assert len(found.matches) + len(found.new) == sum(len(part.notes) for part in new.parts)
    assert len(found.matches) + len(found.gone) == sum(len(part.notes) for part in old.parts)


def test_bars_and_beats_agree_with_a_meter_and_tempo_that_change() -> None:
    from mididdsp.notes.types import MeterChange

    score = Score(
        parts=(), tempo=(TempoChange(time=0.0, beat=0.0, bpm=60.0), TempoChange(time=6.0, beat=6.0, bpm=120.0)),
        meter=(MeterChange(beat=0.0, numerator=3, denominator=4), MeterChange(beat=6.0, numerator=6, denominator=8),
               MeterChange(beat=13.0, numerator=4, denominator=4)))
    bars = Bars(score)
    # Bars 1 and 2 of 3/4, 3 and 4 of 6/8, 5 cut short after a quarter note, 6 of 4/4.
    assert [bars.beat_of(number) for number in range(1, 8)] == [0.0, 3.0, 6.0, 9.0, 12.0, 13.0, 17.0]
    assert [bars.bar_at_beat(beat)[0] for beat in (0.0, 2.99, 3.0, 6.0, 12.0, 12.9, 13.0, 16.9, 17.0)] == [
        1, 1, 2, 3, 5, 5, 6, 6, 7]
    assert bars.span(2, 3) == (3.0, 7.5)
    assert [beat_at(score.tempo, time) for time in (0.0, 3.0, 7.0)] == [0.0, 3.0, 8.0]
    assert [time_at(score.tempo, beat) for beat in (0.0, 3.0, 8.0)] == [0.0, 3.0, 7.0]
    with pytest.raises(ValueError, match="bar 0 does not exist"):
        bars.beat_of(0)
