"""Bach's four-part chorales, or another corpus in voices, as grids of sixteenths for the prior over notes.

Conventions: ``build_chorales`` reads a corpus (see ``mididdsp.data.corpora``; no network) and writes one file, such as
``chorales.npz``; ``load_chorales`` reads it back. Pieces are split by tune: Bach set many tunes several times, and a
tune seen in training would make its other settings easy. The split follows from the names alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mididdsp.data.corpora import CHORALES, PUBLISHED_TEST, VoiceCorpus
from mididdsp.files import atomic_path
from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, begins

SPLITS = ("train", "valid", "test")

SPLITTINGS = ("tune", "published")
"""How pieces are held out: whole tunes, or Bach's chorales as in the published split of pieces."""

_VERSION = 1
_SHORTEST = 32
"""Steps; shorter pieces are fragments."""
_TUNE_WORD = 5
_SAME_TUNE = 0.5
"""Melodies that share this part of their five-interval words set one tune; almost no pair lies near this border."""
_HELD_OUT = 0.1
"""Share of the pieces in ``test``, and in ``valid``."""


class DataError(ValueError):
    """A dataset cannot be made or read; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chorale:
    """One piece.

    Attributes:
        name: of the file in the corpus, such as ``bwv253``.
        split: ``train``, ``valid`` or ``test``.
        grid: its voices, of a chorale soprano, alto, tenor, bass.
    """

    name: str
    split: str
    grid: NoteGrid


def data_file(corpus: VoiceCorpus) -> str:
    """Name of the file of a corpus."""
    return f"{corpus.name}.npz"


def build_chorales(
    folder: Path, corpus: VoiceCorpus = CHORALES, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Read all pieces of a corpus into ``folder``; kept where they are there already.

    Args:
        folder: made where it does not exist.
        corpus: to read.
        progress: called with pieces read and pieces in all.

    Returns:
        The file written, or found.

    Raises:
        DataError: no piece of the corpus can be used.
        CorpusError: the corpus has no scores.
    """
    file = Path(folder) / data_file(corpus)
    if file.exists():
        load_chorales(folder, corpus)
        return file
    paths = corpus.files()
    # Two files of one name in one folder are one piece in two encodings; the later stands.
    folders = {path.parent for path in paths}
    found: dict[str, NoteGrid] = {}
    for number, path in enumerate(paths):
        grid = _read_piece(path, corpus)
        if grid is not None and not any(_same(grid, other) for other in found.values()):
            found[path.stem if len(folders) == 1 else f"{path.parent.name}/{path.stem}"] = grid
        if progress is not None:
            progress(number + 1, len(paths))
    if not found:
        raise DataError(
            f"{corpus.title} hold no piece in {corpus.voices} voices that fits the grid of sixteenths; "
            "each voice must be a part of its own"
        )
    splits = split_by_tune(list(found), [grid.pitch[0] for grid in found.values()])
    _save(file, [Chorale(name=name, split=split, grid=grid) for (name, grid), split in zip(found.items(), splits)])
    return file


def load_chorales(folder: Path, corpus: VoiceCorpus = CHORALES) -> tuple[Chorale, ...]:
    """The pieces of a folder that ``build_chorales`` made, sorted by name.

    Raises:
        DataError: missing, damaged or of another version.
    """
    file = Path(folder) / data_file(corpus)
    if not file.exists():
        raise DataError(f"the folder {folder} has no {file.name}; make it with the recipe `mididdsp train notes`")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            arrays = {name: stored[name] for name in ("pitch", "onset", "position", "bar", "fermata")}
        if about["version"] != _VERSION:
            raise DataError(f"{file} has version {about['version']}, not {_VERSION}; delete it and make it again")
        chorales = []
        for entry in about["chorales"]:
            span = slice(entry["start"], entry["start"] + entry["steps"])
            grid = NoteGrid(**{name: value[..., span] for name, value in arrays.items()})
            chorales.append(Chorale(name=entry["name"], split=entry["split"], grid=grid))
    except DataError:
        raise
    except Exception as error:  # any byte of the file may be wrong, and zip, NumPy and JSON each say so in their way
        raise DataError(f"{file} is damaged ({error}); delete it and make it again") from None
    return tuple(chorales)


def published_split(chorales: Sequence[Chorale]) -> tuple[Chorale, ...]:
    """Bach's chorales with the test pieces of the published split (``PUBLISHED_TEST``) held out.

    Of the others those that ``split_by_tune`` held out for validation still are, the rest is for training.
    """
    return tuple(
        replace(one, split="test" if one.name in PUBLISHED_TEST else "valid" if one.split == "valid" else "train")
        for one in chorales
    )


def split_by_tune(names: Sequence[str], melodies: Sequence[np.ndarray[Any, Any]]) -> list[str]:
    """``test`` (10 %), ``valid`` (10 %) or ``train`` for each piece; settings of one tune stay together.

    Args:
        names: unique; they decide which tunes are held out.
        melodies: pitch per step of each piece, ``REST`` where silent; compared by intervals, so in any key.
    """
    words = [_tune_words(melody) for melody in melodies]
    leader = list(range(len(names)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for later in range(len(names)):
        for earlier in range(later):
            smaller = min(len(words[later]), len(words[earlier]))
            if smaller and len(words[later] & words[earlier]) >= _SAME_TUNE * smaller:
                a, b = sorted((find(later), find(earlier)), key=lambda index: names[index])
                leader[b] = a
    tunes: dict[int, list[int]] = {}
    for index in range(len(names)):
        tunes.setdefault(find(index), []).append(index)
    splits = ["train"] * len(names)
    filled = {"test": 0, "valid": 0}
    for tune in sorted(tunes, key=lambda index: hashlib.sha256(names[index].encode()).digest()):
        for split in filled:
            if filled[split] < _HELD_OUT * len(names):
                filled[split] += len(tunes[tune])
                for index in tunes[tune]:
                    splits[index] = split
                break
    return splits


def _tune_words(melody: np.ndarray[Any, Any]) -> set[tuple[int, ...]]:
    """All runs of ``_TUNE_WORD`` intervals of the melody heard on the quarters, repeated notes taken as one."""
    quarters = [int(pitch) for pitch in melody[::STEPS_PER_QUARTER] if pitch != REST]
    moves = [b - a for a, b in zip(quarters, quarters[1:]) if a != b]
    return {tuple(moves[start : start + _TUNE_WORD]) for start in range(len(moves) - _TUNE_WORD + 1)}


def _same(one: NoteGrid, other: NoteGrid) -> bool:
    """The same notes: the corpus holds some pieces under two names."""
    return one.pitch.shape == other.pitch.shape and bool((one.pitch == other.pitch).mean() > 0.9)


def _read_piece(path: Path, corpus: VoiceCorpus = CHORALES) -> NoteGrid | None:
    """A piece as a grid, or None where it is not in the corpus's voices."""
    from music21 import chord, converter, expressions, meter, note, stream

    try:
        score = converter.parse(path)
    except Exception:  # a file that is damaged, or a score in name only: each reader of music21 says so in its way
        return None
    parts = list(score.parts) if isinstance(score, stream.Score) else []
    if len(parts) != corpus.voices:
        return None
    steps = round(float(score.highestTime) * STEPS_PER_QUARTER)
    if steps < _SHORTEST:
        return None
    pitch = np.full((corpus.voices, steps), REST, np.int16)
    onset = np.zeros(pitch.shape, bool)
    fermata = np.zeros(steps, bool)
    count = beside = 0
    for voice, part in enumerate(parts):
        for element in part.flatten().notes:
            begin = float(element.offset) * STEPS_PER_QUARTER
            first = round(begin)
            stop = min(steps, round(float(element.offset + element.quarterLength) * STEPS_PER_QUARTER))
            if stop <= first:
                continue
            single = max(element.notes, key=lambda one: one.pitch.ps) if isinstance(element, chord.Chord) else element
            if not isinstance(single, note.Note):
                continue
            count, beside = count + 1, beside + (abs(begin - first) > 0.02)
            pitch[voice, first:stop] = int(single.pitch.ps)
            onset[voice, first:stop] = False
            onset[voice, first] = single.tie is None or single.tie.type == "start"
            if stop < steps and pitch[voice, stop] != REST:
                onset[voice, stop] = True
            if any(isinstance(mark, expressions.Fermata) for mark in element.expressions):
                fermata[first:stop] = True
    if (pitch == REST).mean() > corpus.most_rests or beside > corpus.most_off_grid * count:
        return None
    middle = [np.median(line[line != REST]) if (line != REST).any() else np.nan for line in (pitch[0], pitch[-1])]
    if not middle[0] > middle[1]:  # written so that an empty voice fails too
        return None
    position, bar = np.zeros(steps, np.int16), np.full(steps, 4 * STEPS_PER_QUARTER, np.int16)
    for measure in parts[0].getElementsByClass(stream.Measure):
        first = round(float(measure.offset) * STEPS_PER_QUARTER)
        signature = measure.timeSignature or measure.getContextByClass(meter.TimeSignature)
        length = round(float(signature.barDuration.quarterLength if signature else 4.0) * STEPS_PER_QUARTER)
        # A pickup is the end of a bar: padding says how much of it is missing in front.
        missing = round(float(measure.paddingLeft) * STEPS_PER_QUARTER)
        position[first:] = (np.arange(len(position[first:])) + missing) % length
        bar[first:] = length
    return NoteGrid(pitch=pitch, onset=onset | begins(pitch), position=position, bar=bar, fermata=fermata)


def _save(file: Path, chorales: Sequence[Chorale]) -> None:
    entries, start = [], 0
    for chorale in chorales:
        entries.append({"name": chorale.name, "split": chorale.split, "start": start, "steps": chorale.grid.steps})
        start += chorale.grid.steps
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(chorale.grid, name) for chorale in chorales], axis=-1)
        for name in ("pitch", "onset", "position", "bar", "fermata")
    }
    arrays["about"] = np.array(json.dumps({"version": _VERSION, "chorales": entries}))
    with atomic_path(file) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
