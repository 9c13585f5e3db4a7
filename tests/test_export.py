"""A finished performance as MIDI: what sounds is written, and reads back as the same performance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import players
import pytest

from mididdsp.export import export_midi
from mididdsp.expression.controller_map import PRESETS
from mididdsp.expression.curves import PartCurves
from mididdsp.expression.export import ExportError
from mididdsp.expression.types import Curve, NoteExpression, Performance
from mididdsp.notes.types import Note, Part, Score, TempoChange

STEPS = {rule.target: rule for rule in PRESETS["own"]}
TICK_S = 0.5 / 960
"""At 120 quarters a minute."""


def expression(index: int, *, joined: bool = False, leads: bool = False) -> NoteExpression:
    """Unlike for every note."""
    vibrates = index % 3 > 0
    return NoteExpression(
        level_db=-20.0 - 3.3 * (index % 5), fluctuation_db=0.7 + 0.31 * (index % 4), peak_position=0.1 * (index % 9),
        brightness=0.8 + 0.17 * (index % 6), attack_noise_db=-30.0 + 1.7 * (index % 7),
        attack_s=0.02 * (1 + index % 5), release_s=0.05 * (1 + index % 6), vibrato_cents=17.0 * vibrates,
        vibrato_rate_hz=5.0 + 0.2 * (index % 5) if vibrates else None, vibrato_delay_s=0.15 if vibrates else None,
        tuning_cents=-7.0 + 2.9 * (index % 6), timing_s=0.004 * (index % 3),
        length_ratio=None if leads else 0.9, glide_s=0.05 if joined else None,
        vibrato_fade_s=0.1 * index if index % 3 == 1 else None, vibrato_phase=0.25 if index % 3 == 2 else None,
        vibrato_irregularity=0.0 if index % 3 == 1 else None)


def performance(*, chord: bool = False) -> Performance:
    notes = [Note(id=f"n{index}", onset=0.5 * index, duration=0.5, pitch=60.0 + (index * 5) % 12, velocity=50 + index,
                  articulations=("legato",) if index % 4 == 2 and not chord else ()) for index in range(12)]
    if chord:
        notes += [replace(note, id=f"{note.id}x", pitch=note.pitch - 7.0) for note in notes[::3]]
    notes.sort(key=lambda note: (note.onset, note.pitch))
    part = Part(name="Violin", instrument="violin", notes=tuple(notes), program=40)
    table = {note.id: expression(index, joined="legato" in note.articulations,
                                 leads=note.id in ("n1", "n5", "n9") and not chord) for index, note in enumerate(notes)}
    curves = (
        Curve(target="pitch", times=(1.0, 2.0), values=(0.0, 150.0), part="Violin"),
        Curve(target="level", times=(0.0, 0.4), values=(0.0, 5.0), part="Violin", note_id="n6", anchor="onset"),
        Curve(target="gain", times=(0.0, 3.0), values=(0.0, -8.0), part="Violin"),
    )
    score = Score(parts=(part,), tempo=(TempoChange(time=0.0, beat=0.0, bpm=120.0),))
    return Performance(score=score, expressions=table, curves=curves)


def sounding(value: Performance, index: int) -> tuple[float, float]:
    note = value.score.parts[0].notes[index]
    own = value.expressions[note.id]
    onset = note.onset + own.timing_s
    return onset, note.onset + note.duration * (own.length_ratio or 1.0)


@pytest.mark.parametrize(("mpe", "chord"), [(False, False), (True, False), (True, True)])
def test_it_reads_back_within_the_resolution(mpe: bool, chord: bool, tmp_path: Path) -> None:
    before = performance(chord=chord)
    path = tmp_path / "out.mid"
    export_midi(before, path, mpe=mpe)
    after = players.tiny().perform(path, controllers="own")
    (old,), (new,) = before.score.parts, after.score.parts
    assert (new.name, new.instrument, new.program) == (old.name, old.instrument, old.program)
    assert [note.velocity for note in new.notes] == [note.velocity for note in sorted(
        old.notes, key=lambda note: (note.onset + before.expressions[note.id].timing_s, note.pitch))]
    order = sorted(range(len(old.notes)), key=lambda index: (sounding(before, index)[0], old.notes[index].pitch))
    for index, read in zip(order, new.notes):
        note = old.notes[index]
        was, now = before.expressions[note.id], after.expressions[read.id]
        assert read.pitch == note.pitch
        assert read.onset == pytest.approx(sounding(before, index)[0], abs=TICK_S)
        assert (now.timing_s, now.length_ratio) == (0.0, None if was.length_ratio is None else 1.0)
        if was.length_ratio is not None:
            assert read.offset == pytest.approx(sounding(before, index)[1], abs=2 * TICK_S)
        for name, rule in STEPS.items():
            value, back = getattr(was, name, None), getattr(now, name, None)
            if name in ("timing_s", "length_ratio") or not hasattr(was, name):
                continue
            assert (value is None) == (back is None), name
            if value is not None:
                steps = abs(rule.controller(back) - rule.controller(value))
                # half a step of the controller: 1/127, or 1/128 of it where it has a fine half
                assert steps <= 0.5 / (128 if int(rule.source[2:]) < 32 else 1) + 1e-6, name
    for target, tolerance in (("pitch", 4.0), ("level", 0.2), ("gain", 0.2)):
        # curves are written every 20 ms: 150 cents over a second are 3 cents a step
        old_curves = PartCurves(before.curves, old, before.expressions)
        new_curves = PartCurves(after.curves, new, after.expressions)
        for index, read in zip(order, new.notes):
            moments = np.linspace(read.onset + 0.02, read.offset - 0.06, 5)
            was_line, now_line = (curves(target, note_id, moments) for curves, note_id in (
                (old_curves, old.notes[index].id), (new_curves, read.id)))
            expected = np.zeros(5) if was_line is None else was_line[1]
            found = np.zeros(5) if now_line is None else now_line[1]
            np.testing.assert_allclose(found, expected, atol=tolerance)


def test_the_bend_states_its_range_and_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "out.mid"
    export_midi(performance(), path)
    controls = [(message.control, message.value) for message in mido.MidiFile(path).tracks[1]
                if message.type == "control_change"]
    at = controls.index((101, 0))
    assert controls[at : at + 6] == [(101, 0), (100, 0), (6, 2), (38, 0), (101, 127), (100, 127)]


def test_an_mpe_zone_is_declared_and_chords_take_channels(tmp_path: Path) -> None:
    path = tmp_path / "out.mid"
    export_midi(performance(chord=True), path, mpe=True)
    track = mido.MidiFile(path).tracks[1]
    controls = [(message.channel, message.control, message.value) for message in track
                if message.type == "control_change"]
    assert {(0, 101, 0), (0, 100, 6), (0, 6, 15)} <= set(controls)
    struck = [(message.channel, message.note) for message in track if message.type == "note_on"]
    assert all(channel > 0 for channel, _ in struck)
    assert len({channel for channel, _ in struck}) > 3


def test_mpe_has_no_more_than_fifteen_notes(tmp_path: Path) -> None:
    notes = tuple(Note(id=f"n{index}", onset=0.0, duration=1.0, pitch=40.0 + index) for index in range(16))
    crowd = Performance(score=Score(parts=(Part(name="p", instrument="violin", notes=notes),)),
                        expressions={note.id: expression(0) for note in notes})
    with pytest.raises(ExportError, match="more than 15 notes"):
        export_midi(crowd, tmp_path / "out.mid", mpe=True)
    assert list(tmp_path.iterdir()) == []
