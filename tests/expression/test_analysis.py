"""Every attribute has one definition that holds for notes of 1, 10, 50 and 1000 frames: known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mididdsp.expression.analysis import measure_note, sounding_span
from mididdsp.expression.types import ATTRIBUTES, NoteExpression
from mididdsp.note_lines import (
    ATTACK_FRAMES,
    attack_time,
    crossing_time,
    find_vibrato,
    frame_level_db,
    release_time,
    smoothed,
)
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.float64]

LENGTHS = (1, 10, 50, 1000)
PRE, POST = 8, 100


def measure(level_db: Array, *, shares: tuple[float, ...] = (0.5, 0.25, 0.25), noise_db: float | Array = -60.0,
            cents: float | Array = 0.0, pitch: float = 64.0, onset: int = PRE, offset: int | None = None,
            **more: Any) -> NoteExpression:
    """Measure a note whose partials have the given level in all, noise ``noise_db`` below it, and PRE/POST frames."""
    power = 10 ** (np.asarray(level_db) / 10)
    return measure_note(
        f0_hz=midi_to_hz(pitch) * 2.0 ** (np.broadcast_to(np.asarray(cents, dtype=np.float64), power.shape) / 1200.0),
        partial_power=power[:, None] * np.array(shares), noise_power=power * 10 ** (np.asarray(noise_db) / 10),
        pitch=pitch, onset=onset, offset=len(power) - POST if offset is None else offset, **more)


def flat(frames: int, level_db: float = -26.0) -> Array:
    """Level of a note that begins at once, holds, and falls 1 dB a frame."""
    return np.concatenate([np.full(PRE, -120.0), np.full(frames, level_db), level_db - 1.0 - np.arange(POST)])


@pytest.mark.parametrize("frames", LENGTHS)
class TestOfAnyLength:
    """A flat note, so that the answer is the same however long it is."""

    def test_level_is_the_power_of_partials_and_noise(self, frames: int) -> None:
        assert measure(flat(frames), noise_db=-200.0).level_db == pytest.approx(-26.0, abs=1e-6)
        # Noise as strong as the partials doubles the power.
        assert measure(flat(frames), noise_db=0.0).level_db == pytest.approx(-26.0 + 3.0103, abs=1e-4)

    def test_brightness_is_the_centroid_over_f0_in_octaves(self, frames: int) -> None:
        assert measure(flat(frames), shares=(1.0,)).brightness == 0.0
        assert measure(flat(frames), shares=(0.0, 1.0)).brightness == pytest.approx(1.0)
        assert measure(flat(frames), shares=(0.5, 0.25, 0.25)).brightness == pytest.approx(np.log2(1.75))

    def test_attack_noise_is_that_of_the_first_40_ms_over_the_level(self, frames: int) -> None:
        noise = np.full(len(flat(frames)), -200.0)
        noise[PRE : PRE + ATTACK_FRAMES] = -20.0
        assert ATTACK_FRAMES / FRAME_RATE == 0.04
        got = measure(flat(frames), noise_db=noise)
        # The level holds the noise of those frames too: 1 % of power, 0.04 dB, where all of the note is attack.
        assert got.attack_noise_db == pytest.approx(-20.0, abs=0.05)

    def test_attack_release_and_fluctuation(self, frames: int) -> None:
        got = measure(flat(frames))
        assert got.fluctuation_db == pytest.approx(0.0, abs=1e-9)
        assert got.attack_s == 0.0  # it is there with its first frame
        # From -3 to -20 dB at 1 dB a frame.
        assert got.release_s == pytest.approx(17 / FRAME_RATE, rel=1e-6)

    def test_tuning_is_that_of_the_centre(self, frames: int) -> None:
        assert measure(flat(frames), cents=-17.0).tuning_cents == pytest.approx(-17.0, abs=1e-9)
        # A scoop at the start is not heard as tuning: a sixth at either end does not count.
        if frames >= 50:
            cents = np.full(len(flat(frames)), 5.0)
            cents[PRE : PRE + frames // 6] = -90.0
            assert measure(flat(frames), cents=cents).tuning_cents == pytest.approx(5.0, abs=1e-9)

    def test_timing_and_length_are_those_of_the_score(self, frames: int) -> None:
        seconds = frames / FRAME_RATE
        got = measure(flat(frames), written_onset_s=PRE / FRAME_RATE - 0.02, written_duration_s=2.0 * seconds)
        assert got.timing_s == pytest.approx(0.02, abs=1e-12)
        assert got.length_ratio == pytest.approx(0.5, rel=1e-12)
        unsaid = measure(flat(frames))
        assert unsaid.timing_s == 0.0
        assert unsaid.length_ratio is None
        assert measure(flat(frames), written_duration_s=1.0, leads=True).length_ratio is None
        assert measure(flat(frames), glide_s=0.03, joined=True).glide_s == 0.03
        assert measure(flat(frames), glide_s=0.03).glide_s is None

    def test_gain_changes_the_level_alone(self, frames: int) -> None:
        random = np.random.default_rng(frames)
        level = flat(frames) + random.normal(0.0, 1.0, frames + PRE + POST)
        one, other = measure(level), measure(level - 12.0)
        for name in ATTRIBUTES:
            before, after = getattr(one, name), getattr(other, name)
            if name == "level_db":
                assert after == pytest.approx(before - 12.0, abs=1e-6)
            elif before is None:
                assert after is None
            else:
                # The 1e-12 that guards logarithms weighs more against quieter frames.
                assert after == pytest.approx(before, rel=1e-4, abs=1e-4), name

    def test_frames_after_the_offset_change_the_release_alone(self, frames: int) -> None:
        level = flat(frames)
        slower = level.copy()
        slower[PRE + frames :] = level[PRE] - 0.5 * np.arange(1, POST + 1)
        one, other = measure(level), measure(slower)
        assert other.release_s == pytest.approx(2.0 * one.release_s, rel=1e-6)
        assert all(getattr(one, name) == getattr(other, name) for name in ATTRIBUTES if name != "release_s")


@pytest.mark.parametrize("frames", [50, 1000])
def test_fluctuation_is_the_deviation_of_the_level_within_the_body(frames: int) -> None:
    level = flat(frames)
    swell = 2.0 * np.sin(2 * np.pi * np.arange(frames) / frames)
    level[PRE : PRE + frames] += swell
    # Its definition, written out: five frames' running mean, without a tenth at either end.
    trim = frames // 10
    wanted = np.std(np.convolve(swell, np.ones(5) / 5, mode="same")[trim : frames - trim])
    assert measure(level).fluctuation_db == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize(("frames", "place"), [(10, 0.3), (50, 0.2), (50, 0.8), (1000, 0.5)])
def test_the_peak_is_where_the_level_is_highest(frames: int, place: float) -> None:
    level = flat(frames)
    at = int(place * frames)
    level[PRE : PRE + frames] -= 0.2 * np.abs(np.arange(frames) - at)
    # A frame of the running mean's width.
    assert measure(level).peak_position == pytest.approx(place, abs=1.01 / frames)


@pytest.mark.parametrize("frames", [50, 1000])
def test_a_linear_attack_takes_its_time_from_10_to_90_percent(frames: int) -> None:
    rise = 20  # frames
    level = np.concatenate([
        np.full(PRE, -120.0), -26.0 + 20 * np.log10((np.arange(rise) + 1) / rise), np.full(frames, -26.0),
        -27.0 - np.arange(POST)])
    # 0.8 of the rise, in amplitude; read in dB by straight lines between frames and against the body's mean.
    assert measure(level).attack_s == pytest.approx(0.8 * rise / FRAME_RATE, abs=1.5 / FRAME_RATE)


def test_attack_of_an_exponential_rise() -> None:
    time = np.arange(400) / FRAME_RATE
    level = 20 * np.log10(np.maximum(1 - np.exp(-time / 0.1), 1e-6))
    # 1 - exp(-t / tau) goes from 10 to 90 % in ln 9 tau.
    assert attack_time(level, 0.0) == pytest.approx(np.log(9.0) * 0.1, abs=0.002)


def test_a_release_that_is_not_heard_to_its_end_is_extended() -> None:
    fall = -0.5 * np.arange(1, 101)  # from the body's level, 125 dB/s
    whole = release_time(fall, 0.0)
    assert whole == pytest.approx(17 / 125, rel=1e-6)
    assert release_time(fall[:25], 0.0) == pytest.approx(whole, rel=1e-6)
    assert release_time(fall[:4], 0.0) == 0.05  # too little to tell
    # A fall that has begun before the offset counts from the offset.
    assert release_time(fall - 6.0, 0.0) == pytest.approx(whole, rel=1e-6)


def test_crossings_lie_between_frames() -> None:
    level = np.array([-40.0, -20.0, 0.0])
    assert crossing_time(level, -30.0) == pytest.approx(0.5 / FRAME_RATE)
    assert crossing_time(level, -60.0) == 0.0
    assert crossing_time(level, 1.0) is None


def swing(seconds: float, cents: float = 25.0, rate: float = 6.0, delay: float = 0.0) -> Array:
    time = np.arange(round(seconds * FRAME_RATE)) / FRAME_RATE
    return np.asarray(cents * np.clip((time - delay) * rate, 0.0, 1.0) * np.sin(2 * np.pi * rate * time))


@pytest.mark.parametrize(("seconds", "cents", "rate"), [
    (0.5, 25.0, 6.0), (0.8, 12.0, 5.0), (1.0, 100.0, 7.0), (2.0, 8.0, 6.0), (4.0, 30.0, 4.5), (4.0, 20.0, 8.0)])
def test_vibrato_is_measured(seconds: float, cents: float, rate: float) -> None:
    found = find_vibrato(swing(seconds, cents, rate))
    assert found is not None
    # The rise over the first cycle lowers the first of the windows, two to eighteen in all.
    assert found.cents == pytest.approx(cents, rel=0.1)
    assert found.rate_hz == pytest.approx(rate, abs=0.15)  # steps of 0.1 Hz
    assert found.delay_s <= 0.5 / rate
    off_key = find_vibrato(swing(seconds, cents, rate) - 40.0)
    assert off_key is not None
    assert off_key.cents == pytest.approx(found.cents, rel=1e-9)


@pytest.mark.parametrize("delay", [0.2, 0.5, 0.8])
def test_the_delay_is_when_the_swing_begins(delay: float) -> None:
    found = find_vibrato(swing(2.0, 20.0, 5.5, delay))
    assert found is not None
    # Half of the extent is reached within the first cycle; the answer goes back by half a cycle of 91 ms.
    assert found.delay_s == pytest.approx(delay, abs=0.1)


def test_a_scoop_into_the_note_is_not_the_beginning_of_its_vibrato() -> None:
    scoop = -30.0 * np.exp(-np.arange(500) / (0.03 * FRAME_RATE))
    found = find_vibrato(swing(2.0, 20.0, 5.5, 0.6) + scoop)
    assert found is not None
    assert found.delay_s == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("cents", [
    np.zeros(500), np.linspace(-50.0, 50.0, 500), swing(2.0, 5.0, 6.0), swing(0.4, 30.0, 6.0),
    swing(2.0, 30.0, 10.0), swing(2.0, 30.0, 1.0), swing(2.0, 30.0, 6.0, 1.6), np.full(1, 20.0),
    np.random.default_rng(0).normal(0.0, 8.0, 500)],
    ids=["still", "drift", "below the floor", "short", "fast", "wave", "late", "one frame", "noise"])
def test_what_is_not_a_vibrato(cents: Array) -> None:
    assert find_vibrato(cents) is None


def test_vibrato_reaches_the_expression() -> None:
    frames = 300
    cents = np.zeros(PRE + frames + POST)
    cents[PRE : PRE + frames] = swing(frames / FRAME_RATE, 20.0, 5.5, 0.2)
    got = measure(flat(frames), cents=cents)
    assert got.vibrato_cents == pytest.approx(20.0, rel=0.1)
    assert got.vibrato_rate_hz == pytest.approx(5.5, abs=0.15)
    assert got.vibrato_delay_s == pytest.approx(0.2, abs=0.1)
    assert abs(got.tuning_cents) < 2.0  # swings of two thirds of the note cancel but for a cycle's rest
    without = measure(flat(frames))
    assert (without.vibrato_cents, without.vibrato_rate_hz, without.vibrato_delay_s) == (0.0, None, None)


def test_spans_of_a_note() -> None:
    """A rest of 50 frames, a rise of 10, a held note of 200, a fall of 1 dB a frame."""
    level = np.concatenate([
        np.full(50, -110.0), np.linspace(-70.0, -21.0, 10), np.full(200, -20.0), -21.0 - np.arange(80),
        np.full(30, -110.0)])
    onset, offset, end = sounding_span(level)
    assert onset == 50 + int(np.argmax(np.linspace(-70.0, -21.0, 10) >= -45.0))
    assert offset == pytest.approx(260, abs=6)  # 3 dB down the fall, seen through nine frames' mean
    assert end == 260 + 45


@pytest.mark.parametrize("level", [
    [-30.0], [-30.0, -60.0], [-120.0, -120.0, -20.0, *[-120.0] * 40], [-120.0] * 50, [-20.0] * 7])
def test_spans_of_odd_sounds_hold_at_least_a_frame(level: list[float]) -> None:
    onset, offset, end = sounding_span(np.array(level))
    assert 0 <= onset < offset <= end


@given(st.lists(st.floats(-120.0, 0.0), min_size=1, max_size=60))
def test_spans_are_in_order_whatever_the_level(level: list[float]) -> None:
    onset, offset, end = sounding_span(np.array(level))
    assert 0 <= onset < offset <= end
    assert level[onset] >= max(level) - 25.0


@given(seed=st.integers(0, 2**32), frames=st.integers(1, 60), before=st.integers(0, 4), after=st.integers(0, 30))
def test_any_frames_have_an_expression(seed: int, frames: int, before: int, after: int) -> None:
    """Silence, single partials, wild pitch: values are legal (the type checks them)."""
    random = np.random.default_rng(seed)
    total = before + frames + after
    power = 10 ** random.uniform(-14.0, 0.0, (total, 3)) * random.integers(0, 2, (total, 3))
    got = measure_note(
        f0_hz=10 ** random.uniform(1.0, 4.2, total), partial_power=power,
        noise_power=power[:, 0] * random.uniform(0, 1), pitch=60.0, onset=before, offset=before + frames,
        written_onset_s=0.0, written_duration_s=0.1)
    assert isinstance(got, NoteExpression)


def test_a_note_without_frames_is_refused() -> None:
    for onset, offset in ((5, 5), (6, 5), (-1, 5), (0, 500)):
        with pytest.raises(ValueError, match=f"a note spans frames {onset} to {offset}"):
            measure(flat(10), onset=onset, offset=offset)


def test_helpers() -> None:
    assert frame_level_db(np.array([0.5, 0.0]), np.array([0.5, 0.0])) == pytest.approx([0.0, -120.0])
    assert smoothed(np.array([1.0, 5.0]), 5) == pytest.approx([1.0, 5.0])
    assert smoothed(np.array([0.0, 0.0, 3.0, 0.0, 0.0]), 3) == pytest.approx([0.0, 1.0, 1.0, 1.0, 0.0])
    assert smoothed(np.full(7, 2.5), 99) == pytest.approx(np.full(7, 2.5))
