"""``mididdsp prepare`` and ``train``: recordings become training sets, and these become weights."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mididdsp.commands.common import talk_with, talking


@click.command()
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
    talk = talk_with(as_json, quiet, progress)
    if output.exists() and os.path.samefile(folder, output):
        raise click.UsageError(f"{output} is the folder of recordings; choose another output")
    from mididdsp.data.notes_dataset import prepare as analyse

    output.mkdir(parents=True, exist_ok=True)
    report = analyse(folder, output, workers=workers, progress=talk.progress)
    kept = sum(report["kept"].values())
    talk.say(f"{kept} of {report['recordings']} recordings are in {output}")
    talk.data(report)


@click.command(context_settings={"ignore_unknown_options": True})
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

    talk = talk_with(as_json, quiet, progress)
    try:
        folder = train_level(level, overrides, out=output, quiet=quiet)
    except RecipeError as error:
        raise click.UsageError(str(error)) from None
    talk.say(f"trained: {folder}")
    if as_json:
        from mididdsp.checkpoints import read_card

        talk.data({"checkpoint": str(folder), "card": read_card(folder)})
