"""One piece's saved levels read back: synthesis parameters, and the performance that was saved beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mididdsp import sources
from mididdsp.expression.document import load_performance
from mididdsp.expression.types import Performance
from mididdsp.rendering import RenderError
from mididdsp.synthesis.document import SynthFile, open_synth
from mididdsp.synthesis.types import SynthParams


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedLevels:
    """Synthesis parameters, and the performance they were made from where it is known."""

    params: tuple[SynthParams | SynthFile, ...]
    performance: Performance | None = None


def saved_part(path: Path) -> SavedLevels:
    """A part's saved parameters; the performance saved beside them tells its place in the mix and the length."""
    beside = sources.performance_beside(path)
    params = open_synth(path)
    performance = None if beside is None else load_performance(beside)
    if performance is not None:
        performance = _only(performance, params.part)
    return SavedLevels(params=(params,), performance=performance)


def _only(performance: Performance, name: str) -> Performance | None:
    """A performance of one part alone, the mix as it was; None when it has no such part."""
    parts = tuple(part for part in performance.score.parts if part.name == name)
    if not parts:
        return None
    ids = {note.id for part in parts for note in part.notes}
    return replace(
        performance,
        score=replace(performance.score, parts=parts),
        expressions={key: value for key, value in performance.expressions.items() if key in ids},
        curves=tuple(curve for curve in performance.curves if curve.part == name),
        origins={key: value for key, value in performance.origins.items() if key in ids},
        locks={key: value for key, value in performance.locks.items() if key in ids},
    )


def saved_levels(folder: Path) -> tuple[SavedLevels, str]:
    """One piece's saved levels: its performance, and the parameters of its parts where they were saved too."""
    performances = sorted(item for item in folder.iterdir() if item.name.lower().endswith(sources.PERFORMANCE_SUFFIX))
    synths = sorted(item for item in folder.iterdir() if item.name.lower().endswith(sources.SYNTH_SUFFIX))
    if len(performances) > 1:
        raise RenderError(
            f"{folder} holds {len(performances)} performances; give one of them, or a folder as the output"
        )
    if not performances and not synths:
        raise RenderError(
            f"{folder} holds no saved performance and no synthesis parameters; "
            "give a folder that --save-levels wrote, or a folder as the output to render all files in it"
        )
    params = tuple(open_synth(path) for path in synths)
    if not performances:
        return SavedLevels(params=params), sources.stem_of(synths[0])
    return SavedLevels(params=params, performance=load_performance(performances[0])), sources.stem_of(performances[0])
