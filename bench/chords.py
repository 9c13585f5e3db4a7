"""How well players who sound together are in tune: cents between the notes of a chorale.

    python -m bench.chords [--seeds 12] [--json]

A chorale of Bach's (BWV 66.6, from music21's corpus) is performed by a string quartet, a brass quartet and four
woodwinds. Each part is drawn by itself, with the spread of soloists: it sounds the same in every company. Printed,
over all pairs of notes of two parts that sound together for 0.3 s or longer: median and 90th percentile of how far
their interval is from equal temperament, the share beyond 20 cents, and the spread of notes within parts. Beside it the
same after the edit that docs/editing.md gives for chamber music, ``tuning*=0.4``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import mididdsp as md

PLAYERS = {
    "strings": ("violin", "violin", "viola", "cello"),
    "brass": ("trumpet", "horn", "trombone", "tuba"),
    "woodwind": ("flute", "oboe", "clarinet", "bassoon"),
}
CLOSER = "tuning*=0.4"
TOGETHER_S = 0.3
FAR_CENTS = 20.0


def chorale(performer: md.Performer, players: Sequence[str]) -> md.Score:
    """The four parts of the chorale, each given to a player."""
    from music21 import corpus

    source = performer.read(str(corpus.getWork("bach/bwv66.6")))
    score = source if isinstance(source, md.Score) else source.score
    parts = tuple(replace(part, name=f"{index + 1} {instrument}", instrument=instrument)
                  for index, (part, instrument) in enumerate(zip(score.parts, players)))
    return replace(score, parts=parts)


def figures(performer: md.Performer, score: md.Score, seeds: int, edit: str | None) -> dict[str, float]:
    """Between sounding pairs, and within parts; cents."""
    apart, spread = [], []
    for seed in range(seeds):
        played = performer.perform(score, seed=seed)
        if edit is not None:
            played = played.select().edit(edit).performance
        tuning = {key: expression.tuning_cents for key, expression in played.expressions.items()}
        for one, other in itertools.combinations(score.parts, 2):
            apart += [abs(tuning[a.id] - tuning[b.id]) for a in one.notes for b in other.notes
                      if min(a.offset, b.offset) - max(a.onset, b.onset) >= TOGETHER_S]
        spread += [np.std([tuning[note.id] for note in part.notes]) for part in score.parts]
    return {"pairs": float(len(apart)), "median": float(np.median(apart)), "p90": float(np.percentile(apart, 90)),
            "far": float(np.mean(np.array(apart) > FAR_CENTS)), "sd": float(np.mean(spread))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    performer = md.Performer(workers=1)
    found = {f"{name}{'' if edit is None else ', ' + edit}": figures(
                 performer, chorale(performer, players), options.seeds, edit)
             for name, players in PLAYERS.items() for edit in (None, CLOSER)}
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{'cents':24s}{'pairs':>8s}{'median':>8s}{'90 %':>8s}{'> 20':>8s}{'sd':>8s}")
    for name, item in found.items():
        print(f"{name:24s}{item['pairs']:8.0f}{item['median']:8.1f}{item['p90']:8.1f}{100 * item['far']:7.0f}%"
              f"{item['sd']:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
