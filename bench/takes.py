"""How far takes of the expression differ, beside how far violinists differ who play the same piece.

    python -m bench.takes DATA [--takes 5] [--temperature 0.5,1,1.5] [--json FILE]

``DATA`` is the folder with ``violinists/`` and ``split.csv``; études of the validation part are used. The
transcriptions of an étude's players are aligned with one of them by their pitches, and that one's notes are performed
again and again. For each note that two players or more have, the standard deviation between players is taken, and of
the same notes that between takes; the table gives their root mean squares. *Timing* is the time from one onset to the
next, in per cent of the mean of all players (takes), less the median of that over the eight notes around: what is left
when each has a tempo of their own. Times below 0.2 s are left out.

What is measured on recordings errs itself, and differently for each player, by some milliseconds and cents; takes are
compared by what they were asked to do. The players' figures are therefore upper bounds. Level is not compared: the
recordings are of unknown loudness.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.violinists import COLUMNS, violin_notes
from mididdsp.notes.types import Note, Part, Score
from mididdsp.performer import Performer

ATTRIBUTES = ("tuning_cents", "vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s")
FEWEST = 2
"""Players that must have a note."""

Values = dict[str, dict[int, dict[int, float]]]
"""Attribute → note → player or take → value."""


def timing(onset_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Time from each onset to the next, as a hundred times its natural logarithm, [N - 1]; NaN below 0.2 s."""
    between = np.diff(onset_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(between > 0, between, np.nan))
    return np.asarray(np.where(between >= 0.2, 100.0 * logs, np.nan))


def without_tempo(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[players, N] logarithms less what each player does against the mean of all over the eight notes around."""
    there = np.isfinite(values)
    # Where nobody has a time, NaN stays NaN whatever is taken away.
    mean = np.where(there, values, 0.0).sum(0, keepdims=True) / np.maximum(1, there.sum(0, keepdims=True))
    against = values - mean
    result = np.full_like(values, np.nan)
    for note in range(values.shape[1]):
        near = against[:, max(0, note - 4) : note + 5]
        enough = np.isfinite(near).sum(1) >= 4
        result[enough, note] = against[enough, note] - np.nanmedian(near[enough], axis=1)
    return result


def spread(values: dict[int, dict[int, float]], notes: set[int]) -> tuple[float, int]:
    """Root mean square over notes of the standard deviation, and how many notes there were."""
    each = [np.var(list(values[note].values()), ddof=1) for note in notes if len(values.get(note, {})) >= FEWEST]
    return (float(np.sqrt(np.mean(each))) if each else float("nan")), len(each)


def compared(data: Path, temperatures: list[float], *, takes: int, pieces: int, seconds: float) -> dict[str, Any]:
    """Spread between players and between takes at each temperature, by attribute."""
    table, notes = violin_notes(data, "valid")
    with np.load(data / "violinists" / "violinists.npz", allow_pickle=False) as file:
        title = file["piece_title"]
    column = {name: number for number, name in enumerate(COLUMNS)}
    measured = {int(line[column["row"]]): line for line in table}
    of_title: dict[str, list[int]] = defaultdict(list)
    for piece in sorted(set(notes["piece"][list(measured)].tolist())):
        of_title[str(title[piece])].append(piece)
    swinging = Counter(
        str(title[int(notes["piece"][row])])
        for row, line in measured.items()
        if np.isfinite(line[column["vibrato_cents"]])
    )
    shared = sorted((name for name, several in of_title.items() if len(several) >= FEWEST),
                    key=lambda name: (-swinging[name], name))[:pieces]
    performer = Performer()
    spreads: dict[str, list[tuple[float, int]]] = defaultdict(list)
    drawn: dict[float, dict[str, list[tuple[float, int]]]] = {one: defaultdict(list) for one in temperatures}
    for name in shared:
        lines = {piece: _first(notes, piece, seconds) for piece in of_title[name]}
        reference = max(lines, key=lambda piece: len(lines[piece]))
        own = lines[reference]
        players: Values = {attribute: defaultdict(dict) for attribute in (*ATTRIBUTES, "timing")}
        ioi = np.full((len(lines), len(own) - 1), np.nan)
        for number, (piece, rows) in enumerate(lines.items()):
            matcher = SequenceMatcher(None, notes["pitch"][own].tolist(), notes["pitch"][rows].tolist(), autojunk=False)
            times = timing(notes["onset_s"][rows].astype(np.float64))
            for a, b, length in matcher.get_matching_blocks():
                for step in range(length):
                    line = measured.get(int(rows[b + step]))
                    for attribute in ATTRIBUTES:
                        value = float("nan") if line is None else float(line[column[attribute]])
                        if np.isfinite(value):
                            players[attribute][a + step][piece] = value
                    if step + 1 < length:
                        ioi[number, a + step] = times[b + step]
        _put(players["timing"], without_tempo(ioi))
        start = float(notes["onset_s"][own[0]])
        written = tuple(
            Note(id=str(index), onset=float(notes["onset_s"][row]) - start, duration=float(notes["duration_s"][row]),
                 pitch=float(notes["pitch"][row]), velocity=80)
            for index, row in enumerate(own)
        )
        score = Score(parts=(Part(name="Violin", instrument="violin", notes=written),))
        kept = {attribute: {note for note, each in players[attribute].items() if len(each) >= FEWEST}
                for attribute in players}
        for attribute in players:
            spreads[attribute].append(spread(players[attribute], kept[attribute]))
        for temperature in temperatures:
            made: Values = {attribute: defaultdict(dict) for attribute in (*ATTRIBUTES, "timing")}
            onsets = np.empty((takes, len(written)))
            for take in range(takes):
                performance = performer.perform(score, seed=take, temperature=temperature)
                for index, note in enumerate(written):
                    expression = performance.expressions[note.id]
                    onsets[take, index] = note.onset + (expression.timing_s or 0.0)
                    for attribute in ATTRIBUTES:
                        value = getattr(expression, attribute)
                        if value is not None and not (attribute == "vibrato_cents" and not value):
                            made[attribute][index][take] = float(value)
            _put(made["timing"], without_tempo(np.stack([timing(each) for each in onsets])))
            for attribute in made:
                drawn[temperature][attribute].append(spread(made[attribute], kept[attribute]))
    found: dict[str, dict[str, float]] = {}
    for attribute in (*ATTRIBUTES, "timing"):
        found[attribute] = {"players": _pooled(spreads[attribute]), "notes": sum(n for _, n in spreads[attribute])}
        found[attribute] |= {f"takes at {one:g}": _pooled(drawn[one][attribute]) for one in temperatures}
    return {"etudes": len(shared), "players": sum(len(of_title[name]) for name in shared), "rows": found}


def _first(notes: dict[str, NDArray[Any]], piece: int, seconds: float) -> NDArray[np.int64]:
    """Rows of the beginning of a piece, one note at a time: of notes that begin together the highest."""
    rows = np.flatnonzero(notes["piece"] == piece)
    rows = rows[np.lexsort((notes["pitch"][rows], notes["onset_s"][rows]))]
    rows = rows[notes["onset_s"][rows] < notes["onset_s"][rows[0]] + seconds]
    last = np.append(np.diff(notes["onset_s"][rows]) > 0.03, True)
    return np.asarray(rows[last])


def _put(values: dict[int, dict[int, float]], rows: NDArray[np.float64]) -> None:
    for who, note in zip(*np.nonzero(np.isfinite(rows))):
        values[int(note)][int(who)] = float(rows[who, note])


def _pooled(each: list[tuple[float, int]]) -> float:
    counted = [(value, n) for value, n in each if n]
    total = sum(n for _, n in counted)
    return float(np.sqrt(sum(n * value**2 for value, n in counted) / total)) if total else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with violinists/ and split.csv")
    parser.add_argument("--takes", type=int, default=5)
    parser.add_argument("--temperature", default="0.5,1,1.5")
    parser.add_argument("--pieces", type=int, default=4, help="études, those of most vibrato")
    parser.add_argument("--seconds", type=float, default=60.0, help="from the beginning of each")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    temperatures = [float(word) for word in arguments.temperature.split(",")]
    found = compared(arguments.data, temperatures, takes=arguments.takes, pieces=arguments.pieces,
                     seconds=arguments.seconds)
    print(f"{found['etudes']} études, {found['players']} performances; {arguments.takes} takes")
    names = ["players", *(f"takes at {one:g}" for one in temperatures)]
    print(f"{'':18}" + "".join(f"{name:>14}" for name in names) + f"{'notes':>8}")
    for attribute, row in found["rows"].items():
        label = "timing_percent" if attribute == "timing" else attribute
        print(f"{label:18}" + "".join(f"{row[name]:14.3g}" for name in names) + f"{row['notes']:8d}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
