"""Repeats, voltas and jumps of a score, unfolded: in which order its bars are played.

Conventions, as players read them: a repeat goes back to the last opening sign, or to the start; a bar under a volta is
played in the passes the volta names; after a da capo or dal segno repeats are not taken again and the last volta is
played. A jump is taken once. Whatever signs a score has, the result ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

JUMPS = ("dc", "dc_fine", "dc_coda", "ds", "ds_fine", "ds_coda")
"""Da capo and dal segno; plain, until *fine*, or with a leap to the coda."""

SIGNS = ("segno", "coda", "to_coda", "fine", *JUMPS)

MOST_BARS = 100_000
"""Played bars; no piece has more, only a broken score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The signs of a bar as written.

    Attributes:
        opens: an opening repeat sign at its start.
        closes: how often the passage that ends here is played; 0 without a closing repeat sign.
        volta: the passes in which the bar is played; empty means all.
        signs: of ``SIGNS``.
    """

    opens: bool = False
    closes: int = 0
    volta: frozenset[int] = frozenset()
    signs: frozenset[str] = frozenset()


def unfold(bars: Sequence[Bar]) -> tuple[int, ...]:
    """The indices of the bars in the order they are played.

    Raises:
        ValueError: the signs lead to more than ``MOST_BARS`` bars.
    """
    order: list[int] = []
    index = start = 0
    number = 1
    jump = ""
    in_volta = False
    while index < len(bars):
        bar = bars[index]
        if bar.opens and index != start:
            start, number = index, 1
        if in_volta and not bar.volta and number > 1:  # past the last volta: what follows is played for the first time
            start, number = index, 1
        in_volta = bool(bar.volta)
        if bar.volta and (max(_volta_numbers(bars, index)) if jump else number) not in bar.volta:
            index += 1
            continue
        order.append(index)
        if len(order) > MOST_BARS:
            raise ValueError(f"its repeats lead to more than {MOST_BARS} bars; correct its repeat signs")
        if jump.endswith("fine") and "fine" in bar.signs:
            break
        if jump.endswith("coda") and "to_coda" in bar.signs:
            coda = _find(bars, "coda", after=index)
            if coda is not None:
                index = coda
                continue
        if bar.closes and not jump:
            again = number + 1 in _volta_numbers(bars, index) if bar.volta else number < bar.closes
            if again:
                number += 1
                index = start
                in_volta = False
                continue
            start, number = index + 1, 1
            in_volta = False
        asked = next((sign for sign in JUMPS if sign in bar.signs), "")
        if asked and not jump:
            jump = asked
            segno = _find(bars, "segno") if asked.startswith("ds") else None
            index = start = segno or 0
            number, in_volta = 1, False
            continue
        index += 1
    return tuple(order)


def _volta_numbers(bars: Sequence[Bar], index: int) -> frozenset[int]:
    """All passes that the voltas around a bar name: of the run of bars under voltas it lies in."""
    first = last = index
    while first > 0 and bars[first - 1].volta:
        first -= 1
    while last + 1 < len(bars) and bars[last + 1].volta:
        last += 1
    return frozenset().union(*(bar.volta for bar in bars[first : last + 1])) or frozenset((1,))


def _find(bars: Sequence[Bar], sign: str, after: int = -1) -> int | None:
    return next((index for index, bar in enumerate(bars) if index > after and sign in bar.signs), None)
