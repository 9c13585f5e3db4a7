"""What the commands share: options, words and progress, files that are checked before anything heavy is loaded."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mididdsp import sources

if TYPE_CHECKING:
    from mididdsp.performer import Performer

FAILED, WRONG_CALL, STOPPED = 1, 2, 130

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


def room(text: str) -> str:
    """``none``, ``own``, or a file with an impulse response."""
    if text not in ("none", "own") and not Path(text).is_file():
        raise click.BadParameter(f"there is no file {text!r}; give none, own or an audio file")
    return text


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


EXISTING = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
"""A file that is read; only ``render`` takes folders too."""


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


DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the models run.",
)

CHECKPOINTS = click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="NAME|FILE",
    help="Weights other than the shipped ones. Repeatable, one a level.",
)


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


class NumberRange(click.FloatRange):
    """A number within bounds; click lets ``nan`` through, which is neither above nor below any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        return self.fail(f"{value} is no number.", param, ctx) if math.isnan(number) else number


def drawing(function: Function) -> Function:
    """The options of every command that draws from a model."""
    for option in (
        DEVICE,
        click.option(
            "--temperature",
            type=NumberRange(0.0, 4.0),
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


def selected(performance: Any, choice: dict[str, Any]) -> Any:
    """The performance with the notes chosen that the options of ``selecting`` name."""
    from mididdsp.expression.quantities import EditError

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in choice.items() if value}
    try:
        return performance.select(**given)
    except EditError as error:
        raise click.UsageError(str(error)) from None


def articulation_rules(path: Path | None) -> Any:
    """The table of articulations in a file, or None for our own."""
    if path is None:
        return None
    from mididdsp.expression.articulation import ArticulationError, load_rules

    try:
        return load_rules(path)
    except ArticulationError as error:
        raise click.BadParameter(str(error), param_hint="--articulation") from None


def talk_with(as_json: bool, quiet: bool, progress: bool | None) -> Talk:
    """How a command speaks that was given the options of ``talking``."""
    shown = sys.stderr.isatty() and not quiet if progress is None else progress
    return Talk(as_json=as_json, quiet=quiet, progress=shown)


def options_given(*names: str) -> list[str]:
    """Which of these parameters the caller wrote, as their options."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [options[name] for name in names if context.get_parameter_source(name) is source]


def known_instrument(name: str, option: str = "--instrument") -> str:
    """The table's own name of the instrument that an option asks for."""
    from mididdsp.instruments import instrument

    try:
        return instrument(name).name
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def instrument_choices(texts: Sequence[str]) -> dict[str, str]:
    """Part name, or ``*`` for all, to instrument."""
    chosen: dict[str, str] = {}
    for text in texts:
        part, separator, name = text.rpartition("=")
        chosen[part if separator else "*"] = known_instrument(name)
    return chosen


def checkpoint_choices(names: Sequence[str], levels: Sequence[str]) -> dict[str, list[Path]]:
    """The checkpoints named, by level; of the synthesis level there may be several (learned instruments).

    One of a level that the command does not use is a wrong call: nothing would be heard of it.
    """
    if not names:
        return {}
    from mididdsp.checkpoints import CheckpointError, read_card, resolve

    chosen: dict[str, list[Path]] = {}
    for name in names:
        try:
            path = resolve(name)
            level = str(read_card(path)["level"])
        except CheckpointError as error:
            raise click.BadParameter(str(error), param_hint="--checkpoint") from None
        if level not in levels:
            raise click.BadParameter(f"{name} is a checkpoint of the {level} level, which is not used here; "
                                     f"give one of {' or '.join(levels)}", param_hint="--checkpoint")
        chosen.setdefault(level, []).append(path)
    return chosen


PERFORMING = ("expression", "synthesis")
"""Levels whose models play; what players of learned instruments do is in a checkpoint of the second."""

COMPOSING = ("notes", *PERFORMING)
"""Levels whose models write notes and play them."""


def open_performer(device: str, checkpoints: Sequence[str] = (), levels: Sequence[str] = PERFORMING) -> Performer:
    """The performer of a command: on a device, with the checkpoints named, of these levels."""
    chosen = checkpoint_choices(checkpoints, levels)
    from mididdsp.performer import Performer

    try:
        return Performer(
            device=device,
            notes=chosen["notes"][-1] if "notes" in chosen else None,
            expression=chosen["expression"][-1] if "expression" in chosen else None,
            synthesis=chosen.get("synthesis"),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def check_outputs(source: Path, *outputs: Path | None) -> None:
    """An output is never the input, and saved levels never go into the folder that their input lies in."""
    for output in outputs:
        if output is not None and output.exists() and source.exists() and os.path.samefile(output, source):
            what = "holds the input" if output.is_dir() and source.is_dir() else "is the input"
            raise click.UsageError(f"{output} {what}, and inputs are never written to; choose another output")


def check_form(output: Path, sample_rate: int) -> None:
    """Opus has few sample rates; another is a wrong call, known before any work."""
    from mididdsp.audio_files import AudioFileError, check_output

    try:
        check_output(output, sample_rate)
    except AudioFileError as error:
        raise click.BadParameter(str(error), param_hint="--sample-rate") from None


def check_kind(source: Path, kind: sources.Kind) -> None:
    """What is rendered can be rendered, and no option asks for what was decided when a level was saved."""
    if kind in (sources.Kind.AUDIO, sources.Kind.UNKNOWN):
        raise WorkError(
            f"{source}: this is no MIDI file, score, saved performance or file of synthesis parameters"
            f" ({kind.looks}); export it as MIDI or MusicXML"
        )
    if kind in (sources.Kind.PERFORMANCE, sources.Kind.SYNTH):
        recast = (
            ()
            if kind is sources.Kind.PERFORMANCE and click.get_current_context().info_name == "render"
            else ("instruments",)
        )
        wrong = options_given(*recast, "unsupported", "keyswitches", "controllers", "temperature", "seed")
        if wrong:
            raise click.UsageError(
                f"{' and '.join(wrong)}: these choices are already made in a {kind.value}; "
                "give the notes, or edit the performance"
            )


def check_performance_file(source: Path) -> None:
    """Refuses what is no saved performance, before it is parsed as one."""
    kind = sources.kind_of(source)
    if kind is not sources.Kind.PERFORMANCE:
        raise WorkError(f"{source}: this is no saved performance ({kind.looks}); perform it first")


def sentence(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    return text or type(error).__name__
