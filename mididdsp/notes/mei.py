"""What music21 passes over in an MEI file, put into the score it has made: dynamics, hairpins, tempo, ornaments.

music21 reads the notes, ties and slurs of a measure; its control events (``dynam``, ``dir``, ``trill`` ...) stand
beside the staves and are read here, placed by the note they name or by their beat. What is not known is listed.

Source: the MEI guidelines 4.0, chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from mididdsp.notes.library import music21
from mididdsp.notes.placed import PlacedPart

_ID = "{http://www.w3.org/XML/1998/namespace}id"
_READ_BY_MUSIC21 = ("staff", "slur", "tie", "tupletSpan", "beamSpan", "sb", "pb", "mNum", "annot", "fing")

_HALF = {"long": "breve", "breve": "1", "1": "2", "2": "4", "4": "8", "8": "16", "16": "32", "32": "64", "64": "128"}
_UNITS = ("8", "16", "32", "64", "128", "256", "512", "1024")
"""Lengths of repeated notes; the first has one flag."""

_ORNAMENTS = {"trill": ("Trill", "Trill"), "mordent": ("Mordent", "InvertedMordent"),
              "turn": ("InvertedTurn", "Turn")}
"""Element to the sign it is, with ``form="lower"`` and without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tremolo:
    """A tremolo: its strokes (flags of the repeated notes, 0 where it is not understood) and the ids of its notes."""

    strokes: int
    ids: tuple[str, ...]


def unwrapped(root: Element) -> list[Tremolo]:
    """Take the notes out of ``bTrem`` and ``fTrem``, which music21 loses; returns the tremolos.

    Each of the two notes of an ``fTrem`` is written with the length of both together, and is made half as long.
    """
    found: list[Tremolo] = []
    for parent in list(root.iter()):
        for child in list(parent):
            kind = _local(child)
            if kind not in ("bTrem", "fTrem"):
                continue
            notes = [item for item in child if _local(item) in ("note", "chord")]
            pair = kind == "fTrem" and len(notes) == 2 and all(item.get("dur") in _HALF for item in notes)
            ids: list[str] = []
            for item in notes:
                item.set(_ID, item.get(_ID) or f"tremolo-{len(found)}-{len(ids)}")
                ids.append(str(item.get(_ID)))
                if pair:
                    item.set("dur", _HALF[item.get("dur", "")])
            known = pair or (kind == "bTrem" and len(notes) == 1)
            found.append(Tremolo(strokes=_strokes(child, notes) if known else 0, ids=tuple(ids)))
            place = list(parent).index(child)
            parent[place : place + 1] = list(child)
    return found


def _strokes(tremolo: Element, notes: Sequence[Element]) -> int:
    """Flags of the repeated notes: by their length, their strokes or their beams, else three."""
    unit = tremolo.get("unitdur", "")
    if unit in _UNITS:
        return _UNITS.index(unit) + 1
    marks = [item.get("stem.mod", "") for item in (*notes, tremolo)]
    for mark in (*marks, tremolo.get("beams", "")):
        if mark[:1].isdigit() and mark[0] != "0":
            return int(mark[0])
    return 3


def put_in(score: Any, root: Element, tremolos: Sequence[Tremolo]) -> list[tuple[str, str]]:
    """Put the control events of a file into music21's score; returns (what, bar) of those that are not known."""
    expressions = music21().expressions
    parts = list(score.parts)
    placed = [PlacedPart(part) for part in parts]
    items = {item.id: item for part in parts for item in part.recurse().notes}
    measures = [element for element in root.iter() if _local(element) == "measure"]
    unknown: list[tuple[str, str]] = []
    for tremolo in tremolos:
        notes = [items[name] for name in tremolo.ids if name in items]
        if not tremolo.strokes or len(notes) != len(tremolo.ids):
            bar = notes[0].measureNumber if notes else None
            unknown.append(("tremolo", "" if bar is None else str(bar)))
            continue
        if len(notes) == 2:
            sign = expressions.TremoloSpanner(notes)
            notes[0].getContextByClass("Part").insert(0, sign)
        else:
            sign = expressions.Tremolo()
            notes[0].expressions.append(sign)
        sign.numberOfMarks = min(tremolo.strokes, 8)
    for number, measure in enumerate(measures):
        for event in measure:
            kind = _local(event)
            if not kind or kind in _READ_BY_MUSIC21:
                continue
            known = [_put(kind, event, chosen, number, items) for chosen in _chosen(event, placed, items)
                     if number < len(chosen.bars)]
            if not any(known):
                unknown.append((kind, measure.get("n", "")))
    return unknown


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _chosen(event: Element, placed: Sequence[PlacedPart], items: dict[str, Any]) -> Iterator[PlacedPart]:
    """The parts an event is for: those it names, else that of its note, else the first."""
    staves = [int(name) - 1 for name in event.get("staff", "").split() if name.isdigit()]
    start = items.get(event.get("startid", "").lstrip("#"))
    if start is not None:
        home = start.getContextByClass("Part")
        staves = [index for index, one in enumerate(placed) if one.part is home]
    for index in staves or [0]:
        if 0 <= index < len(placed):
            yield placed[index]


def _place(bar: Any, beat: str) -> float:
    """Quarter notes from the start of the part, of a beat in a measure."""
    signature = bar.getContextByClass("TimeSignature")
    unit = 4.0 / (signature.denominator if signature is not None else 4)
    return float(bar.offset) + max(float(beat) - 1.0, 0.0) * unit


def _put(kind: str, event: Element, placed: PlacedPart, number: int, items: dict[str, Any]) -> bool:
    """Put one event into a part; False where it is not known or has no place."""
    music = music21()
    articulations, expressions, spanner, tempo = music.articulations, music.expressions, music.spanner, music.tempo
    text = " ".join("".join(event.itertext()).split())
    start = items.get(event.get("startid", "").lstrip("#"))
    end = items.get(event.get("endid", "").lstrip("#"))
    try:
        place = float(start.getOffsetInHierarchy(placed.part)) if start is not None else _place(
            placed.bars[number], event.get("tstamp", "1"))
        until = _end(event, placed, number, end)
        bpm = event.get("midi.bpm") or event.get("mm")
        mark = None if bpm is None else tempo.MetronomeMark(number=float(bpm))
    except ValueError:
        return False
    if kind in ("dynam", "dir", "repeatMark"):
        text = text or event.get("func", "")
        if text:
            placed.put(place, expressions.TextExpression(text))
        return bool(text)
    if kind == "tempo" and (mark is not None or text):
        placed.put(place, mark if mark is not None else expressions.TextExpression(text))
        return True
    if kind == "hairpin":
        return placed.hairpin(place, until, 1 if event.get("form", "cres") == "cres" else -1)
    if kind == "gliss" and start is not None and end is not None:
        placed.part.insert(0, spanner.Glissando(start, end))
        return True
    item = start if start is not None else placed.at(place)
    if item is None:
        return False
    if kind == "fermata":
        item.expressions.append(expressions.Fermata())
    elif kind in _ORNAMENTS:
        lower, upper = _ORNAMENTS[kind]
        item.expressions.append(getattr(expressions, lower if event.get("form") == "lower" else upper)())
    elif kind in ("breath", "caesura"):
        item.articulations.append(articulations.BreathMark())
    else:
        return False
    return True


def _end(event: Element, placed: PlacedPart, number: int, end: Any) -> float:
    """Where a line ends: after the note it names, or on its beat, as ``1m+3``; else at the end of its measure."""
    if end is not None:
        return float(end.getOffsetInHierarchy(placed.part)) + float(end.duration.quarterLength)
    later, _, beat = event.get("tstamp2", "").rpartition("m+")
    index = number + (int(later) if later.isdigit() else 0)
    if beat and index < len(placed.bars):
        return _place(placed.bars[index], beat)
    return float(placed.bars[number].offset) + float(placed.bars[number].duration.quarterLength)
