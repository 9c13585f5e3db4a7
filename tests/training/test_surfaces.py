"""Tables of attributes over pitch, velocity and length: made-up instruments of which the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.expression.context import VELOCITY_MARKS, context_features
from mididdsp.expression.network import SURFACE_ATTRIBUTES, SURFACE_PITCHES, ExpressionConfig, ExpressionNetwork
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.training.surfaces import RISE, read_surface, smooth_surfaces

BRIGHTNESS = SURFACE_ATTRIBUTES.index("brightness")
OBOE = list(INSTRUMENTS).index("oboe")
DYNAMICS = (33.0, 64.0, 96.0)


def made_up(
    truth: Callable[[float, float], float], *, noise: float, left_out: frozenset[int] = frozenset(),
    velocities: tuple[float | None, ...] = DYNAMICS,
) -> list[TrainingNote]:
    """Two notes of every semitone and dynamic of an oboe whose brightness is ``truth(pitch, velocity)`` plus noise."""
    random = np.random.default_rng(0)
    notes = []
    for pitch in range(60, 85):
        for velocity in velocities:
            for seconds in (0.3, 1.1):
                if pitch in left_out:
                    continue
                brightness = truth(pitch, velocity or 64.0) + noise * random.normal()
                expression = NoteExpression(
                    level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=brightness, attack_noise_db=-25.0,
                    attack_s=0.05, release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None,
                    tuning_cents=0.0, timing_s=0.0, length_ratio=None, glide_s=None)
                facts = {"pitch": float(pitch), "velocity": velocity, "seconds": seconds, "instrument": "oboe",
                         "late_attack": False, "unfinished": False}
                notes.append(TrainingNote(facts=facts, expression=expression, frames={}, gain_db=0.0))
    return notes


def slope(pitch: float, velocity: float) -> float:
    return 1.5 - (pitch - 60.0) / 40.0 + (velocity - 64.0) / 100.0


def table_of(notes: list[TrainingNote]) -> np.ndarray:  # type: ignore[type-arg]
    return smooth_surfaces(notes, seed=0)[0][OBOE, BRIGHTNESS].astype(float)


def test_a_trend_is_found_through_noise_and_over_pitches_never_heard() -> None:
    missing = frozenset((66, 71, 72, 79))
    table = table_of(made_up(slope, noise=0.1, left_out=missing))
    for pitch in (61.0, 66.0, 71.5, 79.0):
        for velocity in (33.0, 80.0, 96.0):
            found = float(read_surface(table, np.array([[pitch, velocity, np.log(0.5)]]))[0])
            # the noise of a note is 0.1 octaves; the mean over its neighbours is known far better
            assert SCALES["brightness"].backward(found) == pytest.approx(slope(pitch, velocity), abs=0.06)


def test_one_semitone_may_stand_out() -> None:
    table = table_of(made_up(lambda pitch, velocity: slope(pitch, velocity) + 0.5 * (pitch == 70), noise=0.03))
    near = [SCALES["brightness"].backward(float(read_surface(table, np.array([[pitch, 64.0, 0.0]]))[0]))
            for pitch in (69.0, 70.0, 71.0)]
    assert near[1] - (near[0] + near[2]) / 2 > 0.35


def test_a_levelled_set_rises_all_the_same() -> None:
    table = table_of(made_up(lambda pitch, velocity: 1.0 - velocity / 500.0, noise=0.05))
    steps = np.diff(table, axis=1) / np.diff(VELOCITY_MARKS)[None, :, None]
    assert (steps >= RISE["brightness"] / 79.0 - 1e-6).all()


def test_odd_takes_are_not_followed() -> None:
    """One soft note in eight sounds an octave too bright, as with a mute: neighbours lose less than a fifth of it."""
    notes = made_up(slope, noise=0.05)
    odd = [replace(note, expression=replace(note.expression, brightness=note.expression.brightness + 1.0))
           if note.facts["velocity"] == 33.0 and index % 4 == 0 else note for index, note in enumerate(notes)]
    assert 0.05 < np.mean([one is not other for one, other in zip(notes, odd)]) < 0.2
    softly = [SCALES["brightness"].backward(value) for value in
              read_surface(table_of(odd), np.array([[pitch, 33.0, np.log(0.5)] for pitch in np.arange(62.0, 83.0)]))]
    expected = [slope(pitch, 33.0) for pitch in np.arange(62.0, 83.0)]
    assert np.median(np.abs(np.array(softly) - expected)) < 0.2


def test_shifts_tell_what_a_note_does_not_know_of_itself() -> None:
    """A cell that stands out is not foreseen by the others; what is foreseen has no shift to speak of."""
    def truth(pitch: float, velocity: float) -> float:
        return slope(pitch, velocity) + 0.8 * (pitch == 70 and velocity == 96.0)

    notes = made_up(truth, noise=0.02)
    _, shifts = smooth_surfaces(notes, seed=0)
    odd = np.array([note.facts["pitch"] == 70 and note.facts["velocity"] == 96.0 for note in notes])
    assert np.abs(shifts[odd, BRIGHTNESS]).min() > 3.0 * np.median(np.abs(shifts[~odd, BRIGHTNESS]))


def test_notes_without_a_dynamic_make_no_table() -> None:
    surfaces, shifts = smooth_surfaces(made_up(slope, noise=0.1, velocities=(None,)), seed=0)
    assert not surfaces.any()
    assert not shifts.any()


def test_the_network_reads_the_table_between_its_points() -> None:
    network = ExpressionNetwork(ExpressionConfig(width=4)).eval()
    surfaces, _ = smooth_surfaces(made_up(slope, noise=0.1), seed=0)
    place = (71.4, 70.0, 0.6)
    nobody = [None] * 4
    with torch.inference_mode():
        def mean(velocity: float | None) -> torch.Tensor:
            context = context_features(place[0], place[2], velocity, (), False, False, nobody).astype(np.float32)
            return network(torch.from_numpy(context[None]), torch.tensor([OBOE]))[0][0]

        before, unknown = mean(place[1]), mean(None)
        network.surface.copy_(torch.from_numpy(surfaces))
        after, still = mean(place[1]), mean(None)
    index = list(SCALES).index("brightness")
    where = np.array([[place[0], place[1], np.log(place[2])]])
    expected = read_surface(surfaces[OBOE, BRIGHTNESS].astype(float), where)
    # float32 and a table of floats about 1
    assert float(after[index] - before[index]) == pytest.approx(float(expected[0]), abs=1e-5)
    assert torch.equal(unknown, still)
    assert SURFACE_PITCHES[0] < min(item.low for item in INSTRUMENTS.values())
