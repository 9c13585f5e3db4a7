"""Learn an instrument from a folder of solo recordings, then play a tune on it.

    python examples/learn_from_a_folder.py RECORDINGS --minutes 20 -o learned/

What `mididdsp learn` does, step by step: the report says what the recordings are worth, the learned instrument plays
its own parts, and all other parts stay with the shipped weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mididdsp as md
from mididdsp.checkpoints import shipped
from mididdsp.training.learn import LearnSettings, learn

TUNE = Path(__file__).parent / "ode_to_joy.mid"


def main() -> None:
    """The example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("learned"))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=None, help="stop after so many steps")
    chosen = parser.parse_args()
    settings = LearnSettings(minutes=chosen.minutes, steps=chosen.steps, start=shipped("synthesis"), workers=1)
    learned = learn(chosen.recordings, "example", chosen.output, chosen.output / "checkpoint", settings,
                    tell=lambda what, share, left_s: None)
    for one in learned.report.recordings:
        print(f"{one.item}: {one.notes} notes, {one.note_seconds:.1f} s", one.refused or "")
    performer = md.Performer(synthesis=learned.checkpoint)
    reading = performer.read(TUNE, instruments={"*": learned.instrument})
    performer.render(reading, end_s=6.0).save(chosen.output / "tune.wav")
    print(f"wrote {chosen.output / 'tune.wav'}, played on the learned {learned.instrument}")


if __name__ == "__main__":
    main()
