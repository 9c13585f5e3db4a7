"""What music21 passes over in a MuseData file: slurs, put into the score it has made; directions and signs, listed.

Source: Selfridge-Field (ed.), Beyond MIDI, chapter 27: records of notes with additional notations in columns 32 to 43.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mididdsp.notes.library import music21

_NOTATIONS = slice(31, 43)
_OPENING, _CLOSING = "([{", ")]}"
_READ_BY_MUSIC21 = frozenset("AV>._=i,FEtrM" "-*!+" "mpfszr" " ")
"""Signs; ties, tuplets and accidentals that remind; dynamics."""

_EDITORIAL = re.compile(r"&\d?")


def put_in(score: Any, text: str) -> Iterator[tuple[str, str]]:
    """Put the slurs of a file into music21's score; yields (what, bar) of what is not known."""
    spanner = music21().spanner
    items = [item for item in score.recurse().notes if not item.duration.isGrace]
    records = list(_records(text))
    notes = [(bar, line) for bar, line in records if re.match(r"[A-G]", line)]
    opened: dict[str, Any] = {}
    aligned = len(notes) == len(items)
    for index, (bar, line) in enumerate(notes):
        signs = _EDITORIAL.sub("", line[_NOTATIONS])
        # a slur ends before the next begins on the same note, in whichever order they are written
        for sign in sorted(signs, key=lambda sign: sign not in _CLOSING):
            if sign in _CLOSING:
                first = opened.pop(_OPENING[_CLOSING.index(sign)], None)
                if first is not None:
                    first.getContextByClass("Part").insert(0, spanner.Slur(first, items[index]))
            elif sign in _OPENING and aligned:
                opened[sign] = items[index]
            elif sign in _OPENING:
                yield "slur", bar
            elif sign not in _READ_BY_MUSIC21:
                yield f"sign {sign!r}", bar
    for sign in opened:
        yield f"slur {sign!r} that does not end", ""
    for bar, line in records:
        if line.startswith("*"):
            yield f"direction {' '.join(line[16:].split())!r}", bar


def _records(text: str) -> Iterator[tuple[str, str]]:
    """(bar, line) of the records of music, notes and directions among them."""
    bar = ""
    music = False
    for line in text.splitlines():
        if line.startswith("$"):
            music = True
        elif line.startswith("measure"):
            bar = "".join(re.findall(r"\d+", line)[:1])
        elif line.startswith("/"):
            music = music and not line.startswith("/END")
        elif music and line[:1].strip():
            yield bar, line
