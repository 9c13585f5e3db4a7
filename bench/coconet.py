"""The baseline of the prior over notes: a Coconet of 170,000 parameters, trained on the same chorales.

    python -m bench.coconet DATA OUT [--minutes 8]

Coconet (Huang et al. 2017, "Counterpoint by convolution") sees the voices as channels of a picture of time and pitch:
twenty convolutions of 3 x 3 with 32 channels, batch normalisation, a skip over every two. Masks are its own: any number
of cells open, all as likely; the loss is the mean over the open cells of a piece.

Differences from the paper: the rest is a row of its own, below the pitches; pieces are cropped to 64 sixteenths;
training runs in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mididdsp.data.chorales import VOICES, load_chorales
from mididdsp.files import atomic_path
from mididdsp.notes.generator import framewise_nll
from mididdsp.notes.grid import REST, NoteGrid

LOW, HIGH = 36, 81
"""Range of the chorales, as they are written."""

ROWS = HIGH - LOW + 2
CHANNELS, LAYERS = 32, 20
CROP, BATCH = 64, 16
LEARNING_RATE = 2e-3


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


def loss(net: Coconet, row: Tensor, known: Tensor, inside: Tensor, *, half: bool) -> Tensor:
    """Nats per open cell, each piece counting the same."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = net(row, known).float()
    each = functional.cross_entropy(logits.flatten(0, 2), row.flatten(), reduction="none").reshape(row.shape)
    rated = ~known & inside
    return (torch.where(rated, each, 0.0).flatten(1).sum(1) / rated.flatten(1).sum(1)).mean()


def fit(data: Path, out: Path, minutes: float) -> None:
    """Train for so many minutes of the processor; the weights with the lowest validation loss are kept in ``out``."""
    import safetensors.torch

    chorales = load_chorales(data)
    of = {split: [one.grid for one in chorales if one.split == split] for split in ("train", "valid")}
    torch.manual_seed(0)
    net = Coconet()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    mean = {name: value.clone() for name, value in net.state_dict().items()}
    began, best, step = time.process_time(), float("inf"), 0
    while (share := (time.process_time() - began) / (60.0 * minutes)) < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 50) * (0.01 + 0.495 * (1.0 + np.cos(np.pi * share)))
        net.train()
        value = loss(net, *crops(of["train"], np.random.default_rng([0, step])), half=True)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        weight = min(0.99, (1 + step) / (10 + step))
        for name, current in net.state_dict().items():
            if current.is_floating_point():
                mean[name].lerp_(current, 1.0 - weight)
        if step % 100 == 0 or time.process_time() - began >= 60.0 * minutes:
            judged = Coconet()
            judged.load_state_dict(mean)
            judged.eval()
            with torch.no_grad():
                batches = [crops(of["valid"], np.random.default_rng([1, number])) for number in range(8)]
                valid = float(np.mean([float(loss(judged, *batch, half=False)) for batch in batches]))
            minutes_gone = (time.process_time() - began) / 60.0
            loss_now = float(value.detach())
            print(f"step {step}  loss {loss_now:.4f}  valid {valid:.4f}  {minutes_gone:.1f} min", flush=True)
            if valid < best:
                best = valid
                about = {"step": step, "valid": valid, "minutes": round(minutes_gone, 1), "budget": minutes}
                with atomic_path(out) as partial:
                    partial.write_bytes(safetensors.torch.save(mean, metadata={"about": json.dumps(about)}))


def load(file: Path) -> Coconet:
    """The net of a file that ``fit`` wrote, in evaluation mode."""
    import safetensors.torch

    net = Coconet()
    net.load_state_dict(safetensors.torch.load_file(file))
    return net.eval()


@torch.inference_mode()
def nll(net: Coconet, grid: NoteGrid, *, orderings: int, frames: int | None) -> NDArray[np.float64]:
    """Framewise negative log-likelihood, as ``NotePrior.framewise_nll``.

    Only what the net can see of a frame is computed: ``reach`` steps to each side.
    """
    side, steps = net.reach, grid.steps

    def distributions(row: Tensor, known: Tensor, rated: Tensor) -> Tensor:
        start = (rated - side).clamp(0, max(0, steps - 2 * side - 1))
        window = (start[:, None] + torch.arange(min(steps, 2 * side + 1)))[:, None].expand(-1, VOICES, -1)
        logits = net(row.gather(2, window), known.gather(2, window))
        return torch.log_softmax(logits[torch.arange(len(rated)), :, rated - start].double(), -1)

    return framewise_nll(distributions, torch.from_numpy(rows(grid.pitch)), orderings=orderings, frames=frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with chorales.npz")
    parser.add_argument("out", type=Path, help="the weights, a .safetensors file")
    parser.add_argument("--minutes", type=float, default=8.0, help="of the processor: a shared clock would be unfair")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fit(arguments.data, arguments.out, arguments.minutes)


if __name__ == "__main__":
    main()
