"""Notes found in contours that are known."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.notes.analysis import find_notes
from mididdsp.units import FRAME_RATE, midi_to_hz


def contours(notes: list[tuple[float, float, float]], seconds: float, dip_db: float = 40.0) -> tuple[np.ndarray, ...]:
    """f0, voiced and level of notes (onset s, duration s, pitch); 20 ms to rise, 40 ms to fall by ``dip_db``."""
    frames = int(seconds * FRAME_RATE)
    f0 = np.full(frames, midi_to_hz(notes[0][2]))
    level = np.full(frames, -90.0)
    voiced = np.zeros(frames, bool)
    for onset, duration, pitch in notes:
        first, last = int(onset * FRAME_RATE), int((onset + duration) * FRAME_RATE)
        f0[first:] = midi_to_hz(pitch)
        voiced[first:last] = True
        level[first : first + 5] = np.linspace(-20.0 - dip_db, -20.0, 5)
        level[first + 5 : last - 10] = -20.0
        level[last - 10 : last] = np.linspace(-20.0, -20.0 - dip_db, 10)
    return f0, voiced, level


def test_detached_notes_are_found_where_they_are() -> None:
    played = [(0.1, 0.4, 60.0), (0.7, 0.3, 64.0), (1.2, 0.5, 62.0)]
    found = find_notes(*contours(played, 2.0))
    assert [round(note.pitch) for note in found] == [60, 64, 62]
    for note, (onset, duration, _) in zip(found, played):
        assert note.onset / FRAME_RATE == pytest.approx(onset, abs=0.02)  # within the attack
        assert note.offset / FRAME_RATE == pytest.approx(onset + duration, abs=0.05)  # within the fall
        assert not note.joined


def test_repeated_notes_of_one_pitch_are_told_apart_by_their_attacks() -> None:
    found = find_notes(*contours([(0.1, 0.4, 60.0), (0.5, 0.4, 60.0), (0.9, 0.4, 60.0)], 1.6, dip_db=12.0))
    assert len(found) == 3
    assert not any(note.joined for note in found)


def test_a_change_of_pitch_without_a_dip_is_a_slur() -> None:
    f0, voiced, level = contours([(0.1, 1.0, 60.0)], 1.3)
    f0[int(0.6 * FRAME_RATE) :] = midi_to_hz(62.0)
    first, second = find_notes(f0, voiced, level)
    assert second.joined
    assert not first.joined
    assert first.offset == second.onset == pytest.approx(0.6 * FRAME_RATE, abs=2)


def test_vibrato_is_not_a_trill() -> None:
    f0, voiced, level = contours([(0.1, 1.5, 69.0)], 1.8)
    time = np.arange(len(f0)) / FRAME_RATE
    (only,) = find_notes(f0 * 2 ** (0.5 * np.sin(2 * np.pi * 6.0 * time) / 12.0), voiced, level)
    assert only.pitch == pytest.approx(69.0, abs=0.1)


def test_silence_has_no_notes() -> None:
    assert find_notes(np.full(100, 440.0), np.zeros(100, bool), np.full(100, -90.0)) == []
