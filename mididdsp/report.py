"""What a render did, for people and for programs: parts, voices, substitutions, warnings, levels, seed, times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """One part of a render.

    Attributes:
        name: of the part.
        instrument: it was played on.
        notes: how many it has.
        voices: how many sound at once at most; None where only synthesis parameters were given.
        segments: how many it was synthesised in.
        gain_db: of the part in the mix.
        pan: -1 (left) to 1 (right).
        room: ``own``, ``none`` or a file.
        peak_dbfs: highest sample of its stem, dB re full scale, the mix gain applied.
        rms_dbfs: of its stem over the whole file, dB re full scale.
    """

    name: str
    instrument: str
    notes: int
    voices: int | None
    segments: int
    gain_db: float
    pan: float
    room: str
    peak_dbfs: float
    rms_dbfs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One render.

    Attributes:
        source: what was rendered, as given.
        files: everything written, the mix first.
        duration_s: of the audio.
        music_s: end of the last note, from the start of the file.
        sample_rate: Hz.
        seed: of every draw.
        temperature: at which the expression was drawn; None where it was given.
        gain_db: of the mix.
        true_peak_dbtp: of the mix, dB re full scale.
        loudness_lufs: of the mix, by ITU-R BS.1770; None where it is too short or silent.
        parts: in the order of the source.
        substitutions: instruments played in place of ones there is no model of, as sentences.
        warnings: what the user should know, as sentences.
        checkpoints: level to hash of the weights used.
        seconds: wall time of each step, s; ``cpu`` is processor time of all of them.
    """

    source: str
    files: tuple[str, ...] = ()
    duration_s: float
    music_s: float
    sample_rate: int
    seed: int
    temperature: float | None
    gain_db: float
    true_peak_dbtp: float
    loudness_lufs: float | None
    parts: tuple[PartReport, ...]
    substitutions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: rounded for reading, no infinities."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    def sentences(self) -> list[str]:
        """What a person is told, one sentence a line."""
        lines = [*self.substitutions, *self.warnings]
        total = self.seconds.get("total", 0.0)
        ratio = self.duration_s / total if total > 0 else 0.0
        speed = f", {ratio:.{0 if ratio >= 10 else 1}f}x real time" if total > 0 else ""
        parts = "1 part" if len(self.parts) == 1 else f"{len(self.parts)} parts"
        written = f"{self.files[0]}: " if self.files else ""
        lines.append(
            f"{written}{parts}, {self.duration_s:.1f} s of audio in {total:.1f} s{speed}; "
            f"peak {self.true_peak_dbtp:.1f} dBTP"
            + ("" if self.loudness_lufs is None else f", {self.loudness_lufs:.1f} LUFS")
        )
        return lines


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if abs(value) != float("inf") else None
    return value
