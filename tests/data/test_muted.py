"""Muted recordings under a plain label."""

from __future__ import annotations

from typing import Any

import numpy as np

from mididdsp.data.muted import is_muted, muted_series


def clips(brighter: dict[tuple[int, str], float]) -> list[dict[str, Any]]:
    """A trumpet's clips: brightness rises by 0.6 octaves from velocity 33 to 96, with noise; some sets are brighter."""
    random = np.random.default_rng(0)
    return [
        {"instrument": "trumpet", "length": length, "velocity": velocity, "pitch": float(pitch), "expression": {
            "brightness": 2.0 - pitch / 80.0 + (velocity - 33) / 105.0 + brighter.get((velocity, length), 0.0)
            + 0.1 * random.normal()}}
        for pitch in range(55, 80, 2) for length in ("05", "1", "long") for velocity in (33, 49, 96)
    ]


def test_soft_notes_brighter_than_loud_ones_are_muted() -> None:
    notes = clips({(33, "long"): 1.2, (49, "long"): 1.2})
    muted = muted_series(notes)
    assert muted == {("trumpet", "long")}
    left = [note for note in notes if not is_muted(note, muted)]
    assert {(note["velocity"], note["length"]) for note in notes} - {
        (note["velocity"], note["length"]) for note in left} == {(33, "long"), (49, "long")}


def test_a_set_without_mutes_is_left_alone() -> None:
    assert not muted_series(clips({}))
    assert not muted_series(clips({(33, "05"): 0.4, (49, "05"): 0.4}))  # levelled, yet no brighter than loud ones


def test_notes_without_a_dynamic_say_nothing() -> None:
    notes = [{**note, "velocity": None} for note in clips({(33, "long"): 1.2})]
    assert not muted_series(notes)
    assert not is_muted(notes[0], frozenset({("trumpet", notes[0]["length"])}))
