"""Messages at their ticks become a track of a MIDI file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TimedMessage = tuple[int, int, Any]
"""Tick, order among those of one tick, mido message."""


def midi_track(timed: Iterable[TimedMessage]) -> Any:
    """A mido track with delta times, of messages in any order."""
    import mido

    track = mido.MidiTrack()
    last = 0
    for tick, _, message in sorted(timed, key=lambda item: item[:2]):
        track.append(message.copy(time=tick - last))
        last = tick
    return track
