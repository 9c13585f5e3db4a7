"""Dynamics of Humdrum files: they stand in spines of their own, which music21 does not join to the notes.

Source: the Humdrum user guide on ``**kern`` and ``**dynam``; ``<`` and ``[`` begin and end a crescendo, ``>`` and ``]``
a diminuendo, ``(`` and ``)`` go on with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mididdsp.notes.library import music21
from mididdsp.notes.placed import PlacedPart

_LENGTH = re.compile(r"(\d+)(?:%(\d+))?(\.*)")
_HEARD = ("**kern", "**dynam", "**dyn")
_SILENT = ("**text", "**silbe", "**recip", "**fing", "**harm", "**mxhm", "**function", "**cdata", "**degree",
           "**root", "**color", "**mint", "**ipa")


@dataclass(slots=True)
class _Spine:
    kind: str
    column: int
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Beside:
    """A token of a spine of dynamics: column of the spine of notes it belongs to, quarter notes, as written."""

    column: int
    place: float
    token: str


def beside(text: str) -> tuple[list[Beside], list[str]]:
    """The dynamics of a file, and the kinds of its spines that are neither read nor silent."""
    spines: list[_Spine] = []
    found: list[Beside] = []
    unknown: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("!!"):
            continue
        tokens = line.rstrip("\r\n").split("\t")
        if line.startswith("**"):
            spines = [_Spine(kind=token, column=index) for index, token in enumerate(tokens)]
            unknown = sorted({token for token in tokens if token not in _HEARD + _SILENT})
        elif len(tokens) != len(spines):
            return found, unknown  # damaged from here on; music21 says so
        elif line.startswith("*"):
            spines = _rearranged(spines, tokens)
        elif line.startswith("="):
            reached = max((spine.time for spine in spines if spine.kind == "**kern"), default=0.0)
            for spine in spines:
                spine.time = reached
        elif not line.startswith("!"):
            now = _advance(spines, tokens)
            column = None
            for spine, token in zip(spines, tokens):
                if spine.kind == "**kern":
                    column = spine.column
                elif spine.kind in _HEARD and token not in (".", "") and now is not None:
                    owner = column if column is not None else next(
                        (other.column for other in spines if other.kind == "**kern"), None)
                    if owner is not None:
                        found.append(Beside(owner, now, token))
    return found, unknown


def _advance(spines: Sequence[_Spine], tokens: Sequence[str]) -> float | None:
    """The place of a line of data; the spines of notes go on by what stands in it."""
    now = None
    for spine, token in zip(spines, tokens):
        length = _LENGTH.search(token) if spine.kind == "**kern" and token != "." else None
        if length is None:
            continue
        now = spine.time if now is None else now
        if "q" in token.lower():
            continue
        count = int(length[1])
        quarters = 4.0 * int(length[2] or 1) / count if count else 8.0 * 2 ** (len(length[1]) - 1)
        spine.time = now + quarters * (2.0 - 0.5 ** len(length[3]))
    return now


def _rearranged(spines: Sequence[_Spine], tokens: Sequence[str]) -> list[_Spine]:
    """Spines after a line of interpretations: split, joined, exchanged or ended."""
    result: list[_Spine] = []
    joining = False
    for spine, token in zip(spines, tokens):
        if token == "*v" and joining:
            result[-1].time = max(result[-1].time, spine.time)
            continue
        joining = token == "*v"
        if token == "*-":
            continue
        result.append(spine)
        if token == "*^":
            result.append(_Spine(spine.kind, spine.column, spine.time))
        elif token == "*+":
            result.append(_Spine("", spine.column, spine.time))
        elif token.startswith("**"):
            spine.kind = token
    crossed = [index for index, token in enumerate(tokens) if token == "*x"]
    if len(crossed) == 2 and len(result) == len(tokens):
        result[crossed[0]], result[crossed[1]] = result[crossed[1]], result[crossed[0]]
    return result


def put_in(score: Any, marks: Sequence[Beside]) -> list[str]:
    """Put dynamics into music21's score; returns the tokens that are not known."""
    expressions = music21().expressions
    unknown: list[str] = []
    parts = {part.id: part for part in score.parts}
    columns = sorted({mark.column for mark in marks})
    for column in columns:
        if f"spine_{column}" not in parts:
            unknown += [mark.token for mark in marks if mark.column == column]
            continue
        placed = PlacedPart(parts[f"spine_{column}"])
        own = [mark for mark in marks if mark.column == column]
        open_: tuple[float, int] | None = None
        for mark in own:
            for token in mark.token.split():
                if open_ is not None and (token in "[]" or token[0] in "<>" or token[0].isalpha()):
                    # what closes a hairpin stands at its last note, a new mark after it
                    placed.hairpin(open_[0], mark.place + (1e-3 if token in "[]" else 0.0), open_[1])
                    open_ = None
                if token[0] in "<>":
                    open_ = (mark.place, 1 if token[0] == "<" else -1)
                elif token[0].isalpha():
                    placed.put(mark.place, expressions.TextExpression(token))
                elif token not in ("[", "]", "(", ")"):
                    unknown.append(token)
        if open_ is not None:
            placed.hairpin(open_[0], float("inf"), open_[1])
    return unknown
