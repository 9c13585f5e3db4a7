"""MusicXML out: a score on the grid of sixteenths as notation, with bars, ties, key and time signatures.

Conventions: notes go to the nearest sixteenth, as the prior over notes has them; a note over a bar line is tied;
pitches are spelled by the key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mididdsp.files import atomic_path
from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, note_spans
from mididdsp.notes.library import music21
from mididdsp.notes.types import Score

_FIFTHS_OF_C = "FCGDAEB"
_FLATTEST = -3
"""The flattest of the twelve tones that are spelled in C major and A minor, in fifths from C: E flat to G sharp."""


def spelled(pitch: int, fifths: int) -> tuple[str, int, int]:
    """Letter, alteration (-1 is a flat) and octave of a MIDI number in a key of so many sharps."""
    lowest = fifths + _FLATTEST
    place = lowest + (7 * pitch - lowest) % 12
    letter, alteration = _FIFTHS_OF_C[(place + 1) % 7], (place + 1) // 7
    return letter, alteration, (pitch - alteration) // 12 - 1


def write_musicxml(score: Score, grid: NoteGrid, path: str | os.PathLike[str]) -> None:
    """Write a score as MusicXML; the file appears whole or not at all.

    Args:
        score: names, instruments, tempo and key.
        grid: its notes and bars, one voice for each part.
        path: of the file.

    Raises:
        ValueError: there are not as many parts as voices.
        OSError: it cannot be written.
    """
    if len(score.parts) != grid.voices:
        raise ValueError(f"the score has {len(score.parts)} parts and the grid {grid.voices} voices; give one for each")
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    music = music21()
    piece = music.stream.Score()
    piece.metadata = music.metadata.Metadata(title=score.title or "Untitled")
    for voice in range(grid.voices):
        piece.insert(0, _part(score, grid, voice))
    data: bytes = GeneralObjectExporter(piece).parse()
    with atomic_path(Path(path)) as partial:
        partial.write_bytes(data)


def _part(score: Score, grid: NoteGrid, voice: int) -> Any:
    music = music21()
    part = music.stream.Part(id=score.parts[voice].name)
    part.partName = score.parts[voice].name
    fifths = score.key[0].fifths if score.key else 0
    sounding = grid.pitch[voice][grid.pitch[voice] != REST]
    length = 0
    for number, (start, stop) in enumerate(_bars(grid)):
        measure = music.stream.Measure(number=number + (0 if grid.position[0] > 0 else 1))
        if number == 0:
            middle = float(sounding.mean()) if sounding.size else 60.0
            measure.insert(0, music.clef.TrebleClef() if middle >= 60 else music.clef.BassClef())
            measure.insert(0, music.key.KeySignature(fifths))
            if voice == 0 and score.tempo:
                measure.insert(0, music.tempo.MetronomeMark(number=round(score.tempo[0].bpm)))
        if int(grid.bar[start]) != length:
            length = int(grid.bar[start])
            measure.insert(0, music.meter.TimeSignature(_signature(length, score, start)))
        if number == 0 and grid.position[0] > 0:
            measure.paddingLeft = int(grid.position[0]) / STEPS_PER_QUARTER
        for first, last, pitch, tie in _pieces(grid, voice, start, stop):
            measure.insert((first - start) / STEPS_PER_QUARTER, _element(pitch, last - first, tie, fifths))
        part.append(measure)
    return part


def _signature(length: int, score: Score, step: int) -> str:
    """The time signature of a bar of so many sixteenths."""
    beat = step / STEPS_PER_QUARTER
    told = [change for change in score.meter if change.beat <= beat + 4.0]
    for change in reversed(told):
        if change.numerator * 4 * STEPS_PER_QUARTER == length * change.denominator:
            return f"{change.numerator}/{change.denominator}"
    return f"{length // 4}/4" if length % 4 == 0 else f"{length // 2}/8" if length % 2 == 0 else f"{length}/16"


def _bars(grid: NoteGrid) -> list[tuple[int, int]]:
    starts = [step for step in range(grid.steps) if step == 0 or grid.position[step] == 0]
    return list(zip(starts, [*starts[1:], grid.steps]))


def _pieces(grid: NoteGrid, voice: int, start: int, stop: int) -> list[tuple[int, int, int, str | None]]:
    """First step, step after the last, pitch and tie of the notes and rests of a bar."""
    found: list[tuple[int, int, int, str | None]] = []
    step = start
    for first, last in note_spans(grid, voice):
        if last <= start or first >= stop:
            continue
        a, b = max(first, start), min(last, stop)
        if a > step:
            found.append((step, a, REST, None))
        tie = {(False, False): None, (False, True): "start", (True, True): "continue", (True, False): "stop"}
        found.append((a, b, int(grid.pitch[voice, first]), tie[first < start, last > stop]))
        step = b
    if step < stop:
        found.append((step, stop, REST, None))
    return found


def _element(pitch: int, steps: int, tie: str | None, fifths: int) -> Any:
    music = music21()
    quarters = steps / STEPS_PER_QUARTER
    if pitch == REST:
        return music.note.Rest(quarterLength=quarters)
    letter, alteration, octave = spelled(pitch, fifths)
    name = letter + ("#" * alteration if alteration > 0 else "-" * -alteration)
    element = music.note.Note(music.pitch.Pitch(f"{name}{octave}"), quarterLength=quarters)
    if tie is not None:
        element.tie = music.tie.Tie(tie)
    return element
