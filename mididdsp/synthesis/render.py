"""Parameters to sound: segments to dry mono audio, in one piece or as a stream.

Conventions: production. A segment's first sample is the first at or after its start time, wherever that falls between
samples; its last frame is held for one frame. Levels at or below -120 dB are exactly zero, and so are rests. A sound
whose parameters do not start or end in silence is faded over 1.5 ms there, so that it cannot click.

A segment's audio depends on the segment and the seed alone: noise and the phases of partials are keyed by the segment's
id. Work goes in fixed tiles counted from the segment's start, so neither the block size of a stream nor the length of a
slur changes a bit or the memory needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.random import keyed_generator
from mididdsp.synthesis.dsp.noise import noise_tiles, random_spectra
from mididdsp.synthesis.dsp.period_tables import SAMPLE_TOLERANCE, TILE_FRAMES, tone_samples, tone_tiles
from mididdsp.synthesis.skirts import NOISE_FRAMES, REACH, turned
from mididdsp.synthesis.types import Float32, Segment
from mididdsp.units import FRAME_RATE, SILENCE_DB

RAMP_S = 0.0015
"""Fade of a start or end that is not silent by itself: short beside any attack, long beside a click."""

IN_PHASE, PHASE_SPREAD = 9, 0.25
"""Partials up to the first start in phase; above, the standard deviation of their phases grows by the second, rad, from
each to the next.

Partials in phase are one pulse a period: a buzz that no measure of spectra tells. In recordings body, microphone and
room have spread them. Inside a period the envelope of the octave from 4 to 8 kHz rises 5 to 7 dB over its mean (97th
percentile), as noise's does; in phase it rises 10 to 11. The lowest keep their pulse, as those of brass do: with all
of them spread, trackers of pitch hear another octave of low notes (3 % of frames of low instruments, training phrases).
"""

_LEAST_SHARE = np.float32(1e-7)
"""Of a partial among all; what is less is not there, and is still."""

RenderPart = Literal["harmonic", "noise"]

ALL_PARTS: tuple[RenderPart, ...] = ("harmonic", "noise")


def first_sample(start_s: float, sample_rate: float) -> int:
    """Index of the first sample at or after a time; the one home of this rounding."""
    return int(np.ceil(start_s * sample_rate - SAMPLE_TOLERANCE))


def start_phases(name: str, partials: int, seed: int) -> NDArray[np.float64]:
    """Phases of partials 1..H where the segment of that name begins, radians; [H]. The first ``IN_PHASE`` start at 0,
    and a larger H changes no other's.

    Source: Plomp and Steeneken 1969, "Effect of phase on the timbre of complex tones".
    """
    drawn = keyed_generator(seed, name, "phases").standard_normal(partials)
    return np.asarray(PHASE_SPREAD * np.maximum(np.arange(1, partials + 1) - IN_PHASE, 0) * drawn)


def turning(segment: Segment, first: int, last: int, seed: int) -> Float32:
    """By how much partials are turned in frames [first, last) of a segment; radians, [last - first, H].

    Where in the noise a partial's phases are taken from hangs on the segment's id and the partial's number.
    """
    low, high = max(0, first - REACH), min(segment.frames, last + REACH)
    share = np.maximum(segment.harmonics[low:high].T, _LEAST_SHARE)
    total_db = np.maximum(segment.amplitude_db[low:high], SILENCE_DB)
    places = keyed_generator(seed, segment.id, "skirts").integers(NOISE_FRAMES, size=len(share))
    phases = turned(np.log(share) + np.float32(np.log(10.0) / 20.0) * total_db, places + low)
    return phases[:, first - low : last - low].T


def render_segment(
    segment: Segment,
    *,
    noise_edges_hz: Sequence[float],
    sample_rate: int,
    seed: int,
    frame_rate: float = FRAME_RATE,
    parts: Sequence[RenderPart] = ALL_PARTS,
    skirts: bool = False,
) -> tuple[int, Float32]:
    """The sound of one segment.

    Args:
        segment: what to render.
        noise_edges_hz: edges of its noise bands, increasing, B + 1 values.
        sample_rate: Hz.
        seed: of the noise and of the partials' phases.
        frame_rate: frames per second.
        parts: "harmonic", "noise" or both.
        skirts: noise around the partials turns their phases, as in generated sounds (``SynthParams``).

    Returns:
        Index of the first sample from the start of the piece, which is below 0 for a segment that starts before it,
        and the dry mono audio, float32.

    Raises:
        ValueError: edges that do not fit the bands, or an unknown part.
    """
    pieces = list(_segment_pieces(segment, noise_edges_hz, sample_rate, seed, frame_rate, parts, skirts))
    audio = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    return first_sample(segment.start_s, sample_rate), audio


def render_stream(
    segments: Iterable[Segment],
    *,
    noise_edges_hz: Sequence[float],
    sample_rate: int,
    seed: int,
    block_s: float = 5.0,
    frame_rate: float = FRAME_RATE,
    parts: Sequence[RenderPart] = ALL_PARTS,
    skirts: bool = False,
) -> Iterator[Float32]:
    """The sound of a part, block by block from time 0 to the end of its last segment.

    Overlapping segments are summed in the order they come. What lies before time 0 is not heard. Segments are taken
    from the iterable as their time comes, and a long one is rendered as the blocks need it: memory does not grow with
    the length of the piece.

    Args:
        segments: in order of ``start_s``.
        noise_edges_hz: edges of their noise bands, increasing, B + 1 values.
        sample_rate: Hz.
        seed: of the noise and of the partials' phases.
        block_s: length of the blocks, s; the last is shorter. No bit of the sound depends on it.
        frame_rate: frames per second.
        parts: "harmonic", "noise" or both.
        skirts: as in ``render_segment``.

    Yields:
        Consecutive dry mono blocks, float32; exact zeros where nothing sounds.

    Raises:
        ValueError: a segment that starts before the one in front of it, a block below one sample, or what
            ``render_segment`` refuses.
    """
    block = round(block_s * sample_rate)
    if block < 1:
        raise ValueError(f"block_s is {block_s} s, which is no sample at {sample_rate} Hz; give a longer block")
    coming = iter(segments)
    ahead = next(coming, None)
    sounding: list[tuple[int, _Reader]] = []
    now = 0
    while ahead is not None or sounding:
        out = np.zeros(block, dtype=np.float32)
        while ahead is not None and first_sample(ahead.start_s, sample_rate) < now + block:
            pieces = _segment_pieces(ahead, noise_edges_hz, sample_rate, seed, frame_rate, parts, skirts)
            reader = _Reader(pieces)
            start = first_sample(ahead.start_s, sample_rate)
            if start < 0:
                reader.read(-start)
            sounding.append((max(start, 0), reader))
            following = next(coming, None)
            if following is not None and following.start_s < ahead.start_s:
                raise ValueError(f"segment {following.id} starts at {following.start_s} s, before segment {ahead.id} "
                                 f"at {ahead.start_s} s; give segments in order of time")
            ahead = following
        end, still = 0, []
        for start, reader in sounding:
            at = max(start - now, 0)
            sound = reader.read(block - at)
            out[at : at + len(sound)] += sound
            end = max(end, at + len(sound))
            if not reader.finished:
                still.append((start, reader))
        sounding = still
        now += block
        if ahead is not None or sounding:
            yield out
        elif end:
            yield out[:end]


class _Reader:
    """Reads any number of samples at a time from pieces of any length."""

    def __init__(self, pieces: Iterator[Float32]) -> None:
        self._pieces = pieces
        self._waiting: deque[Float32] = deque()
        self._ready = 0
        self.finished = False

    def read(self, samples: int) -> Float32:
        """The next samples, fewer at the end; then ``finished`` tells whether any are left."""
        while self._ready <= samples and not self.finished:  # one more than asked, to know whether the end is reached
            piece = next(self._pieces, None)
            if piece is None:
                self.finished = True
            else:
                self._waiting.append(piece)
                self._ready += len(piece)
        taken, left = [np.zeros(0, dtype=np.float32)], samples
        while self._waiting and left:
            piece = self._waiting.popleft()
            if len(piece) > left:
                self._waiting.appendleft(piece[left:])
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        self._ready -= samples - left
        return np.concatenate(taken)


def _segment_pieces(segment: Segment, noise_edges_hz: Sequence[float], sample_rate: int, seed: int, frame_rate: float,
                    parts: Sequence[RenderPart], skirts: bool) -> Iterator[Float32]:
    """The sound of a segment in pieces of about half a second, whose borders depend on the segment alone."""
    if unknown := set(parts) - set(ALL_PARTS):
        raise ValueError(f'"{min(unknown)}" is no part of a sound; use "harmonic" and "noise"')
    bands = segment.noise_db.shape[1]
    if len(noise_edges_hz) != bands + 1:
        raise ValueError(f"segment {segment.id} has {bands} noise bands, which need {bands + 1} edges; "
                         f"{len(noise_edges_hz)} were given")
    offset_s = max(0.0, first_sample(segment.start_s, sample_rate) / sample_rate - segment.start_s)
    samples = tone_samples(segment.frames, sample_rate, frame_rate, offset_s)
    streams = []
    if "harmonic" in parts and segment.harmonics.shape[1] > 0:
        tone = _harmonic_tiles(segment, sample_rate, frame_rate, offset_s, seed, skirts)
        ends = _audible(segment.amplitude_db[[0, -1]])
        streams.append(_Reader(_ramped(tone, samples, sample_rate, bool(ends[0]), bool(ends[1]))))
    if "noise" in parts and bool((segment.noise_db > SILENCE_DB).any()):
        # Blocks reach back over the start even where the first frame is silent, so noise always has its ramps.
        noise = _noise_tiles(segment, noise_edges_hz, sample_rate, frame_rate, offset_s, samples, seed)
        streams.append(_Reader(_ramped(noise, samples, sample_rate, True, True)))
    piece = round(TILE_FRAMES / frame_rate * sample_rate)
    for first in range(0, samples, piece):
        total = np.zeros(min(piece, samples - first), dtype=np.float32)
        for stream in streams:
            total += stream.read(len(total))
        yield total


def _audible(level_db: Float32) -> NDArray[np.bool_]:
    """True above the level where sound is exactly zero; NaN counts as silence."""
    return np.asarray(level_db > SILENCE_DB)


def _amplitude(level_db: Float32) -> Float32:
    """Linear amplitude of levels in dB, exactly 0 at or below -120."""
    quiet = ~_audible(level_db)
    linear = np.power(np.float32(10.0), np.where(quiet, np.float32(0.0), level_db) / np.float32(20.0))
    return np.where(quiet, np.float32(0.0), linear).astype(np.float32)


def _harmonic_tiles(segment: Segment, sample_rate: int, frame_rate: float, offset_s: float,
                    seed: int, skirts: bool) -> Iterator[Float32]:
    total = _amplitude(segment.amplitude_db)

    def amplitudes(first: int, last: int) -> Tensor:
        return torch.from_numpy(segment.harmonics[first:last] * total[first:last, None])

    f0_hz = torch.from_numpy(segment.f0_hz.copy())  # a copy: values may be read-only, which torch warns of
    partials = segment.harmonics.shape[1]
    starting = torch.from_numpy(start_phases(segment.id, partials, seed))

    def phases(first: int, last: int) -> Tensor:
        if not skirts:
            return starting.expand(last - first, -1)
        return starting + torch.from_numpy(turning(segment, first, last, seed))

    return _single_threaded(tone_tiles(f0_hz, amplitudes, partials, sample_rate=sample_rate, frame_rate=frame_rate,
                                       offset_s=offset_s, phases_of=phases))


def _noise_tiles(segment: Segment, edges_hz: Sequence[float], sample_rate: int, frame_rate: float, offset_s: float,
                 samples: int, seed: int) -> Iterator[Float32]:
    generator = keyed_generator(seed, segment.id, "noise")

    def levels(first: int, last: int) -> Tensor:
        return torch.from_numpy(_amplitude(segment.noise_db[first:last]))

    return _single_threaded(noise_tiles(levels, segment.frames, samples,
                                        lambda blocks: random_spectra(generator, blocks, sample_rate),
                                        edges_hz=edges_hz, sample_rate=sample_rate, frame_rate=frame_rate,
                                        offset_s=offset_s))


def _single_threaded(tiles: Iterator[Tensor]) -> Iterator[Float32]:
    """Each tile computed on one thread without gradients: small tiles gain nothing from two, and matrix products and
    FFTs may change their last bits with the number of threads."""
    while True:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                tile = next(tiles, None)
        finally:
            torch.set_num_threads(threads)
        if tile is None:
            return
        yield tile.numpy()


def _ramped(tiles: Iterator[Float32], samples: int, sample_rate: int, fade_in: bool,
            fade_out: bool) -> Iterator[Float32]:
    """The tiles with a raised-cosine fade over the first and the last samples of the whole."""
    length = min(max(1, round(RAMP_S * sample_rate)), samples // 2)
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(length, 1))).astype(np.float32)
    position = 0
    for tile in tiles:
        out = tile
        if fade_in and position < length:
            inside = rise[position : position + len(out)]
            out = np.concatenate([out[: len(inside)] * inside, out[len(inside) :]])
        if fade_out and position + len(out) > samples - length:
            start = max(0, samples - length - position)
            fall = rise[::-1][position + start - (samples - length) :][: len(out) - start]
            out = np.concatenate([out[:start], out[start:] * fall])
        position += len(tile)
        yield out
