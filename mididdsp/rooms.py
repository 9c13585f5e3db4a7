"""Rooms: impulse responses without the direct sound, and their convolution with a stream.

Conventions: an impulse response is float32 [2, N] (left, right) at a stated sample rate. It does not hold the direct
sound, which arrives at time 0 and is added dry, so that a file's start is the score's time 0 in any room.

The room of our own is computed, not recorded: early reflections of a shoebox hall by mirrored sources, and a late tail
of noise whose decay falls with frequency. Instruments sit at different places of the same hall.

Source: Allen and Berkley 1979 (mirrored sources); Gardner 1995 and Wefers 2014 (partitioned convolution).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mididdsp.instruments import instrument as instrument_named
from mididdsp.random import keyed_generator

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

ROOM_LEVEL_DB = -11.0
"""Power of the room's sound, both channels together, re the direct sound, as ``room_level_db`` measures it."""

ROOM_BAND_HZ = (200.0, 4000.0)
"""Where instruments have most of their power; a room's treble is weaker, and white noise would hear too little."""

REVERBERATION_S = ((63.0, 1.25), (125.0, 1.25), (250.0, 1.2), (500.0, 1.15), (1000.0, 1.1), (2000.0, 1.0),
                   (4000.0, 0.85), (8000.0, 0.6), (16000.0, 0.4))
"""Reverberation time (60 dB) by frequency: a small wooden hall with an audience; air takes the treble."""

LONGEST_ROOM_S = 30.0

_DESIGN_RATE = 48_000  # Hz; other rates are resampled from it, so that a render sounds alike at all rates
_SPEED_OF_SOUND = 343.0  # m/s at 20 degrees
_HALL_M = (16.0, 22.0, 9.0)  # width, length, height
_LISTENER_M = (8.0, 11.0, 2.6)  # a stereo pair above the first rows
_STAGE_FRONT_M = 6.0  # from the back wall
_DEPTH_M = {"strings": 0.0, "woodwind": 1.6, "brass": 3.0}  # how far behind the stage front a family sits
_HALF_WIDTH_M = 4.5  # seats span the stage from pan -1 to pan 1
_WALL_REFLECTION = 0.78  # of amplitude at each wall, below its treble loss
_WALL_TREBLE_HZ = 7_000.0  # one reflection halves the power here
_BAND_END_HZ = 14_000.0
_PAIR_ANGLE = math.radians(55.0)  # each cardioid of the pair points this far off the middle
_PAIR_HALF_M = 0.085  # and stands this far from it: the ORTF pair
_LATEST_EARLY_S = 0.09
_LATE_RISE_S = (0.012, 0.07)  # the tail grows while single reflections thin out
_LATE_SHARE = 0.62  # of the energy of the response
_RUMBLE_HZ = 70.0
_COHERENT_HZ = 250.0  # the pair hears the same tail below this, two tails above
_FADE_S = 0.05


@lru_cache(maxsize=64)
def room_impulse_response(instrument: str, sample_rate: int, pan: float | None = None) -> Float32:
    """The response of our own hall to an instrument in its seat.

    It ends 60 dB below its beginning, by a fade; its level is ``ROOM_LEVEL_DB``.

    Args:
        instrument: a name from the table in ``mididdsp.instruments``.
        sample_rate: Hz.
        pan: the seat, -1 (left) to 1 (right); the instrument's own by default.

    Returns:
        float32 [2, N], the same on every call and not to be written to.

    Raises:
        ValueError: the instrument is unknown.
    """
    seat = instrument_named(instrument)
    early = _early(seat.pan if pan is None else pan, _DEPTH_M.get(seat.family, 0.0))
    late = _late(instrument, early.shape[1])
    early *= math.sqrt((1.0 - _LATE_SHARE) / _energy(early))
    late *= math.sqrt(_LATE_SHARE / _energy(late))
    return _finished(early + late, _DESIGN_RATE, sample_rate)


def file_impulse_response(path: str | os.PathLike[str], sample_rate: int) -> Float32:
    """The response in an audio file of one or two channels, at ``ROOM_LEVEL_DB``.

    Returns:
        float32 [2, N]; one channel serves both sides.

    Raises:
        ValueError: the file cannot be read, has more than two channels, is silent or longer than ``LONGEST_ROOM_S``.
    """
    from mididdsp.audio_files import read_audio

    response, rate = read_audio(path)
    name = os.fspath(path)
    if len(response) > 2:
        raise ValueError(f"{name} has {len(response)} channels; give an impulse response of one or two")
    if response.shape[1] > LONGEST_ROOM_S * rate:
        raise ValueError(f"{name} is {response.shape[1] / rate:.0f} s long, which is no room; "
                         f"give an impulse response of at most {LONGEST_ROOM_S:.0f} s")
    if not response.any():
        raise ValueError(f"{name} is silent; give an impulse response with sound")
    return _finished(np.repeat(response, 2 // len(response), axis=0).astype(np.float64), rate, sample_rate, fade=False)


def room_level_db(response: Float32 | Float64, sample_rate: int) -> float:
    """How much power a response [C, N] gives back, all channels together, in dB re what goes in.

    The mean over ``ROOM_BAND_HZ`` with equal weight for each octave, or over all frequencies where that is more.
    """
    spectrum = np.fft.rfft(response.astype(np.float64), max(response.shape[1], sample_rate // 4))
    power = np.square(np.abs(spectrum)).sum(axis=0)
    frequency = np.linspace(0.0, sample_rate / 2, len(power))
    low, high = np.searchsorted(frequency, ROOM_BAND_HZ)
    band = float(np.average(power[low:high], weights=1.0 / frequency[low:high])) if high > low else 0.0
    return 10.0 * math.log10(max(band, _energy(response)))


def _energy(response: Float32 | Float64) -> float:
    """Sum of squares of both channels: the power that white noise of power 1 leaves with."""
    return float(np.sum(np.square(response), dtype=np.float64))


def _finished(response: Float64, rate: int, sample_rate: int, fade: bool = True) -> Float32:
    """Resampled, ended and levelled."""
    if fade:
        length = round(_FADE_S * rate)
        response[:, -length:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(length) / length)
    response = response * 10.0 ** ((ROOM_LEVEL_DB - room_level_db(response, rate)) / 20.0)
    if rate != sample_rate:
        import soxr

        # A filter keeps its gain when its samples are scaled with their spacing.
        response = soxr.resample(response.T, rate, sample_rate, quality="VHQ").T * (rate / sample_rate)
    result: Float32 = np.ascontiguousarray(response, dtype=np.float32)
    result.setflags(write=False)
    return result


def _early(pan: float, depth_m: float) -> Float64:
    """Reflections of the first orders at the pair, after the direct sound [2, N]; N is the length of the whole."""
    rate, length = _DESIGN_RATE, round((max(seconds for _, seconds in REVERBERATION_S)) * _DESIGN_RATE)
    source = (_HALL_M[0] / 2 + pan * _HALF_WIDTH_M, _STAGE_FRONT_M - depth_m, 1.3)
    direct_m = math.dist(source, _LISTENER_M)
    spectrum_length = 1 << (math.ceil((_LATEST_EARLY_S + 0.1) * rate) - 1).bit_length()
    frequency = np.fft.rfftfreq(spectrum_length, 1.0 / rate)
    wall = _WALL_REFLECTION / np.sqrt(1.0 + np.square(frequency / _WALL_TREBLE_HZ))
    # A delay between two samples rings on both sides unless the band ends softly.
    soft = np.cos(0.5 * np.pi * np.clip((frequency - _BAND_END_HZ) / (rate / 2 - _BAND_END_HZ), 0.0, 1.0)) ** 2
    total = np.zeros((2, len(frequency)), np.complex128)
    for image, order in _images(source):
        for channel, side in enumerate((-1.0, 1.0)):
            ear = (_LISTENER_M[0] + side * _PAIR_HALF_M, _LISTENER_M[1], _LISTENER_M[2])
            distance = math.dist(image, ear)
            delay = (distance - direct_m) / _SPEED_OF_SOUND
            if not 0.0 < delay < _LATEST_EARLY_S:
                continue
            azimuth = math.atan2(image[0] - ear[0], ear[1] - image[1])
            cardioid = 0.5 + 0.5 * math.cos(azimuth - side * _PAIR_ANGLE)
            turn = np.exp(-2j * np.pi * frequency * delay)
            total[channel] += (direct_m / distance * cardioid) * soft * wall**order * turn
    result = np.zeros((2, length))
    result[:, :spectrum_length] = np.fft.irfft(total, spectrum_length)[:, :length]
    return result


def _images(source: tuple[float, float, float]) -> Iterator[tuple[tuple[float, float, float], int]]:
    """The source mirrored in the walls up to three times, with how many walls each sound met."""
    def mirrored(axis: int, number: int) -> float:
        # number walls crossed along this axis: even numbers shift the room, odd ones turn it around
        return number * _HALL_M[axis] + (source[axis] if number % 2 == 0 else _HALL_M[axis] - source[axis])

    reach = range(-3, 4)
    for x in reach:
        for y in reach:
            for z in reach:
                order = abs(x) + abs(y) + abs(z)
                if 1 <= order <= 3:
                    yield (mirrored(0, x), mirrored(1, y), mirrored(2, z)), order


def _late(key: str, length: int) -> Float64:
    """Decaying noise [2, N]: each frequency at its own pace, wide in the treble and narrow in the bass."""
    rate = _DESIGN_RATE
    noise = keyed_generator(0, "room", key).standard_normal((3, length))
    spectrum = np.fft.rfft(noise)
    frequency = np.fft.rfftfreq(length, 1.0 / rate)
    shared = 1.0 / (1.0 + np.square(frequency / _COHERENT_HZ))
    pair = np.sqrt(1.0 - shared) * spectrum[:2] + np.sqrt(shared) * spectrum[2]
    pair *= 1.0 / (1.0 + np.power(_RUMBLE_HZ / np.maximum(frequency, 1.0), 4))
    time = np.arange(length) / rate
    rise = np.clip((time - _LATE_RISE_S[0]) / (_LATE_RISE_S[1] - _LATE_RISE_S[0]), 0.0, 1.0)
    result = np.zeros((2, length))
    centres = np.log2([centre for centre, _ in REVERBERATION_S])
    position = np.interp(np.log2(np.maximum(frequency, 1.0)), centres, np.arange(len(centres)))
    for index, (_, seconds) in enumerate(REVERBERATION_S):
        share = np.maximum(1.0 - np.abs(position - index), 0.0)  # octave bands that sum to 1
        result += np.fft.irfft(pair * share, length) * 10.0 ** (-3.0 * time / seconds)
    return result * rise


# --- convolution -----------------------------------------------------------------------------------------------------

_PARTITION = 8_192  # samples: a fifth slower than the best size for a room of 1.2 s (bench/room.py), at half its delay
_GROUP = 4  # partitions transformed at once: the float32 FFT of SciPy does four in the time of two
BLOCK = _PARTITION * _GROUP
"""Samples of the fixed grid that convolution works on; results come in blocks of this length."""


def blocks_of(stream: Iterable[Float32], size: int) -> Iterator[Float32]:
    """The same samples [..., n] in blocks of ``size``; the last may be shorter, none is empty."""
    held: list[Float32] = []
    count = 0
    for block in stream:
        while block.shape[-1]:
            if not held and block.shape[-1] >= size:
                yield block[..., :size]
                block = block[..., size:]
                continue
            piece = block[..., :size - count]
            held.append(piece)
            count += piece.shape[-1]
            block = block[..., piece.shape[-1]:]
            if count == size:
                yield np.concatenate(held, axis=-1)
                held, count = [], 0
    if held:
        yield np.concatenate(held, axis=-1)


def convolved(stream: Iterable[Float32], response: Float32) -> Iterator[tuple[Float32, Float32]]:
    """A mono stream and its convolution with a response, block by block, rung out to the end.

    The work lies on a fixed grid from sample 0, so the size of the incoming blocks does not change a bit. Silence
    costs nothing.

    Args:
        stream: float32 [n] blocks of any length, from time 0.
        response: float32 [C, M].

    Yields:
        (dry [n], wet [C, n]) of the same n = ``BLOCK``, the last shorter; in all as many samples as were put in and
        M - 1 more, the dry ones of the end zero. Nothing where nothing was put in.
    """
    from scipy import fft

    channels, taps = response.shape
    parts = -(-taps // _PARTITION)
    padded = np.zeros((channels, parts, 2 * _PARTITION), np.float32)
    for index in range(parts):
        piece = response[:, index * _PARTITION:(index + 1) * _PARTITION]
        padded[:, index, :piece.shape[1]] = piece
    filters = fft.rfft(padded)
    bins = filters.shape[-1]
    spectra = np.zeros((parts - 1 + _GROUP, bins), np.complex64)  # of the last partitions, oldest first
    window = np.zeros((_GROUP, 2 * _PARTITION), np.float32)
    joined = np.zeros(BLOCK + _PARTITION, np.float32)  # the partition before, and the block
    products = np.empty((_GROUP, bins), np.complex64)
    sums = np.empty((channels, _GROUP, bins), np.complex64)
    quiet = parts  # partitions since the last sound; with as many as the response has, nothing rings

    def step(block: Float32) -> Float32:
        nonlocal quiet
        silent = not block.any()
        if silent and quiet >= parts:
            spectra[:], joined[:] = 0.0, 0.0
            return np.zeros((channels, BLOCK), np.float32)
        quiet = quiet + _GROUP if silent else 0
        joined[:_PARTITION] = joined[-_PARTITION:]
        joined[_PARTITION:] = block
        for row in range(_GROUP):
            window[row] = joined[row * _PARTITION:(row + 2) * _PARTITION]
        spectra[:parts - 1] = spectra[_GROUP:].copy()
        spectra[parts - 1:] = fft.rfft(window)
        for channel in range(channels):
            total = sums[channel]
            np.multiply(spectra[parts - 1:], filters[channel, 0], out=total)
            for index in range(1, parts):
                newest = parts - 1 - index
                np.multiply(spectra[newest:newest + _GROUP], filters[channel, index], out=products)
                np.add(total, products, out=total)
        sound: Float32 = fft.irfft(sums, 2 * _PARTITION)[..., _PARTITION:]
        return np.ascontiguousarray(sound).reshape(channels, BLOCK)

    ring = taps - 1  # samples that follow the last one put in
    missing = 0  # samples still to come out
    for dry in blocks_of(stream, BLOCK):
        missing, ring = missing + ring + dry.shape[-1], 0
        whole = dry if dry.shape[-1] == BLOCK else np.concatenate([dry, np.zeros(BLOCK - dry.shape[-1], np.float32)])
        count = min(BLOCK, missing)
        yield whole[:count], step(whole)[:, :count]
        missing -= count
    silence = np.zeros(BLOCK, np.float32)
    while missing > 0:
        count = min(BLOCK, missing)
        yield silence[:count], step(silence)[:, :count]
        missing -= count
