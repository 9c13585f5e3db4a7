"""The example of listening runs as it is written."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import pytest
import soundfile
from players import shipped

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_resynthesis_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped()
    for name in ("resynthesize.py", "scarborough_fair.mid"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["resynthesize.py"])
    runpy.run_path(str(tmp_path / "resynthesize.py"), run_name="__main__")
    assert "notes, A4 = " in capsys.readouterr().out
    for name in ("resynthesized.wav", "partials_alone.wav", "as_a_clarinet.wav"):
        audio, rate = soundfile.read(tmp_path / name)
        assert rate == 48_000
        assert abs(audio).max() > 0.01
