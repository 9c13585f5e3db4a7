"""What is found in folders: instruments by name, companions, stems, URMP's layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings_of_ones_own import table

from mididdsp.data.folder_scan import scan
from mididdsp.data.recordings import DataError


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_the_instrument_comes_from_the_file_then_from_the_nearest_folder(tmp_path: Path) -> None:
    for name in ("Cello suites/prélude.flac", "Cello suites/oboe solo.wav", "übung №3.mp3", "violin_takes/a/b/1.opus"):
        _touch(tmp_path / name)
    found = {solo.item: solo.instrument for solo in scan(tmp_path).solos}
    assert found == {"Cello suites/prélude.flac": "cello", "Cello suites/oboe solo.wav": "oboe",
                     "übung №3.mp3": None, "violin_takes/a/b/1.opus": "violin"}
    assert {solo.instrument for solo in scan(tmp_path, instrument="flute").solos} == {"flute"}


def test_what_is_no_solo_is_left_out_with_a_reason(tmp_path: Path) -> None:
    for name in ("piano.wav", "click.wav", "song mix.wav", "violin.wav", ".hidden.wav", "notes.txt"):
        _touch(tmp_path / name)
    found = scan(tmp_path)
    assert [solo.item for solo in found.solos] == ["violin.wav"]
    why = dict(found.left_out)
    assert "piano" in why["piano.wav"]
    assert "click" in why["click.wav"]
    assert set(why) == {"piano.wav", "click.wav", "song mix.wav"}


def test_a_folder_without_audio_says_so(tmp_path: Path) -> None:
    _touch(tmp_path / "readme.txt")
    with pytest.raises(DataError, match="holds no audio file"):
        scan(tmp_path)


def test_notes_lie_beside_or_in_a_neighbouring_folder(tmp_path: Path) -> None:
    _touch(tmp_path / "audio" / "violin 1.wav")
    _touch(tmp_path / "audio" / "violin 2.wav")
    (tmp_path / "notes").mkdir()
    table(tmp_path / "notes" / "violin 1.csv")
    table(tmp_path / "audio" / "violin 2.csv")
    first, second = scan(tmp_path).solos
    assert first.notes_path == tmp_path / "notes" / "violin 1.csv"
    assert len(first.notes()) == 8
    assert second.notes_path == tmp_path / "audio" / "violin 2.csv"


def test_urmp_is_recognised(tmp_path: Path) -> None:
    piece = tmp_path / "01_Jupiter_vn_vc"
    for number, abbreviation in ((1, "vn"), (2, "vc")):
        _touch(piece / f"AuSep_{number}_{abbreviation}_01_Jupiter.wav")
        (piece / f"Notes_{number}_{abbreviation}_01_Jupiter.txt").write_text("0.5\t440.0\t1.0\n", encoding="utf-8")
        (piece / f"F0s_{number}_{abbreviation}_01_Jupiter.txt").write_text("0.5\t440.0\n", encoding="utf-8")
    _touch(piece / "AuMix_01_Jupiter_vn_vc.wav")
    found = scan(tmp_path)
    assert [(solo.instrument, solo.group, len(solo.notes())) for solo in found.solos] == [
        ("violin", "URMP 01", 1), ("cello", "URMP 01", 1)]
    assert [item for item, _ in found.left_out] == ["01_Jupiter_vn_vc/AuMix_01_Jupiter_vn_vc.wav"]


def test_a_session_midi_file_serves_all_stems(tmp_path: Path) -> None:
    from mididdsp.notes.midi import write_midi
    from mididdsp.notes.types import Note, Part, Score

    _touch(tmp_path / "Song" / "Violin I.wav")
    _touch(tmp_path / "Song" / "bass line.wav")
    parts = tuple(Part(name=name, instrument=instrument, notes=(Note(id=name, onset=0.0, duration=1.0, pitch=pitch),))
                  for name, instrument, pitch in (("Violin I", "violin", 76.0), ("bass line", "cello", 40.0)))
    write_midi(Score(parts=parts), tmp_path / "Song" / "session.mid")
    found = {solo.item: solo for solo in scan(tmp_path).solos}
    assert found["Song/Violin I.wav"].part == "Violin I"
    assert [note.pitch for note in found["Song/bass line.wav"].notes()] == [40.0]
