"""The fundamental of synthetic melodies, without being told the notes."""

from __future__ import annotations

import numpy as np
import pytest
from tracking_tones import melody

from mididdsp.synthesis.analysis import ANALYSIS_RATE
from mididdsp.synthesis.tracking import track_pitch
from mididdsp.units import hz_to_midi, midi_to_hz


@pytest.mark.parametrize("pitches", [[36.0, 43.0, 48.0], [55.0, 62.0, 74.0], [69.0, 81.0, 88.0]])
def test_every_note_is_tracked_in_its_octave(pitches: list[float]) -> None:
    track = track_pitch(melody(pitches))
    for index, pitch in enumerate(pitches):
        middle = slice(int((index * 0.45 + 0.1) * 250), int((index * 0.45 + 0.3) * 250))
        assert track.voiced[middle].all()
        # 5 cents: candidates stand 25 apart, the refinement must have worked
        np.testing.assert_allclose(hz_to_midi(track.f0_hz[middle]), pitch, atol=0.05)


def test_chunks_make_no_difference() -> None:
    audio = melody([60.0, 64.0, 67.0, 72.0])
    whole, parts = track_pitch(audio), track_pitch(audio, chunk_s=0.4)
    np.testing.assert_array_equal(whole.f0_hz, parts.f0_hz)
    np.testing.assert_array_equal(whole.voiced, parts.voiced)


def test_noise_is_not_voiced() -> None:
    noise = np.random.default_rng(0).standard_normal(ANALYSIS_RATE) * 0.1
    assert track_pitch(noise).voiced.mean() < 0.3


@pytest.mark.parametrize("pitch", [22.0, 25.0, 29.0, 33.0])
def test_the_lowest_notes_of_a_bass_are_heard_through_noise(pitch: float) -> None:
    """Weak fundamental, power up to 1 kHz, noise: what a double bass and a contrabassoon sound like down there."""
    seconds, hz = 0.6, float(midi_to_hz(pitch))
    time = np.arange(int(seconds * ANALYSIS_RATE)) / ANALYSIS_RATE
    random = np.random.default_rng(int(pitch))
    tone = sum(np.sin(2 * np.pi * (number * hz * time + random.random())) * min(number, 6) / 6
               for number in range(1, int(1_000 / hz)))
    noise = random.standard_normal(len(time))
    track = track_pitch(0.05 * (tone + 0.5 * np.std(tone) * noise), low=20.0, high=69.0)
    middle = slice(int(0.12 * 250), int(0.48 * 250))  # the window of 0.17 s hangs over both ends
    assert track.voiced[middle].mean() > 0.8  # a frame has a pitch where its partials hold a quarter of its power
    np.testing.assert_allclose(hz_to_midi(track.f0_hz[middle]), pitch, atol=0.15)  # a few periods of 40 ms, and noise
