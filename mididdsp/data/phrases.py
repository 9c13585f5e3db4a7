"""Recordings of phrases → the notes in them, with the frames of each: how notes join, breathe and follow each other.

What a phrase plays is not written down: it is transcribed (``notes.analysis``), and each note is then measured as
single notes are. Trills, tremolo and glissandi are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.clips import LATE_ATTACK_FRAMES, RELEASE_S, load_mono
from mididdsp.data.recordings import DataError, Recording, philharmonia
from mididdsp.expression.analysis import measure_note
from mididdsp.files import atomic_path
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.analysis import HeardNote, find_notes
from mididdsp.synthesis.analysis import Analysis, analyse_with_f0
from mididdsp.synthesis.knots import partials_to_knots
from mididdsp.synthesis.tracking import track_pitch
from mididdsp.units import FRAME_RATE, power_to_db

LEFT_OUT = ("trill", "tremolo", "glissando", "pizz", "guitar")

STYLE_MARKS = {
    "staccato": "staccato", "arco-staccato": "staccato", "staccatissimo": "staccatissimo",
    "arco-spiccato": "staccatissimo", "tenuto": "tenuto", "arco-tenuto": "tenuto", "arco-portato": "portato",
    "arco-martele": "marcato", "arco-detache": "detache", "nonlegato": "detache",
}
"""The mark that a phrase's style puts on its notes."""

LONGEST_S = 40.0

PHRASE_VERSION = 6
"""Raised when what is cached changes meaning; old caches are then made anew."""


def phrases(folder: Path) -> list[Recording]:
    """The phrases of the collection whose notes are steady."""
    return [recording for recording in philharmonia(folder)
            if recording.kind == "phrase" and not any(word in recording.style for word in LEFT_OUT)]


def analyse_phrase(recording: Recording) -> list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """(facts, frame arrays) of each note of a phrase, in the form of single notes.

    The facts also hold ``joined``, ``leads``, ``gap_before``, ``gap_after`` (s, None at the ends), ``interval_before``,
    ``interval_after`` (semitones) and ``mark``.
    """
    audio = load_mono(recording.path)[: int(LONGEST_S * 48_000)]
    instrument = INSTRUMENTS[recording.instrument]
    track = track_pitch(audio, low=instrument.low - 2, high=instrument.high + 2)
    notes = find_notes(track.f0_hz, track.voiced, track.level_db, periodicity=track.periodicity)
    if not notes:
        return []
    return measured_notes(analyse_with_f0(audio, track.f0_hz, track.voiced), notes, {
        "item": recording.item, "instrument": recording.instrument, "split": recording.split,
        "dynamic": recording.dynamic, "style": recording.style, "velocity": recording.velocity,
        "mark": STYLE_MARKS.get(recording.style),
    })


def measured_notes(
    heard: Analysis, notes: Sequence[HeardNote], common: Mapping[str, Any]
) -> list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """(facts, frame arrays) of the notes in a recording, each in its own window; see :func:`analyse_phrase`.

    Args:
        heard: the recording's frames.
        notes: what was found in it, by onset; those shorter than ten frames are left out.
        common: facts that all of them share.
    """
    partial_power = heard.partials**2 / 2.0
    known_power = np.nan_to_num(partial_power)
    noise_power = 10 ** (heard.noise_db / 10)
    knots, known = partials_to_knots(partial_power)
    result = []
    for index, note in enumerate(notes):
        before = notes[index - 1] if index else None
        after = notes[index + 1] if index + 1 < len(notes) else None
        leads = after is not None and after.joined
        start = max(0, note.onset - (6 if note.joined else 8))
        end = note.offset + 6 if leads else note.offset + int(RELEASE_S * FRAME_RATE)
        if after is not None and not leads:
            end = min(end, max(after.onset - 2, note.offset + 1))
        end = min(end, len(heard.f0_hz))
        if note.offset - note.onset < 10 or end <= note.offset - 1:
            continue
        window = slice(start, end)
        expression = measure_note(
            f0_hz=heard.f0_hz[window], partial_power=known_power[window], noise_power=noise_power[window].sum(1),
            pitch=note.pitch, onset=note.onset - start, offset=note.offset - start, joined=note.joined, leads=leads)
        level = heard.level_db[window]
        facts = {
            **common, "pitch": note.pitch,
            "seconds": (note.offset - note.onset) / FRAME_RATE, "onset": note.onset - start,
            "offset": note.offset - start, "joined": note.joined, "leads": leads,
            "late_attack": not note.joined and index == 0
            and float(level[note.onset - start : note.onset - start + LATE_ATTACK_FRAMES].max() - level.max()) > -10.0,
            "unfinished": bool(level[-1] > expression.level_db - 15.0), "first": index == 0, "last": after is None,
            "time": note.onset / FRAME_RATE,
            **_surroundings(before, note, after),
            "expression": {name: getattr(expression, name) for name in expression.__dataclass_fields__},
        }
        result.append((facts, {
            "f0_cents": (1200.0 * np.log2(heard.f0_hz[window] / 440.0)
                         - 100.0 * (note.pitch - 69.0)).astype(np.float32),
            "partial_db": power_to_db(known_power[window].sum(1)).astype(np.float32),
            "knots_db": knots[window].astype(np.float16), "known": known[window],
            "noise_db": heard.noise_db[window].astype(np.float16), "level_db": level.astype(np.float32),
        }))
    return result


def _surroundings(before: HeardNote | None, note: HeardNote, after: HeardNote | None) -> dict[str, Any]:
    return {
        "gap_before": None if before is None else (note.onset - before.offset) / FRAME_RATE,
        "gap_after": None if after is None else (after.onset - note.offset) / FRAME_RATE,
        "interval_before": None if before is None else before.pitch - note.pitch,
        "interval_after": None if after is None else after.pitch - note.pitch,
        "seconds_before": None if before is None else (before.offset - before.onset) / FRAME_RATE,
        "seconds_after": None if after is None else (after.offset - after.onset) / FRAME_RATE,
    }


def phrase_file(dataset: Path, recording: Recording) -> Path:
    """Where the notes of a phrase are cached."""
    return dataset / "phrases" / f"{recording.cache_key(PHRASE_VERSION)}.npz"


def cache_phrases(
    recordings: Iterable[Recording], dataset: Path, *, workers: int = 2, progress: bool = False
) -> list[str]:
    """Analyse what is not cached yet; sentences about what could not be read."""
    (dataset / "phrases").mkdir(parents=True, exist_ok=True)
    work = [(recording, str(phrase_file(dataset, recording))) for recording in recordings]
    work = [job for job in work if not Path(job[1]).exists()]
    if not work:
        return []
    from tqdm import tqdm

    with ProcessPoolExecutor(max_workers=workers) as pool:
        results = list(tqdm(pool.map(_cache, *zip(*work), chunksize=2), total=len(work), desc="phrases",
                            disable=not progress))
    return [result for result in results if result]


def _cache(recording: Recording, target: str) -> str | None:
    try:
        notes = analyse_phrase(recording)
    except DataError as error:
        return str(error)
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        save_phrase(stream, notes)
    return None


def save_phrase(stream: BinaryIO, notes: list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]) -> None:
    """Write the notes of a phrase into one file, their frames one after another."""
    facts = [{**about, "frames": len(arrays["level_db"])} for about, arrays in notes]
    joined = {name: np.concatenate([arrays[name] for _, arrays in notes]) for name in notes[0][1]} if notes else {}
    np.savez(stream, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **joined)  # type: ignore[arg-type]


def load_phrase(path: Path) -> list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """What :func:`save_phrase` wrote."""
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes().decode())
        arrays = {name: file[name] for name in file.files if name != "facts"}
    result, start = [], 0
    for about in facts:
        stop = start + about["frames"]
        result.append((about, {name: values[start:stop] for name, values in arrays.items()}))
        start = stop
    return result
