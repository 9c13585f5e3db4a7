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


def times() -> np.ndarray:
    """Of the frames of two seconds."""
    return np.arange(2 * FRAME_RATE) / FRAME_RATE


def held(pitch: np.ndarray | float, level_db: np.ndarray | float = -20.0) -> tuple[np.ndarray, ...]:
    """Contours of a sound from 0.1 to 1.9 s; 20 ms to rise and to fall."""
    time = times()
    voiced = (time >= 0.1) & (time < 1.9)
    envelope = np.interp(time, [0.08, 0.1, 1.88, 1.9], [-90.0, 0.0, 0.0, -90.0])
    f0 = np.asarray(midi_to_hz(np.broadcast_to(np.asarray(pitch, dtype=np.float64), time.shape)))
    return f0, voiced, np.maximum(level_db + envelope, -90.0)


def dips(at: list[float], depth_db: float, width_s: float = 0.03) -> np.ndarray:
    """A level of -20 dB with falls and rises."""
    return -20.0 - depth_db * sum(np.exp(-(((times() - moment) / width_s) ** 2)) for moment in at)


def test_a_level_that_trembles_with_the_vibrato_is_one_note() -> None:
    time = times()
    turn = np.sin(2 * np.pi * 5.5 * time)
    (only,) = find_notes(*held(69.0 + 0.3 * turn, -20.0 + 3.0 * turn))
    assert only.pitch == pytest.approx(69.0, abs=0.1)


def test_a_dip_counts_where_the_tracker_is_in_doubt_and_not_where_it_is_sure() -> None:
    contours = held(62.0, dips([0.7, 1.3], 5.0))
    sure = np.full(len(times()), 0.7)
    doubt = sure - 0.35 * sum(np.exp(-(((times() - moment) / 0.02) ** 2)) for moment in (0.7, 1.3))
    assert len(find_notes(*contours, periodicity=sure)) == 1
    found = find_notes(*contours, periodicity=doubt)
    assert [note.onset / FRAME_RATE for note in found] == pytest.approx([0.1, 0.7, 1.3], abs=0.02)


def test_a_note_struck_again_long_after_in_a_room_that_rings_is_another() -> None:
    """The tracker hears the room and is sure all the while; the level has fallen 27 dB, by 6 in the last 120 ms."""
    time = times()
    level = np.interp(time, [0.1, 0.5, 1.1, 1.12], [0.0, 0.0, -27.0, 0.0]) - 20.0
    f0, voiced, heard = held(60.0, level)
    found = find_notes(f0, voiced, heard, periodicity=np.full(len(time), 0.95))
    assert [round(note.onset / FRAME_RATE, 1) for note in found] == [0.1, 1.1]


def test_a_slow_swell_after_a_fall_is_no_attack() -> None:
    time = times()
    level = np.interp(time, [0.1, 0.5, 1.1, 1.5], [0.0, 0.0, -27.0, 0.0]) - 20.0
    (only,) = find_notes(*held(60.0, level), periodicity=np.full(len(time), 0.95))
    assert only.onset / FRAME_RATE == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("slip", [12.0, -12.0, 19.0])
def test_a_moment_on_another_partial_is_no_note(slip: float) -> None:
    time = times()
    (only,) = find_notes(*held(np.where((time > 0.8) & (time < 0.9), 60.0 + slip, 60.0)))
    assert only.pitch == pytest.approx(60.0, abs=0.01)


def test_an_octave_that_is_struck_is_a_note() -> None:
    time = times()
    found = find_notes(*held(np.where((time > 0.8) & (time < 1.2), 72.0, 60.0), dips([0.8, 1.2], 8.0)))
    assert [round(note.pitch) for note in found] == [60, 72, 60]


def test_a_trill_is_its_notes() -> None:
    time = times()
    upper = (time > 0.5) & (time < 1.1) & ((time - 0.5) // 0.075 % 2 == 0)
    found = find_notes(*held(np.where(upper, 69.0, 67.0)))
    assert [round(note.pitch) for note in found] == [67, *[69, 67] * 4]
    # each begins within three frames of where it does
    assert [note.onset / FRAME_RATE for note in found[1:]] == pytest.approx(0.5 + 0.075 * np.arange(8), abs=0.012)


def test_a_slide_is_two_notes_that_meet_half_way() -> None:
    first, second = find_notes(*held(np.interp(times(), [0.6, 1.4], [66.0, 76.0])))
    assert (round(first.pitch), round(second.pitch)) == (66, 76)
    assert first.offset == second.onset
    assert second.joined
    assert second.onset / FRAME_RATE == pytest.approx(1.0, abs=0.05)  # a semitone takes 80 ms


def test_the_wave_of_a_low_note_is_not_heard_as_notes() -> None:
    time = times()
    pitch = 28.0
    wave = 5.0 * np.sin(2 * np.pi * midi_to_hz(pitch) * time)
    assert len(find_notes(*held(pitch, -20.0 + wave))) == 1


def test_what_rings_on_is_no_note() -> None:
    time = times()
    f0, voiced, _ = held(60.0)
    level = np.interp(time, [0.08, 0.1, 1.0, 1.1, 1.2, 1.3, 1.9], [-90.0, -20.0, -20.0, -52.0, -48.0, -48.0, -60.0])
    (only,) = find_notes(f0, voiced, level)
    assert only.offset / FRAME_RATE < 1.1


def test_the_onset_is_where_the_level_rises_though_the_pitch_comes_late() -> None:
    time = times()
    f0, _, level = held(60.0)
    (only,) = find_notes(f0, (time >= 0.2) & (time < 1.9), level)
    assert only.onset / FRAME_RATE == pytest.approx(0.1, abs=0.02)  # within the rise


def test_long_vibrato_of_half_a_semitone_stays_one_note() -> None:
    """The program gives up on what cannot be one note; a long note is not that."""
    time = np.arange(12 * FRAME_RATE) / FRAME_RATE
    pitch = 69.0 + 0.5 * np.sin(2 * np.pi * 6.0 * time)
    (only,) = find_notes(midi_to_hz(pitch), np.ones(len(time), bool), np.full(len(time), -20.0))
    assert only.offset - only.onset > 11 * FRAME_RATE


def test_a_soft_bow_that_trembles_makes_no_notes() -> None:
    random = np.random.default_rng(5)
    moments = list(np.arange(0.25, 1.8, 0.13) + random.uniform(-0.02, 0.02, 12))
    sure = np.full(len(times()), 0.5)
    for moment in moments:
        sure -= 0.16 * np.exp(-(((times() - moment) / 0.03) ** 2))  # the tracker doubts each time
    f0, voiced, level = held(91.0, dips(moments, 8.0))
    assert len(find_notes(f0, voiced, level, periodicity=sure)) == 1


def test_a_few_bow_changes_at_one_pitch_are_notes() -> None:
    moments = [0.6, 1.1, 1.5]
    sure = np.full(len(times()), 0.5)
    for moment in moments:
        sure -= 0.16 * np.exp(-(((times() - moment) / 0.03) ** 2))
    f0, voiced, level = held(91.0, dips(moments, 8.0))
    assert len(find_notes(f0, voiced, level, periodicity=sure)) == 4


def begun(sure_before: float, soft_db: float) -> list[tuple[int, float, bool]]:
    """The notes of a sound that begins a minor third lower for 70 ms, softer and with another confidence."""
    time = times()
    early = time < 0.17
    f0, voiced, level = held(np.where(early, 57.0, 60.0), np.where(early, -20.0 - soft_db, -20.0))
    sure = np.where(early, sure_before, 0.7)
    return [(note.onset, note.pitch, note.joined) for note in find_notes(f0, voiced, level, periodicity=sure)]


def test_a_soft_unsure_beginning_is_the_notes_own() -> None:
    ((onset, pitch, joined),) = begun(0.2, 8.0)
    assert onset / FRAME_RATE == pytest.approx(0.1, abs=0.02)  # within the attack
    assert pitch == pytest.approx(60.0, abs=0.1)
    assert not joined


def test_a_grace_note_is_a_note() -> None:
    assert [round(pitch) for _, pitch, _ in begun(0.7, 0.0)] == [57, 60]
