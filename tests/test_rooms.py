"""Rooms: responses that sound like one hall, and convolution that is exact, local to its grid, and complete."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, oaconvolve, resample_poly, sosfilt

from mididdsp import rooms
from mididdsp.audio_files import write_audio
from mididdsp.instruments import INSTRUMENTS
from mididdsp.rooms import (
    BLOCK,
    ROOM_LEVEL_DB,
    blocks_of,
    convolved,
    file_impulse_response,
    room_impulse_response,
    room_level_db,
)


def energy_db(response: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(response.astype(np.float64) ** 2)))


def decay_s(response: np.ndarray, low_hz: float, high_hz: float, rate: int = 48_000) -> float:
    """Reverberation time of a band by backward integration (Schroeder), from -5 to -25 dB."""
    band = sosfilt(butter(3, (low_hz, high_hz), "bandpass", fs=rate, output="sos"), response.astype(np.float64))
    energy = np.cumsum((band**2).sum(axis=0)[::-1])[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-30)
    start, end = np.searchsorted(-level, [5.0, 25.0])
    return 60.0 / 20.0 * float(end - start) / rate


# --- our own hall


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_has_a_seat_in_the_hall(name: str) -> None:
    response = room_impulse_response(name, 48_000)
    assert response.dtype == np.float32
    assert 0.9 < response.shape[1] / 48_000 < 1.4
    assert np.isfinite(response).all()
    assert room_level_db(response, 48_000) == pytest.approx(ROOM_LEVEL_DB, abs=0.01)
    left, right = energy_db(response[0]), energy_db(response[1])
    assert abs(left - right) < 2.0  # a hall answers from all sides, wherever one sits


def test_the_response_decays_and_ends_silently() -> None:
    response = room_impulse_response("violin", 48_000)
    # The direct sound is not in it: within the first millisecond there is nothing.
    assert np.abs(response[:, :48]).max() < 1e-4 * np.abs(response).max()
    first, last = response[:, :48_000 // 10], response[:, -48_000 // 20:]
    assert np.abs(response[:, -1]).max() < 1e-7
    assert np.abs(last).max() < np.abs(first).max() * 10 ** (-50 / 20)


def test_reverberation_times_are_those_of_the_table() -> None:
    for name in ("violin", "tuba"):
        response = room_impulse_response(name, 48_000)
        for centre, seconds in ((500.0, 1.15), (2000.0, 1.0), (8000.0, 0.6)):
            # A band of noise measures within a sixth of its true decay; early reflections shorten it a little.
            assert decay_s(response, centre / 1.4, centre * 1.4) == pytest.approx(seconds, rel=0.17)


def test_seats_differ_and_calls_do_not() -> None:
    violin, cello = room_impulse_response("violin", 48_000), room_impulse_response("cello", 48_000)
    assert abs(float(np.vdot(violin, cello))) < 0.5 * 10 ** (ROOM_LEVEL_DB / 10)
    room_impulse_response.cache_clear()
    np.testing.assert_array_equal(room_impulse_response("violin", 48_000), violin)
    left, right = room_impulse_response("violin", 48_000, -1.0), room_impulse_response("violin", 48_000, 1.0)
    assert not np.array_equal(left, right)


def test_a_seat_on_the_left_is_answered_first_from_the_left() -> None:
    response = room_impulse_response("violin", 48_000, -1.0)[:, :48_000 // 40]
    assert energy_db(response[0]) > energy_db(response[1]) + 1.0


@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
def test_the_hall_sounds_alike_at_all_rates(rate: int) -> None:
    at_48k, other = room_impulse_response("oboe", 48_000), room_impulse_response("oboe", rate)
    one, two = (np.abs(np.fft.rfft(response, 2 * r))[:, 200:13_000]  # 100 to 6500 Hz, every half hertz
                for response, r in ((at_48k, 48_000), (other, rate)))
    # The resampler passes all of this; its ripple is far below a hundredth.
    np.testing.assert_allclose(one, two, rtol=0, atol=0.01 * one.mean())


def test_the_response_is_not_to_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        room_impulse_response("violin", 48_000)[0, 0] = 1.0


def test_an_unknown_instrument_is_refused() -> None:
    with pytest.raises(ValueError, match="kazoo"):
        room_impulse_response("kazoo", 48_000)


# --- rooms in files


def test_a_file_serves_at_the_level_of_a_room(tmp_path: Path) -> None:
    response = np.zeros((2, 500), np.float32)
    response[0, 100], response[1, 200] = 0.9, -0.3
    write_audio(tmp_path / "room.wav", response, 48_000, float32=True)
    found = file_impulse_response(tmp_path / "room.wav", 48_000)
    # Two single reflections, one a side, are as strong at all frequencies: their energy is their level.
    assert energy_db(found) == pytest.approx(ROOM_LEVEL_DB, abs=1e-3)
    assert room_level_db(found, 48_000) == pytest.approx(ROOM_LEVEL_DB, abs=1e-3)
    np.testing.assert_allclose(found / found[0, 100], response / response[0, 100], atol=1e-6)


def test_a_mono_file_serves_both_sides_and_is_resampled(tmp_path: Path) -> None:
    tone = np.hanning(2_000).astype(np.float32)
    write_audio(tmp_path / "room.flac", tone, 44_100)
    found = file_impulse_response(tmp_path / "room.flac", 48_000)
    np.testing.assert_array_equal(found[0], found[1])
    expected = resample_poly(tone, 160, 147)
    np.testing.assert_allclose(found[0] / found[0].max(), expected / expected.max(), atol=1e-3)


def test_files_that_are_no_rooms_are_refused(tmp_path: Path) -> None:
    for name, audio, sentence in (("silent.wav", np.zeros((1, 9)), "is silent; give an impulse response with sound"),
                                  ("many.wav", np.ones((3, 9)), "has 3 channels; give an impulse response of one or"),
                                  ("long.wav", np.ones((1, 31_000)), "is 31 s long, which is no room")):
        write_audio(tmp_path / name, audio.astype(np.float32), 1_000)
        with pytest.raises(ValueError, match=re.escape(sentence)):
            file_impulse_response(tmp_path / name, 48_000)
    with pytest.raises(ValueError, match="there is no such file"):
        file_impulse_response(tmp_path / "absent.wav", 48_000)


# --- convolution


def pieces(audio: np.ndarray, size: int) -> list[np.ndarray]:
    return [audio[start:start + size] for start in range(0, len(audio), size)]


def joined(stream: list[np.ndarray], response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    results = list(convolved(stream, response))
    assert all(dry.shape[0] == wet.shape[1] == BLOCK for dry, wet in results[:-1])
    return np.concatenate([dry for dry, _ in results]), np.concatenate([wet for _, wet in results], axis=1)


@pytest.mark.parametrize("taps", [1, 2, 5_000, 8_192, 8_193, 60_000])
@pytest.mark.parametrize("length", [1, 40_000, BLOCK, 3 * BLOCK + 17])
def test_convolution_is_exact_and_complete(length: int, taps: int) -> None:
    rng = np.random.default_rng(length + taps)
    audio = rng.standard_normal(length).astype(np.float32)
    response = (rng.standard_normal((2, taps)) * np.exp(-5 * np.arange(taps) / taps)).astype(np.float32)
    dry, wet = joined(pieces(audio, 10_000), response)
    expected = np.stack([oaconvolve(audio.astype(np.float64), channel.astype(np.float64)) for channel in response])
    assert wet.shape == expected.shape
    assert wet.dtype == np.float32
    # Transforms in float32 err by a few ulp of the loudest value around: -120 dB.
    np.testing.assert_allclose(wet, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(dry[:length], audio)
    assert not dry[length:].any()


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 50_000), max_size=6), gap=st.integers(0, 3))
def test_incoming_block_sizes_change_no_bit(sizes: list[int], gap: int) -> None:
    rng = np.random.default_rng(5)
    audio = np.zeros(4 * BLOCK + 1_000, np.float32)
    audio[:20_000] = rng.standard_normal(20_000)
    audio[(gap + 1) * BLOCK - 3:] = 0.1
    response = (rng.standard_normal((2, 20_000)) * 0.1).astype(np.float32)
    cut = np.split(audio, np.minimum(np.cumsum(sizes, dtype=int), len(audio)))
    np.testing.assert_array_equal(joined(cut, response)[1], joined([audio], response)[1])


def test_silence_after_the_ring_is_exact_and_sound_after_it_is_right() -> None:
    rng = np.random.default_rng(6)
    audio = np.zeros(12 * BLOCK, np.float32)
    audio[:1_000] = rng.standard_normal(1_000)
    audio[10 * BLOCK + 5:10 * BLOCK + 1_005] = audio[:1_000]
    response = rng.standard_normal((2, 60_000)).astype(np.float32)
    wet = joined([audio], response)[1]
    assert not wet[:, 4 * BLOCK:10 * BLOCK].any()
    np.testing.assert_allclose(wet[:, 10 * BLOCK + 5:10 * BLOCK + 61_004], wet[:, :60_999], rtol=0,
                               atol=1e-6 * np.abs(wet).max())


def test_nothing_in_gives_nothing_out() -> None:
    assert not list(convolved([], np.ones((2, 100), np.float32)))
    assert not list(convolved([np.zeros(0, np.float32)], np.ones((2, 100), np.float32)))


@given(sizes=st.lists(st.integers(0, 40), max_size=8), size=st.integers(1, 30))
def test_blocks_of_a_size(sizes: list[int], size: int) -> None:
    audio = np.arange(2 * sum(sizes), dtype=np.float32).reshape(2, -1)
    found = list(blocks_of(np.split(audio, np.cumsum(sizes, dtype=int), axis=1), size))
    assert all(block.shape[1] == size for block in found[:-1])
    assert all(block.shape[1] > 0 for block in found)
    np.testing.assert_array_equal(np.concatenate([np.zeros((2, 0)), *found], axis=1), audio)


def test_other_grids_give_the_same_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    audio, response = rng.standard_normal(50_000).astype(np.float32), room_impulse_response("horn", 48_000)
    wet = joined([audio], response)[1]
    monkeypatch.setattr(rooms, "_PARTITION", 4096)
    monkeypatch.setattr(rooms, "_GROUP", 1)
    monkeypatch.setattr(rooms, "BLOCK", 4096)
    other = np.concatenate([block for _, block in convolved([audio], response)], axis=1)
    np.testing.assert_allclose(other, wet, rtol=0, atol=1e-6)
