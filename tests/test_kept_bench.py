"""What a round trip keeps of the playing, on sounds of which that is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench import kept, pitch

RATE = kept.RATE
SECONDS = 2.0


def tone(cents: np.ndarray | float, *, hz: float = 330.0, partials: int = 8) -> np.ndarray:
    """A tone with falling partials; ``cents`` [samples] off ``hz``."""
    f0 = hz * 2.0 ** (np.broadcast_to(cents, int(SECONDS * RATE)) / 1200.0)
    cycles = np.cumsum(f0) / RATE
    return 0.1 * sum(np.sin(2 * np.pi * number * cycles) / number for number in range(1, partials + 1))


def swing(extent: float, rate: float = 5.5) -> np.ndarray:
    return extent * np.sin(2 * np.pi * rate * np.arange(int(SECONDS * RATE)) / RATE)


def known(audio: np.ndarray) -> kept.KnownPitch:
    return kept.known_pitch(audio, np.full(int(SECONDS * 250) + 1, -20.0), 50.0, 80.0)


def test_a_tone_is_known_on_nearly_all_its_frames() -> None:
    found = known(tone(swing(20.0)))
    # a decision each 20 ms; a window of 64 ms hangs over both ends
    assert len(found.frames) >= 0.9 * SECONDS * 50
    truth = 330.0 * 2.0 ** (20.0 * np.sin(2 * np.pi * 5.5 * found.frames / 250) / 1200.0)
    # CREPE's bins are 20 cents wide and its windows 64 ms
    assert np.abs(1200 * np.log2(found.f0_hz / truth)).max() < 25.0


@pytest.mark.parametrize(("off", "share"), [(0.0, 1.0), (30.0, 1.0), (70.0, 0.0), (-1200.0, 0.0)])
def test_what_is_made_elsewhere_is_not_kept(off: float, share: float) -> None:
    found = known(tone(0.0))
    # a share of the frames at the ends, where half of a window is silence, may turn
    assert kept.pitch_kept(found, tone(off)) == pytest.approx(share, abs=0.05)
    told = np.full(600, 330.0 * 2.0 ** (off / 1200.0))
    assert kept.pitch_told(found, told) == pytest.approx(share, abs=0.05)


def test_half_an_octave_off_is_half_kept() -> None:
    found = known(tone(0.0))
    wrong = np.where(np.arange(int(SECONDS * RATE)) < RATE, 0.0, 1200.0)
    assert kept.pitch_kept(found, tone(wrong)) == pytest.approx(0.5, abs=0.05)  # windows over the leap
    told = np.where(np.arange(501) < 250, 330.0, np.nan)
    assert kept.pitch_told(found, told) == pytest.approx(0.5, abs=0.05)


def test_noise_has_no_known_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(SECONDS * RATE))
    with pytest.raises(ValueError, match="no periodic sound"):
        known(noise)


def test_nothing_known_is_no_share() -> None:
    nothing = kept.KnownPitch(frames=np.zeros(0, np.int64), f0_hz=np.zeros(0))
    assert np.isnan(kept.pitch_kept(nothing, tone(0.0)))
    assert np.isnan(kept.pitch_told(nothing, np.full(600, 330.0)))


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0, 1.2])
def test_vibrato_kept_is_the_share_of_the_extent(share: float) -> None:
    found = kept.vibrato_kept(tone(swing(25.0)), tone(swing(25.0 * share)), pitch.midi_of(330.0))
    assert found is not None
    ratio, cents = found
    assert cents == pytest.approx(25.0, abs=2.0)
    # the trackers' windows lower both extents alike
    assert ratio == pytest.approx(share, abs=0.01)


def test_vibrato_kept_does_not_jump_with_a_wobble() -> None:
    random = np.random.default_rng(3)
    time = np.arange(0, int(SECONDS * RATE), RATE // 50)
    wobble = np.interp(np.arange(int(SECONDS * RATE)), time, random.normal(0.0, 2.0, len(time)))
    found = kept.vibrato_kept(tone(swing(15.0)), tone(swing(15.0) + wobble), pitch.midi_of(330.0))
    assert found is not None
    ratio, _ = found
    # a wobble of 2 cents has 0.3 cents at one rate in a window of 0.45 s
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_a_straight_tone_has_none_to_keep() -> None:
    assert kept.vibrato_kept(tone(0.0), tone(swing(20.0)), pitch.midi_of(330.0)) is None
