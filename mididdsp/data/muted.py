"""Soft notes that were recorded with a mute though no label says so.

A note played softer is never brighter than the same note played loud. Where the soft notes of an instrument that share
a label of length (they were recorded in one go) are, they were played with a mute or on another instrument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

LOUD, SOFT = 96, 80
"""Velocities from ``LOUD`` on are loud, below ``SOFT`` soft; a mute is taken out for the loud ones alone."""

BRIGHTER_OCTAVES = 0.25
"""By so much the median of a muted set lies above the loud notes of its pitches; of other sets -0.1 at the median."""

NEAR_SEMITONES = 2.5
FEWEST = 5

Series = tuple[str, str]
"""An instrument and a label of length."""


def series_of(facts: Mapping[str, Any]) -> Series:
    """The set that a single note was recorded in."""
    return facts["instrument"], facts["length"]


def muted_series(notes: Iterable[Mapping[str, Any]]) -> frozenset[Series]:
    """The sets whose soft notes are brighter than the loud notes of other sets at their pitches.

    Args:
        notes: facts of single notes (``mididdsp.data.clips.analyse_clip``); those without a dynamic are passed over.
    """
    known = [facts for facts in notes if facts["velocity"] is not None]
    loud: dict[str, list[Mapping[str, Any]]] = {}
    for facts in known:
        if facts["velocity"] >= LOUD:
            loud.setdefault(facts["instrument"], []).append(facts)
    above: dict[Series, list[float]] = {}
    for facts in known:
        if facts["velocity"] >= SOFT:
            continue
        others = [other["expression"]["brightness"] for other in loud.get(facts["instrument"], ())
                  if abs(other["pitch"] - facts["pitch"]) <= NEAR_SEMITONES and other["length"] != facts["length"]]
        if len(others) >= 2:
            above.setdefault(series_of(facts), []).append(facts["expression"]["brightness"] - float(np.median(others)))
    return frozenset(series for series, rises in above.items()
                     if len(rises) >= FEWEST and float(np.median(rises)) > BRIGHTER_OCTAVES)


def is_muted(facts: Mapping[str, Any], muted: frozenset[Series]) -> bool:
    """Whether a single note belongs to the soft ones of a muted set."""
    return facts["velocity"] is not None and facts["velocity"] < LOUD and series_of(facts) in muted
