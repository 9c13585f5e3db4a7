"""The prior over notes: mask and fill, in any order.

A network sees a grid in which some cells are known and others are not, and gives for every cell a distribution over
pitches (and rest) and the chance that a note begins there. Trained on random masks it can fill any gap: harmonise a
voice, complete a bar, write from nothing. It knows nothing of files.

Conventions: cells, steps and onsets as in ``mididdsp.notes.grid``; class 0 is the rest, class c is the MIDI number
``low + c - 1``. Likelihoods are in nats.

Differences from Coconet (Huang et al. 2017, "Counterpoint by convolution"): most convolutions run on quarter notes, not
sixteenths; held and repeated notes differ; key, meter and fermatas are seen; the rest is no pitch but read off the step
as a whole; masks of whole frames, stretches and voices are trained beside masks of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, begins
from mididdsp.notes.keys import PROFILE, SHIFTS, Key
from mididdsp.random import keyed_generator

ONSET_UNKNOWN, HELD, BEGINS = 0, 1, 2
"""What the network sees of a cell's onset."""

FERMATA_UNKNOWN, NO_FERMATA, FERMATA = 0, 1, 2
"""What the network sees of a step's fermata."""

KEY_UNKNOWN = 0
"""What the network sees of the key; the others are those of ``key_class``."""

_PITCH_DILATIONS = (1, 4, 1, 12)
"""Of the convolutions over pitch, in turn: steps and chords of seconds, thirds, octaves."""

_POSITIONS = 32
"""Positions in the bar and bar lengths that are told apart; 2/2 of sixteenths is 16, the rest is for long meters."""

_TURNS = 8
"""How many views of a piece ``surprise`` takes; each hides every so many-th quarter note."""

_KEPT_FLOATS = 6_000_000
"""Just below the largest block, 32 MB, that the GNU C library learns from."""

_SETTLED = 0.7
"""Share of the sampling passes after which the share of redrawn cells stays at its lowest (Coconet's schedule)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorConfig:
    """Size of the network, and what its classes mean; saved with the weights.

    Attributes:
        voices: of the grids it was made for.
        low: MIDI number of the lowest pitch.
        high: MIDI number of the highest pitch.
        channels: width on sixteenths, eighths, quarters (and so on).
        blocks: convolutions on each; all but the last are passed twice, down and up.
        dropout: share, in training.
    """

    voices: int = 4
    low: int = 36
    high: int = 84
    channels: tuple[int, ...] = (24, 48, 80)
    blocks: tuple[int, ...] = (1, 1, 8)
    dropout: float = 0.05

    @property
    def classes(self) -> int:
        """Pitches and the rest."""
        return self.high - self.low + 2


def prior_config(model: Mapping[str, Any]) -> PriorConfig:
    """The configuration that a card or a recipe describes."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, Sequence) else value for name, value in model.items()
    }
    return PriorConfig(**values)


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
        key: [N]; ``KEY_UNKNOWN`` or a ``key_class``.
    """

    pitch: Tensor
    known: Tensor
    onset: Tensor
    position: Tensor
    bar: Tensor
    fermata: Tensor
    inside: Tensor
    key: Tensor


def key_class(key: Key | None) -> int:
    """What the network sees of a key: ``KEY_UNKNOWN``, 1 to 12 for major, 13 to 24 for minor."""
    if key is None:
        return KEY_UNKNOWN
    return 1 + SHIFTS.index(key.shift) + (len(SHIFTS) if key.mode == "minor" else 0)


def pitch_classes(pitch: NDArray[np.int16], config: PriorConfig) -> NDArray[np.int64]:
    """Class of each pitch; those outside the model's range go to its nearest pitch."""
    sounding = np.clip(pitch.astype(np.int64) - config.low + 1, 1, config.classes - 1)
    return np.where(pitch == REST, 0, sounding)


class _Block(nn.Module):
    """A convolution over time and pitch, added to what came in; [N, C, T, P].

    What the step as a whole shows, the mean over its pitches, is added everywhere: chords span more than a kernel.
    """

    def __init__(self, channels: int, dilation: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.over = nn.Conv2d(channels, channels, 3, dilation=dilation, padding=dilation)
        self.whole = nn.Linear(channels, channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(x))
        step = self.whole(y.mean(-1).transpose(1, 2)).transpose(1, 2)
        z: Tensor = self.dropout(self.over(y) + step[..., None])
        return x + z


class NoteNet(nn.Module):
    """Distributions of all cells given the known ones.

    Convolutions over time and pitch, as in Coconet, so that what is learnt at one pitch holds at all. Most of them run
    on the quarter notes, where harmony lives: two levels of halved time lead there and back, aligned with the bar. What
    a pitch is in its key comes from the key where that is given, else from the one that the known pitches fit best.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        voices, widths = config.voices, config.channels
        pitches = config.classes - 1
        self.enter = nn.Conv2d(6 * voices + 1, widths[0], 3, padding=1)
        self.degree = nn.Embedding(12, widths[0])
        self.height = nn.Embedding(pitches, widths[0])
        self.position = nn.ModuleList(nn.Embedding(_POSITIONS, width) for width in widths)
        self.bar = nn.ModuleList(nn.Embedding(_POSITIONS + 1, width) for width in widths)
        self.fermata = nn.ModuleList(nn.Embedding(3, width) for width in widths)
        self.mode = nn.ModuleList(nn.Embedding(3, width) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(2 * a, b, 1) for a, b in zip(widths, widths[1:]))
        self.up = nn.ModuleList(nn.Conv2d(b, 2 * a, 1) for a, b in zip(widths, widths[1:]))

        def stack(level: int, count: int) -> nn.Sequential:
            dilations = [(1, _PITCH_DILATIONS[number % len(_PITCH_DILATIONS)]) for number in range(count)]
            return nn.Sequential(*(_Block(widths[level], dilation, config.dropout) for dilation in dilations))

        self.descent = nn.ModuleList(stack(level, config.blocks[level]) for level in range(len(widths)))
        self.ascent = nn.ModuleList(stack(level, config.blocks[level]) for level in range(len(widths) - 1))
        self.norm = nn.BatchNorm2d(widths[0])
        self.leave = nn.Conv2d(widths[0], 2 * voices, 1)
        self.whole = nn.Linear(widths[0], 2 * voices)

    @property
    def grain(self) -> int:
        """Steps of what the network sees come in multiples of this, from one that begins a quarter note."""
        return int(2 ** (len(self.config.channels) - 1))

    @property
    def reach(self) -> int:
        """Steps to each side that an output may depend on, in whole grains; apart from the key that is heard."""
        blocks = self.config.blocks
        last = len(blocks) - 1
        steps = 1 + sum((1 if level == last else 2) * count * 2**level for level, count in enumerate(blocks))
        return int(-(-steps // self.grain) * self.grain)

    def forward(self, batch: GridBatch, tonic: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of the pitch classes [N, V, T, classes] and of an onset [N, V, T].

        Args:
            batch: what is seen.
            tonic: what ``tonics`` gives for the whole of which ``batch`` is a part; [N].
        """
        config = self.config
        pitches = config.classes - 1
        known = batch.known & batch.inside[:, None]
        sounding = known & (batch.pitch > 0)
        picture = functional.one_hot(torch.where(sounding, batch.pitch, 0), config.classes)[..., 1:].float()
        flags = (
            (~known & batch.inside[:, None]).float(), (known & (batch.pitch == 0)).float(),
            (batch.onset == BEGINS).float(), (batch.onset == HELD).float(),
        )
        planes = [
            picture, picture * flags[2][..., None],
            *(flag[..., None].expand(-1, -1, -1, pitches) for flag in flags),
            (~batch.inside).float()[:, None, :, None].expand(-1, 1, -1, pitches),
        ]
        row = torch.arange(pitches, device=batch.pitch.device)
        tonic = self.tonics(batch) if tonic is None else tonic
        degree = self.degree((row + config.low - tonic[:, None]) % 12) + self.height(row)  # [N, P, C]
        x = self.enter(torch.cat(planes, dim=1))
        x = x + degree.permute(0, 2, 1)[:, :, None].to(x.dtype)
        mode = torch.where(batch.key == KEY_UNKNOWN, 0, 1 + (batch.key > len(SHIFTS)).long())
        skips = []
        for level, stack in enumerate(self.descent):
            every = 2**level
            step = self.position[level](batch.position[:, ::every].clamp(max=_POSITIONS - 1))
            step = step + self.bar[level](batch.bar[:, ::every].clamp(max=_POSITIONS))
            step = step + self.fermata[level](batch.fermata[:, ::every]) + self.mode[level](mode)[:, None]
            x = stack(x + step.transpose(1, 2)[..., None].to(x.dtype))
            if level < len(self.down):
                skips.append(x)
                number, width, steps, _ = x.shape
                halves = x.reshape(number, width, steps // 2, 2, pitches).transpose(2, 3)
                x = self.down[level](halves.reshape(number, 2 * width, steps // 2, pitches))
        for level in reversed(range(len(self.up))):
            y = self.up[level](x)
            number, double, steps, _ = y.shape
            y = y.reshape(number, double // 2, 2, steps, pitches).transpose(2, 3)
            x = self.ascent[level](skips[level] + y.reshape(number, double // 2, 2 * steps, pitches))
        x = functional.relu(self.norm(x))
        maps = self.leave(x)
        whole = self.whole(x.mean(-1).transpose(1, 2)).transpose(1, 2)[..., None]  # [N, 2 V, T, 1]
        voices = config.voices
        pitch = torch.cat([whole[:, :voices], maps[:, :voices]], dim=-1)
        own = (maps[:, voices:] * picture).sum(-1)
        return pitch, whole[:, voices:, :, 0] + own

    def tonics(self, batch: GridBatch) -> Tensor:
        """Tonic of the major key with the signature of each piece, semitones from C; [N]."""
        heard = (batch.known & (batch.pitch > 0) & batch.inside[:, None]).flatten(1)
        tones = ((batch.pitch + self.config.low - 1) % 12).flatten(1)
        # In double precision sums of up to millions of logarithms come out the same in any batch.
        counts = torch.zeros(len(heard), 12, dtype=torch.float64, device=heard.device)
        counts.scatter_add_(1, tones, heard.double())
        profile = torch.tensor(PROFILE, dtype=torch.float64, device=heard.device).log()
        rolled = torch.stack([profile.roll(shift) for shift in SHIFTS], dim=1)
        # Where the pitches do not tell, the key closest to C.
        nearest = torch.tensor([-1e-6 * abs(shift) for shift in SHIFTS], dtype=torch.float64, device=heard.device)
        guessed = (counts @ rolled + nearest).argmax(1)
        return torch.where(batch.key == KEY_UNKNOWN, guessed, (batch.key - 1) % len(SHIFTS)) + SHIFTS[0]


def framewise_nll(
    distributions: Callable[[Tensor, Tensor, Tensor], Tensor],
    truth: Tensor,
    *,
    seed: int = 0,
    orderings: int = 5,
    frames: int | None = None,
) -> NDArray[np.float64]:
    """Negative log-likelihood of each frame's pitches in nats, with the frames taken in random orders.

    The protocol of Huang et al. 2017 as it is quoted since: a frame is predicted from the true notes of the frames
    before it in the order; its voices come in random order, each seeing the model's own likeliest notes of the voices
    before it; the orderings are averaged in probability.

    Args:
        distributions: log-probabilities [n, V, classes] at frame ``rated`` [n] of each row, from classes [n, V, T] and
            which of them are known, bool [n, V, T].
        truth: classes, [V, T].
        seed: of the orderings.
        orderings: how many, at least 1.
        frames: rate this many randomly chosen frames instead of all (the mean is the same in expectation).

    Returns:
        Shape (frames,).
    """
    voices, steps = truth.shape
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
                here = distributions(pitch, seen, rated)[row, voice]
                log_p[ordering, begin : begin + count] += here[row, truth[voice, rated]]
                pitch[row, voice, rated] = here.argmax(-1)
                seen[row, voice, rated] = True
    return np.asarray(-(torch.logsumexp(log_p, 0) - np.log(orderings)).numpy())


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
        config = prior_config(card["model"])
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
        model = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.config).items()
        }
        return dict(self.net.state_dict()), model

    @torch.inference_mode()
    def sample(
        self,
        given: NoteGrid,
        known: NDArray[np.bool_],
        *,
        seed: int,
        temperature: float = 1.0,
        passes: int = 96,
        method: str = "gibbs",
        ranges: Sequence[tuple[int, int]] | None = None,
        know_fermatas: bool = False,
        key: Key | None = None,
        bias: NDArray[np.floating[Any]] | None = None,
        tied: NDArray[np.integer[Any]] | None = None,
        absent: Sequence[int] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> NoteGrid:
        """Fill the cells that are not known; the known ones, their onsets included, come back as they were.

        With ``gibbs`` all open cells are drawn at once, then again in ever smaller random shares, each time from what
        stands in the others (annealed blocked Gibbs sampling); with ``unmask`` each cell is drawn once, in random
        order, from those drawn before it. Then the onsets of repeated notes are drawn.

        Args:
            given: meter, fermatas and the known cells; what stands in the others is not looked at.
            known: bool [V, T].
            seed: of the draws; the same call with the same seed gives the same notes.
            temperature: above 0; below 1 the likelier, above 1 the more surprising. 0 takes the likeliest of each cell.
            passes: of the network, at least 1.
            method: ``gibbs`` or ``unmask``.
            ranges: lowest and highest MIDI number of each voice for what is drawn; by default all pitches of the model.
            know_fermatas: the fermatas of ``given`` are meant; else phrases may end anywhere.
            key: of the piece; by default it is heard from what is known so far.
            bias: added to the log-likelihood of each class, [V, T, classes]; minus infinity forbids.
            tied: [V, T]; open cells of a voice with the same number from 0 on get one pitch, and the onsets of
                ``given``: the rhythm is given, the pitch is not. -1 elsewhere.
            absent: voices that stay silent: nothing is drawn or known of them.
            progress: called with passes done and passes in all.

        Raises:
            ValueError: voices, shapes, ranges or pitches that this model does not have.
        """
        # A large block given back once makes the C library keep memory of that size: the passes take and give back
        # megabytes hundreds of times, and getting them from the system each time cost a quarter of the whole.
        torch.empty(_KEPT_FLOATS)
        known = known.copy()
        self._check(given, known, temperature, passes)
        if method not in ("gibbs", "unmask"):
            raise ValueError(f"the method is {method!r}; choose gibbs or unmask")
        there = np.ones_like(known)
        there[list(absent)] = False
        allowed = self._allowed(given, known, ranges, bias, tied)
        batch = self._batch(given, known & there, know_fermatas, key)
        drawn = batch.pitch.clone()
        leader = torch.from_numpy(_leaders(known, tied))
        open_cells = torch.from_numpy(~known & there)[None]
        schedule = _Schedule(method, passes if bool(open_cells.any()) else 0, seed, leader, open_cells)
        for number in range(schedule.passes):
            hidden, redrawn = schedule.masks(number)
            logits, _ = self._logits(_replace(batch, pitch=drawn, known=~hidden & torch.from_numpy(there)[None]))
            scores = _shared(logits + allowed, leader)
            noise = schedule.noise(number, self.config.classes)
            drawn = torch.where(redrawn, _choose(scores, temperature, noise), drawn)
            if progress is not None:
                progress(number + 1, schedule.passes)
        pitch = np.where(there, self._pitches(drawn[0].numpy()), REST).astype(np.int16)
        onset = self._sample_onsets(given, known, pitch, batch, drawn, seed, temperature)
        if tied is not None:
            onset = np.where(tied >= 0, given.onset & (pitch != REST), onset)
        onset = onset & there | begins(pitch)
        return NoteGrid(pitch=pitch, onset=onset, position=given.position, bar=given.bar, fermata=given.fermata)

    @torch.inference_mode()
    def predict(
        self, grid: NoteGrid, known: NDArray[np.bool_], *, know_fermatas: bool = False, key: Key | None = None
    ) -> NDArray[np.float64]:
        """Log-probabilities of the classes of every cell from the known ones, [V, T, classes].

        What stands in the cells that are not known is not looked at.
        """
        self._check(grid, known, 1.0, 1)
        logits, _ = self._logits(self._batch(grid, known, know_fermatas, key))
        return np.asarray(torch.log_softmax(logits[0].double(), -1).numpy())

    @torch.inference_mode()
    def surprise(self, grid: NoteGrid, *, key: Key | None = None, absent: Sequence[int] = ()) -> float:
        """How unlikely the notes are, in nats per sixteenth of all voices: 0 is certain, Bach's chorales lie near 3.4.

        Each quarter note is predicted from all but every eighth quarter, itself among those left out.

        Args:
            grid: within the model's pitches.
            key: of the piece; by default it is heard.
            absent: voices that are not there.
        """
        there = np.ones(grid.pitch.shape, bool)
        there[list(absent)] = False
        if not grid.steps or not there.any():
            return 0.0
        base = self._batch(grid, there, False, key)
        turn = torch.arange(grid.steps) // STEPS_PER_QUARTER % _TURNS
        hidden = (turn == torch.arange(_TURNS)[:, None])[:, None]
        seen = base.known & ~hidden
        # Onsets tell where pitches change, so that those of hidden cells are hidden too.
        shown = torch.where(seen, base.onset, ONSET_UNKNOWN)
        logits, _ = self._logits(_repeat(base, base.pitch.expand(_TURNS, -1, -1), seen, onset=shown, key=base.key))
        log_p = torch.log_softmax(logits.double(), -1).gather(-1, base.pitch.expand(_TURNS, -1, -1)[..., None])[..., 0]
        return -float(log_p[hidden & base.known].sum()) / grid.steps

    def _logits(self, batch: GridBatch) -> tuple[Tensor, Tensor]:
        """The network's logits on the CPU, wherever it runs; filled up to whole quarter notes on the way."""
        place = next((value.device for value in self.net.parameters()), torch.device("cpu"))
        steps = batch.pitch.shape[-1]
        filled, front = self._filled(batch)
        pitch, onset = self.net(GridBatch(**{one.name: getattr(filled, one.name).to(place) for one in fields(filled)}))
        return pitch[:, :, front : front + steps].cpu(), onset[:, :, front : front + steps].cpu()

    def _filled(self, batch: GridBatch) -> tuple[GridBatch, int]:
        """The batch filled up to whole grains, with the number of steps put in front."""
        front = int(batch.position[0, 0]) % self.net.grain
        back = -(front + batch.pitch.shape[-1]) % self.net.grain
        filled = {
            one.name: value if one.name == "key" else functional.pad(value, (front, back))
            for one in fields(batch)
            for value in (getattr(batch, one.name),)
        }
        return GridBatch(**filled), front

    @torch.inference_mode()
    def framewise_nll(
        self, grid: NoteGrid, *, seed: int = 0, orderings: int = 5, frames: int | None = None
    ) -> NDArray[np.float64]:
        """Negative log-likelihood of each frame's pitches in nats, with the frames taken in random orders.

        Onsets, fermatas and the key are not shown; the protocol is that of the function ``framewise_nll``.

        Args:
            grid: within the model's pitches.
            seed: of the orderings.
            orderings: how many, at least 1.
            frames: rate this many randomly chosen frames instead of all (the mean is the same in expectation).

        Returns:
            Shape (frames,).
        """
        known = np.ones(grid.pitch.shape, bool)
        self._check(grid, known, 1.0, 1)
        base = self._batch(grid, known, False)
        place = next((value.device for value in self.net.parameters()), torch.device("cpu"))

        def distributions(pitch: Tensor, seen: Tensor, rated: Tensor) -> Tensor:
            # Only what the network can see of a frame is computed.
            whole, front = self._filled(_repeat(base, pitch, seen))
            grain, reach, total = self.net.grain, self.net.reach, whole.pitch.shape[-1]
            length = min(total, 2 * reach + grain)
            start = ((rated + front) // grain * grain - reach).clamp(0, total - length)
            window = start[:, None] + torch.arange(length)
            parts = {
                one.name: value if one.name == "key" else value.gather(-1, _like(window, value)).to(place)
                for one in fields(whole)
                for value in (getattr(whole, one.name),)
            }
            logits, _ = self.net(GridBatch(**parts), self.net.tonics(whole).to(place))
            return torch.log_softmax(logits[torch.arange(len(rated)), :, rated + front - start].cpu().double(), -1)

        return framewise_nll(distributions, base.pitch[0], seed=seed, orderings=orderings, frames=frames)

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

    def _batch(
        self, grid: NoteGrid, known: NDArray[np.bool_], know_fermatas: bool, key: Key | None = None
    ) -> GridBatch:
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
            key=torch.full((1,), key_class(key)),
        )

    def _allowed(
        self,
        given: NoteGrid,
        known: NDArray[np.bool_],
        ranges: Sequence[tuple[int, int]] | None,
        bias: NDArray[np.floating[Any]] | None,
        tied: NDArray[np.integer[Any]] | None,
    ) -> Tensor:
        """What is added to the log-likelihood of the classes, [V, T, classes]; minus infinity where one may not be.

        Some class may always be drawn.
        """
        config = self.config
        numbers = np.arange(config.classes) + config.low - 1
        shape = (config.voices, given.steps, config.classes)
        added = np.zeros(shape)
        if bias is not None:
            if bias.shape != shape:
                raise ValueError(f"bias has shape {bias.shape}; it must be (voices, steps, classes), {shape}")
            added = added + bias
        if tied is not None:
            if tied.shape != known.shape:
                raise ValueError(f"tied has shape {tied.shape}; give a number for each cell, -1 for none")
            added[..., 0] = np.where(tied >= 0, -np.inf, added[..., 0])
        if ranges is not None:
            if len(ranges) != config.voices:
                raise ValueError(f"{len(ranges)} ranges for {config.voices} voices; give one a voice")
            for voice, (low, high) in enumerate(ranges):
                outside = (numbers < low) | (numbers > high)
                outside[0] = True
                if outside.all():
                    raise ValueError(f"the range {low} to {high} of voice {voice} has no pitch that this prior knows")
                outside[0] = False  # the rest
                added[voice][:, outside] = -np.inf
        # Where wishes leave nothing, the rest remains; of a note whose rhythm is given, its range.
        nothing = np.isneginf(added).all(-1)
        added[..., 0] = np.where(nothing, 0.0, added[..., 0])
        # A known note that is held into a known cell began before it: the open cell in front can only be that note.
        held = known & ~given.onset & (given.pitch != REST)
        front = held[:, 1:] & ~known[:, :-1]
        only = pitch_classes(given.pitch[:, 1:], config)[..., None] == np.arange(config.classes)
        added[:, :-1] = np.where(front[..., None], np.where(only, 0.0, -np.inf), added[:, :-1])
        return torch.from_numpy(added)[None]

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
        _, logits = self._logits(_replace(batch, pitch=drawn, known=torch.ones_like(batch.known)))
        random = keyed_generator(seed, "notes", "onsets")
        chance = random.logistic(size=known.shape)
        struck = logits[0].double().numpy() + temperature * chance > 0
        onset = np.where(known, given.onset, certain | (struck & (pitch != REST)))
        return np.asarray(onset, dtype=np.bool_)


class _Schedule:
    """Which cells are hidden and which are redrawn in each pass, and the noise of the draw."""

    def __init__(self, method: str, passes: int, seed: int, leader: Tensor, open_cells: Tensor) -> None:
        self._method = method
        self._seed = seed
        self._leader = leader
        self._open = open_cells
        self.passes = passes
        if method == "unmask":
            order = keyed_generator(seed, "notes", "order").random(leader.shape)
            shared = torch.from_numpy(order).gather(1, leader)[None]
            ranks = torch.where(open_cells, shared, torch.inf).flatten().argsort().argsort().reshape(open_cells.shape)
            count = max(1, int(open_cells.sum()))
            # Of tied cells the last decides, so that they are drawn together.
            share = (ranks.double() / count).clamp(max=1.0)
            own = torch.zeros_like(share).scatter_reduce(2, leader[None], share, "amax").gather(2, leader[None])
            # Slowly at first, when little is known of what the piece will be.
            self._turn = (own.sqrt() * passes).long().clamp(max=max(0, passes - 1))

    def masks(self, number: int) -> tuple[Tensor, Tensor]:
        """Hidden and redrawn cells of a pass, bool [1, V, T]."""
        if self._method == "unmask":
            return self._open & (self._turn >= number), self._open & (self._turn == number)
        share = 0.9 - 0.8 * min(1.0, number / max(1.0, _SETTLED * self.passes))
        random = keyed_generator(self._seed, "notes", "pass", str(number)).random(self._leader.shape)
        chosen = torch.from_numpy((random < share) | (number == 0)).gather(1, self._leader)[None]
        return self._open & chosen, self._open & chosen

    def noise(self, number: int, classes: int) -> Tensor:
        """Gumbel noise of a pass, the same in all cells that are tied; [1, V, T, classes]."""
        random = keyed_generator(self._seed, "notes", "noise", str(number))
        noise = torch.from_numpy(random.gumbel(size=(*self._leader.shape, classes)))
        return noise.gather(1, self._leader[..., None].expand(-1, -1, classes))[None]


def _leaders(known: NDArray[np.bool_], tied: NDArray[np.integer[Any]] | None) -> NDArray[np.int64]:
    """For each cell the step of the first cell it shares its pitch with; its own where it is drawn alone."""
    leader = np.broadcast_to(np.arange(known.shape[1]), known.shape).copy()
    if tied is not None:
        for voice, step in np.argwhere((tied >= 0) & ~known):
            same = np.flatnonzero((tied[voice] == tied[voice, step]) & ~known[voice])
            leader[voice, step] = same[0]
    return leader


def _shared(scores: Tensor, leader: Tensor) -> Tensor:
    """The mean over tied cells, in each of them."""
    if bool((leader == torch.arange(leader.shape[1])).all()):
        return scores
    index = leader[None, :, :, None].expand_as(scores)
    # The mean and not the sum: cells of one note say the same thing, not independent things.
    sums = torch.zeros_like(scores).scatter_reduce(2, index, scores, "mean", include_self=False)
    return sums.gather(2, index)


def _choose(scores: Tensor, temperature: float, noise: Tensor) -> Tensor:
    """A draw from softmax(scores / temperature) by the Gumbel trick; the likeliest at temperature 0."""
    return (scores.double() + temperature * noise).argmax(-1)


def _replace(batch: GridBatch, *, pitch: Tensor, known: Tensor) -> GridBatch:
    return GridBatch(
        pitch=pitch, known=known, onset=batch.onset, position=batch.position, bar=batch.bar, fermata=batch.fermata,
        inside=batch.inside, key=batch.key,
    )


def _like(window: Tensor, value: Tensor) -> Tensor:
    """Steps [N, W] as an index for a value [N, T] or [N, V, T]."""
    return window if value.ndim == 2 else window[:, None].expand(-1, value.shape[1], -1)


def _repeat(
    batch: GridBatch, pitch: Tensor, known: Tensor, *, onset: Tensor | None = None, key: Tensor | None = None
) -> GridBatch:
    """Many views of one piece, without fermatas; by default without onsets and key."""
    count = len(pitch)
    return GridBatch(
        pitch=pitch, known=known, onset=torch.zeros_like(pitch) if onset is None else onset,
        position=batch.position.expand(count, -1), bar=batch.bar.expand(count, -1),
        fermata=torch.zeros_like(batch.fermata).expand(count, -1), inside=batch.inside.expand(count, -1),
        key=torch.full((count,), KEY_UNKNOWN) if key is None else key.expand(count),
    )
