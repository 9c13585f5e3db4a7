"""Sound to parameters: known answers on tones and noise made here, sample by sample in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mididdsp.expression.analysis import sounding_span
from mididdsp.synthesis.analysis import (
    ANALYSIS_RATE,
    CONTENT_HZ,
    HOP,
    NOISE_EDGES_HZ,
    analyse_note,
    analyse_with_f0,
    find_pitch,
    frame_count,
    level_contour,
    track_f0,
    without_rumble,
)
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.float64]

LEAD_S = 0.1


def tone(pitch: float, seconds: float, *, amplitudes: Array | None = None, cents: Array | float = 0.0) -> Array:
    """A harmonic tone with rests of 0.1 s around it and ramps of 5 ms; partials fall as 1 / k from 0.2 unless given."""
    count = int((seconds + 2 * LEAD_S) * ANALYSIS_RATE)
    time = np.arange(count) / ANALYSIS_RATE
    f0 = midi_to_hz(pitch) * 2.0 ** (np.broadcast_to(np.asarray(cents, dtype=np.float64), count) / 1200.0)
    if amplitudes is None:
        amplitudes = 0.2 / np.arange(1, max(2, min(30, int(15_000.0 / midi_to_hz(pitch)) + 1)))
    phase = 2.0 * np.pi * np.cumsum(f0) / ANALYSIS_RATE
    gate = np.clip((time - LEAD_S) / 0.005, 0.0, 1.0) * np.clip((LEAD_S + seconds - time) / 0.005, 0.0, 1.0)
    return np.asarray(gate * sum(a * np.sin(k * phase) for k, a in enumerate(amplitudes, 1)))


def inner(seconds: float) -> slice:
    """Frames of a tone well away from its ends: the longest window reaches 60 ms to each side."""
    return slice(int((LEAD_S + 0.12) * FRAME_RATE), int((LEAD_S + seconds - 0.12) * FRAME_RATE))


@pytest.mark.parametrize("pitch", [28.0, 40.3, 55.0, 69.0, 81.25, 96.0, 105.0, 119.0, 127.0])
def test_steady_tones_are_read_to_a_tenth_of_a_cent(pitch: float) -> None:
    amplitudes = np.asarray(0.2 / np.arange(1, max(2, min(30, int(15_000.0 / midi_to_hz(pitch)) + 1))))
    heard = analyse_note(tone(pitch, 0.5, amplitudes=amplitudes), pitch)
    where = inner(0.5)
    assert heard.voiced[where].all()
    # The refinement from phase is exact for a steady tone but for the side lobes of neighbouring partials (-31 dB Hann,
    # four periods): a few hundredths of a cent at the lowest pitch.
    assert np.abs(1200.0 * np.log2(heard.f0_hz[where] / midi_to_hz(pitch))).max() < 0.1
    found = heard.partials[where][:, : len(amplitudes)]
    known = np.isfinite(found[0])
    assert known[: len(amplitudes)].all()
    # Below 100 Hz windows hold 3.4 periods and more, and the side lobes of neighbours (-35 dB) add 0.2 dB.
    assert np.abs(20.0 * np.log10(found / amplitudes)).max() < (0.3 if pitch < 43.0 else 0.1)
    # What is not in the sound is at least 50 dB below its fundamental.
    others = heard.partials[where][:, len(amplitudes):]
    assert (others[np.isfinite(others)] < 0.2 * 10 ** (-50 / 20)).all()
    # And there is no noise: side lobes of the four-term Blackman-Harris window are 92 dB below the partials.
    assert heard.noise_db[where].max() < 20 * np.log10(0.2) - 45.0


@pytest.mark.parametrize("pitch", [45.0, 69.0, 93.0])
def test_vibrato_is_followed(pitch: float) -> None:
    count = int(1.2 * ANALYSIS_RATE)
    cents = 25.0 * np.sin(2 * np.pi * 6.0 * np.arange(count) / ANALYSIS_RATE)
    heard = analyse_note(tone(pitch, 1.0, cents=cents), pitch)
    where = inner(1.0)
    found = 1200.0 * np.log2(heard.f0_hz[where] / midi_to_hz(pitch))
    wanted = 25.0 * np.sin(2 * np.pi * 6.0 * np.arange(len(heard.f0_hz)) / FRAME_RATE)[where]
    # The window averages over four periods (36 ms at pitch 45: 5 % of the swing) and five frames' median flattens tops.
    assert np.abs(found - wanted).max() < 2.0


def test_pitch_is_tracked_away_from_its_guide() -> None:
    audio = tone(60.4, 0.4)
    f0, voiced = track_f0(audio, np.full(frame_count(len(audio)), midi_to_hz(60.0)))
    where = inner(0.4)
    assert voiced[where].all()
    assert np.abs(1200.0 * np.log2(f0[where] / midi_to_hz(60.4))).max() < 0.1


def test_frames_without_a_tone_are_unvoiced_and_hold_the_pitch_beside() -> None:
    heard = analyse_note(tone(69.0, 0.3), 69.0)
    silent = np.r_[0:15, len(heard.voiced) - 15 : len(heard.voiced)]
    assert not heard.voiced[silent].any()
    assert (heard.f0_hz > 0).all()
    # Windows of 12 ms that only touch the tone's end are less exact than those in it.
    assert np.abs(1200.0 * np.log2(heard.f0_hz[silent] / 440.0)).max() < 10.0
    noise = np.random.default_rng(0).normal(0.0, 0.05, ANALYSIS_RATE // 2)
    assert track_f0(noise, np.full(frame_count(len(noise)), 440.0))[1].mean() < 0.2


@pytest.mark.parametrize("with_tone", [False, True])
def test_noise_bands_hold_their_power(with_tone: bool) -> None:
    audio = tone(69.0, 1.8) * float(with_tone)
    deviation = 0.01
    audio = audio + np.random.default_rng(1).normal(0.0, deviation, len(audio))
    f0 = np.full(frame_count(len(audio)), 440.0)
    heard = analyse_with_f0(audio, f0, np.ones(len(f0), bool))
    edges = np.array(NOISE_EDGES_HZ)
    wanted = 10 * np.log10(deviation**2 * np.diff(edges) / (ANALYSIS_RATE / 2))
    found = 10 * np.log10((10 ** (heard.noise_db[inner(1.8)] / 10)).mean(0))
    below = edges[1:] < CONTENT_HZ
    error = (found - wanted)[below]
    # A narrow band is read from one gap between partials, about 100 independent windows long: 10 % or 0.4 dB of
    # standard error; over all bands it averages out.
    assert np.abs(error).max() < 1.5
    assert abs(error.mean()) < 0.5
    # Above what lossy sources carry nothing is known; the noise goes on falling.
    density = found - 10 * np.log10(np.diff(edges))
    assert (np.diff(density[~below]) < -0.5).all()


def test_noise_does_not_hide_in_the_partials() -> None:
    """Under noise, partials that are not there stay near it, and those that are there keep their level."""
    amplitudes = np.array([0.2, 0.0, 0.02, 0.0, 0.01])
    audio = tone(69.0, 1.0, amplitudes=amplitudes)
    audio = audio + np.random.default_rng(2).normal(0.0, 0.003, len(audio))
    found = np.sqrt(np.nanmean(analyse_note(audio, 69.0).partials[inner(1.0), :5] ** 2, 0))
    # Noise in a window of four periods (9 ms, 165 Hz of noise bandwidth): 0.003 * sqrt(2 * 165 / 24000), about 0.0004.
    np.testing.assert_allclose(found, amplitudes, atol=0.0007)


@pytest.mark.parametrize("pitch", [34.0, 40.0, 60.0])
def test_the_rumble_of_a_room_is_no_noise_of_the_instrument(pitch: float) -> None:
    """A hum of 30 Hz, where the gap below the first partial of low notes lies, leaves the bands below 62 Hz empty."""
    audio = tone(pitch, 1.0)
    hum = 0.05 * np.sin(2 * np.pi * 30.0 * np.arange(len(audio)) / ANALYSIS_RATE)
    quiet, heard = (analyse_note(sound, pitch).noise_db[inner(1.0), 0] for sound in (audio, audio + hum))
    assert heard.max() < 20 * np.log10(0.05) - 40.0  # half of the hum's power and more would be -3
    assert quiet.max() < 20 * np.log10(0.05) - 40.0


@pytest.mark.parametrize("pitch", [22.0, 36.0, 47.7, 60.0, 75.2, 88.0, 104.0])
@pytest.mark.parametrize("guess", [None, 0.7, 12.0, -12.0])
def test_the_pitch_is_found_in_the_right_octave(pitch: float, guess: float | None) -> None:
    found, strength = find_pitch(tone(pitch, 0.6), None if guess is None else pitch + guess)
    assert found == pytest.approx(pitch, abs=0.06)  # candidates lie 0.05 semitones apart
    assert strength > 0.9


def test_the_octave_survives_a_weak_fundamental_and_a_strong_second_partial() -> None:
    weak = np.array([0.004, 0.2, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03])
    assert find_pitch(tone(48.0, 0.6, amplitudes=weak), 48.0)[0] == pytest.approx(48.0, abs=0.06)
    odd = np.array([0.2, 0.002, 0.1, 0.002, 0.06, 0.002, 0.03])  # as a clarinet
    assert find_pitch(tone(53.0, 0.6, amplitudes=odd), 53.0)[0] == pytest.approx(53.0, abs=0.06)


def test_noise_has_a_weak_pitch() -> None:
    # A window of 12 % around the partials holds 12 % of white noise.
    assert find_pitch(np.random.default_rng(3).normal(0.0, 0.1, ANALYSIS_RATE))[1] < 0.3


def test_levels_are_those_of_a_sine() -> None:
    time = np.arange(ANALYSIS_RATE) / ANALYSIS_RATE
    level = level_contour(0.1 * np.sin(2 * np.pi * 1000.0 * time))
    assert len(level) == frame_count(len(time)) == 251
    # A sine of amplitude 0.1 has a power of 0.005; ten periods of a Hann window leave no ripple.
    np.testing.assert_allclose(level[5:-5], 10 * np.log10(0.005), atol=0.01)
    assert (level_contour(np.zeros(1000)) == -120.0).all()


@settings(max_examples=15)
@given(gain_db=st.floats(-30.0, 6.0), pitch=st.floats(40.0, 90.0))
def test_gain_changes_levels_and_nothing_else(gain_db: float, pitch: float) -> None:
    audio = tone(pitch, 0.2)
    audio = audio + np.random.default_rng(4).normal(0.0, 1e-3, len(audio))
    gain = 10 ** (gain_db / 20)
    one, other = analyse_note(audio, pitch), analyse_note(audio * gain, pitch)
    # Spectra are float32: relative errors of 1e-7, times a few hundred between a partial and the noise beside it.
    np.testing.assert_allclose(other.f0_hz, one.f0_hz, rtol=1e-5)
    np.testing.assert_array_equal(other.voiced, one.voiced)
    np.testing.assert_allclose(other.partials, one.partials * gain, rtol=1e-2, atol=1e-6)
    floor = -100.0  # below, the float32 of spectra is heard, 120 dB under the fundamental
    there = (one.noise_db > floor) & (other.noise_db > floor)
    off = np.abs((other.noise_db - one.noise_db)[there] - gain_db)
    # what is left of a band beside a strong partial is a difference of such numbers: a few in a thousand stray further
    assert np.quantile(off, 0.99) < 0.05
    assert off.max() < 0.5


@settings(max_examples=15)
@given(delay=st.integers(1, 20), pitch=st.floats(45.0, 90.0))
def test_a_later_sound_is_the_same_sound_later(delay: int, pitch: float) -> None:
    audio = tone(pitch, 0.15)
    one = analyse_note(audio, pitch)
    other = analyse_note(np.concatenate([np.zeros(delay * HOP), audio]), pitch)
    loud = np.flatnonzero(one.level_db > -40.0)
    np.testing.assert_allclose(other.f0_hz[loud + delay], one.f0_hz[loud], rtol=1e-5)
    np.testing.assert_allclose(other.partials[loud + delay, :3], one.partials[loud, :3], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, 2, HOP, 1000, 5000])
@pytest.mark.parametrize("amplitude", [0.0, 0.1])
def test_short_and_silent_sounds_have_parameters(samples: int, amplitude: float) -> None:
    audio = amplitude * np.sin(0.06 * np.arange(samples))
    heard = analyse_note(audio, 69.0)
    assert len(heard.f0_hz) == len(heard.noise_db) == len(heard.partials) == samples // HOP + 1
    assert np.isfinite(heard.f0_hz).all()
    assert (heard.f0_hz > 0).all()
    assert np.isfinite(heard.noise_db).all()
    pitch, strength = find_pitch(audio, 69.0)
    assert 56.0 <= pitch <= 82.0
    assert 0.0 <= strength <= 1.0


@pytest.mark.parametrize("pitch", [22.0, 40.0, 70.0])
def test_a_note_begins_where_it_sounds_not_where_the_stand_rumbles(pitch: float) -> None:
    sound = np.concatenate([np.zeros(ANALYSIS_RATE // 4), tone(pitch, 0.5), np.zeros(ANALYSIS_RATE // 4)])
    # 15 dB below the tone, from the first sample to the last, as under some oboes; 12 Hz is below the lowest note too
    time = np.arange(len(sound)) / ANALYSIS_RATE
    rumble = 0.25 * np.sqrt((sound**2).max()) * np.sin(2 * np.pi * (12.0 if pitch < 36.0 else 30.0) * time)
    quiet, loud = (sounding_span(analyse_note(audio, pitch).level_db)[:2] for audio in (sound, sound + rumble))
    # a filter as narrow as a low note's rings on for some of its periods
    assert np.abs(np.array(loud) - quiet).max() <= max(2, 1.5 * FRAME_RATE / midi_to_hz(pitch))
    kept = slice(int(0.5 * ANALYSIS_RATE), int(0.7 * ANALYSIS_RATE))
    left = without_rumble(sound, float(midi_to_hz(pitch)))[kept]
    # a fundamental half as high again as the border loses a third of a dB
    assert 10 * np.log10((left**2).mean() / (sound[kept] ** 2).mean()) == pytest.approx(0.0, abs=0.35)
