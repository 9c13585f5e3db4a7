"""The examples of sound and transfer run as written."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench import pitch
from mididdsp.checkpoints import MODEL_FILE, shipped

EXAMPLES = Path(__file__).parents[1] / "examples"
WEIGHTS = shipped("autoencoder").parent


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, weights: str | None = None) -> None:
    if weights is not None and not (WEIGHTS / weights / MODEL_FILE).exists():
        pytest.skip(f"the package has no weights {weights}")
    monkeypatch.chdir(folder)
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_hummed_tune_becomes_a_violin_and_a_tuba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("transfer.py", tmp_path, monkeypatch, "autoencoder")
    hummed, rate = soundfile.read(tmp_path / "hum.wav")
    before = pitch.track(hummed, rate, 48, 64)
    low, high = 60, 76  # an octave up
    sound, rate = soundfile.read(tmp_path / "hum_on_violin.wav")
    after = pitch.track(sound.mean(axis=1), rate, low, high)
    count = min(len(before.f0_hz), len(after.f0_hz))
    both = before.sounding[:count] & after.sounding[:count]
    cents = 1200.0 * np.log2(after.f0_hz[:count] / before.f0_hz[:count])[both]
    assert np.median(np.abs(cents - 1200.0)) < 10.0  # the room rings on over changes of pitch
    assert (tmp_path / "hum_on_tuba.wav").exists()
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")


def test_the_tiny_model_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("stream_tiny.py", tmp_path, monkeypatch, "autoencoder-tiny")
    assert "x real time" in capsys.readouterr().out
    audio, rate = soundfile.read(tmp_path / "live.wav")
    assert (len(audio), rate) == (4 * 48_000, 48_000)
    heard = pitch.track(audio[: rate // 2], rate, 68, 80)
    assert np.median(heard.f0_hz[heard.sounding]) == pytest.approx(440.0 * 2 ** (5 / 12), rel=0.005)


def test_effects_and_a_room_found_blind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("effects.py", tmp_path, monkeypatch)
    wet, _ = soundfile.read(tmp_path / "wet.wav")
    dry, _ = soundfile.read(tmp_path / "dry_again.wav")
    assert len(wet) == len(dry)
    found = capsys.readouterr().out.split("room: gain ")[1]
    gain, pace = float(found.split()[0]), float(found.split("pace ")[1].split()[0])
    assert abs(gain + 2.0) < 0.7  # from 0, with noise that is not the room's own
    assert abs(pace - 1.5) < 0.9  # from 3
