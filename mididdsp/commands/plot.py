"""``mididdsp plot``: a picture of any level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mididdsp import sources
from mididdsp.commands.common import (
    EXISTING,
    NOTES,
    WorkError,
    check_outputs,
    drawing,
    open_performer,
    options_given,
    path_with,
    seconds,
    talk_with,
    talking,
)


@click.command()
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
@click.option("--part", default=None, metavar="NAME", help="Of a performance, draw this part alone.")
@drawing
@talking
def plot(
    source: Path,
    output: Path,
    start_s: float,
    end_s: float | None,
    part: str | None,
    seed: int,
    temperature: float,
    device: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Draw SOURCE: a performance, synthesis parameters, audio; notes are performed first."""
    talk = talk_with(as_json, quiet, progress)
    if end_s is not None and end_s <= start_s:
        raise click.UsageError(f"--to ({end_s:g} s) must be after --from ({start_s:g} s)")
    kind = sources.kind_of(source)
    if kind is sources.Kind.UNKNOWN:
        raise WorkError(
            f"{source}: a {kind.value} cannot be drawn; give a performance, synthesis parameters, audio or notes"
        )
    wrong = [] if kind in NOTES else options_given("seed", "temperature")
    if wrong:
        raise click.UsageError(f"{' and '.join(wrong)}: only notes are performed first, and {kind.looks}; leave it out")
    check_outputs(source, output)
    from mididdsp.plots import plot as draw

    value: Any = source
    if kind in NOTES:
        value = open_performer(device).perform(source, seed=seed, temperature=temperature)
    draw(value, output, title=source.name, start_s=start_s, end_s=end_s, part=part)
    talk.say(f"drawn: {output}")
    talk.data({"source": str(source), "files": [str(output)], "kind": kind.value})
