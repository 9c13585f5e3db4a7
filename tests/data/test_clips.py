"""Single notes: measured rightly, dropped with a reason, cached once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_up import RATE, tone
from numpy.typing import NDArray

from mididdsp.data.clips import analyse_clip, cache_clips, clip_file, load_clip, load_mono, single_notes
from mididdsp.data.recordings import DataError, Recording


def recording(path: Path, pitch: float = 69.0, style: str = "normal") -> Recording:
    return Recording(item=f"made/{path.name}", path=path, instrument="violin", kind="note", split="train", pitch=pitch,
                     length="1", dynamic="forte", style=style)


@pytest.fixture
def note(tmp_path: Path) -> Recording:
    soundfile.write(tmp_path / "a.wav", tone(69.3, 0.6), RATE)
    return recording(tmp_path / "a.wav")


def test_a_clip_holds_the_note_from_eight_frames_before_it(note: Recording) -> None:
    facts, frames = analyse_clip(note)
    assert facts["dropped"] is None
    assert facts["pitch"] == pytest.approx(69.3, abs=0.01)
    assert facts["off_label"] == pytest.approx(0.3, abs=0.01)
    assert facts["octave_error"] == 0
    assert facts["onset"] == 8
    # The tone holds for 0.6 s and then falls 20 dB in 60 ms: the player stops within the first 3 dB or so.
    assert facts["seconds"] == pytest.approx(0.6, abs=0.03)
    assert facts["expression"]["tuning_cents"] == pytest.approx(0.0, abs=1.0)
    # 17 dB of a fall of 333 dB a second, smeared by windows of 10 ms.
    assert facts["expression"]["release_s"] == pytest.approx(17 / 333, abs=0.012)
    assert {len(values) for values in frames.values()} == {len(frames["level_db"])}
    # Model and recording agree on how loud it is.
    assert abs(facts["model_error_db"]) < 0.3


def test_octaves_wrong_in_the_label_are_mended(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(74.0, 0.6), RATE)
    facts, _ = analyse_clip(recording(tmp_path / "a.wav", pitch=62.0))
    assert facts["octave_error"] == 1
    assert facts["pitch"] == pytest.approx(74.0, abs=0.01)


@pytest.mark.parametrize(("sound", "style", "reason"), [
    (np.zeros(20_000), "normal", "silent"), (tone(69.0, 0.5)[:300], "normal", "silent or too short"),
    (tone(69.0, 0.5), "pizz-normal", "style pizz-normal"),
    (np.random.default_rng(0).normal(0, 0.1, RATE // 2), "normal", "no steady pitch"),
    (np.where(np.arange(20_000) == 9_000, 0.9, 0.0), "normal", "")], ids=["silent", "short", "style", "noise", "click"])
def test_what_cannot_be_learned_from_is_dropped(
    tmp_path: Path, sound: NDArray[np.float64], style: str, reason: str
) -> None:
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    facts, _ = analyse_clip(recording(tmp_path / "a.wav", style=style))
    assert facts["dropped"]
    assert facts["dropped"].startswith(reason)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3\x04" + bytes(300), b"not audio at all"])
@pytest.mark.parametrize("suffix", ["mp3", "wav"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as audio") as caught:
        load_mono(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read as audio"):
        load_mono(tmp_path / "missing.wav")


def test_stereo_at_any_rate_becomes_mono_at_48_khz(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(69.0, 0.3), -0.5 * tone(69.0, 0.3)], 1), RATE, subtype="FLOAT")
    mono = load_mono(tmp_path / "a.wav")
    assert len(mono) == pytest.approx(len(tone(69.0, 0.3)) * 48_000 / RATE, abs=1)
    assert np.abs(mono).max() == pytest.approx(0.25 * np.abs(tone(69.0, 0.3)).max(), rel=0.05)  # resampled peaks


def test_what_is_cached_is_not_analysed_again(note: Recording, tmp_path: Path) -> None:
    dataset = tmp_path / "set"
    damaged = tmp_path / "bad.wav"
    damaged.write_bytes(b"")
    both = [note, recording(damaged)]
    problems = cache_clips(both, dataset, workers=1)
    assert len(problems) == 1
    assert "bad.wav" in problems[0]
    file = clip_file(dataset, note)
    facts, frames = load_clip(file)
    assert facts["item"] == note.item
    assert frames["known"].dtype == bool
    assert os.listdir(dataset / "clips") == [file.name]  # nothing for the damaged one, no temporary file
    before = file.stat().st_mtime_ns
    note.path.unlink()
    assert len(cache_clips(both, dataset, workers=1)) == 1  # only what failed is tried again
    assert file.stat().st_mtime_ns == before


def test_single_notes_have_a_pitch(collection: Path) -> None:
    found = single_notes(collection)
    assert len(found) == 18
    assert all(one.kind == "note" and one.pitch is not None for one in found)
