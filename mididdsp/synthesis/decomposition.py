"""A recording of one voice taken apart into partials and noise, fine enough to be put together again.

Where ``mididdsp.synthesis.analysis`` measures notes for training (partials up to what lossy files hold, noise in 40
bands read between the partials), this module serves the round trip: what partials do not explain is taken from the
audio itself, and the noise has the resolution of the renderer, 62.5 Hz and 4 ms.

Conventions: audio is mono at one of ``WORK_RATES``; frame k is centred at k / 250 s. The time axis is bent until the
fundamental is constant, so that a window of some periods holds whole cycles of every partial, whatever vibrato or glide
does: partials then do not leak into each other. A window has five periods, and at least 20 ms. The partials found are
put together again with their phases and subtracted; the noise is the power of the rest under Hann windows of 16 ms.

Hann windows of five periods take up 3/10 of the noise between the partials and leave half of it in the rest, longer
ones less and more; the parameters keep this (made to sound, the two add up nearly right, and measured losses are lower
so), and ``measured_powers`` undoes it where noise and partials are compared.

Sources: the harmonic plus noise model (Serra & Smith 1990); time warping before the transform (Kepesi & Weruaga 2006);
frequency from phase advance (Flanagan & Golden 1966).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.units import FRAME_RATE, SILENCE_DB

Array = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]

WORK_RATES = (16_000, 48_000)
"""Sample rates that can be analysed: both hold a whole number of samples a frame and of 62.5 Hz bins."""

PERIODS = 5
"""Fewest periods under a window: whole, so that its zeros fall on the neighbouring partials, and more than the four of
a Hann window's main lobe. Three to six lose the same; the more, the less noise is taken for partials."""

WINDOW_S = 0.02
"""About the shortest window. Five periods of a high note are over in a few ms, and partials then take up what breath,
bow and room add within a hundred Hz; much longer ones blur attacks."""

CONTEXT_FRAMES = 60
"""Frames that the windows of one frame reach to either side, for a fundamental of 25 Hz and above."""

BIN_HZ = 62.5
LOWEST_HZ = 20.0
"""Of hearing. What rooms and stands move below this, the renderer, whose bins are wide, would spread up to 150 Hz."""

COARSE_FROM_HZ, COARSE_TO_HZ, COARSE_BINS = 8_000.0, 20_000.0, 8
MAX_PARTIALS = 300

_OVERSAMPLING = 2.0
"""Of the bent axis, and of the audio before it is bent: 16 taps pass no more than 0.64 of the band untouched."""

_TAPS = 16
_PHASES = 1024
_KAISER = 9.0
_PIECE_FRAMES = 384
_REFINING_PARTIALS = 20
_REACH_CENTS = 30.0
_EXPLAINED = (0.75, 0.9)
_SAME_RUN_OCTAVES = 1.0 / 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decomposition:
    """Partials and noise of some frames.

    Attributes:
        partials: peak amplitude of each partial, 0 above Nyquist and where nothing is harmonic; float32 [T, H].
        noise_db: power in each band of ``noise_edges``, dB re 1.0; float32 [T, B].
        harmonic: share of the partials that was kept, 0 to 1; float32 [T].
    """

    partials: Float32
    noise_db: Float32
    harmonic: Float32


def frame_hop(sample_rate: int) -> int:
    """Samples a frame.

    Raises:
        ValueError: the rate is not one of ``WORK_RATES``.
    """
    if sample_rate not in WORK_RATES:
        raise ValueError(f"the sample rate is {sample_rate} Hz; resample to one of {WORK_RATES}")
    return int(sample_rate / FRAME_RATE)


@lru_cache(maxsize=4)
def noise_edges(sample_rate: int) -> tuple[float, ...]:
    """Edges of the noise bands in Hz: 62.5 Hz wide around the renderer's bins up to 8 kHz, 500 Hz wide to 20 kHz, and
    one band above."""
    frame_hop(sample_rate)
    fine = [(index + 0.5) * BIN_HZ for index in range(int(COARSE_FROM_HZ / BIN_HZ))]
    edges = [0.0, *fine]
    if sample_rate / 2 > COARSE_TO_HZ:
        width = COARSE_BINS * BIN_HZ
        edges += [fine[-1] + width * step for step in range(1, int((COARSE_TO_HZ - COARSE_FROM_HZ) / width) + 1)]
    return (*edges, sample_rate / 2)


def window_periods(f0_hz: Array) -> NDArray[np.int64]:
    """Whole periods under the window of a fundamental; [T]."""
    return np.asarray(np.maximum(PERIODS, np.rint(WINDOW_S * np.asarray(f0_hz))), np.int64)


def partial_count(lowest_hz: float, sample_rate: int) -> int:
    """Partials below Nyquist of the lowest fundamental, at least 1 and at most ``MAX_PARTIALS``."""
    return int(np.clip(np.floor(0.5 * sample_rate / lowest_hz), 1, MAX_PARTIALS))


def refine_f0(audio: Array, f0_hz: Array, *, sample_rate: int, rounds: int = 1) -> Array:
    """The fundamental mended by the phase advance of the lowest 20 partials, weighted by their power.

    Args:
        audio: mono; [N].
        f0_hz: fundamental within 30 cents or so, > 0; [T]. What would move further is kept.
        sample_rate: one of ``WORK_RATES``.
        rounds: how often; each starts from the last.
    """
    f0: Array = np.asarray(f0_hz, dtype=np.float64)
    for _ in range(rounds):
        f0 = _refined(audio, f0, sample_rate)
    return f0


def _refined(audio: Array, f0: Array, sample_rate: int) -> Array:
    count = len(f0)
    advance = np.zeros(max(count - 1, 0))
    for warp in _warps(audio, f0, sample_rate):
        spectra = warp.spectra[:, :_REFINING_PARTIALS]
        number = np.arange(1, spectra.shape[1] + 1)
        turn = spectra[1:] * np.conj(spectra[:-1])
        weight = np.abs(turn)
        phase = (weight * number * np.angle(turn)).sum(1) / (2 * np.pi * (weight * number**2).sum(1) + 1e-20)
        own = phase[warp.own_first - warp.first : warp.own_last - warp.first - 1] * FRAME_RATE
        advance[warp.own_first : warp.own_last - 1] = own
        # across the border of two runs the fundamental itself moves: no advance is known there, the last one serves
        if warp.own_last < count and len(own):
            advance[warp.own_last - 1] = own[-1]
    if count < 2:
        return f0
    change = np.concatenate([advance[:1], 0.5 * (advance[1:] + advance[:-1]), advance[-1:]])
    moved = np.maximum(f0 + change, 1.0)
    return np.where(np.abs(1200.0 * np.log2(moved / f0)) < _REACH_CENTS, moved, f0)


def decompose(
    audio: Array, f0_hz: Array, harmonic: Array, *, sample_rate: int, partials: int
) -> Decomposition:
    """Partials and noise of a recording under a known fundamental.

    Args:
        audio: mono; [N]. Outside it is silence.
        f0_hz: fundamental, > 0; [T]; frame T - 1 may lie beyond the audio.
        harmonic: share of the partials that is kept at least, 0 to 1; [T]. More is kept where they explain the sound:
            what rings on after a note is no noise.
        sample_rate: one of ``WORK_RATES``.
        partials: H; what the fundamental puts above Nyquist is 0.
    """
    hop = frame_hop(sample_rate)
    count = len(f0_hz)
    amplitudes = np.zeros((count, partials), np.float32)
    tone = np.zeros(max(len(audio), count * hop) + hop, np.float32)
    for warp in _warps(audio, f0_hz, sample_rate):
        known = min(partials, warp.spectra.shape[1])
        inside = slice(warp.own_first - warp.first, warp.own_last - warp.first)
        amplitudes[warp.own_first : warp.own_last, :known] = np.abs(warp.spectra[inside, :known])
        warp.add_tone(tone, hop)
    sound, tone = np.asarray(audio, np.float32), tone[: len(audio)]
    kept = np.maximum(harmonic, explained(sound - tone, tone, count, sample_rate))
    rest = sound - tone * np.interp(np.arange(len(sound)) / hop, np.arange(count), kept).astype(np.float32)
    return Decomposition(
        partials=amplitudes * kept.astype(np.float32)[:, None],
        noise_db=_noise_db(_audible(rest, sample_rate), count, sample_rate),
        harmonic=kept.astype(np.float32),
    )


def explained(rest: Float32, tone: Float32, count: int, sample_rate: int) -> Array:
    """How far the partials explain what sounds in a frame, 0 to 1; [T].

    White noise gives half of its power to either side; a share of ``_EXPLAINED[0]`` counts as nothing, of
    ``_EXPLAINED[1]`` as all.
    """
    from scipy.ndimage import uniform_filter1d

    hop = frame_hop(sample_rate)
    powers = []
    for part in (tone, rest):
        square = np.pad(part.astype(np.float64) ** 2, (0, max(0, count * hop - len(part))))
        powers.append(uniform_filter1d(square, 8 * hop)[: count * hop : hop])
    share = powers[0] / (powers[0] + powers[1] + 1e-30)
    low, high = _EXPLAINED
    return np.asarray(np.clip((share - low) / (high - low), 0.0, 1.0))


def measured_powers(
    partials: Array, noise_db: Array, f0_hz: Array, harmonic: Array, edges_hz: tuple[float, ...]
) -> tuple[Array, Array]:
    """Mean squares with the noise that the fit took up given back: (partials [T, H], all noise [T]).

    Under white noise the rest holds ``share_left`` of it, so the true density is the rest's over that; each partial
    loses what its window took of this density: 3/10 of the fundamental's width under five periods, less under more.
    """
    edges = np.asarray(edges_hz)
    power = 10.0 ** (np.asarray(noise_db, dtype=np.float64) / 10.0)
    gain = 1.0 + np.asarray(harmonic, dtype=np.float64) * (1.0 / share_left(np.asarray(f0_hz)) - 1.0)
    density = power * gain[:, None] / np.diff(edges)
    # a single frame's density scatters by its own size: partials lose the mean over about 0.1 s and 300 Hz
    from scipy.ndimage import uniform_filter

    smooth = uniform_filter(density, (25, 5), mode="nearest")
    hz = np.asarray(f0_hz)[:, None] * np.arange(1, partials.shape[1] + 1)
    band = np.clip(np.searchsorted(edges, hz, side="right") - 1, 0, len(edges) - 2)
    taken = np.take_along_axis(smooth, band, axis=1) * (1.5 / window_periods(f0_hz) * np.asarray(f0_hz))[:, None]
    measured = np.maximum(np.asarray(partials, dtype=np.float64) ** 2 / 2.0 - taken, 0.0)
    return measured, (power * gain[:, None]).sum(1)


def share_left(f0_hz: Array) -> Array:
    """Share of white noise that is in the rest after the partials were taken off; [T].

    All partials together are a weighted mean of the audio over whole periods: of the frame before with weight 1 - u,
    of the frame after with u. The rest of white noise is the sum of the squares of these weights, 1 taken off the one
    at the sample itself; half under five periods where they are long beside a frame, near 1 under many short ones.
    """
    grid = np.geomspace(15.0, 8_000.0, 96)
    return np.interp(np.log(f0_hz), np.log(grid), _shares_left(tuple(grid.tolist())))


@lru_cache(maxsize=1)
def _shares_left(grid_hz: tuple[float, ...]) -> Array:
    place = (np.arange(16) + 0.5) / 16
    result = []
    for hz in grid_hz:
        frame = hz / FRAME_RATE  # in periods
        window = int(window_periods(np.array(hz)))
        reach = int(np.ceil(frame)) + window
        periods = np.arange(-reach, reach + 1)[:, None]
        weights = (1 - place) * _mean_weight(place * frame - periods, window) + place * _mean_weight(
            (place - 1) * frame - periods, window)
        result.append(float(((weights - (periods == 0)) ** 2).sum(0).mean()))
    return np.array(result)


def _mean_weight(periods: Array, window: int) -> Array:
    """Weight of what lies so many periods off the centre of a window of so many; whole periods sum to 1."""
    shape = 0.5 + 0.5 * np.cos(2 * np.pi * periods / window)
    return np.where(np.abs(periods) < window / 2, shape * 2.0 / window, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Warp:
    """Some frames on a time axis on which every period has the same number of samples.

    ``first`` … ``last`` are the frames with spectra, ``own_first`` … ``own_last`` those that no other warp has; the one
    frame on either side is where two warps are cross-faded.
    """

    first: int
    last: int
    own_first: int
    own_last: int
    frames: int
    spectra: NDArray[np.complexfloating[Any, Any]]
    period: int
    centres: Array
    samples: NDArray[np.int64]
    cycles: Array

    def add_tone(self, tone: Float32, hop: int) -> None:
        """Add the sum of the partials, with their phases, to the audio they were found in."""
        from scipy import fft

        rows = len(self.spectra)
        tables = np.zeros((rows, self.period // 2 + 1), np.complex64)
        known = min(self.spectra.shape[1], self.period // 2 - 1)
        tables[:, 1 : known + 1] = self.spectra[:, :known] * (self.period / 2)
        tables = fft.irfft(tables, self.period, axis=1)
        begin = int(self.centres[0]) - _TAPS
        end = int(self.centres[-1]) + self.period + _TAPS
        if self.last == self.frames:  # the last frame is held
            end += int(1.2 * self.period) + hop * 2
        place = np.arange(begin, end)
        row = np.interp(place, self.centres, np.arange(rows)) if rows > 1 else np.zeros(len(place))
        below = np.minimum(row.astype(np.int64), rows - 1)
        above = np.minimum(below + 1, rows - 1)
        blend = (row - below).astype(np.float32)
        column = place % self.period
        wave = (1 - blend) * tables[below, column] + blend * tables[above, column]
        start = self.first * hop
        stop = (self.last - 1) * hop if self.last < self.frames else self.last * hop
        samples = np.arange(start, min(stop, len(tone)))
        if not len(samples):
            return
        cycles = np.interp(samples, self.samples, self.cycles)
        sound = _read(wave.astype(np.float32), cycles * self.period - begin)
        if self.own_first > self.first:
            sound *= np.minimum(1.0, (samples - start) / hop).astype(np.float32)
        if self.own_last < self.last:
            sound *= np.minimum(1.0, (stop - samples) / hop).astype(np.float32)
        tone[samples] += sound


def _warps(audio: Array, f0_hz: Array, sample_rate: int) -> list[_Warp]:
    """The warps that cover all frames, in pieces whose fundamental stays within a whole tone."""
    fine = _doubled(np.asarray(audio, np.float32))
    return [_warped(fine, np.asarray(f0_hz, dtype=np.float64), start, stop, sample_rate)
            for start, stop in _runs(f0_hz)]


def _doubled(audio: Float32) -> Float32:
    """The audio at twice its rate, by zeros above its spectrum."""
    from scipy import fft

    length = int(fft.next_fast_len(len(audio) + 256, real=True))
    length += length % 2
    spectrum = fft.rfft(audio, length)
    result: Float32 = 2.0 * fft.irfft(np.pad(spectrum, (0, length // 2)), 2 * length)[: 2 * len(audio)]
    return result


def _runs(f0_hz: Array) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    start = 0
    octaves = np.log2(f0_hz)
    for index in range(1, len(octaves) + 1):
        if (index == len(octaves) or index - start >= _PIECE_FRAMES
                or abs(octaves[index] - octaves[start]) > _SAME_RUN_OCTAVES):
            runs.append((start, index))
            start = index
    return runs


def _warped(fine: Float32, f0_hz: Array, start: int, stop: int, sample_rate: int) -> _Warp:
    """One warp; ``fine`` is the audio at twice its rate."""
    from scipy import fft

    hop = frame_hop(sample_rate)
    count = len(f0_hz)
    lowest, highest = float(f0_hz[start:stop].min()), float(f0_hz[start:stop].max())
    period = _even_fast_length(max(16.0, sample_rate / lowest * _OVERSAMPLING))
    first, last = max(start - 1, 0), min(stop + 1, count)
    periods = int(window_periods(np.array(lowest)))
    margin = int((periods / 2 + 2) * sample_rate / lowest) + 2 * hop + _TAPS
    samples = np.arange(first * hop - margin, last * hop + margin)
    # beyond its own frames a warp keeps to its own pitches: a neighbour's octave would only blur the window
    inside = np.clip(f0_hz, lowest, highest)
    hz = np.interp(samples / hop, np.arange(count), inside)
    cycles = np.concatenate([[0.0], np.cumsum(0.5 * (hz[1:] + hz[:-1]) / sample_rate)])
    length = int(cycles[-1] * period)
    position = np.interp(np.arange(length) / period, cycles, samples)
    begin, end = max(0, 2 * int(samples[0]) - _TAPS), min(len(fine), 2 * int(samples[-1]) + _TAPS)
    bent = _read(fine[begin:end], 2 * position - begin) if end > begin else np.zeros(length, np.float32)
    centres = np.interp(np.arange(first, last) * hop, samples, cycles) * period
    window = periods * period
    taper = _hann(window)
    left = np.rint(centres).astype(np.int64) - window // 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(bent, (window, window)), window)[left + window]
    spectra = fft.rfft(frames * taper, axis=1)[:, periods::periods]
    number = np.arange(1, spectra.shape[1] + 1)
    # phases as if every window began at sample 0 of the bent axis
    spectra = spectra * np.exp((-2j * np.pi / period) * ((left % period)[:, None] * number)).astype(np.complex64)
    spectra[number * inside[first:last, None] >= 0.5 * sample_rate] = 0.0
    return _Warp(first=first, last=last, own_first=start, own_last=stop, frames=count, spectra=spectra, period=period,
                 centres=centres, samples=samples, cycles=cycles)


def _audible(rest: Float32, sample_rate: int) -> Float32:
    """What lies above ``LOWEST_HZ``."""
    from scipy import signal

    filtered = signal.sosfiltfilt(signal.butter(4, LOWEST_HZ, "highpass", fs=sample_rate, output="sos"), rest)
    return np.asarray(filtered, np.float32)


def _noise_db(rest: Float32, count: int, sample_rate: int) -> Float32:
    """Power per band under Hann windows of 16 ms, dB re 1.0."""
    from scipy import fft

    hop = frame_hop(sample_rate)
    window = int(sample_rate / BIN_HZ)
    edges = np.asarray(noise_edges(sample_rate))
    widths = np.diff(edges)
    taper = _hann(window) * np.float32(window / 4.0)  # back to a window of ones and zeros
    density = 2.0 / (float((taper.astype(np.float64) ** 2).sum()) * sample_rate)
    padded = np.pad(rest, (window // 2, max(0, (count - 1) * hop + window - len(rest) - window // 2)))
    view = np.lib.stride_tricks.sliding_window_view(padded, window)
    groups = np.searchsorted(np.arange(window // 2 + 1) * BIN_HZ, edges[:-1])
    sizes = np.diff(np.append(groups, window // 2 + 1))
    result = np.empty((count, len(widths)), np.float32)
    for first in range(0, count, 1024):
        last = min(first + 1024, count)
        power = np.abs(fft.rfft(view[first * hop : (last - 1) * hop + 1 : hop] * taper, axis=1)) ** 2
        mean = np.add.reduceat(power, groups, axis=1) / sizes
        result[first:last] = 10.0 * np.log10(np.maximum(mean * (density * widths), 10 ** (SILENCE_DB / 10)))
    return result


def _hann(window: int) -> Float32:
    """Periodic Hann window that gives a sinusoid its peak amplitude."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return (taper * (4.0 / window)).astype(np.float32)


def _even_fast_length(least: float) -> int:
    """The next even number whose factors are small, so that transforms of it are fast."""
    from scipy import fft

    length = int(fft.next_fast_len(int(np.ceil(least)), real=True))
    while length % 2:
        length = int(fft.next_fast_len(length + 1, real=True))
    return length


@lru_cache(maxsize=1)
def _taps() -> Float32:
    """Kaiser-windowed sinc at every 1/1024 of a sample; [1025, 16]."""
    fraction = np.arange(_PHASES + 1) / _PHASES
    distance = np.arange(_TAPS) - (_TAPS // 2 - 1) - fraction[:, None]
    shape = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1.0 - (distance / (_TAPS / 2)) ** 2))) / np.i0(_KAISER)
    return (np.sinc(distance) * shape).astype(np.float32)


def _read(signal: Float32, position: Array) -> Float32:
    """The signal between its samples, 0 outside; [M] at positions [M]."""
    padded = np.pad(signal, (_TAPS, _TAPS + 1))
    place = np.clip(position, -_TAPS / 2, len(signal) + _TAPS / 2) + _TAPS
    whole = place.astype(np.int64)
    phase = np.rint((place - whole) * _PHASES).astype(np.int64)
    view = np.lib.stride_tricks.sliding_window_view(padded, _TAPS)
    result: Float32 = np.einsum("ij,ij->i", view[whole - (_TAPS // 2 - 1)], _taps()[phase])
    return result
