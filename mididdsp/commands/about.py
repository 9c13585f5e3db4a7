"""``mididdsp instruments`` and ``version``: what there is."""

from __future__ import annotations

import json

import click

from mididdsp.commands.common import talking


@click.command()
@talking
def instruments(as_json: bool, quiet: bool, progress: bool | None) -> None:
    """List the instruments: name, General MIDI programs (from 0), sounding range; and those learned by `learn`."""
    from dataclasses import asdict

    from mididdsp.checkpoints import CheckpointError, read_card
    from mididdsp.instruments import INSTRUMENTS
    from mididdsp.user_data import instrument_path, learned_names

    if as_json:
        click.echo(
            json.dumps([asdict(item) for item in INSTRUMENTS.values()], indent=2, ensure_ascii=False, default=list)
        )
        return
    for item in INSTRUMENTS.values():
        programs = ", ".join(map(str, item.programs)) or "by name"
        click.echo(f"{item.name:15} {item.family:9} programs {programs:15} MIDI {item.low}-{item.high}")
    for name in learned_names():
        try:
            card = read_card(instrument_path(name), level="synthesis")
        except CheckpointError as error:
            click.echo(f"{name}: {error}", err=True)
            continue
        click.echo(f"{name:15} {card.get('instrument')}, learned from {card['data'].get('name')}: --checkpoint {name}")


@click.command()
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
        loss = card["figures"]["valid"]["loss"]
        click.echo(f"{level} weights: {card['data']['name']}; validation loss {loss:.3g}; {card['licence']}")
    click.echo("with --json their cards: data, recipe, figures, licence")
