"""MIDI and scores become the sound of real instruments being played.

Three levels, each a value to look at, edit and save: notes (``Score``), expression (``Performance``) and synthesis
parameters (``SynthParams``). ``Performer`` holds them in a chain::

    import mididdsp as md

    performer = md.Performer()
    performance = performer.perform("song.mid", seed=1)
    performer.render(performance).save("out.wav")

Names are imported when first used, so that ``import mididdsp`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mididdsp.export import export_line, export_midi
    from mididdsp.expression.document import DocumentError, load_performance, save_performance
    from mididdsp.expression.edit import Selection
    from mididdsp.expression.quantities import EditError
    from mididdsp.expression.types import Curve, Mix, NoteExpression, PartMix, Performance
    from mididdsp.instruments import INSTRUMENTS, Instrument, instrument
    from mididdsp.live import Live
    from mididdsp.notes.midi import MidiError, MidiReading, read_midi, write_midi
    from mididdsp.notes.score import ScoreError, ScoreReading, read_score
    from mididdsp.notes.types import Note, Part, Score
    from mididdsp.performer import Performer
    from mididdsp.plots import plot
    from mididdsp.rendering import RenderError, Rendering
    from mididdsp.report import Report
    from mididdsp.synthesis.document import load_synth, save_synth
    from mididdsp.synthesis.types import Segment, SynthParams

_HOMES = {
    "Curve": "expression.types",
    "DocumentError": "expression.document",
    "EditError": "expression.quantities",
    "INSTRUMENTS": "instruments",
    "Instrument": "instruments",
    "Live": "live",
    "MidiError": "notes.midi",
    "MidiReading": "notes.midi",
    "Mix": "expression.types",
    "Note": "notes.types",
    "NoteExpression": "expression.types",
    "Part": "notes.types",
    "PartMix": "expression.types",
    "Performance": "expression.types",
    "Performer": "performer",
    "RenderError": "rendering",
    "Rendering": "rendering",
    "Report": "report",
    "Score": "notes.types",
    "ScoreError": "notes.score",
    "ScoreReading": "notes.score",
    "Segment": "synthesis.types",
    "Selection": "expression.edit",
    "SynthParams": "synthesis.types",
    "export_line": "export",
    "export_midi": "export",
    "instrument": "instruments",
    "load_performance": "expression.document",
    "load_synth": "synthesis.document",
    "plot": "plots",
    "read_midi": "notes.midi",
    "read_score": "notes.score",
    "save_performance": "expression.document",
    "save_synth": "synthesis.document",
    "write_midi": "notes.midi",
}
"""Public name to the module that defines it."""

__version__ = "0.1.0"

__all__ = [
    "INSTRUMENTS",
    "Curve",
    "DocumentError",
    "EditError",
    "Instrument",
    "Live",
    "MidiError",
    "MidiReading",
    "Mix",
    "Note",
    "NoteExpression",
    "Part",
    "PartMix",
    "Performance",
    "Performer",
    "RenderError",
    "Rendering",
    "Report",
    "Score",
    "ScoreError",
    "ScoreReading",
    "Segment",
    "Selection",
    "SynthParams",
    "__version__",
    "export_line",
    "export_midi",
    "instrument",
    "load_performance",
    "load_synth",
    "plot",
    "read_midi",
    "read_score",
    "save_performance",
    "save_synth",
    "write_midi",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mididdsp' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mididdsp.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
