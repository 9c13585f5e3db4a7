"""The levels in a chain: what a Python user holds.

``read`` (a file to notes), ``perform`` (notes to expression), ``synthesize`` (expression to synthesis parameters) and
``render`` (any of them to audio). Each returns a value that can be looked at, edited and saved before the next is
called; each also takes what an earlier level would have made, so that levels can be left out.

Models are loaded when first needed, from the package or from the checkpoints given.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mididdsp import interpretation, sources
from mididdsp.expression.articulation import RULES, Rules
from mididdsp.expression.controller_map import DEFAULT, ControllerMap, load_controllers
from mididdsp.expression.controllers import controller_pan, handwork
from mididdsp.expression.curves import PartCurves
from mididdsp.expression.document import load_performance
from mididdsp.expression.edit import Selection
from mididdsp.expression.quantities import EditError, named
from mididdsp.expression.types import ATTRIBUTES, Curve, Mix, PartMix, Performance
from mididdsp.instruments import seats
from mididdsp.live import Live
from mididdsp.notes.midi import MidiError, MidiReading, read_midi
from mididdsp.notes.score import ScoreReading, read_score
from mididdsp.notes.types import Part, PartPlan, Score
from mididdsp.parallel import available_cores, one_torch_thread
from mididdsp.part_sources import part_source, played
from mididdsp.rendering import PartSource, RenderError, Rendering
from mididdsp.saved_levels import SavedLevels, saved_levels, saved_part
from mididdsp.synthesis.document import SynthFile
from mididdsp.synthesis.types import Segment, SynthParams

if TYPE_CHECKING:
    from mididdsp.expression.adjustment import AdjustedExpression, Adjustment
    from mididdsp.expression.generator import ExpressionGenerator
    from mididdsp.notes.compose import Take
    from mididdsp.notes.generator import NotePrior
    from mididdsp.synthesis.ensemble import EnsembleGenerator
    from mididdsp.synthesis.generator import SynthesisGenerator

Reading = MidiReading | ScoreReading
"""A file of notes as read."""

Source = str | os.PathLike[str] | Score | Reading
"""What can be performed."""

Renderable = Source | Performance | SynthParams | SynthFile | Sequence[SynthParams | SynthFile]
"""What can be rendered."""

@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """What ``Performer.create`` drew, level by level; the audio is made when it is asked for."""

    take: Take
    performance: Performance
    rendering: Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """What ``Performer.analyze`` heard: notes and how each is played, the sound itself, and what there is to know."""

    performance: Performance
    params: SynthParams
    messages: tuple[str, ...]


class Performer:
    """Notes to sound, level by level.

    Args:
        notes: checkpoint of the prior over notes: a name from the package or a path; None is the shipped one.
        expression: the same for the expression generator.
        synthesis: the same for the synthesis generator; or several of them, learned instruments that play their own
            parts (``mididdsp learn``).
        device: ``cpu``, ``cuda`` or ``auto`` (the GPU where there is one).
        workers: processes that render parts side by side; None is one per core. The result does not depend on it.

    Raises:
        ValueError: the device is not there, or ``workers`` is below 1.
    """

    def __init__(
        self,
        *,
        notes: str | os.PathLike[str] | None = None,
        expression: str | os.PathLike[str] | None = None,
        synthesis: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        device: str = "auto",
        workers: int | None = None,
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"the device is {device!r}; choose auto, cpu or cuda")
        if workers is not None and workers < 1:
            raise ValueError(f"workers is {workers}; it must be at least 1")
        if device == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise ValueError("there is no CUDA device here; choose auto or cpu")
        self.device = device
        self.workers = workers or available_cores()
        self._checkpoints = {"notes": notes, "expression": expression}
        self._synthesis = ([] if synthesis is None else [synthesis] if isinstance(synthesis, (str, os.PathLike))
                           else list(synthesis))
        self._manners: dict[str, Adjustment] | None = None
        self._models: dict[str, Any] = {}
        self._hashes: dict[str, str] = {}
        self._loading = threading.Lock()

    @property
    def notes_generator(self) -> NotePrior:
        """The prior over notes."""
        from mididdsp.notes.generator import NotePrior

        model: NotePrior = self._model("notes", NotePrior)
        return model

    @property
    def expression_generator(self) -> ExpressionGenerator | AdjustedExpression:
        """The model of how notes are played, with the manner of learned instruments' players."""
        from mididdsp.expression.generator import ExpressionGenerator

        model: ExpressionGenerator = self._model("expression", ExpressionGenerator)
        if not self._synthesis:
            return model
        from mididdsp.expression.adjustment import AdjustedExpression
        from mididdsp.learned import adjustments

        if self._manners is None:
            self._manners = adjustments(self._synthesis)
        return AdjustedExpression(model, self._manners) if self._manners else model

    @property
    def synthesis_generator(self) -> SynthesisGenerator | EnsembleGenerator:
        """The model of what instruments do."""
        from mididdsp.learned import open_synthesis

        with self._loading:
            if "synthesis" not in self._models:
                self._models["synthesis"], self._hashes["synthesis"] = open_synthesis(
                    self._synthesis, self._torch_device())
            model: SynthesisGenerator | EnsembleGenerator = self._models["synthesis"]
            return model

    def _model(self, level: str, kind: Any) -> Any:
        with self._loading:
            if level not in self._models:
                from mididdsp.checkpoints import CheckpointError, load_checkpoint, resolve, shipped

                given = self._checkpoints[level]
                path = shipped(level) if given is None else resolve(os.fspath(given))
                checkpoint = load_checkpoint(path, level=level)
                try:
                    model = kind.from_checkpoint(checkpoint.tensors, checkpoint.card)
                except (KeyError, RuntimeError, TypeError, ValueError) as error:
                    raise CheckpointError(
                        f"the checkpoint {path} does not fit the {level} model of this version; train it again"
                    ) from error
                network = model.net if level == "notes" else model.network
                network.to(self._torch_device())
                self._models[level] = model
                self._hashes[level] = checkpoint.hash
            return self._models[level]

    def _torch_device(self) -> str:
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    def read(
        self,
        path: str | os.PathLike[str],
        *,
        unsupported: str = "nearest",
        instruments: Mapping[str, str] | None = None,
        keyswitches: str = "keep",
    ) -> Reading:
        """Read a MIDI file or a score: its notes, and what the user should know of it. The content decides.

        Args:
            path: of the file.
            unsupported: ``nearest``, ``skip`` or ``error``: what to do with instruments there is no model of.
            instruments: part name, or ``*`` for all, to instrument.
            keyswitches: ``keep`` or ``drop`` notes that look like key switches of a sample library; of MIDI files.

        Raises:
            MidiError, ScoreError: it cannot be read, or holds nothing to play.
            OSError: it cannot be opened.
        """
        if sources.kind_of(path) is sources.Kind.NOTATION:
            return read_score(path, unsupported=unsupported, instruments=instruments)
        reading = read_midi(path, unsupported=unsupported, instruments=instruments, keyswitches=keyswitches)
        if not any(part.notes for part in reading.score.parts):
            raise MidiError(
                f"{os.fspath(path)} has no notes to play; "
                f"{' '.join(reading.messages) or 'it may be empty or hold drums alone'}"
            )
        return reading

    def perform(
        self, source: Source, *, seed: int = 0, temperature: float = 1.0, rules: Rules | None = None,
        controllers: str | os.PathLike[str] | ControllerMap = DEFAULT, a4_hz: float = 440.0,
    ) -> Performance:
        """Draw how every note is played.

        Args:
            source: a MIDI file or a score, or what was read from one.
            seed: of every draw; the same seed gives the same performance.
            temperature: how freely it is drawn, >= 0; 0 is the mean.
            rules: what articulation marks do; None is the table of ``mididdsp.expression.articulation``.
            controllers: what MIDI controllers mean: a table, or the name or file of one
                (``mididdsp.expression.controller_map``).
            a4_hz: what A4 is tuned to.

        Returns:
            Expressions for all notes, articulated by their marks, the controllers as curves, and a seat in the mix for
            every part.

        Raises:
            MidiError, ScoreError: the file cannot be read.
            ControllerError: there is no such table of controllers.
            ValueError: the temperature is below 0.
        """
        table = controllers if isinstance(controllers, tuple) else load_controllers(controllers)
        if isinstance(source, (str, os.PathLike)):
            source = self.read(source)
        if not temperature >= 0:
            raise ValueError(f"the temperature is {temperature}; it must be a number from 0")
        score, hints, curves = self._notation(source)
        alone = source.note_lanes if isinstance(source, MidiReading) else {}
        hands = {part.name: handwork(part, table, alone) for part in score.parts}
        performance = interpretation.first(
            self.expression_generator, score, seed=seed, temperature=temperature, hints=hints, curves=curves,
            rules=rules or RULES, hands=hands,
        )
        pans = seats([part.instrument for part in score.parts])
        return replace(
            performance,
            a4_hz=a4_hz,
            checkpoints={"expression": self._hashes.get("expression", "")},
            mix=Mix(parts={part.name: _place(part, pan) for part, pan in zip(score.parts, pans)}),
        )

    def revise(
        self, source: Source, old: Performance, *, rules: Rules | None = None,
        controllers: str | os.PathLike[str] | ControllerMap = DEFAULT,
    ) -> tuple[Performance, interpretation.Revision]:
        """Perform a new version of a score and keep the work done on the old.

        Notes that both versions have keep id, values, origins, locks and curves, wherever they have moved; new notes
        are drawn with the old performance's seed and temperature, conditioned on their neighbours.

        Args:
            source: the new version.
            old: a performance of the old version.
            rules: what articulation marks do; None is the table of ``mididdsp.expression.articulation``.
            controllers: what MIDI controllers mean, as in ``perform``.

        Returns:
            The performance, and what was kept, changed and lost.

        Raises:
            MidiError, ScoreError: the file cannot be read.
            ControllerError: there is no such table of controllers.
        """
        table = controllers if isinstance(controllers, tuple) else load_controllers(controllers)
        if isinstance(source, (str, os.PathLike)):
            source = self.read(source)
        score, hints, curves = self._notation(source)
        alone = source.note_lanes if isinstance(source, MidiReading) else {}
        performance, revision = interpretation.revised(
            self.expression_generator, old, score, hints=hints, curves=curves, rules=rules or RULES,
            hands={part.name: handwork(part, table, alone) for part in score.parts},
        )
        pans = seats([part.instrument for part in performance.score.parts])
        seated = {part.name: _place(part, pan) for part, pan in zip(performance.score.parts, pans)}
        mix = replace(performance.mix, parts={**seated, **performance.mix.parts})
        checkpoints = {**performance.checkpoints, "expression": self._hashes.get("expression", "")}
        return replace(performance, mix=mix, checkpoints=checkpoints), revision

    def resample(
        self, performance: Performance, attributes: Sequence[str] = (), *, notes: Collection[str] | None = None,
        seed: int, temperature: float | None = None, rules: Rules | None = None,
    ) -> Performance:
        """Draw attributes of notes anew and keep everything else; what is locked stays.

        Args:
            performance: as it is; a selection's chosen notes are drawn unless ``notes`` says otherwise.
            attributes: names, short or in full; none are all. The three of the vibrato go together.
            notes: ids; None is the selection, or all.
            seed: of the draws; another seed is another take.
            temperature: of the draws; None is the performance's.
            rules: what articulation marks do.

        Raises:
            EditError: a name is no attribute, or one that no prior draws.
        """
        names = [named(name).attribute for name in attributes] or list(ATTRIBUTES)
        undrawn = [name for name in names if name not in ATTRIBUTES]
        if undrawn:
            raise EditError(f"no player draws {', '.join(undrawn)}; set it by an edit, as {undrawn[0]}=none")
        if notes is None and isinstance(performance, Selection):
            notes = performance.chosen
        return interpretation.again(
            self.expression_generator, performance, attributes=names, notes=notes, seed=seed, temperature=temperature,
            rules=rules or RULES,
        )

    def analyze(
        self,
        source: str | os.PathLike[str] | tuple[NDArray[np.float32], int],
        *,
        instrument: str = "auto",
        notes: Score | None = None,
        tracker: str = "own",
    ) -> Analysed:
        """Listen to a recording of one instrument that plays one note at a time.

        Args:
            source: an audio file, or (audio [N] or [channels, N], sample rate).
            instrument: a name, or ``auto``: the one whose name, range and sound fit best.
            notes: what is played, of one part, where it is known: it is aligned to the sound; None transcribes.
            tracker: of pitch: ``own``, ``crepe`` or ``crepe-full``.

        Returns:
            The performance (notes, how each is played) and the synthesis parameters that give the recording back; both
            can be rendered, edited and saved.

        Raises:
            AudioFileError: it cannot be read, is silent, or has no notes.
            ValueError: there is no such instrument or tracker, or the notes have several parts.
        """
        from mididdsp.audio_stream import open_recording, recording_of
        from mididdsp.listening import listen

        if isinstance(source, tuple):
            recording, name = recording_of(*source), "recording"
        else:
            recording, name = open_recording(source), sources.stem_of(Path(source))
        listening = listen(
            recording, part=name, instrument=instrument, tracker=tracker, given=notes,
            prior=lambda: self.expression_generator,
        )
        params = listening.params()
        return Analysed(performance=listening.performance(), params=params, messages=listening.messages)

    def recast(self, performance: Performance, instruments: Mapping[str, str]) -> tuple[Performance, tuple[str, ...]]:
        """Give a performance to other instruments; see ``mididdsp.recasting``.

        Args:
            performance: as it is.
            instruments: part name, or ``*`` for all, to instrument.

        Returns:
            The new performance, and sentences about notes that an instrument cannot play.

        Raises:
            ValueError: there is no such part or instrument.
        """
        from mididdsp.recasting import recast

        return recast(performance, instruments, self.expression_generator)

    def takes(self, source: Source, count: int, *, seed: int = 0, temperature: float = 1.0) -> tuple[Performance, ...]:
        """Several draws of the same notes, with seeds ``seed``, ``seed + 1`` and so on."""
        reading = self.read(source) if isinstance(source, (str, os.PathLike)) else source
        return tuple(self.perform(reading, seed=seed + take, temperature=temperature) for take in range(count))

    def compose(self, task: str, source: Source | None = None, **how: Any) -> tuple[Take, ...]:
        """Write notes with the prior over notes; see ``mididdsp.notes.compose`` for the tasks and what they take.

        Args:
            task: ``harmonize``, ``infill``, ``continue``, ``generate`` or ``vary``.
            source: what it begins with; None for ``generate``.
            how: ``wishes``, ``takes``, ``seed`` and the task's own arguments.

        Raises:
            ComposeError: the task cannot be done as it was given.
            MidiError: the file cannot be read.
        """
        from mididdsp.notes.compose import TASKS
        from mididdsp.notes.wishes import ComposeError

        if task not in TASKS:
            raise ComposeError(f"the task is {task!r}; choose {', '.join(TASKS)}")
        if (source is None) != (task == "generate"):
            raise ComposeError(f"{task} {'begins with a file' if source is None else 'begins from nothing'}")
        if isinstance(source, (str, os.PathLike)):
            source = self.read(source)
        given = () if source is None else (source if isinstance(source, Score) else source.score,)
        with one_torch_thread():  # passes are small: threads that wait for each other cost more than they bring
            takes: tuple[Take, ...] = TASKS[task](self.notes_generator, *given, **how)
        read = () if source is None or isinstance(source, Score) else source.messages
        # Ranges are the report's: the players may be others than the file's.
        told = [line for line in read if "outside the range of" not in line]
        return tuple(
            replace(take, report=replace(take.report, messages=(*told, *take.report.messages))) for take in takes
        )

    def create(
        self,
        task: str,
        source: Source | None = None,
        *,
        notes_seed: int = 0,
        expression_seed: int = 0,
        synthesis_seed: int = 0,
        temperature: float = 1.0,
        how: Mapping[str, Any] | None = None,
        **rendered: Any,
    ) -> Creation:
        """Draw from all three levels, each with a seed of its own: hold the notes and hear other performances of them,
        or hold the performer and try other notes.

        Args:
            task, source: as for ``compose``.
            notes_seed, expression_seed, synthesis_seed: of the three levels.
            temperature: of expression and synthesis; that of the notes is among the ``wishes`` in ``how``.
            how: what the task takes beside the seed.
            rendered: as for ``render``.
        """
        take = self.compose(task, source, seed=notes_seed, **(how or {}))[0]
        # A performance keeps what was drawn for its expression; its seed serves the synthesis from here on.
        performance = replace(
            self.perform(take.score, seed=expression_seed, temperature=temperature), seed=synthesis_seed
        )
        return Creation(take=take, performance=performance, rendering=self.render(performance, **rendered))

    def synthesize(self, performance: Performance) -> Iterator[SynthParams]:
        """The synthesis parameters of one part after the other, in the order of the score.

        A part is held whole: about 0.2 MB a second for a violin. ``render`` needs no such room.
        """
        for part in self._part_sources(performance):
            with one_torch_thread():  # as a render does: the last bit of a product hangs on the number of threads
                params = part.collect()
            yield params

    def render(
        self,
        source: Renderable,
        *,
        mix: Mix | None = None,
        room: str | None = None,
        sample_rate: int = 48_000,
        start_s: float = 0.0,
        end_s: float | None = None,
        tail_s: float | None = None,
        a4_hz: float | None = None,
        lufs: float | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        name: str | None = None,
    ) -> Rendering:
        """Prepare a render; the work is done when audio is asked for.

        Args:
            source: a MIDI file, a score, a performance, synthesis parameters of one or more parts, or the path of any
                of them; a folder holds one piece's saved levels.
            mix: gains, seats and rooms instead of the performance's own.
            room: for all parts: ``none``, ``own`` or an audio file with an impulse response; None is each part's own.
            sample_rate: Hz.
            start_s: where the file begins, s of the piece.
            end_s: where the music stops; None is its end.
            tail_s: sound after the music; None lasts until the room has died away.
            a4_hz: pitch of A4; None is the performance's own, or what saved parameters were made with.
            lufs: loudness of the mix, as far as a true peak of -1 dBTP allows; None keeps the mix's own gain.
            seed: of the performance, where ``source`` is notes.
            temperature: of the performance, where ``source`` is notes.
            name: of the piece, for the files of stems and levels; None takes it from the path.

        Raises:
            MidiError, DocumentError, RenderError: the source cannot be read or holds nothing to play.
            ValueError: an argument is out of range.
        """
        value, label = self._value(source, seed=seed, temperature=temperature)
        performance: Performance | None
        if isinstance(value, Performance):
            if a4_hz is not None:
                value = replace(value, a4_hz=a4_hz)
            parts, performance = self._part_sources(value), value
        else:
            performance = value.performance
            given = {params.part: params for params in value.params}
            if performance is None:
                parts = [PartSource.from_params(params) for params in value.params]
            else:
                parts = [
                    item.with_params(given[item.name]) if item.name in given else item
                    for item in self._part_sources(performance, without=frozenset(given))
                ]
        own = mix or (performance.mix if performance is not None else _default_mix(parts))
        return Rendering(
            parts=tuple(parts),
            performance=performance,
            mix=own,
            name=name or label,
            room=room,
            sample_rate=sample_rate,
            start_s=start_s,
            end_s=end_s,
            tail_s=tail_s,
            a4_hz=a4_hz,
            lufs=lufs,
            workers=self.workers,
        )

    def stream(self, source: Renderable, **how: Any) -> Iterator[NDArray[np.float32]]:
        """The mix in blocks of a few seconds, float32 [2, samples], from its start on; arguments as ``render``."""
        return self.render(source, **how).stream()

    def live(self, performance: Performance, *, sample_rate: int = 48_000) -> Live:
        """Render a performance and keep its sound, so that edits of it are heard at once; see ``mididdsp.live``.

        Args:
            performance: to begin with.
            sample_rate: Hz.
        """
        generator = self.synthesis_generator

        def play(state: Performance, plan: PartPlan) -> Iterator[Segment]:
            curves = PartCurves(state.curves, plan.part, state.expressions)
            return played(
                generator, plan, state.expressions, curves, seed=state.seed, temperature=state.temperature,
                a4_hz=state.a4_hz,
            )

        def stem(state: Performance, name: str) -> Iterator[NDArray[np.float32]]:
            return self.render(state, sample_rate=sample_rate).stem(name)

        return Live(
            performance,
            play=play,
            stem=stem,
            gain_db=self.render(performance, sample_rate=sample_rate).gain_db,
            noise_edges_hz=generator.noise_edges_hz,
            sample_rate=sample_rate,
            workers=self.workers,
        )

    def _notation(self, source: Source) -> tuple[Score, interpretation.Given, Sequence[Curve]]:
        """Notes, and what the score decides about how they are played."""
        if isinstance(source, Score):
            return source, {}, ()
        reading = self.read(source) if isinstance(source, (str, os.PathLike)) else source
        if isinstance(reading, ScoreReading):
            return reading.score, reading.hints, reading.curves
        return reading.score, {}, ()

    def _value(self, source: Renderable, *, seed: int, temperature: float) -> tuple[Performance | SavedLevels, str]:
        """What to render, and a name for its files."""
        if isinstance(source, Performance):
            return source, _label(source.score.title)
        if isinstance(source, (SynthParams, SynthFile)):
            return SavedLevels(params=(source,)), _label(source.part)
        if isinstance(source, (Score, MidiReading, ScoreReading)):
            performance = self.perform(source, seed=seed, temperature=temperature)
            return performance, _label(performance.score.title)
        if not isinstance(source, (str, os.PathLike)):
            params = tuple(source)
            if not params:
                raise RenderError("there are no synthesis parameters to render; give at least one part")
            return SavedLevels(params=params), _label(params[0].part)
        path = Path(source)
        kind = sources.kind_of(path)
        if kind is sources.Kind.PERFORMANCE:
            return load_performance(path), sources.stem_of(path)
        if kind is sources.Kind.SYNTH:
            return saved_part(path), sources.stem_of(path)
        if kind is sources.Kind.FOLDER:
            return saved_levels(path)
        return self.perform(path, seed=seed, temperature=temperature), sources.stem_of(path)

    def _part_sources(self, performance: Performance, without: frozenset[str] = frozenset()) -> list[PartSource]:
        """The parts that have notes; those named in ``without`` are given no generator, for their parameters exist."""
        return [
            part_source(performance, part, None if part.name in without else self.synthesis_generator)
            for part in performance.score.parts
            if part.notes
        ]


def _label(text: str) -> str:
    """A name for files; never empty."""
    return text.strip() or "performance"


def _place(part: Part, seat: float) -> PartMix:
    """A part's place in the mix: where its controller puts it, else the instrument's seat."""
    asked = controller_pan(part)
    return PartMix(pan=seat if asked is None else asked)


def _default_mix(parts: Sequence[PartSource]) -> Mix:
    pans = seats([part.instrument for part in parts])
    return Mix(parts={part.name: PartMix(pan=pan) for part, pan in zip(parts, pans)})
