"""Balance: what a network gives on average is brought to where the recordings lie, and no further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.synthesis import conformance
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.frame_network import NOISE_CENTRES, FrameNetwork, SynthesisConfig
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS
from mididdsp.synthesis.timbre_tables import TIMBRE_PITCHES
from mididdsp.training.balance import SLOPES, brightness_line, noise_shift, swell_brightness
from mididdsp.training.prepared_notes import PreparedNote, prepare_note
from mididdsp.training.synthesis import made_up_notes

INSTRUMENT = 0
MISSING_DB = 3.0


def generator(shift: np.ndarray | None = None) -> SynthesisGenerator:
    network = FrameNetwork(SynthesisConfig(width=8, blocks=1, note_width=8, embedding=2, colour=2, dropout=0.0))
    with torch.no_grad():
        for values in network.parameters():
            values.zero_()  # the same frame everywhere: partials fall by 3 dB a knot, noise 43 dB below the note
        network.exit.bias[2 : 2 + len(KNOTS)] = -0.3 * torch.arange(len(KNOTS))
        network.exit.bias[2 + len(KNOTS) :] = -4.0 - MISSING_DB / 10.0
    life = np.zeros((2, 16, 2 + len(KNOTS), MODULATION_BANDS), np.float32)
    return SynthesisGenerator(network, life, NOISE_EDGES_HZ, noise_shift_db=shift)


def violins() -> list[TrainingNote]:
    """Ten steady notes whose noise lies 40 dB below them in every band, and then dies away with them."""
    notes = []
    for at in range(0, 160, 16):
        note = made_up_notes(160, 0)[at]
        after = np.maximum(0.0, np.arange(len(note.frames["partial_db"])) - note.facts["offset"])
        level = np.full(len(after), -26.0) - 0.6 * after
        frames = {**note.frames, "partial_db": level, "level_db": level,
                  "noise_db": np.repeat(level[:, None] - 40.0, NOISE_CENTRES, axis=1)}
        notes.append(replace(note, facts={**note.facts, "item": f"{at}"}, frames=frames))
    return notes


def prepared(notes: list[TrainingNote]) -> list[PreparedNote]:
    return [prepare_note(note) for note in notes]


@pytest.mark.parametrize("off", [0.0, 0.4, -0.2])
def test_the_line_goes_through_what_the_network_gives(off: float) -> None:
    """A network that says the same whatever is asked: the line has the least slope and meets it in the middle."""
    own = conformance.centroid(-3.0 * np.arange(len(KNOTS))[None, :].repeat(60, 0), np.zeros(60), 0, 60, 62.0)
    notes = [replace(note, facts={**note.facts, "pitch": 62.0},
                     expression=replace(note.expression, brightness=own + off + spread))
             for note, spread in zip(violins(), np.linspace(-0.3, 0.3, 10))]
    offset, slope = brightness_line(generator(), prepared(notes))[INSTRUMENT]
    middle = np.median([note.expression.brightness for note in notes])
    assert slope == pytest.approx(SLOPES[0])
    assert offset + slope * middle == pytest.approx(own, abs=0.01)  # float32 outputs


def test_too_few_notes_tell_nothing() -> None:
    few = prepared(violins()[:7])
    assert brightness_line(generator(), few)[INSTRUMENT].tolist() == [0.0, 1.0]
    assert not noise_shift(generator(), few).any()


def dynamics(low: float, high: float) -> list[PreparedNote]:
    """Notes of two pitches two octaves apart in five dynamics, four of each; octaves a dB of either, around 1."""
    places = [(pitch, slope, level) for pitch, slope in ((60.0, low), (84.0, high))
              for level in (-38.0, -32.0, -26.0, -20.0, -14.0)]
    return 4 * prepared([
        replace(note, facts={**note.facts, "pitch": pitch}, expression=replace(
            note.expression, level_db=level, brightness=1.0 + slope * (level + 26.0)))
        for note, (pitch, slope, level) in zip(violins(), places)])


def test_brightness_over_level_is_told_by_notes_of_like_pitch() -> None:
    found = swell_brightness(dynamics(0.03, 0.06))
    low, high = (found[INSTRUMENT, int(np.argmin(np.abs(TIMBRE_PITCHES - pitch)))] for pitch in (60.0, 84.0))
    # a pitch two octaves away weighs e^-11
    np.testing.assert_allclose([low[0], high[0]], [0.03, 0.06], atol=1e-4)
    for (_, least, most), slope in ((low, 0.03), (high, 0.06)):
        assert 1.0 - 12.0 * slope - 1e-6 <= least < 1.0 < most <= 1.0 + 12.0 * slope + 1e-6
    assert (found[INSTRUMENT, 0] == found[INSTRUMENT, :40][TIMBRE_PITCHES[:40] <= 60.0]).all()  # no lower note is known
    assert not found[INSTRUMENT + 1 :].any()


def test_brightness_does_not_fall_as_it_gets_louder_and_few_notes_tell_nothing() -> None:
    assert not swell_brightness(dynamics(-0.03, -0.03))[INSTRUMENT, :, 0].any()
    assert not swell_brightness(dynamics(0.03, 0.03)[:10]).any()


def test_takes_that_differ_in_level_by_chance_do_not_flatten_the_slope() -> None:
    """Notes of five dynamics 6 dB apart, each take up to 8 dB louder or softer than its dynamic and no brighter."""
    random = np.random.default_rng(0)
    notes = [replace(one, note=replace(
        one.note, facts={**one.note.facts, "velocity": 80.0 + one.note.expression.level_db},
        expression=replace(one.note.expression, level_db=one.note.expression.level_db + random.uniform(-8.0, 8.0))))
        for one in 3 * dynamics(0.03, 0.03)]
    found = swell_brightness(notes)[INSTRUMENT, :, 0]
    assert found == pytest.approx(np.full(len(TIMBRE_PITCHES), 0.03), rel=0.12)
    unknown = [replace(one, note=replace(one.note, facts={**one.note.facts, "velocity": None})) for one in notes]
    flat = swell_brightness(unknown)[INSTRUMENT, :, 0]
    assert (flat > 0.0).all(), "without dynamics the takes tell what they can"
    assert (flat < 0.9 * found).all()


@pytest.mark.parametrize(("times", "count"), [(2.0, 4), (0.5, 4), (2.0, 3)])
def test_crescendi_say_how_much_more_it_is_inside_notes(times: float, count: int) -> None:
    """Of two instruments; with fewer than eight the slope is that between dynamics."""
    steady = dynamics(0.03, 0.03)
    time = np.linspace(0.0, 1.0, 500)
    swell = made_up_notes(1, 0)[0]
    level = -20.0 + 20.0 * np.sin(np.pi * time)
    numbers = np.arange(1, 237)  # to 15.5 kHz
    tilts = np.linspace(-30.0, 0.0, 400)
    heard = np.array([np.log2((10 ** (tilt * np.log2(numbers) / 10) * numbers).sum()
                              / (10 ** (tilt * np.log2(numbers) / 10)).sum()) for tilt in tilts])
    drawn = np.interp(1.5 + 0.03 * times * (level + 10.0), heard, tilts)  # dB an octave for the octaves wanted
    crescendo = replace(swell, facts={**swell.facts, "pitch": 36.0, "onset": 0, "offset": 500, "dynamic": "crescendo"},
                        frames={name: np.zeros((500, *values.shape[1:])) for name, values in swell.frames.items()} | {
                            "partial_db": level, "knots_db": drawn[:, None] * np.log2(KNOTS) + level[:, None]})
    swells = [replace(prepare_note(crescendo), instrument=number) for number in (INSTRUMENT, 3) for _ in range(count)]
    both = [replace(note, instrument=number) for number in (INSTRUMENT, 3) for note in steady]
    plain, found = (swell_brightness(notes)[[INSTRUMENT, 3], :, 0] for notes in (both, both + swells))
    np.testing.assert_allclose(found, plain * (times if count == 4 else 1.0), rtol=0.06)


def test_noise_that_lacks_is_found_and_then_there() -> None:
    notes = prepared(violins())
    found = noise_shift(generator(), notes)
    # The swell of 1 dB that these notes are asked for lifts their middle, noise included, by most of it. What each of
    # the ten has of its own in a band leaves an sd of 0.5 dB.
    assert found[INSTRUMENT, 0] == pytest.approx(np.full(NOISE_CENTRES, MISSING_DB), abs=2.0)
    assert found[INSTRUMENT, 0].mean() == pytest.approx(MISSING_DB, abs=0.8)
    assert not found[INSTRUMENT + 1 :].any()
    again = generator(found)
    made = noise_shift(again, notes)
    assert np.allclose(made, found)  # of what is added already nothing is kept: it can be measured anew


def test_the_shift_is_heard_while_held_and_as_it_dies() -> None:
    from tests.synthesis.test_generator import EXPRESSION, note, plan, play

    shift = np.zeros((16, 2, NOISE_CENTRES), np.float32)
    shift[:, 0], shift[:, 1] = 2.0, 5.0
    plain, = play(generator(), plan(note(duration=1.0)), {"a": EXPRESSION}, temperature=0.0)
    moved, = play(generator(shift), plan(note(duration=1.0)), {"a": EXPRESSION}, temperature=0.0)
    gained = (moved.noise_db - plain.noise_db).mean(1)
    assert gained[100:200].mean() == pytest.approx(2.0, abs=0.3)  # the level of the sum is kept
    assert gained[258:264].max() > 2.6  # until the noise is as far below the partials as a release lets it be


def test_a_centroid_that_hardly_feels_a_tilt_is_not_forced() -> None:
    """One strong partial and faint ones: to be .05 octaves brighter they would have to rise by 8 dB and more."""
    knots = np.full((60, len(KNOTS)), -45.0)
    knots[:, 0] = 0.0
    level = np.zeros(60)
    own = conformance.centroid(knots, level, 0, 60, 74.0)
    near = conformance.brightness(knots, level, 0, 60, own + 0.05, 74.0)[0] - knots[0]
    far = conformance.brightness(knots, level, 0, 60, own + 0.4, 74.0)[0] - knots[0]
    assert 1.0 < near[1] < conformance.LEAST_TILT_DB + 0.05 * conformance.TILT_DB_AN_OCTAVE
    assert far[1] > 2.0 * near[1]
