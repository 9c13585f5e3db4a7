"""A performance leaves for other programs: MIDI for sequencers, lines for Praat, Sonic Visualiser and JAMS."""

from __future__ import annotations

import os
from pathlib import Path

from mididdsp.expression.export import write_performance_midi
from mididdsp.expression.line_files import write_line
from mididdsp.expression.lines import line_of, part_of
from mididdsp.expression.types import Performance
from mididdsp.notes.voices import plan_part
from mididdsp.notes.writing import midi_file


def export_midi(performance: Performance, path: str | os.PathLike[str], *, mpe: bool = False) -> None:
    """Write what sounds as a MIDI file with controller lanes, or as MPE.

    Read back with the controllers ``own`` it is the same performance within the resolution of the controllers.

    Raises:
        ExportError: more notes sound at once than MPE has channels.
        OSError: the file cannot be written.
    """
    plans = {part.name: plan_part(part) for part in performance.score.parts}
    write_performance_midi(performance, plans, path, head=midi_file(performance.score), mpe=mpe)


def export_line(performance: Performance, path: str | os.PathLike[str], *, part: str | None, target: str) -> None:
    """Write what a part's curves draw: ``pitch`` (Hz, as it sounds without vibrato), ``level`` or ``gain`` (dB).

    Raises:
        InterchangeError: there is no such part or line, or the suffix of ``path`` names no form for it.
        OSError: the file cannot be written.
    """
    chosen = part_of(performance, part)
    write_line(Path(path), line_of(performance, chosen, target), part=chosen, target=target)
