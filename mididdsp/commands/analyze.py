"""``mididdsp analyze``: a recording becomes notes, how each is played, and synthesis parameters."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mididdsp import sources
from mididdsp.commands.common import (
    EXISTING,
    NOTES,
    Talk,
    WorkError,
    check_outputs,
    known_instrument,
    open_performer,
    path_with,
    talk_with,
    talking,
)

if TYPE_CHECKING:
    from mididdsp.evenness import Prior
    from mididdsp.notes.types import Score

TRACKERS = ("own", "crepe", "crepe-full")


@click.command()
@click.argument("recording", type=EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=path_with((sources.PERFORMANCE_SUFFIX,)),
    metavar="FILE.performance.json",
    help="The notes and how each is played; `render`, `edit` and the others take it.",
)
@click.option(
    "--synth",
    type=path_with((sources.SYNTH_SUFFIX,)),
    metavar="FILE.synth.npz",
    help="Write the sound as synthesis parameters too; `render` gives the recording back.",
)
@click.option(
    "--notes",
    type=EXISTING,
    metavar="SCORE.mid|NOTES.csv",
    help="The notes that are played (MIDI, score, or a table of onset, offset, pitch); they are aligned to the sound. "
    "[default: transcribed]",
)
@click.option(
    "--instrument",
    default="auto",
    show_default=True,
    metavar="NAME|auto",
    help="What plays; `mididdsp instruments` lists names.",
)
@click.option(
    "--tracker",
    type=click.Choice(TRACKERS),
    default=TRACKERS[0],
    show_default=True,
    help="How pitch is followed: our own, or CREPE's small or full network.",
)
@talking
def analyze(
    recording: Path,
    output: Path,
    synth: Path | None,
    notes: Path | None,
    instrument: str,
    tracker: str,
    as_json: bool,
    quiet: bool,
    progress: bool | None,
) -> None:
    """Analyse RECORDING, one instrument playing one note at a time, into notes, expression and parameters."""
    talk = talk_with(as_json, quiet, progress)
    for outputs in (recording, notes):
        if outputs is not None:
            check_outputs(outputs, output, synth)
    if instrument != "auto":
        instrument = known_instrument(instrument)
    kind = sources.kind_of(recording)
    if kind not in (sources.Kind.AUDIO, sources.Kind.UNKNOWN):
        raise WorkError(f"{recording}: this is no recording ({kind.looks}); give an audio file")
    _analyze(talk, recording, output, synth, notes, instrument, tracker)


def _given(path: Path) -> Score:
    """The notes in a MIDI file, a score or a table."""
    if sources.kind_of(path) in NOTES:
        from mididdsp.performer import Performer

        return Performer().read(path).score
    from mididdsp.data.folder_notes import read_table
    from mididdsp.notes.types import Part, Score

    notes = read_table(path)
    return Score(parts=(Part(name=path.stem, instrument="violin", notes=notes),), title=path.stem)


def _analyze(
    talk: Talk, recording: Path, output: Path, synth: Path | None, notes: Path | None, instrument: str, tracker: str
) -> None:
    from mididdsp.audio_stream import open_recording
    from mididdsp.expression.document import save_performance
    from mididdsp.listening import listen
    from mididdsp.notes.smf import counted
    from mididdsp.synthesis.document import SynthWriter

    started = time.perf_counter()
    sound = open_recording(recording)
    name = sources.stem_of(output)
    given = None if notes is None else _given(notes)

    def prior() -> Prior:
        return open_performer("cpu").expression_generator

    with talk.bar("listening") as show:
        heard = listen(
            sound, part=name, instrument=instrument, tracker=tracker, given=given, prior=prior, progress=show
        )
    with ExitStack() as stack, talk.bar("measuring") as show:
        write = None
        if synth is not None:
            writer = stack.enter_context(
                SynthWriter(
                    synth,
                    part=heard.part,
                    instrument=heard.instrument,
                    noise_edges_hz=heard.noise_edges_hz,
                    a4_hz=heard.a4_hz,
                )
            )
            write = writer.write
        for segment in heard.segments(show):
            if write is not None:
                write(segment)
        performance = heard.performance()
        save_performance(output, performance)
    seconds = time.perf_counter() - started
    report = {
        "source": str(recording), "seconds": sound.seconds, "instrument": heard.instrument, "notes": len(heard.notes),
        "voiced": float(heard.contours.voiced.mean()), "a4_hz": round(heard.a4_hz, 2),
        "performance": str(output), "synth": None if synth is None else str(synth), "messages": list(heard.messages),
        "took_s": seconds,
    }
    talk.data(report)
    for message in heard.messages:
        talk.say(message)
    talk.say(f"{output}: {counted(len(heard.notes), 'note')} of {heard.instrument}, A4 = {heard.a4_hz:.1f} Hz; "
             f"{sound.seconds:.1f} s of audio in {seconds:.1f} s")
