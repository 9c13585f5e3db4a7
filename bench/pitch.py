"""Measures that need the fundamental: f0, vibrato, partials, life, noise.

An own tracker, apart from mididdsp's analysis: a coarse f0 from normalised autocorrelation, refined by the phases of
the partials. Conventions as in ``bench.measures``; contours have 250 frames a second, frame k at k / 250 s.

Differences from ``figures/playing.md``, whose definitions are followed: partials are demodulated by a Hann window of
max(25 ms, 2.5 periods), so fast modulation of low notes is damped, on both sides of a comparison alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.signal import resample_poly

from bench.measures import RUMBLE_HZ

Array = NDArray[np.float64]

WORK_RATE = 16_000
"""Analysis runs at this rate, Hz: partials to 7.5 kHz are enough for f0, vibrato and life."""
FRAME_RATE = 250.0
_HOP = int(WORK_RATE / FRAME_RATE)
_COARSE_S = 0.01
_TOP_HZ = 7500.0
LIFE_BANDS_HZ = ((2.0, 4.0), (4.0, 8.0), (8.0, 16.0), (16.0, 40.0))
OCTAVE_GAIN = (0.004, 0.03)
"""A sound that repeats this much better after two periods than after one is an octave lower (the first where that is
its label, the second where it is not) …"""
OCTAVE_ODD_DB = -27.0
"""… when its odd partials are not weaker than this against the even ones."""
VIBRATO_HZ = (3.25, 8.95)
VIBRATO_MIN_CENTS = 6.0
VIBRATO_WINDOW_S = 0.45


def to_work_rate(audio: Array, sample_rate: float) -> Array:
    """The audio at 16 kHz, float64."""
    if sample_rate != int(sample_rate):
        raise ValueError(f"sample_rate is {sample_rate}; give a whole number of Hz")
    common = int(np.gcd(int(sample_rate), WORK_RATE))
    up, down = WORK_RATE // common, int(sample_rate) // common
    return np.asarray(resample_poly(np.asarray(audio, dtype=np.float64), up, down))


def midi_of(hz: float) -> float:
    """MIDI number of a frequency."""
    return float(69.0 + 12.0 * np.log2(hz / 440.0))


def hz_of(midi: float) -> float:
    """Frequency in Hz of a MIDI number."""
    return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Autocorrelation:
    """Normalised square difference function (McLeod) every 10 ms.

    Attributes:
        values: -1 to 1; shape [frames, lags].
        lag_rate: lags per second.
    """

    values: Array
    lag_rate: float

    def peaks(self, frame: int, low_hz: float, high_hz: float) -> list[tuple[float, float]]:
        """(f0 in Hz, height) of one frame's local maxima above 0.3, by lag, parabola-interpolated."""
        row = self.values[frame]
        inner = (row[1:-1] > row[:-2]) & (row[1:-1] >= row[2:]) & (row[1:-1] > 0.3)
        found = []
        for lag in np.flatnonzero(inner) + 1:
            a, b, c = row[lag - 1:lag + 2]
            bend = a - 2 * b + c
            shift = 0.5 * (a - c) / bend if bend < 0 else 0.0
            hz = self.lag_rate / (lag + shift)
            if low_hz <= hz <= high_hz:
                found.append((float(hz), float(b - 0.25 * (a - c) * shift)))
        return found

    def height(self, hz: float) -> Array:
        """Highest value within 3 % of the period of ``hz``; shape [frames]."""
        first, last = int(self.lag_rate / hz * 0.97), int(np.ceil(self.lag_rate / hz * 1.03))
        return np.asarray(self.values[:, first:last + 1].max(axis=1))


def autocorrelation(work: Array, low_hz: float, high_hz: float) -> Autocorrelation:
    """Of audio at the work rate. The window is three periods of ``low_hz``, 30 ms at least; lags reach one of them.

    Lags are interpolated (band-limited) to 12 a period of ``high_hz``, 4 a sample at least: on a coarse grid the first
    peak of a high note, or of one with strong high partials, falls between the lags, looks lower than its second, and
    the note an octave too low.
    """
    size = int(max(0.03, 3.0 / low_hz) * WORK_RATE)
    finer = max(4, int(np.ceil(12 * high_hz / WORK_RATE)))
    lags = finer * min(size - 1, int(np.ceil(WORK_RATE / low_hz * 1.04)) + 2)
    hop = int(_COARSE_S * WORK_RATE)
    padded = np.pad(work, (size // 2, size))
    frames = len(work) // hop + 1
    windows = padded[np.arange(frames)[:, None] * hop + np.arange(size)]
    fft = 1 << int(np.ceil(np.log2(2 * size)))
    spectrum = np.fft.rfft(windows, fft)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, fft * finer)[:, :lags] * finer
    energy = np.concatenate([np.zeros((frames, 1)), np.cumsum(windows**2, axis=1)], axis=1)
    lag = np.arange(lags) // finer
    norm = energy[:, size - lag] + (energy[:, -1:] - energy[:, lag])
    return Autocorrelation(values=2 * correlation / np.maximum(norm, 1e-12), lag_rate=float(WORK_RATE * finer))


def odd_share_db(audio: Array, sample_rate: float, pitch: float) -> float:
    """Power of the odd partials of ``pitch`` re the even ones, dB: very low where the true note is an octave above."""
    try:
        contour = track_known(audio, sample_rate, pitch)
    except ValueError:
        return float("-inf")
    if not contour.sounding.any():
        return float("-inf")
    power = (10 ** (partial_levels(audio, sample_rate, contour)[contour.sounding] / 10)).mean(axis=0)
    return float(10 * np.log10(power[0::2].sum() / max(power[1::2].sum(), 1e-30)))


def sounding_pitch(audio: Array, sample_rate: float, near: float, span: float = 14.0) -> float:
    """MIDI pitch (fractional) that a single note really sounds, ``near`` its label.

    Frames within 20 dB of the top vote: in each, the shortest lag whose peak reaches 0.96 of the highest one counts
    (the plain guard against octaves below), weighted by periodicity. The largest cluster within a semitone wins. It
    is an octave too high where the sound repeats better after two of its periods and has the partials between (weak
    odd partials are common in low strings and reeds). The result is refined from partial phases.

    Args:
        audio, sample_rate: the note.
        near: labelled MIDI pitch.
        span: how far from the label to look, semitones.

    Raises:
        ValueError: no periodic frame within reach.
    """
    work = to_work_rate(audio, sample_rate)
    low, high = hz_of(near - span), min(hz_of(near + span), WORK_RATE / 4.5)
    function = autocorrelation(work, low, high)
    hop = int(_COARSE_S * WORK_RATE)
    level = np.array([(work[k * hop:(k + 1) * hop] ** 2).sum() for k in range(len(function.values))])
    loud = np.flatnonzero(level > level.max() * 0.01)
    votes = []
    for frame in loud:
        peaks = function.peaks(int(frame), low, high)
        best = max((height for _, height in peaks), default=0.0)
        if best > 0.6:
            votes.append((max(hz for hz, height in peaks if height >= 0.96 * best), best))
    if not votes:
        raise ValueError(f"no periodic sound between {low:.0f} and {high:.0f} Hz; is the pitch near {near}?")
    pitches = np.array([midi_of(hz) for hz, _ in votes])
    weights = np.array([height for _, height in votes])
    support = (np.abs(pitches[:, None] - pitches) < 0.5) @ weights
    centre = pitches[np.argmax(support)]
    coarse = float(np.median(pitches[np.abs(pitches - centre) < 0.7]))
    if coarse - 12 >= near - span:
        better = np.median((function.height(hz_of(coarse - 12)) - function.height(hz_of(coarse)))[loud])
        labelled = abs(coarse - 12 - near) < 1.5
        if better > OCTAVE_GAIN[0 if labelled else 1] and odd_share_db(audio, sample_rate, coarse - 12) > OCTAVE_ODD_DB:
            coarse -= 12
    contour = track_known(audio, sample_rate, coarse)
    inside = contour.f0_hz[contour.sounding]
    return midi_of(float(np.median(inside))) if len(inside) else coarse


@dataclass(frozen=True, slots=True, kw_only=True)
class F0Contour:
    """f0 at 250 frames a second.

    Attributes:
        f0_hz: > 0 on every frame, carried over where nothing sounds; shape [T].
        sounding: within 30 dB of the top and periodic; shape [T].
    """

    f0_hz: Array
    sounding: NDArray[np.bool_]


def _phase(f0_hz: Array, samples: int) -> Array:
    """Phase in turns of a contour at the work rate."""
    times = np.arange(samples) / WORK_RATE
    f0 = np.exp(np.interp(times, np.arange(len(f0_hz)) / FRAME_RATE, np.log(f0_hz)))
    return np.asarray(np.cumsum(f0) / WORK_RATE)


def demodulate(work: Array, f0_hz: Array, count: int, window_s: float) -> NDArray[np.complex128]:
    """Complex peak amplitude of partials 1 … count around a contour, every 4 ms; shape [T, count]."""
    size = int(window_s * WORK_RATE) | 1
    window = np.hanning(size + 2)[1:-1]
    window = 2 * window / window.sum()
    phase = _phase(f0_hz, len(work))
    result = np.empty((len(f0_hz), count), dtype=np.complex128)
    starts = np.arange(len(f0_hz)) * _HOP
    turn = np.exp(-2j * np.pi * phase)
    carrier = np.ones_like(turn)
    for k in range(count):
        carrier = carrier * turn
        shifted = np.pad(work * carrier, (size // 2, size + _HOP))
        frames = np.lib.stride_tricks.sliding_window_view(shifted, size)[starts]
        result[:, k] = frames @ window
    return result


def refine(work: Array, f0_hz: Array, rounds: int = 2) -> Array:
    """A coarse contour (within some per cent) made exact from the phases of up to 8 partials; shape [T].

    Each partial's phase drift against the contour tells the error; drifts are averaged with weights k^2 power_k, the
    best for equal noise.
    """
    centre = float(np.median(f0_hz))
    count = int(np.clip(_TOP_HZ // (centre * 1.1), 1, 8))
    number = np.arange(1, count + 1)
    for _ in range(rounds):
        z = demodulate(work, f0_hz, count, max(0.016, 2.5 / centre))
        turn = np.angle(z[1:] * np.conj(z[:-1])) / (2 * np.pi) * FRAME_RATE / number
        weight = np.abs(z[1:] * z[:-1]) * number**2
        drift = (turn * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-30)
        error = np.concatenate([drift[:1], 0.5 * (drift[1:] + drift[:-1]), drift[-1:]])
        f0_hz = f0_hz + np.clip(error, -0.06 * f0_hz, 0.06 * f0_hz)
    return f0_hz


def _spread(work: Array, coarse: Array, confidence: Array) -> F0Contour:
    """Coarse 10 ms f0 (0 where unknown) to a refined 4 ms contour."""
    frames = len(work) // _HOP + 1
    known = coarse > 0
    times = np.arange(frames) / FRAME_RATE
    grid = np.arange(len(coarse)) * _COARSE_S
    f0 = np.exp(np.interp(times, grid[known], np.log(coarse[known])))
    f0 = refine(work, f0)
    power = np.convolve(work**2, np.ones(2 * _HOP), "same")[::_HOP][:frames]
    power = np.pad(power, (0, frames - len(power)))
    periodic = np.interp(times, grid, np.where(known, confidence, 0.0)) > 0.6
    return F0Contour(f0_hz=f0, sounding=periodic & (power > power.max() * 1e-3))


def track_known(audio: Array, sample_rate: float, pitch: float, reach: float = 1.5) -> F0Contour:
    """f0 of a single note whose pitch is known to ``reach`` semitones.

    Raises:
        ValueError: no frame is periodic near that pitch.
    """
    work = to_work_rate(audio, sample_rate)
    low, high = hz_of(pitch - reach), hz_of(pitch + reach)
    function = autocorrelation(work, low, high)
    coarse, confidence = np.zeros(len(function.values)), np.zeros(len(function.values))
    for index in range(len(coarse)):
        peaks = function.peaks(index, low, high)
        if peaks:
            coarse[index], confidence[index] = max(peaks, key=lambda peak: peak[1])
    confidence[confidence < 0.6] = 0.0
    coarse[confidence == 0] = 0.0
    if not coarse.any():
        raise ValueError(f"no periodic sound within {reach} semitones of pitch {pitch:.2f}")
    return _spread(work, coarse, confidence)


def track(audio: Array, sample_rate: float, low: float, high: float) -> F0Contour:
    """f0 of a melody between MIDI pitches ``low`` and ``high``: the smoothest good path through the candidates.

    Raises:
        ValueError: no frame is periodic.
    """
    work = to_work_rate(audio, sample_rate)
    low_hz, high_hz = hz_of(low - 1), min(hz_of(high + 1), WORK_RATE / 4.5)
    function = autocorrelation(work, low_hz, high_hz)
    hop = int(_COARSE_S * WORK_RATE)
    level = np.array([(work[k * hop:(k + 1) * hop] ** 2).sum() for k in range(len(function.values))])
    candidates: list[list[tuple[float, float]]] = []
    for index, power in enumerate(level):
        audible = power > level.max() * 1e-4
        peaks = [p for p in function.peaks(index, low_hz, high_hz) if p[1] > 0.6] if audible else []
        best = max((height for _, height in peaks), default=0.0)
        # A lag of two periods fits as well as one: each octave down costs a little.
        candidates.append([(hz, 1.5 * (1 - height / best) + 0.05 * np.log2(high_hz / hz) + (1 - best))
                           for hz, height in peaks])
    coarse, confidence = np.zeros(len(level)), np.zeros(len(level))
    costs: list[Array] = []
    links: list[NDArray[np.int64]] = []
    places = [index for index, found in enumerate(candidates) if found]
    if not places:
        raise ValueError(f"no periodic sound between pitch {low} and {high}")
    for order, index in enumerate(places):
        own = np.array([cost for _, cost in candidates[index]])
        hz = np.array([hz for hz, _ in candidates[index]])
        if order == 0:
            costs.append(own)
            links.append(np.zeros(len(own), dtype=np.int64))
            continue
        before = np.array([hz for hz, _ in candidates[places[order - 1]]])
        gap = index - places[order - 1]
        jump = np.minimum(np.abs(np.log2(hz[:, None] / before)), 1.0) * 0.6 / gap
        through = costs[-1] + jump
        links.append(through.argmin(axis=1))
        costs.append(own + through.min(axis=1))
    choice = int(costs[-1].argmin())
    for order in range(len(places) - 1, -1, -1):
        index = places[order]
        coarse[index] = candidates[index][choice][0]
        confidence[index] = 1.0
        choice = int(links[order][choice])
    return _spread(work, coarse, confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vibrato:
    """Vibrato of one note; extent is centre to peak; without vibrato the rest is NaN."""

    present: bool
    rate_hz: float
    extent_cents: float
    delay_s: float


NO_VIBRATO = Vibrato(present=False, rate_hz=float("nan"), extent_cents=float("nan"), delay_s=float("nan"))


def _smooth(values: Array, frames: int) -> Array:
    """Hann-weighted moving mean, edges reflected."""
    window = np.hanning(frames + 2)[1:-1]
    padded = np.pad(values, frames // 2, mode="reflect", reflect_type="odd")
    return np.asarray(np.convolve(padded, window / window.sum(), "valid")[:len(values)])


def vibrato(cents: Array, frame_rate: float = FRAME_RATE, *, turning: bool = False) -> Vibrato:
    """Vibrato in a note's f0 contour in cents (any constant offset), as ``playing.md`` defines it.

    Windows of 0.45 s show vibrato where their spectrum peaks between 3.25 and 8.95 Hz, the sinusoid there is 6 cents
    or more, and that peak's main lobe holds 55 % of the power from 1.5 to 20 Hz. The note has vibrato when such
    windows cover half of it or 0.6 s. Extent: median half peak to trough of the half cycles in those windows. Delay:
    from the start to where the first half cycle that reaches half of the largest extent began.

    Args:
        cents: of the note; [T].
        frame_rate: of the contour.
        turning: that half cycle counts only where the next one, back to the other side, is as large: the way a player
            comes from below into a note is then not taken for the beginning of the vibrato.
    """
    size = int(VIBRATO_WINDOW_S * frame_rate)
    if len(cents) < size:
        return NO_VIBRATO
    window = np.hanning(size + 2)[1:-1]
    fft = 8192
    hz = np.fft.rfftfreq(fft, 1 / frame_rate)
    reach = (hz >= 1.5) & (hz <= 20.0)
    allowed = (hz >= VIBRATO_HZ[0]) & (hz <= VIBRATO_HZ[1])
    covered = np.zeros(len(cents), dtype=bool)
    rates = []
    time = np.linspace(-1, 1, size)
    for start in range(0, len(cents) - size + 1, max(1, size // 10)):
        part = cents[start:start + size]
        part = part - np.polyval(np.polyfit(time, part, 1), time)
        power = np.abs(np.fft.rfft(part * window, fft)) ** 2
        peak = hz[reach][np.argmax(power[reach])]
        if not VIBRATO_HZ[0] <= peak <= VIBRATO_HZ[1]:
            continue
        extent = 2 * np.sqrt(power[allowed].max()) / window.sum()
        lobe = reach & (np.abs(hz - peak) <= 2.0 / VIBRATO_WINDOW_S)
        if extent >= VIBRATO_MIN_CENTS and power[lobe].sum() >= 0.55 * power[reach].sum():
            covered[start:start + size] = True
            rates.append(peak)
    if covered.sum() < min(0.5 * len(cents), 0.6 * frame_rate):
        return NO_VIBRATO
    rate = float(np.median(rates))
    # Half cycles: extremes of the contour less its slow drift, from which faster flutter is smoothed.
    cycle = round(frame_rate / rate) | 1
    swing = _smooth(cents, max(3, cycle // 4) | 1)
    extremes = np.flatnonzero(np.diff(np.sign(np.diff(swing))) != 0) + 1
    extremes = np.concatenate([[0], extremes, [len(cents) - 1]])
    kept = [int(extremes[0])]
    for place in extremes[1:]:
        if place - kept[-1] >= 0.25 * cycle:
            kept.append(int(place))
    heights = np.abs(np.diff(swing[kept])) / 2
    # Smoothing over a quarter cycle lowers a sinusoid by a known share.
    probe = np.cos(2 * np.pi * np.arange(10 * cycle) / cycle)
    heights = heights / np.ptp(_smooth(probe, max(3, cycle // 4) | 1)[2 * cycle:-2 * cycle]) * 2
    middles = (np.array(kept[1:]) + np.array(kept[:-1])) / 2
    inside = covered[np.minimum(middles.astype(int), len(covered) - 1)]
    extent = float(np.median(heights[inside])) if inside.any() else float("nan")
    # A little over half: the way from rest to the first peak is half of the way from peak to trough. A swing that
    # starts at rest starts half a cycle before the middle of its first way from peak to trough.
    large = heights >= 0.6 * np.percentile(heights[inside], 90) if inside.any() else np.zeros(len(heights), dtype=bool)
    if turning:
        large[:-1] &= large[1:]
    strong = np.flatnonzero(large)
    delay = max(0.0, float(middles[strong[0]] / frame_rate) - 0.5 / rate) if len(strong) else float("nan")
    return Vibrato(present=True, rate_hz=rate, extent_cents=extent, delay_s=delay)


def partial_levels(audio: Array, sample_rate: float, contour: F0Contour, most: int = 40) -> Array:
    """Level in dB (of peak amplitude) of the partials below 7.5 kHz, every 4 ms; shape [T, K], K at most ``most``."""
    work = to_work_rate(audio, sample_rate)
    centre = float(np.median(contour.f0_hz))
    count = int(np.clip(_TOP_HZ // (float(np.percentile(contour.f0_hz, 95)) * 1.02), 1, most))
    z = demodulate(work, contour.f0_hz, count, max(0.025, 2.5 / centre))
    return np.asarray(20 * np.log10(np.maximum(np.abs(z), 1e-8)))


def brightness(levels: Array) -> float:
    """Power centroid of the partials over f0 in octaves, from mean powers of ``levels`` [T, K] in dB; 0 is a sine."""
    power = (10.0 ** (levels / 10.0)).mean(axis=0)
    return float(np.log2((power * np.arange(1, len(power) + 1)).sum() / power.sum()))


def band_rms(values: Array, frame_rate: float = FRAME_RATE) -> Array:
    """RMS of what moves in ``values`` [T] or [T, K] in the four bands 2–4, 4–8, 8–16 and 16–40 Hz; shape [4] or [4, K].

    A parabola is removed first. A band whose lowest frequency has less than one and a half cycles is NaN.
    """
    frames = len(values)
    time = np.linspace(-1, 1, max(frames, 2))[:frames]
    columns = values.reshape(frames, -1)
    result = np.full((len(LIFE_BANDS_HZ), columns.shape[1]), np.nan)
    if frames >= 8:
        basis = np.stack([np.ones(frames), time, time**2], axis=1)
        rest = columns - basis @ np.linalg.lstsq(basis, columns, rcond=None)[0]
        window = np.hanning(frames + 2)[1:-1]
        power = np.abs(np.fft.rfft(rest * window[:, None], axis=0)) ** 2 * 2 / ((window**2).sum() * frames)
        hz = np.fft.rfftfreq(frames, 1 / frame_rate)
        for index, (low, high) in enumerate(LIFE_BANDS_HZ):
            inside = (hz >= low) & (hz < high)
            if low * frames / frame_rate >= 1.5 and inside.any():
                result[index] = np.sqrt(power[inside].sum(axis=0))
    return result.reshape(len(LIFE_BANDS_HZ), *values.shape[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The life of a sustained sound.

    Attributes:
        partials_db: rms dB of the median partial's level per octave band (``LIFE_BANDS_HZ``); NaN where too short; [4].
        f0_cents: the same of f0, rms cents; [4].
        noise_db: noise-to-harmonic ratio, dB.
        brightness: octaves.
        vibrato: of the same stretch.
    """

    partials_db: Array
    f0_cents: Array
    noise_db: float
    brightness: float
    vibrato: Vibrato


def noise_ratio(audio: Array, sample_rate: float, contour: F0Contour, start_s: float, stop_s: float,
                windows: int = 4, bends: int = 3) -> float:
    """Noise-to-harmonic ratio in dB from ``RUMBLE_HZ`` to 8 kHz between two times: the median over windows of what
    least squares with quadratic envelopes leaves.

    Below, recordings hold what their rooms rumble, up to 15 dB above all other noise: no part of an instrument.
    Windows are 40 ms, five periods for low notes. Partials follow the contour. The share of noise that the fit itself
    swallows (parameters over samples) is given back. ``bends``: how many polynomials an envelope is made of at most,
    as far as three quarters of the samples of a window tell them; three is the least.
    """
    work = to_work_rate(audio, sample_rate)
    f0 = float(np.median(contour.f0_hz))
    if f0 > 2 * RUMBLE_HZ:
        work = signal.sosfiltfilt(signal.butter(4, RUMBLE_HZ, "highpass", fs=WORK_RATE, output="sos"), work)
    phase = 2 * np.pi * _phase(contour.f0_hz, len(work))
    size = int(max(0.04, 5.0 / f0) * WORK_RATE)
    count = max(1, int((WORK_RATE / 2 - 1) // float(contour.f0_hz.max())))
    first, last = int(start_s * WORK_RATE), min(len(work), int(stop_s * WORK_RATE)) - size
    if last < first:
        return float("nan")
    time = np.linspace(-1, 1, size)
    most = int(np.clip(0.75 * size / (2 * count), 3, bends))
    envelope = np.polynomial.legendre.legvander(time, most - 1).T
    number = np.arange(1, count + 1)
    ratios = []
    for start in np.unique(np.linspace(first, last, windows).astype(int)):
        angle = phase[start:start + size, None] * number
        waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        basis = (waves[:, None, :] * envelope.T[:, :, None]).reshape(size, -1)
        part = work[start:start + size]
        normal = basis.T @ basis
        normal[np.diag_indices_from(normal)] += 1e-6 * size
        fitted = basis @ np.linalg.solve(normal, basis.T @ part)
        rest = ((part - fitted) ** 2).sum() * size / (size - basis.shape[1])
        ratios.append(rest / max((fitted**2).sum(), 1e-30))
    return float(10 * np.log10(max(np.median(ratios), 1e-12)))


def life(audio: Array, sample_rate: float, pitch: float, onset_s: float, offset_s: float) -> Life | None:
    """Life of a note of known pitch between 20 and 80 % of [onset_s, offset_s); None where less than 0.15 s is left.

    Partials count when their mean is within 30 dB of the strongest's; the median over them is given.
    """
    start, stop = onset_s + 0.2 * (offset_s - onset_s), onset_s + 0.8 * (offset_s - onset_s)
    if stop - start < 0.15:
        return None
    # A margin each side keeps filter edges out; neighbours further away do not matter.
    margin = max(0.06, 4.0 / hz_of(pitch))
    begin = max(0.0, start - margin)
    part = np.asarray(audio[int(begin * sample_rate):int((stop + margin) * sample_rate)], dtype=np.float64)
    try:
        contour = track_known(part, sample_rate, pitch)
    except ValueError:
        return None
    first, last = round((start - begin) * FRAME_RATE), round((stop - begin) * FRAME_RATE)
    levels = partial_levels(part, sample_rate, contour)[first:last]
    f0 = contour.f0_hz[first:last]
    cents = 1200 * np.log2(f0 / np.median(f0))
    strong = levels.mean(axis=0) >= levels.mean(axis=0).max() - 30.0
    bands = band_rms(levels[:, strong])
    partials = np.array([np.nan if np.isnan(row).all() else float(np.nanmedian(row)) for row in bands])
    return Life(partials_db=partials, f0_cents=band_rms(cents),
                noise_db=noise_ratio(part, sample_rate, contour, start - begin, stop - begin),
                brightness=brightness(levels), vibrato=vibrato(cents))


def attack_noise(audio: Array, sample_rate: float, pitch: float, onset_s: float, body_db: float, *,
                 bends: int = 3) -> float:
    """Noise power in the first 40 ms after ``onset_s`` in dB re ``body_db`` (the body's RMS level).

    With quadratic envelopes (``bends`` 3) a tone without noise that speaks in 20 ms is read at -27 dB, with 12 of them
    at -36 dB or less from 200 Hz on; see ``noise_ratio``.
    """
    begin = max(0.0, onset_s - 0.02)
    part = np.asarray(audio[int(begin * sample_rate):int((onset_s + 0.3) * sample_rate)], dtype=np.float64)
    try:
        contour = track_known(part, sample_rate, pitch)
    except ValueError:
        return float("nan")
    start = onset_s - begin
    ratio = noise_ratio(part, sample_rate, contour, start, start + max(0.04, 5.0 / hz_of(pitch)) + 0.001, windows=1,
                        bends=bends)
    stretch = part[int(start * sample_rate):int((start + 0.04) * sample_rate)]
    power = 10 * np.log10(max(float((stretch**2).mean()), 1e-12))
    share = 10 ** (ratio / 10)
    return float(power + 10 * np.log10(share / (1 + share)) - body_db)
