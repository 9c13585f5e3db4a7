"""Dynamics of a score as a line: from marks and hairpins to a velocity at every place.

Conventions: places are quarter notes as written; levels are MIDI velocities, a mark's by the table below. A hairpin
leads to the mark at its end; where there is none, or one that leads the other way, it moves one step. What a hairpin
has reached holds until the next mark. A written *cresc.* or *dim.* lasts until the next mark, at most four bars.

Source: the velocities of the marks are MuseScore 3's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

VELOCITIES = MappingProxyType({
    "pppppp": 5, "ppppp": 7, "pppp": 10, "ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112,
    "fff": 126, "ffff": 127, "fffff": 127, "ffffff": 127, "n": 5,
})
"""Velocity of each mark that holds until the next."""

ON_ONE_NOTE = frozenset(("sf", "sfz", "fz", "rf", "rfz", "sff", "sffz", "sfffz"))
"""Marks that accent the note they stand at and leave the level as it is."""

DROPPING = MappingProxyType({
    "fp": ("f", "p"), "sfp": ("f", "p"), "fzp": ("f", "p"), "sfzp": ("f", "p"), "sfpp": ("f", "pp"),
    "ffp": ("ff", "p"), "pf": ("p", "f"),
})
"""Marks that begin a note at one level and go on at another at once."""

DEFAULT_VELOCITY = 80
"""Before the first mark of a part that has marks: mf."""

STEP = 16
"""From one mark to the next, in velocity."""

SOFTEST, LOUDEST = 10.0, 127.0

DB_PER_VELOCITY = 0.29
"""What a unit of velocity is inside a held note: players' span from pp (33) to ff (112) is 23 dB."""

DROP_QUARTERS = 0.25
"""How long the strong beginning of an fp lasts, at most, in quarter notes."""

CLOSE_QUARTERS = 1.0
"""A mark this near to the end of a hairpin is where it leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hairpin:
    """A crescendo (``direction`` 1) or diminuendo (-1) between two places; ``end`` None lasts until the next mark."""

    start: float
    end: float | None
    direction: int


class Dynamics:
    """The velocity asked for at every place of a part.

    Args:
        marks: (place, mark) with marks of ``VELOCITIES`` or ``DROPPING``; others are passed over.
        hairpins: of the part; a later one ends one before it.
        longest: of a hairpin without an end, quarter notes.
        end: of the part.
    """

    def __init__(
        self, marks: Iterable[tuple[float, str]], hairpins: Iterable[Hairpin], *, longest: float, end: float
    ) -> None:
        given = dict(sorted((place, mark) for place, mark in marks if mark in VELOCITIES or mark in DROPPING))
        ordered = sorted(hairpins, key=lambda hairpin: hairpin.start)
        self.says_something = bool(given or ordered)
        self.drops = {place: mark for place, mark in given.items() if mark in DROPPING}
        # A step is two points at one place: the level on the way to it, and the level from it on.
        self._places: list[float] = [float("-inf")]
        self._levels: list[float] = [float(DEFAULT_VELOCITY)]
        places = list(given)
        events: list[tuple[float, int]] = [(place, -1) for place in places]
        events += [(hairpin.start, index) for index, hairpin in enumerate(ordered)]
        for place, index in sorted(events):
            if index < 0:
                self._turn(place, _velocity(given[place]))
                continue
            hairpin = ordered[index]
            following = bisect_right(places, place)
            mark = places[following] if following < len(places) else None
            stop = min(place + longest, end) if hairpin.end is None else hairpin.end
            later = ordered[index + 1].start if index + 1 < len(ordered) else None
            stop = min([stop, *(limit for limit in (mark, later) if limit is not None)])
            if stop <= place:
                continue
            level = self.velocity(place)
            target = level + hairpin.direction * STEP
            if mark is not None and mark <= stop + CLOSE_QUARTERS:
                asked = _velocity(given[mark])
                if (asked - level) * hairpin.direction > 0:
                    target = asked
            self._turn(place, level)
            self._places.append(stop)
            self._levels.append(min(max(target, SOFTEST), LOUDEST))

    def _turn(self, place: float, level: float) -> None:
        """From ``place``, at or after the last point, hold ``level``."""
        self._places += [place, place]
        self._levels += [self._levels[-1], level]

    def velocity(self, place: float) -> float:
        """The velocity from a place on."""
        return self._between(bisect_right(self._places, place) - 1, place)

    def before(self, place: float) -> float:
        """The velocity on the way to a place: what it is before a step that stands there."""
        return self._between(max(bisect_left(self._places, place) - 1, 0), place)

    def turns(self, start: float, end: float) -> list[float]:
        """Places strictly between two where the line turns or steps, each once."""
        return sorted({place for place in self._places if start < place < end})

    def _between(self, index: int, place: float) -> float:
        low, level = self._places[index], self._levels[index]
        if index + 1 == len(self._places) or low == float("-inf"):
            return level
        share = (place - low) / (self._places[index + 1] - low)
        return level + (self._levels[index + 1] - level) * share


def _velocity(mark: str) -> float:
    return float(VELOCITIES[DROPPING[mark][1]] if mark in DROPPING else VELOCITIES[mark])
