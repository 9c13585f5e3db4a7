"""Notes rendered by FluidSynth with FluidR3: the sampler that everybody has, to stand beside.

Reverb and chorus are off, the two channels are averaged. Skips aloud: ``missing()`` says what is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SAMPLE_RATE = 48_000
_TICKS = 4800  # a beat of half a second at 120 bpm: 9600 ticks a second, 5 samples at 48 kHz
_TICKS_PER_S = 2 * _TICKS

PROGRAMS: dict[str, int] = {
    "violin": 40, "viola": 41, "cello": 42, "double_bass": 43, "flute": 73, "oboe": 68, "english_horn": 69,
    "clarinet": 71, "bass_clarinet": 71, "saxophone": 65, "bassoon": 70, "contrabassoon": 70, "trumpet": 56,
    "horn": 60, "trombone": 57, "tuba": 58,
}
"""General MIDI program (0-based) per instrument; those without one take their nearest relative's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Notes for one instrument: (onset s, duration s, MIDI pitch with fractions, velocity)."""

    instrument: str
    notes: tuple[tuple[float, float, float, int], ...]
    tail_s: float = 2.0


def missing() -> str | None:
    """What is not installed, as a sentence; None when all is there."""
    if shutil.which("fluidsynth") is None:
        return "fluidsynth is not installed (Debian: apt-get install fluidsynth)"
    if not SOUND_FONT.exists():
        return f"{SOUND_FONT} is not there (Debian: apt-get install fluid-soundfont-gm)"
    return None


def write_midi(path: Path, requests: Sequence[Request]) -> list[tuple[float, float]]:
    """Write all requests one after the other into one file; returns the (start, stop) in s of each."""
    events: list[tuple[int, int, mido.Message]] = []
    spans = []
    clock = 0.1
    for request in requests:
        end = max(onset + duration for onset, duration, _, _ in request.notes)
        tick = round(clock * _TICKS_PER_S)
        events.append((tick - 400, 0, mido.Message("program_change", program=PROGRAMS[request.instrument])))
        for onset, duration, pitch, velocity in request.notes:
            number = int(np.floor(pitch + 0.5))
            start = tick + round(onset * _TICKS_PER_S)
            stop = max(start + 1, tick + round((onset + duration) * _TICKS_PER_S))
            bend = int(np.clip(round((pitch - number) / 2.0 * 8192), -8192, 8191))  # range +-2 semitones
            events.append((start, 2, mido.Message("pitchwheel", pitch=bend)))
            events.append((start, 3, mido.Message("note_on", note=number, velocity=int(velocity))))
            events.append((stop, 1, mido.Message("note_off", note=number)))
        spans.append((tick / _TICKS_PER_S, tick / _TICKS_PER_S + end + request.tail_s))
        clock = spans[-1][1] + 0.2
    file = mido.MidiFile(ticks_per_beat=_TICKS)
    track = mido.MidiTrack()
    file.tracks.append(track)
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, round(clock * _TICKS_PER_S) - now)))
    file.save(str(path))
    return spans


def render(requests: Sequence[Request]) -> list[NDArray[np.float64]]:
    """Mono audio at 48 kHz of each request, time 0 at its start, in one run of the synthesizer.

    Raises:
        RuntimeError: it is not installed, or failed; the message says which.
    """
    problem = missing()
    if problem:
        raise RuntimeError(problem)
    if not requests:
        return []
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder, "notes.mid"), Path(folder, "notes.wav")
        spans = write_midi(midi, requests)
        command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(SAMPLE_RATE), "-T", "wav",
                   "-O", "float", "-F", str(wave), str(SOUND_FONT), str(midi)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode or not wave.exists():
            raise RuntimeError(f"fluidsynth failed with {result.returncode}: {result.stderr.strip()[-300:]}")
        stereo, rate = soundfile.read(wave, dtype="float32")
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"fluidsynth wrote {rate} Hz, {SAMPLE_RATE} were asked for")
    mono = stereo.mean(axis=1, dtype=np.float64)
    mono = np.pad(mono, (0, max(0, round(spans[-1][1] * rate) - len(mono))))
    return [mono[round(start * rate):round(stop * rate)] for start, stop in spans]
