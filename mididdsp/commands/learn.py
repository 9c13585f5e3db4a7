"""``mididdsp learn``: a folder of recordings becomes an instrument of one's own."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from mididdsp.commands.common import NumberRange, Talk, known_instrument, talk_with, talking


class _Line:
    """One line on stderr that says what is done and what is left: rewritten in a terminal, now and then in a file."""

    def __init__(self, talk: Talk) -> None:
        self.quiet = talk.quiet
        self.terminal = sys.stderr.isatty()
        self.shown = float("-inf")
        self.width = 0

    def __call__(self, what: str, share: float, left_s: float) -> None:
        now = time.monotonic()
        if self.quiet or now - self.shown < (0.5 if self.terminal else 15.0):
            return
        self.shown = now
        left = f"{left_s / 60.0:.0f} min" if left_s >= 90.0 else f"{left_s:.0f} s"
        line = f"{share:4.0%}  {what}; about {left} left"
        if self.terminal:
            sys.stderr.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self.terminal and self.width:
            sys.stderr.write("\n")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Of the new instrument; `render --checkpoint NAME` plays it.")
@click.option("--instrument", metavar="NAME", help="What plays in all recordings. [default: as their names say]")
@click.option(
    "--minutes", type=NumberRange(0.0, min_open=True), default=20.0, show_default=True,
    help="Of training, the time of stopped calls counted.",
)
@click.option(
    "--start", default="synthesis", show_default=True, metavar="NAME|FILE|nothing",
    help="The weights to begin from: the shipped ones, those of another instrument, or none.",
)
@click.option("--licence", default="not stated", help="Of the recordings, for the card: who may use what is learned.")
@click.option("--attribution", default="not stated", help="Who plays and who recorded, for the card.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Keep data set, run and checkpoint here. [default: the user's data folder, where NAME is found]",
)
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Processes that listen.")
@talking
def learn(
    folder: Path, name: str, instrument: str | None, minutes: float, start: str, licence: str, attribution: str,
    output: Path | None, workers: int, as_json: bool, quiet: bool, progress: bool | None,
) -> None:
    """Learn an instrument from the solo recordings in FOLDER; a call that was stopped goes on where it was.

    Ten minutes of one player are enough. The recordings are prepared (see `mididdsp prepare`), the sound is trained
    from the shipped weights, and the result plays its own parts: mididdsp render song.mid --checkpoint NAME
    """
    from mididdsp.checkpoints import CheckpointError, resolve, shipped_names
    from mididdsp.files import safe_name
    from mididdsp.user_data import instrument_path, work_folder

    talk = talk_with(as_json, quiet, progress)
    chosen = None if instrument is None else known_instrument(instrument)
    if safe_name(name) != name:
        raise click.BadParameter(f"{name!r} cannot be the name of a folder; try {safe_name(name)!r}",
                                 param_hint="--name")
    if name in shipped_names():
        raise click.BadParameter(f"{name!r} is the name of shipped weights; choose another", param_hint="--name")
    try:
        begin = None if start == "nothing" else resolve(start)
    except CheckpointError as error:
        raise click.BadParameter(str(error), param_hint="--start") from None
    if output is not None and (output.resolve() == folder.resolve() or folder.resolve() in output.resolve().parents):
        raise click.UsageError(f"{output} lies in the folder of recordings, which is never written to; choose another")
    work = work_folder(name) if output is None else output
    out = instrument_path(name) if output is None else output / "checkpoint"
    from mididdsp.training.learn import LearnSettings
    from mididdsp.training.learn import learn as learn_folder

    line = _Line(talk)
    try:
        learned = learn_folder(
            folder, name, work, out,
            LearnSettings(minutes=minutes, start=begin, instrument=chosen, licence=licence, attribution=attribution,
                          workers=workers),
            line)
    finally:
        line.end()
    heard = learned.report.minutes(learned.instrument)
    before, after = learned.before, learned.after
    talk.say(f"{name} plays the {learned.instrument}, learned from {heard:.1f} minutes; on held-out notes its partials "
             f"are {after['partials']:.1f} dB from the player's and its noise {after['noise']:.1f} dB "
             f"({before['partials']:.1f} and {before['noise']:.1f} dB before)")
    others = [other for other in learned.report.instruments if other != learned.instrument]
    if others:
        talk.say(f"{', '.join(others)} in the same folder {'was' if len(others) == 1 else 'were'} left aside; name one "
                 "with --instrument, or give each a folder of its own")
    where = name if output is None else str(out)
    talk.say(f"mididdsp render song.mid -o song.wav --checkpoint {where}")
    talk.data(_report(name, learned))


def _report(name: str, learned: Any) -> dict[str, Any]:
    from mididdsp.data.folder_report import as_json

    return {"name": name, "instrument": learned.instrument, "checkpoint": str(learned.checkpoint),
            "steps": learned.steps, "before": dict(learned.before), "after": dict(learned.after),
            "recordings": as_json(learned.report)}
