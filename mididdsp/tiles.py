"""Fixed tiles: every matrix product of the generators has one of a few fixed shapes.

Why: the last bit of a matrix product depends on its shape. A note always fills its own tiles, from the first row on, so
its numbers cannot depend on how many other notes are generated beside it, in which order, or on how many threads.
"""

from __future__ import annotations

FRAME_TILE = 32
"""Frames of one note that go through a network at a time."""


def padded_length(frames: int) -> int:
    """Frames rounded up to whole tiles; at least one tile."""
    return max(1, -(-frames // FRAME_TILE)) * FRAME_TILE
