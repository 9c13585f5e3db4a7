"""Performance documents of older versions, brought up to date as they are read.

One function a step, each from a version to the next, on the document as JSON has it. What a step cannot make sense of
it leaves alone: the reader then refuses it, and says where.

| version | what it brought |
|---|---|
| 1 | the first |
| 2 | fade-in, phase and irregularity of the vibrato; curves of noise and of bands of partials; the tuning of A4 |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any


def migrated(document: Any, version: int) -> Any:
    """A document of an older version as the newest writes it.

    Args:
        document: as JSON has it; objects are dicts. It is changed in place.
        version: it is of, from 1.
    """
    for step in range(version, max(_STEPS) + 1):
        _STEPS[step](document)
        document["version"] = step + 1
    return document


def _from_1(document: dict[str, Any]) -> None:
    document.setdefault("a4_hz", 440.0)
    for part in _objects(document, "parts"):
        for note in _objects(part, "notes"):
            expression = note.get("expression")
            if isinstance(expression, dict):
                for name in ("vibrato_fade_s", "vibrato_phase", "vibrato_irregularity"):
                    expression.setdefault(name, None)
    for curve in _objects(document, "curves"):
        curve.setdefault("band", None)


_STEPS: Mapping[int, Callable[[dict[str, Any]], None]] = MappingProxyType({1: _from_1})
"""Version to the step that leads from it to the next."""


def _objects(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The objects in a list of that name, where there is one."""
    items = holder.get(name)
    yield from (item for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
