"""Level three, synthesis: what the instrument does, 250 frames a second.

A part's parameters are a sequence of segments; segments may overlap and are summed. Rests cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mididdsp.units import FRAME_RATE

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """The sound of notes joined without re-attack, or of a single note, with its release.

    Attributes:
        id: keys the noise and the phase; the id of its first note.
        note_ids: the notes in it, by onset.
        start_s: exact time of frame 0, s from the start of the piece (not quantised); may be below 0.
        f0_hz: fundamental, > 0 on every frame; float32 [T].
        amplitude_db: 20 log10 of the sum of the partials' peak amplitudes; float32 [T].
        harmonics: share of each partial, >= 0, summing to 1; float32 [T, H].
        noise_db: power (mean square) of the noise in each band, dB re 1.0; float32 [T, B].
    """

    id: str
    note_ids: tuple[str, ...]
    start_s: float
    f0_hz: Float32
    amplitude_db: Float32
    harmonics: Float32
    noise_db: Float32

    def __post_init__(self) -> None:
        frames = len(self.f0_hz)
        if frames < 1:
            raise ValueError(f"segment {self.id} has no frames; give at least one")
        if not (self.amplitude_db.shape == (frames,) and self.harmonics.ndim == 2 and self.noise_db.ndim == 2
                and len(self.harmonics) == frames and len(self.noise_db) == frames):
            raise ValueError(f"segment {self.id}: f0_hz has {frames} frames, amplitude_db {self.amplitude_db.shape}, "
                             f"harmonics {self.harmonics.shape}, noise_db {self.noise_db.shape}; "
                             "give the same frames to all")
        if not (np.isfinite(self.f0_hz).all() and (self.f0_hz > 0).all()):
            raise ValueError(f"segment {self.id}: f0_hz must be above 0 and finite on every frame")

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.f0_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthParams:
    """The parameters of one part.

    Attributes:
        part: name of the part.
        instrument: a name from the table in ``mididdsp.instruments``.
        segments: by start time.
        noise_edges_hz: edges of the noise bands, increasing; B + 1 values.
        frame_rate: frames per second.
        seed: of the noise.
        a4_hz: what A4 was tuned to when they were made.
        skirts: noise around partials turns their phases as much as it moves their amplitudes, as ``synthesis.skirts``
            draws it. Of a generated sound; what is read off a recording would be another recording's.
    """

    part: str
    instrument: str
    segments: tuple[Segment, ...]
    noise_edges_hz: tuple[float, ...]
    frame_rate: float = FRAME_RATE
    seed: int = 0
    a4_hz: float = 440.0
    skirts: bool = False

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)
