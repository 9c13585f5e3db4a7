"""The chorales: read rightly from the corpus, kept on one side of the split by tune, stored as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mididdsp.data import chorales as module
from mididdsp.data.chorales import (
    Chorale,
    DataError,
    build_chorales,
    load_chorales,
    published_split,
    split_by_tune,
)
from mididdsp.data.corpora import CORPORA, PUBLISHED_TEST, CorpusError, corpus_of
from mididdsp.notes.grid import REST, NoteGrid

DATA_FILE = "chorales.npz"

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
    monkeypatch.setattr(module, "_read_piece", lambda path, _: pieces[path.stem])
    seen: list[tuple[int, int]] = []
    build_chorales(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    loaded = load_chorales(tmp_path)
    assert [one.name for one in loaded] == ["bwv1", "bwv2"]  # the third is the first again
    for one, grid in zip(loaded, (read, shifted)):
        assert all(np.array_equal(getattr(one.grid, name), getattr(grid, name)) for name in FIELDS)
    assert loaded[0].split == loaded[1].split  # one tune in two keys
    # A second call reads nothing anew.
    monkeypatch.setattr(module, "_read_piece", lambda path, _: pytest.fail("read again"))
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


def test_the_published_test_pieces_are_held_out_and_nothing_else_changes_side(read: NoteGrid) -> None:
    splits = {"bwv60.5": "train", "bwv99.6": "test", "bwv57.8": "valid", "bwv1.6": "test", "bwv2.6": "valid"}
    pieces = [Chorale(name=name, split=split, grid=read) for name, split in splits.items()]
    moved = {one.name: one.split for one in published_split(pieces)}
    assert moved == {"bwv60.5": "test", "bwv99.6": "test", "bwv57.8": "test", "bwv1.6": "train", "bwv2.6": "valid"}
    assert len(set(PUBLISHED_TEST)) == 69


def test_a_madrigal_has_five_voices() -> None:
    madrigals = CORPORA["madrigals"]
    path = next(path for path in madrigals.files() if path.stem == "madrigal.3.15")
    grid = module._read_piece(path, madrigals)
    assert grid is not None
    assert grid.voices == 5
    assert module._read_piece(path) is None  # no chorale


def test_a_folder_of_scores_is_a_corpus(tmp_path: Path) -> None:
    from mididdsp.notes.grid import begins, grid_to_score, meter_steps
    from mididdsp.notes.midi import write_midi

    own = tmp_path / "duets"
    own.mkdir()
    random = np.random.default_rng(0)
    position, bar = meter_steps([], 64)
    grids = []
    for number in range(12):
        line = np.repeat(random.integers(60, 72, 32), 2)
        pitch = np.stack([line, line - 12]).astype(np.int16)
        grids.append(NoteGrid(pitch=pitch, onset=begins(pitch), position=position, bar=bar, fermata=np.zeros(64, bool)))
        score = grid_to_score(grids[-1], names=["One", "Two"], instruments=["violin", "viola"], velocity=80)
        write_midi(score, own / f"duet{number:02}.mid")
    (own / "notes.txt").write_text("no score")
    (own / "broken.musicxml").write_text("<score-partwise>")
    corpus = corpus_of(str(own), 2)
    build_chorales(tmp_path / "data", corpus)
    loaded = load_chorales(tmp_path / "data", corpus)
    assert [one.name for one in loaded] == [f"duet{number:02}" for number in range(12)]
    for one, grid in zip(loaded, grids):
        assert np.array_equal(one.grid.pitch, grid.pitch)
    assert {one.split for one in loaded} == {"train", "valid", "test"}
    with pytest.raises(DataError, match="hold no piece in 3 voices"):
        build_chorales(tmp_path / "other", corpus_of(str(own), 3))
    with pytest.raises(CorpusError, match="choose chorales, madrigals, quartets, or a folder"):
        corpus_of("operas", 4)
