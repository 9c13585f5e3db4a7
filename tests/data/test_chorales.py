"""The chorales: read rightly from the corpus, kept on one side of the split by tune, stored as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mididdsp.data import chorales as module
from mididdsp.data.chorales import DATA_FILE, DataError, build_chorales, load_chorales, split_by_tune
from mididdsp.notes.grid import REST, NoteGrid

FIELDS = ("pitch", "onset", "position", "bar", "fermata")


@pytest.fixture(scope="module")
def read() -> NoteGrid:
    from music21 import corpus

    grid = module._read_piece(Path(corpus.getWork("bach/bwv269")))
    assert grid is not None
    return grid


def test_a_chorale_is_read_as_written(read: NoteGrid) -> None:
    # BWV 269, "Aus meines Herzens Grunde": 3/4, a pickup of a quarter; the soprano begins G4 G4 D5 B4, the bass G3.
    assert read.voices == 4
    assert set(read.bar.tolist()) == {12}
    assert read.position[:5].tolist() == [8, 9, 10, 11, 0]
    assert read.pitch[0, 0] == 67
    assert read.onset[0, [0, 4]].all()
    assert read.pitch[0, 4] == 67
    assert not read.onset[0, 1:4].any()
    assert read.fermata.any()
    assert (np.median(np.where(read.pitch == REST, 60, read.pitch), axis=1)[:-1]
            > np.median(np.where(read.pitch == REST, 60, read.pitch), axis=1)[1:]).all()


def test_a_dataset_comes_back(tmp_path: Path, read: NoteGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    from music21 import corpus

    monkeypatch.setattr(corpus, "getComposer", lambda _: [Path("bwv1.mxl"), Path("bwv2.mxl"), Path("bwv3.mxl")])
    shifted = NoteGrid(**{**{name: getattr(read, name) for name in FIELDS}, "pitch": read.pitch + np.int16(2)})
    pieces = {"bwv1": read, "bwv2": shifted, "bwv3": read}
    monkeypatch.setattr(module, "_read_piece", lambda path: pieces[path.stem])
    seen: list[tuple[int, int]] = []
    build_chorales(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    loaded = load_chorales(tmp_path)
    assert [one.name for one in loaded] == ["bwv1", "bwv2"]  # the third is the first again
    for one, grid in zip(loaded, (read, shifted)):
        assert all(np.array_equal(getattr(one.grid, name), getattr(grid, name)) for name in FIELDS)
    assert loaded[0].split == loaded[1].split  # one tune in two keys
    # A second call reads nothing anew.
    monkeypatch.setattr(module, "_read_piece", lambda path: pytest.fail("read again"))
    build_chorales(tmp_path)


def test_settings_of_a_tune_stay_together_and_shares_hold() -> None:
    random = np.random.default_rng(0)
    tunes = [np.repeat(60 + random.integers(-4, 5, 40).cumsum(), 4) for _ in range(60)]
    names, melodies = [], []
    for number, tune in enumerate(tunes):
        for copy in range(1 + number % 3):
            varied = tune + copy
            varied[:24] += random.integers(-2, 3)
            names.append(f"piece {number} {copy}")
            melodies.append(varied)
    splits = split_by_tune(names, melodies)
    for number in range(60):
        assert len({split for name, split in zip(names, splits) if name.startswith(f"piece {number} ")}) == 1
    for split in ("test", "valid"):
        # A tenth, and at most two pieces more: a tune is never cut.
        assert 0.1 * len(names) <= splits.count(split) <= 0.1 * len(names) + 3
    order = random.permutation(len(names))
    again = split_by_tune([names[k] for k in order], [melodies[k] for k in order])
    assert dict(zip((names[k] for k in order), again)) == dict(zip(names, splits))


def test_missing_and_damaged_datasets_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has no {DATA_FILE}"):
        load_chorales(tmp_path)
    (tmp_path / DATA_FILE).write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match="is damaged"):
        load_chorales(tmp_path)
