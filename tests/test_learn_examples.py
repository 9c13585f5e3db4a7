"""The examples of learning and of rooms run as written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from recordings_of_ones_own import tune, write

ROOT = Path(__file__).parents[1]


def _run(*arguments: object) -> str:
    run = subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_learning_from_a_folder(tmp_path: Path) -> None:
    for number, shift in enumerate((0.0, 2.0, -3.0)):
        write(tmp_path / "flute" / f"{number}.wav", np.concatenate([tune(shift, seconds=0.45, seed=number)] * 2))
    said = _run("examples/learn_from_a_folder.py", tmp_path / "flute", "--steps", 1, "-o", tmp_path / "out")
    assert "0.wav: 16 notes" in said
    audio, rate = soundfile.read(tmp_path / "out" / "tune.wav")
    assert rate == 48_000
    assert np.abs(audio).max() > 0.01


def test_dereverberating(tmp_path: Path) -> None:
    short, long = write(tmp_path / "a.wav", tune()), write(tmp_path / "b.wav", tune(seconds=0.5))
    assert "falls by 60 dB" in _run("examples/dereverberate.py", short, tmp_path / "dry.wav")
    assert soundfile.info(tmp_path / "dry.wav").frames == soundfile.info(short).frames
    assert _run("examples/dereverberate.py", short, tmp_path / "c.wav", "--of", long).count("falls by") == 2
    assert soundfile.info(tmp_path / "c.wav").channels == 2
