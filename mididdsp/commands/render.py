"""``mididdsp render``: notes, a performance or synthesis parameters become audio."""

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
    NOTES,
    NumberRange,
    Talk,
    WorkError,
    check_form,
    check_kind,
    check_outputs,
    drawing,
    instrument_choices,
    open_performer,
    path_with,
    reading,
    room,
    seconds,
    sentence,
    tail,
    talk_with,
    talking,
)

if TYPE_CHECKING:
    from mididdsp.performer import Performer
    from mididdsp.report import Report


@click.command()
@click.argument("source", type=click.Path(exists=True, readable=True, path_type=Path))
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
    type=room,
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
    "--a4", "a4_hz", type=NumberRange(100.0, 1_000.0), default=None,
    help="Pitch of A4 in Hz. [default: the performance's own; 440]",
)
@click.option(
    "--lufs", type=NumberRange(-70.0, 0.0), default=None, help="Loudness of the mix, as far as -1 dBTP allows."
)
@click.option("--sample-rate", type=click.IntRange(8_000, 192_000), default=48_000, show_default=True, help="Hz.")
@click.option("--float32", is_flag=True, help="Write WAV as 32-bit float rather than 24 bit.")
@CHECKPOINTS
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
    talk = talk_with(as_json, quiet, progress)
    if options["end_s"] is not None and options["end_s"] <= options["start_s"]:
        raise click.UsageError(f"--to ({options['end_s']:g} s) must be after --from ({options['start_s']:g} s)")
    kind = sources.kind_of(source)
    saved_levels = kind is sources.Kind.FOLDER and output.suffix.lower() in sources.AUDIO_SUFFIXES
    batch = kind is sources.Kind.FOLDER and not saved_levels
    if not batch and output.suffix.lower() not in sources.AUDIO_SUFFIXES:
        raise click.UsageError(f"{output} names no audio file; choose a suffix of {', '.join(sources.AUDIO_SUFFIXES)}")
    if options["float32"] and not batch and output.suffix.lower() != ".wav":
        raise click.UsageError(f"--float32 is a form of WAV, but {output.name} is not one; leave it out")
    check_kind(source, kind)
    if not batch:
        check_form(output, options["sample_rate"])
    check_outputs(source, output, levels, options["stems"])
    if kind in (sources.Kind.PERFORMANCE, sources.Kind.SYNTH):
        check_outputs(source.parent, levels)
    if options["room"] not in (None, "none", "own"):
        check_outputs(Path(options["room"]), output)
    chosen = instrument_choices(instruments)
    performer = open_performer(options.pop("device"), checkpoints)
    if batch:
        _render_folder(performer, source, output, talk, levels=levels, instruments=chosen, **options)
        return
    with talk.bar(source.name) as show:
        report = _render_file(performer, source, output, show, levels=levels, instruments=chosen, **options)
    talk.data(report.to_json())
    for line in report.sentences():
        talk.say(line)


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
        words = (tuple(item.reason for item in reading.substitutions), reading.messages)
    elif instruments and sources.kind_of(source) is sources.Kind.PERFORMANCE:
        from mididdsp.expression.document import load_performance

        source_value, warnings = performer.recast(load_performance(source), instruments)
        words = ((), warnings)
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
            talk.say(report.sentences()[-1])
        except (ValueError, OSError, WorkError) as error:
            failures.append({"source": str(path), "error": sentence(error)})
            click.echo(f"mididdsp render: {sentence(error)}", err=True)
    talk.data({"rendered": reports, "failed": failures})
    if failures:
        raise WorkError(f"{len(failures)} of {len(files)} files could not be rendered; the others are in {output}")
