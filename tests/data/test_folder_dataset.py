"""Any folder becomes a training set; what cannot be learned from is refused, and said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings_of_ones_own import TUNE, table, tune, write

from mididdsp.data import folder_dataset, folder_pieces
from mididdsp.data.folder_dataset import FolderReport, prepare_folder
from mididdsp.data.folder_quality import blocks, survey
from mididdsp.data.notes_dataset import load_phrase_notes
from mididdsp.data.recordings import DataError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FolderReport]:
    """A folder of good and bad recordings of the violin, prepared."""
    folder = tmp_path_factory.mktemp("Geige, übung")
    write(folder / "violin 1.wav", tune(seed=1))
    write(folder / "sub" / "violin 2.flac", tune(2.0, seed=2), 96_000, channels=2)
    write(folder / "violin low rate.wav", tune(-3.0, seed=3), 8_000)
    write(folder / "violin copy.wav", 0.5 * tune(seed=1), 44_100)
    write(folder / "violin chords.wav", sum(tune(shift, seed=4) for shift in (0.0, 4.0, 7.0)))
    write(folder / "violin noise.wav", 0.05 * np.random.default_rng(0).standard_normal(96_000))
    write(folder / "violin silence.wav", np.zeros(96_000))
    write(folder / "violin clipped.wav", np.clip(40.0 * tune(5.0, seed=6), -1.0, 1.0))
    write(folder / "violin tiny.wav", np.full(3, 0.1))
    write(folder / "piano.wav", tune())
    (folder / "violin broken.mp3").write_bytes(b"no sound at all" * 50)
    soundfile.write(folder / "violin nan.wav", np.array([0.0, np.nan, 0.1]), 48_000, subtype="FLOAT")
    table(folder / "violin 1.csv", shift=1.5)
    dataset = tmp_path_factory.mktemp("set")
    return dataset, prepare_folder(folder, dataset, workers=1)


def test_good_recordings_give_their_notes(prepared: tuple[Path, FolderReport]) -> None:
    dataset, report = prepared
    known = {one.item: one for one in report.recordings}
    for item, shift in (("violin 1.wav", 0), ("sub/violin 2.flac", 2), ("violin low rate.wav", -3)):
        one = known[item]
        assert one.refused is None, one
        assert one.notes == len(TUNE), item
        assert set(one.pitch_s) == {int(pitch) + shift for pitch in TUNE}
        assert one.tuning_cents == pytest.approx(0.0, abs=3.0)  # equal-tempered tones; the tracker errs by a cent
    notes = [note for side in ("train", "valid", "test") for note in load_phrase_notes(dataset, side)]
    assert sum(note.facts["item"] == "violin 1.wav" for note in notes) == len(TUNE)
    # the recordings share a folder's gain, and their median note lies at mezzo-forte
    levels = [note.expression.level_db for note in notes if note.facts["item"].startswith("violin")]
    assert np.median(levels) == pytest.approx(-26.0, abs=1.0)


def test_what_is_bad_is_refused_with_its_reason(prepared: tuple[Path, FolderReport]) -> None:
    _, report = prepared
    known = {one.item: one for one in report.recordings}
    left_out = dict(report.left_out)
    assert "violin 1.wav" in (known["violin copy.wav"].refused or "")
    assert "several tones" in (known["violin chords.wav"].refused or "")
    assert "no steady pitch" in (known["violin noise.wav"].refused or "")
    assert known["violin silence.wav"].refused == "silent"
    assert "shorter" in (known["violin tiny.wav"].refused or "")
    assert known["violin clipped.wav"].left_out_s["clipped"] > 1.0
    assert "piano" in left_out["piano.wav"]
    assert "cannot be read as audio" in left_out["violin broken.mp3"]
    assert "not numbers" in left_out["violin nan.wav"]
    assert "nothing above 3.7 kHz" in " ".join(known["violin low rate.wav"].remarks)


def test_notes_beside_a_recording_are_moved_to_it_and_trusted(prepared: tuple[Path, FolderReport]) -> None:
    _, report = prepared
    one = next(one for one in report.recordings if one.item == "violin 1.wav")
    assert one.given == 1.0
    assert "begin -1.50 s away" in " ".join(one.remarks)


def test_a_copy_lies_on_the_side_of_its_original(prepared: tuple[Path, FolderReport]) -> None:
    dataset, _ = prepared
    rows = dict(line.rsplit(",", 1) for line in (dataset / "split.csv").read_text(encoding="utf-8").splitlines())
    assert rows["violin copy.wav"] == rows["violin 1.wav"]


def test_the_report_is_one_page_with_pictures(prepared: tuple[Path, FolderReport]) -> None:
    dataset, _ = prepared
    page = (dataset / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 4
    assert "http" not in page.replace("http-equiv", "")
    assert "several tones at once" in page
    figures = json.loads((dataset / "report.json").read_text(encoding="utf-8"))
    assert figures["minutes"].keys() == {"violin"}


def test_a_stopped_call_goes_on_where_it_was(
    prepared: tuple[Path, FolderReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "violin"
    monkeypatch.setattr(folder_pieces, "PIECE_S", 8.0)
    write(folder / "a.wav", np.concatenate([tune(seed=seed) for seed in range(8)]))  # two pieces and most of a third
    done: list[int] = []
    real = folder_pieces.analyse_piece

    def stopping(audio: np.ndarray, task: folder_pieces.PieceTask) -> None:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(task.index)
        real(audio, task)

    monkeypatch.setattr(folder_dataset, "analyse_piece", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare_folder(folder, tmp_path / "set", workers=1)
    again: list[int] = []
    monkeypatch.setattr(folder_dataset, "analyse_piece", lambda audio, task: (again.append(task.index),
                                                                              real(audio, task))[0])
    stopped = prepare_folder(folder, tmp_path / "set", workers=1)
    assert done == [0]
    assert again == [1, 2]
    monkeypatch.setattr(folder_dataset, "analyse_piece", real)
    whole = prepare_folder(folder, tmp_path / "other", workers=1)
    assert stopped == whole
    (one,) = whole.recordings
    assert one.notes == 8 * len(TUNE)  # none is lost or doubled where pieces meet
    assert one.side == "train"  # with less than 20 s of notes nothing is held out


def test_a_folder_with_nothing_to_learn_says_where_to_look(tmp_path: Path) -> None:
    write(tmp_path / "rec" / "violin.wav", np.zeros(48_000))
    with pytest.raises(DataError, match=r"nothing in .* can be learned from; .*report\.html says why"):
        prepare_folder(tmp_path / "rec", tmp_path / "set", workers=1)
    assert (tmp_path / "set" / "report.html").exists()


def test_a_long_recording_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", np.tile(tune(), 3))
    sizes: list[int] = []

    def counted(path: Path) -> Iterator[tuple[np.ndarray, int]]:
        for block, rate in blocks(path):
            sizes.append(len(block))
            yield block, rate

    monkeypatch.setattr("mididdsp.data.folder_quality.blocks", counted)
    seen = survey(path)
    assert max(sizes) <= 1 << 18
    assert seen.seconds == pytest.approx(3 * 8 * 0.35, abs=0.01)


def test_a_constant_offset_and_a_low_level_hide_no_notes(tmp_path: Path) -> None:
    write(tmp_path / "rec" / "violin dc.wav", 0.5 * tune() + 0.3)
    write(tmp_path / "rec" / "violin soft.wav", 2e-3 * tune(-5.0, seed=2))
    report = prepare_folder(tmp_path / "rec", tmp_path / "set", workers=1)
    assert [one.notes for one in report.recordings] == [len(TUNE)] * 2


def test_a_stem_that_rests_nearly_all_the_time_is_no_silence(tmp_path: Path) -> None:
    rests = np.zeros(60 * 48_000)
    sound = tune(seconds=0.4)
    write(tmp_path / "in" / "violin.wav", np.concatenate([rests, sound, rests]))
    staccato = np.concatenate([np.concatenate([tune(seconds=0.03)[:960], np.zeros(4_000)]) for _ in range(12)])
    write(tmp_path / "in" / "violin dots.wav", staccato)
    report = prepare_folder(tmp_path / "in", tmp_path / "out", workers=1)
    found = {one.item: one for one in report.recordings}
    assert found["violin.wav"].notes == len(TUNE)
    assert "steady pitch in 0%" not in str(found["violin dots.wav"].refused)


def test_a_folder_in_urmp_s_form_gives_its_players_notes(tmp_path: Path) -> None:
    piece = tmp_path / "URMP" / "07_Tune_vn_vn"
    for number, shift in ((1, 0.0), (2, -4.0)):
        write(piece / f"AuSep_{number}_vn_07_Tune.wav", tune(shift, seed=number))
        lines = [f"{k * 0.35:.3f}\t{440.0 * 2 ** ((pitch + shift - 69.0) / 12.0):.3f}\t\t0.300"
                 for k, pitch in enumerate(TUNE)]
        (piece / f"Notes_{number}_vn_07_Tune.txt").write_text("\n".join(lines), encoding="utf-8")
    write(piece / "AuMix_07_Tune_vn_vn.wav", tune() + tune(-4.0))
    report = prepare_folder(tmp_path / "URMP", tmp_path / "set", workers=1)
    assert [(one.instrument, one.notes, one.given) for one in report.recordings] == [("violin", 8, 1.0)] * 2
    assert len({one.side for one in report.recordings}) == 1  # the stems of a piece stay together
    assert [item for item, _ in report.left_out] == ["07_Tune_vn_vn/AuMix_07_Tune_vn_vn.wav"]
