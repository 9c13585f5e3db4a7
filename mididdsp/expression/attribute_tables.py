"""The tables of attributes that MIDI-DDSP writes (``conditioning_df.to_csv()``): its columns, its 0 to 1 scales."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mididdsp.expression.lines import InterchangeError
from mididdsp.expression.types import NoteExpression, Performance
from mididdsp.expression.views import PAPER, PAPER_COLUMNS, from_paper
from mididdsp.notes.types import Note, Part
from mididdsp.units import FRAME_RATE

MATCH_S = 0.05
"""A row of a table belongs to the note of its pitch that begins at most this far away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableImport:
    """A performance with a table's values, and what of the table found no note, one sentence each."""

    performance: Performance
    rows: int
    messages: tuple[str, ...]


def with_attribute_table(performance: Performance, part: Part, path: str | os.PathLike[str]) -> TableImport:
    """A performance with the values of one of MIDI-DDSP's tables (``conditioning_df`` as CSV) as a hand's.

    Rows find their note by pitch and onset; rests (pitch 0) are passed over. Columns are the original's: ``volume``,
    ``vol_fluc``, ``vibrato``, ``brightness``, ``attack``, ``vol_peak_pos`` on its scales, of which any may be missing,
    and ``pitch``, ``onset``, ``offset`` in frames of 4 ms.

    Raises:
        InterchangeError: it is no such table, or fits no note.
        OSError: it cannot be read.
    """
    rows = _table_rows(Path(path))
    free = list(part.notes)
    expressions = dict(performance.expressions)
    origins = {key: dict(value) for key, value in performance.origins.items()}
    messages: list[str] = []
    found = 0
    for number, row in rows:
        note = _note_of(free, row["pitch"], row["onset"] / FRAME_RATE)
        if note is None:
            messages.append(f"Row {number} (pitch {row['pitch']:g} at {row['onset'] / FRAME_RATE:.2f} s) fits no note "
                            f"of part {part.name!r}; it is left out.")
            continue
        free.remove(note)
        found += 1
        expressions[note.id], changed = _from_row(expressions[note.id], row, part.instrument)
        origins.setdefault(note.id, {}).update(dict.fromkeys(changed, "hand"))
    if not found:
        raise InterchangeError(f"{os.fspath(path)}: none of its {len(rows)} notes is in part {part.name!r}; "
                               "choose another part")
    return TableImport(performance=replace(performance, expressions=expressions, origins=origins), rows=found,
                       messages=tuple(messages))


def _table_rows(path: Path) -> list[tuple[int, Mapping[str, float]]]:
    try:
        table = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InterchangeError(f"{path}: it is no CSV that can be read ({error}); export the table again") from None
    columns = set(table[0]) if table else set()
    if not {"pitch", "onset"} <= columns or not columns & set(PAPER_COLUMNS):
        raise InterchangeError(f"{path}: it is no table of the original, which has the columns "
                               f"{', '.join((*PAPER_COLUMNS, 'pitch', 'onset', 'offset'))}")
    rows: list[tuple[int, Mapping[str, float]]] = []
    for number, given in enumerate(table, start=2):
        row: dict[str, float] = {}
        for name in (*PAPER_COLUMNS, "pitch", "onset"):
            if name in columns:
                try:
                    row[name] = float(given[name] or "nan")
                except (TypeError, ValueError):
                    row[name] = math.nan
                if not math.isfinite(row[name]):
                    raise InterchangeError(f"{path}, line {number}: {name} is {given[name]!r}; write a number")
        if row["pitch"] > 0:
            rows.append((number, row))
    return rows


def _note_of(notes: Sequence[Note], pitch: float, onset: float) -> Note | None:
    near = [note for note in notes if abs(note.pitch - pitch) < 0.5 and abs(note.onset - onset) <= MATCH_S]
    return min(near, key=lambda note: abs(note.onset - onset), default=None)


def _from_row(
    expression: NoteExpression, row: Mapping[str, float], instrument: str
) -> tuple[NoteExpression, list[str]]:
    """The expression with a row's values, and the attributes that it decides; the level comes first."""
    changed: list[str] = []
    for column, name in PAPER_COLUMNS.items():
        if column not in row:
            continue
        attribute = PAPER[name].attribute
        values: dict[str, float | None] = {
            attribute: from_paper(name, row[column], expression.level_db, instrument)}
        if attribute == "vibrato_cents" and not values[attribute]:
            values |= {"vibrato_rate_hz": None, "vibrato_delay_s": None}
        elif attribute == "vibrato_cents" and expression.vibrato_rate_hz is None:
            values |= {"vibrato_rate_hz": USUAL_RATE_HZ, "vibrato_delay_s": 0.0}
        expression = replace(expression, **values)  # type: ignore[arg-type]
        changed += values
    return expression, changed


USUAL_RATE_HZ = 5.5
"""Of a vibrato that a table asks for on a note drawn without one: the original has no rate."""
