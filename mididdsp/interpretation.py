"""How notes are played: what the prior draws, what the score's marks do to it, and what is kept from before.

A draw is made without articulation marks, and the marks move it afterwards by their table, so that they act the same on
every instrument and can be taken off again. Only ``legato`` is seen by the prior, as the joint it makes.

``first`` draws a whole score, ``again`` redraws some attributes of some notes with everything else held, ``revised``
carries a performance over to a new version of its score. Whatever is not drawn keeps its value to the bit, and what is
drawn is conditioned on what is kept: on the note's own values, and on how its neighbours are played.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mididdsp.evenness import Evening, Prior, evening
from mididdsp.expression.articulation import HELD_FLUCTUATION_DB, RULES, Rules, articulated, swell
from mididdsp.expression.controllers import Handwork, handwork
from mididdsp.expression.types import (
    ATTRIBUTE_RANGES,
    ATTRIBUTES,
    NOTE_ATTRIBUTES,
    VIBRATO_ATTRIBUTES,
    Curve,
    NoteExpression,
    Performance,
)
from mididdsp.notes.alignment import Match, align
from mididdsp.notes.types import Note, Part, Score
from mididdsp.notes.voices import plan_part
from mididdsp.parallel import one_torch_thread
from mididdsp.random import keyed_generator

Float64 = NDArray[np.float64]
Given = Mapping[str, Mapping[str, float | None]]

STRUCTURAL = ("length_ratio", "glide_s")
"""Attributes that a note has or has not by how it is joined; a draw fills them where they have become needed."""


MARKED = ("level_db", "peak_position", "attack_noise_db", "attack_s", "release_s", "length_ratio")
"""Attributes that marks move, on top of what is drawn; what else a score says of a note decides it."""


def first(
    prior: Prior, score: Score, *, seed: int, temperature: float, hints: Given | None = None,
    curves: Sequence[Curve] = (), rules: Rules = RULES, hands: Mapping[str, Handwork] | None = None,
) -> Performance:
    """A performance drawn anew; its mix and checkpoints are the caller's to fill in.

    Args:
        prior: draws.
        score: what is played.
        seed, temperature: of the draws.
        hints: note id to values that the score decides.
        curves: that the score asks for; those of controllers and accents are added.
        rules: what articulation marks do.
        hands: part name to what its controllers ask for; None reads them by the usual table.
    """
    hints = _held(hints or {}, curves)
    if hands is None:
        hands = {part.name: handwork(part) for part in score.parts}
    by_hand = {note_id: values for hand in hands.values() for note_id, values in hand.given.items()}
    asked = {note_id: {**hints.get(note_id, {}), **by_hand.get(note_id, {})} for note_id in (*hints, *by_hand)}
    drawn = _drawn(prior, score, seed, temperature, asked)
    expressions: dict[str, NoteExpression] = {}
    origins: dict[str, dict[str, str]] = {}
    swells: list[Curve] = []
    for part in score.parts:
        for note in part.notes:
            expression, moved = articulated(drawn[note.id], (), note.articulations, rules)
            hand = hands.get(part.name, Handwork())
            expressions[note.id] = hand.moved(note.id, expression)
            decided = {*moved, *hints.get(note.id, ())}
            played = {*hand.given.get(note.id, ()), *hand.moves.get(note.id, ())}
            if decided or played:
                origins[note.id] = {name: "controller" if name in played else "score"
                                    for name in NOTE_ATTRIBUTES if name in decided or name in played}
            swells += _swells(part, note, rules)
    controllers = [curve for hand in hands.values() for curve in hand.curves]
    return Performance(score=score, expressions=expressions, origins=origins, seed=seed, temperature=temperature,
                       curves=(*curves, *swells, *controllers))


def again(
    prior: Prior, performance: Performance, *, attributes: Collection[str], notes: Collection[str] | None = None,
    seed: int, temperature: float | None = None, rules: Rules = RULES,
) -> Performance:
    """Redraw attributes of notes, given everything else; what is locked stays, and what score or controllers decide.

    Args:
        prior: draws.
        performance: as it is.
        attributes: to draw; of the three of the vibrato all go together.
        notes: ids; None is all.
        seed: of the draws; that of the performance is not changed.
        temperature: of the draws; None is the performance's.
        rules: what articulation marks do.
    """
    wanted = set(attributes)
    if wanted & set(VIBRATO_ATTRIBUTES):
        wanted |= set(VIBRATO_ATTRIBUTES)
    chosen = set(performance.expressions if notes is None else notes)
    open_: dict[str, frozenset[str]] = {}
    for note_id in chosen:
        decided = {name for name, origin in performance.origins.get(note_id, {}).items()
                   if origin == "controller" or (origin == "score" and name not in MARKED)}
        if "vibrato_cents" in decided:
            decided |= set(VIBRATO_ATTRIBUTES)
        free = wanted - performance.locks.get(note_id, frozenset()) - decided
        if free:
            open_[note_id] = frozenset(free)
    if not open_:
        return performance
    values = _filled(prior, performance.score, performance.expressions, open_, seed,
                     performance.temperature if temperature is None else temperature, rules)
    origins = {key: dict(value) for key, value in performance.origins.items()}
    for note_id, names in open_.items():
        note = performance.score.note(note_id)
        _, moved = articulated(values[note_id], (), note.articulations, rules)
        table = origins.setdefault(note_id, {})
        for name in names:
            table.pop(name, None)
            if name in moved:
                table[name] = "score"
        if not table:
            del origins[note_id]
    return replace(performance, expressions=values, origins=origins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What became of a performance when its score was revised; counts are notes.

    Attributes:
        kept: pitch and length as before; all values, locks and curves are carried over.
        changed: another pitch or length; values are carried over all the same.
        added: new notes, drawn.
        gone: notes that are no more.
        lost: what of a hand's work went with them, one sentence each.
    """

    kept: int
    changed: int
    added: int
    gone: int
    lost: tuple[str, ...]

    def sentences(self) -> list[str]:
        """For a person."""
        total = f"{self.kept} notes kept, {self.changed} changed, {self.added} new, {self.gone} gone"
        return [total, *self.lost]


def revised(
    prior: Prior, old: Performance, score: Score, *, hints: Given | None = None, curves: Sequence[Curve] = (),
    rules: Rules = RULES, hands: Mapping[str, Handwork] | None = None,
) -> tuple[Performance, Revision]:
    """A performance of a new version of the score that keeps the work done on the old.

    Notes that both versions have keep id, values, origins, locks and curves, and marks where a hand gave
    them. A level that nobody decided by hand is drawn anew where the note's velocity has changed. New notes are drawn,
    conditioned on their neighbours.

    Args:
        prior: draws.
        old: the performance of the old version.
        score: the new version.
        hints: note id to values that the new score decides, for notes that are new.
        curves: that the new score asks for.
        rules: what articulation marks do.
        hands: part name to what its controllers ask for; None reads them by the usual table.

    Returns:
        The performance (mix of the old one for the parts there still are), and what was kept and lost.
    """
    if hands is None:
        hands = {part.name: handwork(part) for part in score.parts}
    alignment = align(old.score, score)
    renamed = _names(alignment.matches, score, set(old.expressions))
    original = score
    score = replace(score, parts=tuple(
        replace(part, notes=tuple(_continued(replace(note, id=renamed[note.id]), old) for note in part.notes))
        for part in score.parts))
    curves = [_renamed(curve, renamed) for curve in curves]
    by_hand = {renamed[key]: values for hand in hands.values() for key, values in hand.given.items()}
    hand_of = {renamed[note.id]: hands.get(part.name, Handwork()) for part in original.parts for note in part.notes}
    hints = _held({renamed[key]: value for key, value in (hints or {}).items()}, curves)
    names_back = {value: key for key, value in renamed.items()}
    matched = {match.old: match for match in alignment.matches}
    expressions: dict[str, NoteExpression] = {}
    open_: dict[str, frozenset[str]] = {}
    origins: dict[str, dict[str, str]] = {}
    given: dict[str, Mapping[str, float | None]] = {}
    for part in score.parts:
        for note in part.notes:
            if note.id not in matched:
                given[note.id] = {**hints.get(note.id, {}), **by_hand.get(note.id, {})}
                continue
            before = old.score.note(note.id)
            expression, moved = articulated(old.expressions[note.id], before.articulations, note.articulations, rules)
            expressions[note.id] = expression
            kept = {**old.origins.get(note.id, {}), **dict.fromkeys(moved, "score")}
            if kept:
                origins[note.id] = kept
            decided = kept.get("level_db") in ("hand", "controller") or "level_db" in old.locks.get(note.id, ())
            if note.velocity != before.velocity and not decided:
                open_[note.id] = frozenset({"level_db"})
    values = _filled(prior, score, expressions, open_, old.seed, old.temperature, rules, given)
    for note_id in given:
        note = score.note(note_id)
        expression, moved = articulated(values[note_id], (), note.articulations, rules)
        hand, own = hand_of[note_id], names_back[note_id]
        values[note_id] = hand.moved(own, expression)
        played = {*hand.given.get(own, ()), *hand.moves.get(own, ())}
        decided_names = {*moved, *hints.get(note_id, ()), *played}
        if decided_names:
            origins[note_id] = {name: "controller" if name in played else "score" for name in NOTE_ATTRIBUTES
                                if name in decided_names}
    drawn_curves, lost = _carried_curves(old, score, matched, alignment.parts)
    asked = [curve for curve in curves if curve.note_id is None or curve.note_id not in matched
             or not any(item.note_id == curve.note_id and item.target == curve.target for item in drawn_curves)]
    swells = [item for part in score.parts for note in part.notes for item in _swells(part, note, rules)
              if not any(curve == replace(item, origin="hand") for curve in drawn_curves)]
    controllers = [_renamed(curve, renamed) for hand in hands.values() for curve in hand.curves]
    ids = {note.id for part in score.parts for note in part.notes}
    performance = replace(
        old, score=score, expressions=values, origins=origins,
        locks={key: value for key, value in old.locks.items() if key in ids},
        curves=(*asked, *swells, *controllers, *drawn_curves),
        mix=replace(old.mix, parts={part.name: old.mix.parts[alignment.parts[part.name]] for part in score.parts
                                    if alignment.parts.get(part.name) in old.mix.parts}))
    kept_count = sum(match.unchanged for match in alignment.matches)
    lost += _lost_notes(old, alignment.gone)
    return performance, Revision(kept=kept_count, changed=len(alignment.matches) - kept_count,
                                 added=len(alignment.new), gone=len(alignment.gone), lost=tuple(lost))


# --- drawing ---------------------------------------------------------------------------------------------------------


def _drawn(
    prior: Prior, score: Score, seed: int, temperature: float, given: Given, parts: Collection[str] | None = None
) -> dict[str, NoteExpression]:
    """A draw for every note of some parts (None: all), as if no note had a mark but ``legato``.

    Where velocities move, levels are evened out; what is given was played so, and the prior is told what it would have
    played of it.
    """
    result: dict[str, NoteExpression] = {}
    with one_torch_thread():
        for part in score.parts:
            if parts is None or part.name in parts:
                plan = plan_part(replace(part, notes=tuple(map(_unmarked, part.notes))))
                ways = evening(prior, plan)
                drawn = prior.express(plan, seed=seed, temperature=temperature, given={
                    note_id: _as_drawn(values, ways.get(note_id)) for note_id, values in given.items()})
                result.update({note_id: _evened(expression, ways.get(note_id), given.get(note_id, {}))
                               for note_id, expression in drawn.items()})
    return result


def _held(hints: Given, curves: Sequence[Curve]) -> Given:
    """Hints, and that the level of a note moves by its hairpin where the score draws one inside it."""
    drawn = {curve.note_id for curve in curves if curve.target == "level" and curve.note_id is not None}
    return {**hints, **{note_id: {"fluctuation_db": HELD_FLUCTUATION_DB, **hints.get(note_id, {})}
                        for note_id in drawn}}


def _as_drawn(values: Mapping[str, float | None], way: Evening | None) -> Mapping[str, float | None]:
    level = values.get("level_db")
    return values if way is None or level is None else {**values, "level_db": _legal(way.drawn(level))}


def _evened(expression: NoteExpression, way: Evening | None, given: Mapping[str, float | None]) -> NoteExpression:
    if way is None:
        return expression
    level = given.get("level_db")
    return replace(expression, level_db=_legal(way.evened(expression.level_db)) if level is None else level)


def _legal(level: float) -> float:
    low, high, _ = ATTRIBUTE_RANGES["level_db"]
    return min(max(level, low), high)


def _unmarked(note: Note) -> Note:
    marks = tuple(mark for mark in note.articulations if mark == "legato")
    return note if marks == note.articulations else replace(note, articulations=marks)


def _filled(
    prior: Prior, score: Score, kept: Mapping[str, NoteExpression], open_: Mapping[str, frozenset[str]], seed: int,
    temperature: float, rules: Rules, new: Given | None = None,
) -> dict[str, NoteExpression]:
    """Kept expressions with their open attributes drawn, and those of new notes drawn as a whole (without marks)."""
    new = new or {}
    given: dict[str, Mapping[str, float | None]] = dict(new)
    for note_id, expression in kept.items():
        # the prior knows notes without marks: what marks did is taken off before it sees them
        plain, _ = articulated(expression, score.note(note_id).articulations, (), rules)
        free = open_.get(note_id, frozenset())
        given[note_id] = {name: getattr(plain, name) for name in ATTRIBUTES if name not in free and not (
            name in STRUCTURAL and getattr(plain, name) is None)}
    touched = {*open_, *new}
    needed = {part.name for part in score.parts if any(note.id in touched for note in part.notes)}
    drawn = _drawn(prior, score, seed, temperature, given, needed | _unjoined(score, kept))
    result: dict[str, NoteExpression] = {}
    for note_id, expression in drawn.items():
        if note_id in new:
            result[note_id] = expression
            continue
        old, free = kept[note_id], open_.get(note_id, frozenset())
        marked, _ = articulated(expression, (), score.note(note_id).articulations, rules)
        values = {name: getattr(marked, name) for name in free}
        values |= {name: getattr(marked, name) for name in STRUCTURAL if getattr(old, name) is None}
        result[note_id] = replace(old, **values)
    return {note_id: result.get(note_id, kept.get(note_id)) for part in score.parts  # type: ignore[misc]
            for note_id in (note.id for note in part.notes)}


def _unjoined(score: Score, kept: Mapping[str, NoteExpression]) -> set[str]:
    """Parts in which a kept note lacks what its joints ask for."""
    found = set()
    for part in score.parts:
        for chain in plan_part(part).chains:
            for item in chain.notes:
                expression = kept.get(item.note.id)
                if expression is not None and (
                        (item.joined and expression.glide_s is None)
                        or (not item.leads and expression.length_ratio is None)):
                    found.add(part.name)
    return found


def _swells(part: Part, note: Note, rules: Rules) -> Iterable[Curve]:
    found = swell(part.name, note, note.articulations, rules, origin="score") if note.articulations else None
    return () if found is None else (found,)


def _continued(note: Note, old: Performance) -> Note:
    """A note of the new version with the marks that a hand has given it; else with those the score gives it now."""
    if note.id not in old.expressions:
        return note
    marks = old.score.note(note.id).articulations
    origins = old.origins.get(note.id, {})
    moved = {origins.get(name) for name in (*articulated(old.expressions[note.id], marks, ())[1], "glide_s")}
    return replace(note, articulations=marks) if "hand" in moved and "score" not in moved else note


def _renamed(curve: Curve, names: Mapping[str, str]) -> Curve:
    return curve if curve.note_id is None else replace(curve, note_id=names[curve.note_id])


# --- carrying over ---------------------------------------------------------------------------------------------------


def _names(matches: Sequence[Match], score: Score, taken: set[str]) -> dict[str, str]:
    """New id to the id the note is to have: the old one where there is one, else its own or, where that is an old
    note's, one made from it."""
    names = {match.new: match.old for match in matches}
    for part in score.parts:
        for note in part.notes:
            if note.id not in names:
                name, count = note.id, 0
                while name in taken:
                    count += 1
                    name = keyed_generator(count, note.id, "revision").bytes(6).hex()
                taken.add(name)
                names[note.id] = name
    return names


def _carried_curves(
    old: Performance, score: Score, matched: Mapping[str, Match], parts: Mapping[str, str]
) -> tuple[list[Curve], list[str]]:
    """The hand's curves at their new places, and what was lost."""
    new_names = {value: key for key, value in parts.items()}
    part_of = {note.id: part.name for part in score.parts for note in part.notes}
    found: list[Curve] = []
    lost: list[str] = []
    for curve in old.curves:
        if curve.origin != "hand":
            continue
        if curve.note_id is not None:
            if curve.note_id not in matched:
                lost.append(f"a drawn curve ({curve.target}) of note {curve.note_id} in {curve.part} is gone with it")
                continue
            before, after = old.score.note(curve.note_id), score.note(curve.note_id)
            stretch = after.duration / before.duration
            times = curve.times if stretch == 1.0 else tuple(time * stretch for time in curve.times)
            found.append(replace(curve, part=part_of[curve.note_id], times=times))
            continue
        name = new_names.get(curve.part)
        line = [] if name is None else sorted(
            (old.score.note(note_id).onset, score.note(note_id).onset) for note_id in matched
            if part_of[note_id] == name)
        if name is None or not line:
            lost.append(f"a drawn curve ({curve.target}) of part {curve.part} was lost, for nothing is left to hold it")
            continue
        moved = np.maximum.accumulate(_moved(np.array(curve.times), np.array(line)))
        found.append(replace(curve, part=name, times=tuple(map(float, moved))))
    return found, lost


def _moved(times: Float64, line: Float64) -> Float64:
    """Times of the old version in the new one, by the notes around them; beyond the last they keep their distance."""
    before, after = line[:, 0], np.maximum.accumulate(line[:, 1])
    inside = np.interp(times, before, after)
    inside = np.where(times < before[0], np.maximum(times + after[0] - before[0], 0.0), inside)
    return np.asarray(np.where(times > before[-1], times + after[-1] - before[-1], inside))


def _lost_notes(old: Performance, gone: Collection[str]) -> list[str]:
    sentences = []
    for note_id in gone:
        by_hand = [name for name, origin in old.origins.get(note_id, {}).items() if origin == "hand"]
        held = sorted(set(by_hand) | set(old.locks.get(note_id, ())))
        if held:
            note = old.score.note(note_id)
            sentences.append(f"note {note_id} (at {note.onset:.2f} s, pitch {note.pitch:g}) is gone, and with it what "
                             f"was edited or locked: {', '.join(held)}")
    return sentences
