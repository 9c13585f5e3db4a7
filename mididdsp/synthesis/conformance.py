"""What was made of a note is brought to what was asked for, by the definitions of ``mididdsp.note_lines``.

Each function takes a note's lines (level of its partials in dB, noise bands in dB, one row a frame) and gives them back
moved as little as makes one attribute right. ``begin`` is the frame of the onset, ``end`` the one after the last before
the offset.

``NoteClock`` comes before all: where the network speaks or ends at another time than was asked, it is asked again by a
clock that runs faster or slower in the attack and in the body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.note_lines import ATTACK_FRAMES, BODY_DB, crossing_time, release_time, smoothed
from mididdsp.synthesis.knots import KNOTS, knot_weights
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]

_NEPER = math.log(10.0) / 10.0
"""Of power, in a decibel."""

ONSET_DB = 25.0
"""A note begins where its level passes this below its top."""

END_DB = 3.5
"""A body has ended where its level falls this below its power mean for good."""

TAPER_DB = 8.0
"""At its offset a note is no further below the power mean of its body."""

EARLIEST_END_S = 0.06
"""An end that is early by less stays as it is: notes taper."""

SHORTEST_FRAMES = 20
"""A note of less than 80 ms has no body to be shaped."""

ATTACK_STRETCH = (0.4, 2.5)
"""How far the clock of an attack may run slow or fast: beyond, the network would be shown what it never saw."""

RELEASE_STRETCH = (0.1, 12.0)
"""How much slower or faster than its own a release may be made."""

RELEASE_ROUNDS = 6
RELEASE_NEAR_S = 0.0015
"""A fall whose time is as near to the one asked for is left as it is."""

KNEE_DB = 1.5
"""A release is no further below a straight one on its way."""

FALLEN_DB = 22.0
"""So far below the body a release comes at least."""

TOLD_HZ = 9000.0
"""Up to here recordings tell the partials of low notes as well."""

PEAK_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Spread of the swell that is tried, as shares of the spread that is asked for."""

PEAK_NEAR = 0.05
"""A level that is highest this near to the place asked for is left there."""

PEAK_CLEAR_DB = 0.15
"""Places twice as far away are softer by this at least: what is all but level is highest wherever its noise is."""

PEAK_WIDTH = 0.05
"""Of a swell's rounded top, as a share of the note."""

WIDEST_SPREAD_DB = 5.5
"""A line over the 20 dB that a body spans at most has no larger spread."""

SPOKEN = 0.95
"""Share of the body's amplitude from where a note has spoken on: a little over 90 %, for what is raised raises it."""

SPOKEN_RISE = 3.2
"""Past 90 % a note that was held back rises by so much of its body's amplitude in the time of its attack at most."""

SPEAKING_ROUNDS = 5
BEGINNING_ROUNDS = 2
EARLY_SHARE = 0.85
"""A note that speaks in less of the time asked for is held back all along, others near their 90 % alone."""

NEAR_SHARE = 0.95
"""An attack that takes this share of the time asked for, or as little more, is left as it is."""

FOOT_DB = 1.5
FOOT_RISE_DB = 0.3
"""What sounds before an attack is softer than 10 % by the first, and comes to it by the second a frame: otherwise when
an attack begins is left to the chance of its noise. So is when it ends: its 90 % are come to from below likewise."""

STAYING_FRAMES = 5
"""A note has not spoken that only touches 90 %: it stays there for 20 ms."""

SPREAD_NEAR = 0.08
"""A spread that is smaller than asked by no more than this share is left alone."""

SWUNG_SHARE = 0.85
"""What moves with a vibrato is no more than this share of the spread that is asked for: a swell is heard beside it."""

DEEPEST_DB = 10.0
"""A fall or a dip within the body is no deeper: below 20 dB it would be no part of the body."""

LEAST_ROOM = 0.1
"""Share of the note; in less than this no fall and no dip is made."""

MOST_NOISE_GAIN_DB = 25.0
"""Noise of an attack is made no more louder or softer: beyond, what is there is rounding."""

LEAST_TILT_DB = 1.2
TILT_DB_AN_OCTAVE = 52.0
"""A note's partials are tilted by up to the first, dB an octave, and by the second for each octave that its brightness
is off: more than that is not a brightness that is far off, but a centroid that hardly feels a tilt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteClock:
    """What a note's own network is asked for at each moment: piecewise straight, by knots.

    Attributes:
        asked: seconds since the onset, increasing.
        told: the same moments on the network's clock.
    """

    asked: tuple[float, ...]
    told: tuple[float, ...]

    def __call__(self, since: Array) -> Array:
        """Seconds since the onset on the network's clock, which runs on at its own pace outside the knots; [T]."""
        inside = np.interp(since, self.asked, self.told)
        before, after = np.minimum(since - self.asked[0], 0.0), np.maximum(since - self.asked[-1], 0.0)
        return np.asarray(inside + before + after)

    @classmethod
    def of(
        cls, level: Array, noise: Array, begin: int, end: int, attack_s: float | None
    ) -> NoteClock | None:
        """The clock by which a note speaks in the time asked for, and sounds until its offset; None where it does.

        Args:
            level: of the partials, dB; [T].
            noise: bands, dB; [T, B].
            begin, end: of the note.
            attack_s: asked for, from 10 to 90 %; None leaves the attack as it is.
        """
        if end - begin < SHORTEST_FRAMES:
            return None
        total = _total(level[begin:end], noise[begin:end])
        body = _body(total)
        knots = [(0.0, 0.0)]
        reference = min(body, float(total.max()))
        # 10 and 90 % of the body's amplitude
        begun, risen = (crossing_time(total, reference - below) or 0.0 for below in (20.0, 0.915))
        if attack_s is not None:
            own = risen - begun
            if own > 0.004 and not NEAR_SHARE <= attack_s / own <= 1.0 / NEAR_SHARE:
                # what sounds before the tenth is no part of the attack, and stays when it is
                stretch = float(np.clip(attack_s / own, *ATTACK_STRETCH))
                stretch = min(stretch, max(0.5 * len(total) / FRAME_RATE - begun, 0.004) / own)
                if begun:
                    knots.append((begun, begun))
                knots.append((begun + stretch * own, risen))
        shifted = knots[-1][0] - knots[-1][1]
        seconds = len(total) / FRAME_RATE
        stopped = (int(np.flatnonzero(total >= body - END_DB)[-1]) + 1) / FRAME_RATE
        if seconds - stopped > EARLIEST_END_S and stopped > risen + 0.02:
            if len(knots) == 1:
                start = min(risen + 0.02, 0.5 * (risen + stopped))
                knots.append((start, start))
            knots.append((seconds, stopped))
        elif shifted:
            # the body makes up for what the attack took or gave
            knots.append((seconds, seconds))
        if len(knots) == 1:
            return None
        return cls(asked=tuple(asked for asked, _ in knots), told=tuple(told for _, told in knots))


def body_level(level: Array, noise: Array, begin: int, end: int) -> float:
    """Power mean over the body in dB, as ``note_lines`` defines it."""
    return _body(_total(level[begin:end], noise[begin:end]))


def level_shift(
    level: Array, noise: Array, begin: int, end: int, factor: Array, summand: Array, *, attacks: bool
) -> Array:
    """dB by which drawn curves move the level, frame by frame.

    Where the level is set, the body follows the line; the attack rises to it and the release falls from it as they
    would without one.
    """
    if (factor == 1.0).all():
        return summand
    total = _total(level, noise)
    risen = begin
    if attacks:
        risen += int(np.argmax(total[begin:end] >= _body(total[begin:end]) - 3.0))
    total[:risen], total[end:] = total[risen], total[end - 1]
    return np.asarray((factor - 1.0) * total + summand)


def swung_share(swung: Array, begin: int, end: int, asked_db: float) -> float:
    """Share of what moves with the vibrato for which the spread that is asked for has room."""
    spread = _middle_spread(swung, begin, end)
    return min(1.0, SWUNG_SHARE * asked_db / spread) if spread > 1e-3 else 1.0


def _middle_spread(line: Array, begin: int, end: int) -> float:
    trim = (end - begin) // 10
    return float(np.std(line[begin + trim : end - trim]))


def fluctuation(
    level: Array, noise: Array, begin: int, end: int, asked_db: float, peak: float, swung: Array | None = None
) -> tuple[Array, Array]:
    """The level spreads inside the note as was asked, and is highest where was asked; the noise moves with it.

    The level's own shape is made smaller, but not larger: its faults of bow and breath would be, and a taper became a
    cliff. Where it spreads less than was asked, or its highest place is another, a swell is added that rises to the
    peak and falls from it.

    Args:
        level: of the partials, dB; [T].
        noise: bands, dB; [T, B].
        begin, end: of the note.
        asked_db: standard deviation within the middle four fifths.
        peak: place of the highest level, 0 to 1.
        swung: what moves with the vibrato and will be added, dB; [T]. The rest has the spread that it leaves.
    """
    count = end - begin
    if count < SHORTEST_FRAMES:
        return level, noise
    beside = np.zeros(count) if swung is None else np.asarray(swung[begin:end], np.float64)
    if swung is not None:
        asked_db = math.sqrt(max(asked_db**2 - _middle_spread(swung, begin, end) ** 2, 0.0))
    trim = count // 10
    inner = level[begin + trim : end - trim]
    own = np.clip(level[begin:end], inner.min(), inner.max()) - inner.mean()
    spread = float(np.std(inner))
    wanted = own * min(asked_db / spread, 1.0) if spread > 1e-3 else np.zeros(count)
    middle = slice(trim, count - trim)
    place = (np.arange(count) + 0.5) / count
    swell = _swell(place, peak)
    swell = (swell - swell[middle].mean()) / np.std(swell[middle])
    asked_db = min(asked_db, WIDEST_SPREAD_DB)
    # the ends stay as they are, but for a peak in one of them
    rise, fall = (int(np.clip(room * count, 1, max(trim, 1))) for room in (peak, 1.0 - peak))
    ramp = np.clip(np.minimum(np.arange(count) / rise, np.arange(count)[::-1] / fall), 0.0, 1.0)
    moved = np.zeros(count)
    body = inner >= inner.max() - BODY_DB
    for share in PEAK_SHARES:  # as much of a swell as brings the highest place where it should be
        moved = _spread(wanted, swell, share * asked_db, asked_db, middle) - own
        # what sounds stays where it is: in a note that speaks late it must not sink below its own release
        moved = ramp * (moved - moved[middle][body].mean())
        if _peaks(level[begin:end] + moved + beside, place, peak):
            break
    # an attack or an end that is louder than the peak asked for is held below it
    ceiling = float((level[begin:end] + moved)[middle].max()) - 0.3
    over = np.minimum(0.0, ceiling - level[begin:end] - moved)
    outer = np.ones(count, bool)
    outer[middle] = False
    outer[np.abs(place - peak) <= PEAK_NEAR] = False
    moved[outer] += over[outer]
    result = np.zeros(len(level))
    result[begin:end], result[end:] = moved, moved[-1]  # what dies away begins where the note ends
    return level + result, noise + result[:, None]


def _spread(wanted: Array, swell: Array, least: float, asked_db: float, middle: slice) -> Array:
    """A line with at least so much of a swell (whose spread is 1) that spreads as asked in its middle."""
    shape = wanted + least * swell
    if float(np.std(shape[middle])) < asked_db:
        # the variance of wanted + x swell is a + 2 b x + x^2
        a, b = float(np.var(wanted[middle])), float(np.mean(wanted[middle] * swell[middle]))
        shape = wanted + (-b + math.sqrt(max(b**2 - a + asked_db**2, 0.0))) * swell
    actual = float(np.std(shape[middle]))
    return shape * (asked_db / actual) if actual > 1e-3 else shape


def _swell(place: Array, peak: float) -> Array:
    """A line up to a rounded peak and down from it. It begins near its mean, so that the note speaks as it did; only
    a late peak is come to from further below."""
    low = -float(np.clip((peak - 0.4) / 0.6, 0.0, 1.0))
    late = 1.0 - peak
    fall = 1.0 + peak * (1.0 + low) / late if late > 0.02 else 1.0
    line = np.interp(place, (0.0, peak, 1.0) if 0.0 < peak < 1.0 else (0.0, 1.0), (
        (low, 1.0, 1.0 - (1.0 + fall)) if 0.0 < peak < 1.0 else (low, 1.0) if peak >= 1.0 else (1.0, -1.0)))
    return smoothed(line, round(PEAK_WIDTH * len(place)) | 1)


def _peaks(line: Array, place: Array, peak: float) -> bool:
    """Whether a line is highest where it should be, and clearly so."""
    smooth = smoothed(line, 5)
    highest = int(np.argmax(smooth))
    beyond = np.abs(place - peak) > 2.0 * PEAK_NEAR
    return bool(abs(place[highest] - peak) <= PEAK_NEAR and (smooth[beyond] <= smooth[highest] - PEAK_CLEAR_DB).all())


def unheard(knots: Array, pitch: float) -> Array:
    """Partials above what recordings hold are 6 dB softer than those below them at least, and fall 6 dB an octave.

    Above about 9 kHz the recordings of low notes tell few partials or none, and nothing has taught the network better.
    """
    frequency = KNOTS * midi_to_hz(pitch)
    told, beyond = (frequency >= 0.5 * TOLD_HZ) & (frequency < TOLD_HZ), frequency >= TOLD_HZ
    if not told.any() or not beyond.any():
        return knots
    ceiling = knots[:, told].max(1, keepdims=True) - 6.0 - 6.0 * np.log2(frequency[beyond] / TOLD_HZ)
    limited = knots.copy()
    limited[:, beyond] = np.minimum(knots[:, beyond], ceiling)
    return limited


def brightness(knots: Array, level: Array, begin: int, end: int, asked: float, pitch: float) -> Array:
    """Tilt the partials until the power centroid over the body is what was asked, as far as that is no great tilt."""
    return np.asarray(knots + tilt(knots, level, begin, end, asked, pitch) * np.log2(KNOTS))


def tilt(knots: Array, level: Array, begin: int, end: int, asked: float, pitch: float) -> float:
    """The tilt of the partials, dB an octave, that :func:`brightness` gives them.

    Where the first partial carries nearly all of the power, the centroid hardly feels the others, and a tilt that
    makes it exact would lift or drop them by tens of dB. So the tilt is bent towards a limit that grows with how far
    the brightness is off.
    """
    mean, number = _body_partials(knots, level, begin, end, pitch)
    if len(mean) < 2:
        return 0.0
    log_number = np.log(number)
    low, high = -4.0, 4.0
    for _ in range(25):
        middle = 0.5 * (low + high)
        tilted = mean * np.exp(middle * log_number)
        if np.log2((tilted * number).sum() / tilted.sum()) < asked:
            low = middle
        else:
            high = middle
    tilt_db = 10.0 * np.log10(2.0) * 0.5 * (low + high)
    most = LEAST_TILT_DB + TILT_DB_AN_OCTAVE * abs(asked - float(np.log2((mean * number).sum() / mean.sum())))
    return float(most * np.tanh(tilt_db / most))


def centroid(knots: Array, level: Array, begin: int, end: int, pitch: float) -> float:
    """Power centroid of the partials over the body, octaves above the first; 0 where there is one partial."""
    mean, number = _body_partials(knots, level, begin, end, pitch)
    return float(np.log2((mean * number).sum() / mean.sum()))


def _body_partials(knots: Array, level: Array, begin: int, end: int, pitch: float) -> tuple[Array, Array]:
    """(mean power of each partial over the body, its number); some sixty frames tell."""
    count = int(np.clip(15_500.0 / midi_to_hz(pitch), 1, 300))
    step = max(1, (end - begin) // 60)
    share = 10 ** ((knots[begin:end:step] @ knot_weights(count).T) / 10)
    power = 10 ** (level[begin:end:step] / 10)
    power = np.where(power >= 0.01 * power.max(), power, 0.0)
    mean = (share / share.sum(1, keepdims=True) * power[:, None]).sum(0)
    return np.asarray(mean), np.arange(1, count + 1, dtype=np.float64)


def onset(level: Array, noise: Array, begin: int) -> tuple[Array, Array]:
    """The sound passes 25 dB below its top in the frame of the onset, not before and not after."""
    total = _total(level, noise)
    threshold = float(total.max()) - ONSET_DB
    later = np.flatnonzero(total[begin:] >= threshold + 0.5)
    until = begin + (int(later[0]) if len(later) else 0)
    # by the partials alone: the noise is as asked, and they give what it leaves
    lacking = np.exp((threshold + 0.5) * _NEPER) - np.exp(noise[begin:until] * _NEPER).sum(1)
    level = level.copy()
    level[begin:until] = np.maximum(level[begin:until], np.log(np.maximum(lacking, 1e-20)) / _NEPER)
    cut = np.zeros(len(level))
    ceiling = threshold - 0.5 - 1.5 * np.arange(begin, 0, -1)
    cut[:begin] = np.minimum(0.0, ceiling - total[:begin])
    return level + cut, noise + cut[:, None]


def attack_noise(noise: Array, level: Array, begin: int, end: int, asked_db: float) -> Array:
    """Gain on the noise of the first 40 ms, leaving over the next 60 ms.

    Those begin and end in the middle of what is heard of a frame: half of the first and of the last counts. Of a note
    that is no longer all frames do.
    """
    stop = min(begin + ATTACK_FRAMES, end)
    heard = np.exp(noise[begin : min(stop + 1, end)] * _NEPER).sum(1)
    weights = np.ones(len(heard))
    if len(heard) > ATTACK_FRAMES:
        weights[0] = weights[-1] = 0.5
    early = 10.0 * math.log10(float(np.average(heard, weights=weights)))
    gain = np.clip(asked_db - (early - body_level(level, noise, begin, end)), -MOST_NOISE_GAIN_DB, MOST_NOISE_GAIN_DB)
    shape = np.clip(1.0 - (np.arange(len(noise)) - stop) / 15.0, 0.0, 1.0)
    return np.asarray(noise + gain * shape[:, None])


def held(level: Array, noise: Array, begin: int, end: int) -> tuple[Array, Array]:
    """The note sounds until its offset: it tapers, but is not all but gone before.

    From where its body has ended it lies on or above a line that falls by a few dB until the offset; what follows is
    raised with it.
    """
    total = _total(level[begin:end], noise[begin:end])
    body = _body(total)
    ended = begin + int(np.flatnonzero(total >= body - END_DB)[-1]) + 1
    if ended >= end:
        return level, noise
    raised = np.zeros(len(level))
    line = body - np.linspace(END_DB, TAPER_DB, end - ended)
    raised[ended:end] = np.maximum(0.0, line - total[ended - begin :])
    raised[end:] = raised[end - 1]
    return level + raised, noise + raised[:, None]


def spoken(
    level: Array, noise: Array, begin: int, end: int, attack_s: float, *, partials_alone: bool = False
) -> tuple[Array, Array]:
    """The note speaks in the time asked for.

    Where it would speak later it is raised to a straight line in amplitude, from 10 % of its body's to 90 %, at least,
    and held there until it comes to stay; where it would speak sooner it is held below that line, which then leaves
    it free. One that speaks in about its time, but creeps up to its 90 %, is held below a head as it is below a foot.
    The noise moves with it, or stays as it is.
    """
    count = max(1.0, attack_s * FRAME_RATE)
    frame = np.arange(end - begin, dtype=np.float64)
    for _ in range(SPEAKING_ROUNDS):  # what is raised raises the body
        inside = _total(level[begin:end], noise[begin:end])
        reference = min(_body(inside), float(inside.max()))
        first = (crossing_time(inside, reference - 20.0) or 0.0) * FRAME_RATE
        risen = (crossing_time(inside, reference - 0.915) or 0.0) * FRAME_RATE
        late = _stays(inside, reference - 0.915) > math.ceil(first + count / NEAR_SHARE)
        place = np.maximum(frame - first, 0.0) / count
        line = reference + 20.0 * np.log10(0.1 + 0.8 * place + (SPOKEN_RISE - 0.8) * np.maximum(place - 1.0, 0.0))
        early = risen < first + EARLY_SHARE * count
        if not early:
            head = reference - 0.915 - np.minimum(FOOT_DB, FOOT_RISE_DB * np.maximum(first + count - frame, 0.0))
            line = np.where(place < 1.0, np.maximum(line, head), np.inf)
            early = bool((inside > line + 0.1)[frame >= first].any())
        # what is shorter than twice its attack, or 40 ms, has no body to be held below
        early = early and max(2 * count, ATTACK_FRAMES) <= end - begin
        if not late and not early:
            break
        foot = reference - 20.0 - np.minimum(FOOT_DB, FOOT_RISE_DB * (first - frame))
        moved = np.zeros(len(level))
        moved[begin:end] = np.where(frame < first, np.minimum(0.0, foot - inside), 0.0)
        if late:
            line = reference + 20.0 * np.log10(np.minimum(0.1 + 0.8 * place, SPOKEN))
            span = (frame >= first) & (frame < _stays(inside, reference + 20.0 * math.log10(SPOKEN)))
            moved[begin:end][span] = np.maximum(0.0, line - inside)[span]
        else:
            span = frame >= first
            moved[begin:end][span] = np.minimum(0.0, line - inside)[span]
        level = level + moved
        if not partials_alone:
            noise = noise + moved[:, None]
    return level, noise


def _stays(line: Array, threshold: float) -> int:
    """First index from which a line is above a threshold for 20 ms; its first above where it never stays."""
    above = line >= threshold
    kept = np.convolve(above, np.ones(STAYING_FRAMES), "valid") >= STAYING_FRAMES - 0.5
    return int(np.argmax(kept) if kept.any() else np.argmax(above))


def begun(
    level: Array, noise: Array, begin: int, end: int, attack_s: float, noise_db: float
) -> tuple[Array, Array]:
    """Onset, attack and its noise are right together.

    A noise that is raised is heard as the beginning of the attack, and what the attack takes moves what the noise is
    measured against: each is brought to what was asked in turn, until all are.
    """
    for _ in range(BEGINNING_ROUNDS):
        noise = attack_noise(noise, level, begin, end, noise_db)
        before, noise = onset(level, noise, begin)
        level, noise = spoken(before, noise, begin, end, attack_s, partials_alone=True)
        if level is before:  # nothing that the noise is measured against has moved
            break
    return level, noise


def spread_again(
    level: Array, noise: Array, begin: int, end: int, asked_db: float, peak: float, attack_s: float
) -> tuple[Array, Array]:
    """What a quick attack took from the spread of the level is given back where the attack does not reach.

    A note that should swell and yet speak at once stays level until it swells. It then falls further after its peak,
    and dips before it, as there is room, until the level spreads as was asked.
    """
    count = end - begin
    if count < SHORTEST_FRAMES:
        return level, noise
    place = (np.arange(count) + 0.5) / count
    risen = min(attack_s * FRAME_RATE / count + 0.05, 0.8)
    after = np.clip((place - peak) / max(1.0 - peak, 1e-3), 0.0, 1.0)
    between = np.clip((place - risen) / max(peak - risen, 1e-3), 0.0, 1.0)
    rooms = ((1.0 - peak, -after), (0.5 * (peak - risen), -np.sin(np.pi * between) ** 2))
    total = _total(level[begin:end], noise[begin:end])
    moved = np.zeros(len(level))
    for room, shape in sorted(rooms, key=lambda item: -item[0]):
        if room < LEAST_ROOM or _spread_of(total) >= (1.0 - SPREAD_NEAR) * asked_db:
            break
        low, high = 0.0, DEEPEST_DB
        for _ in range(10):
            depth = 0.5 * (low + high)
            if _spread_of(total + depth * shape) < asked_db:
                low = depth
            else:
                high = depth
        total = total + depth * shape
        moved[begin:end] += depth * shape
    moved[end:] = moved[end - 1]
    return level + moved, noise + moved[:, None]


def _spread_of(total: Array) -> float:
    """Standard deviation of the level within the body, as ``note_lines`` defines it, dB."""
    inner = total[total >= total.max() - BODY_DB]
    trim = len(inner) // 10
    return float(np.std(smoothed(inner, 5)[trim : len(inner) - trim or None]))


def release(level: Array, noise: Array, begin: int, end: int, release_s: float) -> tuple[Array, Array]:
    """After the offset the fall takes the time asked for, and ends.

    Its own fall runs faster or slower, and never rises; one that does not come to 20 dB in its window is deepened
    before. One that breaks off and then lingers is no further than a knee below the straight line from 3 to 20 dB:
    where a fall is all but level, when it passes 20 dB is left to chance.
    """
    count = len(level) - end
    if count < 2 or end < 1:
        return level, noise
    body = body_level(level, noise, begin, end)
    time = np.arange(count, dtype=np.float64)
    # a fall is counted from 3 dB below the body, or from the offset where the level is lower there
    reference = min(body, float(_total(level, noise)[end - 1]) + 3.0)
    fall = _falling(level[end:] - level[end - 1])
    deepest = level[end - 1] - reference + float(fall.min())
    if deepest > -FALLEN_DB:
        fall = fall + np.linspace(0.0, -FALLEN_DB - deepest, count)
    below3, below20 = (int(np.argmax(level[end - 1] + fall <= reference - down)) for down in (3.0, 20.0))
    stretch = max(below20 - below3, 0.5) / FRAME_RATE / max(release_s, 0.008)
    # past 20 dB down it goes on falling at its own pace at least, so that it always ends
    slope = max(17.0 / max(release_s, 0.01), 30.0) / FRAME_RATE
    for _ in range(RELEASE_ROUNDS):  # the noise falls in its own way: what is heard is both
        stretch = float(np.clip(stretch, *RELEASE_STRETCH))
        warped = np.interp(np.minimum(time * stretch, count - 1.0), time, fall)
        leaves = int(np.argmax(level[end - 1] + warped <= reference - 3.0))
        way = (time - leaves) / max(release_s * FRAME_RATE, 1.0)
        straight = reference - level[end - 1] - 3.0 - 17.0 * way - KNEE_DB
        between = (way >= 0.0) & (way <= 1.0)
        warped[between] = np.minimum(np.maximum(warped, straight), 0.0)[between]
        late = np.flatnonzero(warped <= -20.0)
        exhausted = int((count - 1) / max(stretch, 1.0))  # from there on nothing is known of the fall
        since = int(late[0]) if len(late) else min(exhausted, count - 1)
        line = warped[since] - slope * (time[since:] - since)
        warped[since:] = np.minimum(warped[since:], line)
        fallen, faded = level.copy(), noise.copy()
        fallen[end:] = level[end - 1] + warped
        limit = np.maximum(-warped, 0.0)[:, None]
        faded[end:] = np.minimum(noise[end:], noise[end - 1][None, :] - 0.8 * limit + 6.0)
        taken = release_time(_total(fallen, faded)[end:], body)
        if abs(taken - release_s) <= RELEASE_NEAR_S:
            break
        stretch *= max(taken, 0.004) / max(release_s, 0.008)
    closing = np.zeros(len(level))
    last = min(count, 12)
    closing[len(level) - last :] = -np.linspace(0, 60, last)
    faded[end:] += closing[end:, None]
    return fallen + closing, faded


def _falling(line: Array) -> Array:
    """A line re where it comes from, without its rises: half way between the lowest it has been and the highest it
    still comes to. What comes up to 0 again is left out, for a note that has ended does not."""
    again = np.flatnonzero(line >= 0.0)
    begins = int(again[-1]) + 1 if len(again) else 0
    line = np.minimum(np.append(line[begins:], np.full(begins, line[-1])), 0.0)
    return np.asarray(0.5 * (np.minimum.accumulate(line) + np.maximum.accumulate(line[::-1])[::-1]))


def _body(total: Array) -> float:
    """Power mean of a level [T] where it is within 20 dB of its highest, dB."""
    return 10.0 * math.log10(float(np.exp(total[total >= total.max() - BODY_DB] * _NEPER).mean()))


def _total(level: Array, noise: Array) -> Array:
    """Level of partials and noise together, dB; [T]. Much of a render's time goes by here: exp is quicker than **."""
    return np.asarray(10.0 * np.log10(np.exp(level * _NEPER) + np.exp(noise * _NEPER).sum(1)))
