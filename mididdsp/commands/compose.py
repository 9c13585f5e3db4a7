"""``mididdsp compose``: the prior over notes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mididdsp import sources
from mididdsp.commands.common import (
    CHECKPOINTS,
    COMPOSING,
    DEVICE,
    EXISTING,
    NOTES,
    Function,
    NumberRange,
    WorkError,
    check_outputs,
    checkpoint_choices,
    open_performer,
    path_with,
    talk_with,
    talking,
)

if TYPE_CHECKING:
    from mididdsp.notes.compose import Take

_MIDI_OUT, _NOTATION_OUT = (".mid", ".midi"), (".musicxml", ".xml")
"""What compose writes."""


@click.group()
def compose() -> None:
    """Write notes with the prior over notes: what you give stays, the rest is drawn, take by take."""


def composing(function: Function) -> Function:
    """The options of every compose command."""
    for option in (
        CHECKPOINTS,
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
            "--pickup", type=NumberRange(0.0), default=None, metavar="QUARTERS", help="Length of a pickup."
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
        DEVICE,
        click.option(
            "--temperature",
            type=NumberRange(0.0, 4.0, min_open=True),
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
@click.option("--voices", default=None, help="Of the result, such as soprano,bass. [default: all]")
@from_file
@composing
def harmonize(source: Path, voices: str | None, **options: Any) -> None:
    """Add the other voices to a melody, or to any voices that SOURCE holds."""
    _compose("harmonize", source, {}, voices=("voices", voices), **options)


@compose.command()
@click.argument("source", type=EXISTING)
@click.option("--bars", default=None, metavar="A-B", help="To write. [default: all]")
@click.option("--voices", default=None, help="To write, such as alto,tenor. [default: all]")
@from_file
@composing
def infill(source: Path, bars: str | None, voices: str | None, **options: Any) -> None:
    """Write some bars of some voices of SOURCE anew."""
    from mididdsp.notes.wishes import parse_bars

    how = {"bars": None if bars is None else _parsed(parse_bars, bars)}
    _compose("infill", source, how, voices=("open_voices", voices), **options)


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
@click.option("--bpm", type=NumberRange(10.0, 400.0), default=90.0, show_default=True, help="Quarters a minute.")
@click.option("--voices", default=None, help="Of the piece, such as soprano,bass. [default: all]")
@composing
def generate(bars: int, meter: str, bpm: float, voices: str | None, **options: Any) -> None:
    """Write a piece from nothing."""
    numerator, slash, denominator = meter.partition("/")
    if not (slash and numerator.isdigit() and denominator.isdigit()):
        raise click.BadParameter(f"{meter!r} is no meter; write it like 3/4", param_hint="--meter")
    how = {"bars": bars, "meter": (int(numerator), int(denominator)), "bpm": bpm}
    _compose("generate", None, how, voices=("voices", voices), given=None, locks=(), keep_rhythm=False, **options)


@compose.command()
@click.argument("source", type=EXISTING)
@click.option("--amount", type=NumberRange(0.0, 1.0), default=0.2, show_default=True, help="Share of new notes.")
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


def _names(checkpoints: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the voices that the prior has, from its card: the weights are not read yet."""
    from mididdsp.checkpoints import CheckpointError, read_card, shipped
    from mididdsp.notes.wishes import ComposeError, voice_names

    chosen = checkpoint_choices(checkpoints, COMPOSING).get("notes")
    try:
        return voice_names(int(read_card(chosen[-1] if chosen else shipped("notes"), level="notes")["model"]["voices"]))
    except (CheckpointError, ComposeError) as error:
        raise WorkError(str(error)) from None


def _compose(
    task: str,
    source: Path | None,
    how: dict[str, Any],
    *,
    output: Path,
    voices: tuple[str, str | None] | None = None,
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
    """Compose, write every take, and perform it where that is asked for.

    ``voices`` is what the task calls them, and the user's words for them.
    """
    from mididdsp.notes.chords import parse_chords
    from mididdsp.notes.keys import parse_key
    from mididdsp.notes.wishes import PASSES, Wishes, parse_cadence, parse_lock, parse_voices

    talk = talk_with(as_json, quiet, progress)
    if chords:
        _parsed(parse_chords, chords)
    new = task in ("harmonize", "generate")
    names = _names(checkpoints)

    def numbers(text: str | None) -> tuple[int, ...] | None:
        return None if text is None else _parsed(lambda words: parse_voices(words, names), text)

    if voices is not None:
        how[voices[0]] = numbers(voices[1])
    wishes = Wishes(
        key=None if key_name is None else _parsed(parse_key, key_name),
        chords=chords,
        cadences=tuple(_parsed(parse_cadence, text) for text in cadences),
        locks=tuple(_parsed(lambda words: parse_lock(words, names), text) for text in locks),
        ensemble=ensemble or ("string-quartet" if new else "file"),
        temperature=temperature,
        passes=passes or PASSES,
        **wished,
    )
    if source is not None:
        kind = sources.kind_of(source)
        if kind not in NOTES:
            raise WorkError(
                f"{source}: it holds no notes that can be read ({kind.looks}); give MIDI or a score"
            )
        check_outputs(source, output, render_to)
        how["given"] = numbers(given)
    performer = open_performer(device, checkpoints, COMPOSING)
    with talk.bar(task) as show:
        drawn = performer.compose(task, source, wishes=wishes, takes=takes, seed=seed, progress=show, **how)
    reports = []
    for number, take in enumerate(drawn, start=1):
        path = output if takes == 1 else output.with_suffix(f".take{number}{output.suffix}")
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
