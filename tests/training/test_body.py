"""Resonances are read off notes that vibrate over them, and generated notes then slide as those do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from untrained import synthesis

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.synthesis.body import BODY_CENTS, BODY_LOW_HZ
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.training.body import drawn_body, generated_slopes, recorded_slopes, unswung_share, with_body
from mididdsp.training.life import VIBRATO_BAND, generated_alone
from mididdsp.training.synthesis import made_up_notes
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]
VIOLIN = INSTRUMENT_IDS["violin"]


def height(cents: Array) -> Array:
    """The made-up body: wide resonances, so that few notes tell all of them."""
    return np.asarray(3.0 * np.sin(2 * np.pi * cents / 160.0))


def vibrating(pitch: float, instrument: str = "violin", noise: float = 0.0) -> TrainingNote:
    """A note of a second and a half at 5.5 Hz, 12 cents, that slides over the made-up body."""
    random = np.random.default_rng(round(10 * pitch))
    base, frames, onset, offset = made_up_notes(1, 0)[0], 420, 8, 380
    angle = 2 * np.pi * 5.5 * np.arange(frames) / FRAME_RATE + random.uniform(0, 6)
    swing = 12.0 * np.sin(angle)
    at = 1200.0 * np.log2(midi_to_hz(pitch) * KNOTS / BODY_LOW_HZ) + swing[:, None]
    knots = -26.0 - 2.0 * np.log2(KNOTS) + height(at) + noise * random.standard_normal((frames, len(KNOTS)))
    level = 10.0 * np.log10((10.0 ** (knots[:, :12] / 10.0)).sum(1))
    return replace(
        base, expression=replace(base.expression, vibrato_cents=12.0, vibrato_rate_hz=5.5, vibrato_delay_s=0.0,
                                 fluctuation_db=3.0),
        facts={**base.facts, "item": f"{instrument} {pitch}", "instrument": instrument, "onset": onset,
               "offset": offset, "seconds": (offset - onset) / FRAME_RATE, "pitch": pitch},
        frames={"f0_cents": swing, "partial_db": level, "level_db": level, "knots_db": knots,
                "known": np.ones(knots.shape, bool), "noise_db": np.full((frames, 40), -80.0)})


def wanted_slope(cents: Array, extent: float = 12.0) -> Array:
    """What a swing finds of the made-up body, dB for 10 cents."""
    turn = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    return np.asarray(10.0 * (height(cents[:, None] + extent * turn) * turn).mean(1) / (0.5 * extent))


def generator(life: float = 0.0) -> SynthesisGenerator:
    return synthesis(fall=0.02, life=life)


PITCHES = np.arange(56.0, 80.0)


def test_slopes_are_read_off_a_note() -> None:
    found = recorded_slopes(vibrating(62.0))
    assert found is not None
    assert found.partials.tolist() == list(range(1, 13))
    assert found.extent == pytest.approx(12.0, rel=0.05)
    np.testing.assert_allclose(found.with_it, wanted_slope(found.cents), atol=0.08)


def test_short_and_still_notes_tell_nothing() -> None:
    note = vibrating(62.0)
    assert recorded_slopes(replace(note, facts={**note.facts, "offset": note.facts["onset"] + 120})) is None
    assert recorded_slopes(replace(note, expression=replace(note.expression, vibrato_cents=0.0))) is None


def test_what_notes_tell_holds_at_other_pitches() -> None:
    """Slopes between those that were told, below 2 kHz where notes have little of their own."""
    told = [recorded_slopes(vibrating(pitch)) for pitch in np.arange(50.0, 80.0, 0.31)]
    body = drawn_body([slopes for slopes in told if slopes is not None], key="violin")
    cents = np.arange(3000.0, 5000.0, 7.0)
    turn = np.cos(np.pi * (np.arange(16) + 0.5) / 16)
    level = np.interp(cents[:, None] + 12.0 * turn, BODY_CENTS, body[0])
    found = 10.0 * (level * turn).mean(1) / 6.0
    assert np.corrcoef(found, wanted_slope(cents))[0, 1] > 0.9
    assert np.std(body[1]) > 0.5  # and each note has something of its own


@pytest.fixture(scope="module")
def mended() -> SynthesisGenerator:
    """Told by notes of a violin, few of a cello, and a flute."""
    notes = [vibrating(pitch) for pitch in PITCHES]
    few = [replace(note, facts={**note.facts, "instrument": "cello"}) for note in notes[:5]]
    flute = [replace(note, facts={**note.facts, "instrument": "flute"}) for note in notes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mididdsp.training.body.ROUNDS", 1)
        patch.setattr("mididdsp.training.body.NOTES", 12)
        return with_body(generator(life=1.0), [*notes, *few, *flute])


def test_generated_notes_come_to_slide_as_recorded_ones(mended: SynthesisGenerator) -> None:
    still = mended.changed(life_rms=generator().life_rms)
    notes = [vibrating(pitch) for pitch in PITCHES[::3]]
    pairs = [(recorded_slopes(note), *(generated_slopes(generated_alone(made, note), note)
                                       for made in (still, generator()))) for note in notes]
    real, ours, plain = (np.concatenate([slopes.with_it[:6] for slopes in side if slopes is not None])
                         for side in zip(*pairs))
    assert np.corrcoef(real, ours)[0, 1] > 0.4  # the rest is each note's own
    assert abs(np.corrcoef(real, plain)[0, 1]) < 0.3
    assert np.std(ours) == pytest.approx(np.std(real), rel=0.3)


def test_winds_few_notes_and_other_bands_are_left(mended: SynthesisGenerator) -> None:
    before = generator(life=1.0)
    assert [name for name, at in INSTRUMENT_IDS.items() if mended.body_db[at].any()] == ["violin"]
    less = np.argwhere(mended.life_rms != before.life_rms)
    assert set(less[:, 0].tolist()) == {1}
    assert set(less[:, 1].tolist()) == {VIOLIN}
    assert set(less[:, 2].tolist()) <= {0, *range(2, 2 + len(KNOTS))}
    assert set(less[:, 3].tolist()) <= {VIBRATO_BAND, VIBRATO_BAND + 1}
    assert (mended.life_rms <= before.life_rms).all()


def test_life_is_less_by_what_goes_with_the_vibrato() -> None:
    """Where everything goes with it, as far as it may; where a noise is all there is, hardly."""
    swinging = unswung_share([vibrating(pitch) for pitch in PITCHES])
    assert swinging.shape == (1 + len(KNOTS), 2)
    assert (swinging[1:, 0] < 0.2).all()
    noisy = [vibrating(pitch, noise=12.0) for pitch in PITCHES]
    assert (unswung_share(noisy)[1:, 1] > 0.7).all()
