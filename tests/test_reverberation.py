"""Rooms told from recordings alone, taken away and given; made rooms whose decay is known are the judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from tracking_tones import melody

from mididdsp.cli import cli
from mididdsp.reverberation import (
    BANDS_HZ,
    Reverberation,
    ReverberationError,
    dried,
    estimate,
    impulse_response,
)

RATE = 48_000
TUNE = [60.0, 64.0, 67.0, 72.0, 76.0, 71.0, 65.0, 62.0]
PLAYED_S = 8 * 0.45


def _dry() -> NDArray[np.float64]:
    """A tune that stops at ``PLAYED_S``, and two seconds of silence."""
    return np.concatenate([melody(TUNE, partials=30), np.zeros(2 * RATE)])


def _room(decay_s: float, ratio_db: float) -> Reverberation:
    return Reverberation(decay_s=(decay_s,) * len(BANDS_HZ), ratio_db=(ratio_db,) * len(BANDS_HZ))


def _wet(decay_s: float, ratio_db: float = 0.0, key: str = "test") -> NDArray[np.float64]:
    response = impulse_response(_room(decay_s, ratio_db), RATE, channels=1, key=key)[0].astype(np.float64)
    response[0] = 1.0
    dry = _dry()
    return np.asarray(fftconvolve(dry, response)[: len(dry)])


def _level(audio: NDArray[np.floating], start_s: float, length_s: float = 0.1) -> float:
    part = audio[round(start_s * RATE) : round((start_s + length_s) * RATE)]
    return float(10 * np.log10(np.mean(np.square(part, dtype=np.float64)) + 1e-14))


def _fall_time(audio: NDArray[np.floating]) -> float:
    """Time to fall by 60 dB after the tune, from its fall between 0.1 and 0.4 s."""
    return 60.0 * 0.3 / max(_level(audio, PLAYED_S + 0.1) - _level(audio, PLAYED_S + 0.4), 1e-3)


def _dried(audio: NDArray[np.float64], room: Reverberation, size: int = 1 << 15) -> NDArray[np.float32]:
    blocks = (audio[None, start : start + size].astype(np.float32) for start in range(0, audio.shape[-1], size))
    return np.concatenate(list(dried(blocks, RATE, room)), axis=1)[0]


@pytest.mark.parametrize("decay_s", [0.5, 1.0, 2.0])
def test_the_decay_is_told_from_the_sound_alone(decay_s: float) -> None:
    found = estimate(_wet(decay_s)[None], RATE)
    # blind estimates from four seconds of a tune: within a third
    assert found.middle_s == pytest.approx(decay_s, rel=0.33)


def test_more_room_is_told_from_less() -> None:
    amounts = [estimate(_wet(1.0, ratio_db)[None], RATE).amount_db for ratio_db in (-15.0, -3.0, 6.0)]
    assert amounts[0] < amounts[1] < amounts[2]


def test_a_dry_sound_is_left_as_it_is() -> None:
    dry = _dry()
    found = estimate(dry[None], RATE)
    assert found.amount_db < -20.0
    same = _dried(dry, found)
    # what is taken away is below the sound's own 40 dB
    assert _level(same - dry, 0.0, PLAYED_S) < _level(dry, 0.0, PLAYED_S) - 40.0


@pytest.mark.parametrize("decay_s", [0.6, 1.5])
def test_the_late_sound_goes_and_the_notes_stay(decay_s: float) -> None:
    dry, wet = _dry(), _wet(decay_s, 0.0)
    out = _dried(wet, estimate(wet[None], RATE))
    assert len(out) == len(wet)
    assert _level(out, PLAYED_S + 0.2) < _level(wet, PLAYED_S + 0.2) - 10.0
    # a steady tone and its own late sound cohere: the room moves single notes by several dB either way
    moved = [_level(out, number * 0.45 + 0.1, 0.25) - _level(dry, number * 0.45 + 0.1, 0.25)
             for number in range(len(TUNE))]
    assert abs(np.mean(moved)) < 6.0


def test_the_size_of_blocks_changes_nothing() -> None:
    wet = _wet(1.0)
    room = _room(1.0, 0.0)
    np.testing.assert_array_equal(_dried(wet, room, 1_000), _dried(wet, room, 100_000))


def test_a_response_has_the_decay_and_the_amount_it_was_asked_for() -> None:
    response = impulse_response(replace(_room(1.0, -6.0)), RATE, channels=1)[0].astype(np.float64)
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    fall = 10 * np.log10(energy / energy[0])
    assert 10 * np.log10(energy[0]) == pytest.approx(-6.0, abs=0.5)
    # backward integration: 60 dB a second
    assert (fall[int(0.1 * RATE)] - fall[int(0.4 * RATE)]) / 0.3 == pytest.approx(60.0, rel=0.1)


@pytest.mark.parametrize(("audio", "what"), [
    (np.zeros((1, RATE)), "silent"), (np.ones((2, 100)), "half a second or more")])
def test_no_room_is_told_from_nothing(audio: NDArray[np.float64], what: str) -> None:
    with pytest.raises(ReverberationError, match=what):
        estimate(audio, RATE)


def _file(path: Path, audio: NDArray[np.float64], channels: int = 1) -> Path:
    soundfile.write(path, np.repeat(audio[:, None], channels, axis=1), RATE, subtype="PCM_24")
    return path


def test_the_command_takes_a_room_away_and_gives_another(tmp_path: Path) -> None:
    short, long = _file(tmp_path / "kurz.wav", _wet(0.5, 0.0), 2), _file(tmp_path / "lang é.wav", _wet(2.0, 3.0, "b"))
    dry = CliRunner().invoke(cli, ["room", str(short), "--dry", "-o", str(tmp_path / "dry.flac")])
    assert dry.exit_code == 0, dry.output
    audio, rate = soundfile.read(tmp_path / "dry.flac")
    assert audio.shape == (len(_dry()), 2)
    assert rate == RATE
    np.testing.assert_array_equal(audio[:, 0], audio[:, 1])  # the image stays
    moved = CliRunner().invoke(cli, ["room", str(short), "--of", str(long), "-o", str(tmp_path / "moved.wav")])
    assert moved.exit_code == 0, moved.output
    before, target = (soundfile.read(path)[0] for path in (short, long))
    after = soundfile.read(tmp_path / "moved.wav")[0].mean(axis=1)
    fall = [_fall_time(one) for one in (before[:, 0], after, target)]
    # at least a third of the way; single falls of a tune scatter (bench/dereverb.py measures many)
    assert abs(np.log(fall[1] / fall[2])) < 0.67 * abs(np.log(fall[0] / fall[2]))


def test_the_command_says_what_it_took_away(tmp_path: Path) -> None:
    for name, audio, said in (("wet", _wet(2.0, 3.0), "taken away"),
                              ("without", _dry(), "nothing to take away")):
        path = _file(tmp_path / f"{name}.wav", 0.5 * audio / np.abs(audio).max())
        dry = CliRunner().invoke(cli, ["room", str(path), "--dry", "-o", str(tmp_path / "dry.wav")])
        assert dry.exit_code == 0, dry.output
        assert said in dry.output


@pytest.mark.parametrize("arguments", [[], ["--dry", "--of", "{}"]])
def test_the_command_wants_one_of_the_two(tmp_path: Path, arguments: list[str]) -> None:
    path = _file(tmp_path / "a.wav", _dry())
    result = CliRunner().invoke(
        cli, ["room", str(path), "-o", str(tmp_path / "b.wav"), *(text.format(path) for text in arguments)])
    assert result.exit_code == 2
    assert "either --dry or --of" in result.output
    assert not (tmp_path / "b.wav").exists()
