"""The recordings at hand and what is known of each: the folder laid out as in ``data/README.md``, and its one split."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

DYNAMIC_VELOCITY = {
    "molto-pianissimo": 20, "pianissimo": 33, "piano": 49, "mezzo-piano": 64, "mezzo-forte": 80, "forte": 96,
    "fortissimo": 112,
}
"""MIDI velocity of each dynamic mark of the recordings."""

ORDINARY_STYLES = frozenset({
    "normal", "arco-normal", "legato", "nonlegato", "tenuto", "vibrato", "molto-vibrato", "non-vibrato", "staccato",
})
"""Styles whose single notes are one steady tone; trills, tremolo, glissando, pizzicato and the like are not."""


class DataError(ValueError):
    """A data folder or a recording is not what it should be; the message says what, where and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file of the collection.

    Attributes:
        item: its name in the split, a path relative to the data folder.
        path: where it is.
        instrument: a name of the table of instruments.
        kind: ``note``, ``phrase`` or ``piece``.
        split: ``train``, ``valid`` or ``test``.
        pitch: labelled MIDI number, None for phrases without one.
        length: length class as labelled.
        dynamic: dynamic mark as labelled.
        style: playing style as labelled.
    """

    item: str
    path: Path
    instrument: str
    kind: str
    split: str
    pitch: float | None
    length: str
    dynamic: str
    style: str

    @property
    def velocity(self) -> int | None:
        """Velocity of the dynamic mark, None for crescendi and the like."""
        return DYNAMIC_VELOCITY.get(self.dynamic)

    def cache_key(self, version: int) -> str:
        """Changes with all that is known of the recording, its split too, and with the version of the analysis."""
        known = (version, self.item, self.instrument, self.kind, self.split, self.pitch, self.length, self.dynamic,
                 self.style)
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


def read_split(folder: Path) -> dict[str, str]:
    """Item to ``train``, ``valid`` or ``test``; DataError when the folder has no split."""
    path = folder / "split.csv"
    if not path.is_file():
        raise DataError(f"{folder} has no split.csv; give the folder that holds philharmonia/ and split.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {row["item"]: row["split"] for row in csv.DictReader(file)}


def philharmonia(folder: Path) -> list[Recording]:
    """The single notes and phrases under ``folder/philharmonia``, sorted by item."""
    split = read_split(folder)
    index = folder / "philharmonia" / "index.csv"
    if not index.is_file():
        raise DataError(f"{index} is missing; give the folder that holds philharmonia/index.csv")
    recordings = []
    with index.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            item = f"philharmonia/{row['file']}"
            if item not in split:
                raise DataError(f"{item} is in the index but not in split.csv; every recording must be in the split")
            recordings.append(Recording(
                item=item, path=folder / item, instrument=row["instrument"], kind=row["kind"], split=split[item],
                pitch=float(row["labelled_pitch"]) if row["labelled_pitch"] else None, length=row["length_class"],
                dynamic=row["dynamic"], style=row["style"]))
    return sorted(recordings, key=lambda recording: recording.item)


def playing_targets(folder: Path) -> dict[str, dict[str, float | None]]:
    """``figures/targets.csv`` by instrument: vibrato share, rate, extent, delay and the level span from pp to ff."""
    path = folder / "figures" / "targets.csv"
    if not path.is_file():
        raise DataError(f"{path} is missing; give the folder that holds figures/targets.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {row["instrument"]: {name: float(value) if value else None for name, value in row.items()
                                    if name not in ("instrument", "basis")} for row in csv.DictReader(file)}
