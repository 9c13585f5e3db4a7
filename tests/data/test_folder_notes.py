"""Notes beside recordings: tables, URMP's text, MIDI and a session's tempo."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest

from mididdsp.data.folder_notes import (
    midi_parts,
    part_for,
    pitch_of,
    read_midi_notes,
    read_table,
    read_urmp_notes,
    tempo_of,
)
from mididdsp.data.recordings import DataError


def test_a_table_may_name_its_columns_in_many_ways(tmp_path: Path) -> None:
    path = tmp_path / "notes.tsv"
    path.write_text("Start_s\tDuration\tfreq\n0.5\t0.25\t440\n0.1\t0.2\t880\n", encoding="utf-8")
    notes = read_table(path)
    assert [(note.onset, round(note.duration, 6), round(note.pitch, 6)) for note in notes] == [
        (0.1, 0.2, 81.0), (0.5, 0.25, 69.0)]


def test_a_table_drops_notes_without_length_and_keeps_velocities(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("onset,offset,pitch,velocity\n1,1,60,80\n1,2,C#4,300\n", encoding="utf-8")
    (note,) = read_table(path)
    assert (note.pitch, note.velocity) == (61.0, 127)


@pytest.mark.parametrize(("text", "what"), [
    ("onset,offset\n0,1\n", "no column for a pitch or a frequency"),
    ("onset,offset,pitch\n0,1,loud\n", "line 2: '0,1,loud' is no note"),
    ("onset,offset,pitch\n2,1,60\n", "duration is -1.0 s"),
    ("", "holds no notes"),
])
def test_a_table_that_is_none_gets_a_sentence(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "notes.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=what):
        read_table(path)


def test_urmp_notes_are_onset_pitch_and_duration(tmp_path: Path) -> None:
    path = tmp_path / "Notes_1_vn_01_Jupiter.txt"
    path.write_text("0.500\t440.0\t\t1.25\n2.0  220.0  0.5\n", encoding="utf-8")
    first, second = read_urmp_notes(path)
    assert (first.onset, first.duration, first.pitch) == (0.5, 1.25, 69.0)
    assert second.pitch == 57.0
    path.write_text("0.5 0 1\n", encoding="utf-8")
    with pytest.raises(DataError, match="its pitch is 0.0 Hz"):
        read_urmp_notes(path)


@pytest.mark.parametrize(("text", "pitch"), [("A4", 69.0), ("Bb3", 58.0), ("F##5", 79.0), ("60.5", 60.5), ("C-1", 0.0)])
def test_pitches_have_names_and_numbers(text: str, pitch: float) -> None:
    assert pitch_of(text) == pitch


def _midi(path: Path, notes: list[tuple[int, int, int]], *, bpm: float | None, name: str = "Violin") -> Path:
    """Notes of (tick, length, pitch) at 480 ticks a quarter."""
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    if bpm is not None:
        track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
    events = sorted([(tick, 1, pitch) for tick, _, pitch in notes]
                    + [(tick + length, 0, pitch) for tick, length, pitch in notes])
    now = 0
    for tick, on, pitch in events:
        track.append(mido.Message("note_on" if on else "note_off", note=pitch, velocity=80, time=tick - now))
        now = tick
    file.tracks.append(track)
    file.save(path)
    return path


def test_a_session_tempo_moves_notes_that_have_none(tmp_path: Path) -> None:
    stem = _midi(tmp_path / "violin.mid", [(480, 480, 69)], bpm=None)
    tempo = _midi(tmp_path / "tempo.mid", [], bpm=60)
    assert midi_parts(tempo) == ()
    assert tempo_of(stem) is None
    assert read_midi_notes(stem)[0].onset == pytest.approx(0.5)
    (note,) = read_midi_notes(stem, tempo=tempo_of(tempo))
    assert (note.onset, note.duration) == pytest.approx((1.0, 1.0))
    own = _midi(tmp_path / "other.mid", [(480, 480, 69)], bpm=240)
    assert read_midi_notes(own, tempo=tempo_of(tempo))[0].onset == pytest.approx(0.25)


def test_a_stem_finds_its_part_by_name_or_as_the_only_one_of_its_instrument() -> None:
    parts = [("Solo Violin", "violin", 10), ("Viola", "viola", 10), ("Cello", "cello", 10)]
    assert part_for("01_solo_violin", parts, None) == "Solo Violin"
    assert part_for("vc", parts, None) == "Cello"
    assert part_for("track 7", parts, None) is None
