"""Phrases: what is heard of a made-up one, and its file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from tracking_tones import melody

from mididdsp.data.phrases import analyse_phrase, load_phrase, save_phrase
from mididdsp.data.recordings import Recording


def test_the_notes_of_a_phrase_are_heard_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "phrase.wav"
    soundfile.write(path, melody([69.0, 71.0, 72.0]), 48_000)
    recording = Recording(item="phrase", path=path, instrument="flute", kind="phrase", split="train", pitch=69.0,
                          length="phrase", dynamic="mezzo-forte", style="tenuto")
    notes = analyse_phrase(recording)
    assert [round(facts["pitch"]) for facts, _ in notes] == [69, 71, 72]
    assert [facts["interval_before"] is None for facts, _ in notes] == [True, False, False]
    assert all(facts["mark"] == "tenuto" and not facts["joined"] for facts, _ in notes)
    for facts, frames in notes:
        assert 0.3 < facts["seconds"] < 0.45
        assert 0 <= facts["onset"] < facts["offset"] <= len(frames["level_db"])
    with (tmp_path / "kept.npz").open("wb") as stream:
        save_phrase(stream, notes)
    for (facts, frames), (again, same) in zip(notes, load_phrase(tmp_path / "kept.npz")):
        assert {**facts, "frames": len(frames["level_db"])} == again
        for name, values in frames.items():
            np.testing.assert_array_equal(values, same[name])


def test_a_phrase_without_notes_is_an_empty_file() -> None:
    stream = io.BytesIO()
    save_phrase(stream, [])
    stream.seek(0)
    assert stream.getbuffer().nbytes > 0
