"""The library that reads and writes scores, imported where it is first needed."""

from __future__ import annotations

from typing import Any


def music21() -> Any:
    """The library, without the types it half has."""
    import music21 as library

    return library
