"""Pitch contours of many violinists → vibrato and intonation of their notes, with the notes around them.

The transcriptions are machine-made: notes whose contour is torn or far off are left out, and the tuning of a piece is
the median of its own notes, so that what remains is how far notes stray from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.recordings import DataError, read_split
from mididdsp.files import atomic_path
from mididdsp.note_lines import find_vibrato
from mididdsp.units import FRAME_RATE

COLUMNS = ("pitch", "seconds", "tuning_cents", "vibrates", "vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s",
           "row")
LONGEST_TAKEN = 60_000


def violin_notes(
    folder: Path, split: str, *, limit: int = LONGEST_TAKEN, seed: int = 0, kept: Path | None = None
) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """Measured notes of one split.

    Args:
        folder: the data folder.
        split: ``train``, ``valid`` or ``test``; études as wholes.
        limit: notes measured at most, drawn at random.
        seed: of that draw.
        kept: file (``.npy``) that holds the table when it was measured before, and gets it otherwise.

    Returns:
        (table [N, len(COLUMNS)], NaN where not defined; the transcription's arrays ``piece``, ``onset_s``,
        ``duration_s``, ``pitch`` that ``row`` points into).
    """
    path = folder / "violinists" / "violinists.npz"
    if not path.is_file():
        raise DataError(f"{path} is missing; give the folder that holds violinists/violinists.npz")
    splits = read_split(folder)
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    notes = {name: data[name] for name in ("piece", "onset_s", "duration_s", "pitch")}
    if kept is not None and kept.exists():
        return np.load(kept, allow_pickle=False), notes
    titles = data["piece_title"]
    of_piece = np.array([splits.get(f"violinists/{title}", splits.get(str(title), "")) == split for title in titles])
    rows = np.flatnonzero(of_piece[data["piece"]] & (data["contour_length"] > 0))
    if len(rows) == 0:
        raise DataError(f"no piece of {path} is in the {split} part of split.csv; the two do not belong together")
    random = np.random.default_rng(seed)
    long_notes = rows[data["duration_s"][rows] >= 0.45]
    short = rows[data["duration_s"][rows] < 0.45]
    rows = np.sort(np.concatenate([
        random.permutation(long_notes)[: limit * 2 // 3], random.permutation(short)[: limit // 3]]))
    rate = float(data["frame_rate"])
    table = []
    for row in rows:
        start, length = int(data["contour_start"][row]), int(data["contour_length"][row])
        cents = data["contour_cents"][start : start + length].astype(np.float64)
        if np.mean(np.abs(cents) >= 126) > 0.05 or length < 10:
            continue
        middle = cents[length // 6 : length - length // 6]
        tuning = float(np.median(middle))
        if abs(tuning) > 60:
            continue
        vibrato = None
        seconds = float(data["duration_s"][row])
        if seconds >= 0.45:
            time = np.arange(int(length / rate * FRAME_RATE)) / FRAME_RATE
            vibrato = find_vibrato(np.interp(time, np.arange(length) / rate, cents))
        vibrates = float(vibrato is not None) if seconds >= 0.45 else np.nan
        table.append((float(data["pitch"][row]), seconds, tuning, vibrates,
                      vibrato.cents if vibrato else np.nan, vibrato.rate_hz if vibrato else np.nan,
                      vibrato.delay_s if vibrato else np.nan, float(row)))
    if not table:
        raise DataError(f"no note of the {split} part of {path} has a contour that can be used; give the whole file")
    result = np.array(table)
    piece = data["piece"][result[:, 7].astype(int)]
    for index in np.unique(piece):
        mine = piece == index
        result[mine, 2] -= np.median(result[mine, 2])
    if kept is not None:
        with atomic_path(kept) as temporary, temporary.open("wb") as stream:
            np.save(stream, result)
    return result, notes
