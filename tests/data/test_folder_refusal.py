"""Which notes are refused, and what given notes say of heard ones."""

from __future__ import annotations

import numpy as np
import pytest
from tracking_tones import melody

from mididdsp.data.folder_quality import purity
from mididdsp.data.folder_refusal import confirm, refusal
from mididdsp.notes.types import Note
from mididdsp.synthesis.analysis import frame_count
from mididdsp.units import midi_to_hz


def _notes(pitches: list[float], step: float = 0.5) -> list[Note]:
    return [Note(id=str(k), onset=k * step, duration=0.9 * step, pitch=pitch, velocity=60 + k)
            for k, pitch in enumerate(pitches)]


def _heard(notes: list[Note], *, shift: float = 0.0, transposed: float = 0.0) -> list[tuple[float, float, float]]:
    return [(note.onset + shift, note.offset + shift, note.pitch + transposed) for note in notes]


SCALE = [60.0, 62.0, 64.0, 65.0, 67.0, 69.0, 71.0, 72.0, 67.0, 64.0]


@pytest.mark.parametrize(("shift", "transposed"), [(0.0, 0), (3.2, 0), (-0.4, 0), (0.0, -12), (1.0, 2)])
def test_notes_are_found_where_and_as_high_as_they_sound(shift: float, transposed: int) -> None:
    notes = _notes(SCALE)
    found = confirm(_heard(notes, shift=shift, transposed=transposed + 0.15), notes)
    assert found.agreement == 1.0
    assert found.trusted
    assert found.shift_s == pytest.approx(shift, abs=0.02)  # two steps of the histogram
    assert found.transposed == transposed
    assert found.refused == (None,) * len(SCALE)
    assert found.velocity == tuple(note.velocity for note in notes)


def test_wrong_notes_and_chords_are_refused() -> None:
    notes = _notes(SCALE)
    chord = [Note(id=f"c{k}", onset=5.5, duration=1.0, pitch=pitch) for k, pitch in enumerate((60.0, 67.0))]
    heard = [*_heard(notes), (5.5, 6.5, 60.0), (7.0, 7.4, 80.0)]
    found = confirm(heard, [*notes, *chord])
    assert found.refused[-2:] == ("chord in the notes", "not in the notes")
    assert set(found.refused[:-2]) == {None}


def test_notes_of_another_piece_are_not_trusted() -> None:
    other = _notes([50.0 + 7.3 * (k % 3) for k in range(10)], step=0.37)
    assert not confirm(_heard(_notes(SCALE)), other).trusted


@pytest.mark.parametrize(("facts", "clipped", "reason"), [
    ({}, 0.0, None), ({}, 0.01, "clipped"), ({"beside": 0.4, "peaked": 0.8}, 0.0, "polyphonic"),
    ({"beside": 0.4, "peaked": 0.2}, 0.0, "noisy"), ({"noise_share": 0.9}, 0.0, "noisy"),
    ({"expression": {"level_db": -60.0}}, 0.0, "faint")])
def test_each_reason(facts: dict[str, object], clipped: float, reason: str | None) -> None:
    plain = {"beside": 0.01, "peaked": 0.9, "noise_share": 0.05, "expression": {"level_db": -26.0}}
    assert refusal({**plain, **facts}, clipped, -26.0) == reason


def test_purity_tells_a_tone_from_two_and_from_noise() -> None:
    one, other = melody([60.0], 1.0), melody([64.0], 1.0)
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(one))
    f0 = np.full(frame_count(len(one)), midi_to_hz(60.0))
    middle = slice(5, 20)
    alone, double, noisy = (purity(audio, f0) for audio in (one, one + other, one + noise))
    assert np.median(alone[0][middle]) < 0.01
    assert np.median(double[0][middle]) > 0.25  # as loud as the first, but for the partials they share
    assert np.median(double[1][middle]) > 0.45
    assert np.median(noisy[1][middle]) < 0.45
