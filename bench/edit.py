"""Edit to sound: how long after a one-note edit of a three-minute quartet its mix is there again.

    python -m bench.edit [--minutes 3] [--edits 12]

The piece is made up (``bench.pieces``), four parts, rooms and mix at 48 kHz. Each edit changes one note of one part in
one of several ways; what is timed is ``Live.update``, from the edited performance to the new mix, in wall and processor
seconds. Every result is compared, to the bit, with a full render of the same performance (``--check N`` of them).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import mididdsp as md
from bench.pieces import write_piece

BAR_S = 0.5
WORDS = (("vibrato=60c",), ("level+=3dB",), ("articulation=staccato",), ("pitch+=curve(0:0c,0.2:-40c)",),
         ("length*=0.8", "accent"), ("tuning+=8c",))


def measure(minutes: float, edits: int, check: int) -> dict[str, float]:
    """Figures by name: seconds, and how many of the checked edits equal a full render."""
    performer = md.Performer(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quartet.mid"
        write_piece(path, 60.0 * minutes)
        performance = performer.perform(path, seed=1)
    started = time.perf_counter()
    live = performer.live(performance)
    whole_s = time.perf_counter() - started
    rng = np.random.default_rng(0)
    wall, cpu, equal, checked = [], [], 0, 0
    for number in range(edits):
        part = live.performance.score.parts[number % 4]
        note = part.notes[int(rng.integers(len(part.notes)))]
        edited = live.performance.select(notes=note.id).edit(*WORDS[number % len(WORDS)]).performance
        started, spent = time.perf_counter(), time.process_time()
        live.update(edited)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
        if number >= edits - check:
            checked += 1
            equal += bool(np.array_equal(performer.render(live.performance).audio, live.audio))
    return {
        "notes": float(len(performance.expressions)), "first render, s": whole_s,
        "edit to sound, median wall s": float(np.median(wall)), "edit to sound, worst wall s": float(np.max(wall)),
        "edit to sound, median cpu s": float(np.median(cpu)), "edit to sound, worst cpu s": float(np.max(cpu)),
        "checked against a full render": float(checked), "equal to the bit": float(equal)}


def main() -> int:
    """The command; 0 when the bar of 0.5 s is held and all that was checked is equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--edits", type=int, default=12)
    parser.add_argument("--check", type=int, default=1, help="how many of the edits to compare with a full render")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.minutes, options.edits, options.check)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:36}{value:10.3f}")
    good = found["edit to sound, median cpu s"] <= BAR_S and found["equal to the bit"] == found[
        "checked against a full render"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
