"""The training set of single notes: cached clips, with the levels of the dynamics put right.

In most sets the recorded level does not rise reliably with the dynamic. Every clip therefore gets a gain that moves the
median of its (instrument, dynamic) to the level of that dynamic: even steps over the span of ``figures/targets.csv``,
mezzo-forte at -26 dB. What clips of one dynamic differ by stays. Gains are taken from training clips alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.clips import cache_clips, clip_file, load_clip, single_notes
from mididdsp.data.muted import is_muted, muted_series
from mididdsp.data.phrases import cache_phrases, load_phrase, phrase_file, phrases
from mididdsp.data.recordings import DYNAMIC_VELOCITY, DataError, playing_targets
from mididdsp.expression.types import NoteExpression
from mididdsp.files import atomic_path

MF_LEVEL_DB = -26.0
"""Level of a mezzo-forte note of every instrument, dB re full scale."""

_MARKS = (33.0, 49.0, 64.0, 80.0, 96.0, 112.0)
"""Velocities of pp, p, mp, mf, f and ff."""


def dynamic_level_db(velocity: float, span_db: float) -> float:
    """Level of a velocity: even steps between the six marks pp … ff, straight lines between and beyond."""
    step = np.interp(velocity, _MARKS, np.arange(6.0))
    if velocity < _MARKS[0]:
        step = (velocity - _MARKS[0]) / 16.0
    elif velocity > _MARKS[-1]:
        step = 5.0 + (velocity - _MARKS[-1]) / 16.0
    return float(MF_LEVEL_DB + (step - 3.0) * span_db / 5.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingNote:
    """One note to learn from: its facts, its expression at the calibrated level, and its frames.

    Attributes:
        facts: see ``mididdsp.data.clips.analyse_clip``.
        expression: as measured, ``level_db`` calibrated.
        gain_db: added to the recording's levels.
        frames: ``f0_cents``, ``partial_db``, ``knots_db``, ``known``, ``noise_db``, ``level_db``; levels as recorded.
    """

    facts: dict[str, Any]
    expression: NoteExpression
    gain_db: float
    frames: dict[str, NDArray[Any]]


def prepare(folder: Path, dataset: Path, *, workers: int = 2, progress: bool = True) -> dict[str, Any]:
    """Analyse the single notes under ``folder`` into ``dataset``; a report of what was kept, mended and dropped.

    Work done before is found in the cache; an interrupted call goes on where it stopped.
    """
    recordings = single_notes(folder)
    targets = playing_targets(folder)
    problems = cache_clips(recordings, dataset, workers=workers, progress=progress)
    report: dict[str, Any] = {
        "recordings": len(recordings), "unreadable": problems, "dropped": {}, "mended": {}, "kept": {}}
    levels: dict[str, dict[str, list[float]]] = {}
    index = []
    heard = {path: load_clip(path)[0] for path in (clip_file(dataset, one) for one in recordings) if path.exists()}
    muted = muted_series(facts for facts in heard.values() if not facts["dropped"] and facts["split"] == "train")
    for path, facts in heard.items():
        reason = facts["dropped"].split(" ")[0] if facts["dropped"] else "muted" if is_muted(facts, muted) else None
        if reason is not None:
            report["dropped"][reason] = report["dropped"].get(reason, 0) + 1
            continue
        instrument = facts["instrument"]
        if abs(facts["off_label"]) > 0.5:
            report["mended"][instrument] = report["mended"].get(instrument, 0) + 1
        report["kept"][instrument] = report["kept"].get(instrument, 0) + 1
        index.append(str(path.relative_to(dataset)))
        if facts["split"] == "train" and facts["velocity"] is not None:
            levels.setdefault(instrument, {}).setdefault(facts["dynamic"], []).append(facts["expression"]["level_db"])
    gains = {}
    for instrument, by_dynamic in levels.items():
        span = targets.get(instrument, {}).get("level_span_pp_ff_db")
        if span is None:
            raise DataError(f"{folder}/figures/targets.csv has no level_span_pp_ff_db for {instrument}; add its row")
        gains[instrument] = {
            dynamic: dynamic_level_db(DYNAMIC_VELOCITY[dynamic], span) - float(np.median(values))
            for dynamic, values in by_dynamic.items() if len(values) >= 3}
    melodies = phrases(folder)
    problems += cache_phrases(melodies, dataset, workers=workers, progress=progress)
    played = {str(path.relative_to(dataset)): load_phrase(path)
              for path in (phrase_file(dataset, recording) for recording in melodies) if path.exists()}
    report["phrases"] = len(played)
    report["phrase_notes"] = sum(len(notes) for notes in played.values())
    about = {"clips": index, "phrases": [name for name, notes in played.items() if notes], "gains_db": gains,
             "targets": targets, "report": report, "folder": str(folder.resolve())}
    with atomic_path(dataset / "notes.json") as partial:
        partial.write_text(json.dumps(about, indent=1), encoding="utf-8")
    return report


def load_notes(dataset: Path, split: str) -> list[TrainingNote]:
    """The notes of one split; DataError when the dataset was not prepared."""
    about = read_about(dataset)
    notes = []
    for name in about["clips"]:
        facts, frames = load_clip(dataset / name)
        if facts["split"] != split:
            continue
        gain = about["gains_db"].get(facts["instrument"], {}).get(facts["dynamic"])
        if gain is None:
            gains = about["gains_db"].get(facts["instrument"], {})
            gain = float(np.median(list(gains.values()))) if gains else 0.0
        values = dict(facts["expression"])
        values["level_db"] = float(np.clip(values["level_db"] + gain, -70.0, -6.0))
        notes.append(TrainingNote(facts=facts, expression=NoteExpression(**values), gain_db=gain, frames=frames))
    return notes


def load_phrase_notes(dataset: Path, split: str) -> list[TrainingNote]:
    """The notes of the phrases of one split; a phrase's median note gets the level of its dynamic mark."""
    about = read_about(dataset)
    notes = []
    for name in about["phrases"]:
        heard = load_phrase(dataset / name)
        if heard[0][0]["split"] != split:
            continue
        facts = heard[0][0]
        if "gain_db" in facts:  # of any folder's recordings: their dynamics are not marked
            gain = float(facts["gain_db"])
        else:
            span = about["targets"][facts["instrument"]]["level_span_pp_ff_db"]
            asked = dynamic_level_db(facts["velocity"] or 80, span)
            gain = asked - float(np.median([one["expression"]["level_db"] for one, _ in heard]))
        for facts, frames in heard:
            values = dict(facts["expression"])
            values["level_db"] = float(np.clip(values["level_db"] + gain, -70.0, -6.0))
            notes.append(TrainingNote(facts=facts, expression=NoteExpression(**values), gain_db=gain, frames=frames))
    return notes


def read_about(dataset: Path) -> dict[str, Any]:
    """What ``prepare`` wrote of the dataset; DataError when there is none."""
    path = dataset / "notes.json"
    if not path.is_file():
        raise DataError(f"{dataset} is not a prepared data set (it has no notes.json); "
                        f"run: mididdsp prepare FOLDER -o {dataset}")
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return about
