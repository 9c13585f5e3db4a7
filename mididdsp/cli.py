"""The ``mididdsp`` command: the commands put together, and every failure turned into one sentence.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong, 130 stopped by hand. What went wrong is one sentence on
stderr; stdout carries data alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from mididdsp.commands import (
    about,
    analyze,
    compose,
    edit,
    interchange,
    learn,
    perform,
    plot,
    prepare,
    render,
    room,
    train,
    transfer,
)
from mididdsp.commands.common import FAILED, STOPPED, WRONG_CALL, WorkError, sentence


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """MIDI becomes the sound of real instruments being played: notes, expression, synthesis, audio."""


for command in (
    render.render,
    perform.perform,
    edit.edit,
    perform.resample,
    plot.plot,
    interchange.export,
    interchange.import_,
    compose.compose,
    transfer.transfer,
    analyze.analyze,
    prepare.prepare,
    learn.learn,
    room.room,
    train.train,
    about.instruments,
    about.version,
):
    cli.add_command(command)


def _stop(signum: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; everything that goes wrong becomes one sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(["mididdsp", *words[:1]]) if words and words[0] in cli.commands else "mididdsp"
    try:
        cli.main(args=words, prog_name="mididdsp", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_CALL
    except click.ClickException as error:
        click.echo(f"{name}: {' '.join(error.format_message().split())}", err=True)
        return WRONG_CALL
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{name}: stopped; nothing was left half-written", err=True)
        return STOPPED
    except (WorkError, ValueError, OSError) as error:
        click.echo(f"{name}: {sentence(error)}", err=True)
        return FAILED
    except MemoryError:
        click.echo(f"{name}: there is not enough memory", err=True)
        return FAILED
    except Exception as error:  # a traceback helps no musician; the kind of error helps who mends it
        click.echo(
            f"{name}: an unexpected {type(error).__name__} ({sentence(error)}); please report it with the input",
            err=True,
        )
        return FAILED
    return 0


def main() -> None:
    """Entry point of the installed command."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our stdout went away, as `head` does; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)


if __name__ == "__main__":
    main()
