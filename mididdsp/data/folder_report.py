"""The quality report of a folder: one HTML page with pictures inside it, and the same figures as JSON."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.folder_pieces import STRIP_EVERY
from mididdsp.data.folder_refusal import REASONS
from mididdsp.files import atomic_path
from mididdsp.instruments import INSTRUMENTS
from mididdsp.units import FRAME_RATE, pitch_name

if TYPE_CHECKING:
    from mididdsp.data.folder_dataset import FolderReport, RecordingReport

PAGE_FILE, FIGURES_FILE = "report.html", "report.json"

MOST_STRIPS = 40
"""Recordings with a picture of their own; a folder of single notes has thousands."""

_STRIP_POINTS = 1_500
_COLOURS = {"polyphonic": "#d55e00", "chord in the notes": "#e69f00", "noisy": "#999999", "clipped": "#cc0000",
            "not in the notes": "#cc79a7", "faint": "#56b4e9"}
_KEPT = "#0072b2"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.6rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
figcaption, .small { font-size: 0.85rem; color: #555; }
.refused { background: #fff1ec; } .key { display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.3em 0 0.8em; }
"""


class Strip(Protocol):
    """A recording's name and, when asked, its contours: pitch, voiced, level; 25 values a second."""

    @property
    def item(self) -> str: ...

    @property
    def contours(self) -> Callable[[], dict[str, NDArray[Any]]]: ...


def write_report(report: FolderReport, dataset: Path, strips: Sequence[Strip]) -> Path:
    """Write ``report.html`` and ``report.json`` into the data set; the path of the page."""
    with atomic_path(dataset / FIGURES_FILE) as partial:
        partial.write_text(json.dumps(as_json(report), indent=1, ensure_ascii=False), encoding="utf-8")
    page = dataset / PAGE_FILE
    with atomic_path(page) as partial, partial.open("w", encoding="utf-8") as file:
        for piece in _page(report, strips):
            file.write(piece)
    return page


def as_json(report: FolderReport) -> dict[str, Any]:
    """The report as plain values."""
    return {"folder": report.folder,
            "minutes": {name: {side: round(report.minutes(name, side), 2) for side in _sides(report)}
                        for name in report.instruments},
            "recordings": [{**asdict(one), "levels_db": [round(value, 1) for value in one.levels_db]}
                           for one in report.recordings],
            "left_out": [{"item": item, "why": why} for item, why in report.left_out]}


def _sides(report: FolderReport) -> list[str]:
    return sorted({one.side for one in report.recordings if one.side})


def _page(report: FolderReport, strips: Sequence[Strip]) -> Iterator[str]:
    refused = [one for one in report.recordings if one.refused]
    used = [one for one in report.recordings if not one.refused]
    title = f"Recordings in {report.folder}"
    yield (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
           f"<style>{_STYLE}</style></head><body>\n<h1>{html.escape(title)}</h1>\n")
    yield (f"<p>{report.minutes():.1f} minutes of notes to learn from, in {len(used)} recordings of "
           f"{sum(one.seconds for one in used) / 60.0:.1f} minutes. {len(refused)} recordings are refused"
           f"{f' and {len(report.left_out)} files left out' if report.left_out else ''}.</p>\n")
    for name in report.instruments:
        yield from _instrument(report, name)
    yield "<h2>Recordings</h2>\n"
    yield from _recordings(report.recordings)
    if report.left_out:
        yield "<h2>Files left out</h2>\n<table><tr><th>file</th><th>why</th></tr>\n"
        for item, why in report.left_out:
            yield f"<tr><td>{html.escape(item)}</td><td>{html.escape(why)}</td></tr>\n"
        yield "</table>\n"
    yield from _strips(report, strips)
    yield "</body></html>\n"


def _instrument(report: FolderReport, name: str) -> Iterator[str]:
    mine = [one for one in report.recordings if one.instrument == name and one.notes]
    row = INSTRUMENTS[name]
    pitches: dict[int, float] = {}
    for one in mine:
        for pitch, seconds in one.pitch_s.items():
            pitches[pitch] = pitches.get(pitch, 0.0) + seconds
    inside = sum(1 for pitch in range(row.low, row.high + 1) if pitches.get(pitch, 0.0) >= 1.0)
    levels = np.array([value for one in mine for value in one.levels_db])
    spread = np.percentile(levels, 95) - np.percentile(levels, 5)
    sides = ", ".join(f"{report.minutes(name, side):.1f} min {side}" for side in _sides(report)
                      if report.minutes(name, side))
    count = sum(one.notes for one in mine)
    yield (f"<h2>{html.escape(row.label)}</h2>\n<p>{report.minutes(name):.1f} minutes, {count} notes ({sides}). "
           f" {inside} of its {row.high - row.low + 1} pitches have a second of sound or more, from "
           f"{pitch_name(min(pitches))} to {pitch_name(max(pitches))}. Nine notes of ten lie within {spread:.0f} dB of "
           f"each other.</p>\n")
    missing = _advice(pitches, row.low, row.high, float(spread), report.minutes(name))
    if missing:
        yield f"<p>{html.escape(missing)}</p>\n"
    yield _figure(_coverage(pitches, levels, row.low, row.high, mine),
                  "Seconds of notes by pitch (the instrument's range is shaded), notes by level re their recording's "
                  "median, and what was refused.")


def _advice(pitches: dict[int, float], low: int, high: int, spread: float, minutes: float) -> str:
    """What the owner could record more of."""
    words = []
    if minutes < 5.0:
        words.append("Five to ten minutes make a better instrument.")
    if max(pitches) < high - 7:
        words.append(f"Nothing lies above {pitch_name(max(pitches))}.")
    if min(pitches) > low + 7:
        words.append(f"Nothing lies below {pitch_name(min(pitches))}.")
    if spread < 10.0:
        words.append("All notes are about as loud as each other: soft and loud playing would teach more.")
    return " ".join(words)


def _coverage(pitches: dict[int, float], levels: NDArray[np.float64], low: int, high: int,
              recordings: Sequence[RecordingReport]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.0), layout="constrained")
    by_pitch, by_level, lost = figure.subplots(1, 3, width_ratios=(3, 2, 2))
    by_pitch.axvspan(low - 0.5, high + 0.5, color="#eeeeee", zorder=0)
    by_pitch.bar(list(pitches), list(pitches.values()), color=_KEPT, width=0.9)
    by_pitch.set(xlabel="pitch (60 is C4)", ylabel="s", xlim=(min(low, *pitches) - 2, max(high, *pitches) + 2))
    by_level.hist(levels, bins=np.arange(-40.0, 21.0, 2.0), color=_KEPT)
    by_level.set(xlabel="level, dB re median", ylabel="notes")
    totals = {"kept": sum(one.note_seconds for one in recordings)}
    for one in recordings:
        for reason, seconds in one.left_out_s.items():
            totals[reason] = totals.get(reason, 0.0) + seconds
    lost.barh(list(totals)[::-1], [totals[key] for key in totals][::-1],
              color=[_COLOURS.get(key, _KEPT) for key in totals][::-1])
    lost.set(xlabel="s of notes")
    return _png(figure)


def _recordings(recordings: Sequence[RecordingReport]) -> Iterator[str]:
    names = ("recording", "instrument", "side", "min", "notes", "kept min", "voiced", "tuning", "peak", "floor", "kHz",
             "as given", "remarks")
    yield "<table><tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>\n"
    for one in recordings:
        tuning = "" if one.tuning_cents is None else (
            f"{one.tuning_cents:+.0f} c ({440.0 * 2 ** (one.tuning_cents / 1200.0):.1f} Hz)")
        words = [f"Refused: {one.refused}." if one.refused else "", *one.remarks,
                 *(f"{seconds:.1f} s left out: {REASONS[reason]}." for reason, seconds in one.left_out_s.items()
                   if reason in REASONS)]
        numbers = [f"{one.seconds / 60.0:.2f}", f"{one.notes}", f"{one.note_seconds / 60.0:.2f}", f"{one.voiced:.0%}",
                   tuning, f"{20 * np.log10(max(one.peak, 1e-6)):+.1f} dB", f"{one.floor_db - one.loud_db:.0f} dB",
                   f"{one.ceiling_hz / 1000.0:.1f}", "" if one.given is None else f"{one.given:.0%}"]
        yield (f'<tr{" class=refused" if one.refused else ""}><td>{html.escape(one.item)}</td>'
               f"<td>{html.escape(one.instrument or '?')}<br>"
               f"<span class=small>by {html.escape(one.told_by)}</span></td>"
               f"<td>{html.escape(one.side)}</td>" + "".join(f"<td class=n>{text}</td>" for text in numbers)
               + f"<td class=small>{html.escape(' '.join(word for word in words if word))}</td></tr>\n")
    yield ("</table>\n<p class=small>Voiced: share of the loud time with a pitch. Tuning: against A4 = 440 Hz. Floor: "
           "the quietest moments (2 % are quieter), re loud playing. kHz: where the content ends. As given: share "
           "of the notes beside the recording that are heard.</p>\n")


def _strips(report: FolderReport, strips: Sequence[Strip]) -> Iterator[str]:
    known = {one.item: one for one in report.recordings}
    chosen = sorted(strips, key=lambda strip: -known[strip.item].seconds)[:MOST_STRIPS]
    if not chosen:
        return
    yield "<h2>What was heard</h2>\n<p class=small>Pitch of what is voiced, and level; what is refused is coloured:"
    yield "".join(f'<span class=key style="background:{colour}"></span>{html.escape(REASONS[reason])}'
                  for reason, colour in _COLOURS.items()) + "</p>\n"
    if len(strips) > len(chosen):
        yield f"<p class=small>The longest {len(chosen)} of {len(strips)}.</p>\n"
    for strip in chosen:
        one = known[strip.item]
        yield _figure(_strip_picture(one, strip.contours()), one.item)


def _strip_picture(one: RecordingReport, contours: dict[str, NDArray[Any]]) -> bytes:
    from matplotlib.figure import Figure

    rate = FRAME_RATE / STRIP_EVERY
    count = min(len(contours["level"]), int(np.ceil(one.seconds * rate)))
    every = max(1, count // _STRIP_POINTS)
    time = np.arange(0, count, every) / rate
    pitch = np.where(contours["voiced"], contours["pitch"], np.nan)[:count:every]
    cells = count // every * every
    level = contours["level"][:cells].reshape(-1, every).max(1) if cells else contours["level"][:count]
    figure = Figure(figsize=(11, 2.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for start, end, reason in one.stretches:
        above.axvspan(start, end, color=_COLOURS.get(reason, "#999999"), alpha=0.35, linewidth=0)
    above.plot(time, pitch, ".", markersize=1.5, color=_KEPT)
    above.set(ylabel="pitch")
    below.fill_between(time[: len(level)], -70.0, np.maximum(level - one.loud_db, -70.0), color="#888888", linewidth=0)
    below.set(ylabel="dB", ylim=(-70, 10), xlabel="s", xlim=(0, max(one.seconds, 0.1)))
    return _png(figure)


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=80)
    return stream.getvalue()


def _figure(picture: bytes, caption: str) -> str:
    data = base64.b64encode(picture).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>\n'
