"""The network of the expression level: a note in its surroundings → a joint Gaussian over its attributes.

A network of dense layers tells the mean; beside it stand tables of what single notes and phrases tell by themselves,
and the lines of the vibrato. Attributes are on the scales of ``mididdsp.expression.scales``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.expression.bends import KNOTS, bent, straightened
from mididdsp.expression.context import (
    CONTEXT_FEATURES,
    PLAIN_FEATURES,
    VELOCITY_MARKS,
    VIBRATO_FEATURES,
    VIBRATO_PLAIN,
    as_phrased,
    marked,
    out_of_runs,
    surrounded,
    vibrato_features,
)
from mididdsp.expression.scales import INDEX
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.expression.vibrato_lines import VibratoLines
from mididdsp.instruments import INSTRUMENTS

Array = NDArray[np.floating[Any]]

_SEMITONES = 128

COLOURED_ATTRIBUTES = ("level_db", "brightness", "attack_noise_db")
"""What differs from semitone to semitone by resonance, not by playing."""

SURFACE_ATTRIBUTES = ("brightness", "attack_noise_db")
"""What hangs on pitch, velocity and length by the instrument more than by the music: tabulated from single notes."""

COMPANY_REACH = 0.8
"""By no more than this (model scale: half an octave of brightness, 6 dB of noise) neighbours move what the table says:
where an instrument's phrases never go, nothing else would hold the network."""

NO_FLOOR = -4.0
"""A brightness below all there is, on the model's scale."""

BELOW_FLOOR = 0.3
"""Share that is left of what would lie below the floor of brightness."""

SURFACE_PITCHES = tuple(range(21, 109))
SURFACE_LENGTHS = (0.12, 0.35, 1.0, 3.0)
COMPANY_ATTRIBUTES = (
    "level_db", "fluctuation_db", "peak_position", "brightness", "attack_noise_db", "attack_s", "release_s")


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
        self.tint = nn.Linear(config.colour, len(ATTRIBUTES), bias=False)
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
        self.register_buffer("tails", torch.zeros(2, len(ATTRIBUTES), len(KNOTS)))
        self.tails: Tensor
        self.lines = VibratoLines(VIBRATO_FEATURES, VIBRATO_PLAIN)
        widths = [CONTEXT_FEATURES + config.embedding] + [config.width] * config.layers
        self.body = nn.Sequential(*[module for a, b in zip(widths, widths[1:])
                                    for module in (nn.Linear(a, b), nn.SiLU(), nn.Dropout(config.dropout))])
        self.mean = nn.Linear(config.width, len(ATTRIBUTES))
        # how attributes vary together hangs on the instrument, on pitch, length and velocity, and on there being others
        self.factor = nn.Linear(config.embedding + PLAIN_FEATURES + 1, len(ATTRIBUTES) * (len(ATTRIBUTES) + 1) // 2)
        self.vibrato = nn.Linear(config.width, 1)
        nn.init.zeros_(self.factor.weight)
        nn.init.zeros_(self.factor.bias)

    def forward(
        self, context: Tensor, instrument: Tensor, *, row_by_row: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See the class.

        Args:
            context: of ``context_features``; [N, CONTEXT_FEATURES].
            instrument: their numbers; [N].
            row_by_row: what hangs in its last bit on how many notes there are is done for one at a time (see
                ``mididdsp.tiles``), all else for all of them at once.
        """
        through = _row_by_row if row_by_row else _at_once
        embedded = self.instrument(instrument)
        colour = self._colour(context, instrument)
        hidden = through(self.body, torch.cat([context, embedded], -1))
        mean = through(self.mean, hidden)
        level = torch.tensor([INDEX["level_db"]], device=mean.device)
        calm = out_of_runs(context)
        if not torch.equal(calm, context):
            as_loud = through(self.mean, through(self.body, torch.cat([calm, embedded], -1)))[:, level]
            mean = mean.index_copy(1, level, as_loud)
        mean = mean + through(self.tint, colour) * self.tinted
        company = surrounded(context)
        tabulated = (context[:, 3:4] > 0) & (self.on_surface > 0)
        phrased = as_phrased(context, self.phrased[instrument])
        beside = (through(self.mean, through(self.body, torch.cat([phrased, embedded], -1)))
                  + through(self.tint, self._colour(phrased, instrument)) * self.tinted)
        mean = torch.where(tabulated, COMPANY_REACH * torch.tanh(beside / COMPANY_REACH), mean)
        plain = ((context[:, 3] > 0) & ~company).unsqueeze(-1) * self.on_surface  # there the table says all
        columns = [INDEX[name] for name in SURFACE_ATTRIBUTES]
        table = self._tabulated(context, instrument)
        mean = (mean * (1.0 - plain)).index_add(1, torch.tensor(columns, device=mean.device), table)
        mean = mean.index_add(1, level, self._rung(context, instrument))
        mean = mean.index_add(1, level, self._straight(self.levelled.reshape(-1, 1), context, instrument))
        among = company.to(context.dtype).unsqueeze(-1)
        semitones = torch.tensor([INDEX[name] for name in COMPANY_ATTRIBUTES], device=mean.device)
        mean = mean.index_add(1, semitones, among * self._of_semitones(context, instrument))
        bright = torch.tensor([INDEX["brightness"]], device=mean.device)
        floor = self._floor(context, instrument, table[:, SURFACE_ATTRIBUTES.index("brightness")])
        floor = torch.where(tabulated.any(-1) & company, floor, NO_FLOOR).unsqueeze(-1)
        above = nn.functional.leaky_relu(mean[:, bright] - floor, BELOW_FLOOR)  # louder stays brighter, even down there
        mean = mean.index_copy(1, bright, floor + above)
        flat = through(self.factor, torch.cat([context[:, :PLAIN_FEATURES], among, embedded], -1))
        lower = torch.zeros(len(context), len(ATTRIBUTES), len(ATTRIBUTES), dtype=flat.dtype, device=flat.device)
        rows, columns = torch.tril_indices(len(ATTRIBUTES), len(ATTRIBUTES))
        lower[:, rows, columns] = flat
        diagonal = torch.diagonal(lower, dim1=-2, dim2=-1)
        scale = 0.03 + through(nn.functional.softplus, diagonal + 0.3)
        factor = lower - torch.diag_embed(diagonal) + torch.diag_embed(scale)
        mean, factor = self.lines(vibrato_features(context), instrument, company, mean, factor)
        return mean, factor, through(self.vibrato, hidden)[:, 0]

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors of a checkpoint; what one from before lacks is 0, in its ``company`` too, which is the same
        with and without a velocity."""
        without = {f"lines.{name}": torch.zeros_like(value) for name, value in self.lines.state_dict().items()}
        company = tensors.get("company", torch.zeros_like(self.company))
        missing = len(COMPANY_ATTRIBUTES) - company.shape[-2]
        company = nn.functional.pad(company, (0, 0, 0, missing)).expand_as(self.company)
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
        level = self.colour.weight.detach() @ self.tint.weight.detach()[INDEX["level_db"]]
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
    eye = torch.eye(len(ATTRIBUTES), dtype=mean.dtype, device=mean.device)
    masked = covariance * both + eye * (1.0 - known).unsqueeze(-1)
    lower = torch.linalg.cholesky(masked + 1e-6 * eye)
    residual = ((values - mean) * known).unsqueeze(-1)
    whitened = torch.linalg.solve_triangular(lower, residual, upper=False)[..., 0]
    log_diagonal = torch.log(torch.diagonal(lower, dim1=-2, dim2=-1))
    density: Tensor = -0.5 * (whitened**2).sum(-1) - log_diagonal.sum(-1) - 0.5 * math.log(2 * math.pi) * known.sum(-1)
    return density


def _at_once(step: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    return step(rows)


def _row_by_row(step: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    return torch.cat([step(row) for row in torch.split(rows, 1)])
