"""``mididdsp export`` and ``import``: performances and lines of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from mididdsp import sources
from mididdsp.commands.common import (
    EXISTING,
    check_outputs,
    check_performance_file,
    options_given,
    path_with,
    talk_with,
    talking,
)


def _line(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """Refuses what names no line, before anything is read."""
    from mididdsp.expression.quantities import EditError, line_named

    if text == "attributes" and parameter.opts == ["--as"]:
        return text
    try:
        target, band = line_named(text)
    except EditError as error:
        raise click.BadParameter(str(error)) from None
    if target == "partials" and band is None:
        raise click.BadParameter("say which partials, as partials.5-12")
    return text


@click.command()
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
    callback=_line,
    default="pitch",
    show_default=True,
    metavar="NAME",
    help="Which line: pitch in Hz, or level, gain, noise or a band of partials (partials.5-12) in dB.",
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
    talk = talk_with(as_json, quiet, progress)
    as_midi = output.suffix.lower() in sources.MIDI_SUFFIXES
    wrong = options_given("part", "target") if as_midi else options_given("mpe")
    if wrong:
        raise click.UsageError(f"{' and '.join(wrong)} cannot be given with {output.suffix}; leave it out")
    check_performance_file(source)
    check_outputs(source, output)
    from mididdsp.export import export_line, export_midi
    from mididdsp.expression.document import load_performance

    performance = load_performance(source)
    if as_midi:
        export_midi(performance, output, mpe=mpe)
    else:
        export_line(performance, output, part=part, target=target)
    silent = as_midi and any(curve.target in ("noise", "partials") for curve in performance.curves)
    if silent:
        talk.say("curves of noise and partials have no controller and are not in the MIDI file")
    talk.say(f"exported: {output}")
    talk.data({"source": str(source), "files": [str(output)]})


@click.command("import")
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
    callback=_line,
    required=True,
    metavar="NAME",
    help="A line (pitch, level, gain, noise, partials.5-12), or `attributes`, a table of MIDI-DDSP's (CSV).",
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
    talk = talk_with(as_json, quiet, progress)
    check_performance_file(source)
    check_outputs(source, output)
    check_outputs(given, output)
    from mididdsp.expression.attribute_tables import with_attribute_table
    from mididdsp.expression.document import load_performance, save_performance
    from mididdsp.expression.line_files import read_line
    from mididdsp.expression.lines import part_of, with_line

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
    save_performance(output, performance)
    for line in messages:
        talk.say(line)
    talk.say(f"imported {done}: {output}")
    talk.data({"source": str(source), "files": [str(output)], "warnings": list(messages)})
