"""Recordings read in pieces: the pieces are those of the whole, and what is wrong with a file is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from mididdsp.audio_files import AudioFileError, write_audio
from mididdsp.audio_stream import Window, open_recording, recording_of

NOISE = np.random.default_rng(0).standard_normal((2, 150_000)).astype(np.float32) * np.float32(0.1)


def test_blocks_are_the_mean_of_the_channels() -> None:
    whole = np.concatenate(list(recording_of(NOISE, 48_000).blocks(48_000)))
    np.testing.assert_array_equal(whole, NOISE.mean(axis=0))


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_resampling_block_by_block_is_resampling_the_whole(rate: int) -> None:
    blocks = np.concatenate(list(recording_of(NOISE, rate).blocks(48_000)))
    whole = soxr.resample(NOISE.mean(axis=0), rate, 48_000, quality="HQ")
    assert abs(len(blocks) - len(whole)) <= 1
    # the same filter in other steps: float32 sums in another order
    np.testing.assert_allclose(blocks[: len(whole)], whole[: len(blocks)], atol=2e-6)


def test_a_window_reads_any_stretches_that_move_forward() -> None:
    mono = NOISE.mean(axis=0)
    window = Window(recording_of(NOISE, 48_000), 48_000)
    np.testing.assert_array_equal(window.read(-10, 5), np.concatenate([np.zeros(10, np.float32), mono[:5]]))
    np.testing.assert_array_equal(window.read(3, 90_000), mono[3:90_000])
    np.testing.assert_array_equal(window.read(80_000, 100_000), mono[80_000:100_000])
    assert window.end is None
    tail = window.read(149_990, 150_020)
    np.testing.assert_array_equal(tail, np.concatenate([mono[-10:], np.zeros(20, np.float32)]))
    assert window.end == 150_000
    assert not window.read(160_000, 160_010).any()
    with pytest.raises(ValueError, match="was let go"):
        window.read(0, 10)


def test_a_window_holds_no_more_than_it_was_asked_for() -> None:
    window = Window(recording_of(np.tile(NOISE, 20), 48_000), 48_000)
    for start in range(0, 3_000_000, 48_000):
        window.read(start, start + 96_000)
        # what was asked and one block of 2 s
        assert len(window._held) <= 96_000 + 96_000


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="3 samples long"):
        recording_of(np.zeros(3, np.float32), 44_100)
    with pytest.raises(AudioFileError, match="there is no such file"):
        open_recording(tmp_path / "none.wav")
    with pytest.raises(AudioFileError, match="is a folder"):
        open_recording(tmp_path)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    with pytest.raises(AudioFileError, match="cannot be read as audio"):
        open_recording(text)
    broken = NOISE.copy()
    broken[1, 100_000] = np.nan
    with pytest.raises(AudioFileError, match=r"not numbers, the first at 2\.08 s"):
        list(recording_of(broken, 48_000).blocks(48_000))


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, NOISE, 48_000, float32=True)
    recording = open_recording(path)
    assert (recording.channels, recording.samples, recording.sample_rate) == (2, 150_000, 48_000)
    np.testing.assert_array_equal(np.concatenate(list(recording.blocks(48_000))), NOISE.mean(axis=0))


def test_a_constant_offset_is_taken_away_and_sound_keeps_every_bit() -> None:
    time_s = np.arange(96_000) / 48_000
    tone = (0.1 * np.sin(2 * np.pi * 441.7 * time_s)).astype(np.float32)
    plain, moved = (np.concatenate(list(recording_of(audio, 48_000).blocks(48_000))) for audio in (tone, tone + 0.3))
    np.testing.assert_array_equal(plain, tone)
    # float32 beside 0.3, and what the tone's own mean over its last cycle is
    np.testing.assert_allclose(moved, tone, atol=1e-4)


def test_a_channel_upside_down_does_not_silence_the_other() -> None:
    left = NOISE[0]
    turned = np.concatenate(list(recording_of(np.stack([left, -0.5 * left]), 48_000).blocks(48_000)))
    np.testing.assert_array_equal(turned, np.stack([left, 0.5 * left]).mean(axis=0))
    half = np.concatenate(list(recording_of(np.stack([left, 0 * left]), 48_000).blocks(48_000)))
    np.testing.assert_array_equal(half, 0.5 * left)
