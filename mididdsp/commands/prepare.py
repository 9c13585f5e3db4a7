"""``mididdsp prepare``: recordings become a training set and a report of what they are worth."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mididdsp.commands.common import known_instrument, talk_with, talking


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The data set, a folder."
)
@click.option("--instrument", metavar="NAME", help="What plays in all of them. [default: as their names say]")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Processes that analyse side by side."
)
@talking
def prepare(
    folder: Path, output: Path, instrument: str | None, workers: int, as_json: bool, quiet: bool, progress: bool | None
) -> None:
    """Analyse the solo recordings in FOLDER into a training set; a call that was stopped goes on where it was.

    Any folder of recordings will do, with MIDI or tables of notes beside them or without (see docs/learn.md);
    report.html in the data set says what they are worth. A folder with philharmonia/index.csv is known by its index.
    """
    from mididdsp.files import made_folder

    talk = talk_with(as_json, quiet, progress)
    name = None if instrument is None else known_instrument(instrument)
    if output.exists() and os.path.samefile(folder, output):
        raise click.UsageError(f"{output} is the folder of recordings; choose another output")
    if folder.resolve() in output.resolve().parents:
        raise click.UsageError(f"{output} lies in the folder of recordings, which is never written to; choose another")
    if (folder / "philharmonia" / "index.csv").is_file():
        from mididdsp.data.notes_dataset import prepare as analyse

        with made_folder(output):
            report = analyse(folder, output, workers=workers, progress=talk.progress)
        talk.say(f"{sum(report['kept'].values())} of {report['recordings']} recordings are in {output}")
        talk.data(report)
        return
    from mididdsp.data.folder_dataset import prepare_folder
    from mididdsp.data.folder_report import PAGE_FILE
    from mididdsp.data.folder_report import as_json as plain

    with made_folder(output), talk.bar("prepare") as show:
        tell = None if show is None else lambda share, what: show(share)
        found = prepare_folder(folder, output, instrument=name, workers=workers, progress=tell)
    used = [one for one in found.recordings if not one.refused]
    count = len(found.recordings) + len(found.left_out)
    talk.say(f"{found.minutes():.1f} minutes of notes from {len(used)} of {count} recordings are in {output}; "
             f"{output / PAGE_FILE} says what they are worth")
    talk.data(plain(found))
