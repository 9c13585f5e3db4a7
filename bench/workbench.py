"""What the benches of the sound share: their options, the notes they ask for, work on two cores, and tables.

A bench renders what players played, from the notes alone, and measures both sides alike. ``--split valid`` is for
development, ``--split test`` for the figures in the docs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads cost more than they gain
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from bench import clips, fluid
from bench.chain import Chain, ChainUnavailable

Array = NDArray[np.float64]
NoteTuple = tuple[float, float, float, int]
"""onset s, duration s, MIDI pitch with fractions, velocity."""
Item = TypeVar("Item")
Result = TypeVar("Result")

RATE = clips.SAMPLE_RATE
ROOT = Path(__file__).resolve().parent.parent
FAMILIES = tuple(dict.fromkeys(clips.FAMILIES.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a run of a bench stands on; small, so that it goes to every worker.

    Attributes:
        data: folder with ``split.csv`` and ``philharmonia/``.
        cache: folder for measured pitches.
        split: train, valid or test.
        expression, synthesis: checkpoints in place of the shipped ones.
        temperature, seed: of both generators.
    """

    data: Path
    cache: Path = clips.DEFAULT_CACHE
    split: str = "valid"
    expression: Path | None = None
    synthesis: Path | None = None
    temperature: float = 1.0
    seed: int = 0

    @property
    def library(self) -> clips.Library:
        """The recordings, read once a process."""
        return _library(self)

    @property
    def chain(self) -> Chain:
        """The trained levels, loaded once a process."""
        return _chain(self)


@lru_cache(maxsize=2)
def _library(setup: Setup) -> clips.Library:
    return clips.Library(setup.data, setup.cache)


@lru_cache(maxsize=8)  # of several seeds, those of one clip one after another
def _chain(setup: Setup) -> Chain:
    return Chain(setup.expression, setup.synthesis, temperature=setup.temperature, seed=setup.seed)


def parser_of(
    description: str | None, most: int | None = None, *, splits: Sequence[str] = ("valid", "test")
) -> argparse.ArgumentParser:
    """The options that every bench of the sound has; ``most`` recordings an instrument are what it does in its time."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data",
                        help="folder with split.csv, philharmonia/ and figures/ (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=clips.DEFAULT_CACHE,
                        help="folder for measured pitches (default: %(default)s)")
    parser.add_argument("--split", choices=splits, default="valid",
                        help="decisions are made on valid, figures given on test (default: %(default)s)")
    parser.add_argument("--expression", type=Path, help="checkpoint to use in place of the shipped one")
    parser.add_argument("--synthesis", type=Path, help="checkpoint to use in place of the shipped one")
    parser.add_argument("--temperature", type=float, default=1.0, help="of both generators (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: %(default)s)")
    parser.add_argument("--instruments", help="names with commas between (default: all)")
    parser.add_argument("--most", type=int, default=most,
                        help=f"recordings an instrument at most (default: {most or 'all'})")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    return parser


def instruments_of(options: argparse.Namespace) -> list[str]:
    """Names asked for, in the table's order.

    Raises:
        SystemExit: a name is unknown.
    """
    if options.instruments is None:
        return list(clips.FAMILIES)
    wanted = options.instruments.split(",")
    unknown = [name for name in wanted if name not in clips.FAMILIES]
    if unknown:
        raise SystemExit(f"--instruments: {', '.join(unknown)} is unknown; there are {', '.join(clips.FAMILIES)}")
    return [name for name in clips.FAMILIES if name in wanted]


def command(description: str | None, work: Callable[[Setup, argparse.Namespace], tuple[str, Mapping[str, Any]]],
            arguments: Sequence[str] | None = None, parser: argparse.ArgumentParser | None = None) -> int:
    """Run a bench: parse, measure, print its tables and write its figures.

    Args:
        description: the module's docstring.
        work: setup and options to (tables, figures).
        arguments: of the command line; None is the process's own.
        parser: with options beyond those that all share.

    Returns:
        0 done, 1 data or a model is missing.
    """
    options = (parser or parser_of(description)).parse_args(arguments)
    setup = Setup(data=options.data, cache=options.cache, split=options.split, expression=options.expression,
                  synthesis=options.synthesis, temperature=options.temperature, seed=options.seed)
    if fluid.missing():
        print(f"FluidSynth skipped: {fluid.missing()}", file=sys.stderr)
    started = time.perf_counter()
    try:
        text, figures = work(setup, options)
    except (ChainUnavailable, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(text)
    print(f"\n{options.split} split, {time.perf_counter() - started:.0f} s")
    if options.json is not None:
        save(options.json, figures)
    return 0


def over(work: Callable[[Setup, Item], Result], setup: Setup, items: Sequence[Item], workers: int) -> list[Result]:
    """``work(setup, item)`` for every item, in their order, in that many processes."""
    if workers <= 1 or len(items) < 2:
        return [work(setup, item) for item in items]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(work, [setup] * len(items), items, chunksize=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleNote:
    """A plain recorded note and what to ask a synthesizer for, so that it plays the same."""

    clip: clips.Clip
    note: NoteTuple


def _single_note(setup: Setup, clip: clips.Clip) -> SingleNote | None:
    library = setup.library
    sounding = library.pitch(clip)
    if sounding is None:
        return None
    onset, duration = clips.note_of(library.audio(clip), sounding)
    return SingleNote(clip=clip, note=(onset, duration, sounding, clip.velocity))


def single_notes(setup: Setup, instruments: Sequence[str], most: int | None, workers: int) -> list[SingleNote]:
    """The plain notes of the split, ``most`` an instrument evenly over pitch, as ``bench.single_notes`` takes them."""
    wanted: list[clips.Clip] = []
    for name in instruments:
        found = sorted(setup.library.select(split=setup.split, instrument=name, styles=clips.PLAIN_STYLES),
                       key=lambda clip: (clip.label, clip.file))
        wanted += clips.spread_evenly(found, most or len(found))
    return [case for case in over(_single_note, setup, wanted, workers) if case is not None]


def sampled(requests: Sequence[fluid.Request]) -> list[Array | None]:
    """FluidSynth's audio for each; None where it is not installed or has no samples."""
    if fluid.missing() or not requests:
        return [None] * len(requests)
    return [audio if np.abs(audio).max() > 1e-5 else None for audio in fluid.render(requests)]


def median(values: Sequence[float]) -> float:
    """Median of the finite ones; NaN without any."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def shown(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A figure for a table; n/a where there is none."""
    if value is None or not np.isfinite(value):
        return "n/a"
    return format(value, f"{'+' if signed else ''}.{digits}f")


def verdict(reached: bool | None) -> str:
    """The last column: pass, fail, or n/a where something is missing to say so."""
    return "n/a" if reached is None else "pass" if reached else "fail"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; the first is flush left, the others right."""
    widths = [max(len(str(row[column])) for row in (header, *rows)) for column in range(len(header))]
    lines = ["  ".join(f"{cell:<{width}}" if index == 0 else f"{cell:>{width}}"
                       for index, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in (header, *rows)]
    return "\n".join(lines)


def save(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON, whole or not at all; NaN becomes null."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(json.dumps(_plain(figures), indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return round(float(value), 4) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
