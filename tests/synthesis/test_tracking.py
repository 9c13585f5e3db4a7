"""The fundamental of synthetic melodies, without being told the notes."""

from __future__ import annotations

import numpy as np
import pytest
from tracking_tones import melody

from mididdsp.synthesis.analysis import ANALYSIS_RATE
from mididdsp.synthesis.tracking import track_pitch
from mididdsp.units import hz_to_midi


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
