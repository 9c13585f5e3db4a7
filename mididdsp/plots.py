"""Pictures of every level: notes and expression, synthesis parameters, audio.

Figures are drawn without a display and without matplotlib's global state, so they are safe in threads and servers.
Times on the axes are seconds from the start of the piece.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.curves import PartCurves, sample_curves
from mididdsp.expression.types import NoteExpression, Performance
from mididdsp.files import atomic_path
from mididdsp.notes.types import Note, Part
from mididdsp.synthesis.types import SynthParams
from mididdsp.units import amplitude_to_db, hz_to_midi, power_to_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_COLUMNS = 2400
"""Most columns an image lane is drawn with: about what a 16-inch picture can show at 150 dots an inch."""

RANGE_DB = 80.0
"""Dynamic range of image lanes, from the loudest value down."""

PITCH_POINTS_PER_S = 100.0
"""Points per second of a note's drawn pitch line; a 7 Hz vibrato gets 14 a cycle."""

LANES: tuple[tuple[str, str, Callable[[NoteExpression], float | None]], ...] = (
    ("level", "dBFS", lambda e: e.level_db),
    ("brightness", "octaves", lambda e: e.brightness),
    ("attack noise", "dB", lambda e: e.attack_noise_db),
    ("vibrato", "cents", lambda e: e.vibrato_cents),
    ("tuning", "cents", lambda e: e.tuning_cents),
    ("timing", "ms", lambda e: 1000.0 * e.timing_s),
)
"""The attribute lanes under a piano roll: name, unit, value of a note."""

_Float = NDArray[np.floating[Any]]


def plot(
    value: Performance | SynthParams | tuple[_Float, float] | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    start_s: float = 0.0,
    end_s: float | None = None,
    part: str | None = None,
) -> Figure:
    """Draw a level.

    Args:
        value: a performance (piano roll, pitch with vibrato, attribute lanes), synthesis parameters (f0, level,
            partials, noise), audio as (samples, sample rate) (level, spectrogram), or the path of a saved one.
        path: where to save the picture too; its suffix chooses the form (png, svg, pdf).
        title: drawn above.
        start_s: left end, s.
        end_s: right end, s; None is the end of the piece.
        part: of a performance, the only one to draw; None is all.

    Returns:
        The figure.

    Raises:
        ValueError: nothing of the piece lies between ``start_s`` and ``end_s``, or the value cannot be drawn.
    """
    if isinstance(value, (str, os.PathLike)):
        value = _load(Path(value))
    if isinstance(value, Performance):
        figure = _performance_figure(value, start_s, end_s, part)
    elif isinstance(value, SynthParams):
        figure = _synth_figure(value, start_s, end_s)
    elif isinstance(value, tuple) and len(value) == 2:
        figure = _audio_figure(np.asarray(value[0]), float(value[1]), start_s, end_s)
    else:
        raise ValueError(
            f"a {type(value).__name__} cannot be drawn; give a Performance, SynthParams or (samples, rate)"
        )
    if title:
        figure.suptitle(title)
    if path is not None:
        save_figure(figure, path)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure whole or not at all; the suffix of ``path`` chooses the form.

    Raises:
        ValueError: the suffix is not one matplotlib can write.
    """
    target = Path(path)
    form = target.suffix.lstrip(".").lower() or "png"
    forms = figure.canvas.get_supported_filetypes()
    if form not in forms:
        raise ValueError(f"{target.name}: pictures are written as {', '.join(sorted(forms))}; choose such a suffix")
    with atomic_path(target) as partial:
        figure.savefig(partial, format=form, dpi=150)


def _load(path: Path) -> Performance | SynthParams | tuple[_Float, float]:
    from mididdsp.sources import Kind, kind_of

    kind = kind_of(path)
    if kind is Kind.PERFORMANCE:
        from mididdsp.expression.document import load_performance

        return load_performance(path)
    if kind is Kind.SYNTH:
        from mididdsp.synthesis.document import load_synth

        return load_synth(path)
    if kind is Kind.AUDIO:
        from mididdsp.audio_files import read_audio

        samples, sample_rate = read_audio(path)
        return samples, float(sample_rate)
    raise ValueError(f"{path.name}: a {kind.value} has no picture of its own; run `mididdsp perform` on it first")


def _figure(height: float, seconds: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Wide enough that a short note stays visible, but never wider than a screen can scroll.
    figure = Figure(figsize=(float(np.clip(0.4 * seconds, 10.0, 32.0)), height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _window(start_s: float, end_s: float | None, duration_s: float) -> tuple[float, float]:
    right = duration_s if end_s is None else min(end_s, duration_s)
    if not 0.0 <= start_s < right:
        where = f"there is nothing from {start_s:g} s on" if start_s >= duration_s else (
            f"nothing lies between {start_s:g} s and {right:g} s")
        raise ValueError(f"{where}; the piece is {duration_s:.1f} s long")
    return start_s, right


def sounding_pitch(
    note: Note, expression: NoteExpression, curves: PartCurves | None = None
) -> tuple[_Float, _Float]:
    """What a note's values and the curves on it say of its pitch: seconds [T] and MIDI numbers [T].

    Tuning, vibrato and what is drawn are in it; what the player adds of life is not.
    """
    start = note.onset + expression.timing_s
    length = note.duration * (1.0 if expression.length_ratio is None else expression.length_ratio)
    count = max(2, int(round(length * PITCH_POINTS_PER_S)))
    since = np.linspace(0.0, length, count)
    cents = np.full(count, expression.tuning_cents)
    if expression.vibrato_cents > 0.0 and expression.vibrato_rate_hz is not None:
        begun = since - (expression.vibrato_delay_s or 0.0)
        angle = 2.0 * np.pi * (expression.vibrato_rate_hz * begun + (expression.vibrato_phase or 0.0))
        fade = expression.vibrato_fade_s
        grown = (begun >= 0.0).astype(np.float64) if not fade else np.clip(begun / fade, 0.0, 1.0)
        cents = cents + expression.vibrato_cents * grown * np.sin(angle)
    drawn = None if curves is None else curves("pitch", note.id, start + since)
    if drawn is not None:
        cents = drawn[0] * cents + drawn[1]
    return start + since, note.pitch + cents / 100.0


def _performance_figure(performance: Performance, start_s: float, end_s: float | None, name: str | None) -> Figure:
    parts = [part for part in performance.score.parts if part.notes and name in (None, part.name)]
    if name is not None and not parts:
        known = ", ".join(part.name for part in performance.score.parts if part.notes)
        raise ValueError(f"there is no part {name!r} with notes; the parts are {known}")
    left, right = _window(start_s, end_s, performance.score.duration)
    rows = 1 + len(LANES)
    figure = _figure(max(1, len(parts)) * (2.4 + 0.7 * len(LANES)), right - left)
    ratios = [3.0, *([1.0] * len(LANES))] * max(1, len(parts))
    axes = figure.subplots(len(parts) * rows, 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for index, part in enumerate(parts):
        shown = [note for note in part.notes if note.offset > left and note.onset < right]
        own = axes[index * rows : (index + 1) * rows]
        _roll(own[0], part, shown, performance, figure)
        for axis, (name, unit, value) in zip(own[1:], LANES):
            _lane(axis, name, unit, shown, performance, value)
        _curve_lane(own[1], performance, part, left, right)
    axes[-1].set_xlim(left, right)
    axes[-1].set_xlabel("seconds")
    return figure


def _roll(axis: Any, part: Part, notes: list[Note], performance: Performance, figure: Figure) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    boxes, levels, lines = [], [], []
    curves = PartCurves(performance.curves, part, performance.expressions)
    for note in notes:
        expression = performance.expressions[note.id]
        low, high = note.pitch - 0.45, note.pitch + 0.45
        boxes.append([(note.onset, low), (note.offset, low), (note.offset, high), (note.onset, high)])
        levels.append(expression.level_db)
        times, pitch = sounding_pitch(note, expression, curves)
        lines.append(np.stack([times, pitch], axis=1))
    collection = PolyCollection(boxes, array=np.asarray(levels), cmap="viridis", alpha=0.55, edgecolors="none")
    collection.set_clim(-60.0, -10.0)
    axis.add_collection(collection)
    axis.add_collection(LineCollection(lines, colors="black", linewidths=0.7))
    pitches = [note.pitch for note in notes] or [60.0]
    axis.set_ylim(min(pitches) - 2.0, max(pitches) + 2.0)
    axis.set_title(f"{part.name} ({part.instrument.replace('_', ' ')})", loc="left")
    axis.set_ylabel("pitch")
    figure.colorbar(collection, ax=axis, label="dBFS", pad=0.01, fraction=0.03)


def _lane(
    axis: Any,
    name: str,
    unit: str,
    notes: list[Note],
    performance: Performance,
    value: Callable[[NoteExpression], float | None],
) -> None:
    from matplotlib.collections import LineCollection

    known = [(note, level) for note in notes if (level := value(performance.expressions[note.id])) is not None]
    axis.add_collection(
        LineCollection(
            [[(note.onset, level), (note.offset, level)] for note, level in known], linewidths=1.6, colors="tab:blue"
        )
    )
    levels = [level for _, level in known] or [0.0]
    margin = 0.1 * (max(levels) - min(levels)) or 1.0
    axis.set_ylim(min(levels) - margin, max(levels) + margin)
    axis.set_ylabel(f"{name}\n({unit})", rotation=0, ha="right", va="center", fontsize=7)
    axis.tick_params(labelsize=6)


def _curve_lane(axis: Any, performance: Performance, part: Part, left: float, right: float) -> None:

    if not any(curve.part == part.name and curve.target != "pitch" for curve in performance.curves):
        return
    times = np.linspace(left, right, PICTURE_COLUMNS)
    added = np.zeros(len(times))
    for target in ("level", "gain"):
        added = added + sample_curves(performance.curves, target, part, times)
    twin = axis.twinx()
    twin.plot(times, added, color="tab:orange", linewidth=0.8)
    twin.set_ylabel("curves (dB)", fontsize=7)
    twin.tick_params(labelsize=6)


def _synth_figure(params: SynthParams, start_s: float, end_s: float | None) -> Figure:
    rate = params.frame_rate
    duration = max((segment.start_s + segment.frames / rate for segment in params.segments), default=0.0)
    left, right = _window(start_s, end_s, duration)
    shown = [s for s in params.segments if s.start_s < right and s.start_s + s.frames / rate > left]
    columns = int(np.clip(np.ceil((right - left) * rate), 1, PICTURE_COLUMNS))
    partials = max((segment.harmonics.shape[1] for segment in shown), default=1)
    bands = len(params.noise_edges_hz) - 1
    partial_power, noise_power = np.zeros((partials, columns)), np.zeros((bands, columns))
    figure = _figure(10.0, right - left)
    pitch_axis, level_axis, partial_axis, noise_axis = figure.subplots(4, 1, sharex=True)
    for segment in shown:
        times = segment.start_s + np.arange(segment.frames) / rate
        pitch_axis.plot(times, hz_to_midi(segment.f0_hz.astype(np.float64)), linewidth=0.8)
        amplitude = 10.0 ** (segment.amplitude_db.astype(np.float64) / 20.0)
        noise = 10.0 ** (segment.noise_db.astype(np.float64) / 10.0)
        level_axis.plot(times, segment.amplitude_db, color="tab:blue", linewidth=0.8)
        level_axis.plot(times, power_to_db(noise.sum(axis=1)), color="tab:orange", linewidth=0.6)
        column = np.floor((times - left) / (right - left) * columns).astype(int)
        inside = (column >= 0) & (column < columns)
        power = (amplitude[:, None] * segment.harmonics) ** 2 / 2.0
        power = np.pad(power, ((0, 0), (0, partials - power.shape[1])))
        np.maximum.at(partial_power.T, column[inside], power[inside])
        np.maximum.at(noise_power.T, column[inside], noise[inside])
    pitch_axis.set_ylabel("f0 (MIDI number)")
    pitch_axis.set_title(f"{params.part} ({params.instrument.replace('_', ' ')})", loc="left")
    level_axis.set_ylabel("dBFS: partials, noise")
    level_axis.set_ylim(-100.0, 0.0)
    _image(figure, partial_axis, power_to_db(partial_power), (left, right, 0.5, partials + 0.5), "partial number")
    edges = np.asarray(params.noise_edges_hz)
    times = np.linspace(left, right, columns + 1)
    levels = power_to_db(noise_power)
    mesh = noise_axis.pcolormesh(
        times, edges / 1000.0, levels, vmin=levels.max() - RANGE_DB, cmap="magma", rasterized=True
    )
    noise_axis.set_ylabel("noise (kHz)")
    figure.colorbar(mesh, ax=noise_axis, label="dB", pad=0.01, fraction=0.03)
    noise_axis.set_xlim(left, right)
    noise_axis.set_xlabel("seconds")
    return figure


def _audio_figure(samples: _Float, sample_rate: float, start_s: float, end_s: float | None) -> Figure:
    mono = samples if samples.ndim == 1 else samples.mean(axis=int(np.argmin(samples.shape)))
    left, right = _window(start_s, end_s, len(mono) / sample_rate)
    mono = mono[int(left * sample_rate) : int(right * sample_rate)]
    # 43 ms at 48 kHz: long enough to part the low strings' partials, short enough to show an attack.
    size = int(2 ** np.round(np.log2(0.043 * sample_rate)))
    columns = int(np.clip(4 * len(mono) / size, 1, PICTURE_COLUMNS))
    starts = np.linspace(0, max(0, len(mono) - size), columns).astype(int)
    padded = np.pad(mono, (0, size))
    window = np.hanning(size + 1)[:-1]
    power = np.empty((size // 2 + 1, columns))
    envelope = np.empty(columns)
    for column, start in enumerate(starts):
        frame = padded[start : start + size]
        power[:, column] = np.abs(np.fft.rfft(frame * window)) ** 2 * (2.0 / window.sum()) ** 2 / 2.0
        envelope[column] = np.abs(frame).max()
    figure = _figure(7.0, right - left)
    level_axis, axis = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 3.0])
    level_axis.plot(left + (starts + size / 2) / sample_rate, amplitude_to_db(envelope), linewidth=0.8)
    level_axis.set_ylabel("peak (dBFS)")
    level_axis.set_ylim(-100.0, 3.0)
    _image(figure, axis, power_to_db(power), (left, right, 0.0, sample_rate / 2000.0), "kHz")
    axis.set_ylim(0.0, min(20.0, sample_rate / 2000.0))
    axis.set_xlabel("seconds")
    return figure


def _image(figure: Figure, axis: Any, levels: _Float, extent: tuple[float, float, float, float], label: str) -> None:
    image = axis.imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="magma",
        interpolation="nearest",
        vmin=float(levels.max()) - RANGE_DB,
        vmax=float(levels.max()),
    )
    axis.set_ylabel(label)
    figure.colorbar(image, ax=axis, label="dB", pad=0.01, fraction=0.03)
