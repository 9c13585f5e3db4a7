"""The prior over notes: mask and fill, in any order.

A network sees a grid in which some cells are known and others are not, and gives for every cell a distribution over
pitches (and rest) and the chance that a note begins there. Trained on random masks it can fill any gap: harmonise a
voice, complete a bar, write from nothing. It knows nothing of files.

Conventions: cells, steps and onsets as in ``mididdsp.notes.grid``; class 0 is the rest, class c is the MIDI number
``low + c - 1``. Likelihoods are in nats.

Differences from Coconet (Huang et al. 2017, "Counterpoint by convolution"): the convolutions run over time alone, with
all voices of a step in one vector (a tenth of the work of a convolution over time and pitch); held and repeated notes
differ; meter and fermatas are seen; masks of whole frames and of voices are trained beside masks of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mididdsp.notes.grid import REST, NoteGrid, begins
from mididdsp.random import keyed_generator

ONSET_UNKNOWN, HELD, BEGINS = 0, 1, 2
"""What the network sees of a cell's onset."""

FERMATA_UNKNOWN, NO_FERMATA, FERMATA = 0, 1, 2
"""What the network sees of a step's fermata."""

_POSITIONS = 32
"""Positions in the bar and bar lengths that are told apart; 2/2 of sixteenths is 16, the rest is for long meters."""

_SETTLED = 0.7
"""Share of the sampling passes after which the share of redrawn cells stays at its lowest (Coconet's schedule)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorConfig:
    """Size of the network, and what its classes mean; saved with the weights.

    Attributes:
        voices: of the grids it was made for.
        low: MIDI number of the lowest pitch.
        high: MIDI number of the highest pitch.
        channels: width.
        dilations: of the residual blocks, one a block; their sum is half the reach in sixteenths.
        embedding: width of what each cell brings in.
        dropout: share, in training.
    """

    voices: int = 4
    low: int = 30
    high: int = 88
    channels: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1, 4)
    embedding: int = 40
    dropout: float = 0.1

    @property
    def classes(self) -> int:
        """Pitches and the rest."""
        return self.high - self.low + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GridBatch:
    """What the network sees; integer tensors on one device.

    Attributes:
        pitch: [N, V, T] classes; what stands in unknown cells is not looked at.
        known: bool [N, V, T]; cells whose pitch is given.
        onset: [N, V, T]; ``ONSET_UNKNOWN``, ``HELD`` or ``BEGINS``.
        position: [N, T] sixteenths since the beginning of the bar.
        bar: [N, T] length of the bar in sixteenths.
        fermata: [N, T]; ``FERMATA_UNKNOWN``, ``NO_FERMATA`` or ``FERMATA``.
        inside: bool [N, T]; steps of the piece, the others are padding.
    """

    pitch: Tensor
    known: Tensor
    onset: Tensor
    position: Tensor
    bar: Tensor
    fermata: Tensor
    inside: Tensor


def pitch_classes(pitch: NDArray[np.int16], config: PriorConfig) -> NDArray[np.int64]:
    """Class of each pitch; those outside the model's range go to its nearest pitch."""
    sounding = np.clip(pitch.astype(np.int64) - config.low + 1, 1, config.classes - 1)
    return np.where(pitch == REST, 0, sounding)


class _Block(nn.Module):
    """A dilated convolution over time and a mixing of channels, added to what came in; [N, T, C]."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.over_time = nn.Conv1d(channels, channels, 3, dilation=dilation, padding=dilation)
        self.mix = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.mix.weight)  # each block begins as the identity, so that a deep stack trains at once
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        # Padding is silenced before the convolution, so that a piece alone equals it in a longer batch.
        y = self.over_time((self.norm(x) * inside).transpose(1, 2)).transpose(1, 2)
        z: Tensor = self.dropout(self.mix(functional.gelu(y)))
        return x + z


class NoteNet(nn.Module):
    """Distributions of all cells given the known ones."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        voices, width = config.voices, config.channels
        # Each voice has its own embeddings: class ``classes`` stands for an unknown pitch.
        self.pitch = nn.Parameter(torch.randn(voices, config.classes + 1, config.embedding) * 0.5)
        self.onset = nn.Parameter(torch.randn(voices, 3, config.embedding) * 0.5)
        self.join = nn.Conv1d(voices * config.embedding, width, 3, padding=1)
        self.position = nn.Embedding(_POSITIONS, width)
        self.bar = nn.Embedding(_POSITIONS + 1, width)
        self.fermata = nn.Embedding(3, width)
        self.blocks = nn.ModuleList(_Block(width, dilation, config.dropout) for dilation in config.dilations)
        self.norm = nn.LayerNorm(width)
        self.to_pitch = nn.Linear(width, voices * config.classes)
        self.to_onset = nn.Linear(width, voices)

    def forward(self, batch: GridBatch) -> tuple[Tensor, Tensor]:
        """Logits of the pitch classes [N, V, T, classes] and of an onset [N, V, T]."""
        config = self.config
        number, voices, steps = batch.pitch.shape
        voice = torch.arange(voices, device=batch.pitch.device)[:, None]
        seen = torch.where(batch.known, batch.pitch, config.classes)
        cells = self.pitch[voice, seen] + self.onset[voice, batch.onset]  # [N, V, T, E]
        inside = batch.inside[:, :, None].to(cells.dtype)
        cells = cells.permute(0, 2, 1, 3).reshape(number, steps, -1) * inside
        x = self.join(cells.transpose(1, 2)).transpose(1, 2)
        x = x + self.position(batch.position.clamp(max=_POSITIONS - 1))
        x = x + self.bar(batch.bar.clamp(max=_POSITIONS)) + self.fermata(batch.fermata)
        for block in self.blocks:
            x = block(x, inside)
        x = self.norm(x)
        pitch = self.to_pitch(x).reshape(number, steps, voices, config.classes).transpose(1, 2)
        return pitch, self.to_onset(x).transpose(1, 2)


class NotePrior:
    """A trained prior over notes: samples and likelihoods.

    Attributes:
        local: False; a note depends on all notes within reach of the network, and on the passes of the sampling.
        config: of the network.
        net: the network, in evaluation mode.
    """

    local = False

    def __init__(self, config: PriorConfig, net: NoteNet | None = None) -> None:
        self.config = config
        self.net = (net if net is not None else NoteNet(config)).eval()

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> NotePrior:
        """The prior of a checkpoint's tensors and card.

        Raises:
            ValueError: the tensors do not fit the model that the card describes.
        """
        config = PriorConfig(**{**card["model"], "dilations": tuple(card["model"]["dilations"])})
        net = NoteNet(config)
        try:
            net.load_state_dict(dict(tensors))
        except RuntimeError:
            raise ValueError(
                "the tensors of the notes checkpoint do not fit the model on its card; train it again"
            ) from None
        return cls(config, net)

    def to_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, and the mapping for the card's ``model``."""
        return dict(self.net.state_dict()), {**asdict(self.config), "dilations": list(self.config.dilations)}

    @torch.inference_mode()
    def sample(
        self,
        given: NoteGrid,
        known: NDArray[np.bool_],
        *,
        seed: int,
        temperature: float = 1.0,
        passes: int = 256,
        ranges: Sequence[tuple[int, int]] | None = None,
        know_fermatas: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> NoteGrid:
        """Fill the cells that are not known; the known ones, their onsets included, come back as they were.

        All open cells are drawn at once, then again in ever smaller random shares, each time from what stands in the
        others (annealed blocked Gibbs sampling); then the onsets of repeated notes are drawn.

        Args:
            given: meter, fermatas and the known cells; what stands in the others is not looked at.
            known: bool [V, T].
            seed: of the draws; the same call with the same seed gives the same notes.
            temperature: above 0; below 1 the likelier, above 1 the more surprising. 0 takes the likeliest of each cell.
            passes: of the network, at least 1.
            ranges: lowest and highest MIDI number of each voice for what is drawn; by default all pitches of the model.
            know_fermatas: the fermatas of ``given`` are meant; else phrases may end anywhere.
            progress: called with passes done and passes in all.

        Raises:
            ValueError: voices, shapes, ranges or pitches that this model does not have.
        """
        self._check(given, known, temperature, passes)
        allowed = self._allowed(given, known, ranges)
        batch = self._batch(given, known, know_fermatas)
        drawn = batch.pitch.clone()
        open_cells = torch.from_numpy(~known)[None]
        total = passes if bool(open_cells.any()) else 0
        shares = 0.9 - 0.8 * np.minimum(1.0, np.arange(total) / max(1.0, _SETTLED * total))
        for number, share in enumerate(shares):
            random = keyed_generator(seed, "notes", "pass", str(number))
            chosen = random.random(known.shape) < share if number else np.ones(known.shape, bool)
            redrawn = open_cells & torch.from_numpy(chosen)[None]
            logits, _ = self.net(_replace(batch, pitch=drawn, known=~redrawn))
            noise = random.gumbel(size=(*known.shape, self.config.classes))
            choice = _choose(logits.masked_fill(~allowed, -torch.inf), temperature, noise)
            drawn = torch.where(redrawn, choice, drawn)
            if progress is not None:
                progress(number + 1, total)
        pitch = self._pitches(drawn[0].numpy())
        onset = self._sample_onsets(given, known, pitch, batch, drawn, seed, temperature)
        return NoteGrid(pitch=pitch, onset=onset, position=given.position, bar=given.bar, fermata=given.fermata)

    @torch.inference_mode()
    def framewise_nll(
        self, grid: NoteGrid, *, seed: int = 0, orderings: int = 5, frames: int | None = None
    ) -> NDArray[np.float64]:
        """Negative log-likelihood of each frame's pitches in nats, with the frames taken in random orders.

        The protocol of Huang et al. 2017 as FIELD's table has it: a frame is predicted from the true notes of the
        frames before it in the order; its voices come in random order, each seeing the model's own likeliest notes of
        the voices before it; the orderings are averaged in probability. Onsets and fermatas are not shown.

        Args:
            grid: within the model's pitches.
            seed: of the orderings.
            orderings: how many, at least 1.
            frames: rate this many randomly chosen frames instead of all (the mean is the same in expectation).

        Returns:
            Shape (frames,).
        """
        voices, steps = grid.pitch.shape
        known = np.ones((voices, steps), bool)
        self._check(grid, known, 1.0, 1)
        base = self._batch(grid, known, False)
        truth = base.pitch[0]
        random = keyed_generator(seed, "notes", "orderings")
        chosen = np.arange(steps) if frames is None or frames >= steps else random.permutation(steps)[:frames]
        log_p = torch.zeros(orderings, len(chosen), dtype=torch.float64)
        for ordering in range(orderings):
            rank = random.permutation(steps)
            for begin in range(0, len(chosen), 32):
                rated = torch.from_numpy(chosen[begin : begin + 32])
                count = len(rated)
                before = torch.from_numpy(rank[None, :] < rank[chosen[begin : begin + 32]][:, None])
                seen = before[:, None].expand(count, voices, steps).clone()
                pitch = truth[None].expand(count, voices, steps).clone()
                order = torch.from_numpy(np.stack([random.permutation(voices) for _ in range(count)]))
                row = torch.arange(count)
                for turn in range(voices):
                    voice = order[:, turn]
                    logits, _ = self.net(_repeat(base, pitch, seen))
                    here = torch.log_softmax(logits[row, voice, rated].double(), -1)
                    log_p[ordering, begin : begin + count] += here[row, truth[voice, rated]]
                    pitch[row, voice, rated] = here.argmax(-1)
                    seen[row, voice, rated] = True
        return np.asarray(-(torch.logsumexp(log_p, 0) - np.log(orderings)).numpy())

    def _check(self, grid: NoteGrid, known: NDArray[np.bool_], temperature: float, passes: int) -> None:
        config = self.config
        if grid.voices != config.voices:
            raise ValueError(f"the grid has {grid.voices} voices, this prior was made for {config.voices}")
        if known.shape != grid.pitch.shape or known.dtype != np.bool_:
            raise ValueError(f"known has shape {known.shape} and type {known.dtype}; give a bool for each cell")
        sounding = grid.pitch[known & (grid.pitch != REST)]
        if sounding.size and not (sounding.min() >= config.low and sounding.max() <= config.high):
            raise ValueError(
                f"the known notes reach from {sounding.min()} to {sounding.max()}; "
                f"this prior knows the MIDI numbers {config.low} to {config.high}, transpose into them"
            )
        if not (np.isfinite(temperature) and temperature >= 0):
            raise ValueError(f"temperature is {temperature}; it must be a number from 0")
        if passes < 1:
            raise ValueError(f"passes is {passes}; it must be at least 1")

    def _pitches(self, classes: NDArray[np.int64]) -> NDArray[np.int16]:
        return np.where(classes == 0, REST, classes + self.config.low - 1).astype(np.int16)

    def _batch(self, grid: NoteGrid, known: NDArray[np.bool_], know_fermatas: bool) -> GridBatch:
        onset = np.where(known, np.where(grid.onset, BEGINS, HELD), ONSET_UNKNOWN)
        fermata = np.where(grid.fermata, FERMATA, NO_FERMATA) if know_fermatas else np.zeros(grid.steps, np.int64)
        return GridBatch(
            pitch=torch.from_numpy(pitch_classes(grid.pitch, self.config))[None],
            known=torch.from_numpy(known)[None],
            onset=torch.from_numpy(onset)[None],
            position=torch.from_numpy(grid.position.astype(np.int64))[None],
            bar=torch.from_numpy(grid.bar.astype(np.int64))[None],
            fermata=torch.from_numpy(fermata)[None],
            inside=torch.ones(1, grid.steps, dtype=torch.bool),
        )

    def _allowed(
        self, given: NoteGrid, known: NDArray[np.bool_], ranges: Sequence[tuple[int, int]] | None
    ) -> Tensor:
        """Classes that may be drawn, bool [V, T, classes]."""
        config = self.config
        numbers = np.arange(config.classes) + config.low - 1
        allowed = np.ones((config.voices, given.steps, config.classes), bool)
        if ranges is not None:
            if len(ranges) != config.voices:
                raise ValueError(f"{len(ranges)} ranges for {config.voices} voices; give one a voice")
            for voice, (low, high) in enumerate(ranges):
                inside = (numbers >= low) & (numbers <= high)
                inside[0] = False
                if not inside.any():
                    raise ValueError(f"the range {low} to {high} of voice {voice} has no pitch that this prior knows")
                inside[0] = True  # the rest
                allowed[voice] = inside
        # A known note that is held into a known cell began before it: the open cell in front can only be that note.
        held = known & ~given.onset & (given.pitch != REST)
        front = held[:, 1:] & ~known[:, :-1]
        only = pitch_classes(given.pitch[:, 1:], config)[..., None] == np.arange(config.classes)
        allowed[:, :-1] = np.where(front[..., None], only, allowed[:, :-1])
        return torch.from_numpy(allowed)

    def _sample_onsets(
        self,
        given: NoteGrid,
        known: NDArray[np.bool_],
        pitch: NDArray[np.int16],
        batch: GridBatch,
        drawn: Tensor,
        seed: int,
        temperature: float,
    ) -> NDArray[np.bool_]:
        certain = begins(pitch)
        _, logits = self.net(_replace(batch, pitch=drawn, known=torch.ones_like(batch.known)))
        random = keyed_generator(seed, "notes", "onsets")
        chance = random.logistic(size=known.shape)
        struck = logits[0].double().numpy() + temperature * chance > 0
        onset = np.where(known, given.onset, certain | (struck & (pitch != REST)))
        return np.asarray(onset, dtype=np.bool_)


def _choose(logits: Tensor, temperature: float, noise: NDArray[np.float64]) -> Tensor:
    """A draw from softmax(logits / temperature) by the Gumbel trick; the likeliest at temperature 0."""
    return (logits.double() + temperature * torch.from_numpy(noise)).argmax(-1)


def _replace(batch: GridBatch, *, pitch: Tensor, known: Tensor) -> GridBatch:
    return GridBatch(
        pitch=pitch, known=known, onset=batch.onset, position=batch.position, bar=batch.bar, fermata=batch.fermata,
        inside=batch.inside,
    )


def _repeat(batch: GridBatch, pitch: Tensor, known: Tensor) -> GridBatch:
    """Many views of one piece, without onsets and fermatas."""
    count = len(pitch)
    return GridBatch(
        pitch=pitch, known=known, onset=torch.zeros_like(pitch), position=batch.position.expand(count, -1),
        bar=batch.bar.expand(count, -1), fermata=torch.zeros_like(batch.fermata).expand(count, -1),
        inside=batch.inside.expand(count, -1),
    )
