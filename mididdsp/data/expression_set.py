"""The training set of the expression level: examples of (context → attributes), each with what its source can teach.

=============================  ==========================================================================
source                         teaches
=============================  ==========================================================================
single notes, 16 instruments   level, fluctuation, peak, brightness, attack noise, attack and release times,
                               given pitch, length and dynamic (levels of dynamics: ``targets.csv``); vibrato of
                               notes that stand alone
phrases, 16 instruments        the same inside phrases, with the true neighbours; lengths under articulation marks
violinists' études             vibrato and tuning of the violin, given pitch, length and the notes around
``figures/targets.csv``        share, rate, extent and delay of vibrato of the other instruments, spread
                               around those medians as the violinists' is (isolated notes teach it wrongly)
``figures/playing.md``         spread of tuning; time of transitions; gaps between detached notes
=============================  ==========================================================================

A source says nothing about the other attributes: they are masked. Contexts of single notes get random neighbours most
of the time, so that the network does not take their presence for a sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote, load_phrase_notes
from mididdsp.data.recordings import DataError, playing_targets
from mididdsp.data.violinists import COLUMNS, violin_notes
from mididdsp.expression.context import CONTEXT_FEATURES, LONGEST_TOLD_S, REACH, Neighbour, context_features
from mididdsp.expression.generator import SHORTEST_VIBRATO_S
from mididdsp.expression.network import SURFACE_ATTRIBUTES
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import ATTRIBUTES, VIBRATO_ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator
from mididdsp.units import FRAME_RATE

SINGLE_NOTE_ATTRIBUTES = ("level_db", "fluctuation_db", "peak_position", "brightness", "attack_noise_db", "attack_s",
                          "release_s")
ATTACK_ATTRIBUTES = ("attack_noise_db", "attack_s")

TUNING_SD_CENTS = {
    "violin": 12.0, "viola": 12.0, "cello": 11.0, "double_bass": 12.0, "flute": 11.0, "oboe": 9.5, "english_horn": 9.5,
    "clarinet": 5.9, "bass_clarinet": 5.9, "saxophone": 11.0, "bassoon": 8.8, "contrabassoon": 8.8, "trumpet": 11.0,
    "horn": 9.8, "trombone": 11.0, "tuba": 11.0,
}
"""Spread of note means around equal temperament at a player's own tuning, ``figures/playing.md``."""

GLIDE_S = {
    "violin": (0.014, 0.0085, 0.021), "viola": (0.030, 0.020, 0.020), "cello": (0.035, 0.020, 0.020),
    "double_bass": (0.040, 0.024, 0.025), "flute": (0.017, 0.0095, 0.006), "oboe": (0.008, 0.0075, 0.006),
    "english_horn": (0.008, 0.0075, 0.006), "clarinet": (0.0095, 0.008, 0.010), "bass_clarinet": (0.0095, 0.008, 0.010),
    "saxophone": (0.024, 0.015, 0.011), "bassoon": (0.014, 0.014, 0.007), "contrabassoon": (0.014, 0.014, 0.010),
    "trumpet": (0.029, 0.017, 0.014), "horn": (0.012, 0.012, 0.008), "trombone": (0.055, 0.018, 0.014),
    "tuba": (0.030, 0.018, 0.014),
}
"""10–90 % time of a transition of 1, 2 and 4 or more semitones, s; ``figures/playing.md``, tuba as the trumpet."""

TIMING_SD_S = 0.003
DETACHED_GAP_S = 0.02

FADE_S = 0.048
SOUNDING_DB, DIED_AWAY_DB = 60.0, 23.0
"""Below its level a note still sounds, and has died away so far that its release is told."""

SCRAP_S = 0.13
"""A joined note shorter than this was hardly played: most are what rings on between detached notes."""

SHAPE_ATTRIBUTES = ("attack_s", "fluctuation_db", "peak_position")
SHAPE_SHARE = 0.25
"""How a note's level moves among others is taken from phrases in the first place; single notes with made-up neighbours
fill in for instruments with few phrases."""

HEARD_OF_EXTENT = 0.88
"""A vibrato grows and is not even: the median of its half cycles, which is what was published, is this share of the
extent that it is played with."""

HEARD_OF_SHARE = 0.97
"""Share of notes played with vibrato in which one is found: in the others it is too short, too late or too small."""

VIBRATO_LOG_SD = {"viola": 0.3, "cello": 0.37, "double_bass": 0.3, "flute": 0.3, "trombone": 0.25}
"""Spread of extents, from the published 10 to 90 % of phrases; of the instruments that are not named 0.4."""

VIBRATO_RATE_SD_HZ = {"viola": 0.4, "cello": 0.45, "double_bass": 0.4, "oboe": 0.4, "english_horn": 0.4,
                      "saxophone": 0.4}
"""The same of rates, less what finding one adds to it; of the others 0.5."""

VIBRATO_DELAY_LOG_SD = 0.55
VIOLIN_DELAY_LOG_SD = 1.1
VIOLIN_DELAY_AT_S = 0.9
"""22 violinists begin the later the longer a note is: from notes of 0.5 to 0.8 s to those of 1.6 to 2.5 s the median
delay rises from .06 to .45 s and the upper tenth from .28 to 1.2 s (training pieces), about as the length does; 0.9 s
is a length at which it is the published one. Of the others only medians are known."""

FULL_VIBRATO_S = 0.5
"""From this length on notes vibrate as often as they ever do."""

VELOCITY_SHARE = 0.6
"""How many of the notes that do not tell their velocity are given one that means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Examples to learn from, one a row.

    Attributes:
        context: see ``mididdsp.expression.context.context_features``; [N, CONTEXT_FEATURES].
        instrument: index in the table of instruments; [N].
        values: attributes on the model's scale, 0 where unknown; [N, A].
        known: 1 where the source tells the attribute, else 0; [N, A].
        vibrates: 1 with vibrato, 0 without, NaN where the source does not tell; [N].
    """

    context: NDArray[np.float32]
    instrument: NDArray[np.int64]
    values: NDArray[np.float32]
    known: NDArray[np.float32]
    vibrates: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.context)

    def chosen(self, rows: NDArray[np.bool_]) -> Examples:
        """Those examples for which ``rows`` [N] is true."""
        return Examples(**{name: getattr(self, name)[rows]
                           for name in ("context", "instrument", "values", "known", "vibrates")})

    @staticmethod
    def join(parts: list[Examples]) -> Examples:
        """All examples of the parts, in order."""
        return Examples(**{name: np.concatenate([getattr(part, name) for part in parts])
                           for name in ("context", "instrument", "values", "known", "vibrates")})


def _random_neighbours(random: np.random.Generator) -> list[Neighbour | None]:
    """Neighbours as melodies have them, or none, whole sides at a time."""
    result: list[Neighbour | None] = []
    for _ in range(2):
        near = random.random() < 0.6
        for place in range(REACH):
            if not near or (place > 0 and random.random() < 0.2):
                result.append(None)
                near = False
                continue
            result.append(Neighbour(
                interval=float(np.rint(random.normal(0, 4.0))),
                gap_s=float(random.choice([0.0, 0.0, random.exponential(0.3)])),
                seconds=float(np.exp(random.normal(-1.0, 0.7))), velocity=float(random.normal(0, 6))))
    return result


def faded(note: TrainingNote) -> bool:
    """Whether an editor faded a single note out before it had died away: its release is his, not the player's.

    So it is where the note still sounds within 23 dB of its level 50 ms before the recording ends. Of the notes of
    strings at pianissimo most are such; their releases seem a third shorter than those of the rest.
    """
    level = note.frames["level_db"]
    body = float(note.facts["expression"]["level_db"])
    sounding = np.flatnonzero(level >= body - SOUNDING_DB)
    if not len(sounding):
        return False
    before = max(0, int(sounding[-1]) - round(FADE_S * FRAME_RATE))
    return bool(level[max(0, before - 2) : before].min(initial=np.inf) > body - DIED_AWAY_DB)


def single_note_examples(
    notes: Sequence[TrainingNote], *, copies: int, seed: int, shifts: Mapping[str, NDArray[np.float32]] | None = None
) -> Examples:
    """Single notes with their dynamic as velocity (left out in a third of the copies) and random surroundings.

    Where a copy has no neighbours it teaches vibrato too: a note by itself is played as such notes were recorded.

    Args:
        notes: the notes.
        copies: of each, every one with other surroundings.
        seed: of the surroundings.
        shifts: added to attributes (model scale) where there is a velocity; see ``training.surfaces``; [N] each.
    """
    rows = []
    for index, note in enumerate(notes):
        facts = note.facts
        names = set(SINGLE_NOTE_ATTRIBUTES)
        if facts["late_attack"]:
            names -= set(ATTACK_ATTRIBUTES)
        if facts["unfinished"] or faded(note):
            names -= {"release_s"}
        if facts["velocity"] is None or facts["seconds"] > LONGEST_TOLD_S:  # swells, as nearly all long ones are
            names = set()
        values, known = _encode({name: getattr(note.expression, name) for name in names})
        swinging = {name: getattr(note.expression, name) for name in VIBRATO_ATTRIBUTES}
        vibrato = {name: value for name, value in swinging.items() if value is not None and swinging["vibrato_cents"]}
        swing, swings = _encode(vibrato)
        shifted = values.copy()
        for name, shift in (shifts or {}).items():
            shifted[ATTRIBUTES.index(name)] += shift[index]
        for copy in range(copies):
            random = keyed_generator(seed, "single note", str(index), str(copy))
            velocity = facts["velocity"]
            if velocity is not None:
                velocity = None if random.random() < 0.3 else float(np.clip(velocity + random.uniform(-7, 7), 1, 127))
            mine = known
            if velocity is None:  # without one, a phrase is about mezzo-forte: the dynamics recorded are no guide
                mine = known.copy()
                mine[ATTRIBUTES.index("level_db")] = mine[ATTRIBUTES.index("brightness")] = 0.0
                if facts["dynamic"] in ("mezzo-forte", "mezzo-piano", "forte"):
                    mine = known
            neighbours = _random_neighbours(random)
            asked = "vibrato" in (facts.get("style") or "")  # played so because the label asked for it
            alone = not any(neighbours) and facts["seconds"] >= SHORTEST_VIBRATO_S and not asked
            if any(neighbours) and velocity is not None:  # what neighbours change about the table, phrases tell
                mine = mine * ~np.isin(ATTRIBUTES, SURFACE_ATTRIBUTES)
            if any(neighbours) and random.random() > SHAPE_SHARE:
                mine = mine * ~np.isin(ATTRIBUTES, SHAPE_ATTRIBUTES)
            context = context_features(facts["pitch"], facts["seconds"], velocity, (), False, False, neighbours)
            rows.append((context, list(INSTRUMENTS).index(facts["instrument"]),
                         (values if velocity is None else shifted) + (swing if alone else 0.0),
                         mine + (swings if alone else 0.0), float(bool(vibrato)) if alone else np.nan))
    return _stack(rows)


def lone_vibrato_examples(notes: Sequence[TrainingNote]) -> Examples:
    """The vibrato of single notes by themselves, each once, with its dynamic as velocity if it has one."""
    rows = []
    nobody: list[Neighbour | None] = [None] * (2 * REACH)
    for note in notes:
        facts = note.facts
        vibrato = {name: getattr(note.expression, name) for name in VIBRATO_ATTRIBUTES}
        told = vibrato["vibrato_cents"] and all(value is not None for value in vibrato.values())
        if not told or facts["seconds"] < SHORTEST_VIBRATO_S or "vibrato" in (facts.get("style") or ""):
            continue
        values, known = _encode(vibrato)
        context = context_features(facts["pitch"], facts["seconds"], facts["velocity"], (), False, False, nobody)
        rows.append((context, list(INSTRUMENTS).index(facts["instrument"]), values, known, 1.0))
    if not rows:  # nobody need have one
        width = len(ATTRIBUTES)
        return Examples(context=np.zeros((0, CONTEXT_FEATURES), np.float32), instrument=np.zeros(0, np.int64),
                        values=np.zeros((0, width), np.float32), known=np.zeros((0, width), np.float32),
                        vibrates=np.zeros(0, np.float32))
    return _stack(rows)


def phrase_examples(dataset: Path, split: str, *, copies: int, seed: int) -> Examples:
    """Notes of phrases, with the notes around them as they were played.

    Of four copies the second and the last are without velocity, the third and the last without marks: most files have
    none, and what marks are not there to tell is to be evened out, not taken for a plain note's.
    """
    rows = []
    notes = load_phrase_notes(dataset, split)
    for index, note in enumerate(notes):
        facts, expression = note.facts, note.expression
        names = set(SINGLE_NOTE_ATTRIBUTES)
        if facts["joined"] or facts["late_attack"]:
            names -= set(ATTACK_ATTRIBUTES)
        if facts["leads"] or facts["unfinished"]:
            names -= {"release_s"}
        if (facts["joined"] or facts["leads"]) and facts["seconds"] < SCRAP_S:
            names = set()
        measured = {name: getattr(expression, name) for name in names}
        marks = (facts["mark"],) if facts["mark"] else ()
        gap = facts["gap_after"]
        if marks and gap is not None and 0.0 <= gap < 0.5 and not facts["leads"]:
            measured["length_ratio"] = facts["seconds"] / (facts["seconds"] + gap)
        values, known = _encode(measured)
        untold = known.copy()
        untold[ATTRIBUTES.index("length_ratio")] = 0.0  # how short a note is under a mark says nothing of plain ones
        neighbours = [*_played(notes, index, -1), *_played(notes, index, 1)]
        for copy in range(copies):
            velocity = facts["velocity"] if copy % 2 == 0 else None
            told = copy % 4 < 2
            mine = known if told else untold
            if velocity is None and facts["dynamic"] not in ("mezzo-forte", "mezzo-piano", "forte"):
                mine = mine.copy()
                mine[ATTRIBUTES.index("level_db")] = mine[ATTRIBUTES.index("brightness")] = 0.0
            if velocity is not None:
                random = keyed_generator(seed, "phrase note", str(index), str(copy))
                velocity = float(np.clip(velocity + random.uniform(-7, 7), 1, 127))
            context = context_features(facts["pitch"], facts["seconds"], velocity, marks if told else (),
                                       facts["joined"], facts["leads"], neighbours)
            rows.append((context, list(INSTRUMENTS).index(facts["instrument"]), values, mine, np.nan))
    return _stack(rows)


def _played(notes: Sequence[TrainingNote], index: int, step: int) -> list[Neighbour | None]:
    """REACH neighbours on one side as they were played, nearest first; the notes of a phrase stand in order."""
    side = "before" if step < 0 else "after"
    found: list[Neighbour | None] = []
    interval = 0.0
    for place in range(REACH):
        at = index + step * place
        near = notes[at].facts if 0 <= at < len(notes) else None
        if near is None or near["item"] != notes[index].facts["item"] or near[f"interval_{side}"] is None:
            return found + [None] * (REACH - place)
        interval += near[f"interval_{side}"]
        found.append(Neighbour(interval=interval, gap_s=near[f"gap_{side}"], seconds=near[f"seconds_{side}"],
                               velocity=0.0))
    return found


def violin_examples(folder: Path, split: str, *, dataset: Path | None = None) -> Examples:
    """Vibrato and tuning of the violin in études, with the true neighbours; measured once for ``dataset``.

    Delays are left to the published figures: most transcribed contours begin after the vibrato did. Of the notes from
    half a second on in which no vibrato was found so many are passed over that the share is the published one: whole
    pieces of the collection hold contours too coarse to show it. A velocity is made up for as many as elsewhere: it
    says nothing here.
    """
    kept = dataset / f"violinists-{split}.npy" if dataset is not None else None
    table, notes = violin_notes(folder, split, kept=kept)
    rows = []
    violin = list(INSTRUMENTS).index("violin")
    wanted = float(playing_targets(folder)["violin"]["vibrato_share"] or 0.0) / HEARD_OF_SHARE
    found = table[table[:, COLUMNS.index("seconds")] >= FULL_VIBRATO_S][:, COLUMNS.index("vibrates")]
    share = float(np.mean(found[np.isfinite(found)] == 1.0))
    believed = min(1.0, share * (1.0 - wanted) / (wanted * (1.0 - share)))
    for line in table:
        fields = dict(zip(COLUMNS, line))
        row = int(fields["row"])
        random = keyed_generator(0, "violinists", str(row))
        measured = {"tuning_cents": fields["tuning_cents"]}
        vibrates = fields["vibrates"]
        if vibrates == 1.0:
            measured |= {"vibrato_cents": fields["vibrato_cents"] / HEARD_OF_EXTENT,
                         "vibrato_rate_hz": fields["vibrato_rate_hz"]}
        elif fields["seconds"] >= FULL_VIBRATO_S and random.random() > believed:
            vibrates = np.nan
        values, known = _encode(measured)
        neighbours: list[Neighbour | None] = []
        for sign in (-1, 1):
            for distance in range(1, REACH + 1):
                other = row + sign * distance
                if not 0 <= other < len(notes["pitch"]) or notes["piece"][other] != notes["piece"][row]:
                    neighbours.append(None)
                    continue
                near = other - sign
                first, second = (other, near) if sign < 0 else (near, other)
                gap = float(notes["onset_s"][second] - notes["onset_s"][first] - notes["duration_s"][first])
                neighbours.append(Neighbour(interval=float(notes["pitch"][other]) - fields["pitch"], gap_s=gap,
                                            seconds=float(notes["duration_s"][other]), velocity=0.0))
        velocity = float(random.integers(25, 120)) if random.random() < VELOCITY_SHARE else None
        context = context_features(fields["pitch"], fields["seconds"], velocity, (), False, False, neighbours)
        rows.append((context, violin, values, known, vibrates))
    return _stack(rows)


def figure_examples(folder: Path, *, count: int, seed: int) -> Examples:
    """Notes of every instrument drawn from the tables: vibrato, tuning, timing, gaps and transitions."""
    targets = playing_targets(folder)
    random = keyed_generator(seed, "figures")
    rows = []
    names = list(INSTRUMENTS)
    for number in range(count):
        name = names[number % len(names)]
        entry, target = INSTRUMENTS[name], targets[name]
        pitch = float(random.integers(entry.low, entry.high + 1))
        seconds = float(np.exp(random.normal(-0.7, 0.9)))
        velocity = float(random.integers(25, 120)) if random.random() < VELOCITY_SHARE else None
        neighbours = _random_neighbours(random)
        while not any(neighbours):  # how a note by itself is played, single notes tell
            neighbours = _random_neighbours(random)
        joined, leads = bool(random.random() < 0.3), bool(random.random() < 0.3)
        measured: dict[str, float] = {"timing_s": float(random.normal(0.0, TIMING_SD_S))}
        vibrates = np.nan
        if name != "violin" or random.random() < 0.3:  # the violin has its own players, and the medians agreed on
            measured["tuning_cents"] = float(random.normal(0.0, TUNING_SD_CENTS[name]))
            if seconds >= SHORTEST_VIBRATO_S:
                # shorter notes vibrate less often: none at 0.2 s, the full share from 0.5 s, as the violinists
                share = float(target["vibrato_share"] or 0.0) / HEARD_OF_SHARE
                share *= float(np.interp(seconds, (SHORTEST_VIBRATO_S, FULL_VIBRATO_S), (0.2, 1.0)))
                vibrates = float(random.random() < share)
            extent, rate, delay = (target[f"vibrato_{key}"] for key in ("extent_cents", "rate_hz", "delay_s"))
            if vibrates == 1.0:
                played = (extent or 6.0) / HEARD_OF_EXTENT
                uneven, later = ((VIOLIN_DELAY_LOG_SD, seconds / VIOLIN_DELAY_AT_S) if name == "violin" else
                                 (VIBRATO_DELAY_LOG_SD, 1.0))
                measured |= {
                    "vibrato_cents": played * float(np.exp(random.normal(0, VIBRATO_LOG_SD.get(name, 0.4)))),
                    "vibrato_rate_hz": (rate or 5.5) + float(random.normal(0, VIBRATO_RATE_SD_HZ.get(name, 0.5))),
                    "vibrato_delay_s": (delay or 0.3) * later * float(np.exp(random.normal(0, uneven)))}
        if not leads:
            gap = DETACHED_GAP_S * float(np.exp(random.normal(0, 0.4)))
            measured["length_ratio"] = float(np.clip(1.0 - gap / max(seconds, 0.05), 0.75, 1.0))
        if joined:
            interval = abs(neighbours[0].interval) if neighbours[0] is not None else 2.0
            median = float(np.interp(interval, (1, 2, 4), GLIDE_S[name]))
            measured["glide_s"] = median * float(np.exp(random.normal(0, 0.5)))
        values, known = _encode(measured)
        context = context_features(pitch, seconds, velocity, (), joined, leads, neighbours)
        rows.append((context, number % len(names), values, known, vibrates))
    return _stack(rows)


def _encode(measured: dict[str, float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    values = np.zeros(len(ATTRIBUTES), np.float32)
    known = np.zeros(len(ATTRIBUTES), np.float32)
    for name, value in measured.items():
        index = ATTRIBUTES.index(name)
        values[index] = np.clip(SCALES[name].forward(value), -4.0, 4.0)
        known[index] = 1.0
    return values, known


def _stack(rows: list[tuple[Any, ...]]) -> Examples:
    if not rows:
        raise DataError("the data set has no example for a source of the expression level; prepare more recordings")
    context, instrument, values, known, vibrates = zip(*rows)
    return Examples(context=np.stack(context).astype(np.float32), instrument=np.array(instrument, np.int64),
                    values=np.stack(values), known=np.stack(known), vibrates=np.array(vibrates, np.float32))
