"""Ends of hairpins in MusicXML that stand behind a bar line, put where music21's reader looks for them.

It takes the note before the end, but only one of the same bar: a hairpin whose end is written before the first note of
the next bar, as Finale does, would cover its first note alone.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element


def move_ends_back(root: Element) -> bool:
    """Put each end of a hairpin that stands before the notes of its bar behind the last note of the bar before.

    Args:
        root: of the file; changed in place.

    Returns:
        Whether anything was moved. An end stays where the bar before has no note on its staff.
    """
    moved = False
    for part in root.iter("part"):
        before: Element | None = None
        for measure in part.iter("measure"):
            for direction in _early_ends(measure):
                place = None if before is None else _behind_last_note(before, direction.findtext("staff", "1"))
                if before is not None and place is not None:
                    measure.remove(direction)
                    before.insert(place, direction)
                    moved = True
            before = measure
    return moved


def _early_ends(measure: Element) -> list[Element]:
    """Directions before the first note of a bar that hold nothing but ends of hairpins."""
    found = []
    for item in measure:
        if item.tag == "note":
            break
        marks = [mark for kind in item.iter("direction-type") for mark in kind]
        if marks and all(mark.tag == "wedge" and mark.get("type") == "stop" for mark in marks):
            found.append(item)
    return found


def _behind_last_note(measure: Element, staff: str) -> int | None:
    """Where in a bar the next element after the last note of a staff, and what was put there, stands."""
    items = list(measure)
    last = next((index for index in range(len(items) - 1, -1, -1)
                 if items[index].tag == "note" and items[index].findtext("staff", "1") == staff), None)
    if last is None:
        return None
    while last + 1 < len(items) and items[last + 1].tag == "direction":
        last += 1
    return last + 1
