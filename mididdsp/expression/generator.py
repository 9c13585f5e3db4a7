"""p(expression | notes, instrument): how a player would play each note, as a distribution to sample from.

For every note a network of dense layers sees the note and two neighbours on either side and gives a joint Gaussian over
the attributes, each on a scale where it is about Gaussian, and the chance of a vibrato. A joint Gaussian can be
conditioned exactly: what is given (locked, edited, asked for) shifts the rest. ``temperature`` scales the deviations;
0 is the mean. Deviations of neighbouring notes are correlated (a moving average of keyed draws), as moods last longer
than a note; they stay local all the same: a note is touched by edits at most ``2 * REACH`` notes away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.expression.context import REACH, Neighbour, context_features, surrounded
from mididdsp.expression.network import ExpressionConfig, ExpressionNetwork
from mididdsp.expression.scales import INDEX, SCALES
from mididdsp.expression.types import ATTRIBUTE_RANGES, ATTRIBUTES, VIBRATO_ATTRIBUTES, NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Part, PartPlan, PlannedNote
from mididdsp.random import keyed_generator

Array = NDArray[np.floating[Any]]

AT_ONCE = 256
"""So many notes go through the network at a time."""

SHORTEST_VIBRATO_S = 0.2

LATEST_VIBRATO = 0.6
"""Share of a note after which a vibrato begins at the latest. Delays of violinists spread further than half a note
allows (.66 s in training études from the 10th to the 90th percentile, ours .43; .48 by this)."""

REST_S = 0.06
"""A gap longer than this is a rest as written: the note before it sounds in full."""

TOUCHING_S = 0.015
"""Gap between notes that are written without one and not joined."""

RELEASE_UNDER_S = 0.07
"""A note that another follows in its voice dies away as fast as this after the other's onset, or faster: the finger,
the bow or the tongue that begins the next note ends the one before. Single notes, which taught the rest, ring on."""

SPREAD_WITH_VELOCITY = {
    "level_db": 0.5, "brightness": 0.25, "attack_s": 0.25, "release_s": 0.25, "attack_noise_db": 0.25,
    "fluctuation_db": 0.25,
}
"""Share of an attribute's spread that is drawn where a velocity says how loud the note is: single notes of one dynamic
differ from take to take, and from session to session, by more than a player does. Where a note is loudest is drawn in
full: few notes are loudest in the middle, and a mean of early and late is a hump that hardly any note has."""

SPREAD_ALONE = {"tuning_cents": 0.25, "brightness": 0.1}
"""Share that is drawn where there are no neighbours and a velocity says how loud the note is. A note by itself has
nobody to be in tune with but its written pitch: how far notes lie from it was measured in melodies. How bright it is,
its dynamic says."""

SPREAD_IN_COMPANY = {"attack_s": 0.2, "fluctuation_db": 0.1, "peak_position": 0.05, "level_db": 0.15}
"""Share that is drawn where there are neighbours, velocity or not: inside a phrase players are alike from note to
note."""

SPREAD_AT_REPEATS = {"attack_s": 0.4, "fluctuation_db": 0.3, "peak_position": 0.2, "level_db": 0.4}
"""The same where a note repeats the one before it or is repeated by the next, attacked anew: nothing else would tell
the two apart. In phrases such pairs differ by .58 dB, .28 octaves of attack and .29 of fluctuation (medians)."""

REPEATED_LENGTH = 1.2
"""Up to so many times as long a note still repeats another."""

APART = ("length_ratio", "timing_s", "tuning_cents")
"""Attributes that other sources teach than the rest: how they vary together with it is not known, so that what is given
of them says nothing about the others."""

MOOD_WEIGHTS = np.array([0.1, 0.2, 1.0, 0.2, 0.1])
"""How much the draws of a note and of REACH notes on either side count in how it is played: neighbours' draws go
together by .4, next but one by .2. In études by 22 violinists tuning does by .39 and .20, extent of vibrato by .40 and
.26, its rate by .56 and .35; what phrases leave over of the other attributes by .0 (where notes are loudest, attacks)
to .5 (levels of wind instruments), most of it shared by the whole phrase."""

TUNED_BY_PITCH = 0.6
"""Share of the variance of tuning that hangs on the pitch: a pitch that comes again in a part is tuned about as before.
Two notes of one pitch, one to four notes apart, differ by 7 to 11 cents in études by 22 violinists and in phrases of
strings and brass, and by 4 to 5 in phrases of woodwind; two of different pitch by 8 to 16, 17 to 24 and 10 to 11."""

TUNED_S, TUNED_BETTER = 0.8, 0.3
"""Notes longer than this lie nearer to their pitch, by this power of their length: in études notes of half a second
spread by 11 cents, of one and a half by 9, of two and a half by 7."""


class ExpressionGenerator:
    """Notes of a part → an expression for each; see the module's docstring."""

    local = True

    def __init__(self, network: ExpressionNetwork) -> None:
        self.network = network.eval()

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> ExpressionGenerator:
        """The generator that :meth:`to_checkpoint` wrote."""
        network = ExpressionNetwork(ExpressionConfig(**card["model"]["network"]))
        network.restore(tensors)
        return cls(network)

    def to_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, the card's ``model`` entry)."""
        return dict(self.network.state_dict()), {"network": asdict(self.network.config)}

    def express(
        self,
        plan: PartPlan,
        *,
        seed: int,
        temperature: float = 1.0,
        given: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> dict[str, NoteExpression]:
        """An expression for every note of a part.

        Args:
            plan: the part's notes in chains.
            seed: of the document; draws are keyed by it and the note's id.
            temperature: 0 is the mean, 1 as varied as players; from 0.
            given: note id to attributes that are already decided; they are kept, and the others are drawn given them.
                ``vibrato_cents`` 0 means no vibrato; a None leaves the attribute undefined. Notes of which all is
                given also tell how their neighbours are played, as far as the moods of neighbours are alike.
        """
        given = given or {}
        planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
        outlooks = self._outlooks(plan.part.instrument, planned)
        result = {}
        for note_id, item in planned.items():
            after = planned.get(item.following or "")
            gap = None if after is None else after.note.onset - item.offset
            mood = self._mood(note_id, planned, seed)
            if not _decided(given.get(note_id, {})):
                mood = self._in_company(mood, note_id, plan.part, planned, outlooks, given, seed)
            result[note_id] = _draw(item, gap, _shares(item, planned), outlooks[note_id], mood,
                                    _of_pitch(plan.part, item, seed),
                                    keyed_generator(seed, note_id, "expression").random(), temperature,
                                    given.get(note_id, {}))
        return result

    def chances(self, plan: PartPlan) -> dict[str, float]:
        """The chance that each note of a part has a vibrato, by id; of notes shorter than 0.2 s it is not used."""
        planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
        outlooks = self._outlooks(plan.part.instrument, planned)
        return {note_id: outlook.chance for note_id, outlook in outlooks.items()}

    @torch.inference_mode()
    def _outlooks(self, instrument: str, planned: Mapping[str, PlannedNote]) -> dict[str, _Outlook]:
        """How each note of a part may be played, by id."""
        device = self.network.mean.weight.device
        result: dict[str, _Outlook] = {}
        notes = list(planned.values())
        for first in range(0, len(notes), AT_ONCE):
            some = notes[first : first + AT_ONCE]
            features = np.stack([_features(item, planned) for item in some]).astype(np.float32)
            context = torch.from_numpy(features).to(device)
            numbers = torch.full((len(some),), list(INSTRUMENTS).index(instrument), device=device)
            mean, factor, logit = self.network(context, numbers, row_by_row=True)
            among = surrounded(context)
            mean, factor, logit = self.network.lines.asked(numbers, among, mean, factor, logit)
            means, factors = mean.double().cpu().numpy(), factor.double().cpu().numpy()
            chances = torch.sigmoid(logit).tolist()
            for row, item in enumerate(some):
                result[item.note.id] = _Outlook(
                    mean=means[row], factor=factors[row], chance=chances[row], network=self.network,
                    number=numbers[row : row + 1], among=among[row : row + 1])
        return result

    def _mood(self, note_id: str, planned: Mapping[str, PlannedNote], seed: int) -> Array:
        """Standard normal draws, correlated with those of the neighbours; [A]."""
        total = np.zeros(len(ATTRIBUTES))
        for weight, name, place in zip(MOOD_WEIGHTS, _around(note_id, planned), range(-REACH, REACH + 1)):
            # where there is no neighbour its draw is the note's own, so that the variance stays 1
            key = name if name is not None else f"{note_id} {place}"
            total += weight * keyed_generator(seed, key, "mood").standard_normal(len(ATTRIBUTES))
        return np.asarray(total / np.sqrt((MOOD_WEIGHTS**2).sum()))

    def _in_company(
        self, mood: Array, note_id: str, part: Part, planned: Mapping[str, PlannedNote],
        outlooks: Mapping[str, _Outlook], given: Mapping[str, Mapping[str, float | None]], seed: int,
    ) -> Array:
        """A note's draws, given how the neighbours around it are played whose expression is decided; [A].

        Conditioning by kriging: what the neighbours' own draws would have been is taken off what they are, and the
        difference carried over by the correlation of moods.

        Source: Journel and Huijbregts 1978, conditional simulation.
        """
        names = _around(note_id, planned)
        places = [place for place in range(-REACH, REACH + 1)
                  if place and names[place + REACH] is not None and _decided(given.get(str(names[place + REACH]), {}))]
        if not places:
            return mood
        away = np.array(places)
        shares = np.correlate(MOOD_WEIGHTS, MOOD_WEIGHTS, "full") / (MOOD_WEIGHTS**2).sum()
        correlation = np.concatenate([shares[len(MOOD_WEIGHTS) - 1 :], np.zeros(2 * REACH + 1)])
        gain = np.linalg.solve(correlation[np.abs(away[:, None] - away)] + 1e-6 * np.eye(len(away)),
                               correlation[np.abs(away)])
        for weight, place in zip(gain, places):
            name = str(names[place + REACH])
            residual = _residual(given[name], outlooks[name], _of_pitch(part, planned[name], seed))
            mood = mood + weight * (residual - self._mood(name, planned, seed))
        return mood


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outlook:
    """How a note may be played.

    Attributes:
        mean, factor: of the joint Gaussian on the model's scale, from which is drawn; [A], [A, A].
        chance: of a vibrato.
        network, number, among: by which draws are bent to what is played; of the instrument and the note; [1], [1].
    """

    mean: Array
    factor: Array
    chance: float
    network: ExpressionNetwork
    number: Tensor
    among: Tensor

    def played(self, drawn: Array) -> Array:
        """Values on the model's scale of those drawn from the Gaussian; [A]."""
        return self.network.played(*self._of(drawn))[0].numpy()

    def drawn(self, values: Array) -> Array:
        """What is drawn from the Gaussian for these values to be played; [A]."""
        return self.network.evened(*self._of(values))[0][0].numpy()

    def _of(self, values: Array) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        mean, factor, row = (torch.from_numpy(np.asarray(array))[None] for array in (self.mean, self.factor, values))
        return self.number, self.among, mean, factor, row


def _features(item: PlannedNote, planned: Mapping[str, PlannedNote]) -> Array:
    """What the network is told of a note; [CONTEXT_FEATURES]."""
    note = item.note
    neighbours = [*_line(item, planned, "previous"), *_line(item, planned, "following")]
    return context_features(note.pitch, item.seconds, note.velocity, note.articulations, item.joined, item.leads,
                            neighbours)


def _of_pitch(part: Part, item: PlannedNote, seed: int) -> float:
    """The standard normal draw, at most 2.5, that all notes of a semitone of the part share in their tuning."""
    drawn = keyed_generator(seed, part.name, f"tuning {round(item.note.pitch)}").standard_normal()
    return float(np.clip(drawn, -2.5, 2.5))


def _around(note_id: str, planned: Mapping[str, PlannedNote]) -> list[str | None]:
    """The note and REACH neighbours on either side, in order; None where there is none."""
    names: list[str | None] = [note_id]
    for direction in ("previous", "following"):
        current: str | None = note_id
        for _ in range(REACH):
            current = getattr(planned[current], direction) if current is not None else None
            names = [current, *names] if direction == "previous" else [*names, current]
    return names


def _decided(given: Mapping[str, float | None]) -> bool:
    """Whether all of a note's expression is given, but for what hangs on its joints."""
    return all(name in given for name in ATTRIBUTES if name not in ("length_ratio", "glide_s"))


def _residual(given: Mapping[str, float | None], outlook: _Outlook, of_pitch: float) -> Array:
    """The standard normal draws that would have given a note its expression, at most 2.5, beside what its pitch has of
    its own; what is not defined counts as the mean; [A]."""
    values, told = outlook.mean.copy(), np.zeros(len(ATTRIBUTES), bool)
    for index, name in enumerate(ATTRIBUTES):
        value = given.get(name)
        still = name in VIBRATO_ATTRIBUTES and not given.get("vibrato_cents")
        if value is not None and not still and name != "length_ratio":  # the length is not drawn from the joint
            values[index], told[index] = np.clip(SCALES[name].forward(value), -4.0, 4.0), True
    deviation = np.where(told, outlook.drawn(values) - outlook.mean, 0.0)
    tuning = INDEX["tuning_cents"]
    own = math.sqrt(TUNED_BY_PITCH) * float(np.linalg.norm(outlook.factor[tuning])) * of_pitch
    if told[tuning]:
        deviation[tuning] = (deviation[tuning] - own) / math.sqrt(1.0 - TUNED_BY_PITCH)
    return np.asarray(np.clip(np.linalg.solve(outlook.factor, deviation), -2.5, 2.5))


def _line(item: PlannedNote, planned: Mapping[str, PlannedNote], direction: str) -> list[Neighbour | None]:
    """REACH neighbours in one direction, nearest first."""
    found: list[Neighbour | None] = []
    current = item
    for _ in range(REACH):
        name = getattr(current, direction)
        if name is None:
            return found + [None] * (REACH - len(found))
        other = planned[name]
        before, after = (other, current) if direction == "previous" else (current, other)
        velocity = (other.note.velocity - item.note.velocity) if other.note.velocity and item.note.velocity else 0.0
        gap = after.note.onset - before.note.offset
        if not after.joined:  # as played, never as written: what is attacked anew is parted from the note before
            gap = max(gap, TOUCHING_S)
        found.append(Neighbour(interval=other.note.pitch - item.note.pitch, gap_s=gap,
                               seconds=other.seconds, velocity=float(velocity)))
        current = other
    return found


def _shares(item: PlannedNote, planned: Mapping[str, PlannedNote]) -> Mapping[str, float]:
    """Share of each attribute's spread that is drawn; what is not named is drawn in full."""
    shares = {"tuning_cents": min(1.0, (TUNED_S / max(item.seconds, 1e-3)) ** TUNED_BETTER)}
    if item.note.velocity is not None:
        shares |= SPREAD_WITH_VELOCITY
    others = [planned[name] for name in (item.previous, item.following) if name is not None]
    if not others:
        return shares | SPREAD_ALONE if item.note.velocity is not None else shares
    return shares | SPREAD_IN_COMPANY | (SPREAD_AT_REPEATS if any(_repeats(item, other) for other in others) else {})


def _repeats(item: PlannedNote, other: PlannedNote) -> bool:
    """Whether of two neighbours one is the other attacked anew: velocity and semitone the same, length about so."""
    later = max(item, other, key=lambda one: one.note.onset)
    short, long = sorted((item.seconds, other.seconds))
    return (not later.joined and abs(item.note.pitch - other.note.pitch) < 0.5
            and item.note.velocity == other.note.velocity and long <= REPEATED_LENGTH * short)


def _draw(
    item: PlannedNote, gap: float | None, shares: Mapping[str, float], outlook: _Outlook, mood: Array, of_pitch: float,
    coin: float, temperature: float, given: Mapping[str, float | None],
) -> NoteExpression:
    mean, factor, chance = outlook.mean, outlook.factor, outlook.chance
    values: dict[str, float | None] = dict(given)
    if given.get("vibrato_cents") is not None:
        vibrates = bool(given["vibrato_cents"])
    elif given.get("vibrato_rate_hz") is not None or given.get("vibrato_delay_s") is not None:
        vibrates = True  # who asks for a rate asks for a vibrato
        values.pop("vibrato_cents", None)
    elif item.seconds < SHORTEST_VIBRATO_S:
        vibrates = False
    else:  # at temperature 0 the likelier of the two
        vibrates = coin < chance if temperature > 0 else chance >= 0.5
    if not vibrates:
        values |= {"vibrato_cents": 0.0, "vibrato_rate_hz": None, "vibrato_delay_s": None}
    if not item.joined:
        values["glide_s"] = None
    if item.leads:
        values["length_ratio"] = None
    elif "length_ratio" not in values:
        values["length_ratio"] = _length_ratio(item, gap, mean, mood, temperature)
    decided = [INDEX[name] for name, value in values.items() if value is not None and name in INDEX]
    open_ = [index for index, name in enumerate(ATTRIBUTES) if name not in values]
    if open_:
        covariance = factor @ factor.T
        # what is given moves the rest; no vibrato has no place on the scale of extents, and what lies beyond the
        # recorded range (the clip of the training set) says no more than its edge
        conditioned = [index for index in decided if ATTRIBUTES[index] in given and ATTRIBUTES[index] not in APART
                       and (vibrates or ATTRIBUTES[index] not in VIBRATO_ATTRIBUTES)]
        target = mean.copy()
        target[conditioned] = np.clip([SCALES[ATTRIBUTES[index]].forward(float(values[ATTRIBUTES[index]] or 0.0))
                                       for index in conditioned], -4.0, 4.0)
        centre = mean[open_]
        spread = covariance[np.ix_(open_, open_)]
        if conditioned:
            gain = np.linalg.solve(covariance[np.ix_(conditioned, conditioned)],
                                   covariance[np.ix_(conditioned, open_)]).T
            centre = centre + gain @ (outlook.drawn(target) - mean)[conditioned]
            spread = spread - gain @ covariance[np.ix_(conditioned, open_)]
        lower = np.linalg.cholesky(spread + 1e-9 * np.eye(len(open_)))
        # extremes beyond 2.5 sigma are measuring errors as often as playing
        spread_out = np.clip(mood[open_], -2.5, 2.5)
        # of what comes out, not of what goes in: how attributes vary together must not narrow those drawn in full
        part = np.array([shares.get(ATTRIBUTES[index], 1.0) for index in open_])
        swung = lower @ spread_out
        if INDEX["tuning_cents"] in open_:
            row = open_.index(INDEX["tuning_cents"])
            own = math.sqrt(TUNED_BY_PITCH) * float(np.linalg.norm(lower[row])) * of_pitch
            swung[row] = math.sqrt(1.0 - TUNED_BY_PITCH) * swung[row] + own
        drawn = mean.copy()
        drawn[open_] = centre + temperature * part * swung
        for index, value in zip(open_, outlook.played(drawn)[open_]):
            name = ATTRIBUTES[index]
            low, high, _ = ATTRIBUTE_RANGES[name]
            values[name] = float(np.clip(SCALES[name].backward(float(value)), low, high))
    if gap is not None and not item.leads and "release_s" not in given and values["release_s"] is not None:
        room = gap + (1.0 - float(values["length_ratio"] or 1.0)) * item.seconds
        values["release_s"] = min(values["release_s"], max(room, 0.0) + RELEASE_UNDER_S)
    if vibrates and "vibrato_delay_s" not in given and values["vibrato_delay_s"] is not None:
        values["vibrato_delay_s"] = min(values["vibrato_delay_s"], LATEST_VIBRATO * item.seconds)
    return NoteExpression(**values)  # type: ignore[arg-type]


def _length_ratio(item: PlannedNote, gap: float | None, mean: Array, mood: Array, temperature: float) -> float:
    """Sounding share of a note's length, which ends where its pitch is struck again.

    Under an articulation mark as the network says, before a rest all of it. A plain note sounds in full as well, but
    for the moment that parts it from one that follows at once.
    """
    if gap is None or gap > REST_S:
        return 1.0
    index = INDEX["length_ratio"]
    deviation = temperature * float(np.clip(mood[index], -2.5, 2.5))
    if item.note.articulations:
        return float(np.clip(SCALES["length_ratio"].backward(float(mean[index]) + 0.3 * deviation), 0.5, 1.0))
    parting = TOUCHING_S * math.exp(0.4 * deviation) - gap
    return float(np.clip(1.0 - max(parting, 0.0) / max(item.seconds, 1e-3), 0.5, 1.0))
