"""Performers and small pieces for the tests that go from notes to sound.

``tiny()`` plays with small untrained models: what is promised of order, bits and files holds for any weights. What is
promised of the sound itself is tested with ``shipped()``.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest

import mididdsp as md
from mididdsp.checkpoints import MODEL_FILE, save_checkpoint, shipped_names
from mididdsp.checkpoints import shipped as shipped_folder

TICKS = 480
"""Per quarter note; at 120 quarters a minute a second is 960 ticks."""


@cache
def tiny_checkpoints() -> dict[str, Path]:
    """Checkpoints of an untrained expression and synthesis generator, in a folder that goes when the tests end."""
    import torch

    from mididdsp.expression.generator import ExpressionGenerator
    from mididdsp.expression.network import ExpressionConfig, ExpressionNetwork
    from mididdsp.instruments import INSTRUMENTS
    from mididdsp.synthesis.frame_network import NOISE_CENTRES, FrameNetwork, SynthesisConfig
    from mididdsp.synthesis.generator import SynthesisGenerator
    from mididdsp.synthesis.knots import KNOTS
    from mididdsp.synthesis.life import MODULATION_BANDS

    folder = Path(tempfile.mkdtemp(prefix="mididdsp-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = FrameNetwork(SynthesisConfig(width=16, blocks=1, note_width=16, embedding=4))
        expression = ExpressionNetwork(ExpressionConfig())
    with torch.no_grad():  # near a falling spectrum with little noise, so that it sounds at all
        for layer in (network.exit, network.direct):
            layer.weight *= 0.02
            layer.bias.zero_()
        network.exit.bias[2 : 2 + len(KNOTS)] = -0.1 * torch.arange(float(len(KNOTS)))
        network.exit.bias[2 + len(KNOTS) :] = -5.0
    life = np.full((2, len(INSTRUMENTS), 2 + len(KNOTS), MODULATION_BANDS), 0.1)
    edges = tuple(np.geomspace(30.0, 20_000.0, NOISE_CENTRES + 1).tolist())
    made: dict[str, Any] = {
        "expression": ExpressionGenerator(expression),
        "synthesis": SynthesisGenerator(network, life, edges),
    }
    for level, generator in made.items():
        tensors, model = generator.to_checkpoint()
        card = {
            "level": level,
            "model": model,
            "recipe": "none: untrained",
            "data": "none",
            "figures": {},
            "licence": "CC0",
            "attribution": "none",
        }
        save_checkpoint(folder / level, tensors, card)
    return {level: folder / level for level in made}


def tiny(workers: int = 2) -> md.Performer:
    """A performer with small untrained models, on the CPU."""
    return md.Performer(device="cpu", workers=workers, **tiny_checkpoints())


@cache
def _shipped() -> md.Performer:
    return md.Performer(device="cpu", workers=2)


def shipped() -> md.Performer:
    """The performer a user gets, on the CPU; skips where the package has no weights."""
    if not all((shipped_folder(level) / MODEL_FILE).exists() for level in ("expression", "synthesis")):
        pytest.skip(f"the package has no weights of expression and synthesis (it has: {shipped_names() or 'none'})")
    return _shipped()


def write_midi(path: Path, tracks: Sequence[dict[str, Any]]) -> Path:
    """A MIDI file at 120 quarters a minute.

    Args:
        path: to write.
        tracks: of ``notes`` (onset s, duration s, pitch, velocity), and ``name``, ``program`` (None: no message),
            ``channel``, ``controls`` (time s, controller, value) where they matter.
    """
    song = mido.MidiFile(ticks_per_beat=TICKS)
    for index, given in enumerate(tracks):
        channel = given.get("channel", index)
        events: list[tuple[float, int, mido.Message]] = []
        for onset, duration, pitch, velocity in given["notes"]:
            events.append((onset, 2, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
            events.append((onset + duration, 1, mido.Message("note_off", channel=channel, note=pitch)))
        for time, control, value in given.get("controls", ()):
            events.append((time, 0, mido.Message("control_change", channel=channel, control=control, value=value)))
        track = mido.MidiTrack()
        if "name" in given:
            track.append(mido.MetaMessage("track_name", name=given["name"]))
        if given.get("program") is not None:
            track.append(mido.Message("program_change", channel=channel, program=given["program"]))
        now = 0
        for seconds, _, message in sorted(events, key=lambda event: event[:2]):
            tick = round(seconds * 2 * TICKS)
            track.append(message.copy(time=tick - now))
            now = tick
        song.tracks.append(track)
    song.save(path)
    return path


VIOLIN = {
    "name": "Violin",
    "program": 40,
    "notes": [(0.0, 0.5, 69, 80), (0.5, 0.45, 71, 80), (1.5, 0.3, 72, 60), (2.5, 0.6, 76, 100)],
}
CELLO = {"name": "Cello", "program": 42, "notes": [(0.0, 1.0, 45, 70), (1.0, 0.9, 40, 70), (2.5, 0.6, 45, 90)]}


def duo(folder: Path, name: str = "duo.mid") -> Path:
    """Violin and cello, three seconds, with a rest from 2 to 2.5 s."""
    return write_midi(folder / name, [VIOLIN, CELLO])
