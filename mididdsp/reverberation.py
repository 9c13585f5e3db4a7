"""The room that a recording carries: how it decays, a sound without it, and another sound in it.

A room is described by octave bands: the time its late sound takes to fall by 60 dB, and how much of it there is beside
the direct sound. Both are estimated blindly, from the recording alone: the time from the steepest falls, the amount
from how far sounds drop at once where they end. From frame to frame the power of the late sound is what is kept of it
and what the direct sound adds. The dry sound is what that recursion leaves over, by a gain on each bin of a
short-time spectrum that never falls below a floor: early reflections and the colour of the room stay. The two channels
of a stereo sound share their gains, so that its image stays.

Conventions: audio is float [channels, N]; levels are dB; power ratios are of late to direct sound in a steady tone.

Sources: Polack 1988 (late sound as decaying noise); Lebart, Boucher and Denbigh 2001, Habets, Gannot and Cohen 2009
(spectral suppression of it).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.random import keyed_generator

Array = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]

BANDS_HZ = (125.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0)
"""Centres of the octave bands."""

WINDOW_S = 0.064
HOPS_PER_WINDOW = 4

RATIO_RANGE_DB = (-30.0, 12.0)
"""Amounts of late sound that are believed."""

FLOOR_DB = -30.0
"""A bin is never turned down by more: below this the ear hears the gain move."""

EXCESS, DEEP_EXCESS = 2.5, 6.0
"""Late sound scatters around its mean: where a bin falls (3 to 6 dB below its recent top) so many times the mean is
taken away, and more where it has fallen deep (8 dB) and hardly anything but the room is left. A tone that is held
keeps its level, and with it the sound its colour."""

MOST_KEPT_DB = -9.0
"""By so much at most the gain of a held tone is made up for."""

SAFE_DECAY, SAFE_RATIO_DB = 1.2, 3.0
"""A room told too small would leave its late sound standing."""

_FALLEN = (0.3, 0.6, 0.8)  # of the power, in tenfolds
_FORGET_DB_S = 15.0
"""How fast the recent top of a bin is forgotten."""

_LISTEN_S = 60.0
_BINS_A_BAND = 24
_SHORT_S, _LONG_S = 0.25, 0.4
_DRY_S = 0.42
"""A decay this short is told from short windows as it is."""

_NO_ROOM_S = 0.33
"""What dies faster is the instrument itself."""

_CALIBRATION = ((0.42, 0.35), (0.58, 0.56), (0.95, 1.3), (1.35, 2.3), (1.7, 3.2), (2.2, 4.5))
"""Steepest falls seen in long windows, and the decay of the noise in which they are seen: it scatters, and so the
steepest falls are steeper than the room."""

_LOUD_DB = 35.0
_SLOWEST_DB_S = 8.0
_FEWEST_FALLS = 8
_FALL_DB = 6.0
_RECENT_S = 0.3
_WAIT_S = 0.06
"""Players take this long to stop."""

_SLOPE_RANGE = (0.6, 1.7)
_RATIO_SLOPE, _RATIO_MIDDLE_DB = 2.0, -6.5
"""Notes end before the room has filled, and players take time to stop: what is seen varies half as much as the room's
own ratio, around this (measured on phrases of twelve instruments in made rooms)."""

_UNKNOWN_RATIO_DB = -3.0
_SHORTEST_DECAY_S = 0.1
_LONGEST_DECAY_S = 5.0
_LOWEST_RATIO_DB = -60.0


class ReverberationError(ValueError):
    """A recording from which no room can be told; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverberation:
    """The late sound of a room, one value a band of ``BANDS_HZ``.

    Attributes:
        decay_s: time to fall by 60 dB.
        ratio_db: power of late sound re direct sound, of a steady tone.
    """

    decay_s: tuple[float, ...]
    ratio_db: tuple[float, ...]

    @property
    def middle_s(self) -> float:
        """Mean decay of the bands from 500 to 2000 Hz, the figure by which halls are known."""
        chosen = [value for value, centre in zip(self.decay_s, BANDS_HZ) if 500.0 <= centre <= 2_000.0]
        return float(np.mean(chosen))

    @property
    def amount_db(self) -> float:
        """Mean ratio of the same bands, of powers."""
        chosen = [10 ** (value / 10) for value, centre in zip(self.ratio_db, BANDS_HZ) if 500.0 <= centre <= 2_000.0]
        return float(10 * np.log10(np.mean(chosen)))


def _window(sample_rate: int) -> tuple[int, int, NDArray[np.float64]]:
    """(length, hop, the root of a Hann window: analysis times synthesis sums to one)."""
    hop = max(1, round(WINDOW_S * sample_rate / HOPS_PER_WINDOW))
    length = hop * HOPS_PER_WINDOW
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length))
    return length, hop, window * math.sqrt(2.0 / HOPS_PER_WINDOW)


def _band_weights(sample_rate: int, bins: int) -> NDArray[np.float64]:
    """How much of each band a bin takes, between centres in log frequency; [bins, B], rows sum to 1."""
    frequency = np.maximum(np.arange(bins) * sample_rate / (2.0 * (bins - 1)), 1.0)
    position = np.interp(np.log2(frequency), np.log2(BANDS_HZ), np.arange(len(BANDS_HZ)))
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(len(BANDS_HZ))))


def estimate(audio: Array, sample_rate: int) -> Reverberation:
    """The room of a recording, told from how its sounds end.

    Args:
        audio: [channels, N]; its loudest minute is listened to.
        sample_rate: Hz.

    Raises:
        ReverberationError: it is shorter than half a second, or silent.
    """
    from scipy.ndimage import uniform_filter

    length, hop, window = _window(sample_rate)
    if audio.shape[-1] < 0.5 * sample_rate:
        raise ReverberationError(f"the recording is {audio.shape[-1] / sample_rate:.2f} s long; "
                                 "a room is told from half a second or more")
    audio = _loudest(np.asarray(audio), int(_LISTEN_S * sample_rate))
    power = sum(np.abs(np.fft.rfft(_frames(channel, length, hop) * window)) ** 2 for channel in audio)
    assert isinstance(power, np.ndarray)
    if not power.max() > 0:
        raise ReverberationError("the recording is silent; a room is told from sound")
    smooth = uniform_filter(power, (5, 3), mode="nearest")
    frame_s = hop / sample_rate
    decays, ratios = [], []
    for centre in BANDS_HZ:
        found = _band(smooth, _bins(power, sample_rate, centre), frame_s)
        decays.append(found[0])
        ratios.append(found[1])
    return Reverberation(decay_s=_filled(decays), ratio_db=_filled(ratios, _LOWEST_RATIO_DB))


def _loudest(audio: Array, samples: int) -> Array:
    """The stretch of that length with the most power, on a grid of seconds."""
    if audio.shape[-1] <= samples:
        return audio
    grid = max(1, samples // 60)
    count = audio.shape[-1] // grid
    power = np.square(audio[:, : count * grid], dtype=np.float64).reshape(len(audio), count, grid).sum((0, 2))
    total = np.convolve(power, np.ones(samples // grid), "valid")
    first = int(np.argmax(total)) * grid
    return audio[:, first : first + samples]


def _frames(channel: Array, length: int, hop: int) -> Array:
    padded = np.concatenate([np.zeros(length - hop), channel, np.zeros(length)])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, length)[::hop])


def _bins(power: Array, sample_rate: int, centre: float) -> NDArray[np.int64]:
    """The bins of an octave with the most sound, a few of them."""
    frequency = np.arange(power.shape[1]) * sample_rate / (2.0 * (power.shape[1] - 1))
    inside = np.flatnonzero((frequency >= centre / math.sqrt(2)) & (frequency < centre * math.sqrt(2)))
    order = np.argsort(-power[:, inside].sum(0))
    return np.sort(inside[order[:_BINS_A_BAND]])


def _band(smooth: Array, bins: NDArray[np.int64], frame_s: float) -> tuple[float | None, float | None]:
    """(decay, ratio) of one band; None where nothing in it falls."""
    if not len(bins):
        return None, None
    heard = smooth[:, bins].T  # [F, T]
    top = float(heard.max())
    level = 10 * np.log10(np.maximum(heard, top * 1e-10))
    decay = _decay(level, frame_s)
    if decay is None or decay < _NO_ROOM_S:
        return decay, None if decay is None else _LOWEST_RATIO_DB
    return decay, _ratio(level, decay, frame_s)


def _decay(level: Array, frame_s: float) -> float | None:
    """Reverberation time from the steepest falls: no sound dies faster than its room, and some players stop at once.

    Args:
        level: dB; [F, T].
        frame_s: seconds from frame to frame.
    """
    short = _fall_time(level, max(3, round(_SHORT_S / frame_s)), frame_s)
    if short is None or short < _DRY_S:
        return short
    long = _fall_time(level, max(3, round(_LONG_S / frame_s)), frame_s)
    seen, meant = zip(*_CALIBRATION)
    return float(np.interp(short if long is None else long, seen, meant))


def _fall_time(level: Array, width: int, frame_s: float) -> float | None:
    """Time to fall by 60 dB as the steeper quarter of all falls has it, over windows of ``width`` frames."""
    from scipy.ndimage import minimum_filter1d

    if level.shape[1] <= width:
        return None
    time = (np.arange(width) - (width - 1) / 2.0) * frame_s
    slope = np.lib.stride_tricks.sliding_window_view(level, width, axis=1) @ (time / np.square(time).sum())
    begins = level[:, : slope.shape[1]] > level.max() - _LOUD_DB
    steepest = slope == minimum_filter1d(slope, width, axis=1)
    falls = slope[begins & steepest & (slope < -_SLOWEST_DB_S)]
    return float(np.quantile(-60.0 / falls, 0.25)) if len(falls) >= _FEWEST_FALLS else None


def _ratio(level: Array, decay: float, frame_s: float) -> float:
    """How far the sound drops at once where it ends, before the room's own fall begins: late sound re direct, dB.

    A line is laid through each fall a little after its beginning, and read where it began; of the falls as fast as the
    room's the middle one is taken.
    """
    recent = _running_maximum(level, max(1, round(_RECENT_S / frame_s)))
    falling = (level < recent - _FALL_DB) & (recent > level.max() - _LOUD_DB)
    begins = falling[:, 1:] & ~falling[:, :-1]
    wait, width = max(1, round(_WAIT_S / frame_s)), max(3, round(_SHORT_S / frame_s))
    rows, ends = np.nonzero(begins)
    inside = ends + 1 + wait + width <= level.shape[1]
    rows, ends = rows[inside], ends[inside] + 1
    tails = level[rows[:, None], ends[:, None] + wait + np.arange(width)]
    time = (np.arange(width) - (width - 1) / 2.0) * frame_s
    slope = tails @ (time / np.square(time).sum())
    middle = tails.mean(1)
    room = -60.0 / decay
    alike = (slope < _SLOPE_RANGE[0] * room) & (slope > _SLOPE_RANGE[1] * room)
    if alike.sum() < _FEWEST_FALLS:
        return _UNKNOWN_RATIO_DB
    back = (wait + (width - 1) / 2.0) * frame_s
    gap = recent[rows, ends][alike] - (middle[alike] - slope[alike] * back)
    drop = max(float(np.median(gap)), 0.3)
    seen = -10.0 * np.log10(10.0 ** (drop / 10.0) - 1.0)
    return float(np.clip(_RATIO_SLOPE * (seen - _RATIO_MIDDLE_DB), RATIO_RANGE_DB[0], RATIO_RANGE_DB[1]))


def _running_maximum(level: Array, width: int) -> Array:
    """The most of the last ``width`` values before each; [F, T]."""
    from scipy.ndimage import maximum_filter1d

    return np.asarray(maximum_filter1d(level, width, axis=1, origin=(width - 1) // 2, mode="nearest"))


def _filled(values: list[float | None], nothing: float = _SHORTEST_DECAY_S) -> tuple[float, ...]:
    """Bands in which nothing was told take their neighbours' value; ``nothing`` where no band tells."""
    known = [index for index, value in enumerate(values) if value is not None]
    if not known:
        return (nothing,) * len(values)
    told = [float(values[index] or 0.0) for index in known]
    return tuple(float(value) for value in np.interp(np.arange(len(values)), known, told))


def dried(blocks: Iterable[Float32], sample_rate: int, room: Reverberation) -> Iterator[Float32]:
    """A sound without its late sound, block by block, as long as it was.

    Args:
        blocks: float32 [channels, n] of any lengths.
        sample_rate: Hz.
        room: as :func:`estimate` told it.

    Yields:
        float32 [channels, n]; together as many samples as were put in.
    """
    length, hop, window = _window(sample_rate)
    weights = _band_weights(sample_rate, length // 2 + 1)
    frame_s = hop / sample_rate
    keep = 10.0 ** (-6.0 * frame_s / (weights @ np.array(room.decay_s) * SAFE_DECAY))
    ratio = 10.0 ** ((weights @ np.array(room.ratio_db) + SAFE_RATIO_DB) / 10.0)
    feed = np.minimum(ratio * (1.0 - keep), keep)
    floor = 10.0 ** (FLOOR_DB / 20.0)
    held_share = feed / (1.0 - keep + feed)  # of late sound in a tone that is held
    steady = np.maximum(1.0 - held_share, 10.0 ** (MOST_KEPT_DB / 10.0))
    forget = 10.0 ** (-_FORGET_DB_S * frame_s / 10.0)
    recent = np.zeros(length // 2 + 1)
    held: NDArray[np.float64] | None = None
    added: NDArray[np.float64] = np.zeros((0, 0))
    late = np.zeros(length // 2 + 1)
    gain = np.ones(length // 2 + 1)
    total, given, skip = 0, 0, length - hop

    def step(frame: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal late, gain, recent
        spectrum = np.fft.rfft(frame * window)
        power = (np.abs(spectrum) ** 2).sum(0)
        blurred = power.copy()  # the scatter of single bins must not move the gain
        blurred[1:-1] = 0.25 * power[:-2] + 0.5 * power[1:-1] + 0.25 * power[2:]
        recent = np.maximum(forget * recent, blurred)
        fallen = np.log10(np.maximum(recent, 1e-20) / np.maximum(blurred, 1e-20))
        excess = np.interp(fallen, _FALLEN, (1.0, EXCESS, DEEP_EXCESS))
        taken = excess * late / np.maximum(blurred, 1e-20)
        wanted = np.sqrt(np.clip((1.0 - taken) / steady, floor**2, 1.0))
        # an attack opens at once; closing takes two frames, so that no bin twinkles
        gain = np.maximum(wanted, np.sqrt(gain * np.maximum(wanted, 1e-4)))
        late = keep * late + feed * (power - late)
        return np.asarray(np.fft.irfft(spectrum * gain, length) * window)

    for block in _ended(blocks, length):
        if held is None:
            held = np.zeros((len(block.samples), length - hop))
            added = np.zeros((len(block.samples), length))
        total += block.own
        held = np.concatenate([held, block.samples], axis=1)
        done = []
        while held.shape[1] >= length:
            added[:, :length] += step(held[:, :length])
            held = held[:, hop:]
            done.append(added[:, :hop].copy())
            added = np.concatenate([added[:, hop:], np.zeros((len(added), hop))], axis=1)
        if done:
            out = np.concatenate(done, axis=1)
            cut = min(skip, out.shape[1])
            out, skip = out[:, cut:], skip - cut
            out = out[:, : max(0, total - given)]
            given += out.shape[1]
            if out.shape[1]:
                yield out.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Block:
    """Samples, and how many of them are the sound's own and not the silence that flushes the end."""

    samples: NDArray[np.float64]
    own: int


def _ended(blocks: Iterable[Float32], length: int) -> Iterator[_Block]:
    channels = 0
    for block in blocks:
        channels = len(block)
        yield _Block(block.astype(np.float64), block.shape[1])
    if channels:
        yield _Block(np.zeros((channels, 2 * length)), 0)


def impulse_response(room: Reverberation, sample_rate: int, *, channels: int = 2, key: str = "room") -> Float32:
    """Late sound alone, as decaying noise, for ``mididdsp.rooms.convolved``; the direct sound is not in it.

    Args:
        room: its decays and amounts.
        sample_rate: Hz.
        channels: each with noise of its own.
        key: of the noise; the same gives the same response.

    Returns:
        float32 [channels, N]; a white sound of power 1 leaves with the room's ratio in every band.
    """
    length = max(2, round(min(max(room.decay_s), _LONGEST_DECAY_S) * sample_rate))
    size = 1 << (length - 1).bit_length()
    noise = keyed_generator(0, "late sound", key).standard_normal((channels, length))
    spectrum = np.fft.rfft(noise, size)
    weights = _band_weights(sample_rate, size // 2 + 1)
    time = np.arange(length) / sample_rate
    result = np.zeros((channels, length))
    for band, (decay, ratio) in enumerate(zip(room.decay_s, room.ratio_db)):
        fall = 10.0 ** (-3.0 * time / decay)
        level = math.sqrt(10.0 ** (ratio / 10.0) / max(float(np.square(fall).sum()), 1e-9))
        result += level * fall * np.fft.irfft(spectrum * weights[:, band], size)[:, :length]
    result[:, 0] = 0.0
    return result.astype(np.float32)
