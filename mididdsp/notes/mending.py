"""Parallel fifths and octaves taken out of what a prior has drawn, with the likeliest notes that make fewer of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.grid import NoteGrid, begins, note_spans
from mididdsp.notes.keys import Key
from mididdsp.notes.voice_leading import marks, parallels
from mididdsp.random import keyed_generator

if TYPE_CHECKING:
    from mididdsp.notes.generator import NotePrior


_MOST_MENDED = 6
"""How often the filter goes through the parallels that are left."""

_MEND_CANDIDATES = 10

_REACH = 40
"""Sixteenths to each side of a note that are looked at when its pitch is chosen; the shipped network sees 36."""


def mend_parallels(
    prior: NotePrior,
    grid: NoteGrid,
    open_cells: NDArray[np.bool_],
    *,
    ranges: Sequence[tuple[int, int]],
    key: Key | None = None,
    bias: NDArray[np.float64] | None = None,
    absent: Sequence[int] = (),
    seed: int = 0,
    temperature: float = 1.0,
) -> NoteGrid:
    """Take parallel fifths and octaves out: one of the notes that make them gets the likeliest pitch that makes fewer.

    Only notes whose cells are all open are touched; where none of them helps, a parallel stays, and is in the report.

    Args:
        prior: that has drawn the grid.
        grid: as drawn.
        open_cells: that may be changed, bool [V, T].
        ranges: of the voices.
        key, bias: as for ``NotePrior.sample``.
        absent: voices that are not there.
        seed: of the choice among likely pitches.
        temperature: of that choice.

    Returns:
        The grid with as many or fewer parallels; onsets as they were.
    """
    numbers = np.arange(prior.config.classes) + prior.config.low - 1
    for turn in range(_MOST_MENDED):
        found = parallels(grid.pitch)
        if not found:
            break
        changed = False
        for one in found:
            if one not in parallels(grid.pitch):
                continue  # mended with another
            random = keyed_generator(seed, "notes", "mend", f"{turn}", f"{one.step}", f"{one.upper}", f"{one.lower}")
            best: tuple[float, NoteGrid] | None = None
            for voice in (one.upper, one.lower):
                for step in (one.step, one.step - 1):
                    span = next((a, b) for a, b in note_spans(grid, voice) if a <= step < b)
                    if not open_cells[voice, span[0] : span[1]].all():
                        continue
                    # What lies far away says nothing here, and long pieces take long as wholes.
                    near = slice(max(0, span[0] - _REACH), min(grid.steps, span[1] + _REACH))
                    view, inside = _part(grid, near), (span[0] - near.start, span[1] - near.start)
                    known = np.ones(view.pitch.shape, bool)
                    known[list(absent)] = False
                    known[voice, inside[0] : inside[1]] = False
                    scores = prior.predict(view, known, key=key)[voice, inside[0] : inside[1]]
                    if bias is not None:
                        scores = scores + bias[voice, span[0] : span[1]]
                    mean = scores.mean(0) + temperature * random.gumbel(size=len(numbers))
                    mean[(numbers < ranges[voice][0]) | (numbers > ranges[voice][1])] = -np.inf
                    before = len(parallels(view.pitch))
                    for choice in np.argsort(-mean)[:_MEND_CANDIDATES]:
                        tried = _with_pitch(view, voice, inside, int(numbers[choice]))
                        if not np.isfinite(mean[choice]) or tried is None or (best and best[0] >= mean[choice]):
                            continue
                        if len(parallels(tried.pitch)) < before and _no_worse(tried, view):
                            whole = _with_pitch(grid, voice, span, int(numbers[choice]))
                            assert whole is not None
                            best = (float(mean[choice]), whole)
                            break
            if best is not None:
                grid, changed = best[1], True
        if not changed:
            break
    return grid


def _part(grid: NoteGrid, steps: slice) -> NoteGrid:
    """Some steps of a grid; what is held into them begins there."""
    pitch = grid.pitch[:, steps]
    return NoteGrid(
        pitch=pitch, onset=grid.onset[:, steps] | begins(pitch), position=grid.position[steps], bar=grid.bar[steps],
        fermata=grid.fermata[steps],
    )


def _no_worse(tried: NoteGrid, before: NoteGrid) -> bool:
    """Whether a change crosses no voices and spreads none."""
    new, old = marks(tried.pitch), marks(before.pitch)
    return new.crossed <= old.crossed and new.wide <= old.wide


def _with_pitch(grid: NoteGrid, voice: int, span: tuple[int, int], pitch: int) -> NoteGrid | None:
    """The grid with a note at another pitch; None where that is its own."""
    if grid.pitch[voice, span[0]] == pitch:
        return None
    changed = grid.pitch.copy()
    changed[voice, span[0] : span[1]] = pitch
    return replace(grid, pitch=changed, onset=grid.onset | begins(changed))
