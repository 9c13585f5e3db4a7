"""Lines drawn over the noise and over bands of the partials, put into a segment that is made.

They leave all else of the sound as it is, so they need no model: a band's partials are raised or lowered, or set to a
level, and the noise as a whole likewise. Where notes are joined, each note's lines fade into the next's over
``BLEND_S``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mididdsp.synthesis.types import Segment
from mididdsp.units import FRAME_RATE, SILENCE_DB

Array = NDArray[np.floating[Any]]

BLEND_S = 0.02
"""From the lines of one note to those of the next: too short to hear as a fade, too long to click."""


class Drawn(Protocol):
    """The curves of a part: what becomes of a note's line, as (factor, summand) over times, or None."""

    def __call__(
        self, target: str, note_id: str, times: Array, band: tuple[int, int] | None = None
    ) -> tuple[Array, Array] | None: ...

    def bands(self, note_id: str) -> Sequence[tuple[int, int]]:
        """The bands of partials in which something is drawn on a note."""


def with_drawn(segment: Segment, onsets: Sequence[float], offset: float, drawn: Drawn) -> Segment:
    """A segment with the lines of noise and partials that are drawn on its notes.

    A line that sets a level rules the body: the attack rises to it and the release falls from it as they did.

    Args:
        segment: of the notes, at 250 frames a second.
        onsets: when each note of the segment begins to sound, s.
        offset: when the last of them ends, s.
        drawn: the curves of the part.

    Returns:
        The same segment where nothing is drawn.
    """
    bands = sorted({band for note_id in segment.note_ids for band in drawn.bands(note_id)})
    times = segment.start_s + np.arange(segment.frames) / FRAME_RATE
    body = slice(*(int(np.clip(round((time - segment.start_s) * FRAME_RATE), 0, segment.frames - 1))
                   for time in (onsets[0], offset)))

    def shift(generated: Array, line: Callable[[str], tuple[Array, Array] | None]) -> Array | None:
        """dB to add to a generated level, or None."""
        lines = [line(note_id) for note_id in segment.note_ids]
        if not any(lines):
            return None
        total = np.zeros(segment.frames)
        for (start, end), found in zip(_spans(onsets), lines):
            if found is None:
                continue
            weight = np.clip((times - start) / BLEND_S + 0.5, 0.0, 1.0) * np.clip(
                (end - times) / BLEND_S + 0.5, 0.0, 1.0)
            factor, summand = found
            total += weight * ((factor - 1.0) * _held(generated, body) + summand)
        return total

    noise = segment.noise_db.astype(np.float64)
    moved = shift(_level(10.0 ** (noise / 10.0)), lambda note_id: drawn("noise", note_id, times))
    if moved is not None:
        segment = replace(segment, noise_db=np.maximum(noise + moved[:, None], -150.0).astype(np.float32))
    for band in bands:
        segment = _with_band(segment, band, shift, lambda note_id: drawn("partials", note_id, times, band))  # noqa: B023
    return segment


def _with_band(
    segment: Segment, band: tuple[int, int], shift: Callable[[Array, Any], Array | None], line: Any
) -> Segment:
    inside = slice(band[0] - 1, band[1])
    amplitude = 10.0 ** (segment.amplitude_db[:, None].astype(np.float64) / 20.0) * segment.harmonics
    if not amplitude[:, inside].any():
        return segment  # the instrument has no such partials at this pitch
    moved = shift(_level(amplitude[:, inside] ** 2 / 2.0), line)
    if moved is None:
        return segment
    amplitude[:, inside] *= 10.0 ** (moved[:, None] / 20.0)
    total = np.maximum(amplitude.sum(axis=1), 1e-12)
    return replace(
        segment, amplitude_db=np.maximum(20.0 * np.log10(total), -150.0).astype(np.float32),
        harmonics=(amplitude / total[:, None]).astype(np.float32))


def _level(power: Array) -> Array:
    return np.asarray(10.0 * np.log10(np.maximum(power.sum(axis=1), 10.0 ** (SILENCE_DB / 10.0))))


def _spans(onsets: Sequence[float]) -> list[tuple[float, float]]:
    """From when to when each note's lines act: the first from the segment's start, the last to its end."""
    return list(zip([-np.inf, *onsets[1:]], [*onsets[1:], np.inf]))


def _held(level: Array, body: slice) -> Array:
    """A level that holds, before it has risen and after the offset, what it is there."""
    inside = level[body]
    if len(inside) == 0:
        return np.full(len(level), level[min(body.start, len(level) - 1)])
    risen = body.start + int(np.argmax(inside >= np.median(inside) - 3.0))
    held = level.copy()
    held[:risen], held[body.stop:] = level[risen], level[body.stop - 1]
    return held
