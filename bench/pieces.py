"""Made-up pieces for the benches: music-like, of any length, the same on every machine."""

from __future__ import annotations

import random
from pathlib import Path

import mido

TICKS = 480
BPM = 96
QUARTET = (("Violin I", 40, 76), ("Violin II", 40, 69), ("Viola", 41, 60), ("Cello", 42, 48))
"""Track name, General MIDI program and central pitch of each player."""

_SCALE = (0, 2, 4, 5, 7, 9, 11)
_LENGTHS = (0.5, 0.5, 0.5, 1.0, 1.0, 1.5, 2.0)
"""In quarter notes; drawn evenly, so a note lasts 0.6 s in the mean."""


def _melody(rng: random.Random, centre: int, quarters: float) -> list[tuple[float, float, int, int]]:
    """(onset, length, pitch, velocity) in quarters: a walk on C major with a rest now and then."""
    notes, at, step = [], 0.0, 0
    while at < quarters:
        length = rng.choice(_LENGTHS)
        if rng.random() > 0.06:
            degree, octave = step % 7, step // 7
            notes.append(
                (
                    at,
                    length * rng.choice((0.95, 0.95, 1.03, 0.5)),
                    centre + 12 * octave + _SCALE[degree],
                    rng.randint(48, 104),
                )
            )
            step = max(-7, min(9, step + rng.choice((-2, -1, -1, 1, 1, 2))))
        at += length
    return notes


def write_piece(path: Path, seconds: float, players: tuple[tuple[str, int, int], ...] = QUARTET, seed: int = 1) -> None:
    """Write a MIDI file of about ``seconds`` for the players."""
    song = mido.MidiFile(ticks_per_beat=TICKS)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(BPM))])
    song.tracks.append(head)
    for channel, (name, program, centre) in enumerate(players):
        events: list[tuple[int, int, mido.Message]] = []
        for onset, length, pitch, velocity in _melody(random.Random(seed + channel), centre, seconds * BPM / 60.0):
            start, end = round(onset * TICKS), round((onset + length) * TICKS)
            events.append((start, 1, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
            events.append((end, 0, mido.Message("note_off", channel=channel, note=pitch)))
        track = mido.MidiTrack(
            [
                mido.MetaMessage("track_name", name=name),
                mido.Message("program_change", channel=channel, program=program),
            ]
        )
        now = 0
        for tick, _, message in sorted(events, key=lambda event: event[:2]):
            track.append(message.copy(time=tick - now))
            now = tick
        song.tracks.append(track)
    song.save(path)
