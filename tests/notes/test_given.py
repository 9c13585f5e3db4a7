"""Known notes laid over what was heard: the answer is known because what was heard is made from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mididdsp.notes.analysis import HeardNote
from mididdsp.notes.given import AlignedNotes, align_notes
from mididdsp.notes.types import Note
from mididdsp.units import FRAME_RATE, midi_to_hz

TUNE = (60, 62, 64, 60, 60, 67, 65, 64, 62, 62, 62, 71, 72, 69, 67, 60, 59, 60, 64, 64, 60, 55, 57, 59, 60)
LENGTHS = (0.4, 0.2, 0.2, 0.4, 0.4, 0.6, 0.2, 0.3, 0.3, 0.3, 0.3, 0.8)


def played(tuning: float = 0.0) -> list[HeardNote]:
    """The tune as heard: onsets in frames, one after another."""
    notes, at = [], 50
    for index, pitch in enumerate(TUNE):
        length = int(LENGTHS[index % len(LENGTHS)] * FRAME_RATE)
        notes.append(HeardNote(onset=at, offset=at + int(0.9 * length), pitch=pitch + tuning, joined=False))
        at += length
    return notes


def contours(notes: list[HeardNote]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frames = notes[-1].offset + 100
    f0, voiced, level = np.full(frames, 440.0), np.zeros(frames, bool), np.full(frames, -90.0)
    for note in notes:
        f0[note.onset : note.offset] = midi_to_hz(note.pitch)
        voiced[note.onset : note.offset] = True
        level[note.onset : note.offset] = -20.0
    return f0, voiced, level


def written(warp: Callable[[float], float] = lambda time: time, *, shift: float = 0.0) -> list[Note]:
    result = []
    for index, note in enumerate(played()):
        onset, offset = warp(note.onset / FRAME_RATE), warp(note.offset / FRAME_RATE)
        result.append(Note(id=f"n{index}", onset=onset, duration=offset - onset, pitch=TUNE[index] + shift))
    return result


def lay(given: list[Note], heard: list[HeardNote], over: list[HeardNote] | None = None) -> AlignedNotes:
    return align_notes(given, heard, *contours(over or heard))


@pytest.mark.parametrize("warp", [
    lambda time: time, lambda time: 1.4 * time, lambda time: 0.6 * time + 2.0,
    lambda time: 1.1 * time + 0.6 * np.sin(time / 2.0) + 1.0,  # a tempo that moves between 0.8 and 1.4
], ids=["as played", "slower", "faster and later", "rubato"])
def test_any_tempo_is_followed(warp: Callable[[float], float]) -> None:
    heard = played()
    laid = lay(written(warp), heard)
    assert list(laid.notes) == heard  # exact: every note is paired with the note it is
    assert all(laid.heard)
    assert laid.extra == ()


def test_the_recordings_tuning_and_octave_do_not_matter() -> None:
    heard = played(tuning=-0.4)
    laid = lay(written(shift=12.0), heard)
    assert laid.transposition == -12
    assert [note.onset for note in laid.notes] == [note.onset for note in heard]
    assert [note.pitch for note in laid.notes] == pytest.approx([note.pitch for note in heard])


def test_notes_that_are_not_played_stand_where_the_tempo_puts_them() -> None:
    heard = played()
    kept = [note for index, note in enumerate(heard) if index not in (6, 13)]
    laid = lay(written(lambda time: 1.2 * time), kept)
    assert [index for index, there in enumerate(laid.heard) if not there] == [6, 13]
    for index in (6, 13):
        assert laid.notes[index].onset == pytest.approx(heard[index].onset, abs=0.1 * FRAME_RATE)
    assert [note for note, there in zip(laid.notes, laid.heard) if there] == kept


def test_notes_that_are_not_written_are_told() -> None:
    heard = played()
    added = HeardNote(onset=heard[8].onset - 12, offset=heard[8].onset - 2, pitch=74.0, joined=False)
    laid = lay(written(), [*heard[:8], added, *heard[8:]])
    assert laid.extra == (8,)
    assert all(laid.heard)


def test_a_wrong_note_is_that_note() -> None:
    heard = played()
    heard[5] = HeardNote(onset=heard[5].onset, offset=heard[5].offset, pitch=68.0, joined=False)
    laid = lay(written(), heard)
    assert laid.notes[5].onset == heard[5].onset


def test_a_repeated_note_heard_as_one_is_split_at_its_dip() -> None:
    truth = played()
    merged = [*truth[:3], HeardNote(onset=truth[3].onset, offset=truth[4].offset, pitch=60.0, joined=False), *truth[5:]]
    laid = lay(written(), merged, over=truth)
    missing = next(index for index in (3, 4) if not laid.heard[index])
    assert laid.notes[missing].onset == pytest.approx(truth[missing].onset, abs=0.06 * FRAME_RATE)
    assert laid.notes[3].offset <= laid.notes[4].onset


def test_a_chord_is_one_event_and_any_of_its_notes_may_be_heard() -> None:
    given = written()
    chord = Note(id="low", onset=given[11].onset, duration=given[11].duration, pitch=given[11].pitch - 16.0)
    given = sorted([*given, chord], key=lambda note: (note.onset, note.pitch))
    laid = lay(given, played())
    low, top = laid.notes[11], laid.notes[12]
    assert low.onset == top.onset == played()[11].onset
    assert (low.pitch, top.pitch) == pytest.approx((chord.pitch, given[12].pitch))


def test_every_note_lasts_and_none_begins_before_the_one_before() -> None:
    heard = played()
    laid = lay(written(lambda time: 1.3 * time), heard[::2], over=heard)
    assert all(note.offset > note.onset for note in laid.notes)
    assert all(a.onset <= b.onset for a, b in zip(laid.notes, laid.notes[1:]))


def test_other_notes_are_refused() -> None:
    other = [Note(id=f"x{index}", onset=0.5 * index, duration=0.4, pitch=float(pitch))
             for index, pitch in enumerate((61, 66, 70, 73, 61, 68, 66, 70, 61, 66, 73, 70))]
    heard = [HeardNote(onset=50 * index, offset=50 * index + 40, pitch=float(pitch), joined=False)
             for index, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72, 60, 64, 67, 71))]
    with pytest.raises(ValueError, match="given notes agree"):
        lay(other, heard)


def test_nothing_given_and_nothing_heard_are_refused() -> None:
    heard = played()
    with pytest.raises(ValueError, match="no notes to align"):
        lay([], heard)
    with pytest.raises(ValueError, match="no notes were heard"):
        align_notes(written(), [], *contours(heard))


def test_one_note_is_enough() -> None:
    heard = played()[:1]
    laid = lay([Note(id="a", onset=3.0, duration=1.0, pitch=60.0)], heard)
    assert laid.notes == tuple(heard)
