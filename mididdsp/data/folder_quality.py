"""What a recording is worth before anything is learned from it: level, clipping, noise floor, band, and its likeness.

A recording is read from beginning to end, block by block: an hour needs no more memory than a minute, but for a few
numbers twenty times a second. Conventions: levels are dB re full scale of the mono sound; times are seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.audio_stream import opening
from mididdsp.data.recordings import DataError
from mididdsp.synthesis.analysis import ANALYSIS_RATE, CONTENT_HZ
from mididdsp.units import FRAME_RATE, SILENCE_DB

Array = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]

CELL_S = 0.05
"""Length of the cells that levels, clipping and likeness are kept in."""

CLIPPED = 0.999
"""Samples at or beyond this share of full scale are clipped where several follow each other."""

_FLAT_RUN = 4
_FLAT_LEVEL = 0.25
_BLOCK = 1 << 18
_BANDS_HZ = tuple(float(edge) for edge in 200.0 * 2.0 ** (np.arange(35) / 6.0))
"""Edges of bands a sixth of an octave wide: they tell two parts of one rhythm apart."""

_CLIFF_DB = 22.0
_CLIFF_LOWEST_HZ = 2_500.0
_BAND_HZ = 250.0
_LIKE_DEPTH_DB = 45.0
_SOUNDING_DB = 60.0
_LIKE_REACH_S = 2.5
_LONGEST_MONO_GAP_DB = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What was seen of a whole recording.

    Attributes:
        digest: SHA-256 of the file's bytes.
        seconds: its length.
        sample_rate: of the file, Hz.
        channels: of the file.
        peak: largest absolute sample; beyond 1 where a lossy file was clipped before.
        downmix: ``mean``, or the channel (``1``, ``2`` …) that is taken alone where the others are silent or turned.
        level_db: mono level of each cell; [C].
        clipped: share of clipped samples of each cell; [C].
        bands_db: level in bands of a sixth of an octave of each cell, for telling two copies of one recording; [C, B].
        ceiling_hz: above this the file carries nothing: half its rate, or where a lossy encoder cut it.
    """

    digest: str
    seconds: float
    sample_rate: int
    channels: int
    peak: float
    downmix: str
    level_db: Float32
    clipped: Float32
    bands_db: Float32
    ceiling_hz: float

    @property
    def loud_db(self) -> float:
        """Level that a tenth of what sounds reaches: the loud playing, however long the rests of a stem are."""
        sounding = self.level_db >= self.level_db.max() - _SOUNDING_DB
        return float(np.percentile(self.level_db[sounding], 90))

    @property
    def floor_db(self) -> float:
        """Level of the quietest cells: silence, room and machine."""
        return float(np.percentile(self.level_db, 2))

    @property
    def clipped_s(self) -> float:
        """Seconds of cells in which something is clipped."""
        return float((self.clipped > 0).sum() * CELL_S)


def blocks(path: Path) -> Iterator[tuple[Float32, int]]:
    """(samples [n, channels], sample rate) of a file from its beginning on, without a constant offset.

    Raises:
        DataError: it is not audio, is cut off or damaged, holds no samples, or samples that are not numbers.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            offset, _ = opening(_read(file), file.samplerate)
        with soundfile.SoundFile(path) as file:
            seen = 0
            for block in _read(file):
                if not np.isfinite(block).all():
                    raise DataError(f"{path} holds samples that are not numbers; export it again")
                seen += len(block)
                yield block - offset if offset.any() else block, file.samplerate
            if not seen:
                raise DataError(f"{path} holds no samples; give a file with sound")
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise DataError(f"{path} cannot be read as audio ({reason}); export it again or take it away") from None


def _read(file: Any) -> Iterator[Float32]:
    """Blocks of an open file to its end."""
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        yield block


def mono_at_analysis_rate(path: Path, downmix: str) -> Iterator[Float32]:
    """The recording as mono blocks at ``ANALYSIS_RATE``; see :func:`blocks` for what it raises."""
    import soxr

    stream: Any = None
    for block, rate in blocks(path):
        mono = np.ascontiguousarray(block.mean(axis=1) if downmix == "mean" else block[:, int(downmix) - 1])
        if rate == ANALYSIS_RATE:
            yield mono
            continue
        if stream is None:
            stream = soxr.ResampleStream(rate, ANALYSIS_RATE, 1, dtype="float32")
        yield stream.resample_chunk(mono)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def survey(path: Path) -> Survey:
    """Read a recording once; see :func:`blocks` for what it raises."""
    products: NDArray[np.float64] | None = None
    peak, samples, rate, channels = 0.0, 0, 0, 0
    for block, found_rate in blocks(path):
        rate, channels = found_rate, block.shape[1]
        wide = block.astype(np.float64)
        products = wide.T @ wide if products is None else products + wide.T @ wide
        peak = max(peak, float(np.abs(block).max()))
        samples += len(block)
    assert products is not None
    downmix = _downmix(products)
    levels, clipped, bands = [], [], []
    spectrum: Array | None = None
    rest = np.zeros((0, channels), np.float32)
    cell = max(1, round(CELL_S * rate))
    for block, _ in blocks(path):
        joined = np.concatenate([rest, block])
        count = len(joined) // cell
        rest = joined[count * cell :]
        if count:
            level, flat, band, power = _cells(joined[: count * cell].reshape(count, cell, channels), rate, downmix)
            levels.append(level)
            clipped.append(flat)
            bands.append(band)
            spectrum = power if spectrum is None else spectrum + power
    if len(rest):  # the last cell, filled up with silence
        whole = np.zeros((1, cell, channels), np.float32)
        whole[0, : len(rest)] = rest
        level, flat, band, power = _cells(whole, rate, downmix)
        levels.append(level)
        clipped.append(flat)
        bands.append(band)
        spectrum = power if spectrum is None else spectrum + power
    assert spectrum is not None
    return Survey(
        digest=_digest(path), seconds=samples / rate, sample_rate=rate, channels=channels, peak=peak, downmix=downmix,
        level_db=np.concatenate(levels), clipped=np.concatenate(clipped), bands_db=np.concatenate(bands),
        ceiling_hz=_ceiling(spectrum, rate))


def _downmix(products: NDArray[np.float64]) -> str:
    """The mean of the channels, unless one is silent beside another or they cancel each other."""
    power = np.diag(products)
    loudest = int(np.argmax(power))
    quiet = power < power[loudest] * 10.0 ** (-_LONGEST_MONO_GAP_DB / 10.0)
    mean = products.sum() / len(products) ** 2
    return str(loudest + 1) if quiet.any() or mean < 0.2 * power[loudest] else "mean"


def _cells(block: Float32, rate: int, downmix: str) -> tuple[Float32, Float32, Float32, Array]:
    """(level, clipped share, bands of each cell, summed power spectrum) of whole cells [C, n, channels]."""
    mono = block.mean(axis=2) if downmix == "mean" else block[:, :, int(downmix) - 1]
    floor = 10.0 ** (SILENCE_DB / 10.0)
    level = 10.0 * np.log10(np.maximum(np.square(mono, dtype=np.float64).mean(1), floor))
    beyond = np.abs(block) >= CLIPPED
    flat = (np.diff(block, axis=1) == 0) & (np.abs(block[:, 1:]) >= _FLAT_LEVEL)
    run = flat[:, _FLAT_RUN - 2 :].copy()
    for back in range(1, _FLAT_RUN - 1):
        run &= flat[:, _FLAT_RUN - 2 - back : -back]
    pairs = beyond[:, 1:] & beyond[:, :-1]
    clipped = pairs.any(2).mean(1) + run.any(2).mean(1)
    power = np.abs(np.fft.rfft(mono * np.hanning(mono.shape[1]), axis=1)) ** 2
    frequency = np.fft.rfftfreq(mono.shape[1], 1.0 / rate)
    edges = np.searchsorted(frequency, _BANDS_HZ)
    inside = np.stack([power[:, low:high].sum(1) for low, high in zip(edges, edges[1:])], axis=1)
    bands = 10.0 * np.log10(np.maximum(inside / mono.shape[1] ** 2, floor))
    return level.astype(np.float32), clipped.astype(np.float32), bands.astype(np.float32), power.sum(0)


def _ceiling(power: Array, rate: int) -> float:
    """Where the content ends: the lowest band after which everything lies a cliff below, else near half the rate."""
    frequency = np.arange(len(power)) * (rate / 2) / max(len(power) - 1, 1)
    count = int(rate / 2 // _BAND_HZ)
    if count < 8:
        return rate * 0.46
    band = np.array([power[(frequency >= low) & (frequency < low + _BAND_HZ)].mean()
                     for low in np.arange(count) * _BAND_HZ])
    level = 10.0 * np.log10(np.maximum(band, 1e-30))
    above = np.maximum.accumulate(level[::-1])[::-1]  # the most there is from here up
    for index in range(int(_CLIFF_LOWEST_HZ / _BAND_HZ), count - 2):
        if level[index] - above[index + 2] > _CLIFF_DB:
            return float(min((index + 1) * _BAND_HZ, rate * 0.46))
    return float(min(rate * 0.46, CONTENT_HZ))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def likeness(one: Survey, other: Survey) -> float:
    """How much two files are copies of one recording, 0–1, whatever their form, gain, or silence around them.

    The correlation of their levels in bands over time, at the shift that suits best, up to 2.5 s.
    """
    a, b = _shape(one), _shape(other)
    if min(len(a), len(b)) < 3 or abs(len(a) - len(b)) * CELL_S > _LIKE_REACH_S:
        return 0.0
    reach = int(_LIKE_REACH_S / CELL_S)
    best = 0.0
    for shift in range(-reach, reach + 1):
        left, right = a[max(0, shift) :], b[max(0, -shift) :]
        count = min(len(left), len(right))
        if count < 0.8 * max(len(a), len(b)) or count < 3:
            continue
        x, y = left[:count] - left[:count].mean(), right[:count] - right[:count].mean()
        scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
        best = max(best, float((x * y).sum()) / scale if scale > 0 else 0.0)
    return best


def _shape(seen: Survey) -> Array:
    """Bands re the loudest, clamped, without the silence at both ends; [C, B]."""
    top = float(seen.bands_db.max())
    values = np.maximum(seen.bands_db - top, -_LIKE_DEPTH_DB)
    loud = np.flatnonzero(values.max(1) > -_LIKE_DEPTH_DB)
    return np.asarray(values[loud[0] : loud[-1] + 1] if len(loud) else values[:0], dtype=np.float64)


def purity(audio: Array, f0_hz: Array, *, every: int = 10) -> tuple[Array, Array]:
    """How much of the sound is not the one tone that was tracked, and whether that is another tone or noise.

    Args:
        audio: mono at ``ANALYSIS_RATE``.
        f0_hz: fundamental of each frame, > 0; [T].
        every: frames between looks.

    Returns:
        (power beside the partials over all power, 0–1 [K]; share of it in its few strongest bins, 0–1 [K]), of frames
        0, ``every``, 2 ``every`` ….
    """
    from scipy import fft

    hop = int(ANALYSIS_RATE / FRAME_RATE)
    looks = np.arange(0, len(f0_hz), every)
    beside, peaked = np.zeros(len(looks)), np.zeros(len(looks))
    for low, high, window_s in ((0.0, 110.0, 0.16), (110.0, 220.0, 0.1), (220.0, np.inf, 0.064)):
        window = int(window_s * ANALYSIS_RATE) // 2 * 2
        size = 1 << int(np.ceil(np.log2(window * 2)))
        taper = np.hanning(window + 1)[:-1].astype(np.float32)
        padded = np.concatenate([np.zeros(window // 2), audio, np.zeros(window)]).astype(np.float32)
        frequency = np.arange(size // 2 + 1) * ANALYSIS_RATE / size
        frequency = frequency[frequency < 5_000.0]
        strongest = 6 * size // window
        mine = np.flatnonzero((f0_hz[looks] >= low) & (f0_hz[looks] < high))
        for start in range(0, len(mine), 256):
            chosen = mine[start : start + 256]
            first = looks[chosen] * hop
            frames = padded[first[:, None] + np.arange(window)[None, :]] * taper
            power = np.abs(fft.rfft(frames, size, axis=1)[:, : len(frequency)]) ** 2
            f0 = f0_hz[looks[chosen]][:, None]
            number = np.rint(frequency / f0)
            tolerance = np.minimum(np.maximum(2.2 / window_s, 0.025 * frequency), 0.35 * f0)
            partial = (number >= 1) & (np.abs(frequency - number * f0) < tolerance)
            audible = (frequency > 0.6 * np.minimum(f0, 400.0)) & (frequency < 12.0 * f0 + 2_000.0)
            rest = np.where(audible & ~partial, power, 0.0)
            total = np.where(audible, power, 0.0).sum(1)
            beside[chosen] = rest.sum(1) / np.maximum(total, 1e-20)
            top = np.partition(rest, -strongest, axis=1)[:, -strongest:].sum(1)
            peaked[chosen] = top / np.maximum(rest.sum(1), 1e-20)
    return beside, peaked
