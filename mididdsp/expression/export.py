"""A finished performance as a MIDI file: what was decided, as notes, controller lanes and bend; or as MPE.

What is written is what sounds: onsets with their shifts, sounding lengths, joined notes overlapping by a little, every
note's attributes as controllers just before it, curves as moving lanes. A sequencer plays the lanes it knows (volume,
expression, bend, attack, release, brightness, vibrato); read back with the table ``own``, the file gives the same
performance within the resolution of its controllers.

* One channel a part: a controller is for all notes that sound. Of notes that begin together the lowest rules.
* MPE: a zone for each part in its own track, a member channel for each voice, so that chords keep every note's own
  tuning, level and brightness. All zones have channel 1 as their master, as MPE has two zones at most: tracks go to
  players of their own.

Conventions: ticks of 960 a quarter note; controllers below 32 with their fine half (controller + 32); curves are
sampled where they turn, and every ``STEP_S`` between. The range of the bend is stated by RPN 0 and closed again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mididdsp.expression.controller_map import PRESETS, Rule
from mididdsp.expression.curves import PartCurves
from mididdsp.expression.types import NOTE_ATTRIBUTES, Curve, NoteExpression, Performance
from mididdsp.files import atomic_path
from mididdsp.midi_tracks import TimedMessage, midi_track
from mididdsp.notes.types import Part, PartPlan, PlannedNote

STEP_S = 0.02
"""Between samples of a curve: a controller that moves faster floods an instrument."""

JOIN_S = 0.01
"""Overlap that tells a reader of a joint, and a synthesiser of a slur."""

MPE_BEND_SEMITONES = 48
MOST_BEND_SEMITONES = 96
MEMBERS = 15

_RULES: Mapping[str, Rule] = {rule.target: rule for rule in PRESETS["own"] if rule.source.startswith("cc")}
_ATTRIBUTES = tuple(rule for rule in _RULES.values() if rule.target in NOTE_ATTRIBUTES)

Plan = Mapping[str, PartPlan]
"""Part name to its notes in chains and voices."""

_SETTING, _OFF, _CONTROL, _ON = range(4)


class ExportError(ValueError):
    """A performance cannot be written as asked; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sounding:
    """A note as it sounds: seconds, and the voice that plays it."""

    planned: PlannedNote
    expression: NoteExpression
    onset: float
    offset: float
    voice: int


def write_performance_midi(
    performance: Performance, plans: Plan, path: str | os.PathLike[str], *, head: Any, mpe: bool = False
) -> None:
    """Write a performance as a MIDI file; it appears whole or not at all.

    Args:
        performance: to write.
        plans: of all parts, as ``mididdsp.notes.voices.plan_part`` makes them.
        path: of the file.
        head: the score as a mido file (``mididdsp.notes.writing.midi_file``): its map of tempo, its names, programs and
            channels are kept, its notes are written anew.
        mpe: a channel a voice.

    Raises:
        ExportError: a part has more voices at once than MPE has channels.
        OSError: the file cannot be written.
    """
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=head.ticks_per_beat, charset="utf-8")
    file.tracks.append(head.tracks[0])
    ticks = _clock(performance, head.ticks_per_beat)
    for part, track in zip(performance.score.parts, head.tracks[1:]):
        names = [(0, _SETTING, message) for message in track if message.type in ("track_name", "instrument_name")]
        program = next((message for message in track if message.type == "program_change"), None)
        channel = 0 if program is None or mpe else program.channel
        timed: list[TimedMessage] = [(tick, order, message.copy(time=0)) for tick, order, message in names]
        if program is not None:
            timed.append((0, _CONTROL, program.copy(channel=channel, time=0)))
        place = performance.mix.parts.get(part.name)
        if place is not None:
            timed.append((0, _CONTROL, mido.Message("control_change", channel=channel, control=10,
                                                    value=round(64 + 63 * place.pan))))
        soundings = sorted(_soundings(performance, plans[part.name]), key=lambda item: (item.onset, item.voice))
        curves = PartCurves(performance.curves, part, performance.expressions)
        writer = _Writer(part, curves, _turns(performance.curves, part), ticks, channel)
        timed += writer.mpe(soundings) if mpe else writer.plain(soundings)
        file.tracks.append(midi_track(timed))
    with atomic_path(Path(path)) as temporary, open(temporary, "wb") as out:
        file.save(file=out)


def _clock(performance: Performance, ticks_per_quarter: int) -> Any:
    """Seconds to ticks, by the map that is written."""
    tempo = performance.score.tempo
    times = np.array([change.time for change in tempo] or [0.0])
    beats = np.array([change.beat for change in tempo] or [0.0])
    # a tempo is written in whole microseconds
    rate = np.array([1e6 / round(60e6 / change.bpm) for change in tempo] or [2.0])
    written = np.concatenate([[times[0]], times[0] + np.cumsum(np.diff(beats) / rate[:-1])])

    def ticks(seconds: float) -> int:
        index = max(int(np.searchsorted(written, seconds, side="right")) - 1, 0)
        return max(0, round(float(beats[index] + (seconds - written[index]) * rate[index]) * ticks_per_quarter))

    return ticks


def _soundings(performance: Performance, plan: PartPlan) -> Iterator[_Sounding]:
    for chain in plan.chains:
        onsets: list[float] = []
        for item in chain.notes:
            onset = max(0.0, item.onset + performance.expressions[item.note.id].timing_s)
            onsets.append(max(onset, onsets[-1] + 0.01) if onsets else onset)
        for index, item in enumerate(chain.notes):
            expression = performance.expressions[item.note.id]
            if item.leads:
                offset = onsets[index + 1] + min(JOIN_S, 0.25 * (onsets[index + 1] - onsets[index]))
            else:
                length = (item.offset - item.onset) * (expression.length_ratio or 1.0)
                offset = max(item.onset + length, onsets[index] + 0.004)
            yield _Sounding(planned=item, expression=expression, onset=onsets[index], offset=offset, voice=chain.voice)


def _turns(curves: Sequence[Curve], part: Part) -> dict[str, list[float]]:
    """Times at which curves of the part turn, by target."""
    notes = {note.id: note for note in part.notes}
    found: dict[str, list[float]] = {}
    for curve in curves:
        if curve.part == part.name:
            note = None if curve.note_id is None else notes[curve.note_id]
            start = 0.0 if note is None else note.onset if curve.anchor == "onset" else note.offset
            found.setdefault(curve.target, []).extend(start + time for time in curve.times)
    return found


class _Writer:
    """The messages of one part."""

    def __init__(
        self, part: Part, curves: PartCurves, turns: Mapping[str, list[float]], ticks: Any, channel: int
    ) -> None:
        self.part, self.curves, self.turns, self.ticks, self.channel = part, curves, turns, ticks, channel
        self._sent: dict[tuple[int, int], int] = {}

    def plain(self, soundings: Sequence[_Sounding]) -> list[TimedMessage]:
        """One channel for all."""
        lines = (self._line("pitch", item, soundings) for item in soundings)
        widest = max((abs(value) for line in lines for _, value in line), default=0.0)
        bend = min(MOST_BEND_SEMITONES, max(2, math.ceil((widest + 100.0 * _detune(soundings)) / 100.0)))
        timed = list(self._bend_range(self.channel, bend))
        for item in soundings:
            timed += self._note(item, self.channel, bend, soundings)
        return timed

    def mpe(self, soundings: Sequence[_Sounding]) -> list[TimedMessage]:
        """A member channel for each note that sounds with others."""
        import mido

        free_from = [0.0] * MEMBERS
        timed: list[TimedMessage] = [
            (0, _SETTING, mido.Message("control_change", channel=0, control=control, value=value))
            for control, value in ((101, 0), (100, 6), (6, MEMBERS), (101, 127), (100, 127))]
        for channel in range(1, MEMBERS + 1):
            timed += self._bend_range(channel, MPE_BEND_SEMITONES)
        for item in soundings:
            # the channel that has been silent longest, so that releases are not bent by what follows
            member = min(range(MEMBERS), key=free_from.__getitem__)
            if free_from[member] > item.onset:
                raise ExportError(f"part {self.part.name}: more than {MEMBERS} notes sound at {item.onset:.2f} s, and "
                                  "MPE has a channel for no more; export it without --mpe")
            free_from[member] = item.offset
            timed += self._note(item, member + 1, MPE_BEND_SEMITONES, (item,))
        return timed

    def _bend_range(self, channel: int, semitones: int) -> Iterator[TimedMessage]:
        import mido

        for control, value in ((101, 0), (100, 0), (6, semitones), (38, 0), (101, 127), (100, 127)):
            yield 0, _SETTING, mido.Message("control_change", channel=channel, control=control, value=value)

    def _note(self, item: _Sounding, channel: int, bend: int, among: Sequence[_Sounding]) -> Iterator[TimedMessage]:
        import mido

        note = item.planned.note
        on, off = self.ticks(item.onset), self.ticks(item.offset)
        key = min(127, max(0, math.floor(note.pitch + 0.5)))
        for rule in _ATTRIBUTES:
            value = getattr(item.expression, rule.target)
            if value is not None or rule.blank:
                yield from self._control(rule, rule.value(0.0) if value is None else value, on, channel)
        for target in ("level", "gain"):
            for time, value in self._line(target, item, among):
                yield from self._control(_RULES[target], value, self.ticks(time), channel)
        detune = 100.0 * (note.pitch - key)
        for time, cents in self._line("pitch", item, among):
            tick = self.ticks(time)
            value = min(8191, max(-8192, round((cents + detune) / (100.0 * bend) * 8192)))
            if self._sent.get((channel, -1), 0) != value:
                self._sent[channel, -1] = value
                yield tick, _CONTROL, mido.Message("pitchwheel", channel=channel, pitch=value)
        yield on, _ON, mido.Message("note_on", channel=channel, note=key, velocity=note.velocity or 64)
        yield max(off, on + 1), _OFF, mido.Message("note_off", channel=channel, note=key, velocity=64)

    def _control(self, rule: Rule, value: float, tick: int, channel: int) -> Iterator[TimedMessage]:
        """A controller's coarse and fine half, where they change."""
        import mido

        number = int(rule.source[2:])
        asked = rule.controller(value)
        fine = number < 32
        steps = min(round(asked * 128), 128 * 128 - 1) if fine else 128 * min(round(asked), 127)
        halves = ((number, steps // 128), (number + 32, steps % 128)) if fine else ((number, steps // 128),)
        for control, half in halves:
            if self._sent.get((channel, control)) != half:
                self._sent[channel, control] = half
                yield tick, _CONTROL, mido.Message("control_change", channel=channel, control=control, value=half)

    def _line(self, target: str, item: _Sounding, among: Sequence[_Sounding]) -> Iterator[tuple[float, float]]:
        """What the curves of a target add to a note while it sounds: (time, value); its start alone where none act."""
        following = [other.onset for other in among if other.onset > item.onset]
        end = min([item.offset, *following[:1]])
        times = {item.onset, end}
        inner = [time for time in self.turns.get(target, ()) if item.onset < time < end]
        times.update(inner)
        if self.turns.get(target):
            count = max(1, round((end - item.onset) / STEP_S))
            times.update(item.onset + (end - item.onset) * index / count for index in range(count))
        ordered = np.array(sorted(times))
        drawn = self.curves(target, item.planned.note.id, ordered)
        if drawn is None:
            yield item.onset, 0.0
            return
        factor, summand = drawn
        # a level that is set stands in place of the note's own
        own = {"level": item.expression.level_db, "pitch": item.expression.tuning_cents}.get(target, 0.0)
        for time, value in zip(ordered, summand + (factor - 1.0) * own):
            yield float(time), float(value)


def _detune(soundings: Sequence[_Sounding]) -> float:
    """The furthest a pitch lies from its key, semitones."""
    return max((abs(item.planned.note.pitch - round(item.planned.note.pitch)) for item in soundings), default=0.0)
