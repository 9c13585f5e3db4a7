"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mididdsp.files import atomic_path, safe_name


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "ü.txt"
    target.write_text("before")
    with atomic_path(target) as partial:
        partial.write_text("after")
        assert partial.parent == tmp_path
        assert target.read_text() == "before"
    assert target.read_text() == "after"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    def failing() -> None:
        with atomic_path(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        failing()
    assert not list(tmp_path.iterdir())


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a"):
        pass
    (tmp_path / "b").touch()
    assert os.stat(tmp_path / "a").st_mode == os.stat(tmp_path / "b").st_mode


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("ヴ" * 85)
    with atomic_path(target) as partial:
        partial.write_bytes(b"x")
    assert target.read_bytes() == b"x"


def test_a_missing_folder_is_made_for_a_file_that_is_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "new" / "a"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with atomic_path(tmp_path / "new" / "a"):
        pass
    assert [item.name for item in (tmp_path / "new").iterdir()] == ["a"]


def test_folders_as_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"), atomic_path(tmp_path):
        pass


@pytest.mark.parametrize(("text", "name"), [
    ("Violin I", "Violin I"), ("Vl. I/II: *solo*", "Vl. I_II_ _solo_"), ("..\\x", "_x"), ("第一", "第一"),
    ("a\0b\n", "a_b_"),
])
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text) == name


@pytest.mark.parametrize("text", ["", "...", " ", "\ud800"])
def test_a_safe_name_is_never_empty(text: str) -> None:
    assert safe_name(text)


def test_safe_names_are_short() -> None:
    assert 90 < len(safe_name("ヴ" * 200).encode()) <= 100
