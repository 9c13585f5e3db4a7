"""The benches' one door to mididdsp's models: a clip or notes in, dry mono audio out.

Everything raises ``ChainUnavailable`` with a sentence where the weights are missing, so that a bench prints n/a.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

Array = NDArray[np.float64]
NoteTuple = tuple[float, float, float, int]
"""onset s, duration s, MIDI pitch with fractions, velocity."""


class ChainUnavailable(RuntimeError):
    """A model is not there; the message says which."""


class Chain:
    """The trained levels, loaded when first needed.

    Args:
        expression, synthesis: checkpoint names or folders; None is what the package ships.
        temperature: of both generators.
        seed: of every draw.
    """

    def __init__(self, expression: Path | None = None, synthesis: Path | None = None, *, temperature: float = 1.0,
                 seed: int = 0) -> None:
        self._expression, self._synthesis = expression, synthesis
        self.temperature, self.seed = temperature, seed
        self._performer: Any = None

    def _model(self, level: str) -> Any:
        import torch

        from mididdsp.performer import Performer

        if self._performer is None:
            torch.set_num_threads(1)
            self._performer = Performer(device="cpu", expression=self._expression, synthesis=self._synthesis)
        try:
            return getattr(self._performer, f"{level}_generator")
        except (OSError, ValueError) as problem:
            raise ChainUnavailable(f"no {level} model: {problem}") from problem

    def network(self, level: str) -> Any:
        """The network of ``expression`` or ``synthesis``, to ask it for distributions."""
        return self._model(level).network

    def _sound(self, segments: Sequence[Any], edges_hz: Sequence[float], sample_rate: int, *,
               skirts: bool = True) -> Array:
        from mididdsp.synthesis.render import render_stream

        blocks = list(render_stream(sorted(segments, key=lambda segment: segment.start_s), noise_edges_hz=edges_hz,
                                    sample_rate=sample_rate, seed=self.seed, skirts=skirts))
        return np.concatenate(blocks).astype(np.float64) if blocks else np.zeros(1)

    def resynthesize(self, audio: Array, sample_rate: int, guide_hz: Array) -> Array:
        """Analysis and synthesis of a clip: what the parameters can hold at best.

        Args:
            audio: mono; [N].
            sample_rate: of the audio and the result, Hz.
            guide_hz: f0 it has about, 250 a second; a single value for a single note.
        """
        from mididdsp.synthesis import analysis
        from mididdsp.synthesis.types import Segment

        working = _at(audio, sample_rate, analysis.ANALYSIS_RATE)
        frames = analysis.frame_count(len(working))
        guide = np.full(frames, guide_hz[0]) if len(guide_hz) == 1 else np.interp(
            np.arange(frames), np.arange(len(guide_hz)), guide_hz)
        f0, voiced = analysis.track_f0(working, guide)
        heard = analysis.analyse_with_f0(working, f0, voiced)
        partials = np.nan_to_num(heard.partials)
        total = np.maximum(partials.sum(axis=1), 1e-9)
        segment = Segment(id="clip", note_ids=("clip",), start_s=0.0, f0_hz=heard.f0_hz.astype(np.float32),
                          amplitude_db=(20 * np.log10(total)).astype(np.float32),
                          harmonics=(partials / total[:, None]).astype(np.float32),
                          noise_db=heard.noise_db.astype(np.float32))
        return self._sound([segment], analysis.NOISE_EDGES_HZ, sample_rate, skirts=False)

    def render_measured(self, audio: Array, sample_rate: int, instrument: str, pitch: float, velocity: int) -> Array:
        """A single-note clip's own expression, as the project measures it, sounded by the synthesis generator."""
        from mididdsp.expression.analysis import measure_note, sounding_span
        from mididdsp.synthesis import analysis
        from mididdsp.units import FRAME_RATE

        generator = self._model("synthesis")
        heard = analysis.analyse_note(_at(audio, sample_rate, analysis.ANALYSIS_RATE), pitch)
        onset, offset, end = sounding_span(heard.level_db)
        expression = measure_note(f0_hz=heard.f0_hz[:end], partial_power=np.nan_to_num(heard.partials[:end] ** 2 / 2),
                                  noise_power=(10 ** (heard.noise_db[:end] / 10)).sum(axis=1), pitch=pitch,
                                  onset=onset, offset=offset)
        plan = _plan(instrument, [(onset / FRAME_RATE, (offset - onset) / FRAME_RATE, pitch, velocity)])
        expressions = {plan.part.notes[0].id: replace(expression, length_ratio=1.0)}
        return self._segments(generator, plan, expressions, sample_rate)

    def render_notes(self, instrument: str, notes: Sequence[NoteTuple], sample_rate: int,
                     given: Mapping[str, float | None] | None = None) -> Array:
        """The whole chain from notes.

        Args:
            instrument: a name of the table.
            notes: by onset.
            sample_rate: Hz.
            given: expression values to hold for every note, as ``tuning_cents`` or a swept attribute.
        """
        generator, performer = self._model("synthesis"), self._model("expression")
        plan = _plan(instrument, notes)
        held = {note.id: dict(given or {}) for note in plan.part.notes}
        expressions = performer.express(plan, seed=self.seed, temperature=self.temperature, given=held)
        return self._segments(generator, plan, expressions, sample_rate)

    def play(self, instrument: str, notes: Sequence[NoteTuple], sample_rate: int, *,
             marks: Sequence[tuple[str, ...]] | None = None, held: Mapping[str, float] | None = None,
             lanes: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None) -> Array:
        """A line as the performer plays it: marks and controllers are seen to, rooms left out.

        Args:
            instrument: a name of the table.
            notes: by onset, none twice.
            sample_rate: Hz.
            marks: articulations of each note; None is none.
            held: expression values that every note gets after the draw, as ``{"tuning_cents": 0.0}``.
            lanes: times in s and values of controllers by name, as ``cc11``.
        """
        from mididdsp.notes.types import Lane, Note, Part, Score

        self._model("expression"), self._model("synthesis")
        name = _name(instrument, notes)
        made = tuple(Note(id=f"{name}-{index}", onset=max(0.0, onset), duration=duration, pitch=pitch,
                          velocity=velocity, articulations=tuple(sorted(marks[index])) if marks else ())
                     for index, (onset, duration, pitch, velocity) in enumerate(notes))
        drawn = tuple(Lane(name=name, times=tuple(times), values=tuple(values))
                      for name, (times, values) in (lanes or {}).items())
        score = Score(parts=(Part(name=instrument, instrument=instrument, notes=made, lanes=drawn),))
        performance = self._performer.perform(score, seed=self.seed, temperature=self.temperature)
        if held:
            performance = replace(performance, expressions={
                note_id: replace(expression, **held) for note_id, expression in performance.expressions.items()})
        params = next(iter(self._performer.synthesize(performance)))
        return self._sound(params.segments, params.noise_edges_hz, sample_rate)

    def _segments(self, generator: Any, plan: Any, expressions: Mapping[str, Any], sample_rate: int) -> Array:
        segments = list(generator.segments(plan, expressions, seed=self.seed, temperature=self.temperature))
        return self._sound(segments, generator.noise_edges_hz, sample_rate)


def _at(audio: Array, sample_rate: int, wanted: int) -> Array:
    return audio if sample_rate == wanted else np.asarray(soxr.resample(audio, sample_rate, wanted))


def _name(instrument: str, notes: Sequence[NoteTuple]) -> str:
    """Another for other notes: draws are keyed by ids, and one draw for all clips would be one player's one mood."""
    words = ",".join(f"{value:.3f}" for note in notes for value in note)
    return f"{zlib.crc32(f'{instrument}:{words}'.encode()):08x}"


def _plan(instrument: str, notes: Sequence[NoteTuple]) -> Any:
    from mididdsp.notes.types import Note, Part
    from mididdsp.notes.voices import plan_part

    name = _name(instrument, sorted(notes))
    made = tuple(Note(id=f"{name}-{index}", onset=max(0.0, onset), duration=duration, pitch=pitch, velocity=velocity)
                 for index, (onset, duration, pitch, velocity) in enumerate(sorted(notes)))
    return plan_part(Part(name=instrument, instrument=instrument, notes=made))
