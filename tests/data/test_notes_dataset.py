"""The set of single notes: a report of what happened, levels set by dynamics, splits kept apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mididdsp.data.notes_dataset import (
    MF_LEVEL_DB,
    dynamic_level_db,
    load_notes,
    load_phrase_notes,
    prepare,
    read_about,
)
from mididdsp.data.recordings import DataError


def test_the_report_counts_everything(dataset: Path) -> None:
    report = read_about(dataset)["report"]
    assert report["recordings"] == 18
    assert report["kept"] == {"horn": 5, "violin": 8}
    assert report["mended"] == {"violin": 1}
    assert sum(report["dropped"].values()) == 4  # silent, short, plucked, noise
    assert len(report["unreadable"]) == 1
    assert "damaged.mp3" in report["unreadable"][0]
    assert report["phrases"] == 4
    assert report["phrase_notes"] == 12


def test_splits_do_not_mix(dataset: Path) -> None:
    items = {split: {note.facts["item"] for note in load_notes(dataset, split)} for split in ("train", "valid", "test")}
    assert {split: len(found) for split, found in items.items()} == {"train": 10, "valid": 2, "test": 1}
    assert not items["train"] & items["valid"]
    phrases = {split: {note.facts["item"] for note in load_phrase_notes(dataset, split)}
               for split in ("train", "valid")}
    assert all("phrase-train" in item for item in phrases["train"])
    assert all("phrase-valid" in item for item in phrases["valid"])


def test_the_median_of_a_dynamic_gets_its_level_and_differences_stay(dataset: Path) -> None:
    for instrument in ("violin", "horn"):
        notes = [note for note in load_notes(dataset, "train")
                 if note.facts["instrument"] == instrument and note.facts["dynamic"] == "mezzo-forte"]
        levels = np.array([note.expression.level_db for note in notes])
        assert np.median(levels) == pytest.approx(MF_LEVEL_DB, abs=1e-6)
        recorded = np.array([note.facts["expression"]["level_db"] for note in notes])
        np.testing.assert_allclose(levels - recorded, notes[0].gain_db, atol=1e-9)
        # Four notes of amplitudes 0.1 to 0.4: 12 dB.
        assert np.ptp(levels) == pytest.approx(12.0, abs=1.0)
    # A clip without a dynamic of its own gets the instrument's gain.
    swell = next(note for note in load_notes(dataset, "train") if note.facts["dynamic"] == "crescendo")
    assert swell.gain_db == pytest.approx(read_about(dataset)["gains_db"]["violin"]["mezzo-forte"])


def test_levels_of_dynamics_are_even_steps() -> None:
    assert dynamic_level_db(80, 24.0) == MF_LEVEL_DB
    assert dynamic_level_db(112, 25.0) - dynamic_level_db(33, 25.0) == pytest.approx(25.0)
    steps = np.diff([dynamic_level_db(velocity, 20.0) for velocity in (33, 49, 64, 80, 96, 112)])
    np.testing.assert_allclose(steps, 4.0)
    levels = [dynamic_level_db(velocity, 20.0) for velocity in range(1, 128)]
    assert (np.diff(levels) > 0).all()


def test_a_second_call_finds_its_work_done(collection: Path, dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    (copy / "notes.json").unlink()  # as if stopped before the end
    removed = next((copy / "clips").iterdir())
    removed.unlink()
    times = {path: path.stat().st_mtime_ns for path in (copy / "clips").iterdir()}
    report = prepare(collection, copy, workers=1, progress=False)
    assert report == read_about(dataset)["report"]
    assert removed.exists()
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert json.loads((copy / "notes.json").read_text()) == json.loads((dataset / "notes.json").read_text())


def test_an_unprepared_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a prepared data set.*mididdsp prepare"):
        load_notes(tmp_path, "train")


def test_an_instrument_without_a_span_is_named(collection: Path, dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    shutil.copytree(collection, folder)
    text = (folder / "figures" / "targets.csv").read_text()
    (folder / "figures" / "targets.csv").write_text("\n".join(line for line in text.splitlines() if "horn" not in line))
    copy = tmp_path / "set"
    shutil.copytree(dataset, copy)
    with pytest.raises(DataError, match="no level_span_pp_ff_db for horn"):
        prepare(folder, copy, workers=1, progress=False)
