"""The baseline of the prior over notes: a Coconet of 170,000 parameters, trained on the same chorales.

    python -m bench.coconet DATA OUT [--steps 10000] [--split tune|published] [--start FILE]

Coconet (Huang et al. 2017, "Counterpoint by convolution") sees the voices as channels of a picture of time and pitch:
twenty convolutions of 3 x 3 with 32 channels, batch normalisation, a skip over every two. Masks are its own: any number
of cells open, all as likely; the loss is the mean over the open cells of a piece.

Differences from the paper: the rest is a row of its own, below the pitches; pieces are cropped to 64 sixteenths;
training runs in bfloat16.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mididdsp.data.chorales import SPLITTINGS, load_chorales, published_split
from mididdsp.files import atomic_path
from mididdsp.notes.generator import framewise_nll
from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, begins
from mididdsp.training.loop import LoopSettings, train

LOW, HIGH = 36, 81
"""Range of the chorales, as they are written."""

ROWS = HIGH - LOW + 2
VOICES = 4
CHANNELS, LAYERS = 32, 20
CROP, BATCH = 64, 16
LEARNING_RATE = 2e-3
TURNS = 8
"""Views of a piece that ``surprise`` takes, as ours does."""
WEIGHTS_FILE = "coconet.safetensors"


def rows(pitch: NDArray[np.int16]) -> NDArray[np.int64]:
    """Row of the picture for each pitch; 0 is the rest."""
    return np.where(pitch == REST, 0, np.clip(pitch.astype(np.int64) - LOW + 1, 1, ROWS - 1))


class Coconet(nn.Module):
    """Logits [N, V, T, rows] from rows [N, V, T] and known cells, bool [N, V, T]."""

    def __init__(self, channels: int = CHANNELS, layers: int = LAYERS) -> None:
        super().__init__()
        widths = [2 * VOICES, *[channels] * (layers - 1), VOICES]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:-1])
        self.reach = layers

    def forward(self, row: Tensor, known: Tensor) -> Tensor:
        picture = functional.one_hot(row, ROWS).float() * known[..., None]
        hidden = (~known)[..., None].float().expand_as(picture)
        x = torch.cat([picture, hidden], dim=1)
        skipped = x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            x = norm(convolution(x))
            if number % 2 == 0 and number:
                x = x + skipped
            x = functional.relu(x)
            if number % 2 == 0:
                skipped = x
        last: Tensor = self.convolutions[-1](x)
        return last


def crops(grids: Sequence[NoteGrid], random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, known cells and cells of the piece, each [BATCH, V, CROP]."""
    row = np.zeros((BATCH, VOICES, CROP), np.int64)
    known, inside = np.ones(row.shape, bool), np.zeros(row.shape, bool)
    weights = np.array([grid.steps for grid in grids], np.float64)
    for number, chosen in enumerate(random.choice(len(grids), BATCH, p=weights / weights.sum())):
        grid = grids[chosen]
        start = int(random.integers(max(1, grid.steps - CROP + 1)))
        notes = rows(grid.pitch[:, start : start + CROP])
        count = notes.shape[1]
        row[number, :, :count], inside[number, :, :count] = notes, True
        opened = random.permutation(VOICES * count)[: random.integers(1, VOICES * count + 1)]
        cells = np.ones(VOICES * count, bool)
        cells[opened] = False
        known[number, :, :count] = cells.reshape(VOICES, count)
    return torch.from_numpy(row), torch.from_numpy(known), torch.from_numpy(inside)


def loss(net: nn.Module, row: Tensor, known: Tensor, inside: Tensor, *, half: bool) -> Tensor:
    """Nats per open cell, each piece counting the same."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = net(row, known).float()
    each = functional.cross_entropy(logits.flatten(0, 2), row.flatten(), reduction="none").reshape(row.shape)
    rated = ~known & inside
    return (torch.where(rated, each, 0.0).flatten(1).sum(1) / rated.flatten(1).sum(1)).mean()


def settings(steps: int) -> LoopSettings:
    """As ``configs/notes`` trains ours, so that nothing but the network differs."""
    return LoopSettings(
        steps=steps, learning_rate=LEARNING_RATE, warmup_steps=50, final_rate=0.02, ema=0.998, validate_every=250,
        keep="best", log_every=50,
    )


def fit(data: Path, out: Path, steps: int, split: str = "tune", start: Path | None = None) -> None:
    """Train, or go on where the run in the folder ``out`` stopped; it gets the kept weights (``WEIGHTS_FILE``).

    With ``start`` it is a further stage from weights of an earlier one, with crops of its own: ours has stages too.
    """
    import safetensors.torch

    chorales = load_chorales(data)
    if split == "published":
        chorales = published_split(chorales)
    of = {split: [one.grid for one in chorales if one.split == split] for split in ("train", "valid")}
    torch.manual_seed(0)
    net = Coconet()
    if start is not None:
        net.load_state_dict(safetensors.torch.load_file(start))
    stage = 0 if start is None else 3

    def batch_at(step: int) -> tuple[Tensor, Tensor, Tensor]:
        return crops(of["train"], np.random.default_rng([stage, step]))

    def terms(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        return {"loss": loss(model, *batch, half=True)}

    def validate(model: nn.Module) -> dict[str, float]:
        batches = [crops(of["valid"], np.random.default_rng([1, number])) for number in range(8)]
        return {"loss": float(np.mean([float(loss(model, *batch, half=False)) for batch in batches]))}

    result = train(net, batch_at, terms, settings(steps), out, validate=validate, recipe={"train": len(of["train"])})
    about = {"step": result.valid_step, "valid": result.valid["loss"], "minutes": round(result.seconds / 60.0, 1)}
    with atomic_path(out / WEIGHTS_FILE) as partial:
        partial.write_bytes(safetensors.torch.save(net.state_dict(), metadata={"about": json.dumps(about)}))
    print(f"kept step {about['step']} of {steps}: valid {about['valid']:.4f}, {about['minutes']} minutes")


def load(file: Path) -> Coconet:
    """The net of a file that ``fit`` wrote, in evaluation mode."""
    import safetensors.torch

    net = Coconet()
    net.load_state_dict(safetensors.torch.load_file(file))
    return net.eval()


@torch.inference_mode()
def nll(
    net: Coconet, grid: NoteGrid, *, orderings: int, frames: int | None, seed: int = 0
) -> NDArray[np.float64]:
    """Framewise negative log-likelihood, as ``NotePrior.framewise_nll``.

    Only what the net can see of a frame is computed: ``reach`` steps to each side.
    """
    side, steps = net.reach, grid.steps

    def distributions(row: Tensor, known: Tensor, rated: Tensor) -> Tensor:
        start = (rated - side).clamp(0, max(0, steps - 2 * side - 1))
        window = (start[:, None] + torch.arange(min(steps, 2 * side + 1)))[:, None].expand(-1, VOICES, -1)
        logits = net(row.gather(2, window), known.gather(2, window))
        return torch.log_softmax(logits[torch.arange(len(rated)), :, rated - start].double(), -1)

    return framewise_nll(
        distributions, torch.from_numpy(rows(grid.pitch)), seed=seed, orderings=orderings, frames=frames
    )


@torch.inference_mode()
def surprise(net: Coconet, grid: NoteGrid) -> float:
    """How unlikely the notes are to the net, in nats per sixteenth, as ``NotePrior.surprise`` measures it."""
    truth = torch.from_numpy(rows(grid.pitch))[None].expand(TURNS, -1, -1)
    turn = torch.arange(grid.steps) // STEPS_PER_QUARTER % TURNS
    hidden = (turn == torch.arange(TURNS)[:, None])[:, None].expand_as(truth)
    log_p = torch.log_softmax(net(truth, ~hidden).double(), -1).gather(-1, truth[..., None])[..., 0]
    return -float(log_p[hidden].sum()) / grid.steps


@torch.inference_mode()
def harmonised(net: Coconet, grid: NoteGrid, *, passes: int, seed: int) -> NoteGrid:
    """The soprano of a grid with lower voices by annealed blocked Gibbs sampling, at temperature 1, without rests.

    The share of cells drawn anew falls from .9 to .1 over the first 70 % of the passes, as in the paper and in ours.
    """
    random = np.random.default_rng([2, seed])
    row = torch.from_numpy(rows(grid.pitch))[None].clone()
    row[:, 1:] = 1
    for number in range(passes):
        share = 0.9 - 0.8 * min(1.0, number / (0.7 * passes))
        known = torch.from_numpy(random.random((1, VOICES, grid.steps)) >= (1.0 if number == 0 else share))
        known[:, 0] = True
        scores = net(row, known).double()
        scores[..., 0] = -torch.inf
        drawn = (scores + torch.from_numpy(random.gumbel(size=scores.shape))).argmax(-1)
        row = torch.where(known, row, drawn)
    pitch = grid.pitch.copy()
    pitch[1:] = (row[0, 1:].numpy() - 1 + LOW).astype(np.int16)
    return replace(grid, pitch=pitch, onset=grid.onset & (pitch == grid.pitch) | begins(pitch))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with chorales.npz")
    parser.add_argument("out", type=Path, help="folder of the run, continued where there is one already")
    parser.add_argument("--steps", type=int, default=10_000, help="40 minutes of one core by default, as ours had")
    parser.add_argument("--split", choices=SPLITTINGS, default="tune")
    parser.add_argument("--start", type=Path, help="weights of an earlier stage; from nothing by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fit(arguments.data, arguments.out, arguments.steps, arguments.split, arguments.start)


if __name__ == "__main__":
    main()
