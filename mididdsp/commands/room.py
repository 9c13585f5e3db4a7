"""``mididdsp room``: take a recording's room away, or give it that of another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mididdsp import sources
from mididdsp.commands.common import EXISTING, WorkError, check_outputs, path_with, talk_with, talking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mididdsp.reverberation import Reverberation

LISTEN_S = 600.0
"""How much of a recording is listened to for its room."""

LEAST_DB = -40.0
"""Late sound this far below the direct sound is none."""


@click.command()
@click.argument("recording", type=EXISTING)
@click.option(
    "-o", "--output", required=True, type=path_with(sources.AUDIO_SUFFIXES), metavar="FILE",
    help=f"The sound to write: {', '.join(sources.AUDIO_SUFFIXES)}, at the recording's own rate.",
)
@click.option("--of", "other", type=EXISTING, metavar="FILE", help="Give it the room that this recording was made in.")
@click.option("--dry", is_flag=True, help="Take its own room away.")
@click.option("--float32", is_flag=True, help="Write WAV as 32-bit float rather than 24 bit.")
@talking
def room(
    recording: Path, output: Path, other: Path | None, dry: bool, float32: bool, as_json: bool, quiet: bool,
    progress: bool | None,
) -> None:
    """Change the room of RECORDING: none with --dry, that of another recording with --of.

    Both rooms are told from the recordings alone, by how their sounds die away.
    """
    talk = talk_with(as_json, quiet, progress)
    if dry == (other is not None):
        raise click.UsageError("say either --dry or --of FILE")
    check_outputs(recording, output)
    if other is not None:
        check_outputs(other, output)
    import numpy as np

    from mididdsp.audio_files import AudioWriter, check_output
    from mididdsp.data.folder_quality import blocks
    from mididdsp.reverberation import ReverberationError, dried, estimate, impulse_response

    heard, rate = _beginning(recording)
    try:
        check_output(output, rate, float32=float32)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        own = estimate(heard, rate)
        target = estimate(*_beginning(other)) if other is not None else None
    except ReverberationError as error:
        raise WorkError(str(error)) from None
    channels = len(heard)
    dry_stream = dried((np.ascontiguousarray(block.T) for block, _ in blocks(recording)), rate, own)
    if target is None:
        stream: Iterator[NDArray[np.float32]] = dry_stream
    else:
        channels = max(channels, 2)
        stream = _in_room(dry_stream, impulse_response(target, rate, channels=channels), channels)
    with AudioWriter(output, rate, channels=channels, float32=float32) as writer:
        for block in stream:
            writer.write(block)
    talk.say(f"{recording.name}: {_words(own)}" + _done(own, target, output))
    talk.data({"own": _plain(own), "given": _plain(target) if target else None})


def _beginning(path: Path) -> tuple[NDArray[np.float32], int]:
    """The first ten minutes of a recording [channels, N], and its sample rate."""
    import numpy as np

    from mididdsp.data.folder_quality import blocks

    pieces, count, rate = [], 0, 0
    for block, found in blocks(path):
        pieces.append(block.T)
        count, rate = count + len(block), found
        if count > LISTEN_S * rate:
            break
    return np.concatenate(pieces, axis=1), rate


def _in_room(
    dry: Iterator[NDArray[np.float32]], response: NDArray[np.float32], channels: int
) -> Iterator[NDArray[np.float32]]:
    """The dry sound and its late sound, rung out; block by block."""
    import numpy as np

    from mididdsp.rooms import convolved

    waiting: deque[NDArray[np.float32]] = deque()

    def mono() -> Iterator[NDArray[np.float32]]:
        for block in dry:
            waiting.append(block if len(block) == channels else np.repeat(block, channels, axis=0)[:channels])
            yield np.asarray(block.mean(axis=0), dtype=np.float32)

    held = np.zeros((channels, 0), np.float32)
    for part, wet in convolved(mono(), response):
        while waiting:
            held = np.concatenate([held, waiting.popleft()], axis=1)
        count = len(part)
        direct, held = held[:, :count], held[:, count:]
        if direct.shape[1] < count:
            direct = np.pad(direct, ((0, 0), (0, count - direct.shape[1])))
        yield direct + wet


def _done(own: Reverberation, target: Reverberation | None, output: Path) -> str:
    if target is not None:
        return f"; {output.name}: {_words(target)}"
    return "; nothing to take away" if own.amount_db < LEAST_DB else "; taken away"


def _words(found: Reverberation) -> str:
    if found.amount_db < LEAST_DB:
        return "no room to speak of"
    return f"a room of {found.middle_s:.1f} s, {found.amount_db:+.0f} dB beside the direct sound"


def _plain(found: Reverberation) -> dict[str, Any]:
    from mididdsp.reverberation import BANDS_HZ

    return {"bands_hz": list(BANDS_HZ), "decay_s": list(found.decay_s), "ratio_db": list(found.ratio_db)}
