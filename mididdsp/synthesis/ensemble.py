"""Several synthesis generators as one: learned instruments play their own parts, the shipped weights the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mididdsp.notes.types import PartPlan
from mididdsp.synthesis.frame_network import FrameNetwork
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.types import Segment


class EnsembleGenerator:
    """Chooses a generator by the part's instrument; otherwise as ``SynthesisGenerator``.

    Args:
        base: plays all instruments.
        own: instrument to the generator that plays it in place of ``base``.

    Raises:
        ValueError: the generators do not have the same noise bands.
    """

    local = True

    def __init__(self, base: SynthesisGenerator, own: Mapping[str, SynthesisGenerator]) -> None:
        self.base = base
        self.own = dict(own)
        for instrument, generator in self.own.items():
            if generator.noise_edges_hz != base.noise_edges_hz:
                raise ValueError(f"the learned {instrument} has other noise bands than the shipped weights; "
                                 "learn it again with this version")

    @property
    def noise_edges_hz(self) -> tuple[float, ...]:
        """Edges of the noise bands, the same for all."""
        return self.base.noise_edges_hz

    @property
    def network(self) -> FrameNetwork:
        """The network of ``base``."""
        return self.base.network

    def generator_of(self, instrument: str) -> SynthesisGenerator:
        """Who plays an instrument."""
        return self.own.get(instrument, self.base)

    def segments(self, plan: PartPlan, *arguments: Any, **options: Any) -> Iterator[Segment]:
        """See ``SynthesisGenerator.segments``."""
        return self.generator_of(plan.part.instrument).segments(plan, *arguments, **options)

    def segment(self, instrument: str, *arguments: Any, **options: Any) -> Segment:
        """See ``SynthesisGenerator.segment``."""
        return self.generator_of(instrument).segment(instrument, *arguments, **options)
