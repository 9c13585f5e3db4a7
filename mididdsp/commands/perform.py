"""``mididdsp perform`` and ``resample``: a player is drawn, or drawn again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mididdsp import sources
from mididdsp.commands.common import (
    CHECKPOINTS,
    DEVICE,
    EXISTING,
    NOTES,
    NumberRange,
    WorkError,
    articulating,
    articulation_rules,
    check_outputs,
    check_performance_file,
    drawing,
    instrument_choices,
    open_performer,
    options_given,
    path_with,
    reading,
    selected,
    selecting,
    talk_with,
    talking,
)


@click.command()
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
@click.option(
    "--players",
    multiple=True,
    metavar="PART=N|N",
    help="How many play a part, or each part: a section, which divides its chords. Repeatable.",
)
@click.option(
    "--a4", "a4_hz", type=NumberRange(100.0, 1_000.0), default=440.0, show_default=True, help="Pitch of A4 in Hz."
)
@articulating
@CHECKPOINTS
@reading
@drawing
@talking
def perform(
    source: Path,
    output: Path,
    takes: int,
    keep: Path | None,
    players: tuple[str, ...],
    a4_hz: float,
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
    talk = talk_with(as_json, quiet, progress)
    kind = sources.kind_of(source)
    if kind not in NOTES:
        raise WorkError(f"{source}: this is no MIDI file and no score ({kind.looks})")
    check_outputs(source, output)
    if keep is not None:
        wrong = options_given("takes", "seed", "temperature", "a4_hz")
        if wrong:
            raise click.UsageError(
                f"{' and '.join(wrong)}: with --keep the old performance decides; leave it out, or use `resample` after"
            )
        check_performance_file(keep)
        check_outputs(keep, output)
    chosen = instrument_choices(instruments)
    sections = _section_choices(players)
    rules = articulation_rules(articulation)
    performer = open_performer(device, checkpoints)
    from mididdsp.expression.document import load_performance, save_performance
    from mididdsp.sections import with_players

    old = None if keep is None else load_performance(keep)
    reading = performer.read(source, unsupported=unsupported, instruments=chosen, keyswitches=keyswitches)
    if sections:
        try:
            reading = replace(reading, score=with_players(reading.score, sections))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--players") from None
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
                    reading,
                    seed=seed + take,
                    temperature=temperature,
                    controllers=controllers,
                    rules=rules,
                    a4_hz=a4_hz,
                )
            save_performance(path, performance)
            files.append(str(path))
            if show:
                show((take + 1) / takes)
    replaced = [item.reason for item in reading.substitutions]
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


def _section_choices(texts: tuple[str, ...]) -> dict[str, int]:
    """Part name, or ``*`` for all, to how many play it."""
    chosen: dict[str, int] = {}
    for text in texts:
        part, separator, count = text.rpartition("=")
        if not count.strip().isdigit():
            raise click.BadParameter(f"{text!r} is no number of players; write 8 or PART=8", param_hint="--players")
        chosen[part if separator else "*"] = int(count)
    return chosen


@click.command()
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
    type=NumberRange(0.0, 4.0),
    default=None,
    help="How freely to draw; 0 is the mean. [default: as the performance was]",
)
@selecting
@articulating
@CHECKPOINTS
@DEVICE
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
    talk = talk_with(as_json, quiet, progress)
    from mididdsp.expression.document import load_performance, save_performance
    from mididdsp.expression.history import save_edit
    from mididdsp.expression.quantities import EditError, named
    from mididdsp.expression.types import UNDRAWN

    names = [name.strip() for name in attributes.split(",") if name.strip()]
    try:
        for name in names:
            if named(name).attribute in UNDRAWN:
                raise EditError(f"no player draws {name}; set it by an edit, as {name}=none")
    except EditError as error:
        raise click.BadParameter(str(error), param_hint="--unlocked") from None
    check_performance_file(source)
    rules = articulation_rules(articulation)
    before = selected(load_performance(source), choice)
    if not before.chosen:
        raise WorkError(f"{source}: no note fits the choice; nothing was drawn")
    performer = open_performer(device, checkpoints)
    files = []
    for take in range(takes):
        performance = performer.resample(before, names, seed=seed + take, temperature=temperature, rules=rules)
        if takes == 1 and output is None:
            save_edit(source, performance, f"resample {attributes or 'all'} --seed {seed}")
            files.append(str(source))
            continue
        base = output or source
        path = output if takes == 1 else base.with_name(
            f"{sources.stem_of(base)}.take{take + 1}{sources.PERFORMANCE_SUFFIX}")
        assert path is not None
        check_outputs(source, path)
        save_performance(path, performance)
        files.append(str(path))
    talk.say(f"{len(before.chosen)} notes drawn again: {', '.join(files)}")
    talk.data({"source": str(source), "files": files, "seed": seed, "chosen": list(before.chosen)})
