"""Sections: a part with several players is played by each of them, a little differently, and heard as one.

Every player plays the stored performance with deviations of their own, keyed by the document's seed, the player and the
note: in tuning and timing (one for the evening and one for each note), vibrato and level. What a hand wrote is thus
heard in every player. Chords are divided: of a chord of k notes each is played by about a k-th of the players (*div.*),
and by all of them again where there is one note.

Conventions: players count from 0; a player's segments are named ``ID~PLAYER``. The players' powers add, so each is
lowered by 10 log10(players): a section is about as loud as one player would be, and wider.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from mididdsp.expression.types import ATTRIBUTE_RANGES, NoteExpression
from mididdsp.notes.types import MOST_PLAYERS, Chain, PartPlan, Score
from mididdsp.random import keyed_generator
from mididdsp.synthesis.types import Segment

TUNING_CENTS = (4.0, 5.0)
"""Standard deviations of a player's tuning, and of each note's."""

TIMING_S = (0.006, 0.010)
"""The same of the onsets: players of a section begin within some 30 ms."""

LEVEL_DB = (0.7, 0.7)
BRIGHTNESS_OCTAVES = 0.08
RATE_SHARE = (0.05, 0.03)
EXTENT_SHARE = 0.25
DELAY_SHARE = 0.3

WIDEST = 2.0
"""Deviations are at most so many standard deviations: no player is lost."""

DESKS = 3
"""Places a section has on the stage."""

DESK_PAN = 0.12
"""Pan from desk to desk."""

_MARK = "~"

Play = Callable[[PartPlan, Mapping[str, NoteExpression], int], Iterable[Segment]]
"""A plan with expressions and a seed to segments, by start time."""


def play_section(
    plan: PartPlan, expressions: Mapping[str, NoteExpression], *, players: int, seed: int, play: Play
) -> Iterator[Segment]:
    """The segments of all players, by start time.

    Args:
        plan: the part's notes in chains.
        expressions: of its notes, as stored.
        players: at least 1; 1 plays the part as it is.
        seed: of the document.
        play: the generator; called once a player, and read as the segments are needed.
    """
    if players == 1:
        yield from play(plan, expressions, seed)
        return
    gain_db = -10.0 * math.log10(players)
    takes = []
    for player, own in enumerate(divided(plan, players)):
        own_expressions = player_expressions(own, expressions, player=player, seed=seed)
        takes.append(_named(play(own, {**expressions, **own_expressions}, player_seed(seed, player)), player, gain_db))
    yield from heapq.merge(*takes, key=lambda segment: segment.start_s)


def with_players(score: Score, players: Mapping[str, int]) -> Score:
    """A score whose parts are played by so many.

    Args:
        score: of which only the numbers of players change.
        players: part name to players, at least 1; ``*`` is every part that is not named.

    Raises:
        ValueError: there is no such part, or a number is out of range.
    """
    names = {part.name for part in score.parts}
    for name, count in players.items():
        if name != "*" and name not in names:
            raise ValueError(f"there is no part {name!r}; the parts are {', '.join(part.name for part in score.parts)}")
        if not 1 <= count <= MOST_PLAYERS:
            raise ValueError(f"{count} players cannot play a part; give 1 to {MOST_PLAYERS}")
    return replace(score, parts=tuple(
        replace(part, players=players.get(part.name, players.get("*", part.players))) for part in score.parts))


def player_seed(seed: int, player: int) -> int:
    """The seed of a player's draws."""
    return int(keyed_generator(seed, f"player {player}", "section").integers(2**62))


def divided(plan: PartPlan, players: int) -> tuple[PartPlan, ...]:
    """What each player plays: every chain has a player, and lines that sound together are shared out.

    Of the V voices that sound with a chain, ordered by pitch from the top, player p of n takes number p V // n; where
    there are more voices than players, a player takes several.
    """
    chains = plan.chains
    spans = [(chain.notes[0].onset, chain.notes[-1].offset) for chain in chains]
    pitches = [sum(item.note.pitch for item in chain.notes) / len(chain.notes) for chain in chains]
    given: list[list[Chain]] = [[] for _ in range(players)]
    longest = max((end - start for start, end in spans), default=0.0)
    first = 0
    for index, chain in enumerate(chains):
        start, end = spans[index]
        while spans[first][0] < start - longest:
            first += 1
        together = {chain.voice: pitches[index]}
        for other in range(first, len(chains)):
            if spans[other][0] >= end - _TOUCHING_S:
                break
            if other != index and spans[other][1] > start + _TOUCHING_S:
                together.setdefault(chains[other].voice, pitches[other])
        order = sorted(together, key=lambda voice: (-together[voice], voice))
        rank, count = order.index(chain.voice), len(order)
        for player in range(players):
            if (player * count // players == rank) if count <= players else (rank * players // count == player):
                given[player].append(chain)
    return tuple(replace(plan, chains=tuple(own)) for own in given)


_TOUCHING_S = 0.05
"""Notes that overlap by less follow each other."""


def player_expressions(
    plan: PartPlan, expressions: Mapping[str, NoteExpression], *, player: int, seed: int
) -> dict[str, NoteExpression]:
    """The expressions of a player's notes: the stored ones with the player's deviations."""
    habit = _deviations(seed, f"player {player}")
    result = {}
    for chain in plan.chains:
        for item in chain.notes:
            note_id = item.note.id
            result[note_id] = _deviating(expressions[note_id], habit, _deviations(seed, f"player {player} {note_id}"))
    return result


def _deviations(seed: int, key: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Six standard normal numbers, none beyond ``WIDEST``."""
    return np.clip(keyed_generator(seed, key, "section").standard_normal(6), -WIDEST, WIDEST)


def _deviating(
    expression: NoteExpression, habit: np.ndarray[tuple[int], np.dtype[np.float64]],
    now: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> NoteExpression:
    values: dict[str, float] = {
        "tuning_cents": expression.tuning_cents + TUNING_CENTS[0] * habit[0] + TUNING_CENTS[1] * now[0],
        "timing_s": expression.timing_s + TIMING_S[0] * habit[1] + TIMING_S[1] * now[1],
        "level_db": expression.level_db + LEVEL_DB[0] * habit[2] + LEVEL_DB[1] * now[2],
        "brightness": expression.brightness + BRIGHTNESS_OCTAVES * habit[3],
        "vibrato_cents": expression.vibrato_cents * math.exp(EXTENT_SHARE * habit[4]),
    }
    if expression.vibrato_rate_hz is not None:
        share = RATE_SHARE[0] * habit[5] + RATE_SHARE[1] * now[5]
        values["vibrato_rate_hz"] = expression.vibrato_rate_hz * (1.0 + share)
    if expression.vibrato_delay_s is not None:
        values["vibrato_delay_s"] = expression.vibrato_delay_s * math.exp(DELAY_SHARE * now[4])
    for name, value in values.items():
        low, high, _ = ATTRIBUTE_RANGES[name]
        values[name] = min(max(float(value), low), high)
    return replace(expression, **values)


def _named(segments: Iterable[Segment], player: int, gain_db: float) -> Iterator[Segment]:
    gain = np.float32(gain_db)
    for segment in segments:
        yield replace(segment, id=f"{segment.id}{_MARK}{player}", amplitude_db=segment.amplitude_db + gain,
                      noise_db=segment.noise_db + gain)


def desk_of(segment_id: str) -> int | None:
    """The desk, 0 to ``DESKS`` - 1, of a section's segment; None for a segment of no section."""
    name, mark, player = segment_id.rpartition(_MARK)
    return int(player) % DESKS if mark and player.isdigit() else None


def desk_pans(pan: float) -> tuple[float, ...]:
    """Pan of each desk of a section that sits at ``pan``."""
    return tuple(min(max(pan + DESK_PAN * (desk - (DESKS - 1) / 2.0), -1.0), 1.0) for desk in range(DESKS))


def by_desk(segments: Iterable[Segment]) -> tuple[Iterator[Segment], ...]:
    """One stream of segments for each desk, from one stream of all, kept in order.

    Streams may be read in turn, a stretch of time each: what waits for the others is no more than that stretch.
    """
    source = iter(segments)
    waiting: list[deque[Segment]] = [deque() for _ in range(DESKS)]

    def desk(number: int) -> Iterator[Segment]:
        while True:
            while not waiting[number]:
                segment = next(source, None)
                if segment is None:
                    return
                waiting[desk_of(segment.id) or 0].append(segment)
            yield waiting[number].popleft()

    return tuple(desk(number) for number in range(DESKS))
