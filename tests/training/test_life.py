"""Life calibrated: generated notes come to move as much as the recorded ones, whatever the first estimate was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.generator import FrameNetwork, SynthesisConfig, SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS
from mididdsp.training.life import LED_BY_VIBRATO, SLOW, calibrate_life
from mididdsp.training.synthesis import made_up_notes

INSTRUMENT = 0


def generator(rms: float) -> SynthesisGenerator:
    life = np.full((2, 16, 2 + len(KNOTS), MODULATION_BANDS), rms, np.float32)
    network = FrameNetwork(SynthesisConfig(width=8, blocks=1, note_width=8, embedding=2, colour=2, dropout=0.0))
    return SynthesisGenerator(network, life, NOISE_EDGES_HZ)


def recorded() -> list[TrainingNote]:
    return [replace(note, facts={**note.facts, "item": f"{at}"}) for at, note in enumerate(made_up_notes(48, 0))]


def test_too_much_life_is_taken_back_and_too_little_is_raised() -> None:
    """Recorded partials scatter by 1 dB from frame to frame; the first estimate is far off, on either side."""
    notes = recorded()
    vibrates = int(notes[0].expression.vibrato_cents > 0)
    quick = slice(LED_BY_VIBRATO, None)
    factors = {rms: calibrate_life(generator(rms), notes).life_rms[vibrates, INSTRUMENT, 2:, quick] / rms
               for rms in (0.02, 4.0)}
    assert (factors[4.0] < 0.8).all()
    assert (factors[0.02] > 1.5).all()


@pytest.mark.parametrize("what", ["slow bands", "pitch under the vibrato", "notes of another kind"])
def test_what_notes_do_not_tell_is_left(what: str) -> None:
    notes = recorded()
    vibrates = int(notes[0].expression.vibrato_cents > 0)
    life = calibrate_life(generator(4.0), notes).life_rms
    left = {"slow bands": life[vibrates, INSTRUMENT, 2:, :SLOW],
            "pitch under the vibrato": life[vibrates, INSTRUMENT, 1, :LED_BY_VIBRATO],
            "notes of another kind": life[1 - vibrates]}[what]
    assert np.allclose(left, 4.0)
