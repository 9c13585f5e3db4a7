"""What of a musician's work survives a revision of the notes: ``perform --keep`` on a quartet movement.

    python -m bench.keep [--work haydn/opus74no1/movement2] [--json]

Every note of a movement of music21's corpus is edited, locked and, every fifth, given a curve. The movement is then
revised in twelve ways, one at a time, and performed with the old performance kept; every note of a revision has a new
id, so that nothing but the music tells which is which. Printed for each: notes that the revision left as they were (in
pitch and length; they may have moved), the share of them that keeps id, values, locks and curve, and the share of the
notes it changed that keeps them too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import mididdsp as md
from bench.scores import corpus_score
from mididdsp.bars import Bars
from mididdsp.expression.types import Curve
from mididdsp.notes.types import Note, Part, Score

BAR = 0.95
"""Of the unchanged notes, at least so many keep everything."""

Notes = Mapping[str, Sequence[Note]]
"""Part name to its notes; a note that the revision adds has an id that begins with ``+``."""


def worked_on(performer: md.Performer, score: Score) -> md.Performance:
    """A performance in which a hand has touched every note, each in its own way."""
    performance = performer.perform(score, seed=1, temperature=0.5)
    expressions = dict(performance.expressions)
    origins, locks, curves = dict(performance.origins), {}, list(performance.curves)
    for part in score.parts:
        for index, note in enumerate(part.notes):
            expressions[note.id] = replace(expressions[note.id], level_db=-40.0 + 0.013 * (index % 1500))
            origins[note.id] = {**origins.get(note.id, {}), "level_db": "hand"}
            locks[note.id] = frozenset({"level_db"})
            if index % 5 == 0:
                curves.append(Curve(target="pitch", times=(0.0, 0.1), values=(0.0, float(index % 50)), part=part.name,
                                    note_id=note.id, anchor="onset"))
    return replace(performance, expressions=expressions, origins=origins, locks=locks, curves=tuple(curves))


def _moved(notes: Notes, test: Callable[[Note], bool], **by: float) -> Notes:
    """Notes of which those that pass are shifted by ``onset`` or ``pitch``."""
    return {name: [replace(note, onset=note.onset + by.get("onset", 0.0), pitch=note.pitch + by.get("pitch", 0.0))
                   if test(note) else note for note in part] for name, part in notes.items()}


def _only(notes: Notes, name: str, change: Callable[[Sequence[Note]], Sequence[Note]]) -> Notes:
    return {key: change(part) if key == name else part for key, part in notes.items()}


def revisions(score: Score) -> dict[str, Callable[[Notes], Notes]]:
    """Kinds of revision by name; each takes the notes of all parts and gives them revised."""
    bars = Bars(score)
    first, last = score.parts[0].name, score.parts[-1].name
    start, end = bars.span(12, 12)
    passage = bars.span(20, 27)

    def split(part: Sequence[Note]) -> list[Note]:
        found: list[Note] = []
        for note in part:
            if start <= note.onset < end:
                half = note.duration / 2
                found += [replace(note, duration=half), replace(note, id=f"+{note.id}", onset=note.onset + half,
                                                                duration=half)]
            else:
                found.append(note)
        return found

    def with_passing(part: Sequence[Note]) -> list[Note]:
        found = list(part)
        for note in part[::23]:
            found.append(replace(note, id=f"+{note.id}", onset=note.onset + 0.5 * note.duration, pitch=note.pitch + 2,
                                 duration=0.5 * note.duration))
        return found

    def repeated(notes: Notes) -> Notes:
        length = passage[1] - passage[0]
        later = _moved(notes, lambda note: note.onset >= passage[1], onset=length)
        return {name: [*part, *(replace(note, id=f"+{note.id}", onset=note.onset + length) for note in notes[name]
                                if passage[0] <= note.onset < passage[1])] for name, part in later.items()}

    def inside(note: Note) -> bool:
        return passage[0] <= note.onset < passage[1]

    return {
        "a bar put in": lambda notes: _moved(notes, lambda note: note.onset >= start, onset=end - start),
        "a bar taken out": lambda notes: _moved(
            {name: [note for note in part if not start <= note.onset < end] for name, part in notes.items()},
            lambda note: note.onset >= end, onset=start - end),
        "a part transposed": lambda notes: _only(notes, first, lambda part: [
            replace(note, pitch=note.pitch + 3) for note in part]),
        "a bar in other rhythm": lambda notes: _only(notes, first, split),
        "notes taken out": lambda notes: {name: [note for index, note in enumerate(part) if index % 17]
                                          for name, part in notes.items()},
        "notes put in": lambda notes: {name: with_passing(part) for name, part in notes.items()},
        "wrong notes corrected": lambda notes: {
            name: [replace(note, pitch=note.pitch + 1) if index % 29 == 3 else note
                   for index, note in enumerate(part)] for name, part in notes.items()},
        "a passage an octave higher": lambda notes: _only(notes, last, lambda part: [
            replace(note, pitch=note.pitch + 12) if inside(note) else note for note in part]),
        "a passage repeated": repeated,
        "other dynamics": lambda notes: {name: [replace(note, velocity=min(127, (note.velocity or 64) + 16))
                                                for note in part] for name, part in notes.items()},
        "other articulation": lambda notes: {
            name: [replace(note, articulations=("tenuto",)) if index % 7 == 0 else note
                   for index, note in enumerate(part)] for name, part in notes.items()},
        "a faster tempo": lambda notes: {name: [replace(note, onset=0.8 * note.onset, duration=0.8 * note.duration)
                                                for note in part] for name, part in notes.items()},
    }


def revised(score: Score, revision: Callable[[Notes], Notes], *, faster: bool) -> tuple[Score, dict[str, str]]:
    """The score after a revision, and the new id of every note that was there before: new to old."""
    truth: dict[str, str] = {}
    parts: list[Part] = []
    for part in score.parts:
        notes = revision({item.name: item.notes for item in score.parts})[part.name]
        fresh = []
        for index, note in enumerate(sorted(notes, key=lambda item: (item.onset, item.pitch))):
            name = f"{part.name}~{index}"
            if not note.id.startswith("+"):
                truth[name] = note.id
            fresh.append(replace(note, id=name))
        parts.append(replace(part, notes=tuple(fresh)))
    tempo = tuple(replace(change, time=0.8 * change.time, bpm=change.bpm / 0.8) for change in score.tempo)
    return replace(score, parts=tuple(parts), tempo=tempo if faster else score.tempo), truth


def _as_drawn(before: Curve | None, now: Curve | None, stretch: float) -> bool:
    """Whether a note has the curve it had; one that lasts longer or shorter has it stretched."""
    if before is None or now is None:
        return before is now
    times = [stretch * time for time in before.times]
    return before.values == now.values and all(abs(a - b) < 1e-6 for a, b in zip(times, now.times))


def kept(old: md.Performance, new: md.Performance, after: Score, truth: Mapping[str, str]) -> dict[str, float]:
    """Shares of unchanged and of changed notes that keep everything, and how many there are."""
    curves = [{curve.note_id: curve for curve in performance.curves if curve.origin == "hand" and curve.note_id}
              for performance in (old, new)]
    places = {(part.name, index): note for part in new.score.parts for index, note in enumerate(part.notes)}
    counts = {True: [0, 0], False: [0, 0]}
    for part in after.parts:
        for index, note in enumerate(part.notes):
            if note.id not in truth:
                continue
            before, now = old.score.note(truth[note.id]), places[part.name, index]
            same = note.pitch == before.pitch and note.articulations == before.articulations
            # the share of a length that a tempo change leaves is told by the beats; here by the caller's tempo
            same = same and any(abs(note.duration - factor * before.duration) < 1e-6 for factor in (1.0, 0.8))
            names = ("level_db", "brightness", "vibrato_cents", "tuning_cents", "timing_s")
            whole = now.id == before.id and now.id in new.locks and all(
                getattr(new.expressions[now.id], name) == getattr(old.expressions[before.id], name) for name in names)
            stretch = note.duration / before.duration
            whole = whole and _as_drawn(curves[0].get(before.id), curves[1].get(now.id), stretch)
            counts[same][0] += whole
            counts[same][1] += 1
    return {"unchanged": counts[True][1], "kept": counts[True][0] / max(counts[True][1], 1),
            "changed": counts[False][1], "carried": counts[False][0] / max(counts[False][1], 1)}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when every revision keeps enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--work", default="haydn/opus74no1/movement2")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    performer = md.Performer(device="cpu", workers=1)
    score = corpus_score(options.work).score
    old = worked_on(performer, score)
    rows = {}
    for name, revision in revisions(score).items():
        after, truth = revised(score, revision, faster=name == "a faster tempo")
        performance, _ = performer.revise(after, old)
        rows[name] = kept(old, performance, after, truth)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"{options.work}: {sum(len(part.notes) for part in score.parts)} notes\n"
              f"{'revision':28}{'unchanged':>10}{'keep all':>10}{'changed':>9}{'carried':>9}")
        for name, row in rows.items():
            carried = f"{row['carried']:8.1%}" if row["changed"] else "-"
            print(f"{name:28}{row['unchanged']:10.0f}{row['kept']:10.1%}{row['changed']:9.0f}{carried:>9}")
    return 0 if min(row["kept"] for row in rows.values()) >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
