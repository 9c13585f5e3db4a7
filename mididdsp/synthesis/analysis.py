"""From the sound of one monophonic instrument up to its synthesis parameters, 250 frames a second.

Conventions: audio is mono at any rate and is analysed at 48 kHz; frame k is centred at k / 250 s. Partials are read off
zero-padded spectra at the multiples of the fundamental, with the window's own response divided out; noise is read off
between the partials, where the main lobe of a Blackman-Harris window of eight periods ends (side lobes: -92 dB).

Sources: instantaneous frequency from phase differences (Flanagan & Golden 1966, the phase vocoder); the harmonic plus
noise model (Serra & Smith 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.units import FRAME_RATE, SILENCE_DB, midi_to_hz

ANALYSIS_RATE = 48_000
HOP = int(ANALYSIS_RATE / FRAME_RATE)
CONTENT_HZ = 15_500.0
"""Lossy sources carry nothing above this; partials and bands beyond are unknown, not silent."""

MAX_PARTIALS = 300

NOISE_EDGES_HZ: tuple[float, ...] = tuple(float(round(edge)) for edge in
                                          700.0 * (10 ** (np.linspace(0.0, 3816.0, 41) / 2595.0) - 1.0))
"""Edges of the 40 noise bands of shipped models: equal steps in mel from 0 to 20 kHz."""

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analysis:
    """What was heard, frame by frame.

    Attributes:
        f0_hz: fundamental, held through unvoiced frames; [T].
        voiced: the fundamental was heard in this frame; bool [T].
        partials: peak amplitude of each partial, NaN above ``CONTENT_HZ``; [T, H].
        noise_db: power of the noise in each band of ``NOISE_EDGES_HZ``, dB re 1.0; [T, B].
        level_db: power of the sound without the room's rumble, 10 ms Hann windows, dB re 1.0; [T].
    """

    f0_hz: Array
    voiced: NDArray[np.bool_]
    partials: Array
    noise_db: Array
    level_db: Array


def _frames(audio: Array, window: int, count: int) -> Array:
    """Frames of ``window`` samples centred on the frame times; zero outside the audio; [count, window]."""
    half = window // 2
    padded = np.concatenate([np.zeros(half), audio, np.zeros(window + HOP)])
    need = (count - 1) * HOP + window
    if len(padded) < need:
        padded = np.concatenate([padded, np.zeros(need - len(padded))])
    view = np.lib.stride_tricks.sliding_window_view(padded, window)
    return np.asarray(view[: (count - 1) * HOP + 1 : HOP])


def frame_count(samples: int) -> int:
    """Frames needed to cover that many samples at the analysis rate."""
    return samples // HOP + 1


def level_contour(audio: Array, window_s: float = 0.01) -> Array:
    """Power of the sound in Hann windows, dB re 1.0, one value a frame; floor -120 dB."""
    window = int(window_s * ANALYSIS_RATE) // 2 * 2
    taper = np.hanning(window + 1)[:-1]
    frames = _frames(audio, window, frame_count(len(audio)))
    power = (frames**2) @ (taper / taper.sum())
    return np.asarray(10.0 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10))))


def without_rumble(audio: Array, lowest_hz: float) -> Array:
    """The sound without what rooms and stands rumble below it; [N], in time with ``audio``.

    In some recordings that is louder than the beginning of the note: heard with it, an oboe would speak 70 ms early.

    Args:
        audio: mono at ``ANALYSIS_RATE``; [N].
        lowest_hz: lowest fundamental of the sound; what is kept begins at two thirds of it, at 62 Hz at most.
    """
    if len(audio) < 2:
        return audio
    from scipy import signal

    cutoff = float(np.clip(2.0 / 3.0 * lowest_hz, 15.0, NOISE_EDGES_HZ[1]))
    sections = signal.butter(4, cutoff, "highpass", fs=ANALYSIS_RATE, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, audio, padlen=min(len(audio) - 1, ANALYSIS_RATE // 20)))


def _window_response(bins_off: Array, ratio: float) -> Array:
    """Hann window's spectrum re its peak, ``bins_off`` bins of the padded transform away from it.

    Args:
        bins_off: distance from the peak in bins of the padded transform; any shape.
        ratio: length of the padded transform over that of the window.
    """
    x = bins_off / ratio
    x = np.where(np.abs(np.abs(x) - 1.0) < 1e-6, 1.0 - 2e-6, x)
    return np.asarray(np.sinc(x) / (1.0 - x**2))


def _blackman_harris(window: int) -> Array:
    """Four-term Blackman-Harris window, periodic; equivalent noise bandwidth 2.004 bins (Harris 1978)."""
    phase = 2 * np.pi * np.arange(window) / window
    return np.asarray(0.35875 - 0.48829 * np.cos(phase) + 0.14128 * np.cos(2 * phase) - 0.01168 * np.cos(3 * phase))


def _spectra(
    audio: Array, taper: Array, pad: int, start: int, stop: int, every: int = 1
) -> tuple[NDArray[np.complexfloating[Any, Any]], int]:
    """(zero-phase spectra of every so many frames start…stop, transform size).

    Amplitude 1 of a sinusoid gives 1 at its peak.
    """
    window = len(taper)
    size = 1 << int(np.ceil(np.log2(window * pad)))
    half = window // 2
    first, last = start * HOP - half, (stop - 1) * HOP - half + window
    piece = np.zeros(last - first)
    inside = slice(max(first, 0), min(last, len(audio)))
    if inside.stop > inside.start:
        piece[inside.start - first : inside.stop - first] = audio[inside]
    view = np.lib.stride_tricks.sliding_window_view(piece, window)[:: HOP * every]
    buffer = np.zeros((len(view), size), np.float32)
    shaped = view * (2.0 * taper / taper.sum())
    buffer[:, : window - half] = shaped[:, half:]  # centre of the window at sample 0: phases are those at the frame
    buffer[:, size - half :] = shaped[:, :half]
    from scipy import fft

    return fft.rfft(buffer, axis=1), size


def find_pitch(audio: Array, guess: float | None = None, reach: float = 13.0) -> tuple[float, float]:
    """The steady pitch of a single note by harmonic summation.

    Args:
        audio: mono at ``ANALYSIS_RATE``.
        guess: MIDI number near which to look, or None for the whole range 21–105.
        reach: semitones around the guess.

    Returns:
        (MIDI number, strength 0–1: share of the power near the partials).

    Source: sub-harmonic summation (Hermes 1988), with the energy half-way between partials counted against it.
    """
    level = level_contour(audio, 0.03)
    loud = np.flatnonzero(level > level.max() - 15.0)
    first, last = loud[0] * HOP, loud[-1] * HOP
    middle = (first + last) // 2
    span = int(min(max(last - first, HOP * 10), 1.5 * ANALYSIS_RATE))
    piece = audio[max(0, middle - span // 2) : middle + span // 2]
    size = 1 << int(np.ceil(np.log2(max(len(piece), 32768))))
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), size))
    magnitude = np.sqrt(spectrum)  # compresses: a strong partial must not decide alone
    frequency = np.fft.rfftfreq(size, 1.0 / ANALYSIS_RATE)
    smooth = max(1, int(6.0 / frequency[1]))
    kernel = np.hanning(2 * smooth + 3)
    magnitude = np.convolve(magnitude, kernel / kernel.sum(), mode="same")
    low, high = (21.0, 105.0) if guess is None else (guess - reach, guess + reach)
    candidates = np.arange(low, high + 1e-9, 0.05)
    hz = midi_to_hz(candidates)[:, None]
    number = np.arange(1, 41)[None, :]
    on = hz * number
    off = hz * (number - 0.5)
    weight = (number**-0.5) * (on < 12_000.0)
    score = ((np.interp(on, frequency, magnitude) - np.interp(off, frequency, magnitude)) * weight).sum(1)
    score /= np.sqrt(np.maximum((weight**2).sum(1), 1.0))  # 1 is the first partial's; above 12 kHz there is none
    if guess is not None:
        score = score * (1.0 - 0.004 * np.abs(candidates - guess))
    best = float(candidates[int(np.argmax(score))])
    power = spectrum**2
    near = np.abs(((frequency / midi_to_hz(best) + 0.5) % 1.0) - 0.5) < 0.06
    audible = (frequency > 0.5 * midi_to_hz(best)) & (frequency < CONTENT_HZ)
    return best, float(power[near & audible].sum() / max(power[audible].sum(), 1e-20))


def analyse_note(audio: Array, pitch: float, *, max_partials: int = MAX_PARTIALS) -> Analysis:
    """Parameters of a sound whose pitch stays within a semitone or so of a known one.

    Args:
        audio: mono at ``ANALYSIS_RATE``; [N].
        pitch: MIDI number it plays.
        max_partials: never more partials than this.
    """
    f0, voiced = track_f0(audio, np.full(frame_count(len(audio)), midi_to_hz(pitch)))
    return analyse_with_f0(audio, f0, voiced, max_partials=max_partials)


def track_f0(
    audio: Array, guide_hz: Array, *, reach_cents: float = 90.0, top_db: float | None = None
) -> tuple[Array, NDArray[np.bool_]]:
    """Fundamental by harmonic matching around a guide, refined from the partials' phase advance.

    Args:
        audio: mono at ``ANALYSIS_RATE``.
        guide_hz: frequency near which the fundamental lies; [T].
        reach_cents: how far from the guide it may be.
        top_db: highest level of the recording, 50 dB below which nothing is voiced; None is that of ``audio``.

    Returns:
        (f0_hz [T], voiced [T]); unvoiced frames hold the nearest voiced value.
    """
    from scipy.ndimage import uniform_filter1d

    count = len(guide_hz)
    f0: Array = np.array(guide_hz, dtype=np.float64)
    strength = np.zeros(count)
    level = level_contour(audio)
    groups = _similar(guide_hz)
    shifts = np.arange(-reach_cents, reach_cents + 1, 6.0)
    for start, stop, centre in groups:
        window = int(np.clip(4.0 / centre, 0.012, 0.12) * ANALYSIS_RATE) // 2 * 2
        partials = min(int(np.clip(6_000.0 / centre, 3, 16)), max(1, int(0.36 * ANALYSIS_RATE / centre)))
        number = np.arange(1, partials + 1)
        for begin in range(start, stop, 512):
            end = min(begin + 512, stop)
            spectra, size = _spectra(audio, np.hanning(window + 1)[:-1], 4, begin, min(end + 1, count))
            power = np.abs(spectra) ** 2
            rows = np.arange(end - begin)
            root = np.sqrt(power[: end - begin])
            scores = np.empty((end - begin, len(shifts)))
            for column, shift in enumerate(shifts):
                bins = guide_hz[begin:end, None] * 2 ** (shift / 1200) * number * size / ANALYSIS_RATE
                low = np.minimum(bins.astype(int), root.shape[1] - 2)
                part = bins - low
                scores[:, column] = ((1 - part) * root[rows[:, None], low] + part * root[rows[:, None], low + 1]).sum(1)
            best = np.argmax(uniform_filter1d(scores, 5, axis=0), axis=1)
            coarse = guide_hz[begin:end] * 2 ** (shifts[best] / 1200)
            # phase advance of each partial over one frame, weighted by power
            following = np.minimum(rows + 1, len(spectra) - 1)
            near = np.minimum(np.rint(coarse[:, None] * number * size / ANALYSIS_RATE).astype(int), root.shape[1] - 1)
            now, then = spectra[rows[:, None], near], spectra[following[:, None], near]
            expected = 2 * np.pi * coarse[:, None] * number / FRAME_RATE
            turn = np.angle(then * np.conj(now)) - expected
            turn = (turn + np.pi) % (2 * np.pi) - np.pi
            weight = np.abs(now) * np.abs(then)
            weight *= number * np.abs(coarse[:, None] * number) < 40 * FRAME_RATE * 10  # far partials may wrap
            steered = (weight * number * turn).sum(1) / (2 * np.pi * (weight * number**2).sum(1) + 1e-20)
            refined = coarse + FRAME_RATE * steered
            good = np.abs(1200 * np.log2(np.maximum(refined, 1.0) / coarse)) < 40.0
            f0[begin:end] = np.where(good, refined, coarse)
            edge = (best == 0) | (best == len(shifts) - 1)
            total = np.maximum(10 ** (level[begin:end] / 10), 1e-14)
            strength[begin:end] = np.where(edge, 0.0, (np.abs(now) ** 2 / 2).sum(1) / total)
    # the advance from frame k to k + 1 is the frequency half a frame later
    half = f0.copy()
    f0[1:] = 0.5 * (half[1:] + half[:-1])
    voiced = (strength > 0.25) & (level > max((level.max() if top_db is None else top_db) - 50.0, -95.0))
    f0 = _hold(_median(f0, 5), voiced)
    return f0, voiced


def analyse_with_f0(
    audio: Array, f0_hz: Array, voiced: NDArray[np.bool_], *, max_partials: int = MAX_PARTIALS
) -> Analysis:
    """Partials and noise under a known fundamental; see :func:`analyse_note`.

    Args:
        audio: mono at ``ANALYSIS_RATE``; [N].
        f0_hz: fundamental, > 0; [T], T as ``frame_count`` says.
        voiced: handed on; [T].
        max_partials: never more partials than this.
    """
    count = len(f0_hz)
    partial_count = int(np.clip(CONTENT_HZ / f0_hz.min(), 1, max_partials))
    partials = np.full((count, partial_count), np.nan)
    bands = len(NOISE_EDGES_HZ) - 1
    density: Array = np.full((count, bands), np.nan)
    number = np.arange(1, partial_count + 1)
    for start, stop, centre in _similar(f0_hz):
        periods = 4.0 if centre > 100.0 else max(2.0, 0.04 * centre)
        window = int(max(periods / centre, 0.016 if centre > 250.0 else 0.0) * ANALYSIS_RATE) // 2 * 2
        noise_window = int(max(8.0 / centre, 0.016) * ANALYSIS_RATE) // 2 * 2
        for begin in range(start, stop, 256):
            end = min(begin + 256, stop)
            f0: Array = f0_hz[begin:end, None]
            spectra, size = _spectra(audio, _blackman_harris(noise_window), 2, begin, end)
            frequency = np.arange(spectra.shape[1]) * ANALYSIS_RATE / size
            power = np.abs(spectra) ** 2
            # one-sided density per Hz: power / 2 over the window's equivalent noise bandwidth
            bandwidth = 2.004 * ANALYSIS_RATE / noise_window
            density[begin:end] = _between_partials(power / 2.0 / bandwidth, frequency, f0)
            spectra, size = _spectra(audio, np.hanning(window + 1)[:-1], 4, begin, end)
            position = f0 * number * size / ANALYSIS_RATE
            near = np.minimum(np.rint(position).astype(int), spectra.shape[1] - 1)
            response = _window_response(position - near, size / window)
            amplitude = np.abs(np.take_along_axis(spectra, near, axis=1)) / response
            centres = 0.5 * (np.array(NOISE_EDGES_HZ[1:]) + np.array(NOISE_EDGES_HZ[:-1]))
            hz = f0 * number
            floor = np.stack([np.interp(h, centres, d) for h, d in zip(hz, density[begin:end])])
            leaked = 2.0 * floor * 1.5 * ANALYSIS_RATE / window
            squared = amplitude**2
            amplitude = np.sqrt(np.maximum(squared - leaked, 0.05 * squared))
            partials[begin:end] = np.where(hz < CONTENT_HZ, amplitude, np.nan)
    density = _below_first_partial(audio, f0_hz, density)
    widths = np.diff(np.array(NOISE_EDGES_HZ))
    noise_db = 10 * np.log10(np.maximum(density * widths, 10 ** (SILENCE_DB / 10)))
    level_db = level_contour(without_rumble(audio, float(f0_hz.min())))
    return Analysis(f0_hz=f0_hz, voiced=voiced, partials=partials, noise_db=noise_db, level_db=level_db)


def _between_partials(density: Array, frequency: Array, f0: Array) -> Array:
    """Mean density of the bins half-way between partials, for each noise band; bands without a bin are interpolated."""
    phase = (frequency[None, :] / f0) % 1.0
    weight = ((np.abs(phase - 0.5) < 0.08) & (frequency[None, :] < CONTENT_HZ)).astype(np.float64)
    edges = np.array(NOISE_EDGES_HZ)
    member = np.zeros((len(frequency), len(edges) - 1))
    band = np.searchsorted(edges, frequency, side="right") - 1
    inside = (band >= 0) & (band < len(edges) - 1)
    member[np.flatnonzero(inside), band[inside]] = 1.0
    total = weight @ member
    value = (weight * density) @ member
    result = np.where(total > 0, value / np.maximum(total, 1.0), np.nan)
    centres = 0.5 * (edges[1:] + edges[:-1])
    for row in result:
        known = np.isfinite(row)
        if known.any() and not known.all():
            logs = np.log(np.maximum(row[known], 1e-20))
            row[~known] = np.exp(np.interp(centres[~known], centres[known], logs))
    # above the content of lossy files the noise goes on falling, 12 dB an octave
    top = int(np.searchsorted(edges, CONTENT_HZ)) - 1
    result[:, top:] = result[:, top - 1 : top] * (centres[top - 1] / centres[top:]) ** 4
    return result


def _below_first_partial(audio: Array, f0_hz: Array, density: Array) -> Array:
    """The noise bands that lie wholly below the fundamental, read directly, in windows of 100 ms every 16 ms.

    The lowest band gets what is just above it, under low notes too: what rooms and stands rumble below 60 Hz is no part
    of an instrument.
    """
    every = 4
    edges = np.array(NOISE_EDGES_HZ)
    bands = int(np.searchsorted(edges, 500.0)) - 1
    taper = _blackman_harris(int(0.1 * ANALYSIS_RATE))
    result = density.copy()
    for begin in range(0, len(f0_hz), 1024):
        end = min(begin + 1024, len(f0_hz))
        spectra, size = _spectra(audio, taper, 1, begin, end, every)
        frequency = np.arange(spectra.shape[1]) * ANALYSIS_RATE / size
        power = np.abs(spectra[:, frequency < 600.0]) ** 2 / 2.0 / (2.004 * ANALYSIS_RATE / len(taper))
        low = np.stack([power[:, (frequency[: power.shape[1]] >= a) & (frequency[: power.shape[1]] < b)].mean(1)
                        for a, b in zip(edges[:bands], edges[1 : bands + 1])], axis=1)
        low = np.repeat(low, every, axis=0)[: end - begin]
        # the window's main lobe reaches 40 Hz below the fundamental
        free = edges[1 : bands + 1][None, :] <= 0.9 * f0_hz[begin:end, None] - 40.0
        result[begin:end, :bands] = np.where(free, low, result[begin:end, :bands])
    result[:, 0] = result[:, 1]
    return result


def _similar(f0_hz: Array) -> list[tuple[int, int, float]]:
    """Runs of frames that share a window, as (start, stop, median Hz): the fundamental stays within a whole tone of
    the first frame's."""
    runs: list[tuple[int, int, float]] = []
    start = 0
    for index in range(1, len(f0_hz) + 1):
        if index == len(f0_hz) or abs(np.log2(f0_hz[index] / f0_hz[start])) > 1 / 6:
            runs.append((start, index, float(np.median(f0_hz[start:index]))))
            start = index
    return runs


def _median(values: Array, width: int) -> Array:
    half = width // 2
    padded = np.concatenate([np.full(half, values[0]), values, np.full(half, values[-1])])
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def _hold(values: Array, valid: NDArray[np.bool_]) -> Array:
    """Invalid entries take the nearest valid value; in recordings of more than some 8 s they lie on straight lines
    between valid ones."""
    if not valid.any():
        return values
    index = np.flatnonzero(valid)
    return np.asarray(values[index[np.argmin(np.abs(np.arange(len(values))[:, None] - index[None, :]), axis=1)]]) \
        if len(values) * len(index) < 4_000_000 else np.interp(np.arange(len(values)), index, values[index])
