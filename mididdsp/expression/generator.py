"""p(expression | notes, instrument): how a player would play each note, as a distribution to sample from.

For every note a network of dense layers sees the note and two neighbours on either side and gives a joint Gaussian over
the attributes, each on a scale where it is about Gaussian, and the chance of a vibrato. A joint Gaussian can be
conditioned exactly: what is given (locked, edited, asked for) shifts the rest. ``temperature`` scales the deviations;
0 is the mean. Deviations of neighbouring notes are correlated (a moving average of keyed draws), as moods last longer
than a note; they stay local all the same: a note is touched by edits at most ``2 * REACH`` notes away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.expression.bends import KNOTS, bent, straightened
from mididdsp.expression.types import ATTRIBUTE_RANGES, ATTRIBUTES, VIBRATO_ATTRIBUTES, NoteExpression
from mididdsp.expression.vibrato_lines import VibratoLines
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import ARTICULATIONS, Part, PartPlan, PlannedNote
from mididdsp.random import keyed_generator

Array = NDArray[np.floating[Any]]

REACH = 2
"""Neighbours seen on either side, in the same voice."""

_PITCH_CENTRES = np.arange(22.0, 108.0, 4.0)
_BELL = 3.0  # semitones: the width of the bells around them
_NEIGHBOUR = 6
VELOCITY_MARKS = (20.0, 33.0, 49.0, 64.0, 80.0, 96.0, 112.0, 127.0)
"""Velocities of the dynamic marks: a hat function stands on each."""

PLAIN_FEATURES = 5
"""The first features of a context: pitch, length (twice), whether there is a velocity, and which."""

CONTEXT_FEATURES = (PLAIN_FEATURES + len(VELOCITY_MARKS) + len(_PITCH_CENTRES) + len(ARTICULATIONS) + 2
                    + 2 * REACH * _NEIGHBOUR)

SURROUNDINGS = len(ARTICULATIONS) + 2 + 2 * REACH * _NEIGHBOUR
"""The last features of a context: marks, joints and neighbours; all 0 for a plain note by itself."""

VIBRATO_PLAIN = 4
VIBRATO_FEATURES = VIBRATO_PLAIN + len(_PITCH_CENTRES) + 1
"""What the lines of the vibrato see: pitch, length (twice) and velocity (0 where there is none), then the bells over
pitch, and a one."""

_COUNT = len(ATTRIBUTES)
_INDEX = {name: index for index, name in enumerate(ATTRIBUTES)}
_SEMITONES = 128
COLOURED_ATTRIBUTES = ("level_db", "brightness", "attack_noise_db")
"""What differs from semitone to semitone by resonance, not by playing."""

SHORTEST_VIBRATO_S = 0.2
LATEST_VIBRATO = 0.6
"""Share of a note after which a vibrato begins at the latest. Delays of violinists spread further than half a note
allows (.66 s in training études from the 10th to the 90th percentile, ours .43; .48 by this)."""

LONGEST_TOLD_S = 2.5
"""Of plain notes that were recorded hardly any is longer; most long ones were asked to swell. What is learned of short
notes, drawn on, would give a whole note an attack of a second."""

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

SURFACE_ATTRIBUTES = ("brightness", "attack_noise_db")
"""What hangs on pitch, velocity and length by the instrument more than by the music: tabulated from single notes."""

COMPANY_REACH = 0.8
"""By no more than this (model scale: half an octave of brightness, 6 dB of noise) neighbours move what the table says:
where an instrument's phrases never go, nothing else would hold the network."""

NO_FLOOR = -4.0
"""A brightness below all there is, on the model's scale."""

BELOW_FLOOR = 0.3
"""Share that is left of what would lie below the floor of brightness."""

PHRASED_VELOCITY = 80.0
"""Nine in ten phrases were played mezzo-forte. What neighbours do to the brightness of a softer or louder note is taken
to be what they do to such a one: asked for anything else, the network would say more than it was taught."""

RUN_SECONDS, RUN_ALIKE, RUN_GAP_S = 0.25, 1.5, 0.04
"""A note shorter than this, which its nearest neighbours touch to within the last and which are no longer than so many
times its length, is as loud as one of the first. Of such runs the phrases hold few: what is as short there and touches
its neighbours rings on between detached notes, 7 dB softer than those."""

SURFACE_PITCHES = tuple(range(21, 109))
SURFACE_LENGTHS = (0.12, 0.35, 1.0, 3.0)
COMPANY_ATTRIBUTES = ("level_db", "fluctuation_db", "peak_position", "brightness", "attack_noise_db", "attack_s")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Attribute ↔ the scale on which it is about Gaussian: (f(x) - centre) / spread."""

    kind: str
    centre: float
    spread: float

    def forward(self, value: float) -> float:
        """Physical value → model scale."""
        if self.kind == "log":
            value = math.log(max(value, 1e-3))
        elif self.kind == "share":
            clipped = min(max(value, 0.01), 0.99)
            value = math.log(clipped / (1.0 - clipped))
        return (value - self.centre) / self.spread

    def backward(self, value: float) -> float:
        """Model scale → physical value."""
        value = value * self.spread + self.centre
        if self.kind == "log":
            return math.exp(value)
        if self.kind == "share":
            return 1.0 / (1.0 + math.exp(-value))
        return value


SCALES: Mapping[str, Scale] = {
    "level_db": Scale(kind="linear", centre=-26.0, spread=8.0),
    "fluctuation_db": Scale(kind="log", centre=math.log(1.5), spread=0.7),
    "peak_position": Scale(kind="share", centre=0.0, spread=1.5),
    "brightness": Scale(kind="linear", centre=1.0, spread=0.6),
    "attack_noise_db": Scale(kind="linear", centre=-25.0, spread=8.0),
    "attack_s": Scale(kind="log", centre=math.log(0.05), spread=1.0),
    "release_s": Scale(kind="log", centre=math.log(0.1), spread=0.5),
    "vibrato_cents": Scale(kind="log", centre=math.log(12.0), spread=0.5),
    "vibrato_rate_hz": Scale(kind="linear", centre=5.8, spread=0.6),
    "vibrato_delay_s": Scale(kind="log", centre=math.log(0.15), spread=0.7),
    "tuning_cents": Scale(kind="linear", centre=0.0, spread=10.0),
    "timing_s": Scale(kind="linear", centre=0.0, spread=0.006),
    "length_ratio": Scale(kind="linear", centre=0.96, spread=0.03),
    "glide_s": Scale(kind="log", centre=math.log(0.015), spread=0.7),
}
"""One entry an attribute, in the order of ``ATTRIBUTES``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """What is seen of a neighbouring note.

    Attributes:
        interval: its pitch against the note's, semitones.
        gap_s: seconds of silence between it and the next note on the way to this one; below 0 they overlap.
        seconds: its length.
        velocity: its velocity against the note's; 0 where one of them has none.
    """

    interval: float
    gap_s: float
    seconds: float
    velocity: float


def context_features(
    pitch: float, seconds: float, velocity: float | None, articulations: Sequence[str], joined: bool, leads: bool,
    neighbours: Sequence[Neighbour | None],
) -> Array:
    """What the network sees of a note; [CONTEXT_FEATURES].

    Args:
        pitch: MIDI number.
        seconds: written length; longer notes than ``LONGEST_TOLD_S`` are played as if they were as long as that.
        velocity: 1 to 127, or None.
        articulations: marks from ``ARTICULATIONS``.
        joined: it continues the note before it.
        leads: the next note continues it.
        neighbours: REACH before, nearest first, then REACH after, nearest first; None where there is none.
    """
    def folds(length: float) -> float:
        return math.log(min(max(length, 0.02), LONGEST_TOLD_S) / 0.5)

    around: list[float] = []
    for neighbour in neighbours:
        if neighbour is None:
            around += [0.0] * _NEIGHBOUR
        else:
            around += [1.0, float(np.clip(neighbour.interval / 6.0, -3, 3)),
                       float(np.clip(neighbour.gap_s / 0.25, -1, 3)), math.exp(-max(neighbour.gap_s, 0.0) / 0.05),
                       folds(neighbour.seconds), float(np.clip(neighbour.velocity / 32.0, -2, 2))]
    marks = [float(name in articulations) for name in ARTICULATIONS]
    return np.array([
        (pitch - 60.0) / 20.0, folds(seconds), min(seconds, LONGEST_TOLD_S) / 2.0,
        0.0 if velocity is None else 1.0, 0.0 if velocity is None else (velocity - 80.0) / 32.0,
        *(np.zeros(len(VELOCITY_MARKS)) if velocity is None else velocity_hats(np.array([velocity]))[0]),
        *np.exp(-0.5 * ((pitch - _PITCH_CENTRES) / _BELL) ** 2), *marks, float(joined), float(leads), *around,
    ])


def as_phrased(context: Tensor, pitches: Tensor) -> Tensor:
    """The same notes as phrases were played: all at ``PHRASED_VELOCITY`` if they have one, at the nearest pitch.

    Args:
        context: [N, CONTEXT_FEATURES].
        pitches: lowest and highest that phrases were played at, MIDI numbers, twice the same where there are none;
            [N, 2].
    """
    pitch = context[:, 0] * 20.0 + 60.0
    pitch = torch.where(pitches[:, 1] > pitches[:, 0], pitch.clamp(pitches[:, 0], pitches[:, 1]), pitch)
    hats = torch.from_numpy(velocity_hats(np.array([PHRASED_VELOCITY]))).to(context)
    bells = torch.exp(-0.5 * ((pitch.unsqueeze(-1) - torch.from_numpy(_PITCH_CENTRES).to(context)) / _BELL) ** 2)
    told, rest = context[:, 3:4], context[:, -SURROUNDINGS:].clone()
    rest[:, _NEIGHBOUR - 1 - 2 * REACH * _NEIGHBOUR :: _NEIGHBOUR] = 0.0  # neighbours are as loud as the note
    return torch.cat([((pitch - 60.0) / 20.0).unsqueeze(-1), context[:, 1:3], told,
                      told * (PHRASED_VELOCITY - 80.0) / 32.0, told * hats, bells, rest], -1)


def out_of_runs(context: Tensor) -> Tensor:
    """The same notes, those in runs as long as ``RUN_SECONDS``; [N, CONTEXT_FEATURES]."""
    nearest = [context[:, place - 2 * REACH * _NEIGHBOUR :] for place in (0, REACH * _NEIGHBOUR)]
    other = [(near[:, 0] > 0) & ((near[:, 2] > RUN_GAP_S / 0.25) | (near[:, 4] > context[:, 1] + math.log(RUN_ALIKE)))
             for near in nearest]
    least = torch.where(other[0] | other[1] | ~surrounded(context), -math.inf, math.log(RUN_SECONDS / 0.5))
    seconds = torch.maximum(context[:, 1], least)
    return torch.cat([context[:, :1], seconds.unsqueeze(-1),
                      torch.maximum(context[:, 2], least.exp() * 0.25).unsqueeze(-1), context[:, 3:]], -1)


def vibrato_features(context: Tensor) -> Tensor:
    """What the lines of the vibrato see of contexts [N, CONTEXT_FEATURES]; [N, VIBRATO_FEATURES]."""
    bells = PLAIN_FEATURES + len(VELOCITY_MARKS)
    return torch.cat([context[:, :3], context[:, 4:PLAIN_FEATURES], context[:, bells : bells + len(_PITCH_CENTRES)],
                      torch.ones_like(context[:, :1])], -1)


def surrounded(context: Tensor) -> Tensor:
    """Whether notes have marks, joints or neighbours; bool [N] for contexts [N, CONTEXT_FEATURES]."""
    return (context[:, -SURROUNDINGS:] != 0).any(-1)


def marked(context: Tensor) -> Tensor:
    """Whether notes have marks; bool [N] for contexts [N, CONTEXT_FEATURES]."""
    return (marks_of(context) != 0).any(-1)


def marks_of(context: Tensor) -> Tensor:
    """The columns of contexts [N, CONTEXT_FEATURES] that hold marks, a view; [N, marks]."""
    return context[:, -SURROUNDINGS : len(ARTICULATIONS) - SURROUNDINGS]


def velocity_hats(velocity: Array) -> Array:
    """Hat functions on ``VELOCITY_MARKS``, summing to 1; [N, marks] for velocities [N]."""
    eye = np.eye(len(VELOCITY_MARKS))
    return np.stack([np.interp(velocity, VELOCITY_MARKS, row) for row in eye], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionConfig:
    """Sizes of the network; ``colour`` channels are learned of each semitone of each instrument, whose body or bore has
    its own resonances there; ``dropout`` while training, for single notes are few."""

    width: int = 192
    layers: int = 2
    embedding: int = 16
    colour: int = 12
    dropout: float = 0.3


class ExpressionNetwork(nn.Module):
    """Context [N, CONTEXT_FEATURES] and instrument [N] → mean [N, A], Cholesky factor [N, A, A], vibrato logit [N].

    Where there is a velocity, the mean of ``SURFACE_ATTRIBUTES`` is a table over pitch, velocity and length,
    ``surface`` [instruments, attributes, pitches, velocities, lengths], fitted to single notes; to which the
    network adds what neighbours and marks change, as they do at ``PHRASED_VELOCITY`` and between the pitches
    ``phrased`` [instruments, lowest and highest]; of what that would take below a brightness of ``dullest``
    [instruments, velocities], or of the table where that is duller, ``BELOW_FLOOR`` is left. ``rungs``
    [instruments, velocities, lengths], on the model's scale, are added to the mean level, so that the dynamics
    stand as far apart as players put them. ``company`` [without and with velocity, without and with marks,
    instruments, ``COMPANY_ATTRIBUTES``, pitches] is added to the mean of notes among others: what the network
    leaves over of each semitone there. ``levelled`` [instruments, semitones] is added to the mean level, so that
    what a semitone has of its own by a take or two is not heard as a wolf note. The vibrato's own means are those of
    ``lines`` where these are fitted. ``tails`` [alone and among others, attributes, KNOTS] bend what is drawn of the
    other attributes (``mididdsp.expression.bends``), for all instruments alike.
    """

    def __init__(self, config: ExpressionConfig) -> None:
        super().__init__()
        self.config = config
        self.instrument = nn.Embedding(len(INSTRUMENTS), config.embedding)
        nn.init.normal_(self.instrument.weight, std=0.3)
        self.colour = nn.Embedding(len(INSTRUMENTS) * _SEMITONES, config.colour)
        nn.init.normal_(self.colour.weight, std=0.05)
        self.tint = nn.Linear(config.colour, _COUNT, bias=False)
        tinted = torch.tensor([float(name in COLOURED_ATTRIBUTES) for name in ATTRIBUTES])
        self.register_buffer("tinted", tinted, persistent=False)
        self.tinted: Tensor
        on_surface = torch.tensor([float(name in SURFACE_ATTRIBUTES) for name in ATTRIBUTES])
        self.register_buffer("on_surface", on_surface, persistent=False)
        self.on_surface: Tensor
        size = (len(INSTRUMENTS), len(SURFACE_ATTRIBUTES), len(SURFACE_PITCHES), len(VELOCITY_MARKS),
                len(SURFACE_LENGTHS))
        self.register_buffer("surface", torch.zeros(size))
        self.surface: Tensor
        self.register_buffer("rungs", torch.zeros(len(INSTRUMENTS), len(VELOCITY_MARKS), len(SURFACE_LENGTHS)))
        self.rungs: Tensor
        self.register_buffer("company", torch.zeros(
            2, 2, len(INSTRUMENTS), len(COMPANY_ATTRIBUTES), len(SURFACE_PITCHES)))
        self.company: Tensor
        self.register_buffer("levelled", torch.zeros(len(INSTRUMENTS), _SEMITONES))
        self.levelled: Tensor
        self.register_buffer("phrased", torch.zeros(len(INSTRUMENTS), 2))
        self.phrased: Tensor
        self.register_buffer("dullest", torch.full((len(INSTRUMENTS), len(VELOCITY_MARKS)), NO_FLOOR))
        self.dullest: Tensor
        self.register_buffer("tails", torch.zeros(2, _COUNT, len(KNOTS)))
        self.tails: Tensor
        self.lines = VibratoLines(VIBRATO_FEATURES, VIBRATO_PLAIN)
        widths = [CONTEXT_FEATURES + config.embedding] + [config.width] * config.layers
        self.body = nn.Sequential(*[module for a, b in zip(widths, widths[1:])
                                    for module in (nn.Linear(a, b), nn.SiLU(), nn.Dropout(config.dropout))])
        self.mean = nn.Linear(config.width, _COUNT)
        # how attributes vary together hangs on the instrument, on pitch, length and velocity, and on there being others
        self.factor = nn.Linear(config.embedding + PLAIN_FEATURES + 1, _COUNT * (_COUNT + 1) // 2)
        self.vibrato = nn.Linear(config.width, 1)
        nn.init.zeros_(self.factor.weight)
        nn.init.zeros_(self.factor.bias)

    def forward(self, context: Tensor, instrument: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embedded = self.instrument(instrument)
        colour = self._colour(context, instrument)
        hidden = self.body(torch.cat([context, embedded], -1))
        mean = self.mean(hidden)
        level = torch.tensor([_INDEX["level_db"]], device=mean.device)
        calm = out_of_runs(context)
        if not torch.equal(calm, context):
            as_loud = self.mean(self.body(torch.cat([calm, embedded], -1)))[:, level]
            mean = mean.index_copy(1, level, as_loud)
        mean = mean + self.tint(colour) * self.tinted
        company = surrounded(context)
        tabulated = (context[:, 3:4] > 0) & (self.on_surface > 0)
        phrased = as_phrased(context, self.phrased[instrument])
        beside = (self.mean(self.body(torch.cat([phrased, embedded], -1)))
                  + self.tint(self._colour(phrased, instrument)) * self.tinted)
        mean = torch.where(tabulated, COMPANY_REACH * torch.tanh(beside / COMPANY_REACH), mean)
        plain = ((context[:, 3] > 0) & ~company).unsqueeze(-1) * self.on_surface  # there the table says all
        columns = [_INDEX[name] for name in SURFACE_ATTRIBUTES]
        table = self._tabulated(context, instrument)
        mean = (mean * (1.0 - plain)).index_add(1, torch.tensor(columns, device=mean.device), table)
        mean = mean.index_add(1, level, self._rung(context, instrument))
        mean = mean.index_add(1, level, self._straight(self.levelled.reshape(-1, 1), context, instrument))
        among = company.to(context.dtype).unsqueeze(-1)
        semitones = torch.tensor([_INDEX[name] for name in COMPANY_ATTRIBUTES], device=mean.device)
        mean = mean.index_add(1, semitones, among * self._of_semitones(context, instrument))
        bright = torch.tensor([_INDEX["brightness"]], device=mean.device)
        floor = self._floor(context, instrument, table[:, SURFACE_ATTRIBUTES.index("brightness")])
        floor = torch.where(tabulated.any(-1) & company, floor, NO_FLOOR).unsqueeze(-1)
        above = nn.functional.leaky_relu(mean[:, bright] - floor, BELOW_FLOOR)  # louder stays brighter, even down there
        mean = mean.index_copy(1, bright, floor + above)
        flat = self.factor(torch.cat([context[:, :PLAIN_FEATURES], among, embedded], -1))
        lower = torch.zeros(len(context), _COUNT, _COUNT, dtype=flat.dtype, device=flat.device)
        rows, columns = torch.tril_indices(_COUNT, _COUNT)
        lower[:, rows, columns] = flat
        diagonal = torch.diagonal(lower, dim1=-2, dim2=-1)
        scale = 0.03 + nn.functional.softplus(diagonal + 0.3)
        factor = lower - torch.diag_embed(diagonal) + torch.diag_embed(scale)
        mean, factor = self.lines(vibrato_features(context), instrument, company, mean, factor)
        return mean, factor, self.vibrato(hidden)[:, 0]

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors of a checkpoint; what one from before lacks is 0, and its ``company`` is the same with and
        without a velocity."""
        without = {f"lines.{name}": torch.zeros_like(value) for name, value in self.lines.state_dict().items()}
        company = tensors.get("company", torch.zeros_like(self.company)).expand_as(self.company)
        self.load_state_dict({**without, "phrased": torch.zeros_like(self.phrased),
                              "levelled": torch.zeros_like(self.levelled), "tails": torch.zeros_like(self.tails),
                              "dullest": torch.full_like(self.dullest, NO_FLOOR), **tensors, "company": company})

    def played(self, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor, drawn: Tensor) -> Tensor:
        """Values on the model's scale of those drawn from the joint Gaussian; [N, A]."""
        width = factor.norm(dim=-1)
        values = mean + width * bent((drawn - mean) / width, self.tails[among.long()].to(mean))
        return self.lines.played(instrument, among, mean, factor, values)

    def evened(
        self, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What would have been drawn from the joint Gaussian for values [N, A] to be played, and what the logarithm of
        each one's density gains; both [N, A]. The inverse of :meth:`played`."""
        values, gain = self.lines.evened(instrument, among, mean, factor, values)
        width = factor.norm(dim=-1)
        straight, more = straightened((values - mean) / width, self.tails[among.long()].to(mean))
        return mean + width * straight, gain + more

    @torch.no_grad()
    def own_levels(self) -> NDArray[np.float64]:
        """What semitones have of their own level, on the model's scale; [instruments, semitones]."""
        level = self.colour.weight.detach() @ self.tint.weight.detach()[_INDEX["level_db"]]
        return np.asarray(level.double().cpu().numpy().reshape(len(INSTRUMENTS), _SEMITONES))

    def _colour(self, context: Tensor, instrument: Tensor) -> Tensor:
        """``colour`` at the notes, straight between semitones; [N, channels]."""
        return self._straight(self.colour.weight, context, instrument)

    def _straight(self, table: Tensor, context: Tensor, instrument: Tensor) -> Tensor:
        """A table of a row a semitone of each instrument at the notes, straight between semitones; [N, channels]."""
        pitch = (context[:, 0] * 20.0 + 60.0).clamp(0.0, _SEMITONES - 1.001)
        below = pitch.floor()
        part = (pitch - below).unsqueeze(-1)
        row = instrument * _SEMITONES + below.long()
        return torch.as_tensor((1.0 - part) * table[row] + part * table[row + 1])

    def _of_semitones(self, context: Tensor, instrument: Tensor) -> Tensor:
        """``company`` at the notes, straight between semitones; [N, COMPANY_ATTRIBUTES]."""
        at = (context[:, 0] * 20.0 + 60.0 - SURFACE_PITCHES[0]).clamp(0.0, len(SURFACE_PITCHES) - 1.001)
        low = at.floor()
        part = (at - low).unsqueeze(-1)
        rows = self.company[(context[:, 3] > 0).long(), marked(context).long(), instrument]  # [N, attributes, pitches]
        lower, upper = (rows.gather(2, (low.long() + step).view(-1, 1, 1).expand(-1, rows.shape[1], 1))[..., 0]
                        for step in (0, 1))
        return (1.0 - part) * lower + part * upper

    def _floor(self, context: Tensor, instrument: Tensor, alone: Tensor) -> Tensor:
        """Brightness below which company takes little: ``dullest``, or ``alone``, the table's, where that is duller;
        [N]."""
        velocities = context[:, PLAIN_FEATURES : PLAIN_FEATURES + len(VELOCITY_MARKS)]
        return torch.minimum((velocities * self.dullest[instrument]).sum(-1), alone)

    def _rung(self, context: Tensor, instrument: Tensor) -> Tensor:
        """``rungs`` at the notes, straight between lengths and between velocities; 0 without a velocity; [N, 1]."""
        velocities = context[:, PLAIN_FEATURES : PLAIN_FEATURES + len(VELOCITY_MARKS)]
        ticks = torch.tensor(SURFACE_LENGTHS, dtype=context.dtype, device=context.device).log()
        length = (context[:, 1] + math.log(0.5)).clamp(ticks[0], ticks[-1]).contiguous()
        upper = torch.searchsorted(ticks, length).clamp(1, len(ticks) - 1)
        part = ((length - ticks[upper - 1]) / (ticks[upper] - ticks[upper - 1])).unsqueeze(-1)
        at_length = (1.0 - part) * self.rungs[instrument, :, upper - 1] + part * self.rungs[instrument, :, upper]
        return (velocities * at_length).sum(-1, keepdim=True)

    def _tabulated(self, context: Tensor, instrument: Tensor) -> Tensor:
        """The table at the notes, straight between its points; 0 without a velocity; [N, surface attributes]."""
        places = (context[:, 0] * 20.0 + 60.0, context[:, 4] * 32.0 + 80.0, context[:, 1] + math.log(0.5))
        points = (SURFACE_PITCHES, VELOCITY_MARKS, tuple(math.log(length) for length in SURFACE_LENGTHS))
        corners: list[tuple[tuple[Tensor, ...], Tensor]] = [((), context[:, 3])]
        for place, ticks in zip(places, points):
            grid = torch.tensor(ticks, dtype=context.dtype, device=context.device)
            inside = place.clamp(grid[0], grid[-1]).contiguous()
            upper = torch.searchsorted(grid, inside).clamp(1, len(ticks) - 1)
            part = (inside - grid[upper - 1]) / (grid[upper] - grid[upper - 1])
            corners = [((*index, side), weight * share) for index, weight in corners
                       for side, share in ((upper - 1, 1.0 - part), (upper, part))]
        total = torch.zeros(len(context), len(SURFACE_ATTRIBUTES), dtype=context.dtype, device=context.device)
        for (pitch, velocity, length), weight in corners:
            total = total + weight.unsqueeze(-1) * self.surface[instrument, :, pitch, velocity, length]
        return total


def masked_log_likelihood(mean: Tensor, factor: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Log density of the known attributes alone, the others integrated out; nats; [N].

    Args:
        mean: [N, A].
        factor: lower-triangular; [N, A, A].
        values: on the model's scale, anything where unknown; [N, A].
        known: 1 or 0; [N, A].
    """
    covariance = factor @ factor.transpose(-1, -2)
    both = known.unsqueeze(-1) * known.unsqueeze(-2)
    eye = torch.eye(_COUNT, dtype=mean.dtype, device=mean.device)
    masked = covariance * both + eye * (1.0 - known).unsqueeze(-1)
    lower = torch.linalg.cholesky(masked + 1e-6 * eye)
    residual = ((values - mean) * known).unsqueeze(-1)
    whitened = torch.linalg.solve_triangular(lower, residual, upper=False)[..., 0]
    log_diagonal = torch.log(torch.diagonal(lower, dim1=-2, dim2=-1))
    density: Tensor = -0.5 * (whitened**2).sum(-1) - log_diagonal.sum(-1) - 0.5 * math.log(2 * math.pi) * known.sum(-1)
    return density


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
        result = {}
        for note_id, item in planned.items():
            outlook = self._outlook(plan.part.instrument, item, planned)
            after = planned.get(item.following or "")
            gap = None if after is None else after.note.onset - item.offset
            mood = self._mood(note_id, planned, seed)
            if not _decided(given.get(note_id, {})):
                mood = self._in_company(mood, note_id, plan.part, planned, given, seed)
            result[note_id] = _draw(item, gap, _shares(item, planned), outlook, mood, _of_pitch(plan.part, item, seed),
                                    keyed_generator(seed, note_id, "expression").random(), temperature,
                                    given.get(note_id, {}))
        return result

    def chances(self, plan: PartPlan) -> dict[str, float]:
        """The chance that each note of a part has a vibrato, by id; of notes shorter than 0.2 s it is not used."""
        planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
        return {note_id: self._outlook(plan.part.instrument, item, planned).chance
                for note_id, item in planned.items()}

    @torch.inference_mode()
    def _outlook(self, instrument: str, item: PlannedNote, planned: Mapping[str, PlannedNote]) -> _Outlook:
        note = item.note
        neighbours = [*_line(item, planned, "previous"), *_line(item, planned, "following")]
        features = context_features(note.pitch, item.seconds, note.velocity, note.articulations, item.joined,
                                    item.leads, neighbours)
        device = self.network.mean.weight.device
        # one note at a time: a row's last bit must not depend on its company (see mididdsp.tiles)
        context = torch.from_numpy(features.astype(np.float32)[None]).to(device)
        number = torch.tensor([list(INSTRUMENTS).index(instrument)], device=device)
        mean, factor, logit = self.network(context, number)
        among = surrounded(context)
        mean, factor, logit = self.network.lines.asked(number, among, mean, factor, logit)
        return _Outlook(mean=mean[0].double().cpu().numpy(), factor=factor[0].double().cpu().numpy(),
                        chance=float(torch.sigmoid(logit[0])), network=self.network, number=number, among=among)

    def _mood(self, note_id: str, planned: Mapping[str, PlannedNote], seed: int) -> Array:
        """Standard normal draws, correlated with those of the neighbours; [A]."""
        total = np.zeros(_COUNT)
        for weight, name, place in zip(MOOD_WEIGHTS, _around(note_id, planned), range(-REACH, REACH + 1)):
            # where there is no neighbour its draw is the note's own, so that the variance stays 1
            key = name if name is not None else f"{note_id} {place}"
            total += weight * keyed_generator(seed, key, "mood").standard_normal(_COUNT)
        return np.asarray(total / np.sqrt((MOOD_WEIGHTS**2).sum()))

    def _in_company(
        self, mood: Array, note_id: str, part: Part, planned: Mapping[str, PlannedNote],
        given: Mapping[str, Mapping[str, float | None]], seed: int,
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
            outlook = self._outlook(part.instrument, planned[name], planned)
            residual = _residual(given[name], outlook, _of_pitch(part, planned[name], seed))
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
    values, told = outlook.mean.copy(), np.zeros(_COUNT, bool)
    for index, name in enumerate(ATTRIBUTES):
        value = given.get(name)
        still = name in VIBRATO_ATTRIBUTES and not given.get("vibrato_cents")
        if value is not None and not still and name != "length_ratio":  # the length is not drawn from the joint
            values[index], told[index] = np.clip(SCALES[name].forward(value), -4.0, 4.0), True
    deviation = np.where(told, outlook.drawn(values) - outlook.mean, 0.0)
    tuning = _INDEX["tuning_cents"]
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
    decided = [_INDEX[name] for name, value in values.items() if value is not None and name in _INDEX]
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
        if _INDEX["tuning_cents"] in open_:
            row = open_.index(_INDEX["tuning_cents"])
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
    index = _INDEX["length_ratio"]
    deviation = temperature * float(np.clip(mood[index], -2.5, 2.5))
    if item.note.articulations:
        return float(np.clip(SCALES["length_ratio"].backward(float(mean[index]) + 0.3 * deviation), 0.5, 1.0))
    parting = TOUCHING_S * math.exp(0.4 * deviation) - gap
    return float(np.clip(1.0 - max(parting, 0.0) / max(item.seconds, 1e-3), 0.5, 1.0))
