"""Notes that lie beside recordings: MIDI, tables of notes, and URMP's own text files.

Conventions: times are seconds of the recording; pitches are sounding MIDI numbers, fractions allowed. A table has a
line of names and one note a line, with commas, semicolons, tabs or spaces between; it needs an onset, an offset or a
duration, and a pitch or a frequency. URMP's files have no names: onset (s), pitch (Hz), duration (s).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mididdsp.data.recordings import DataError
from mididdsp.instruments import named
from mididdsp.notes import smf
from mididdsp.notes.midi import MidiError, MidiReading, read_midi
from mididdsp.notes.smf import SmfError, parse_smf
from mididdsp.notes.timeline import DEFAULT_QUARTER_US, Timeline
from mididdsp.notes.tracks import in_one_time, tempi
from mididdsp.notes.types import Note
from mididdsp.units import hz_to_midi

MIDI_SUFFIXES = (".mid", ".midi")
TABLE_SUFFIXES = (".csv", ".tsv")

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "onset": ("onset", "onset_s", "onset_sec", "start", "start_s", "start_time", "time", "begin"),
    "offset": ("offset", "offset_s", "offset_sec", "end", "end_s", "end_time", "stop"),
    "duration": ("duration", "duration_s", "duration_sec", "dur", "length"),
    "pitch": ("pitch", "midi", "note", "midi_pitch", "midi_note", "note_number"),
    "frequency": ("frequency", "freq", "hz", "f0", "f0_hz", "pitch_hz"),
    "velocity": ("velocity", "vel"),
}
_NAMED_PITCH = re.compile(r"([A-Ga-g])([#♯b♭]*)(-?\d+)$")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_LARGEST_TABLE_BYTES = 64 * 2**20


def read_table(path: Path) -> tuple[Note, ...]:
    """Notes of a table with a line of names, sorted by onset.

    Raises:
        DataError: it cannot be read, lacks a column, or holds what is no note.
    """
    lines = _lines(path)
    if not lines:
        raise DataError(f"{path} holds no notes; give one note a line under a line of names (onset, offset, pitch)")
    separator = next((mark for mark in ("\t", ";", ",") if mark in lines[0][1]), None)
    rows = [(number, _split(line, separator)) for number, line in lines]
    header = [word.strip().lstrip("\ufeff").casefold() for word in rows[0][1]]
    places = {name: next((header.index(word) for word in words if word in header), None)
              for name, words in _COLUMNS.items()}
    missing = [words for words, found in (
        ("an onset", places["onset"]), ("an offset or a duration", _first(places, "offset", "duration")),
        ("a pitch or a frequency", _first(places, "pitch", "frequency"))) if found is None]
    if missing:
        raise DataError(f"{path} has no column for {missing[0]} (its first line is {lines[0][1][:60]!r}); "
                        "name the columns onset, offset, pitch")
    notes = [note for number, row in rows[1:] if (note := _row_note(path, number, row, places)) is not None]
    return tuple(sorted(notes, key=lambda note: (note.onset, note.pitch)))


def _row_note(path: Path, number: int, row: Sequence[str], places: Mapping[str, int | None]) -> Note | None:
    """The note of a line; None where it has no length, as tables made by alignment hold."""

    def value(name: str) -> str | None:
        place = places[name]
        return row[place].strip() if place is not None and place < len(row) and row[place].strip() else None

    try:
        onset = float(value("onset") or "nan")
        end, length = value("offset"), value("duration")
        duration = float(length) if length is not None else float(end or "nan") - onset
        text = value("pitch")
        if duration == 0:
            return None
        pitch = pitch_of(text) if text is not None else hz_to_midi(float(value("frequency") or "nan"))
        loud = value("velocity")
        velocity = None if loud is None else int(np.clip(round(float(loud)), 1, 127))
        return Note(id=f"{number}", onset=onset, duration=duration, pitch=pitch, velocity=velocity)
    except (ValueError, ArithmeticError) as error:
        raise DataError(f"{path}, line {number}: {','.join(row)[:60]!r} is no note ({error}); "
                        "correct the line or take the file away") from None


def pitch_of(text: str) -> float:
    """A MIDI number from a number or a name such as C#4, Bb3 or A4 (A4 is 69); ValueError for anything else."""
    name = _NAMED_PITCH.match(text)
    if name is None:
        return float(text)
    letter, marks, octave = name.groups()
    shift = sum(1 if mark in "#♯" else -1 for mark in marks)
    return float(12 * (int(octave) + 1) + _STEPS[letter.upper()] + shift)


def read_urmp_notes(path: Path) -> tuple[Note, ...]:
    """Notes of a ``Notes_…txt`` of URMP: onset (s), pitch (Hz), duration (s), white space between.

    Raises:
        DataError: it cannot be read, or a line is no note.
    """
    notes = []
    for number, line in _lines(path):
        words = line.split()
        try:
            onset, hertz, duration = (float(word) for word in words[:3])
            if not hertz > 0:
                raise ValueError(f"its pitch is {hertz} Hz")
            notes.append(Note(id=f"{number}", onset=onset, duration=duration, pitch=hz_to_midi(hertz)))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {line[:60]!r} is no note ({error}); "
                            "a line holds onset in s, pitch in Hz and duration in s") from None
    return tuple(sorted(notes, key=lambda note: (note.onset, note.pitch)))


def read_midi_notes(path: Path, *, part: str | None = None, tempo: Timeline | None = None) -> tuple[Note, ...]:
    """Notes of a MIDI file.

    Args:
        path: of the file.
        part: take this part alone; None takes all of them together.
        tempo: the tempo track of the session, for files that have no tempo of their own.

    Raises:
        DataError: it cannot be read or holds no notes.
    """
    reading = _reading(path)
    notes = [note for one in reading.score.parts if part in (None, one.name) for note in one.notes]
    if tempo is not None and tempo_of(path) is None:
        def seconds(time: float) -> float:
            quarters = time * 1e6 / DEFAULT_QUARTER_US  # read at 120 bpm, as files without a tempo are
            return float(tempo.seconds(np.array([quarters * tempo.ticks_per_quarter]))[0])

        notes = [Note(id=note.id, onset=seconds(note.onset), duration=seconds(note.offset) - seconds(note.onset),
                      pitch=note.pitch, velocity=note.velocity) for note in notes]
    return tuple(sorted(notes, key=lambda note: (note.onset, note.pitch)))


def midi_parts(path: Path) -> tuple[tuple[str, str, int], ...]:
    """(name, instrument, notes) of each part of a MIDI file; empty where it has no notes or cannot be read."""
    try:
        return tuple((part.name, part.instrument, len(part.notes)) for part in _reading(path).score.parts)
    except DataError:
        return ()


def tempo_of(path: Path) -> Timeline | None:
    """The tempo map a MIDI file gives; None where it gives none or cannot be read."""
    try:
        file = parse_smf(path.read_bytes())
    except (SmfError, OSError):
        return None
    remarks: list[str] = []
    events = sorted((event for track in in_one_time(file, remarks) for event in track if event.status == smf.META),
                    key=lambda event: event.tick)
    found = list(tempi(events, remarks))
    return Timeline(file.ticks_per_quarter or 1, found, file.tick_s) if found else None


def part_for(stem: str, parts: Iterable[tuple[str, str, int]], instrument: str | None) -> str | None:
    """The part of a session's MIDI file that a stem was made from: by its name, else the only one of its instrument."""
    available = list(parts)
    key = _plain(stem)
    same = [name for name, _, _ in available if _plain(name) == key]
    inside = [name for name, _, _ in available if _plain(name) and (_plain(name) in key or key in _plain(name))]
    spoken = named(stem)
    wanted = instrument or (spoken[0] if spoken is not None else None)
    playing = [name for name, one, _ in available if one == wanted]
    for found in (same, inside, playing):
        if len(found) == 1:
            return found[0]
    return None


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _reading(path: Path) -> MidiReading:
    try:
        return read_midi(path)
    except (MidiError, ValueError) as error:
        raise DataError(f"{path} gives no notes ({error})") from None


def _lines(path: Path) -> list[tuple[int, str]]:
    """(number from 1, text) of each line that is neither empty nor a remark."""
    try:
        if path.stat().st_size > _LARGEST_TABLE_BYTES:
            raise DataError(f"{path} is larger than 64 MiB, which no table of notes is; take it away")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text; give a table of notes in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1)
            if line.strip() and not line.lstrip().startswith("#")]


def _split(line: str, separator: str | None) -> list[str]:
    return line.split() if separator is None else next(csv.reader([line], delimiter=separator))


def _first(places: Mapping[str, int | None], *names: str) -> int | None:
    return next((places[name] for name in names if places[name] is not None), None)


