"""``mididdsp train``: training sets become weights."""

from __future__ import annotations

from pathlib import Path

import click

from mididdsp.commands.common import talk_with, talking


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("level", type=click.Choice(["notes", "expression", "synthesis", "autoencoder"]))
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
