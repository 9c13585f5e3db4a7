"""What the network leaves over of a timbre is found, told from single takes, and heard where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.frame_network import NOISE_CENTRES, FrameNetwork, SynthesisConfig
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS
from mididdsp.synthesis.timbre_tables import TIMBRE_LEVELS_DB, TIMBRE_PITCHES, TIMBRE_STATES
from mididdsp.training.prepared_notes import PreparedNote, prepare_note, rows
from mididdsp.training.synthesis import made_up_notes
from mididdsp.training.timbre import HELD_ALONE, HELD_AMONG, SPEAKING, timbre, with_timbre
from tests.synthesis.test_generator import EXPRESSION, note, plan, play

INSTRUMENT = 0
STRONG, STRONG_DB = 4, 6.0
"""A knot that the recordings have stronger than the network, and by how much."""


def generator(**balance: np.ndarray) -> SynthesisGenerator:
    """The same frame everywhere: partials fall by 3 dB a knot, noise lies 40 dB below the note."""
    network = FrameNetwork(SynthesisConfig(width=8, blocks=1, note_width=8, embedding=2, colour=2, dropout=0.0))
    with torch.no_grad():
        for values in network.parameters():
            values.zero_()
        network.exit.bias[2 : 2 + len(KNOTS)] = -0.3 * torch.arange(len(KNOTS))
        network.exit.bias[2 + len(KNOTS) :] = -4.0
    life = np.zeros((2, 16, 2 + len(KNOTS), MODULATION_BANDS), np.float32)
    return SynthesisGenerator(network, life, NOISE_EDGES_HZ, **balance)


def violins(count: int = 12, *, pitches: tuple[float, ...] = (60.0, 61.0, 62.0), alone: bool = True,
            strong: bool = True) -> list[TrainingNote]:
    """Steady notes as the network draws them, but for one knot that is stronger."""
    partials = -3.0 * np.arange(len(KNOTS))
    partials[STRONG] += STRONG_DB * strong
    notes = []
    for number in range(count):
        made = made_up_notes(1, number)[0]
        level = np.full(len(made.frames["partial_db"]), -26.0)
        frames = {**made.frames, "partial_db": level, "level_db": level, "knots_db": level[:, None] + partials,
                  "noise_db": np.repeat(level[:, None] - 40.0, NOISE_CENTRES, axis=1)}
        facts = {**made.facts, "item": f"{number}", "pitch": pitches[number % len(pitches)]}
        if not alone:
            facts |= {"interval_before": 2.0, "gap_before": 0.1, "interval_after": None, "gap_after": None}
        expression = replace(made.expression, brightness=1.0 + 0.02 * number)
        notes.append(replace(made, facts=facts, frames=frames, expression=expression))
    return notes


def prepared(notes: list[TrainingNote]) -> list[PreparedNote]:
    return [prepare_note(one) for one in notes]


def at(table: np.ndarray, state: int, pitch: float, level_db: float = -28.0) -> np.ndarray:
    return np.asarray(table[INSTRUMENT, state, int(pitch - TIMBRE_PITCHES[0]),
                            int(np.flatnonzero(level_db == TIMBRE_LEVELS_DB)[0])])


def test_a_stronger_partial_is_found_where_the_notes_are() -> None:
    table = timbre(generator(), prepared(violins()))
    assert table.shape[:2] == (16, TIMBRE_STATES)
    for state in (HELD_ALONE, SPEAKING):
        found = at(table, state, 61.0)[: len(KNOTS)]
        # Twelve takes of variance 1 against 0.8 of what is common, and the mean over the knots is taken off.
        gained = found[STRONG] - np.median(found)
        assert gained > 0.6 * STRONG_DB
        assert gained < STRONG_DB
    assert abs(at(table, HELD_ALONE, 90.0)).max() < 0.1, "two octaves away nothing is known"
    assert not table[INSTRUMENT + 1 :].any()


def test_what_one_take_has_of_its_own_hardly_counts() -> None:
    notes = violins(1, pitches=(60.0,)) + violins(11, pitches=(75.0,), strong=False)
    found = at(timbre(generator(), prepared(notes)), HELD_ALONE, 60.0)[: len(KNOTS)]
    assert found[STRONG] - np.median(found) < 0.55 * STRONG_DB


def test_notes_among_others_are_told_apart() -> None:
    table = timbre(generator(), prepared(violins(alone=False)))
    among, alone = (at(table, state, 61.0)[STRONG] for state in (HELD_AMONG, HELD_ALONE))
    assert alone < 0.4 * among


def test_too_few_notes_tell_nothing() -> None:
    assert not timbre(generator(), prepared(violins(7))).any()


def test_with_its_table_the_generator_leaves_less_over() -> None:
    notes = prepared(violins())
    once = with_timbre(generator(), notes)
    assert np.allclose(with_timbre(once, notes).timbre_db, once.timbre_db, atol=1e-4), "of a table nothing is kept"
    held = rows(notes[0], np.array([80]))
    told, plain = (one.outputs(INSTRUMENT, notes[0].features, held)[0] for one in (once, generator()))
    assert told[2 + STRONG] - plain[2 + STRONG] > 0.6 * STRONG_DB


@pytest.mark.parametrize("state", [HELD_ALONE, HELD_AMONG, SPEAKING])
def test_each_table_is_heard_in_its_place(state: int) -> None:
    table = np.zeros((16, TIMBRE_STATES, len(TIMBRE_PITCHES), len(TIMBRE_LEVELS_DB), len(KNOTS) + NOISE_CENTRES),
                     np.float32)
    table[:, state, :, :, len(KNOTS) + NOISE_CENTRES // 2 :] = 5.0  # its shape: the attack's noise is as asked
    notes = (note(duration=1.0),) if state != HELD_AMONG else (note(duration=1.0), note("b", onset=2.2, duration=0.5))
    expressions = {one.id: EXPRESSION for one in notes}
    plain, *_ = play(generator(), plan(*notes), expressions, temperature=0.0)
    moved, *_ = play(generator(timbre_db=table), plan(*notes), expressions, temperature=0.0)
    gained = (moved.noise_db - plain.noise_db)[:, [0, -1]] @ np.array([-1.0, 1.0])
    onset = round((1.0 - plain.start_s) * 250)
    middle, after = gained[onset + 60 : onset + 200], gained[onset + 256 : onset + 261]
    early = gained[onset : onset + 8]
    if state == SPEAKING:
        assert early.min() > 4.9
        assert abs(middle).max() < 0.1
    else:
        assert middle.min() > 4.9
        assert early.max() < 0.1
        assert abs(after).max() < 0.1, "noise dies away as it did"


def test_it_is_kept_in_the_checkpoint() -> None:
    table = np.random.default_rng(0).normal(size=(
        16, TIMBRE_STATES, len(TIMBRE_PITCHES), len(TIMBRE_LEVELS_DB), len(KNOTS) + NOISE_CENTRES)).astype(np.float32)
    tensors, model = generator(timbre_db=table).to_checkpoint()
    again = SynthesisGenerator.from_checkpoint(tensors, {"model": model})
    assert again.timbre_db is not None
    assert np.array_equal(again.timbre_db, table)
    tensors, model = generator().to_checkpoint()
    assert "timbre_db" not in tensors
    assert SynthesisGenerator.from_checkpoint(tensors, {"model": model}).timbre_db is None
