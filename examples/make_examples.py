"""Writes the MIDI files of this folder: Beethoven's Ode to Joy for a violin, and for a string quartet.

    python make_examples.py [FOLDER]

The tune is of 1824 and in the public domain; the phrasing and the three lower parts are our own. Slurs are written as
players of keyboards do, by letting a note overlap the next.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mididdsp.notes.midi import write_midi
from mididdsp.notes.types import KeyChange, MeterChange, Note, Part, Score, TempoChange

BPM = 104.0
BEAT_S = 60.0 / BPM
OVERLAP_S = 0.03
"""How long a slurred note sounds into the next."""

FIRST_LINE = "F#1 F#1 G1 A1  A1 G1 F#1 E1  D1 D1 E1 F#1"
TUNE = (
    f"{FIRST_LINE}  F#1.5 E.5 E2",
    f"{FIRST_LINE}  E1.5 D.5 D2",
    "E1 E1 F#1 D1  E1 F#.5 G.5 F#1 D1  E1 F#.5 G.5 F#1 E1  D1 E1 A-2",
    f"{FIRST_LINE}  E1.5 D.5 D2",
)
"""Four lines of four bars: a note and its length in quarters; A- is the A below."""

KEYS = {"A-": 69, "D": 74, "E": 76, "F#": 78, "G": 79, "A": 81}
LOUDNESS = (70, 78, 64, 92)
"""Velocity at the start of each line: it sings, answers, draws back, and comes home."""

CHORDS = ("D D D A D D D A", "D D D A D D A D", "A D A D A A D A", "D D D A D D A D")
"""A chord for each half bar."""

LOWER = {
    "Violin II": ("violin", 40, {"D": 69, "A": 67}, -6),
    "Viola": ("viola", 41, {"D": 66, "A": 64}, -8),
    "Cello": ("cello", 42, {"D": 50, "A": 45}, -4),
}
"""Each lower part: instrument, program, the key it plays in each chord, and how its velocity lies to the tune's."""


def swell(line: int, place: float) -> int:
    """Velocity at a place (0 to 1) of a line: rising to three quarters of it, then falling."""
    arch = place / 0.75 if place < 0.75 else (1.0 - place) / 0.25
    return round(LOUDNESS[line] + 16.0 * arch - 4.0)


def melody() -> list[Note]:
    """The tune in notes, eighths and the steps before them slurred, the others a little detached."""
    notes: list[Note] = []
    beat = 0.0
    for line, text in enumerate(TUNE):
        tokens = [(key, float(length)) for key, length in re.findall(r"([A-G]#?-?)([\d.]+)", text)]
        for index, (key, quarters) in enumerate(tokens):
            following = tokens[index + 1][1] if index + 1 < len(tokens) else None
            slurred = following is not None and min(quarters, following) < 1.0 and tokens[index + 1][0] != key
            duration = quarters * BEAT_S
            duration = duration + OVERLAP_S if slurred else 0.92 * duration
            notes.append(Note(id=f"m{len(notes)}", onset=beat * BEAT_S, duration=duration, pitch=float(KEYS[key]),
                              velocity=swell(line, beat / 16.0 - line)))
            beat += quarters
    return notes


def accompaniment(name: str) -> list[Note]:
    """A lower part: a note for each chord, held over chords that stay, phrased by lines."""
    _, _, keys, softer = LOWER[name]
    notes: list[Note] = []
    for line, text in enumerate(CHORDS):
        chords = text.split()
        at = 0
        while at < len(chords):
            length = 2 if at + 1 < len(chords) and at % 2 == 0 and chords[at] == chords[at + 1] else 1
            last = at + length == len(chords)
            onset = (16 * line + 2 * at) * BEAT_S
            duration = 2 * length * BEAT_S
            notes.append(Note(
                id=f"{name}{len(notes)}", onset=onset, duration=0.9 * duration if last else 0.97 * duration,
                pitch=float(keys[chords[at]]), velocity=swell(line, at / len(chords)) + softer))
            at += length
    return notes


def score(parts: list[Part], title: str) -> Score:
    """A score in D major and common time."""
    return Score(parts=tuple(parts), tempo=(TempoChange(time=0.0, beat=0.0, bpm=BPM),),
                 meter=(MeterChange(beat=0.0, numerator=4, denominator=4),),
                 key=(KeyChange(beat=0.0, fifths=2, mode="major"),), title=title)


def main(folder: Path) -> None:
    """Write the files into a folder."""
    tune = tuple(melody())
    violin = Part(name="Violin", instrument="violin", notes=tune, program=40, channel=0)
    write_midi(score([violin], "Ode to Joy"), folder / "ode_to_joy.mid")
    first = Part(name="Violin I", instrument="violin", notes=tune, program=40, channel=0)
    lower = [Part(name=name, instrument=instrument, notes=tuple(accompaniment(name)), program=program, channel=channel)
             for channel, (name, (instrument, program, _, _)) in enumerate(LOWER.items(), start=1)]
    write_midi(score([first, *lower], "Ode to Joy"), folder / "ode_to_joy_quartet.mid")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
