"""Articulation and vibrato by edit are heard: measured in the audio of the shipped weights, by measures of `bench`."""

from __future__ import annotations

import numpy as np
import pytest
from players import shipped

from bench import control, pitch

INSTRUMENTS = ("violin", "flute", "trumpet", "bassoon")


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_staccato_is_half_legato_has_no_gap_and_detache_has_one(instrument: str) -> None:
    found = control.joints(shipped(), instrument)
    assert found["staccato over plain length"] == pytest.approx(0.5, abs=0.075)  # the promise: within 15 %
    assert found["legato dip, dB"] < 3.0
    assert found["detache dip, dB"] > max(6.0, found["plain dip, dB"])


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_an_accent_raises_the_start_and_leaves_the_level(instrument: str) -> None:
    performer = shipped()
    plain = performer.perform(control.line(instrument, 1), seed=3, temperature=0.0)
    levels = []
    for state in (plain, plain.select().edit("accent").performance):
        audio = control.sound(performer, state)[round(0.5 * control.RATE):]
        parts = [audio[round(a * control.RATE):round(b * control.RATE)] for a, b in ((0.05, 0.25), (0.9, 1.3))]
        levels.append([10 * np.log10(float((part**2).mean())) for part in parts])
    start, rest = levels[1][0] - levels[0][0], levels[1][1] - levels[0][1]
    assert start > 3.0  # 5 dB at the onset, falling over 0.6 s
    assert abs(rest) < 1.5  # the shape of the whole note follows its quicker attack a little


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_the_vibrato_asked_for_is_heard(instrument: str) -> None:
    performer = shipped()
    plain = performer.perform(control.line(instrument, 1), seed=3, temperature=0.0)
    asked = plain.select().edit("vibrato=40c", "vibrato_rate=6Hz", "vibrato_delay=0.3s").performance
    note = asked.score.parts[0].notes[0]
    found = control.measured(control.sound(performer, asked), note)
    assert found["vibrato_rate_hz"] == pytest.approx(6.0, abs=0.3)
    assert found["vibrato_cents"] == pytest.approx(40.0, abs=6.0)
    assert found["vibrato_delay_s"] == pytest.approx(0.3, abs=0.15)


def test_a_drawn_pitch_is_the_pitch() -> None:
    performer = shipped()
    plain = performer.perform(control.line("violin", 1), seed=3, temperature=0.0)
    drawn = plain.select().edit("pitch=curve(0s:0c,1s:-80c,1.6s:-80c)").performance
    note = drawn.score.parts[0].notes[0]
    audio = control.sound(performer, drawn)[round(note.onset * control.RATE):][:round(1.5 * control.RATE)]
    track = pitch.track_known(audio, control.RATE, note.pitch)
    cents = 1200 * np.log2(track.f0_hz / pitch.hz_of(note.pitch))
    time = np.arange(len(cents)) / 250.0
    inside = (time > 0.15) & (time < 1.4)
    # A tracker of 4 ms frames on a clean tone: some cents.
    np.testing.assert_allclose(cents[inside], np.interp(time, (0.0, 1.0), (0.0, -80.0))[inside], atol=6.0)
