"""Audio files: exact where the form can be, the same bytes every time, whole or not at all."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from mididdsp import audio_files
from mididdsp.audio_files import AudioFileError, AudioWriter, check_output, read_audio, to_24_bit, write_audio

STEP = np.float32(2.0**-23)


def noise(channels: int, length: int, level: float = 0.2) -> np.ndarray:
    return np.clip(np.random.default_rng(3).standard_normal((channels, length)) * level, -1, 1).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 70_001])
def test_24_bit_files_hold_the_nearest_step(tmp_path: Path, suffix: str, channels: int, length: int) -> None:
    audio = noise(channels, length)
    write_audio(tmp_path / f"a{suffix}", audio, 44_100)
    samples, rate = soundfile.read(tmp_path / f"a{suffix}", dtype="int32", always_2d=True)
    assert rate == 44_100
    assert soundfile.info(tmp_path / f"a{suffix}").subtype == "PCM_24"
    # Another way to the same numbers: float64 holds every product exactly.
    expected = np.rint(audio.astype(np.float64) * 2**23).astype(np.int64).clip(max=2**23 - 1)
    np.testing.assert_array_equal(samples.T >> 8, expected)


def test_rounding_is_to_the_nearest_even_step_and_holds_at_full_scale() -> None:
    audio = np.array([0.5, 1.5, -0.5, -1.5, 2.49, 2.51], np.float32) * STEP
    assert to_24_bit(audio).tolist() == [0, 2, 0, -2, 2, 3]
    top, bottom = 2**23 - 1, -(2**23)
    assert to_24_bit(np.array([1.0, 5.0, -1.0, -5.0], np.float32)).tolist() == [top, top, bottom, bottom]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_24_bit_values_come_back_unchanged(tmp_path: Path, suffix: str) -> None:
    audio = to_24_bit(noise(2, 1000)).astype(np.float32) * STEP
    write_audio(tmp_path / f"a{suffix}", audio, 48_000)
    found, rate = read_audio(tmp_path / f"a{suffix}")
    assert rate == 48_000
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, audio)


def test_float_wav_is_exact_beyond_full_scale_too(tmp_path: Path) -> None:
    audio = noise(2, 777) * 7 + np.float32(1e-30)
    write_audio(tmp_path / "a.wav", audio, 48_000, float32=True)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], audio)


@pytest.mark.parametrize("float32", [False, True])
def test_another_reader_agrees(tmp_path: Path, float32: bool) -> None:
    audio = noise(1, 333)
    write_audio(tmp_path / "a.wav", audio[0], 22_050, float32=float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rate, samples = wavfile.read(tmp_path / "a.wav")
    assert rate == 22_050
    scaled = samples if float32 else samples.astype(np.float64) / 2**31
    np.testing.assert_allclose(scaled, audio[0], rtol=0, atol=0.0 if float32 else STEP / 2)


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_lossy_forms_sound_alike(tmp_path: Path, suffix: str) -> None:
    time = np.arange(96_000) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    write_audio(tmp_path / f"a{suffix}", np.stack([tone, -tone]), 48_000)
    found, rate = read_audio(tmp_path / f"a{suffix}")
    assert (rate, len(found)) == (48_000, 2)
    middle = slice(10_000, 80_000)
    # A coder keeps a pure tone well: 30 dB between it and what it adds is a low bar.
    assert np.mean((found[0, middle] - tone[middle]) ** 2) < 1e-3 * np.mean(tone**2)


@pytest.mark.parametrize(("name", "float32"), [("a.wav", False), ("a.wav", True), ("a.flac", False), ("a.ogg", False),
                                               ("a.opus", False)])
def test_the_same_audio_gives_the_same_bytes(tmp_path: Path, name: str, float32: bool) -> None:
    audio = noise(2, 30_000)
    write_audio(tmp_path / name, audio, 48_000, float32=float32)
    first = (tmp_path / name).read_bytes()
    with AudioWriter(tmp_path / name, 48_000, float32=float32) as writer:  # in other pieces, too, where nothing is lost
        pieces = [audio] if name.endswith(("ogg", "opus")) else [audio[:, :1], audio[:, 1:12_345], audio[:, 12_345:]]
        for piece in pieces:
            writer.write(piece)
    assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_ogg_pages_carry_serial_1_and_right_checksums(tmp_path: Path, suffix: str) -> None:
    write_audio(tmp_path / f"a{suffix}", noise(2, 200_000), 48_000)
    data, position, pages = (tmp_path / f"a{suffix}").read_bytes(), 0, 0
    while position < len(data):
        head = data[position:position + 27]
        assert head[:4] == b"OggS"
        size = 27 + head[26] + sum(data[position + 27:position + 27 + head[26]])
        page = bytearray(data[position:position + size])
        assert int.from_bytes(page[14:18], "little") == 1
        found, page[22:26] = int.from_bytes(page[22:26], "little"), bytes(4)
        if pages < 3:  # the sum bit by bit, as RFC 3533 has it, is slow
            register = 0
            for byte in page:
                register ^= byte << 24
                for _ in range(8):
                    register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
            assert found == register
        position, pages = position + size, pages + 1
    assert pages > 3


@pytest.mark.parametrize("float32", [False, True])
def test_a_wav_beyond_the_limit_of_riff_becomes_rf64(
    tmp_path: Path, float32: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = noise(2, 501)
    write_audio(tmp_path / "small.wav", audio, 48_000, float32=float32)
    monkeypatch.setattr(audio_files, "_RIFF_LIMIT", 2000)  # 4 GB in earnest
    write_audio(tmp_path / "large.wav", audio, 48_000, float32=float32)
    assert soundfile.info(tmp_path / "small.wav").format == "WAV"
    assert soundfile.info(tmp_path / "large.wav").format == "RF64"
    np.testing.assert_array_equal(read_audio(tmp_path / "large.wav")[0], read_audio(tmp_path / "small.wav")[0])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus"])
def test_nothing_is_left_when_writing_fails(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("before")

    def failing() -> None:
        with AudioWriter(tmp_path / name, 48_000) as writer:
            writer.write(noise(2, 100_000))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        failing()
    assert (tmp_path / name).read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "rate", "float32", "sentence"), [
    ("a.mp3", 48_000, False, ".mp3 is no form audio is written in; end the name in .wav, .flac, .ogg or .opus"),
    ("a", 48_000, False, "a name without suffix is no form"),
    ("a.flac", 48_000, True, "only WAV holds 32-bit float; end the name in .wav"),
    ("a.opus", 44_100, False, "Opus has no sample rate of 44100 Hz; take one of"),
    ("a.wav", 0, False, "a sample rate of 0 Hz cannot be written; take 48000"),
])
def test_impossible_outputs_are_refused_at_once(name: str, rate: int, float32: bool, sentence: str) -> None:
    with pytest.raises(AudioFileError, match=re.escape(sentence)):
        check_output(name, rate, float32=float32)
    with pytest.raises(AudioFileError, match=re.escape(sentence)):
        AudioWriter(name, rate, float32=float32)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus"])
def test_only_wav_can_be_empty(tmp_path: Path, name: str) -> None:
    write_audio(tmp_path / "a.wav", np.zeros((2, 0), np.float32), 48_000)
    assert soundfile.info(tmp_path / "a.wav").frames == 0
    with pytest.raises(AudioFileError, match="there is no audio to write, and only WAV can be empty"):
        write_audio(tmp_path / name, np.zeros((2, 0), np.float32), 48_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


def test_more_channels_than_a_form_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="FLAC cannot hold 9 channels"):
        write_audio(tmp_path / "a.flac", noise(9, 10), 48_000)
    assert not list(tmp_path.iterdir())


def test_blocks_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a block has shape \(1, 10\), the file has 2 channels"), \
            AudioWriter(tmp_path / "a.wav", 48_000) as writer:
        writer.write(noise(1, 10))
    assert not list(tmp_path.iterdir())


def test_what_is_not_audio_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("nothing to hear")
    (tmp_path / "none.flac").touch()
    write_audio(tmp_path / "silent.wav", np.zeros((2, 0), np.float32), 48_000)
    write_audio(tmp_path / "nan.wav", np.full((1, 5), np.nan, np.float32), 48_000, float32=True)
    for name, sentence in (("text.wav", "cannot be read as audio"), ("none.flac", "cannot be read as audio"),
                           ("silent.wav", "holds no samples"), ("nan.wav", "holds samples that are not numbers"),
                           ("absent.wav", "there is no such file"), ("", "is a folder")):
        with pytest.raises(AudioFileError, match=sentence) as caught:
            read_audio(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_truncated_files_read_or_are_refused(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(2, 500), 48_000)
    write_audio(tmp_path / "a.flac", noise(2, 500), 48_000)
    for name in ("a.wav", "a.flac"):
        data = (tmp_path / name).read_bytes()
        for size in range(0, len(data), 41):
            (tmp_path / f"cut{name[1:]}").write_bytes(data[:size])
            with suppress(AudioFileError):  # and no other error
                read_audio(tmp_path / f"cut{name[1:]}")
