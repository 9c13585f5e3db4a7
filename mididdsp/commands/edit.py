"""``mididdsp edit``: the notes of a performance in the hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mididdsp import sources
from mididdsp.commands.common import (
    EXISTING,
    Talk,
    WorkError,
    articulating,
    articulation_rules,
    check_performance_file,
    path_with,
    selected,
    selecting,
    talk_with,
    talking,
)


@click.command()
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
    talk = talk_with(as_json, quiet, progress)
    steps = [name for name, wanted in (("--undo", undo), ("--redo", redo), ("--history", history)) if wanted]
    if steps:
        if len(steps) > 1 or assignments or output or lock or unlock or dry_run or any(choice.values()):
            raise click.UsageError(f"{steps[0]} stands alone; leave the rest out")
        check_performance_file(source)
        _step(source, steps[0], talk)
        return
    if not (assignments or lock or unlock):
        raise click.UsageError("there is nothing to do; give an assignment, as vibrato=60c, or --lock")
    if lock and unlock:
        raise click.UsageError("--lock and --unlock contradict each other; give one")
    check_performance_file(source)
    rules = articulation_rules(articulation)
    from dataclasses import asdict

    from mididdsp.expression.articulation import RULES
    from mididdsp.expression.changes import changes
    from mididdsp.expression.document import load_performance
    from mididdsp.expression.history import save_edit
    from mididdsp.expression.quantities import EditError

    before = load_performance(source)
    after = selected(before, choice)
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
        edits = history.edits(source)
        for words, done in edits:
            click.echo(f"{' ' if done else '-'} {words}")
        if not edits:
            talk.say(f"{source} has no edits yet")
        return
    words = history.undo(source) if what == "--undo" else history.redo(source)
    talk.say(f"{'undone' if what == '--undo' else 'done again'}: {words}")
    talk.data({"source": str(source), "words": words})


def _table(rows: Sequence[Any]) -> str:
    """Changes as a table: part, bar, pitch, id, what, before and after."""
    from mididdsp.expression.quantities import shown
    from mididdsp.units import pitch_name

    def text(row: Any, value: Any) -> str:
        return value if isinstance(value, str) else shown(row.what, value)

    lines = [("part", "bar", "note", "id", "what", "before", "after")]
    lines += [
        (
            row.part,
            f"{row.bar}",
            pitch_name(row.pitch, cents=True),
            row.note_id,
            row.what,
            text(row, row.before),
            text(row, row.after),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
