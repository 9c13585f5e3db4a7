"""Tiles: lengths are rounded up, never down, and to few values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mididdsp.tiles import FRAME_TILE, padded_length


@given(frames=st.integers(0, 10**7))
def test_lengths_are_the_next_whole_tiles(frames: int) -> None:
    length = padded_length(frames)
    assert length % FRAME_TILE == 0
    assert length >= max(frames, 1)
    assert length - frames < FRAME_TILE or frames == 0


def test_a_note_without_frames_takes_one_tile() -> None:
    assert padded_length(0) == padded_length(1) == padded_length(FRAME_TILE) == FRAME_TILE
    assert padded_length(FRAME_TILE + 1) == 2 * FRAME_TILE
