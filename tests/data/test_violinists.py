"""Contours of violinists: vibrato and tuning of each note against its piece's own tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up import write_violinists

from mididdsp.data.recordings import DataError
from mididdsp.data.violinists import COLUMNS, violin_notes


def columns(folder: Path, split: str = "train") -> dict[str, np.ndarray]:
    table, _ = violin_notes(folder, split)
    return dict(zip(COLUMNS, table.T))


def test_notes_are_measured(collection: Path) -> None:
    found = columns(collection)
    assert list(found["pitch"]) == list(range(60, 68))
    assert list(found["seconds"]) == [1.0, 0.2] * 4
    # Long notes tell of vibrato, every other one has it; of short ones nothing is known.
    np.testing.assert_array_equal(found["vibrates"], [1, np.nan, 0, np.nan] * 2)
    there = found["vibrates"] == 1
    # Contours are float16, at another frame rate.
    np.testing.assert_allclose(found["vibrato_cents"][there], 20.0, atol=0.5)
    np.testing.assert_allclose(found["vibrato_rate_hz"][there], 6.0, atol=0.1)
    assert np.isnan(found["vibrato_cents"][~there]).all()
    # The piece is 8 cents sharp as a whole: that is its tuning, not its notes'.
    np.testing.assert_allclose(found["tuning_cents"], 0.0, atol=1.0)


def test_splits_go_by_piece(collection: Path) -> None:
    table, notes = violin_notes(collection, "valid")
    assert set(notes["piece"][table[:, COLUMNS.index("row")].astype(int)]) == {1}
    with pytest.raises(DataError, match="in the test part of split.csv"):
        violin_notes(collection, "test")


def test_a_limit_takes_two_thirds_long_notes(collection: Path) -> None:
    table, _ = violin_notes(collection, "train", limit=3)
    assert sorted(table[:, COLUMNS.index("seconds")]) == [0.2, 1.0, 1.0]


def test_measured_once(collection: Path, tmp_path: Path) -> None:
    kept = tmp_path / "table.npy"
    first, _ = violin_notes(collection, "train", kept=kept)
    again, _ = violin_notes(collection, "train", kept=kept)
    np.testing.assert_array_equal(first, again)
    assert [path.name for path in tmp_path.iterdir()] == ["table.npy"]


def test_torn_contours_are_left_out(tmp_path: Path) -> None:
    write_violinists(tmp_path / "violinists" / "violinists.npz", notes=2)
    (tmp_path / "split.csv").write_text("item,split\nviolinists/one,train\nviolinists/two,train\n")
    path = tmp_path / "violinists" / "violinists.npz"
    with np.load(path) as file:
        data = dict(file)
    data["contour_cents"][: data["contour_length"][0]] = 127.0
    np.savez(path, **data)
    table, _ = violin_notes(tmp_path, "train")
    assert list(table[:, COLUMNS.index("row")]) == [1.0, 2.0, 3.0]
    data["contour_cents"][:] = 127.0
    np.savez(path, **data)
    with pytest.raises(DataError, match="has a contour that can be used"):
        violin_notes(tmp_path, "train")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="violinists.npz is missing"):
        violin_notes(tmp_path, "train")
