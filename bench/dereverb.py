"""Taking a room away and giving another: dry test phrases in rooms that nothing was tuned on.

    python -m bench.dereverb --data DATA              # needs pyroomacoustics (pip install pyroomacoustics)

Phrases of the test split (one an instrument, dry studio recordings) are convolved with impulse responses of shoebox
rooms made by the image-source library. Printed a room: how much lower the sound lies 150 to 250 ms after the phrase has
ended once its room is taken away (asked: 10 dB), the distance to the dry clip before and after in dB (log mel power, 64
bands, 45 dB deep: musical noise would show here), and the decay: true, as told blindly, and after room transfer between
the driest and the wettest room, measured on the end of the phrase.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from bench import measures
from mididdsp.reverberation import Reverberation, dried, estimate, impulse_response

Array = NDArray[np.float64]
RATE = 48_000
LONGEST_S = 10.0
TAIL_S = 3.0
UNSTEADY = ("trill", "tremolo", "gliss", "pizz")

ROOMS = (
    ("studio", 0.45, (8.0, 6.0, 3.2), (2.0, 3.0, 1.4), (4.0, 3.6, 1.6)),
    ("chamber", 0.9, (15.0, 10.0, 5.0), (4.0, 5.0, 1.4), (8.0, 5.5, 1.7)),
    ("hall", 1.8, (28.0, 18.0, 11.0), (8.0, 9.0, 1.5), (15.0, 10.0, 2.0)),
)
"""Name, reverberation time by Sabine, size, source and microphone in m."""


def responses() -> dict[str, Array]:
    """The rooms' impulse responses, beginning with the direct sound at amplitude 1."""
    import pyroomacoustics as acoustics

    found = {}
    for name, decay_s, size, source, microphone in ROOMS:
        absorption, order = acoustics.inverse_sabine(decay_s, size)
        room = acoustics.ShoeBox(size, fs=RATE, materials=acoustics.Material(absorption), max_order=min(order, 30))
        room.add_source(source)
        room.add_microphone(microphone)
        room.compute_rir()
        response = np.asarray(room.rir[0][0], dtype=np.float64)
        first = int(np.argmax(np.abs(response)))
        found[name] = response[max(0, first - 20):] / np.abs(response).max()
    return found


def phrases(data: Path) -> list[tuple[str, Array]]:
    """(instrument, audio) of one steady test phrase an instrument."""
    with (data / "split.csv").open(encoding="utf-8", newline="") as file:
        side = {row["item"]: row["split"] for row in csv.DictReader(file)}
    found: dict[str, Array] = {}
    with (data / "philharmonia" / "index.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["kind"] != "phrase" or side[f"philharmonia/{row['file']}"] != "test" or row["instrument"] in found
                    or any(word in row["style"] for word in UNSTEADY)):
                continue
            audio, rate = soundfile.read(data / "philharmonia" / row["file"], always_2d=True)
            mono = soxr.resample(audio.mean(axis=1), rate, RATE)[: int(LONGEST_S * RATE)]
            found[row["instrument"]] = 0.5 * mono / np.abs(mono).max()
    return sorted(found.items())


def end_of(audio: Array) -> float:
    """Where the player has stopped: 25 dB below the top for good, s."""
    return measures.sounding_span(audio, RATE, -25.0)[1]


def level(audio: Array, start_s: float, length_s: float) -> float:
    """Power in dB of a stretch."""
    part = audio[round(start_s * RATE):round((start_s + length_s) * RATE)]
    return float(10 * np.log10(np.mean(part**2) + 1e-14))


def fall_time(audio: Array, end_s: float) -> float:
    """Time to fall by 60 dB, from the backward integral of what follows the end, between -3 and -15 dB."""
    tail = audio[round((end_s + 0.05) * RATE):]
    energy = np.cumsum(tail[::-1] ** 2)[::-1]
    fall = 10 * np.log10(energy / energy[0] + 1e-12)
    first, last = int(np.argmax(fall < -3.0)), int(np.argmax(fall < -15.0))
    return 60.0 / 12.0 * (last - first) / RATE


def distance(reference: Array, other: Array) -> float:
    """Mean difference of log mel power at the same moments, equal energy, 45 dB deep."""
    a, b = (measures.mel_power(audio, RATE) for audio in (reference, other))
    a, b = a[: min(len(a), len(b))], b[: min(len(a), len(b))]
    floor = a.max() * 10.0 ** -4.5
    b = b * (a.sum() / b.sum())
    return float(np.abs(10 * np.log10(np.maximum(a, floor)) - 10 * np.log10(np.maximum(b, floor))).mean())


def without_room(audio: Array, room: Reverberation) -> Array:
    """The sound with that room taken away."""
    dry = np.concatenate(list(dried([audio[None].astype(np.float32)], RATE, room)), axis=1)[0]
    return np.asarray(dry, np.float64)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with split.csv and philharmonia/")
    parser.add_argument("--most", type=int, default=16, help="instruments")
    chosen = parser.parse_args(arguments)
    rooms = responses()
    clips = phrases(chosen.data)[: chosen.most]
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in rooms}
    moved: dict[str, list[tuple[float, float, float]]] = {"studio → hall": [], "hall → studio": []}
    for _, audio in clips:
        end_s = end_of(audio)
        dry = np.pad(audio, (0, int(TAIL_S * RATE)))
        wet = {name: fftconvolve(dry, response)[: len(dry)] for name, response in rooms.items()}
        told = {name: estimate(sound[None], RATE) for name, sound in wet.items()}
        for name, sound in wet.items():
            out = without_room(sound, told[name])
            rows[name].append((level(sound, end_s + 0.15, 0.1) - level(out, end_s + 0.15, 0.1), distance(dry, sound),
                               distance(dry, out), told[name].middle_s))
        for a, b in (("studio", "hall"), ("hall", "studio")):
            bare = without_room(wet[a], told[a])
            late = impulse_response(told[b], RATE, channels=1)[0].astype(np.float64)
            out = bare + fftconvolve(bare, late)[: len(bare)]
            moved[f"{a} → {b}"].append((fall_time(wet[a], end_s), fall_time(out, end_s), fall_time(wet[b], end_s)))
    print(f"{len(clips)} phrases of the test split")
    print(f"{'room':10} {'true s':>7} {'told s':>7} {'lower by dB':>12} {'worst':>6} {'10 dB in':>9} "
          f"{'distance wet':>13} {'dry again':>10}")
    enough = True
    for name, decay_s, *_ in ROOMS:
        values = np.array(rows[name])
        print(f"{name:10} {decay_s:7.2f} {np.median(values[:, 3]):7.2f} {np.median(values[:, 0]):12.1f} "
              f"{values[:, 0].min():6.1f} {int((values[:, 0] >= 10.0).sum()):4d} of {len(values):2d} "
              f"{values[:, 1].mean():13.2f} {values[:, 2].mean():10.2f}")
        enough &= bool(np.median(values[:, 0]) >= 10.0)
    print(f"{'transfer':16} {'from s':>7} {'to s':>7} {'asked s':>8}")
    for name, decays in moved.items():
        before, after, target = np.median(np.array(decays), axis=0)
        print(f"{name:16} {before:7.2f} {after:7.2f} {target:8.2f}")
        enough &= bool(abs(np.log(after / target)) < abs(np.log(before / target)))
    return 0 if enough else 1


if __name__ == "__main__":
    raise SystemExit(main())
