"""Lines of a note brought to what was asked for, by known answers."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.note_lines import attack_time, release_time
from mididdsp.synthesis import conformance
from mididdsp.synthesis.conformance import NoteClock
from mididdsp.units import FRAME_RATE

BEGIN, COUNT, TAIL = 8, 400, 100
END = BEGIN + COUNT


def line(attack: int = 20, shape: float = 0.0, stop: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """A level that rises in ``attack`` frames, holds 0 dB with a slow wave of ``shape`` dB, falls from ``stop`` on by
    a third of a dB a frame; noise 40 dB below."""
    since = np.arange(-BEGIN, COUNT + TAIL, dtype=np.float64)
    rise = 20 * np.log10(np.clip((since + 1) / attack, 1e-4, 1.0))
    level = rise + shape * np.sin(2 * np.pi * since / 130.0) - np.maximum(0.0, since - stop) / 3.0
    return level, level[:, None] - np.array([43.0, 43.0])


def total(level: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return 10 * np.log10(10 ** (level / 10) + (10 ** (noise / 10)).sum(1))


def middle(level: np.ndarray) -> np.ndarray:
    return level[BEGIN + COUNT // 10 : END - COUNT // 10]


@pytest.mark.parametrize("asked", [0.0, 0.3, 1.5, 4.0])
@pytest.mark.parametrize("shape", [0.0, 0.05, 2.0])
@pytest.mark.parametrize("peak", [0.15, 0.4, 0.7])
def test_the_level_spreads_as_asked_and_is_highest_where_asked(asked: float, shape: float, peak: float) -> None:
    level, noise = conformance.fluctuation(*line(shape=shape), BEGIN, END, asked, peak)
    assert np.std(middle(level)) == pytest.approx(asked, abs=0.05 + 0.02 * asked)
    if asked:
        highest = (np.argmax(level[BEGIN:END]) + 0.5) / COUNT
        assert highest == pytest.approx(peak, abs=conformance.PEAK_NEAR + 0.02)  # found on a smoothed line


@pytest.mark.parametrize("peak", [0.04, 0.96])
def test_a_note_can_be_loudest_where_it_begins_or_ends(peak: float) -> None:
    level, noise = conformance.fluctuation(*line(attack=6), BEGIN, END, 0.8, peak)
    assert (np.argmax(level[BEGIN:END]) + 0.5) / COUNT == pytest.approx(peak, abs=conformance.PEAK_NEAR)


def test_a_peak_is_clear_of_another_that_is_all_but_as_high() -> None:
    """Less than the noise of a note moves its level would leave to chance where it is highest."""
    level, noise = line(attack=6)
    place = (np.arange(COUNT) + 0.5) / COUNT
    level[BEGIN:END] += 1.2 * np.cos(2 * np.pi * (place - 0.35) / 0.45) - 0.02 * (place > 0.6)
    moved, _ = conformance.fluctuation(level, noise, BEGIN, END, 0.5, 0.35)
    inside = moved[BEGIN:END]
    beyond = np.abs(place - 0.35) > 2 * conformance.PEAK_NEAR
    assert inside[beyond].max() <= inside.max() - 0.9 * conformance.PEAK_CLEAR_DB


def test_noise_moves_with_the_level_and_the_ends_stay() -> None:
    before_level, before_noise = line(shape=1.0)
    level, noise = conformance.fluctuation(before_level, before_noise, BEGIN, END, 3.0, 0.4)
    assert noise - before_noise == pytest.approx(np.repeat((level - before_level)[:, None], 2, axis=1))
    outside = np.r_[0:BEGIN, END : len(level)]
    assert np.array_equal(level[outside], before_level[outside])


@pytest.mark.parametrize("silent", [4, 8, 12])
def test_a_short_note_that_speaks_late_does_not_sink_below_its_own_release(silent: int) -> None:
    """A note of 100 ms is 40 dB down for part of it: brought to an even level it stays beside what follows its end."""
    frames, end = 60, 25
    level, noise = np.zeros(frames), np.full((frames, 1), -60.0)
    level[:silent] = -40.0
    level[end:] = -np.arange(frames - end) * 0.5
    moved, _ = conformance.fluctuation(level, noise, 0, end, 1.5, 0.6)
    # the spread asked for is 1.5 dB: three of it at most lie between the note's last frames and its release
    assert abs(moved[end - 6 : end]).max() < 4.5
    np.testing.assert_array_equal(moved[end:], level[end:])


def test_a_spread_no_body_can_have_is_the_widest_it_can() -> None:
    level, _ = conformance.fluctuation(*line(), BEGIN, END, 40.0, 0.4)
    assert np.std(middle(level)) == pytest.approx(conformance.WIDEST_SPREAD_DB, rel=0.02)


def test_an_attack_louder_than_the_peak_is_held_below_it() -> None:
    level, noise = line()
    level[BEGIN + 5 : BEGIN + 12] += 6.0
    moved, _ = conformance.fluctuation(level, noise, BEGIN, END, 1.0, 0.5)
    assert np.argmax(moved[BEGIN:END]) > COUNT // 10
    kept, _ = conformance.fluctuation(level, noise, BEGIN, END, 1.0, 0.02)
    assert np.argmax(kept[BEGIN:END]) < 15


@pytest.mark.parametrize("asked", [0.02, 0.08, 0.3])
def test_a_note_has_spoken_in_its_time(asked: float) -> None:
    level, noise = conformance.spoken(*line(attack=150), BEGIN, END, asked)
    heard = total(level, noise)[BEGIN:END]
    body = conformance.body_level(level, noise, BEGIN, END)
    rise = (np.argmax(heard >= body - 0.915) - np.argmax(heard >= body - 20.0)) / FRAME_RATE
    assert rise == pytest.approx(asked, abs=0.02 + 0.05 * asked)  # the body is a little louder for it


@pytest.mark.parametrize("asked", [0.014, 0.032, 0.05, 0.083])
@pytest.mark.parametrize("attack", [3, 12, 60])
def test_short_attacks_are_right_between_frames(asked: float, attack: int) -> None:
    level, noise = conformance.spoken(*line(attack=attack), BEGIN, END, asked)
    body = conformance.body_level(level, noise, BEGIN, END)
    # as near as is left alone, or a frame
    slack = max((1.0 - conformance.NEAR_SHARE) * asked, 0.004)
    assert attack_time(total(level, noise)[BEGIN:END], body) == pytest.approx(asked, abs=slack)


def test_a_note_has_not_spoken_that_only_touches_its_level() -> None:
    level, noise = line(attack=20)
    level[BEGIN + 18 : BEGIN + 90] -= 2.0
    level[BEGIN + 22] += 2.0  # one frame of 4 ms
    moved, noise = conformance.spoken(level, noise, BEGIN, END, 0.08)
    inside = total(moved, noise)[BEGIN:END] - conformance.body_level(moved, noise, BEGIN, END)
    assert (inside[25:] > -0.915).all()


def test_what_sounds_before_an_attack_is_clearly_softer_than_its_tenth() -> None:
    level, noise = line(attack=60)
    level[BEGIN : BEGIN + 20] = -20.8
    level[BEGIN + 20 : BEGIN + 60] = np.linspace(-20.3, -6.0, 40)
    moved, noise = conformance.spoken(level, noise, BEGIN, END, 0.1)
    inside = total(moved, noise)[BEGIN:END] - conformance.body_level(moved, noise, BEGIN, END)
    assert inside[:10].max() < -20.0 - 0.9 * conformance.FOOT_DB
    assert inside[:10].max() > -20.0 - 1.3 * conformance.FOOT_DB, "by no more than that"


def test_a_note_held_back_rises_on_without_a_jump() -> None:
    level, noise = line(attack=5)
    level[BEGIN : BEGIN + 100] += np.linspace(4.0, 0.0, 100)  # loudest at once, 4 dB above what follows
    moved, noise = conformance.spoken(level, noise, BEGIN, END, 0.2)
    steps = np.diff(total(moved, noise)[BEGIN + 20 : END])
    assert steps.max() < 1.0  # 0.9 to 1.5 of the body in a dozen frames


@pytest.mark.parametrize("asked", [0.08, 0.2, 0.35])
def test_a_quick_attack_is_held_back(asked: float) -> None:
    heard = total(*conformance.spoken(*line(attack=5), BEGIN, END, asked))[BEGIN:END]
    body = 10 * np.log10((10 ** (heard / 10)).mean())
    rise = (np.argmax(heard >= body - 0.915) - np.argmax(heard >= body - 20.0)) / FRAME_RATE
    assert rise == pytest.approx(asked, abs=0.02 + 0.05 * asked)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_note_without_a_body_is_not_held_below_it(frames: int) -> None:
    level, noise = line(attack=1)
    moved, _ = conformance.spoken(level, noise, BEGIN, BEGIN + frames, 0.004)
    assert np.array_equal(moved, level)


def test_an_attack_in_about_its_time_is_left_alone() -> None:
    before = line(attack=25)  # from 10 to 90 % in 19.6 frames
    after = conformance.spoken(*before, BEGIN, END, 0.079)
    assert np.array_equal(before[0], after[0])


@pytest.mark.parametrize("share", [0.91, 1.1])
def test_an_attack_that_is_off_by_a_tenth_is_mended(share: float) -> None:
    level, noise = line(attack=60)
    own = attack_time(total(level, noise)[BEGIN:END], conformance.body_level(level, noise, BEGIN, END))
    level, noise = conformance.spoken(level, noise, BEGIN, END, own / share)
    body = conformance.body_level(level, noise, BEGIN, END)
    assert attack_time(total(level, noise)[BEGIN:END], body) == pytest.approx(own / share, rel=0.03)


def test_an_attack_that_creeps_up_to_its_end_comes_to_it_from_below() -> None:
    """Where it is all but level there, noise says when it passes 90 %: by so much a frame it must come to it."""
    level, noise = line(attack=12)
    level[BEGIN + 9 : BEGIN + 30] = np.linspace(-1.7, -1.1, 21)  # 2 dB of noise pass 90 % anywhere in these 80 ms
    body = conformance.body_level(level, noise, BEGIN, END)
    own = attack_time(total(level, noise)[BEGIN:END], body)
    moved, noise = conformance.spoken(level, noise, BEGIN, END, own)
    inside = total(moved, noise)[BEGIN:END] - conformance.body_level(moved, noise, BEGIN, END)
    ended = int(np.argmax(inside >= -0.915))
    assert ended == pytest.approx(own * FRAME_RATE, abs=2)
    assert inside[ended - 4] < -0.915 - 3 * conformance.FOOT_RISE_DB + 0.1
    assert (np.diff(inside[: ended + 1]) > -1e-9).all()
    assert (moved[BEGIN:END] - level[BEGIN:END]).min() > -conformance.FOOT_DB, "by no more than that"


@pytest.mark.parametrize("attack_s", [0.03, 0.1])
@pytest.mark.parametrize("noise_db", [-60.0, -30.0, -12.0])
@pytest.mark.parametrize("top", [0.0, 4.0])
def test_onset_attack_and_its_noise_are_right_together(attack_s: float, noise_db: float, top: float) -> None:
    level, noise = line(attack=40)
    level[BEGIN : BEGIN + 8] -= 6.0  # late: at its onset it is softer than 25 dB below its top
    level[BEGIN + 150 : BEGIN + 200] += top
    level, noise = conformance.begun(level, noise, BEGIN, END, attack_s, noise_db)
    heard = total(level, noise)
    body = conformance.body_level(level, noise, BEGIN, END)
    first = (10 ** (noise[BEGIN : BEGIN + 11] / 10)).sum(1)
    early = 10 * np.log10(np.convolve(first, [0.5, 0.5], "valid").mean())  # 40 ms begin and end mid-frame
    assert early - body == pytest.approx(noise_db, abs=0.2)  # the last of the turns moves the body by so much
    assert attack_time(heard[BEGIN:END], body) == pytest.approx(attack_s, abs=0.01)
    assert np.argmax(heard >= heard.max() - 25.0) == BEGIN


def test_noise_that_is_heard_at_the_onset_is_not_raised_once_more() -> None:
    level, noise = line(attack=150)
    level[BEGIN : BEGIN + 20] = -60.0
    noise[BEGIN : BEGIN + 20] = -29.0  # -26 dB in two bands: 25 dB below the top lack 1.5 dB
    heard = total(*conformance.onset(level, noise, BEGIN))
    assert heard[BEGIN] == pytest.approx(heard.max() - conformance.ONSET_DB + 0.5, abs=0.05)


@pytest.mark.parametrize("stop", [150, 300, 396])
def test_a_note_is_held_to_its_end(stop: int) -> None:
    level, noise = line(stop=stop)
    heard = total(*conformance.held(level, noise, BEGIN, END))
    body = 10 * np.log10((10 ** (heard[BEGIN:END] / 10)).mean())
    assert heard[END - 1] >= body - conformance.TAPER_DB - 1.0  # what is raised raises the body a little
    before = total(level, noise)
    assert np.array_equal(heard[: BEGIN + stop - 10], before[: BEGIN + stop - 10])
    steps = np.diff(heard[END - 2 :])
    assert np.abs(steps - np.diff(before[END - 2 :])).max() < 1.0, "the fall goes on from where the note ends"


@pytest.mark.parametrize("asked", [1.0, 2.5, 3.7])
@pytest.mark.parametrize("peak", [0.3, 0.6, 0.9])
def test_a_quick_attack_leaves_the_spread_of_the_level_as_asked(asked: float, peak: float) -> None:
    level, noise = conformance.fluctuation(*line(), BEGIN, END, asked, peak)
    level, noise = conformance.spoken(level, noise, BEGIN, END, 0.05)
    level, noise = conformance.spread_again(level, noise, BEGIN, END, asked, peak, 0.05)
    heard = total(level, noise)[BEGIN:END]
    inner = heard[heard >= heard.max() - 20.0]
    assert np.std(inner[len(inner) // 10 : -len(inner) // 10]) == pytest.approx(asked, rel=0.12)


@pytest.mark.parametrize("asked", [0.03, 0.1, 0.4])
def test_the_release_takes_its_time(asked: float) -> None:
    level, noise = conformance.release(*line(), BEGIN, END, asked)
    fall = total(level, noise)[END:] - conformance.body_level(level, noise, BEGIN, END)
    below3, below20 = (np.flatnonzero(fall <= -depth)[0] if (fall <= -depth).any() else None for depth in (3.0, 20.0))
    if asked < 0.4:  # 0.4 s from -3 to -20 dB is longer than the frames there are
        assert (below20 - below3) / FRAME_RATE == pytest.approx(asked, abs=0.012)
        body = conformance.body_level(level, noise, BEGIN, END)
        taken = release_time(total(level, noise)[END:], body)
        assert taken == pytest.approx(asked, abs=conformance.RELEASE_NEAR_S + 1e-9)
    assert fall[-1] < -60.0


@pytest.mark.parametrize("asked", [0.05, 0.1, 0.2])
def test_a_release_that_breaks_off_and_lingers_is_straightened(asked: float) -> None:
    """Where a fall is all but level, when it passes 20 dB is left to chance."""
    level, noise = line()
    count = len(level) - END
    lingering = -np.minimum(3.0 * np.arange(count), 14.0) - 0.15 * np.arange(count) + 3.0 * np.sin(np.arange(count))
    level[END:] = level[END - 1] + lingering
    level, noise = conformance.release(level, noise, BEGIN, END, asked)
    body = conformance.body_level(level, noise, BEGIN, END)
    assert release_time(total(level, noise)[END:], body) == pytest.approx(asked, abs=0.012)
    assert (np.diff(level[END:]) <= 1e-9).all()
    time = np.arange(round(asked * FRAME_RATE)) / FRAME_RATE
    # no further below the straight line than a knee, which begins up to a frame late
    straight = body - 17.0 * (time + 1.0 / FRAME_RATE) / asked - 3.0 - conformance.KNEE_DB
    assert (level[END : END + len(time)] >= straight).all()


@pytest.mark.parametrize("asked", [0.05, 0.1, 0.2])
def test_a_note_does_not_come_back_after_its_end(asked: float) -> None:
    """What sinks before its offset, and is louder after it, falls from where it no longer comes back to its end."""
    level, noise = line()
    level[END - 30 : END] -= 6.0  # its release is as loud as its body, 6 dB over its end
    noise[END - 30 : END] -= 6.0
    level, noise = conformance.release(level, noise, BEGIN, END, asked)
    heard = total(level, noise)
    assert (heard[END:] <= heard[END - 1] + 1e-9).all()
    assert release_time(heard[END - 1 :], heard[END - 1]) == pytest.approx(asked, abs=0.012)


@pytest.mark.parametrize("asked", [1.0, 3.0])
def test_the_shape_of_a_level_is_not_made_larger(asked: float) -> None:
    """A step that the level has of itself stays as high where more spread is asked for: a swell gives the rest."""
    level, noise = line()
    level[(BEGIN + END) // 2 :] -= 1.0
    moved, _ = conformance.fluctuation(level, noise, BEGIN, END, asked, 0.3)
    assert abs(np.diff(moved[BEGIN + 20 : END - 20])).max() <= 1.0 + 0.2


class TestTheClock:
    def test_a_note_that_speaks_and_ends_when_it_should_needs_none(self) -> None:
        level, noise = line(attack=20)
        assert NoteClock.of(level, noise, BEGIN, END, 0.065) is None
        assert NoteClock.of(level, noise, BEGIN, END, 0.07) is not None, "a tenth longer"

    def test_a_note_that_fades_too_early_is_asked_more_slowly(self) -> None:
        level, noise = line(stop=250)
        clock = NoteClock.of(level, noise, BEGIN, END, None)
        assert clock is not None
        # 3.5 dB below the body, at a third of a dB a frame, is frame 260 or so; it comes at the offset
        assert clock(np.array([COUNT / FRAME_RATE]))[0] * FRAME_RATE == pytest.approx(261, abs=4)
        assert clock(np.array([-0.02, 0.0, 0.05])) == pytest.approx([-0.02, 0.0, 0.05])
        after = clock(np.array([COUNT, COUNT + 50]) / FRAME_RATE)
        assert after[1] - after[0] == pytest.approx(50 / FRAME_RATE)

    @pytest.mark.parametrize(("asked", "stretch"), [(0.264, 2.0), (0.0528, 0.4), (5.0, 2.5)])
    def test_an_attack_is_asked_more_slowly_or_faster(self, asked: float, stretch: float) -> None:
        level, noise = line(attack=43)  # 10 to 90 %: 33 frames
        clock = NoteClock.of(level, noise, BEGIN, END, asked)
        assert clock is not None
        assert clock.asked[1] == clock.told[1], "what sounds before the tenth stays when it is"
        slower = (clock.asked[2] - clock.asked[1]) / (clock.told[2] - clock.told[1])
        assert slower == pytest.approx(stretch, rel=0.05)
        assert clock(np.array([COUNT / FRAME_RATE]))[0] == pytest.approx(COUNT / FRAME_RATE)
        assert (np.diff(clock(np.linspace(-0.1, 2.0, 300))) > 0).all()

    def test_short_notes_keep_their_own(self) -> None:
        level, noise = line()
        assert NoteClock.of(level, noise, BEGIN, BEGIN + 10, 0.5) is None


@pytest.mark.parametrize("wave_db", [0.4, 1.0])
def test_what_moves_with_the_vibrato_is_part_of_the_fluctuation(wave_db: float) -> None:
    level, noise = line()
    swung = wave_db * np.sin(2 * np.pi * 5.5 * np.arange(len(level)) / FRAME_RATE)
    swung *= conformance.swung_share(swung, BEGIN, END, 1.0)
    moved, _ = conformance.fluctuation(level, noise, BEGIN, END, 1.0, 0.5, swung)
    trim = (END - BEGIN) // 10
    inner = slice(BEGIN + trim, END - trim)
    assert np.std((moved + swung)[inner]) == pytest.approx(1.0, rel=0.1)
    assert np.std(moved[inner]) < 1.0


def test_a_vibrato_leaves_room_for_a_swell() -> None:
    swung = 3.0 * np.sin(2 * np.pi * 5.5 * np.arange(400) / FRAME_RATE)
    share = conformance.swung_share(swung, 0, 400, 1.0)
    assert np.std(share * swung[40:-40]) == pytest.approx(conformance.SWUNG_SHARE, rel=1e-6)
    assert conformance.swung_share(0.1 * swung, 0, 400, 1.0) == 1.0
    assert conformance.swung_share(np.zeros(8), 0, 2, 1.0) == 1.0
