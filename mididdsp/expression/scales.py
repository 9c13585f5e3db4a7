"""Attributes ↔ the scales on which they are about Gaussian: what the network of the expression level speaks in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import ATTRIBUTES

Array = NDArray[np.floating[Any]]

INDEX = {name: index for index, name in enumerate(ATTRIBUTES)}
"""Column of each attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Attribute ↔ the scale on which it is about Gaussian: (f(x) - centre) / spread."""

    kind: str
    centre: float
    spread: float

    def forward(self, value: float) -> float:
        """Physical value → model scale."""
        if self.kind == "log":
            value = math.log(max(value, 1e-3))
        elif self.kind == "share":
            clipped = min(max(value, 0.01), 0.99)
            value = math.log(clipped / (1.0 - clipped))
        return (value - self.centre) / self.spread

    def backward(self, value: float) -> float:
        """Model scale → physical value."""
        value = value * self.spread + self.centre
        if self.kind == "log":
            return math.exp(value)
        if self.kind == "share":
            return 1.0 / (1.0 + math.exp(-value))
        return value


SCALES: Mapping[str, Scale] = {
    "level_db": Scale(kind="linear", centre=-26.0, spread=8.0),
    "fluctuation_db": Scale(kind="log", centre=math.log(1.5), spread=0.7),
    "peak_position": Scale(kind="share", centre=0.0, spread=1.5),
    "brightness": Scale(kind="linear", centre=1.0, spread=0.6),
    "attack_noise_db": Scale(kind="linear", centre=-25.0, spread=8.0),
    "attack_s": Scale(kind="log", centre=math.log(0.05), spread=1.0),
    "release_s": Scale(kind="log", centre=math.log(0.1), spread=0.5),
    "vibrato_cents": Scale(kind="log", centre=math.log(12.0), spread=0.5),
    "vibrato_rate_hz": Scale(kind="linear", centre=5.8, spread=0.6),
    "vibrato_delay_s": Scale(kind="log", centre=math.log(0.15), spread=0.7),
    "tuning_cents": Scale(kind="linear", centre=0.0, spread=10.0),
    "timing_s": Scale(kind="linear", centre=0.0, spread=0.006),
    "length_ratio": Scale(kind="linear", centre=0.96, spread=0.03),
    "glide_s": Scale(kind="log", centre=math.log(0.015), spread=0.7),
}
"""One entry an attribute, in the order of ``ATTRIBUTES``."""
