"""Life calibrated: generated notes come to move as much as the recorded ones, whatever the first estimate was."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.instruments import INSTRUMENTS
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.frame_network import FrameNetwork, SynthesisConfig
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS
from mididdsp.training.life import (
    SLOW,
    VIBRATO_BAND,
    calibrate_life,
    estimate_dying,
    estimate_scoop,
    estimate_trend,
    slowed,
)
from mididdsp.training.prepared_notes import prepare_note
from mididdsp.training.synthesis import made_up_notes
from mididdsp.units import FRAME_RATE

INSTRUMENT = 0
NOISE = slice(2 + len(KNOTS), None)
PARTIALS = slice(2, 2 + len(KNOTS))


def generator(rms: float) -> SynthesisGenerator:
    life = np.full((2, 16, 2 + len(KNOTS), MODULATION_BANDS), rms, np.float32)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = FrameNetwork(SynthesisConfig(width=8, blocks=1, note_width=8, embedding=2, colour=2, dropout=0.0))
        network.exit.bias[NOISE] = -5.0  # of 10 dB: noise as loud as the partials would move them
    return SynthesisGenerator(network, life, NOISE_EDGES_HZ)


def recorded(noise_wave_db: float = 0.0) -> list[TrainingNote]:
    """Eight notes of strings whose partials scatter by 1 dB, their noise moving at 5 Hz by as much as is said."""
    notes = []
    for at, note in enumerate(made_up_notes(32, 0)):
        wave = noise_wave_db * np.sin(2 * np.pi * 5.0 * np.arange(len(note.frames["noise_db"])) / FRAME_RATE)
        frames = {**note.frames, "noise_db": note.frames["noise_db"] + wave[:, None]}
        if at % 16 < 4:
            notes.append(replace(note, facts={**note.facts, "item": f"{at}"}, frames=frames))
    return notes


VIBRATES = int(recorded()[0].expression.vibrato_cents > 0)


@lru_cache
def calibrated(rms: float, noise_wave_db: float = 0.0) -> np.ndarray:
    return calibrate_life(generator(rms), recorded(noise_wave_db), rounds=2).life_rms


def test_too_much_life_is_taken_back_and_too_little_is_raised() -> None:
    """The first estimate is far off, on either side."""
    quick = slice(VIBRATO_BAND + 1, None)
    factors = {rms: calibrated(rms)[VIBRATES, INSTRUMENT, PARTIALS, quick] / rms for rms in (0.02, 4.0)}
    assert (factors[4.0] < 0.8).all()
    assert (factors[0.02] > 1.5).all()


def test_noise_that_moves_is_learned_to_move() -> None:
    still, moving = (calibrated(4.0, wave)[VIBRATES, INSTRUMENT, NOISE, VIBRATO_BAND] for wave in (0.0, 6.0))
    assert (moving > 3.0 * still).all()
    assert moving.min() > 1.0  # dB; the wave's rms is 4.2


def test_few_notes_that_vibrate_say_nothing_of_the_pitch() -> None:
    """Eight of them: the pitch wanders as it does without a vibrato."""
    before = generator(6.0)
    life = before.life_rms.copy()
    life[1 - VIBRATES] = 1.0
    after = calibrate_life(before.changed(life_rms=life), recorded(), rounds=1).life_rms
    assert np.allclose(after[VIBRATES, INSTRUMENT, 1], 1.0)
    assert after[VIBRATES, INSTRUMENT, PARTIALS, VIBRATO_BAND].min() > 1.0


@pytest.mark.parametrize("spread", [0.0, 20.0])
def test_how_notes_come_to_their_pitch_is_learned(spread: float) -> None:
    """Sixteen violin notes, some sharp and some flat while they speak; one that a tracker lost does not count."""
    notes = []
    for at, note in enumerate(made_up_notes(256, 0)[::16]):
        off = 1000.0 if at == 7 else spread * np.linspace(-2.0, 2.0, 16)[at]
        cents = np.zeros(len(note.frames["f0_cents"]))
        cents[note.facts["onset"] : note.facts["onset"] + 12] = off
        still = replace(note.expression, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None)
        notes.append(prepare_note(replace(note, expression=still, frames={**note.frames, "f0_cents": cents})))
    network = generator(0.0).network
    with torch.no_grad():
        network.exit.weight.zero_()
        network.direct.weight.zero_()
        network.tint.weight.zero_()
    found = estimate_scoop(network, notes)
    # Half of evenly spread values lie within half of their range: a normal spread with that median is 1.48 times it.
    # Sixteen notes lie a quarter of that apart.
    assert found[INSTRUMENT] == pytest.approx(1.4826 * spread, rel=0.25, abs=0.01)
    assert not found[INSTRUMENT + 1 :].any()
    assert not estimate_scoop(network, notes[:7]).any(), "seven tell nothing"


@pytest.mark.parametrize("what", ["slow bands", "pitch under the vibrato", "notes of another kind"])
def test_what_notes_do_not_tell_is_left(what: str) -> None:
    life = calibrated(4.0)
    left = {"slow bands": life[VIBRATES, INSTRUMENT, PARTIALS, :SLOW],
            "pitch under the vibrato": life[VIBRATES, INSTRUMENT, 1, VIBRATO_BAND],
            "notes of another kind": life[1 - VIBRATES, :, : 2 + len(KNOTS)]}[what]
    assert np.allclose(left, 4.0)


@pytest.mark.parametrize(("wave_db", "least", "most"), [(0.0, 0.3, 0.35), (20.0, 1.0, 1.0)])
def test_slow_life_is_held_to_what_long_notes_show(wave_db: float, least: float, most: float) -> None:
    """Eight notes of 2 s whose partials are still, or sway at 1.4 Hz: too much is taken back, too little is left."""
    notes = []
    for at, note in enumerate(made_up_notes(128, 0)):
        if at % 16 >= 4 or len(notes) >= 8:
            continue
        time = np.arange(600)
        sway = wave_db * np.sin(2 * np.pi * 1.4 * time / FRAME_RATE)[:, None] * (-1.0) ** np.arange(len(KNOTS))
        level = np.full(600, -26.0)
        frames = {"f0_cents": np.zeros(600), "partial_db": level, "level_db": level,
                  "knots_db": level[:, None] - 2.0 * np.arange(len(KNOTS)) + sway,
                  "known": np.ones((600, len(KNOTS)), bool), "noise_db": np.full((600, 40), -70.0)}
        notes.append(replace(note, frames=frames, facts={**note.facts, "item": f"{at}", "pitch": 50.0, "offset": 560,
                                                         "seconds": (560 - note.facts["onset"]) / FRAME_RATE}))
    found = slowed(generator(2.0), notes).life_rms
    shares = found[:, INSTRUMENT, PARTIALS, SLOW - 1] / 2.0
    assert (least - 1e-3 <= shares).all()
    assert (shares <= most + 1e-3).all()
    np.testing.assert_array_equal(np.delete(found[:, INSTRUMENT, PARTIALS], SLOW - 1, axis=-1), 2.0)
    brass = next(at for at, one in enumerate(INSTRUMENTS.values()) if one.family == "brass")
    np.testing.assert_array_equal(found[:, brass, PARTIALS], 2.0)  # no note of that family tells


@pytest.mark.parametrize(("apart_db", "count", "expected"), [(4.0, 9, 4.0), (0.0, 9, 0.0), (4.0, 7, 0.0)])
def test_how_partials_come_apart_as_they_die_is_learned(apart_db: float, count: int, expected: float) -> None:
    """Every second partial of the notes falls otherwise; the mean knows nothing of it; seven notes tell nothing."""
    notes = []
    for at, note in enumerate(made_up_notes(16 * count, 0)[::16]):
        frames, onset, offset = 400, 8, 300
        fall = np.maximum(np.arange(frames) - offset, 0.0)
        apart = apart_db * (-1.0) ** np.arange(len(KNOTS)) * np.minimum(fall / 20.0, 1.0)[:, None]
        level = -26.0 - 0.4 * fall
        told = {"f0_cents": np.zeros(frames), "partial_db": level, "level_db": level,
                "knots_db": level[:, None] + apart, "known": np.ones((frames, len(KNOTS)), bool),
                "noise_db": level[:, None] - np.full(40, 45.0)}
        facts = {**note.facts, "item": f"{at}", "pitch": 50.0, "onset": onset, "offset": offset,
                 "seconds": (offset - onset) / FRAME_RATE}
        notes.append(prepare_note(replace(note, facts=facts, frames=told)))
    network = generator(0.0).network
    with torch.no_grad():
        for values in network.parameters():
            values.zero_()
    found = estimate_dying(network, notes, np.zeros((2, 16, 2 + len(KNOTS), MODULATION_BANDS)))
    # where it is read, 20 dB down, nine tenths of the way are gone
    assert found[INSTRUMENT] == pytest.approx(expected / 0.918, abs=0.1)
    assert not found[1:].any()


def rising(instrument: str, recording: str, cents: float, *, company: bool = True) -> TrainingNote:
    """A note of half a second whose pitch rises by so much over it, about a mean that is never the same."""
    base, onset, offset = made_up_notes(1, 0)[0], 8, 133
    pitch = cents * (np.arange(len(base.frames["f0_cents"])) - onset) / (offset - onset) + 7.0
    still = replace(base.expression, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None)
    facts = {**base.facts, "instrument": instrument, "item": recording, "onset": onset, "offset": offset,
             "seconds": 0.5} | ({"gap_after": 0.0} if company else {})
    return replace(base, expression=still, facts=facts, frames={**base.frames, "f0_cents": pitch})


def test_how_pitch_rises_and_falls_is_learned() -> None:
    """Eight recordings of a viola with a spread of 10 cents and a rise in common, one of a cello that is still; of the
    violin there are too few notes, and none of the winds."""
    spread = np.linspace(-1.5, 1.5, 33) * 10.0
    notes = [rising("viola", f"viola {at % 8}", cents + 30.0) for at, cents in enumerate(spread)]
    notes += [rising("cello", "cello", 0.0) for _ in range(9)]
    notes += [rising("violin", "violin", 50.0 * at) for at in range(7)]
    still = generator(0.0)
    with torch.no_grad():
        still.network.exit.weight.zero_()
        still.network.direct.weight.zero_()
        still.network.tint.weight.zero_()
    found = estimate_trend(still, notes)
    viola = 1.4826 * 7.5  # half of evenly spread values lie within half of their range
    common = viola**2 / 2  # the median of the two
    names = list(INSTRUMENTS)
    wanted = {"viola": (8 * viola**2 + 4 * common) / 12, "cello": 4 * common / 5, "violin": common}
    for name, power in wanted.items():
        assert found[1, names.index(name)] == pytest.approx(np.sqrt(power), rel=0.05), name
    assert not found[0].any(), "no note stands alone"
    assert not found[1, names.index("flute") :].any()
    alone = estimate_trend(still, [rising("flute", f"{at}", cents, company=False) for at, cents in enumerate(spread)])
    assert alone[0, names.index("flute")] == pytest.approx(viola, rel=0.05)
    assert not alone[1].any()


def test_what_generated_notes_wander_anyway_is_no_trend() -> None:
    spread = np.linspace(-1.5, 1.5, 33) * 10.0
    notes = [rising("viola", f"{at}", cents) for at, cents in enumerate(spread)]
    still, wandering = (estimate_trend(generator(rms), notes)[1, 1] for rms in (0.0, 6.0))
    assert wandering < 0.9 * still
