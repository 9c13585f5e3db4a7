"""Some of many, evenly over all of them: not those of the first dynamic or pitch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, in their order."""
    return [items[index] for index in np.unique(np.linspace(0, len(items) - 1, most).astype(int))]
