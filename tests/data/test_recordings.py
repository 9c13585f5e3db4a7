"""The collection is read by its index and its one split; what is missing is said in a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mididdsp.data.recordings import DYNAMIC_VELOCITY, DataError, philharmonia, playing_targets, read_split


@pytest.fixture
def small(collection: Path, tmp_path: Path) -> Path:
    """The lists of the collection without its sounds, to be damaged."""
    for name in ("split.csv", "philharmonia/index.csv", "figures/targets.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(collection / name, tmp_path / name)
    return tmp_path


def test_recordings_are_what_the_index_says(collection: Path) -> None:
    found = {recording.item: recording for recording in philharmonia(collection)}
    assert list(found) == sorted(found)
    one = found["philharmonia/violin/swell.wav"]
    assert (one.instrument, one.kind, one.split, one.pitch) == ("violin", "note", "train", 71.0)
    assert one.dynamic == "crescendo"
    assert one.path == collection / "philharmonia/violin/swell.wav"
    assert one.velocity is None  # a crescendo has no one level
    assert found["philharmonia/violin/0.wav"].velocity == DYNAMIC_VELOCITY["mezzo-forte"] == 80
    assert found["philharmonia/horn/phrase-valid.wav"].pitch is None
    assert found["philharmonia/horn/valid.wav"].split == "valid"


def test_targets_are_numbers_or_nothing(collection: Path) -> None:
    targets = playing_targets(collection)
    assert len(targets) == 16
    assert targets["violin"]["vibrato_rate_hz"] == 5.8
    assert targets["horn"]["vibrato_rate_hz"] is None
    assert set(targets["horn"]) == {"vibrato_share", "vibrato_rate_hz", "vibrato_extent_cents", "vibrato_delay_s",
                                    "level_span_pp_ff_db"}


@pytest.mark.parametrize(("name", "read"), [
    ("split.csv", read_split), ("split.csv", philharmonia), ("philharmonia/index.csv", philharmonia),
    ("figures/targets.csv", playing_targets)])
def test_a_missing_file_is_named(small: Path, name: str, read: object) -> None:
    (small / name).unlink()
    assert callable(read)
    with pytest.raises(DataError, match=Path(name).name) as caught:
        read(small)
    assert str(small) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_recording_must_be_in_the_split(small: Path) -> None:
    lines = (small / "split.csv").read_text().splitlines()
    (small / "split.csv").write_text("\n".join(line for line in lines if "swell" not in line))
    with pytest.raises(DataError, match="philharmonia/violin/swell.wav is in the index but not in split.csv"):
        philharmonia(small)
