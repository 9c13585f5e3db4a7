"""A small collection of made-up recordings in the layout of the real one, so that tests need no data of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mididdsp.instruments import INSTRUMENTS
from mididdsp.units import midi_to_hz

RATE = 44_100


def tone(pitch: float, seconds: float, level: float = 0.2, *, rest: float = 0.1) -> NDArray[np.float64]:
    """A harmonic tone with a little noise, a fall of 60 ms and rests around it; float64 [samples]."""
    time = np.arange(int((seconds + 2 * rest + 0.3) * RATE)) / RATE - rest
    rise = np.clip(time / 0.03, 0.0, 1.0)
    fall = 10.0 ** (-np.maximum(time - seconds, 0.0) / 0.06)
    partials = np.arange(1, max(2, min(20, int(12_000 / midi_to_hz(pitch)))))
    sound = (np.sin(2 * np.pi * midi_to_hz(pitch) * time[:, None] * partials) / partials**1.5).sum(1)
    noise = np.random.default_rng(int(pitch)).normal(0.0, 0.003, len(time))
    return np.asarray(level * rise * fall * (sound + noise))


def write_collection(folder: Path) -> Path:
    """Write wav files of two instruments, ``index.csv``, ``split.csv``, targets and violinists; returns ``folder``.

    Four notes each of violin and horn to train with and one to validate; a phrase each; a damaged file, a silent one, a
    pizzicato, one labelled an octave off, one of pink-ish noise, and a test note.
    """
    rows: list[tuple[str, str, str, float | None, str, str, str]] = []

    def add(name: str, instrument: str, sound: NDArray[np.float64] | bytes, *, pitch: float | None,
            split: str = "train", kind: str = "note", dynamic: str = "mezzo-forte", style: str = "normal") -> None:
        path = folder / "philharmonia" / instrument / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(sound, bytes):
            path.write_bytes(sound)
        else:
            soundfile.write(path, sound, RATE)
        rows.append((f"{instrument}/{name}", instrument, kind, pitch, dynamic, style, split))

    for instrument, low in (("violin", 62.0), ("horn", 50.0)):
        for index in range(4):
            add(f"{index}.wav", instrument, tone(low + 3 * index, 0.7, 0.1 + 0.1 * index), pitch=low + 3 * index)
        add("valid.wav", instrument, tone(low + 1, 0.7), pitch=low + 1, split="valid")
        for split in ("train", "valid"):
            phrase = np.concatenate([tone(low + step, 0.4, rest=0.02) for step in (0, 4, 2)])
            add(f"phrase-{split}.wav", instrument, phrase, pitch=None, kind="phrase", split=split)
    add("damaged.mp3", "violin", b"ID3\x04" + bytes(range(256)), pitch=60.0)
    add("silent.wav", "violin", np.zeros(RATE // 2), pitch=60.0)
    add("short.wav", "violin", tone(69.0, 0.5)[:400], pitch=69.0)
    add("octave.wav", "violin", tone(74.0, 0.6), pitch=62.0)
    add("plucked.wav", "violin", tone(69.0, 0.5), pitch=69.0, style="pizz-normal")
    add("noise.wav", "violin", np.random.default_rng(0).normal(0.0, 0.1, RATE), pitch=69.0)
    add("swell.wav", "violin", tone(71.0, 0.6), pitch=71.0, dynamic="crescendo")
    add("test.wav", "violin", tone(72.0, 0.6), pitch=72.0, split="test")

    index = ["file,instrument,kind,labelled_pitch,length_class,dynamic,style"]
    index += [f"{file},{instrument},{kind},{'' if pitch is None else pitch},1,{dynamic},{style}"
              for file, instrument, kind, pitch, dynamic, style, _ in rows]
    (folder / "philharmonia" / "index.csv").write_text("\n".join(index) + "\n", encoding="utf-8")
    splits = ["item,split,instrument,kind"]
    splits += [f"philharmonia/{file},{split},{instrument},{kind}" for file, instrument, kind, _, _, _, split in rows]
    splits += [f"violinists/{title},{split},violin,piece" for title, split in (("one", "train"), ("two", "valid"))]
    (folder / "split.csv").write_text("\n".join(splits) + "\n", encoding="utf-8")
    figures = ["instrument,vibrato_share,vibrato_rate_hz,vibrato_extent_cents,vibrato_delay_s,level_span_pp_ff_db,"
               "basis"]
    figures += [f"{name},0.1,,,,30,made up" if name == "horn" else f"{name},0.5,5.8,12,0.2,24,made up"
                for name in INSTRUMENTS]
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "targets.csv").write_text("\n".join(figures) + "\n", encoding="utf-8")
    write_violinists(folder / "violinists" / "violinists.npz")
    return folder


def write_violinists(path: Path, *, notes: int = 8, rate: float = 172.265625) -> None:
    """Two pieces of notes of 1 s and of 0.2 s by turns; every other long note has a vibrato of 20 cents at 6 Hz.

    The first piece is tuned 8 cents sharp, the second 5 cents flat.
    """
    contours, piece, onset, duration, pitch, length = [], [], [], [], [], []
    for number in range(2):
        at = 0.0
        for index in range(notes):
            seconds = 1.0 if index % 2 == 0 else 0.2
            time = np.arange(int(seconds * rate)) / rate
            swing = 20.0 * np.sin(2 * np.pi * 6.0 * time) if index % 4 == 0 else 0.0 * time
            contours.append(swing + (8.0 if number == 0 else -5.0))
            piece.append(number)
            onset.append(at)
            duration.append(seconds)
            pitch.append(60 + index)
            length.append(len(time))
            at += seconds + 0.05
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, contour_cents=np.concatenate(contours).astype(np.float16), contour_length=np.array(length),
             contour_start=np.concatenate([[0], np.cumsum(length)[:-1]]), piece=np.array(piece),
             onset_s=np.array(onset), duration_s=np.array(duration), pitch=np.array(pitch), frame_rate=np.array(rate),
             piece_title=np.array(["one", "two"]))
