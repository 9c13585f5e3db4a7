"""Twenty varied MIDI files: chorales, quartets and folk tunes, and the odd ones that sequencers make.

    python -m bench.files OUT

The music comes from the corpus that music21 brings (in the public domain); the odd files are built here message by
message. The same files come out on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mido

from mididdsp.notes.midi import read_midi, write_midi
from mididdsp.notes.types import Note, Part, Score

TICKS = 480
LONGEST_EXCERPT_S = 45.0
"""How much of each movement is taken: twenty files are rendered in a few minutes."""

CORPUS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("chorale_strings", "bach/bwv66.6", (40, 40, 41, 42)),
    ("chorale_woodwind", "bach/bwv269", (73, 68, 71, 70)),
    ("chorale_brass", "bach/bwv347", (56, 60, 57, 58)),
    ("chorale_saxophones", "bach/bwv253", (64, 65, 66, 67)),
    ("haydn_op1_1", "haydn/opus1no1/movement1", (40, 40, 41, 42)),
    ("haydn_op74_2", "haydn/opus74no1/movement2", (40, 40, 41, 42)),
    ("beethoven_op18_1", "beethoven/opus18no1/movement2", (40, 40, 41, 42)),
    ("beethoven_op18_1_scherzo", "beethoven/opus18no1/movement3", (40, 40, 41, 42)),
    ("folk_reel_violin", "ryansMammoth/7thRegimentReel", (40,)),
    ("folk_strathspey_flute", "ryansMammoth/AWillieWeHaveMissdYouStrathspey", (73,)),
    ("folk_clarinet", "essenFolksong/altdeu10", (71,)),
    ("folk_english_horn", "essenFolksong/ballad10", (69,)),
)
"""Name, place in the corpus, and the program of each part."""

Timed = tuple[int, int, mido.Message]
"""Tick, order at one tick, message."""


def from_corpus(path: Path, place: str, programs: Sequence[int]) -> None:
    """Export a piece of music21's corpus, cut to ``LONGEST_EXCERPT_S``, with the programs given."""
    from music21 import corpus, instrument

    piece = corpus.parse(place)
    scores = getattr(piece, "scores", None)
    score: Any = scores[0] if scores else piece
    for part, program in zip(score.parts, programs):
        for old in list(part.recurse().getElementsByClass(instrument.Instrument)):
            old.activeSite.remove(old)
        part.insert(0, instrument.instrumentFromMidiProgram(program))
    score.write("midi", fp=str(path))
    write_midi(_cut(read_midi(path).score), path)


def _cut(score: Score) -> Score:
    parts = []
    for part in score.parts:
        notes = tuple(note for note in part.notes if note.offset <= LONGEST_EXCERPT_S)
        parts.append(Part(name=part.name, instrument=part.instrument, notes=notes, program=part.program,
                          channel=part.channel, lanes=part.lanes))
    return Score(parts=tuple(part for part in parts if part.notes), tempo=score.tempo, meter=score.meter, key=score.key,
                 title=score.title)


def line(keys: Iterable[int], *, quarters: float = 1.0, sounding: float = 0.9, channel: int = 0, start: float = 0.0,
         velocity: int = 80) -> list[Timed]:
    """Keys one after the other, in quarters; ``sounding`` above 1 overlaps them."""
    events: list[Timed] = []
    for index, key in enumerate(keys):
        on = round((start + index * quarters) * TICKS)
        off = on + max(1, round(sounding * quarters * TICKS))
        events.append((on, 2, mido.Message("note_on", channel=channel, note=key, velocity=velocity)))
        events.append((off, 0, mido.Message("note_off", channel=channel, note=key)))
    return events


def message(tick: int, kind: str, **values: int) -> Timed:
    """A message that comes before the notes of its tick."""
    return tick, 1, mido.Message(kind, **values)


def save(path: Path, tracks: Sequence[tuple[str, Sequence[Timed]]], *, kind: int = 1, bpm: float = 100.0) -> None:
    """Write named tracks of timed messages; the tempo stands in the first."""
    file = mido.MidiFile(type=kind, ticks_per_beat=TICKS)
    for index, (name, events) in enumerate(tracks):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        if index == 0 or kind == 2:
            track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
        now = 0
        for tick, _, item in sorted(events, key=lambda event: event[:2]):
            track.append(item.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)


SCALE = (62, 64, 66, 67, 69, 71, 73, 74)


def _channels(path: Path) -> None:
    """Type 0: three players on three channels of one track, and drums."""
    events = [message(0, "program_change", channel=channel, program=program)
              for channel, program in enumerate((68, 71, 70))]
    events += line((74, 76, 78, 79, 81, 79, 78, 76)) + line((69, 67, 69, 71) * 2, channel=1)
    events += line((50, 45, 50, 43), quarters=2.0, channel=2) + line((36, 38) * 8, quarters=0.5, channel=9)
    save(path, [("Trio with drums", events)], kind=0)


def _patterns(path: Path) -> None:
    """Type 2: two patterns, one after the other."""
    program = message(0, "program_change", program=56)
    save(path, [("Call", [program, *line((67, 72, 76, 79))]), ("Answer", [program, *line((79, 76, 72, 67))])], kind=2)


def _pedal(path: Path) -> None:
    """The sustain pedal under detached notes."""
    events = [message(0, "program_change", program=42), *line((48, 52, 55, 60) * 4, sounding=0.4)]
    for bar in range(4):
        events += [message(4 * bar * TICKS + 10, "control_change", control=64, value=127),
                   message((4 * bar + 4) * TICKS - 20, "control_change", control=64, value=0)]
    save(path, [("Cello", events)])


def _bends(path: Path) -> None:
    """Bends over twelve semitones by RPN 0, held for the second half of each note."""
    events = [message(0, "program_change", program=57)]
    events += [message(0, "control_change", control=number, value=value)
               for number, value in ((101, 0), (100, 0), (6, 12), (38, 0))]
    events += line((50, 53, 57, 50), quarters=4.0)
    for bar, semitones in enumerate((2.0, -1.0, 0.5, -5.0)):
        events += [message((4 * bar + 2) * TICKS, "pitchwheel", pitch=round(8192 * semitones / 12)),
                   message((4 * bar + 4) * TICKS, "pitchwheel", pitch=0)]
    save(path, [("Trombone", events)])


def _chords(path: Path) -> None:
    """Double and triple stops, a pedal tone under a moving voice, then single notes."""
    events = [message(0, "program_change", program=40)]
    for bar, chord in enumerate(((62, 69, 78), (64, 73), (62, 66, 69), (57, 64, 73))):
        for key in chord:
            events += line((key,), quarters=2.0, start=2.0 * bar)
    events += line((62,), quarters=4.0, start=8.0) + line((74, 76, 78, 79), start=8.0) + line(SCALE, start=12.0)
    save(path, [("Violin", events)])


def _legato(path: Path) -> None:
    """Overlapping notes: a slurred line that must neither lag nor click."""
    events = [message(0, "program_change", program=73), *line(tuple(12 + key for key in SCALE * 2), sounding=1.06)]
    save(path, [("Flute", events)])


def _running_status(path: Path) -> None:
    """Written byte by byte: running status, velocity 0 for note-off, an odd division, a chunk of another kind."""
    events = bytearray(b"\x00\xc0\x3c\x00\x90")
    for index, key in enumerate((53, 57, 60, 65, 60, 57, 53)):
        if index:
            events += b"\x0a"  # ten ticks of rest
        events += bytes((key, 70)) + bytes((86, key, 0))
    body = bytes(events) + b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x00\x00\x01" + (96).to_bytes(2, "big")
    alien = b"XFIH" + (3).to_bytes(4, "big") + b"abc"
    path.write_bytes(header + alien + b"MTrk" + len(body).to_bytes(4, "big") + body)


def _tempo_map(path: Path) -> None:
    """Thirty tempi, from 60 to 150 bpm and back, and expression swelling under held notes."""
    notes = [Note(id=f"n{index}", onset=0.6 * index, duration=0.5, pitch=float(SCALE[index % 8] - 12),
                  velocity=64 + index) for index in range(32)]
    part = Part(name="Horn in F", instrument="horn", program=60, notes=tuple(notes))
    write_midi(Score(parts=(part,)), path)
    file = mido.MidiFile(path)
    track = mido.MidiTrack()
    for index in range(30):
        bpm = 60 + 90 * min(index, 29 - index) / 14.5
        track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm), time=file.ticks_per_beat if index else 0))
    swell = mido.MidiTrack([mido.Message("control_change", control=11, value=60 + 67 * (index % 20) // 19,
                                         time=file.ticks_per_beat // 5) for index in range(200)])
    file.tracks[0] = track
    file.tracks.append(swell)
    file.save(path)


ODD = {
    "type0_trio_and_drums": _channels,
    "type2_patterns": _patterns,
    "pedal_cello": _pedal,
    "bends_trombone": _bends,
    "chords_violin": _chords,
    "legato_flute": _legato,
    "running_status_horn": _running_status,
    "tempo_map_horn": _tempo_map,
}
"""Files no corpus has, by name."""


def write_files(folder: Path) -> list[Path]:
    """Write the twenty files into a folder and return their paths, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, place, programs in CORPUS:
        paths.append(folder / f"{name}.mid")
        from_corpus(paths[-1], place, programs)
    for name, build in ODD.items():
        paths.append(folder / f"{name}.mid")
        build(paths[-1])
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.files OUT")
    for written in write_files(Path(sys.argv[1])):
        print(written)
