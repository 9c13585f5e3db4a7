"""What differs between two states of a performance, for a table."""

from __future__ import annotations

from dataclasses import dataclass

from mididdsp.bars import Bars
from mididdsp.expression.types import NOTE_ATTRIBUTES, Curve, Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two states of a note, for a table.

    Attributes:
        part, note_id: where.
        bar: in which the note begins.
        pitch: as written, MIDI number.
        what: an attribute, ``articulation``, ``curves``, or ``players`` (of the whole part, told at its first note).
        before, after: values; marks and numbers of curves or players as text.
    """

    part: str
    note_id: str
    bar: int
    pitch: float
    what: str
    before: float | str | None
    after: float | str | None


def changes(before: Performance, after: Performance) -> tuple[Change, ...]:
    """What differs between two performances in the notes they share, in the order of the score."""
    bars = Bars(after.score)
    old_notes = {note.id: note for part in before.score.parts for note in part.notes}
    old_curves, new_curves = _curves_by_note(before), _curves_by_note(after)
    found = []
    old_players = {part.name: part.players for part in before.score.parts}
    for part in after.score.parts:
        if part.notes and old_players.get(part.name, part.players) != part.players:
            first = part.notes[0]
            found.append(Change(part=part.name, note_id=first.id, bar=1, pitch=first.pitch, what="players",
                                before=f"{old_players[part.name]}", after=f"{part.players}"))
        for note in part.notes:
            if note.id not in old_notes:
                continue
            old, new = before.expressions[note.id], after.expressions[note.id]
            rows: list[tuple[str, float | str | None, float | str | None]] = [
                (name, getattr(old, name), getattr(new, name)) for name in NOTE_ATTRIBUTES] if old != new else []
            rows.append(("articulation", ", ".join(old_notes[note.id].articulations) or "none",
                         ", ".join(note.articulations) or "none"))
            if old_curves.get(note.id) != new_curves.get(note.id):
                counts = [len(table.get(note.id, ())) for table in (old_curves, new_curves)]
                rows.append(("curves", f"{counts[0]}", f"{counts[1]} (redrawn)" if counts[0] == counts[1]
                             else f"{counts[1]}"))
            for what, was, now in rows:
                if was != now:
                    found.append(Change(part=part.name, note_id=note.id, bar=bars.bar_at(note.onset)[0],
                                        pitch=note.pitch, what=what, before=was, after=now))
    return tuple(found)


def _curves_by_note(performance: Performance) -> dict[str, list[Curve]]:
    table: dict[str, list[Curve]] = {}
    for curve in performance.curves:
        if curve.note_id is not None:
            table.setdefault(curve.note_id, []).append(curve)
    return table
