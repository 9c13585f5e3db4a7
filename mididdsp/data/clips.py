"""Recordings of single notes → frames and attributes, checked against their labels, cached one file a clip."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.recordings import ORDINARY_STYLES, DataError, Recording, philharmonia
from mididdsp.expression.analysis import measure_note, sounding_span
from mididdsp.files import atomic_path
from mididdsp.synthesis.analysis import ANALYSIS_RATE, analyse_note, find_pitch
from mididdsp.synthesis.knots import partials_to_knots
from mididdsp.units import FRAME_RATE, hz_to_midi, power_to_db

CLIP_VERSION = 6
"""Raised when what is cached changes meaning; old caches are then made anew."""

MAX_CLIP_S = 8.0
RELEASE_S = 0.6
LATE_ATTACK_FRAMES = 4


def load_mono(path: Path) -> NDArray[np.float64]:
    """A recording as mono float64 at the analysis rate; DataError with one sentence when it cannot be read."""
    import soundfile
    import soxr

    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path} cannot be read as audio ({error}); leave it out or replace it") from None
    mono = audio.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, ANALYSIS_RATE), dtype=np.float64)


def clip_file(dataset: Path, recording: Recording) -> Path:
    """Where the clip of a recording is cached."""
    return dataset / "clips" / f"{recording.cache_key(CLIP_VERSION)}.npz"


def analyse_clip(recording: Recording) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(facts and attributes, frame arrays) of one single-note recording.

    The facts hold ``dropped`` with a reason when the clip should not be learned from. Frames begin 8 frames before the
    onset and end when the sound is gone.
    """
    assert recording.pitch is not None
    audio = load_mono(recording.path)[: int((MAX_CLIP_S + 1.0) * ANALYSIS_RATE)]
    facts: dict[str, Any] = {
        "item": recording.item, "instrument": recording.instrument, "split": recording.split,
        "labelled": recording.pitch, "length": recording.length, "dynamic": recording.dynamic,
        "style": recording.style, "velocity": recording.velocity, "dropped": None,
    }
    if len(audio) < 0.05 * ANALYSIS_RATE or float(np.abs(audio).max()) < 1e-3:
        return {**facts, "dropped": "silent or too short"}, {}
    found, strength = find_pitch(audio, recording.pitch)
    heard = analyse_note(audio, found)
    onset, offset, end = sounding_span(heard.level_db)
    body = slice(onset, offset)
    pitch = hz_to_midi(float(np.median(heard.f0_hz[body][heard.voiced[body]]))) \
        if heard.voiced[body].any() else found
    end = min(end, offset + int(RELEASE_S * FRAME_RATE), len(heard.f0_hz))
    start = max(0, onset - 8)
    partial_power = heard.partials[start:end] ** 2 / 2.0
    noise_power = 10 ** (heard.noise_db[start:end] / 10)
    known_power = np.nan_to_num(partial_power)
    expression = measure_note(
        f0_hz=heard.f0_hz[start:end], partial_power=known_power, noise_power=noise_power.sum(1), pitch=pitch,
        onset=onset - start, offset=offset - start)
    knots, known = partials_to_knots(partial_power)
    level = heard.level_db[start:end]
    early = float(level[onset - start : onset - start + LATE_ATTACK_FRAMES].max()) - float(level.max())
    facts |= {
        "pitch": pitch, "strength": strength, "octave_error": round((pitch - recording.pitch) / 12.0),
        "off_label": pitch - recording.pitch, "seconds": (offset - onset) / FRAME_RATE, "onset": onset - start,
        "offset": offset - start, "voiced": float(heard.voiced[body].mean()),
        "late_attack": early > -10.0 and onset <= 8,
        "unfinished": bool(level[-1] > expression.level_db - 15.0),
        "model_error_db": float(np.median(
            (power_to_db(known_power.sum(1) + noise_power.sum(1)) - level)[onset - start : offset - start])),
        "expression": {name: getattr(expression, name) for name in expression.__dataclass_fields__},
    }
    if recording.style not in ORDINARY_STYLES:
        facts["dropped"] = f"style {recording.style}"
    elif facts["voiced"] < 0.4:
        facts["dropped"] = "no steady pitch"
    elif strength < 0.5:
        facts["dropped"] = "another sound in the clip"
    elif offset - onset < 10:
        facts["dropped"] = "shorter than 40 ms"
    return facts, {
        "f0_cents": (1200.0 * np.log2(heard.f0_hz[start:end] / 440.0) - 100.0 * (pitch - 69.0)).astype(np.float32),
        "partial_db": power_to_db(known_power.sum(1)).astype(np.float32),
        "knots_db": knots.astype(np.float16), "known": known, "noise_db": heard.noise_db[start:end].astype(np.float16),
        "level_db": level.astype(np.float32),
    }


def _cache(recording: Recording, target: str) -> str | None:
    """Analyse one clip into its cache file; the sentence of what went wrong, or None."""
    path = Path(target)
    if path.exists():
        return None
    try:
        facts, arrays = analyse_clip(recording)
    except DataError as error:
        return str(error)
    with atomic_path(path) as partial, partial.open("wb") as stream:
        np.savez(stream, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return None


def load_clip(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(facts, arrays) of one cached clip."""
    with np.load(path, allow_pickle=False) as file:
        facts: dict[str, Any] = json.loads(file["facts"].tobytes().decode())
        return facts, {name: file[name] for name in file.files if name != "facts"}


def single_notes(folder: Path) -> list[Recording]:
    """The single notes of the collection that have a pitch."""
    return [recording for recording in philharmonia(folder) if recording.kind == "note" and recording.pitch is not None]


def cache_clips(
    recordings: Iterable[Recording], dataset: Path, *, workers: int = 2, progress: bool = False
) -> list[str]:
    """Analyse what is not cached yet; sentences about what could not be read."""
    (dataset / "clips").mkdir(parents=True, exist_ok=True)
    work = [(recording, str(clip_file(dataset, recording))) for recording in recordings]
    work = [job for job in work if not Path(job[1]).exists()]
    from tqdm import tqdm

    with ProcessPoolExecutor(max_workers=workers) as pool:
        results = list(tqdm(pool.map(_cache, *zip(*work), chunksize=8), total=len(work), desc="clips",
                            disable=not progress)) if work else []
    return [result for result in results if result]
