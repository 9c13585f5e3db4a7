"""A vibrato is what was asked for: extent, rate, delay, fade-in, phase and irregularity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.note_lines import find_vibrato
from mididdsp.random import keyed_generator
from mididdsp.synthesis.vibrato import BEGUN, MOST_SWELL_DB, MOST_TILT_DB, Swell, swell, swing, unswung
from mididdsp.units import FRAME_RATE

EXPRESSION = NoteExpression(
    level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=1.0, attack_noise_db=-25.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None, tuning_cents=0.0, timing_s=0.0,
    length_ratio=1.0, glide_s=None)
SECONDS = 4.0
SINCE = np.arange(-10, int(SECONDS * FRAME_RATE) + 10) / FRAME_RATE
SWINGING = replace(EXPRESSION, vibrato_cents=40.0, vibrato_rate_hz=5.5, vibrato_delay_s=0.4)
FAMILIES = sorted({item.family for item in INSTRUMENTS.values()})


def played(family: str = "strings", temperature: float = 0.0, **values: float) -> tuple[np.ndarray, np.ndarray]:
    """(cents, the same a quarter period later) over a note of four seconds."""
    return swing(replace(SWINGING, **values), SINCE, SECONDS, family, keyed_generator(1, "note", "life"), temperature)


def size(**values: float) -> np.ndarray:
    """The momentary extent, cents."""
    cents, turned = played(**values)
    return np.hypot(cents, turned)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("delay", [0.0, 0.2, 0.5])
def test_without_a_fade_half_the_extent_is_there_within_a_cycle_of_the_delay(family: str, delay: float) -> None:
    cents, turned = played(family, vibrato_delay_s=delay)
    reached = SINCE[np.argmax(np.hypot(cents, turned) >= 20.0)]
    assert delay - 0.06 <= reached <= delay + 1.0 / 5.5
    found = find_vibrato(cents[10:-10])
    assert found is not None
    # the analysis counts in half cycles (0.09 s)
    assert found.delay_s == pytest.approx(delay, abs=0.1)
    assert found.rate_hz == pytest.approx(5.5, abs=0.1)
    assert found.cents == pytest.approx(40.0, rel=0.15)


def test_a_family_lets_it_grow_further() -> None:
    cents, turned = played("woodwind", vibrato_delay_s=0.0)
    extent = np.hypot(cents, turned)
    early, middle = extent[SINCE > 0.3][0], extent[SINCE > 2.2][0]
    assert early / middle == pytest.approx(BEGUN / 0.97, abs=0.05)


@pytest.mark.parametrize("fade", [0.0, 0.3, 1.5])
def test_a_fade_in_takes_its_time(fade: float) -> None:
    extent = size(vibrato_fade_s=fade, vibrato_irregularity=0.0)
    assert extent[SINCE < 0.4].max() == 0.0
    for share in (0.5, 1.0):
        reached = SINCE[np.argmax(extent >= share * 40.0 - 1e-6)]
        assert reached == pytest.approx(0.4 + share * max(fade, 0.02), abs=1.5 / FRAME_RATE)
    held = (0.4 + fade + 0.05 < SINCE) & (SINCE < SECONDS - 0.3)
    assert extent[held] == pytest.approx(40.0)


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("irregularity", [0.0, 0.2])
def test_the_phase_is_where_the_swing_begins(phase: float, irregularity: float) -> None:
    cents, turned = played(vibrato_phase=phase, vibrato_fade_s=0.0, vibrato_irregularity=irregularity)
    begun = int(np.argmin(np.abs(SINCE - 0.42)))  # the first frame at full extent: 20 ms later in the cycle
    angle = np.arctan2(cents[begun], -turned[begun])
    # 20 ms at 5.5 Hz, which irregularity may change by a third
    assert np.angle(np.exp(1j * (angle - 2 * np.pi * (phase + 0.02 * 5.5)))) == pytest.approx(0.0, abs=0.35)


@pytest.mark.parametrize("irregularity", [0.0, 0.05, 0.2])
def test_irregularity_is_the_spread_of_rate_and_extent(irregularity: float) -> None:
    seconds = 60.0  # long enough for the slow sinusoids to have run through
    since = np.arange(int(seconds * FRAME_RATE)) / FRAME_RATE
    asked = replace(SWINGING, vibrato_irregularity=irregularity, vibrato_fade_s=0.0)
    cents, turned = swing(asked, since, seconds, "strings", keyed_generator(3, "n", "life"), 1.0)
    inside = slice(int(FRAME_RATE), -int(FRAME_RATE))
    angle = np.unwrap(np.arctan2(cents, -turned))
    rate = np.gradient(angle)[inside] * FRAME_RATE / (2 * np.pi)
    extent = np.hypot(cents, turned)[inside]
    assert rate.mean() == pytest.approx(5.5, rel=0.01)
    assert rate.std() / 5.5 == pytest.approx(irregularity, abs=0.005)
    assert extent.std() / 40.0 == pytest.approx(irregularity, abs=0.01)


def test_what_a_note_does_not_say_of_its_vibrato_is_as_before() -> None:
    """None draws nothing else: the numbers that follow in the note's stream stay."""
    streams = []
    for values in ({}, {"vibrato_phase": 0.3, "vibrato_fade_s": 1.0, "vibrato_irregularity": 0.1}):
        random = keyed_generator(1, "note", "life")
        swing(replace(SWINGING, **values), SINCE, SECONDS, "brass", random, 1.0)
        streams.append(random.random())
    assert streams[0] == streams[1]


def test_no_vibrato_is_silent_whatever_its_shape() -> None:
    still = replace(EXPRESSION, vibrato_phase=0.3, vibrato_fade_s=1.0, vibrato_irregularity=0.1)
    cents, turned = swing(still, SINCE, SECONDS, "strings", keyed_generator(1, "n", "life"), 1.0)
    assert not cents.any()
    assert not turned.any()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("delay", [0.1, 0.25, 0.45])
@pytest.mark.parametrize("rate", [4.8, 6.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_vibrato_begins_at_the_centre_when_it_was_asked_to(
    family: str, delay: float, rate: float, seed: int
) -> None:
    asked = replace(SWINGING, vibrato_delay_s=delay, vibrato_rate_hz=rate)
    cents, _ = swing(asked, SINCE, SECONDS, family, keyed_generator(seed, "note", "life"), 1.0)
    first = SINCE[np.argmax(np.abs(cents) >= 0.5 * 40.0)]
    # a player's first swing is at its most a quarter of a cycle after the delay; half of that is reached before
    assert delay < first < delay + 0.26 / rate
    assert np.abs(cents[delay - 0.2 / rate > SINCE]).max() < 1.0


@pytest.mark.parametrize("share", [-0.3, 0.2])
def test_what_moves_with_the_vibrato_is_taken_out_of_the_slow_pitch(share: float) -> None:
    cents, turned = played(temperature=1.0)
    drift = 6.0 * np.sin(2 * np.pi * 0.4 * SINCE) - 25.0 * np.exp(-np.maximum(SINCE, 0.0) / 0.05)
    left = unswung(drift + share * cents - 0.1 * turned, cents, turned, 10, len(SINCE) - 10, 5.5)
    # what drifts slowly is told from a swing of 5.5 Hz to a few hundredths of its 40 cents
    assert np.abs(left - drift).max() < 1.5


def test_the_slow_pitch_of_a_short_note_or_a_late_vibrato_is_left_alone() -> None:
    cents, turned = played()
    drift = np.sin(SINCE)
    assert unswung(drift, cents, turned, 10, 70, 5.5) is drift  # 0.24 s hold no two cycles
    still = np.zeros(len(SINCE))
    assert unswung(drift, still, still, 10, len(SINCE) - 10, 5.5) == pytest.approx(drift)


AMOUNTS = np.array([[0.3, 0.1], [0.2, 0.0], [-0.4, 0.0], [0.5, 0.5]])
"""dB for 10 cents: level, tilt, noise, what is drawn."""


def swelling(cents: float, drawn: tuple[float, float] = (0.0, 0.0)) -> Swell | None:
    moving = replace(SWINGING, vibrato_cents=cents)
    lines = swing(moving, SINCE, SECONDS, "woodwind", keyed_generator(1, "note", "life"), 0.0)
    return swell(AMOUNTS, moving, SINCE, *lines, np.array(drawn))


def test_sound_moves_with_the_pitch() -> None:
    """By as much as is told for 10 cents, and more as the vibrato is wider; not in the attack."""
    moving, (cents, turned) = swelling(20.0), played("woodwind", vibrato_cents=20.0)
    assert moving is not None
    late = EXPRESSION.attack_s + 0.1 < SINCE
    np.testing.assert_allclose(moving.level[late], (0.3 * cents + 0.1 * turned)[late] / 10.0, atol=1e-9)
    np.testing.assert_allclose(moving.tilt[late], 0.2 * cents[late] / 10.0, atol=1e-9)
    np.testing.assert_allclose(moving.noise[late], -0.4 * cents[late] / 10.0, atol=1e-9)
    assert not moving.level[EXPRESSION.attack_s >= SINCE].any()


def test_notes_differ_in_how_they_swell_but_not_in_tilt() -> None:
    own, common, (cents, turned) = swelling(10.0, (1.0, -2.0)), swelling(10.0), played("woodwind", vibrato_cents=10.0)
    assert own is not None
    assert common is not None
    late = SINCE > 1.0
    drawn = (0.5 * cents - 1.0 * turned)[late] / 10.0
    share = MOST_SWELL_DB / np.hypot(0.8, 0.9)  # so much would be too much
    np.testing.assert_allclose((own.level / min(share, 1.0) - common.level)[late], drawn, atol=1e-9)
    np.testing.assert_allclose(own.tilt[late], min(share, 1.0) * common.tilt[late], atol=1e-9)


@pytest.mark.parametrize("cents", [60.0, 200.0])
def test_a_wide_vibrato_does_not_pump(cents: float) -> None:
    moving = swelling(cents)
    assert moving is not None
    for line in (moving.level, moving.noise):
        assert abs(line).max() <= 1.45 * MOST_SWELL_DB  # where the vibrato grows it is wider than its extent
    assert max(abs(moving.level).max(), abs(moving.noise).max()) > 0.8 * MOST_SWELL_DB
    assert abs(moving.tilt).max() <= 1.45 * MOST_TILT_DB


def test_without_a_vibrato_nothing_moves_with_it() -> None:
    lines = swing(EXPRESSION, SINCE, SECONDS, "woodwind", keyed_generator(1, "note", "life"), 0.0)
    assert swell(AMOUNTS, EXPRESSION, SINCE, *lines, np.ones(2)) is None
    assert swell(np.zeros((4, 2)), SWINGING, SINCE, *played(), np.ones(2)) is None
