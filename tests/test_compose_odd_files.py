"""Composing with odd files: each gives music that keeps what was written, or one sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import midi_bytes as mb
import numpy as np
import pytest
from test_compose_command import call

import mididdsp as md
from mididdsp.notes.grid import score_to_grid
from mididdsp.notes.types import Note, Score

TICKS = 480
Line = Sequence[tuple[float, float, int]]
"""Onset and end in quarters, key."""


def written(path: Path, *lines: Line, events: Sequence[tuple[float, bytes]] = ()) -> Path:
    """A MIDI file of violin parts with meta events at beats."""
    head = mb.track(*((round(beat * TICKS), data) for beat, data in events))
    parts = [
        mb.track(
            mb.name(f"Part {number}"), mb.program(40, channel=number),
            *mb.notes([(round(a * TICKS), round(b * TICKS), key) for a, b, key in line], channel=number),
        )
        for number, line in enumerate(lines)
    ]
    path.write_bytes(mb.file(head, *parts, division=TICKS))
    return path


def meter(numerator: int, power: int) -> bytes:
    return b"\xff\x58\x04" + bytes((numerator, power, 24, 8))


def key(fifths: int, minor: bool = False) -> bytes:
    return b"\xff\x59\x02" + bytes((fifths % 256, minor))


def scale(count: int, length: float = 1.0, start: float = 0.0) -> list[tuple[float, float, int]]:
    steps = [67, 69, 71, 72, 74, 72, 71, 69]
    return [(start + n * length, start + (n + 1) * length, steps[n % 8]) for n in range(count)]


def harmonised(source: Path, *words: object, suffix: str = ".mid") -> Score:
    out = source.with_name(f"harmonised{suffix}")
    assert call("compose", "harmonize", source, "-o", out, *words) == 0
    return md.Performer(device="cpu").read(out).score


def same(one: Sequence[Note], two: Sequence[Note]) -> None:
    """The same notes; a file of ours counts a thousandth of a beat."""
    assert [note.pitch for note in one] == [note.pitch for note in two]
    np.testing.assert_allclose([note.onset for note in one], [note.onset for note in two], atol=2e-3)
    np.testing.assert_allclose([note.offset for note in one], [note.offset for note in two], atol=2e-3)


def test_a_pickup_in_three_four_stays_a_pickup(tmp_path: Path) -> None:
    source = written(tmp_path / "a.mid", scale(10), events=[(0, meter(1, 2)), (1, meter(3, 2)), (0, key(1))])
    score = harmonised(source)
    same(score.parts[0].notes, md.read_midi(source).score.parts[0].notes)
    assert [(one.beat, one.numerator, one.denominator) for one in score.meter] == [(0.0, 1, 4), (1.0, 3, 4)]
    assert score.key[0].fifths == 1
    notation = harmonised(source, suffix=".musicxml")
    assert [(one.numerator, one.denominator) for one in notation.meter][-1] == (3, 4)
    same(notation.parts[0].notes, score.parts[0].notes)


def test_changes_of_meter_and_tempo_are_kept(tmp_path: Path) -> None:
    tempo = b"\xff\x51\x03" + (400_000).to_bytes(3, "big")
    events = [(0, meter(4, 2)), (8, meter(3, 2)), (14, meter(6, 3)), (8, tempo)]
    source = written(tmp_path / "a.mid", scale(20), events=events)
    score = harmonised(source)
    assert [(one.beat, one.numerator, one.denominator) for one in score.meter] == [
        (0.0, 4, 4), (8.0, 3, 4), (14.0, 6, 8)]
    same(score.parts[0].notes, md.read_midi(source).score.parts[0].notes)
    assert [round(one.bpm) for one in score.tempo] == [120, 150]
    # Bars of 16, 12 and 12 sixteenths: the drawn voices end with the tune.
    assert score.parts[3].notes[-1].offset == pytest.approx(score.parts[0].notes[-1].offset, abs=2e-3)


def test_one_note_is_a_melody(tmp_path: Path) -> None:
    score = harmonised(written(tmp_path / "a.mid", [(0, 4, 67)]))
    assert [len(part.notes) > 0 for part in score.parts] == [True] * 4
    assert len(score.parts[0].notes) == 1


def test_triplets_stay_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path / "a.mid", scale(24, 1 / 3))
    score = harmonised(source)
    # Two of three notes of a triplet lie beside the sixteenths.
    assert "16 notes were moved to the nearest sixteenth" in capsys.readouterr().err
    same(score.parts[0].notes, md.read_midi(source).score.parts[0].notes)


def test_a_hundred_bars(tmp_path: Path) -> None:
    source = written(tmp_path / "a.mid", scale(400))
    score = harmonised(source, "--parallels", "report")  # an untrained prior makes hundreds
    assert len(score.parts[0].notes) == 400
    assert score.parts[3].notes[-1].offset == pytest.approx(200.0, abs=0.01)


def test_repeated_notes_and_held_notes_differ_also_over_the_bar_line(tmp_path: Path) -> None:
    line = [(0, 3, 67), (3, 6, 69), (6, 7, 69), (7, 8, 69), (8, 12, 67)]
    source = written(tmp_path / "a.mid", line)
    for suffix in (".mid", ".musicxml"):
        kept = harmonised(source, suffix=suffix).parts[0].notes
        found = [(note.onset * 2, note.offset * 2, note.pitch) for note in kept]
        np.testing.assert_allclose(found, line, atol=5e-3)  # at 120 a minute two quarters are a second
        grid = score_to_grid(md.read_midi(source).score).grid
        assert np.flatnonzero(grid.onset[0]).tolist() == [0, 12, 24, 28, 32]


def test_more_parts_than_voices_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path / "a.mid", *([(0, 4, 60 + 3 * number)] for number in range(5)))
    assert call("compose", "vary", source, "-o", tmp_path / "b.mid") == 1
    assert "the file has 5 parts; give one to 4, each one voice" in capsys.readouterr().err
    assert not (tmp_path / "b.mid").exists()


def test_empty_files_and_drums_alone_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nothing.mid").write_bytes(b"")
    written(tmp_path / "silent.mid", [])
    drums = mb.track(mb.name("Kit"), *mb.notes([(0, 240, 36), (480, 600, 38)], channel=9))
    (tmp_path / "drums.mid").write_bytes(mb.file(mb.track(), drums))
    for name, said in (("nothing", "cannot be read"), ("silent", "has nothing to play"),
                       ("drums", "drums")):
        assert call("compose", "harmonize", tmp_path / f"{name}.mid", "-o", tmp_path / "b.mid") == 1
        error = capsys.readouterr().err
        assert said in error
        assert len(error.strip().splitlines()) == 1
        assert not (tmp_path / "b.mid").exists()


def test_drums_beside_a_melody_are_left_out_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tune = mb.track(mb.name("Tune"), *mb.notes([(480 * n, 480 * n + 470, 60 + n) for n in range(8)]))
    drums = mb.track(mb.name("Kit"), *mb.notes([(0, 240, 36), (480, 600, 38)], channel=9))
    source = tmp_path / "a.mid"
    source.write_bytes(mb.file(mb.track(), tune, drums))
    score = harmonised(source)
    assert "drums; it is left out" in capsys.readouterr().err
    assert [part.name for part in score.parts] == ["Violin I", "Violin II", "Viola", "Cello"]
    assert len(score.parts[0].notes) == 8


def test_a_low_melody_goes_to_the_cello_and_that_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path / "a.mid", [(a, b, pitch - 31) for a, b, pitch in scale(8)])
    score = harmonised(source)
    said = capsys.readouterr().err
    same(score.parts[3].notes, md.read_midi(source).score.parts[0].notes)
    assert score.parts[3].instrument == "cello"
    assert "taken as the bass" in said
    assert "violin" not in said.lower().replace("violin i", "")
