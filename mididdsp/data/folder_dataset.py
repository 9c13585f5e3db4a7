"""Any folder of solo recordings → a training set: cached features, a split without leaks, and a report.

The set has the form that ``mididdsp.data.notes_dataset`` reads: ``notes.json`` and one file of notes a piece. Beside
them lie ``split.csv`` (kept from run to run), ``report.json`` and ``report.html``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.folder_pieces import (
    PieceTask,
    analyse_piece,
    clipped_share,
    load_piece,
    piece_audio,
    piece_count,
    piece_file,
    tasks,
)
from mididdsp.data.folder_quality import Survey, survey
from mididdsp.data.folder_refusal import Confirmation, confirm, refusal
from mididdsp.data.folder_scan import Solo, given_notes, scan
from mididdsp.data.folder_split import VALID_SHARE, Share, best_copies, kin, note_side, split
from mididdsp.data.notes_dataset import MF_LEVEL_DB
from mididdsp.data.phrases import save_phrase
from mididdsp.data.recordings import DataError
from mididdsp.files import atomic_path
from mididdsp.instruments import INSTRUMENTS, by_register

SURVEY_VERSION = 3
SILENT_DB = -80.0
SHORTEST_S = 0.15
LEAST_VOICED = 0.3
"""Of the loud time of a recording: with less, it is speech, drums or noise."""

MOST_POLYPHONIC = 0.75
"""Of the time of the notes heard: with more, the recording is of several tones at once."""

LEVELS_APART_DB = 15.0
"""Recordings of one folder whose loud playing differs by more were recorded with different gains."""

Heard = list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]
Progress = Callable[[float, str], None]
"""Takes the share done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReport:
    """What became of one recording.

    Attributes:
        item, instrument, told_by: as in ``Solo``; the instrument as it was settled.
        side: ``train``, ``valid``, ``test``, ``train, then valid`` for a cut recording, or empty where it is refused.
        refused: why nothing of it is learned from, or None.
        seconds: its length.
        sample_rate, channels, peak, clipped_s, loud_db, floor_db, ceiling_hz: see ``Survey``.
        voiced: share of the loud time that has a pitch.
        notes: kept.
        note_seconds: of the kept notes.
        left_out_s: seconds of notes by reason (``folder_refusal.REASONS``).
        stretches: (from s, to s, reason) of what was refused, neighbours joined.
        tuning_cents: against A4 = 440 Hz, or None where nothing was heard.
        given: share of the notes beside it that were heard, or None without notes.
        remarks: sentences for its owner.
        pitch_s: seconds by rounded MIDI number of the kept notes.
        levels_db: level of each kept note re the recording's median.
    """

    item: str
    instrument: str | None
    told_by: str
    side: str = ""
    refused: str | None = None
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    peak: float = 0.0
    clipped_s: float = 0.0
    loud_db: float = -120.0
    floor_db: float = -120.0
    ceiling_hz: float = 0.0
    voiced: float = 0.0
    notes: int = 0
    note_seconds: float = 0.0
    left_out_s: Mapping[str, float] = field(default_factory=dict)
    stretches: tuple[tuple[float, float, str], ...] = ()
    tuning_cents: float | None = None
    given: float | None = None
    remarks: tuple[str, ...] = ()
    pitch_s: Mapping[int, float] = field(default_factory=dict)
    levels_db: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReport:
    """What became of a folder; ``left_out`` are (item, why) of the audio files that were not even analysed."""

    folder: str
    recordings: tuple[RecordingReport, ...]
    left_out: tuple[tuple[str, str], ...]

    def minutes(self, instrument: str | None = None, side: str | None = None) -> float:
        """Minutes of kept notes, of one instrument and of recordings on one side where asked."""
        return sum(one.note_seconds for one in self.recordings
                   if instrument in (None, one.instrument) and side in (None, one.side)) / 60.0

    @property
    def instruments(self) -> tuple[str, ...]:
        """Those that have notes, in the order of the table."""
        there = {one.instrument for one in self.recordings if one.notes}
        return tuple(name for name in INSTRUMENTS if name in there)


@dataclass(slots=True, kw_only=True)
class _Work:
    """A recording on its way through the preparation."""

    solo: Solo
    seen: Survey
    instrument: str | None
    remarks: list[str] = field(default_factory=list)
    refused: str | None = None


def prepare_folder(
    folder: Path, dataset: Path, *, instrument: str | None = None, workers: int = 2, progress: Progress | None = None
) -> FolderReport:
    """Analyse all solo recordings under a folder into ``dataset``; what was done before is found in the cache.

    Args:
        folder: of recordings; never written to.
        dataset: made where it does not exist.
        instrument: of all recordings, whatever their names say.
        workers: processes that analyse side by side, at least 1.
        progress: called now and then.

    Raises:
        DataError: the folder holds no audio, or nothing in it can be learned from; the report is written all the same.
    """
    tell = progress or (lambda share, what: None)
    found = scan(folder, instrument=instrument)
    for name in ("surveys", "pieces", "phrases"):
        (dataset / name).mkdir(parents=True, exist_ok=True)
    left_out = list(found.left_out)
    works: list[_Work] = []
    for number, solo in enumerate(found.solos):
        tell(0.1 * number / len(found.solos), f"reading {solo.item}")
        try:
            works.append(_Work(solo=solo, seen=_cached_survey(solo.path, dataset), instrument=solo.instrument))
        except DataError as error:
            left_out.append((solo.item, str(error).replace(str(solo.path), solo.item)))
    copies, near = kin([work.seen for work in works])
    kept = best_copies(copies, [work.seen for work in works])
    for index, work in enumerate(works):
        if kept[index] != index:
            work.refused = f"the same recording as {works[kept[index]].solo.item}"
        elif work.seen.seconds < SHORTEST_S:
            work.refused = f"shorter than {SHORTEST_S} s"
        elif work.seen.loud_db < SILENT_DB:
            work.refused = "silent"
    _analyse([work for work in works if work.refused is None], dataset, workers,
             lambda share, what: tell(0.1 + 0.75 * share, what))
    groups = [works[near[index]].solo.group for index in range(len(works))]
    report = _assemble(folder, dataset, works, groups, left_out, lambda share, what: tell(0.85 + 0.1 * share, what))
    tell(0.95, "report")
    from mididdsp.data.folder_report import write_report

    write_report(report, dataset, [_Strip(work.solo.item, _strip(work, dataset)) for work in works
                                   if work.refused is None])
    tell(1.0, "done")
    if not report.minutes():
        raise DataError(f"nothing in {folder} can be learned from; {dataset / 'report.html'} says why, file by file")
    return report


@dataclass(frozen=True, slots=True)
class _Strip:
    """A recording's contours for its picture."""

    item: str
    contours: Callable[[], dict[str, NDArray[Any]]]


def _cached_survey(path: Path, dataset: Path) -> Survey:
    state = path.stat()
    known = (SURVEY_VERSION, str(path.resolve()), state.st_size, state.st_mtime_ns)
    file = dataset / "surveys" / f"{hashlib.sha256(repr(known).encode()).hexdigest()[:16]}.npz"
    scalars = ("digest", "seconds", "sample_rate", "channels", "peak", "downmix", "ceiling_hz")
    arrays = ("level_db", "clipped", "bands_db")
    if file.exists():
        with np.load(file, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes().decode())
            return Survey(**facts, **{name: stored[name] for name in arrays})
    seen = survey(path)
    facts = json.dumps({name: getattr(seen, name) for name in scalars}).encode()
    with atomic_path(file) as partial, partial.open("wb") as stream:
        np.savez(stream, facts=np.frombuffer(facts, np.uint8),
                 **{name: getattr(seen, name) for name in arrays})
    return seen


def _analyse(works: Sequence[_Work], dataset: Path, workers: int, tell: Progress) -> None:
    """Make the pieces that are missing, at most a few in memory at a time."""
    waiting = {id(work): tasks(work.solo.path, dataset, work.seen, work.instrument) for work in works}
    total = sum(map(len, waiting.values()))
    done = 0

    def jobs() -> Iterator[tuple[_Work, PieceTask, NDArray[Any]]]:
        for work in works:
            mine = {task.index: task for task in waiting[id(work)]}
            if mine:
                for index, audio in piece_audio(work.solo.path, work.seen, set(mine)):
                    yield work, mine[index], audio

    if workers == 1 or total < 2:
        for work, task, audio in jobs():
            tell(done / total, work.solo.item)
            analyse_piece(audio, task)
            done += 1
        return
    with ProcessPoolExecutor(max_workers=workers) as pool:
        running: list[Future[None]] = []
        for work, task, audio in jobs():
            running.append(pool.submit(analyse_piece, audio, task))
            if len(running) > 2 * workers:
                running.pop(0).result()
                done += 1
                tell(done / total, work.solo.item)
        for future in running:
            future.result()


def _pieces(work: _Work, dataset: Path) -> Iterator[tuple[Heard, dict[str, NDArray[Any]]]]:
    for index in range(piece_count(work.seen.seconds)):
        yield load_piece(piece_file(dataset, work.seen, work.solo.instrument, index))


def _strip(work: _Work, dataset: Path) -> Callable[[], dict[str, NDArray[Any]]]:
    """Pitch, voiced and level of a whole recording, 25 values a second."""

    def contours() -> dict[str, NDArray[Any]]:
        strips = [strip for _, strip in _pieces(work, dataset)]
        return {name: np.concatenate([strip[name] for strip in strips]) for name in ("pitch", "voiced", "level")}

    return contours


@dataclass(slots=True, kw_only=True)
class _Judged:
    """The notes of a recording, without their frames, and which of them are kept."""

    facts: list[dict[str, Any]]
    reasons: list[str | None]
    voiced: float
    confirmation: Confirmation | None

    def kept(self) -> list[dict[str, Any]]:
        return [facts for facts, reason in zip(self.facts, self.reasons) if reason is None]


def _judge(work: _Work, dataset: Path) -> _Judged:
    """Look at all notes of a recording; may refuse it as a whole."""
    facts: list[dict[str, Any]] = []
    voiced, loud = 0, 0
    for notes, strip in _pieces(work, dataset):
        facts += [about for about, _ in notes]
        strong = strip["level"] > work.seen.loud_db - 25.0
        voiced += int((strong & strip["voiced"]).sum())
        loud += int(strong.sum())
    median_db = float(np.median([about["expression"]["level_db"] for about in facts])) if facts else 0.0
    reasons = [refusal(about, clipped_share(work.seen, about["time"], about["time"] + about["seconds"]), median_db)
               for about in facts]
    given, problem = given_notes(work.solo)
    if problem is not None:
        work.remarks.append(f"The notes beside it are not used: {problem}.")
    confirmation = None
    if given and facts:
        confirmation = confirm([(about["time"], about["time"] + about["seconds"], about["pitch"]) for about in facts],
                               given)
        if confirmation.trusted:
            reasons = [own or theirs for own, theirs in zip(reasons, confirmation.refused)]
            for about, velocity in zip(facts, confirmation.velocity):
                about["velocity"] = velocity
            if abs(confirmation.shift_s) > 0.05:
                work.remarks.append(f"The notes beside it begin {confirmation.shift_s:+.2f} s away; they were moved.")
            if confirmation.transposed:
                work.remarks.append(f"It sounds {confirmation.transposed:+d} semitones from the notes beside it.")
        else:
            work.remarks.append(
                f"Only {confirmation.agreement:.0%} of the notes beside it are heard; they are not used.")
    share = voiced / loud if loud else 0.0
    time = sum(about["seconds"] for about in facts)
    many = sum(about["seconds"] for about, reason in zip(facts, reasons)
               if reason in ("polyphonic", "chord in the notes"))
    if work.refused is None and (not facts or share < LEAST_VOICED):
        work.refused = (f"no steady pitch in {1 - share:.0%} of its sound: noise, speech or drums"
                        if share < LEAST_VOICED else "no note in it is long enough to be measured")
    elif work.refused is None and many > MOST_POLYPHONIC * time and not (confirmation and confirmation.trusted):
        work.refused = f"several tones at once in {many / time:.0%} of it: chords, or more than one player"
    if work.refused is not None:
        reasons = [reason or "recording" for reason in reasons]
    return _Judged(facts=facts, reasons=reasons, voiced=share, confirmation=confirmation)


def _assemble(
    folder: Path, dataset: Path, works: Sequence[_Work], groups: Sequence[str], left_out: Sequence[tuple[str, str]],
    tell: Progress,
) -> FolderReport:
    judged: dict[int, _Judged] = {}
    for index, work in enumerate(works):
        tell(0.5 * index / len(works), work.solo.item)
        if work.refused is not None:
            continue
        judged[index] = _judge(work, dataset)
        if work.instrument is None and judged[index].kept():
            pitches = [about["pitch"] for about in judged[index].kept()]
            work.instrument = by_register(list(INSTRUMENTS), pitches)
            work.remarks.append(f"No name tells its instrument; {work.instrument} suits its notes best. "
                                "Say --instrument if it is another.")
    shares = [Share(item=work.solo.item, instrument=work.instrument or "", group=groups[index],
                    seconds=sum(about["seconds"] for about in judged[index].kept()) if index in judged else 0.0)
              for index, work in enumerate(works)]
    cut_at = {works[index].solo.item: _cut_time(one.kept()) for index, one in judged.items() if one.kept()}
    sides = split(shares, decided=_decided(folder, dataset), cut_at=cut_at)
    with atomic_path(dataset / "split.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["item", "split"])
        table.writerows(sorted(sides.sides.items()))
    gains = _gains(works, judged)
    names: list[str] = []
    reports: list[RecordingReport] = []
    for index, work in enumerate(works):
        tell(0.5 + 0.5 * index / len(works), work.solo.item)
        item = work.solo.item
        side, cut = sides.sides[item], sides.cuts_s.get(item)
        if index in judged and work.refused is None:
            names += _write(work, dataset, judged[index], side, cut, gains.get(index, 0.0))
        if cut is not None:
            work.remarks.append(f"There are too few recordings of the {work.instrument} to hold out a whole one: what "
                                f"follows {_clock(cut)} is held out.")
        reports.append(_report(work, judged.get(index), side if cut is None else "train, then valid"))
    _forget(dataset, names)
    about = {"clips": [], "phrases": names, "gains_db": {}, "targets": {}, "folder": str(folder.resolve()),
             "report": {"recordings": len(works), "phrases": len(names)}}
    with atomic_path(dataset / "notes.json") as partial:
        partial.write_text(json.dumps(about, indent=1), encoding="utf-8")
    return FolderReport(folder=folder.resolve().name, recordings=tuple(reports), left_out=tuple(left_out))


def _decided(folder: Path, dataset: Path) -> dict[str, str]:
    """Sides that the folder's own split.csv says, else those of the run before."""
    decided: dict[str, str] = {}
    for place in (dataset / "split.csv", folder / "split.csv"):
        if not place.is_file():
            continue
        with place.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                side = (row.get("split") or "").strip()
                if side not in ("train", "valid", "test") or not row.get("item"):
                    raise DataError(f"{place} has a line that is not item,train|valid|test ({dict(row)}); correct it")
                decided[row["item"]] = side
    return decided


def _cut_time(kept: Sequence[Mapping[str, Any]]) -> float:
    """Where the last eighth of a recording's notes begins."""
    passed = np.cumsum([about["seconds"] for about in kept])
    return float(kept[int(np.searchsorted(passed, (1.0 - VALID_SHARE) * passed[-1]))]["time"])


def _gains(works: Sequence[_Work], judged: Mapping[int, _Judged]) -> dict[int, float]:
    """Gain of each recording to the level of a model's mezzo-forte: recordings of one place share theirs.

    So soft pieces stay softer than loud ones. Where the recordings of a place were recorded at plainly different gains,
    each has its own.
    """
    medians = {index: float(np.median([about["expression"]["level_db"] for about in one.kept()]))
               for index, one in judged.items() if one.kept()}
    places: dict[tuple[str | None, str], list[int]] = {}
    for index in medians:
        places.setdefault((works[index].instrument, os.path.dirname(works[index].solo.item)), []).append(index)
    gains: dict[int, float] = {}
    for members in places.values():
        values = [medians[index] for index in members]
        together = max(values) - min(values) <= LEVELS_APART_DB
        for index in members:
            level = float(np.median([about["expression"]["level_db"] for other in members
                                     for about in judged[other].kept()])) if together else medians[index]
            gains[index] = MF_LEVEL_DB - level
    return gains


def _write(work: _Work, dataset: Path, judged: _Judged, side: str, cut: float | None, gain_db: float) -> list[str]:
    """The kept notes of a recording, one file a piece; their names in the data set."""
    keep = {(about["time"], about["pitch"]): about for about in judged.kept()}
    names = []
    for number, (notes, _) in enumerate(_pieces(work, dataset)):
        sides: dict[str, Heard] = {}
        for about, frames in notes:
            known = keep.get((about["time"], about["pitch"]))
            own = note_side(side, cut, about["time"], about["time"] + about["seconds"])
            if known is None or own is None:
                continue
            facts = {**known, "item": work.solo.item, "instrument": work.instrument, "split": own, "dynamic": "",
                     "style": "normal", "velocity": known.get("velocity"), "mark": None, "gain_db": gain_db}
            sides.setdefault(own, []).append((facts, frames))
        for own, members in sides.items():
            cached = piece_file(dataset, work.seen, work.solo.instrument, number)
            key = hashlib.sha256(work.solo.item.encode()).hexdigest()[:8]
            name = f"phrases/{cached.stem}-{key}-{own}.npz"
            with atomic_path(dataset / name) as partial, partial.open("wb") as stream:
                save_phrase(stream, members)
            names.append(name)
    return names


def _forget(dataset: Path, names: Sequence[str]) -> None:
    """Files of notes that an earlier run made and this one no longer names."""
    wanted = set(names)
    for path in (dataset / "phrases").glob("*.npz"):
        if f"phrases/{path.name}" not in wanted:
            path.unlink()


def _report(work: _Work, judged: _Judged | None, side: str) -> RecordingReport:
    seen = work.seen
    report = RecordingReport(
        item=work.solo.item, instrument=work.instrument, told_by=work.solo.told_by,
        side="" if work.refused else side, refused=work.refused, seconds=seen.seconds, sample_rate=seen.sample_rate,
        channels=seen.channels, peak=seen.peak, clipped_s=seen.clipped_s, loud_db=seen.loud_db, floor_db=seen.floor_db,
        ceiling_hz=seen.ceiling_hz, remarks=tuple([*work.remarks, *_remarks(seen)]))
    if judged is None:
        return report
    kept = judged.kept()
    left_out: Counter[str] = Counter()
    for about, reason in zip(judged.facts, judged.reasons):
        if reason is not None:
            left_out[reason] += about["seconds"]
    heard = kept or judged.facts
    levels = np.array([about["expression"]["level_db"] for about in kept])
    pitch_s: Counter[int] = Counter()
    for about in kept:
        pitch_s[round(about["pitch"])] += about["seconds"]
    return replace(
        report, voiced=judged.voiced, notes=len(kept), note_seconds=float(sum(about["seconds"] for about in kept)),
        left_out_s=dict(left_out), stretches=tuple(_stretches(judged)), tuning_cents=_tuning(heard),
        given=judged.confirmation.agreement if judged.confirmation is not None else None, pitch_s=dict(pitch_s),
        levels_db=tuple(float(value) for value in levels - np.median(levels)) if len(levels) else ())


def _remarks(seen: Survey) -> Iterator[str]:
    if seen.sample_rate < 32_000 or seen.ceiling_hz < 10_000.0:
        yield (f"It holds nothing above {seen.ceiling_hz / 1000:.1f} kHz; brightness above that cannot be learned from "
               "it.")
    if seen.downmix != "mean":
        yield f"Channel {seen.downmix} is used alone: the others are silent beside it, or cancel it."
    if seen.clipped_s > 0:
        yield f"{seen.clipped_s:.1f} s of it are clipped."


def _tuning(notes: Sequence[Mapping[str, Any]]) -> float | None:
    """Circular mean of how far the notes lie from the nearest semitone of A4 = 440 Hz, cents; weighted by length."""
    if not notes:
        return None
    turn = np.exp(2j * np.pi * np.array([about["pitch"] for about in notes]))
    weight = np.array([about["seconds"] for about in notes])
    return float(100.0 * np.angle((turn * weight).sum()) / (2 * np.pi))


def _stretches(judged: _Judged) -> list[tuple[float, float, str]]:
    """Refused notes as stretches of time; those less than a second apart and of one reason are joined."""
    found: list[tuple[float, float, str]] = []
    for about, reason in zip(judged.facts, judged.reasons):
        if reason is None or reason == "recording":
            continue
        start, end = about["time"], about["time"] + about["seconds"]
        if found and found[-1][2] == reason and start - found[-1][1] < 1.0:
            found[-1] = (found[-1][0], max(found[-1][1], end), reason)
        else:
            found.append((start, end, reason))
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"

