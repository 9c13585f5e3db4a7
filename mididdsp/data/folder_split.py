"""A split without leaks: whole recordings on one side, copies and stems of one piece together, and stable for life.

An instrument's recordings are shared out by a hash of their group's name, so that the split does not depend on the
order of files; what was decided once stays, and new recordings join around it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mididdsp.data.folder_quality import Survey, likeness

COPY_LIKENESS = 0.995
"""Above this two files are the same recording: only the first is learned from."""

KIN_LIKENESS = 0.97
"""Above this two files may be: they stay on one side of the split."""

VALID_SHARE = 0.12
TEST_FROM = 10
"""An instrument with at least this many groups has a test split too."""

LARGEST_SHARE = 0.2
"""A group with more of an instrument's time than this is never held out."""

CUT_GAP_S = 5.0
"""Where a recording is cut into train and valid, this much between them belongs to neither."""

SHORTEST_CUT_S = 20.0
"""A recording with less than this to learn from is not cut."""

_SEED = "mididdsp split 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One recording as the split sees it.

    Attributes:
        item: its name.
        instrument: what plays.
        group: what stays together; the same for copies and for stems of one piece.
        seconds: of notes that can be learned from.
    """

    item: str
    instrument: str
    group: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Sides of all recordings.

    Attributes:
        sides: item to ``train``, ``valid`` or ``test``.
        cuts_s: item to the time after which it is valid and before which it is train, for all recordings of an
            instrument that has too few of them to hold out a whole one.
    """

    sides: Mapping[str, str]
    cuts_s: Mapping[str, float]


def kin(surveys: Sequence[Survey]) -> tuple[list[int], list[int]]:
    """(for each recording the first it is a copy of, for each the first it may be a copy of); itself where none."""
    copy, near = list(range(len(surveys))), list(range(len(surveys)))
    shapes = [(seen.bands_db - seen.bands_db.max()).mean(0) for seen in surveys]
    for later in range(len(surveys)):
        for earlier in range(later):
            if copy[later] != later and near[later] != later:
                break
            if surveys[later].digest == surveys[earlier].digest:
                same = 1.0
            elif abs(surveys[later].seconds - surveys[earlier].seconds) > 3.0 or float(
                    np.abs(_clear(shapes[later]) - _clear(shapes[earlier])).mean()) > 6.0:
                continue
            else:
                same = likeness(surveys[earlier], surveys[later])
            if same >= COPY_LIKENESS and copy[later] == later:
                copy[later] = copy[earlier]
            if same >= KIN_LIKENESS and near[later] == later:
                near[later] = near[earlier]
    return copy, near


def best_copies(copies: Sequence[int], surveys: Sequence[Survey]) -> list[int]:
    """For each recording the copy to learn from: the least clipped, then the widest band, then the first.

    Args:
        copies: for each recording the first it is a copy of, as :func:`kin` finds them.
        surveys: of the recordings.
    """
    best: dict[int, int] = {}
    for index, first in enumerate(copies):
        if first not in best or _worth(surveys[index]) > _worth(surveys[best[first]]):
            best[first] = index
    return [best[first] for first in copies]


def _worth(seen: Survey) -> tuple[int, int]:
    """To compare copies by: seconds that are clipped, then the band in quarters of an octave; finer is chance."""
    return -round(seen.clipped_s), round(4.0 * float(np.log2(seen.ceiling_hz)))


def _clear(shape: np.ndarray) -> np.ndarray:
    """Mean bands of a recording; what lies far down differs between a file and its lossy copy."""
    return np.asarray(np.maximum(shape, shape.max() - 40.0))


def split(
    shares: Sequence[Share], *, decided: Mapping[str, str] | None = None, cut_at: Mapping[str, float] | None = None
) -> Split:
    """Choose a side for every recording.

    Args:
        shares: the recordings, copies left out or with the group of what they copy.
        decided: item to side, from the owner's own table or an earlier run; a group follows its first decided member.
        cut_at: item to the time in s at which 1 - ``VALID_SHARE`` of its notes' time has passed, for those that may be
            cut.
    """
    sides: dict[str, str] = {}
    cuts: dict[str, float] = {}
    given = dict(decided or {})
    of_group: dict[str, str] = {}
    for share in shares:
        if share.item in given:
            of_group.setdefault(share.group, given[share.item])
    for instrument in sorted({share.instrument for share in shares}):
        mine = [share for share in shares if share.instrument == instrument]
        seconds: dict[str, float] = {}
        for share in mine:
            seconds[share.group] = seconds.get(share.group, 0.0) + share.seconds
        open_groups = sorted((group for group in seconds if group not in of_group), key=_order)
        for side in ("valid", "test") if len(seconds) >= TEST_FROM else ("valid",):
            of_group |= dict.fromkeys(_held_out(side, open_groups, seconds, of_group), side)
        for group in open_groups:
            of_group.setdefault(group, "train")
        for share in mine:
            sides[share.item] = of_group[share.group]
        learned = [share for share in mine if share.seconds > 0]
        if not any(sides[share.item] == "valid" for share in learned):
            cuts |= {share.item: cut_at[share.item] for share in learned if sides[share.item] == "train"
                     and share.seconds >= SHORTEST_CUT_S and cut_at is not None and share.item in cut_at}
    return Split(sides=sides, cuts_s=cuts)


def _held_out(
    side: str, candidates: Sequence[str], seconds: Mapping[str, float], of_group: Mapping[str, str]
) -> list[str]:
    """Groups to hold out so that a side has its share of the time; none where there are too few of a fit size."""
    total = sum(seconds.values())
    enough = 0.8 * VALID_SHARE * total
    held = sum(time for group, time in seconds.items() if of_group.get(group) == side)
    chosen: list[str] = []
    for group in candidates:
        if held >= enough:
            break
        if group not in of_group and 0 < seconds[group] <= LARGEST_SHARE * total:
            chosen.append(group)
            held += seconds[group]
    return chosen if held >= enough else []


def _order(group: str) -> str:
    return hashlib.sha256(f"{_SEED}\x1f{group}".encode()).hexdigest()


def note_side(side: str, cut_s: float | None, onset_s: float, offset_s: float) -> str | None:
    """The side of a note in a recording; None for what lies in the gap of a cut."""
    if cut_s is None:
        return side
    if offset_s <= cut_s - CUT_GAP_S / 2:
        return "train"
    return "valid" if onset_s >= cut_s + CUT_GAP_S / 2 else None
