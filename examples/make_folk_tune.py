"""Writes ``scarborough_fair.mid``: the English folk song as a melody alone, to be harmonised.

    python make_folk_tune.py [FOLDER]

The tune is traditional. It is in the Dorian mode on D, in 3/4, and is not among the chorales the prior has learnt from.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mididdsp.notes.midi import write_midi
from mididdsp.notes.types import KeyChange, MeterChange, Note, Part, Score, TempoChange

BPM = 96.0
TUNE = (
    "D2 D1  A2 A1  E1.5 F.5 E1  D3",
    "R1 A1 C'1  D'2 C'1  A1 B1 G1  A3",
    "R2 D'1  D'2 D'1  C'2 A1  A1 G1 F1",
    "E2 C1  D1 A2  G1 F1 E1  D3",
)
"""Four lines of four bars: a note (R is a rest, ' an octave up) and its length in quarters."""

KEYS = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71}


def tune() -> Score:
    """The melody as a score of one part."""
    notes: list[Note] = []
    beat_s, beat = 60.0 / BPM, 0.0
    for letter, octave, length in re.findall(r"([A-GR])('?)([\d.]+)", " ".join(TUNE)):
        quarters = float(length)
        if letter != "R":
            notes.append(Note(id=f"m{len(notes)}", onset=beat * beat_s, duration=0.96 * quarters * beat_s,
                              pitch=float(KEYS[letter] + 12 * len(octave)), velocity=76))
        beat += quarters
    return Score(
        parts=(Part(name="Melody", instrument="violin", notes=tuple(notes)),),
        tempo=(TempoChange(time=0.0, beat=0.0, bpm=BPM),), meter=(MeterChange(beat=0.0, numerator=3, denominator=4),),
        key=(KeyChange(beat=0.0, fifths=0, mode="minor"),), title="Scarborough Fair",
    )


def main(folder: Path) -> None:
    """Write the file into a folder."""
    write_midi(tune(), folder / "scarborough_fair.mid")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
