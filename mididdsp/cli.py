"""The ``mididdsp`` command: one function a command, options checked before anything heavy is imported or loaded.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong, 130 stopped by hand. What went wrong is one sentence on
stderr; stdout carries data alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from mididdsp import sources

if TYPE_CHECKING:
    from mididdsp.notes.compose import Take
    from mididdsp.performer import Performer
    from mididdsp.report import Report

FAILED, WRONG_CALL, STOPPED = 1, 2, 130

_MIDI_OUT, _NOTATION_OUT = (".mid", ".midi"), (".musicxml", ".xml")
"""What compose writes."""

NOTES = (sources.Kind.MIDI, sources.Kind.NOTATION)
"""Kinds of file that hold notes alone."""

Function = TypeVar("Function", bound=Callable[..., Any])


class WorkError(Exception):
    """The work failed; the message is one sentence for the user."""


def seconds(text: str) -> float:
    """A time in seconds from seconds, minutes:seconds or hours:minutes:seconds."""
    try:
        numbers = [float(part) for part in str(text).split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(0 <= number < float("inf") for number in numbers):
        raise click.BadParameter(f"{text!r} is not a time; write seconds (83.5) or minutes:seconds (1:23.5)")
    total = 0.0
    for number in numbers:
        total = total * 60.0 + number
    return total


def tail(text: str) -> float | None:
    """None for ``auto`` (until the room has died away), else seconds after the last note."""
    return None if str(text).lower() == "auto" else seconds(text)


def path_with(suffixes: Sequence[str], *, folder: bool = False) -> Callable[[str], Path]:
    """A type of option: an output file with one of these suffixes, or, where allowed, a folder."""

    def convert(text: str) -> Path:
        path = Path(text)
        if folder and (path.is_dir() or not path.suffix):
            return path
        if path.is_dir():
            raise click.BadParameter(f"{text!r} is a folder; name a file")
        if not path.name.lower().endswith(tuple(suffixes)):
            raise click.BadParameter(f"{path.name!r} has no suffix this command writes; choose {', '.join(suffixes)}")
        return path

    return convert


EXISTING = click.Path(exists=True, readable=True, path_type=Path)


@dataclass(frozen=True)
class Talk:
    """How a command speaks: words and progress on stderr, data on stdout."""

    as_json: bool
    quiet: bool
    progress: bool

    def say(self, text: str) -> None:
        """A line of words for a person."""
        if not self.quiet:
            click.echo(text, err=True)

    def data(self, value: Any) -> None:
        """A JSON value on stdout, where it was asked for."""
        if self.as_json:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False))

    @contextmanager
    def bar(self, what: str) -> Iterator[Callable[[float], None] | None]:
        """A function that takes the share done (0 to 1) and draws a bar with the time left, after two seconds."""
        if not self.progress:
            yield None
            return
        from tqdm import tqdm

        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        tqdm.monitor_interval = 0  # no thread that watches the bar: a process with threads cannot be forked
        with tqdm(total=1.0, desc=what, bar_format=form, delay=2.0, leave=False, file=sys.stderr) as drawn:

            def show(share: float) -> None:
                drawn.update(max(0.0, min(1.0, share) - drawn.n))

            yield show


def talking(function: Function) -> Function:
    """The options of every command that reports."""
    for option in (
        click.option(
            "--progress/--no-progress", default=None, help="Draw a progress bar on stderr. [default: on a terminal]"
        ),
        click.option("--quiet", is_flag=True, help="Say nothing but errors."),
        click.option("--json", "as_json", is_flag=True, help="Print a report as JSON on stdout; words go to stderr."),
    ):
        function = option(function)
    return function


def drawing(function: Function) -> Function:
    """The options of every command that draws from a model."""
    for option in (
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where the models run.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(0.0, 4.0),
            default=1.0,
            show_default=True,
            help="How freely expression and sound are drawn; 0 is the mean.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Of every draw: the same seed gives the same bytes."
        ),
    ):
        function = option(function)
    return function


def _controllers(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """Refuses a table of controllers that cannot be used, before anything heavy is loaded."""
    from mididdsp.expression.controller_map import ControllerError, load_controllers

    try:
        load_controllers(text)
    except ControllerError as error:
        raise click.BadParameter(str(error)) from None
    return text


def reading(function: Function) -> Function:
    """The options of every command that reads notes."""
    for option in (
        click.option(
            "--controllers",
            default="gm",
            show_default=True,
            metavar="PRESET|FILE",
            callback=_controllers,
            help="What MIDI controllers mean: gm, library, modelled, mpe, own, or a table (see docs/controllers.md).",
        ),
        click.option(
            "--keyswitches",
            type=click.Choice(["keep", "drop"]),
            default="keep",
            show_default=True,
            help="Play or drop notes that look like key switches of a sample library.",
        ),
        click.option(
            "--unsupported",
            type=click.Choice(["nearest", "skip", "error"]),
            default="nearest",
            show_default=True,
            help="What to do with instruments there is no model of.",
        ),
        click.option(
            "--instrument",
            "instruments",
            multiple=True,
            metavar="PART=NAME|NAME",
            help="Play a part, or all parts, on an instrument. Repeatable; `mididdsp instruments` lists names.",
        ),
    ):
        function = option(function)
    return function


def articulating(function: Function) -> Function:
    """The option of every command that plays articulation marks."""
    return click.option(
        "--articulation",
        type=EXISTING,
        metavar="FILE.toml",
        help="A table of what articulation marks do, in place of our own (see docs/editing.md).",
    )(function)


def selecting(function: Function) -> Function:
    """The options that choose notes of a performance; those of different kinds narrow the choice."""
    for option in (
        click.option("--where", multiple=True, metavar="COND", help="A condition, as vibrato>20c; all must hold."),
        click.option("--marks", multiple=True, metavar="NAME", help="Notes with this articulation. Repeatable."),
        click.option("--pitch", "pitches", metavar="LOW-HIGH", help="Notes of these pitches, as C4-G5."),
        click.option("--note", "notes", multiple=True, metavar="ID", help="A note by its id. Repeatable."),
        click.option("--time", metavar="FROM-TO", help="Notes that begin in this time, s."),
        click.option("--bars", metavar="BARS", help="Notes that begin in these bars, as 3, 3-4 or 3-4,7."),
        click.option("--part", "part", multiple=True, metavar="NAME", help="A part by its name. Repeatable."),
    ):
        function = option(function)
    return function


def _selected(performance: Any, choice: dict[str, Any]) -> Any:
    """The performance with the notes chosen that the options of ``selecting`` name."""
    from mididdsp.expression.quantities import EditError

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in choice.items() if value}
    try:
        return performance.select(**given)
    except EditError as error:
        raise click.UsageError(str(error)) from None


def _rules(path: Path | None) -> Any:
    """The table of articulations in a file, or None for our own."""
    if path is None:
        return None
    from mididdsp.expression.articulation import ArticulationError, load_rules

    try:
        return load_rules(path)
    except ArticulationError as error:
        raise click.BadParameter(str(error), param_hint="--articulation") from None


def _talk(as_json: bool, quiet: bool, progress: bool | None) -> Talk:
    shown = sys.stderr.isatty() and not quiet if progress is None else progress
    return Talk(as_json=as_json, quiet=quiet, progress=shown)


def _given(*names: str) -> list[str]:
    """Which of these parameters the caller wrote, as their options."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [options[name] for name in names if context.get_parameter_source(name) is source]


def _instrument_choices(texts: Sequence[str]) -> dict[str, str]:
    if not texts:
        return {}
    from mididdsp.instruments import instrument

    chosen: dict[str, str] = {}
    for text in texts:
        part, separator, name = text.rpartition("=")
        try:
            chosen[part if separator else "*"] = instrument(name).name
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--instrument") from None
    return chosen


def _checkpoints(names: Sequence[str]) -> dict[str, Path]:
    if not names:
        return {}
    from mididdsp.checkpoints import CheckpointError, read_card, resolve

    chosen: dict[str, Path] = {}
    for name in names:
        try:
            path = resolve(name)
            chosen[str(read_card(path)["level"])] = path
        except CheckpointError as error:
            raise click.BadParameter(str(error), param_hint="--checkpoint") from None
    return chosen


def _performer(device: str, checkpoints: Sequence[str] = ()) -> Performer:
    chosen = _checkpoints(checkpoints)
    from mididdsp.performer import Performer

    try:
        return Performer(
            device=device,
            notes=chosen.get("notes"),
            expression=chosen.get("expression"),
            synthesis=chosen.get("synthesis"),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _check_outputs(source: Path, *outputs: Path | None) -> None:
    """An output is never the input, and saved levels never go into the folder that their input lies in."""
    for output in outputs:
        if output is not None and output.exists() and source.exists() and os.path.samefile(output, source):
            what = "holds the input" if output.is_dir() and source.is_dir() else "is the input"
            raise click.UsageError(f"{output} {what}, and inputs are never written to; choose another output")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """MIDI becomes the sound of real instruments being played: notes, expression, synthesis, audio."""


@cli.command()
@click.argument("source", type=EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with(sources.AUDIO_SUFFIXES, folder=True),
    metavar="FILE|DIR",
    help="The audio file (.wav 24 bit, .flac, .ogg, .opus); a folder when SOURCE is one.",
)
@click.option(
    "--stems", type=click.Path(file_okay=False, path_type=Path), help="Write each part's wet, panned stem here too."
)
@click.option(
    "--save-levels",
    "levels",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the performance and each part's synthesis parameters here; `render` takes them back.",
)
@click.option(
    "--room",
    default=None,
    metavar="none|own|FILE",
    help="The room: none (dry), own, or an impulse response. [default: own]",
)
@click.option(
    "--from", "start_s", type=seconds, default="0", metavar="TIME", help="Start here (seconds or min:sec). [default: 0]"
)
@click.option(
    "--to", "end_s", type=seconds, default=None, metavar="TIME", help="Stop the music here. [default: the end]"
)
@click.option(
    "--tail",
    "tail_s",
    type=tail,
    default="auto",
    metavar="auto|S",
    help="Sound after the last note. [default: auto, until the room dies away]",
)
@click.option(
    "--a4", "a4_hz", type=click.FloatRange(220.0, 880.0), default=440.0, show_default=True, help="Pitch of A4 in Hz."
)
@click.option(
    "--lufs", type=click.FloatRange(-70.0, 0.0), default=None, help="Loudness of the mix, as far as -1 dBTP allows."
)
@click.option("--sample-rate", type=click.IntRange(8_000, 192_000), default=48_000, show_default=True, help="Hz.")
@click.option("--float32", is_flag=True, help="Write WAV as 32-bit float rather than 24 bit.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="NAME|FILE",
    help="Weights other than the shipped ones. Repeatable, one a level.",
)
@reading
@drawing
@talking
def render(
    source: Path,
    output: Path,
    levels: Path | None,
    instruments: tuple[str, ...],
    checkpoints: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Render SOURCE: a MIDI file, a score, a saved performance, saved synthesis parameters, or a folder of them."""
    talk = _talk(as_json, quiet, progress)
    if options["end_s"] is not None and options["end_s"] <= options["start_s"]:
        raise click.UsageError(f"--to ({options['end_s']:g} s) must be after --from ({options['start_s']:g} s)")
    room = options["room"]
    if room not in (None, "none", "own") and not Path(room).is_file():
        raise click.BadParameter(f"there is no file {room!r}; give none, own or an audio file", param_hint="--room")
    kind = sources.kind_of(source)
    saved_levels = kind is sources.Kind.FOLDER and output.suffix.lower() in sources.AUDIO_SUFFIXES
    batch = kind is sources.Kind.FOLDER and not saved_levels
    if not batch and output.suffix.lower() not in sources.AUDIO_SUFFIXES:
        raise click.UsageError(f"{output} names no audio file; choose a suffix of {', '.join(sources.AUDIO_SUFFIXES)}")
    if options["float32"] and not batch and output.suffix.lower() != ".wav":
        raise click.UsageError(f"--float32 is a form of WAV, but {output.name} is not one; leave it out")
    _check_kind(source, kind)
    _check_outputs(source, output, levels, options["stems"])
    if kind in (sources.Kind.PERFORMANCE, sources.Kind.SYNTH):
        _check_outputs(source.parent, levels)
    if room not in (None, "none", "own"):
        _check_outputs(Path(room), output)
    chosen = _instrument_choices(instruments)
    performer = _performer(options.pop("device"), checkpoints)
    if batch:
        _render_folder(performer, source, output, talk, levels=levels, instruments=chosen, **options)
        return
    with talk.bar(source.name) as show:
        report = _render_file(performer, source, output, show, levels=levels, instruments=chosen, **options)
    talk.data(report.to_json())
    for line in report.sentences():
        talk.say(line)


def _check_kind(source: Path, kind: sources.Kind) -> None:
    if kind in (sources.Kind.AUDIO, sources.Kind.UNKNOWN):
        raise WorkError(
            f"{source}: this is no MIDI file, score, saved performance or file of synthesis parameters"
            f" (it looks like a {kind.value}); export it as MIDI or MusicXML"
        )
    if kind in (sources.Kind.PERFORMANCE, sources.Kind.SYNTH):
        wrong = _given("instruments", "unsupported", "keyswitches", "controllers", "temperature", "seed")
        if wrong:
            raise click.UsageError(
                f"{' and '.join(wrong)}: these choices are already made in a {kind.value}; "
                "give the notes, or edit the performance"
            )


def _render_file(
    performer: Performer,
    source: Path,
    output: Path,
    show: Callable[[float], None] | None,
    *,
    levels: Path | None,
    stems: Path | None,
    instruments: dict[str, str],
    unsupported: str,
    keyswitches: str,
    controllers: str,
    seed: int,
    temperature: float,
    float32: bool,
    **how: Any,
) -> Report:
    """Render one file; every output appears whole, or none does."""
    started = time.perf_counter()
    source_value: Any = source
    words: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if sources.kind_of(source) in NOTES:
        reading = performer.read(source, unsupported=unsupported, instruments=instruments, keyswitches=keyswitches)
        source_value = performer.perform(reading, seed=seed, temperature=temperature, controllers=controllers)
        words = (tuple(f"{item.part}: {item.reason}" for item in reading.substitutions), reading.messages)
    prepared = time.perf_counter() - started
    rendering = performer.render(source_value, name=sources.stem_of(source), **how)
    report = rendering.save(output, stems=stems, levels=levels, float32=float32, progress=show)
    total = time.perf_counter() - started
    return replace(
        report,
        source=str(source),
        substitutions=words[0],
        warnings=(*words[1], *report.warnings),
        seconds={"prepare": prepared, **report.seconds, "total": total},
    )


def _render_folder(
    performer: Performer,
    source: Path,
    output: Path,
    talk: Talk,
    *,
    levels: Path | None,
    stems: Path | None,
    **options: Any,
) -> None:
    """Render every file below a folder into the same tree; one that fails does not end the run."""
    if output.exists() and source.resolve() == output.resolve():
        raise click.UsageError(f"{output} is the input folder; choose another output")
    files = [path for path in sources.walk(source) if output.resolve() not in path.resolve().parents]
    if not files:
        raise WorkError(
            f"{source}: there is no MIDI file, saved performance or file of synthesis parameters in this folder"
        )
    reports: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    names: dict[Path, int] = {}
    for path in files:
        place = path.relative_to(source).parent
        name = sources.stem_of(path)
        # a.mid and a.midi in one folder would write the same file: the second keeps its suffix in its name
        names[place / name] = names.get(place / name, 0) + 1
        if names[place / name] > 1:
            name = path.name
        target = output / place / f"{name}.wav"
        try:
            with talk.bar(str(path.relative_to(source))) as show:
                report = _render_file(
                    performer,
                    path,
                    target,
                    show,
                    stems=None if stems is None else stems / place / name,
                    levels=None if levels is None else levels / place,
                    **options,
                )
            reports.append(report.to_json())
            talk.say(f"{path}: {report.sentences()[-1]}")
        except (ValueError, OSError, WorkError) as error:
            failures.append({"source": str(path), "error": _sentence(error)})
            click.echo(f"mididdsp render: {_sentence(error)}", err=True)
    talk.data({"rendered": reports, "failed": failures})
    if failures:
        raise WorkError(f"{len(failures)} of {len(files)} files could not be rendered; the others are in {output}")


@cli.command()
@click.argument("source", type=EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with((sources.PERFORMANCE_SUFFIX,)),
    metavar="FILE",
    help="The performance, NAME.performance.json.",
)
@click.option(
    "--takes",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How many draws; they are numbered in the files' names, with seeds SEED, SEED+1 and so on.",
)
@click.option(
    "--keep",
    type=EXISTING,
    metavar="OLD.performance.json",
    help="Keep the work done on an older version of SOURCE: notes that both have keep values, locks and curves.",
)
@articulating
@click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="NAME|FILE", help="Weights other than the shipped ones."
)
@reading
@drawing
@talking
def perform(
    source: Path,
    output: Path,
    takes: int,
    keep: Path | None,
    articulation: Path | None,
    checkpoints: tuple[str, ...],
    instruments: tuple[str, ...],
    unsupported: str,
    keyswitches: str,
    controllers: str,
    seed: int,
    temperature: float,
    device: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Draw how SOURCE, a MIDI file or a score, is played, as a performance to look at, edit and render."""
    talk = _talk(as_json, quiet, progress)
    kind = sources.kind_of(source)
    if kind not in NOTES:
        raise WorkError(f"{source}: this is no MIDI file and no score (it looks like a {kind.value})")
    _check_outputs(source, output)
    if keep is not None:
        wrong = _given("takes", "seed", "temperature")
        if wrong:
            raise click.UsageError(
                f"{' and '.join(wrong)}: with --keep the old performance decides; leave it out, or use `resample` after"
            )
    chosen = _instrument_choices(instruments)
    rules = _rules(articulation)
    performer = _performer(device, checkpoints)
    from mididdsp.expression.document import load_performance, save_performance

    old = None if keep is None else load_performance(keep)
    reading = performer.read(source, unsupported=unsupported, instruments=chosen, keyswitches=keyswitches)
    kept: list[str] = []
    files = []
    with talk.bar(source.name) as show:
        for take in range(takes):
            stem = str(output)[: -len(sources.PERFORMANCE_SUFFIX)]
            path = output if takes == 1 else Path(f"{stem}.take{take + 1}{sources.PERFORMANCE_SUFFIX}")
            if old is not None:
                performance, revision = performer.revise(reading, old, controllers=controllers, rules=rules)
                kept = revision.sentences()
            else:
                performance = performer.perform(
                    reading, seed=seed + take, temperature=temperature, controllers=controllers, rules=rules
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            save_performance(path, performance)
            files.append(str(path))
            if show:
                show((take + 1) / takes)
    replaced = [f"{item.part}: {item.reason}" for item in reading.substitutions]
    for line in (*replaced, *reading.messages, *kept):
        talk.say(line)
    talk.say(f"{sum(len(part.notes) for part in reading.score.parts)} notes performed: {', '.join(files)}")
    talk.data(
        {
            "source": str(source),
            "files": files,
            "seed": performance.seed,
            "temperature": performance.temperature,
            "kept": kept,
            "parts": [
                {"name": part.name, "instrument": part.instrument, "notes": len(part.notes)}
                for part in reading.score.parts
            ],
            "substitutions": replaced,
            "warnings": list(reading.messages),
        }
    )


@cli.command()
@click.argument("source", type=EXISTING)
@click.argument("assignments", nargs=-1, metavar="[ASSIGNMENT]...")
@click.option(
    "-o",
    "--output",
    type=path_with((sources.PERFORMANCE_SUFFIX,)),
    metavar="FILE",
    help="Write here. [default: SOURCE itself, which can be undone]",
)
@selecting
@click.option("--lock", is_flag=True, help="Keep what is edited (without assignments: everything) from `resample`.")
@click.option("--unlock", is_flag=True, help="Give the chosen notes back to `resample`.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--undo", is_flag=True, help="Take the last edit of SOURCE back.")
@click.option("--redo", is_flag=True, help="Do the edit again that was undone last.")
@click.option("--history", is_flag=True, help="List the edits of SOURCE.")
@articulating
@talking
def edit(
    source: Path,
    assignments: tuple[str, ...],
    output: Path | None,
    lock: bool,
    unlock: bool,
    dry_run: bool,
    undo: bool,
    redo: bool,
    history: bool,
    articulation: Path | None,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
    **choice: Any,
) -> None:
    """Change how chosen notes of SOURCE, a performance, are played: vibrato=60c level+=3dB articulation=staccato ..."""
    talk = _talk(as_json, quiet, progress)
    steps = [name for name, wanted in (("--undo", undo), ("--redo", redo), ("--history", history)) if wanted]
    if steps:
        if len(steps) > 1 or assignments or output or lock or unlock or dry_run or any(choice.values()):
            raise click.UsageError(f"{steps[0]} stands alone; leave the rest out")
        _step(source, steps[0], talk)
        return
    if not (assignments or lock or unlock):
        raise click.UsageError("there is nothing to do; give an assignment, as vibrato=60c, or --lock")
    if lock and unlock:
        raise click.UsageError("--lock and --unlock contradict each other; give one")
    rules = _rules(articulation)
    from dataclasses import asdict

    from mididdsp.expression.articulation import RULES
    from mididdsp.expression.document import load_performance
    from mididdsp.expression.edit import changes
    from mididdsp.expression.history import save_edit
    from mididdsp.expression.quantities import EditError

    before = load_performance(source)
    after = _selected(before, choice)
    if not after.chosen:
        raise WorkError(f"{source}: no note fits the choice; nothing was changed")
    count = len(after.chosen)
    try:
        after = after.edit(*assignments, rules=rules or RULES)
    except EditError as error:
        raise click.UsageError(str(error)) from None
    after = after.lock() if lock else after.unlock() if unlock else after
    rows = changes(before, after)
    if dry_run:
        click.echo(_table(rows), err=as_json)
    else:
        target = output or source
        if output is not None and output.exists() and os.path.samefile(output, source):
            target = source
        words = [*assignments, *(["--lock"] if lock else ["--unlock"] if unlock else [])]
        save_edit(target, after.performance, " ".join(words))
        talk.say(f"{count} notes chosen, {len({row.note_id for row in rows})} changed: {target}")
    talk.data({"source": str(source), "chosen": list(after.chosen), "changes": [asdict(row) for row in rows]})


def _step(source: Path, what: str, talk: Talk) -> None:
    """Undo, redo or list the edits of a performance."""
    from mididdsp.expression import history

    if what == "--history":
        for words, done in history.edits(source):
            click.echo(f"{' ' if done else '-'} {words}")
        return
    words = history.undo(source) if what == "--undo" else history.redo(source)
    talk.say(f"{'undone' if what == '--undo' else 'done again'}: {words}")
    talk.data({"source": str(source), "words": words})


def _table(rows: Sequence[Any]) -> str:
    """Changes as a table: part, bar, pitch, id, what, before and after."""
    from mididdsp.expression.quantities import pitch_name, shown

    def text(row: Any, value: Any) -> str:
        return value if isinstance(value, str) else shown(row.what, value)

    lines = [("part", "bar", "note", "id", "what", "before", "after")]
    lines += [
        (row.part, f"{row.bar}", pitch_name(row.pitch), row.note_id, row.what, text(row, row.before),
         text(row, row.after))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


@cli.command()
@click.argument("source", type=EXISTING)
@click.option(
    "-o",
    "--output",
    type=path_with((sources.PERFORMANCE_SUFFIX,)),
    metavar="FILE",
    help="The performance. [default: one take goes into SOURCE, which can be undone; more are numbered beside it]",
)
@click.option(
    "--unlocked",
    "attributes",
    default="",
    metavar="NAME,...",
    help="Attributes to draw anew, as vibrato,level. [default: all]",
)
@click.option("--takes", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many draws.")
@click.option("--seed", type=int, required=True, help="Of the draws; take N has seed SEED + N - 1.")
@click.option(
    "--temperature",
    type=click.FloatRange(0.0, 4.0),
    default=None,
    help="How freely to draw; 0 is the mean. [default: as the performance was]",
)
@selecting
@articulating
@click.option("--checkpoint", "checkpoints", multiple=True, metavar="NAME|FILE", help="Weights other than the shipped.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@talking
def resample(
    source: Path,
    output: Path | None,
    attributes: str,
    takes: int,
    seed: int,
    temperature: float | None,
    articulation: Path | None,
    checkpoints: tuple[str, ...],
    device: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
    **choice: Any,
) -> None:
    """Draw again how chosen notes of SOURCE, a performance, are played; what is locked or not asked for stays."""
    talk = _talk(as_json, quiet, progress)
    from mididdsp.expression.document import load_performance, save_performance
    from mididdsp.expression.history import save_edit
    from mididdsp.expression.quantities import EditError, named

    names = [name.strip() for name in attributes.split(",") if name.strip()]
    try:
        for name in names:
            named(name)
    except EditError as error:
        raise click.BadParameter(str(error), param_hint="--unlocked") from None
    rules = _rules(articulation)
    before = _selected(load_performance(source), choice)
    if not before.chosen:
        raise WorkError(f"{source}: no note fits the choice; nothing was drawn")
    performer = _performer(device, checkpoints)
    files = []
    for take in range(takes):
        performance = performer.resample(before, names, seed=seed + take, temperature=temperature, rules=rules)
        if takes == 1 and output is None:
            save_edit(source, performance, f"resample {attributes or 'all'} --seed {seed}")
            files.append(str(source))
            continue
        stem = str(output or source)[: -len(sources.PERFORMANCE_SUFFIX)]
        path = output if takes == 1 else Path(f"{stem}.take{take + 1}{sources.PERFORMANCE_SUFFIX}")
        assert path is not None
        _check_outputs(source, path)
        save_performance(path, performance)
        files.append(str(path))
    talk.say(f"{len(before.chosen)} notes drawn again: {', '.join(files)}")
    talk.data({"source": str(source), "files": files, "seed": seed, "chosen": list(before.chosen)})


@cli.command()
@click.argument("source", type=EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with((".png", ".svg", ".pdf")),
    metavar="FILE",
    help="The picture (.png, .svg, .pdf).",
)
@click.option(
    "--from", "start_s", type=seconds, default="0", metavar="TIME", help="Left end (seconds or min:sec). [default: 0]"
)
@click.option("--to", "end_s", type=seconds, default=None, metavar="TIME", help="Right end. [default: the end]")
@drawing
@talking
def plot(
    source: Path,
    output: Path,
    start_s: float,
    end_s: float | None,
    seed: int,
    temperature: float,
    device: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Draw SOURCE: a performance, synthesis parameters, audio; notes are performed first."""
    talk = _talk(as_json, quiet, progress)
    if end_s is not None and end_s <= start_s:
        raise click.UsageError(f"--to ({end_s:g} s) must be after --from ({start_s:g} s)")
    kind = sources.kind_of(source)
    if kind in (sources.Kind.FOLDER, sources.Kind.UNKNOWN):
        raise WorkError(
            f"{source}: a {kind.value} cannot be drawn; give a performance, synthesis parameters, audio or notes"
        )
    _check_outputs(source, output)
    from mididdsp.plots import plot as draw

    value: Any = source
    if kind in NOTES:
        value = _performer(device).perform(source, seed=seed, temperature=temperature)
    draw(value, output, title=source.name, start_s=start_s, end_s=end_s)
    talk.say(f"drawn: {output}")
    talk.data({"source": str(source), "files": [str(output)], "kind": kind.value})


def _performance_file(source: Path) -> None:
    kind = sources.kind_of(source)
    if kind is not sources.Kind.PERFORMANCE:
        raise WorkError(f"{source}: this is no saved performance (it looks like a {kind.value}); perform it first")


@cli.command()
@click.argument("source", type=EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with((".mid", ".midi", ".csv", ".PitchTier", ".pitchtier", ".TextGrid", ".textgrid", ".jams")),
    metavar="FILE",
    help="MIDI with controller lanes (.mid), or a line: .csv (Sonic Visualiser), .PitchTier, .TextGrid, .jams.",
)
@click.option("--mpe", is_flag=True, help="MIDI with a channel for every note that sounds with others.")
@click.option("--part", default=None, help="Whose line. [default: the only part]")
@click.option(
    "--line",
    "target",
    type=click.Choice(["pitch", "level", "gain"]),
    default="pitch",
    show_default=True,
    help="Which line: pitch in Hz, or level or gain in dB.",
)
@talking
def export(
    source: Path,
    output: Path,
    mpe: bool,
    part: str | None,
    target: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Write SOURCE, a saved performance, for other programs: what sounds as MIDI, or one of its lines."""
    talk = _talk(as_json, quiet, progress)
    as_midi = output.suffix.lower() in sources.MIDI_SUFFIXES
    wrong = _given("part", "target") if as_midi else _given("mpe")
    if wrong:
        raise click.UsageError(f"{' and '.join(wrong)} cannot be given with {output.suffix}; leave it out")
    _performance_file(source)
    _check_outputs(source, output)
    from mididdsp.export import export_line, export_midi
    from mididdsp.expression.document import load_performance

    performance = load_performance(source)
    if as_midi:
        export_midi(performance, output, mpe=mpe)
    else:
        export_line(performance, output, part=part, target=target)
    talk.say(f"exported: {output}")
    talk.data({"source": str(source), "files": [str(output)]})


@cli.command("import")
@click.argument("source", type=EXISTING)
@click.argument("given", type=EXISTING, metavar="FILE")
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with((sources.PERFORMANCE_SUFFIX,)),
    metavar="FILE",
    help="The performance with what FILE holds, NAME.performance.json.",
)
@click.option("--part", default=None, help="The part it is for. [default: the only part]")
@click.option(
    "--as",
    "target",
    type=click.Choice(["pitch", "level", "gain", "attributes"]),
    required=True,
    help="A line, or a table of MIDI-DDSP's attributes (CSV).",
)
@click.option("--mode", type=click.Choice(["set", "add"]), default="set", show_default=True, help="How a line acts.")
@talking
def import_(
    source: Path,
    given: Path,
    output: Path,
    part: str | None,
    target: str,
    mode: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Draw the line in FILE (.csv, .PitchTier, .TextGrid, .jams), or a table, into SOURCE, a saved performance."""
    talk = _talk(as_json, quiet, progress)
    _performance_file(source)
    _check_outputs(source, output)
    _check_outputs(given, output)
    from mididdsp.expression.document import load_performance, save_performance
    from mididdsp.expression.interchange import part_of, read_line, with_attribute_table, with_line

    performance = load_performance(source)
    chosen = part_of(performance, part)
    messages: tuple[str, ...] = ()
    if target == "attributes":
        table = with_attribute_table(performance, chosen, given)
        performance, messages = table.performance, table.messages
        done = f"{table.rows} notes of {chosen.name}"
    else:
        performance = with_line(performance, chosen, target, read_line(given, target), mode=mode)
        done = f"{target} of {chosen.name}"
    output.parent.mkdir(parents=True, exist_ok=True)
    save_performance(output, performance)
    for line in messages:
        talk.say(line)
    talk.say(f"imported {done}: {output}")
    talk.data({"source": str(source), "files": [str(output)], "warnings": list(messages)})


@cli.group()
def compose() -> None:
    """Write notes with the prior over notes: what you give stays, the rest is drawn, take by take."""


def composing(function: Function) -> Function:
    """The options of every compose command."""
    for option in (
        click.option(
            "--checkpoint", "checkpoints", multiple=True, metavar="NAME|FILE", help="Weights other than the shipped."
        ),
        click.option("--passes", type=click.IntRange(1, 4096), default=None, help="Of the network, per take."),
        click.option(
            "--method",
            type=click.Choice(["gibbs", "unmask"]),
            default="gibbs",
            show_default=True,
            help="Draw cells again and again, or each of them once.",
        ),
        click.option(
            "--parallels",
            type=click.Choice(["filter", "report"]),
            default="filter",
            show_default=True,
            help="Mend parallel fifths and octaves, or only count them.",
        ),
        click.option(
            "--pickup", type=click.FloatRange(0.0), default=None, metavar="QUARTERS", help="Length of a pickup."
        ),
        click.option(
            "--cadence",
            "cadences",
            multiple=True,
            metavar="BAR[:KIND]",
            help="A phrase ends in this bar: authentic (the default), half or plagal. Repeatable.",
        ),
        click.option("--chords", default="", metavar="TEXT", help='A guide: "C | F G7 | Am C/E | %".'),
        click.option("--key", "key_name", default=None, help='Such as "D minor". [default: the file\'s, or as heard]'),
        click.option(
            "--ensemble",
            type=click.Choice(["string-quartet", "woodwind", "brass", "saxophones", "mixed", "file"]),
            default=None,
            help="Who plays; file keeps the file's instruments. [default: string-quartet for new pieces, else file]",
        ),
        click.option(
            "--render", "render_to", type=path_with(sources.AUDIO_SUFFIXES), metavar="FILE", help="Perform it too."
        ),
        click.option(
            "--takes",
            type=click.IntRange(1, 1000),
            default=1,
            show_default=True,
            help="How many; they have the seeds SEED, SEED+1 and so on.",
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where the models run.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(0.0, 4.0, min_open=True),
            default=1.0,
            show_default=True,
            help="How surprising the notes are.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same notes."),
        click.option(
            "-o",
            "--output",
            required=True,
            type=path_with((*_MIDI_OUT, *_NOTATION_OUT)),
            metavar="FILE",
            help="MIDI (.mid) or MusicXML (.musicxml).",
        ),
    ):
        function = option(function)
    return talking(function)


def from_file(function: Function) -> Function:
    """The options of compose commands that begin with a file."""
    for option in (
        click.option("--keep-rhythm", is_flag=True, help="Draw new pitches for notes of the file, not new lengths."),
        click.option(
            "--lock",
            "locks",
            multiple=True,
            metavar="[VOICES:]BARS|VOICES",
            help="Keep these: bass, 5-8, alto,tenor:5-8. Repeatable.",
        ),
        click.option(
            "--given",
            default=None,
            metavar="VOICES",
            help="Which voices the file's parts are, such as soprano,bass. [default: by their height]",
        ),
    ):
        function = option(function)
    return function


@compose.command()
@click.argument("source", type=EXISTING)
@click.option("--voices", default="soprano,alto,tenor,bass", show_default=True, help="Of the result.")
@from_file
@composing
def harmonize(source: Path, voices: str, **options: Any) -> None:
    """Add the other voices to a melody, or to any voices that SOURCE holds."""
    _compose("harmonize", source, {"voices": _voices(voices)}, **options)


@compose.command()
@click.argument("source", type=EXISTING)
@click.option("--bars", default=None, metavar="A-B", help="To write. [default: all]")
@click.option("--voices", default=None, help="To write, such as alto,tenor. [default: all]")
@from_file
@composing
def infill(source: Path, bars: str | None, voices: str | None, **options: Any) -> None:
    """Write some bars of some voices of SOURCE anew."""
    from mididdsp.notes.wishes import parse_bars

    how: dict[str, Any] = {"open_voices": _voices(voices)}
    how["bars"] = None if bars is None else _parsed(parse_bars, bars)
    _compose("infill", source, how, **options)


@compose.command(name="continue")
@click.argument("source", type=EXISTING)
@click.option("--bars", type=click.IntRange(1, 1000), required=True, help="To write.")
@from_file
@composing
def continue_piece(source: Path, bars: int, **options: Any) -> None:
    """Write bars after the end of SOURCE."""
    _compose("continue", source, {"bars": bars}, **options)


@compose.command()
@click.option("--bars", type=click.IntRange(1, 1000), default=16, show_default=True, help="To write.")
@click.option("--meter", default="4/4", show_default=True, help="Such as 3/4.")
@click.option("--bpm", type=click.FloatRange(10.0, 400.0), default=90.0, show_default=True, help="Quarters a minute.")
@click.option("--voices", default="soprano,alto,tenor,bass", show_default=True, help="Of the piece.")
@composing
def generate(bars: int, meter: str, bpm: float, voices: str, **options: Any) -> None:
    """Write a piece from nothing."""
    numerator, slash, denominator = meter.partition("/")
    if not (slash and numerator.isdigit() and denominator.isdigit()):
        raise click.BadParameter(f"{meter!r} is no meter; write it like 3/4", param_hint="--meter")
    how = {"bars": bars, "meter": (int(numerator), int(denominator)), "bpm": bpm, "voices": _voices(voices)}
    _compose("generate", None, how, given=None, locks=(), keep_rhythm=False, **options)


@compose.command()
@click.argument("source", type=EXISTING)
@click.option("--amount", type=click.FloatRange(0.0, 1.0), default=0.2, show_default=True, help="Share of new notes.")
@from_file
@composing
def vary(source: Path, amount: float, **options: Any) -> None:
    """Write a share of the notes of SOURCE anew, other ones in each take."""
    _compose("vary", source, {"amount": amount}, **options)


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _voices(text: str | None) -> Any:
    from mididdsp.notes.wishes import parse_voices

    return None if text is None else _parsed(parse_voices, text)


def _compose(
    task: str,
    source: Path | None,
    how: dict[str, Any],
    *,
    output: Path,
    given: str | None,
    locks: tuple[str, ...],
    cadences: tuple[str, ...],
    key_name: str | None,
    chords: str,
    ensemble: str | None,
    passes: int | None,
    seed: int,
    temperature: float,
    device: str,
    takes: int,
    render_to: Path | None,
    checkpoints: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    progress: bool | None,
    **wished: Any,
) -> None:
    """Compose, write every take, and perform it where that is asked for."""
    from mididdsp.notes.chords import parse_chords
    from mididdsp.notes.keys import parse_key
    from mididdsp.notes.wishes import PASSES, Wishes, parse_cadence, parse_lock

    talk = _talk(as_json, quiet, progress)
    if chords:
        _parsed(parse_chords, chords)
    new = task in ("harmonize", "generate")
    wishes = Wishes(
        key=None if key_name is None else _parsed(parse_key, key_name),
        chords=chords,
        cadences=tuple(_parsed(parse_cadence, text) for text in cadences),
        locks=tuple(_parsed(parse_lock, text) for text in locks),
        ensemble=ensemble or ("string-quartet" if new else "file"),
        temperature=temperature,
        passes=passes or PASSES,
        **wished,
    )
    if source is not None:
        kind = sources.kind_of(source)
        if kind not in NOTES:
            raise WorkError(
                f"{source}: it holds no notes that can be read (it looks like a {kind.value}); give MIDI or a score"
            )
        _check_outputs(source, output, render_to)
        how["given"] = _voices(given)
    performer = _performer(device, checkpoints)
    with talk.bar(task) as show:
        drawn = performer.compose(task, source, wishes=wishes, takes=takes, seed=seed, progress=show, **how)
    reports = []
    for number, take in enumerate(drawn, start=1):
        path = output if takes == 1 else output.with_suffix(f".take{number}{output.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_notes(take, path)
        talk.say(f"{path} (seed {take.seed})\n{take.report.table()}")
        report = {"file": str(path), "seed": take.seed, **take.report.to_json()}
        if render_to is not None:
            sound = render_to if takes == 1 else render_to.with_suffix(f".take{number}{render_to.suffix}")
            started = time.perf_counter()
            with talk.bar(sound.name) as show:
                rendered = performer.render(take.score, seed=seed, name=sound.stem).save(sound, progress=show)
            rendered = replace(rendered, seconds={**rendered.seconds, "total": time.perf_counter() - started})
            report["audio"] = rendered.to_json()
            talk.say(rendered.sentences()[-1])
        reports.append(report)
    for line in drawn[0].report.messages:
        talk.say(line)
    talk.data({"task": task, "source": None if source is None else str(source), "takes": reports})


def _write_notes(take: Take, path: Path) -> None:
    if path.suffix.lower() in _NOTATION_OUT:
        from mididdsp.notes.musicxml import write_musicxml

        write_musicxml(take.score, take.grid, path)
        return
    from mididdsp.notes.midi import write_midi

    write_midi(take.score, path)


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The data set, a folder."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Processes that analyse side by side."
)
@talking
def prepare(folder: Path, output: Path, workers: int, as_json: bool, quiet: bool, progress: bool | None) -> None:
    """Analyse the recordings in FOLDER into a training set; a call that was stopped goes on where it was."""
    talk = _talk(as_json, quiet, progress)
    if output.exists() and os.path.samefile(folder, output):
        raise click.UsageError(f"{output} is the folder of recordings; choose another output")
    from mididdsp.data.notes_dataset import prepare as analyse

    output.mkdir(parents=True, exist_ok=True)
    report = analyse(folder, output, workers=workers, progress=talk.progress)
    kept = sum(report["kept"].values())
    talk.say(f"{kept} of {report['recordings']} recordings are in {output}")
    talk.data(report)


@cli.command()
@talking
def instruments(as_json: bool, quiet: bool, progress: bool | None) -> None:
    """List the instruments: name, General MIDI programs (from 0), sounding range."""
    from dataclasses import asdict

    from mididdsp.instruments import INSTRUMENTS

    if as_json:
        click.echo(
            json.dumps([asdict(item) for item in INSTRUMENTS.values()], indent=2, ensure_ascii=False, default=list)
        )
        return
    for item in INSTRUMENTS.values():
        programs = ", ".join(map(str, item.programs)) or "by name"
        click.echo(f"{item.name:15} {item.family:9} programs {programs:12} MIDI {item.low}-{item.high}")


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("level", type=click.Choice(["notes", "expression", "synthesis"]))
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[KEY=VALUE]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run; the same as out=FOLDER.",
)
@talking
def train(
    level: str, overrides: tuple[str, ...], output: Path | None, as_json: bool, quiet: bool, progress: bool | None
) -> None:
    """Train the model of LEVEL, or continue the run in its folder. Settings are KEY=VALUE (see configs/LEVEL)."""
    from mididdsp.training.recipes import RecipeError
    from mididdsp.training.recipes import train as train_level

    talk = _talk(as_json, quiet, progress)
    try:
        folder = train_level(level, overrides, out=output, quiet=quiet)
    except RecipeError as error:
        raise click.UsageError(str(error)) from None
    talk.say(f"trained: {folder}")
    if as_json:
        from mididdsp.checkpoints import read_card

        talk.data({"checkpoint": str(folder), "card": read_card(folder)})


@cli.command()
@talking
def version(as_json: bool, quiet: bool, progress: bool | None) -> None:
    """Print the versions of the package, of Python and of the shipped weights."""
    import platform

    import mididdsp
    from mididdsp.checkpoints import LEVELS, MODEL_FILE, read_card, shipped

    weights = {level: read_card(shipped(level)) for level in LEVELS if (shipped(level) / MODEL_FILE).exists()}
    if as_json:
        click.echo(
            json.dumps(
                {"mididdsp": mididdsp.__version__, "python": platform.python_version(), "weights": weights}, indent=2
            )
        )
        return
    click.echo(f"mididdsp {mididdsp.__version__}, Python {platform.python_version()}")
    for level, card in weights.items():
        click.echo(f"{level} weights: {card['recipe']}, {card['licence']}")


def _sentence(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _stop(signum: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; everything that goes wrong becomes one sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(["mididdsp", *words[:1]]) if words and words[0] in cli.commands else "mididdsp"
    try:
        cli.main(args=words, prog_name="mididdsp", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_CALL
    except click.ClickException as error:
        click.echo(f"{name}: {' '.join(error.format_message().split())}", err=True)
        return WRONG_CALL
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{name}: stopped; nothing was left half-written", err=True)
        return STOPPED
    except (WorkError, ValueError, OSError) as error:
        click.echo(f"{name}: {_sentence(error)}", err=True)
        return FAILED
    except MemoryError:
        click.echo(f"{name}: there is not enough memory", err=True)
        return FAILED
    except Exception as error:  # a traceback helps no musician; the kind of error helps who mends it
        click.echo(
            f"{name}: an unexpected {type(error).__name__} ({_sentence(error)}); please report it with the input",
            err=True,
        )
        return FAILED
    return 0


def main() -> None:
    """Entry point of the installed command."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our stdout went away, as `head` does; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)


if __name__ == "__main__":
    main()
