"""Recordings for the benches: the index and split of the data folder, decoded audio, measured pitches.

Labels err (the data's README says how), so a clip's pitch is measured from its sound, near its label; the figure is
kept in a cache outside the repository.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from bench import measures, pitch

SAMPLE_RATE = 48_000
DEFAULT_CACHE = Path("~/.cache/mididdsp").expanduser()
TRACKER_VERSION = 1
"""Raise when ``bench.pitch`` measures pitches differently: cached ones are then measured anew."""

DYNAMICS = ("molto-pianissimo", "pianissimo", "piano", "mezzo-piano", "mezzo-forte", "forte", "fortissimo")
VELOCITY: dict[str, int] = dict(zip(DYNAMICS, (20, 33, 49, 64, 80, 96, 112)))
VELOCITY_OF_CHANGING = 80
"""Of clips that grow or fade (cresc-decresc and the like)."""

PLAIN_STYLES = frozenset({"normal", "arco-normal", "vibrato", "non-vibrato", "molto-vibrato", "tenuto", "legato",
                          "nonlegato", "long", "arco-legato", "arco-tenuto", "arco-detache"})
"""Styles of single notes that are one plain note: no trill, tremolo, glissando, pizzicato, or staccato."""

FAMILIES: dict[str, str] = {
    **dict.fromkeys(("violin", "viola", "cello", "double_bass"), "strings"),
    **dict.fromkeys(("flute", "oboe", "english_horn", "clarinet", "bass_clarinet", "saxophone", "bassoon",
                     "contrabassoon"), "woodwind"),
    **dict.fromkeys(("trumpet", "horn", "trombone", "tuba"), "brass"),
}
"""The sixteen instruments in their order, with their family."""

LENGTHS = ("025", "05", "1", "15", "long", "very-long")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One line of the index. ``label`` is the labelled MIDI pitch, ``split`` train, valid or test."""

    file: str
    instrument: str
    kind: str
    label: int
    length: str
    dynamic: str
    style: str
    split: str

    @property
    def velocity(self) -> int:
        """Of its dynamic label."""
        return VELOCITY.get(self.dynamic, VELOCITY_OF_CHANGING)

    @property
    def family(self) -> str:
        """strings, woodwind or brass."""
        return FAMILIES[self.instrument]


class Library:
    """The clips of a data folder, with their measured pitches in a cache.

    Args:
        data: folder with ``split.csv`` and ``philharmonia/``.
        cache: folder for measured pitches; made when needed.

    Raises:
        FileNotFoundError: the data is not there.
    """

    def __init__(self, data: Path, cache: Path = DEFAULT_CACHE) -> None:
        self.root = data / "philharmonia"
        if not (self.root / "index.csv").exists() or not (data / "split.csv").exists():
            raise FileNotFoundError(f"{data} holds no philharmonia/index.csv and split.csv; "
                                    "give the data folder with --data")
        with open(data / "split.csv", newline="", encoding="utf-8") as lines:
            split = {row["item"]: row["split"] for row in csv.DictReader(lines)}
        with open(self.root / "index.csv", newline="", encoding="utf-8") as lines:
            self.clips = tuple(
                Clip(file=row["file"], instrument=row["instrument"], kind=row["kind"],
                     label=int(row["labelled_pitch"]), length=row["length_class"], dynamic=row["dynamic"],
                     style=row["style"], split=split["philharmonia/" + row["file"]])
                for row in csv.DictReader(lines) if "philharmonia/" + row["file"] in split)
        self._cache_file = cache / f"bench_pitches_{TRACKER_VERSION}.json"
        self._pitches: dict[str, float | None] = {}
        if self._cache_file.exists():
            self._pitches = json.loads(self._cache_file.read_text(encoding="utf-8"))
        self._fresh = False

    def select(self, *, split: str | None = None, kind: str = "note", instrument: str | None = None,
               styles: Iterable[str] | None = None) -> list[Clip]:
        """Clips by split, kind, instrument and style (None: any), in the order of the index."""
        wanted = None if styles is None else frozenset(styles)
        return [clip for clip in self.clips
                if (split is None or clip.split == split) and clip.kind == kind
                and (instrument is None or clip.instrument == instrument) and (wanted is None or clip.style in wanted)]

    def clip(self, file: str) -> Clip:
        """The clip of that file; KeyError when the index has none."""
        for clip in self.clips:
            if clip.file == file:
                return clip
        raise KeyError(f"the index has no clip {file}")

    def audio(self, clip: Clip) -> NDArray[np.float64]:
        """Mono audio at 48 kHz. Decoding takes a millisecond or two, so it is not cached."""
        samples, rate = soundfile.read(self.root / clip.file, dtype="float64", always_2d=True)
        return np.asarray(soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE, quality="VHQ"))

    def pitch(self, clip: Clip) -> float | None:
        """MIDI pitch the clip really sounds; None where nothing periodic is found near its label."""
        if clip.file not in self._pitches:
            try:
                self._pitches[clip.file] = round(pitch.sounding_pitch(self.audio(clip), SAMPLE_RATE, clip.label), 4)
            except ValueError:
                self._pitches[clip.file] = None
            self._fresh = True
        return self._pitches[clip.file]

    def save(self) -> None:
        """Write newly measured pitches to the cache, whole or not at all."""
        if self._fresh:
            self._cache_file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._cache_file.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(json.dumps(self._pitches), encoding="utf-8")
            temporary.replace(self._cache_file)
            self._fresh = False

    def another_take(self, clip: Clip, pitch_tolerance: float = 0.6) -> Clip | None:
        """Another recording of the same instrument and sounding pitch.

        Another length at the same dynamic, the nearest length first; else the nearest dynamic. Plain styles only.
        """
        own = self.pitch(clip)
        if own is None:
            return None
        best: tuple[tuple[float, ...], Clip] | None = None
        for other in self.select(instrument=clip.instrument, styles=PLAIN_STYLES):
            if other.file == clip.file or abs(other.label - clip.label) > 12 or (other.label - clip.label) % 12 not in (
                    0, 1, 11):
                continue
            same_recording = (other.dynamic, other.length, other.style) == (clip.dynamic, clip.length, clip.style)
            if same_recording and other.label == clip.label:
                continue  # one recording can stand under two names
            sounding = self.pitch(other)
            if sounding is None or abs(sounding - own) > pitch_tolerance:
                continue
            rank = (abs(other.velocity - clip.velocity), abs(_length(other) - _length(clip)), abs(sounding - own))
            if best is None or rank < best[0]:
                best = (rank, other)
        return best[1] if best else None

    def nearest_training_clip(self, clip: Clip) -> tuple[Clip, float] | None:
        """The plain training note nearest in pitch, then dynamic, then length, with its sounding pitch."""
        own = self.pitch(clip)
        if own is None:
            return None
        best: tuple[tuple[float, ...], Clip, float] | None = None
        for other in self.select(split="train", instrument=clip.instrument, styles=PLAIN_STYLES):
            off_octave = abs((other.label - own + 6) % 12 - 6)
            if off_octave > 3 or abs(other.label - own) > 14:
                continue
            sounding = self.pitch(other)
            if sounding is None:
                continue
            # A semitone away weighs like a step of the dynamic, so that timbre fits too.
            distance = abs(sounding - own) + abs(other.velocity - clip.velocity) / 16.0
            rank = (distance, abs(_length(other) - _length(clip)))
            if best is None or rank < best[0]:
                best = (rank, other, sounding)
        return (best[1], best[2]) if best else None


def _length(clip: Clip) -> int:
    return LENGTHS.index(clip.length) if clip.length in LENGTHS else len(LENGTHS)


def repitch(audio: NDArray[np.float64], semitones: float) -> NDArray[np.float64]:
    """The audio played faster or slower so that it sounds ``semitones`` higher; its length changes with it."""
    ratio = 2.0 ** (semitones / 12.0)
    return np.asarray(soxr.resample(audio, SAMPLE_RATE * ratio, SAMPLE_RATE, quality="VHQ"))


def note_of(audio: NDArray[np.float64], sounding: float) -> tuple[float, float]:
    """Onset and duration in s to ask a synthesizer for, so that it plays what the single-note clip plays."""
    times = measures.note_times(audio, SAMPLE_RATE, pitch.hz_of(sounding))
    return times.onset_s, max(0.05, times.offset_s - times.onset_s)


def spread_evenly(items: Sequence[Clip], count: int) -> list[Clip]:
    """``count`` of the items, evenly over their order; all when there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[int((k + 0.5) * len(items) / count)] for k in range(count)]
