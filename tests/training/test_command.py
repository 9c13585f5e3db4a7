"""``mididdsp train`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mididdsp.cli import run


def test_train_writes_a_checkpoint_and_reports_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "notes", "recipe=debug", "data=unused", "-o", str(tmp_path / "run"), "--json", "--quiet"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert Path(report["checkpoint"]) == tmp_path / "run" / "checkpoint"
    assert report["card"]["level"] == "notes"
    assert printed.err == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "mixing"], "'mixing' is not one of"),
        (["train", "notes"], "needs data, out"),
        (["train", "notes", "data=x", "out=y", "stpes=3"], "Could not override 'stpes'"),
    ],
)
def test_a_wrong_call_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1


def test_a_run_that_cannot_be_continued_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    assert run(["train", "notes", "recipe=debug", "data=unused", "-o", str(tmp_path), "--quiet"]) == 1
    assert "damaged" in capsys.readouterr().err
