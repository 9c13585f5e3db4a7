"""``mididdsp transfer``: what a voice or an instrument plays, in the sound of another."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click

from mididdsp import sources
from mididdsp.commands.common import (
    EXISTING,
    check_form,
    check_outputs,
    known_instrument,
    open_performer,
    path_with,
    room,
    talk_with,
    talking,
)

LEAST_INSIDE = 80
"""Per cent of the music in the range of training; below, the user is told what to try."""


def _octave(text: str) -> int | None:
    """None for ``auto``, else whole octaves."""
    if text.lower() == "auto":
        return None
    try:
        octave = int(text)
    except ValueError:
        octave = 99
    if not -4 <= octave <= 4:
        raise click.BadParameter(f"{text!r} is no octave; write auto or a whole number from -4 to 4")
    return octave


def _loudness(text: str) -> float | None:
    """None for ``auto``, 0 for ``keep``, else dB."""
    if text.lower() in ("auto", "keep"):
        return None if text.lower() == "auto" else 0.0
    try:
        gain = float(text.lower().removesuffix("db"))
    except ValueError:
        gain = 999.0
    if not -60.0 <= gain <= 60.0:
        raise click.BadParameter(f"{text!r} is no loudness; write auto, keep or dB from -60 to 60")
    return gain


@click.command()
@click.argument("source", type=EXISTING)
@click.option("--to", "name", required=True, metavar="NAME", help="The instrument; `mididdsp instruments` lists them.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with(sources.AUDIO_SUFFIXES),
    metavar="FILE",
    help="The audio file (.wav 24 bit, .flac, .ogg, .opus).",
)
@click.option(
    "--octave", type=_octave, default="auto", metavar="auto|N", help="Octaves up. [default: auto, into its range]"
)
@click.option(
    "--loudness",
    type=_loudness,
    default="auto",
    metavar="auto|keep|DB",
    help="How loud it plays: auto (as the instrument was recorded), keep, or so many dB more. [default: auto]",
)
@click.option(
    "--room",
    "place",
    type=room,
    default="own",
    show_default=True,
    metavar="none|own|FILE",
    help="The room: none (dry), the instrument's own, or an impulse response.",
)
@click.option(
    "--like",
    type=EXISTING,
    metavar="FILE",
    help="A recording of that instrument to sound like: its make, microphone and place.",
)
@click.option(
    "--checkpoint",
    default="autoencoder",
    show_default=True,
    metavar="NAME|FILE",
    help="The autoencoder: autoencoder, autoencoder-tiny, or one that was trained.",
)
@click.option("--sample-rate", type=click.IntRange(8_000, 192_000), default=48_000, show_default=True, help="Hz.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise.")
@talking
def transfer(
    source: Path,
    name: str,
    output: Path,
    octave: int | None,
    loudness: float | None,
    place: str,
    like: Path | None,
    checkpoint: str,
    sample_rate: int,
    seed: int,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Play SOURCE, a recording of one voice or instrument, on another instrument."""
    from mididdsp.checkpoints import CheckpointError, read_card, resolve

    talk = talk_with(as_json, quiet, progress)
    target = known_instrument(name, "--to")
    try:
        path = resolve(checkpoint)
        known = read_card(path, level="autoencoder")["model"]["network"]["instruments"]
    except CheckpointError as error:
        raise click.BadParameter(str(error), param_hint="--checkpoint") from None
    if target not in known:
        raise click.BadParameter(f"{checkpoint} does not play {target}; it plays {', '.join(known)}", param_hint="--to")
    check_form(output, sample_rate)
    check_outputs(source, output)
    if place not in ("none", "own"):
        check_outputs(Path(place), output)
    from mididdsp.audio_stream import open_recording
    from mididdsp.transfer import colour_of, fit, listen, load_autoencoder, transferred

    started = time.perf_counter()
    recording = open_recording(source)
    autoencoder = load_autoencoder(path)
    with talk.bar(source.name) as show:
        heard = listen(recording, progress=show)
    colour = None if like is None else colour_of(open_recording(like), autoencoder, target)
    fitted = fit(heard, autoencoder, target, octaves=octave, gain_db=loudness)
    params = transferred(heard, autoencoder, target, fitted, colour=colour, seed=seed)
    rendering = open_performer("cpu").render(params, room=place, sample_rate=sample_rate, name=sources.stem_of(output))
    with talk.bar(output.name) as show:
        rendered = rendering.save(output, progress=show)
    seconds = {**rendered.seconds, "total": time.perf_counter() - started}
    rendered = replace(rendered, source=str(source), seconds=seconds)
    inside = round(100 * fitted.inside)
    talk.say(
        f"{source.name} on the {target.replace('_', ' ')}: {fitted.octaves:+d} octaves, {fitted.gain_db:+.1f} dB; "
        f"{inside} % of it lies where that instrument was learned"
    )
    if inside < LEAST_INSIDE:
        talk.say("try another --octave or another instrument")
    talk.say(rendered.sentences()[-1])
    talk.data(
        {
            "instrument": target,
            "octaves": fitted.octaves,
            "gain_db": round(fitted.gain_db, 2),
            "inside": round(fitted.inside, 4),
            "render": rendered.to_json(),
        }
    )
