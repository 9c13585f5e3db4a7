"""The control matrix: what each word of an edit does to the sound, on every instrument.

    python -m bench.control [--instruments violin,flute] [--attributes attack_s,release_s] [--values 5] [--notes 60]
                            [--seed 5] [--repeats 5] [--json]

For every instrument a note of 1.6 s in the middle of its range is played again for each value of each attribute: the
same note, so that nothing else is drawn anew. Values are spread over the instrument's 5-95 % range:
what the prior draws for notes of all dynamics and lengths around there. They are set by ``Selection.edit``, the sound
is rendered dry, and measured from the audio alone (``bench.measures``, ``bench.pitch``). For attributes of moments it
sounds ``--repeats`` times, each with other noise, and the median counts: 40 ms of noise tell its level to 1 dB, and
where a level hovers about a threshold, noise says when it passes. Printed for each attribute:

* **r** and **slope** of measured against asked (slope 1 is exact); over instruments the median and the worst, and
  which instruments' slopes are outside 0.8 to 1.2;
* **leak**: how much the other measured attributes move along with it, from one end of its sweep to the other, as a
  share of their own 5-95 % range; the largest of them, median over instruments;
* **cross**: the largest |r| with what else is measured when all attributes are drawn at once, each on its own and
  evenly over its range and uncorrelated with the others, for ``--notes`` notes; and r of the attribute itself in the
  same notes;
* asked-for vibrato: error of rate (Hz) and extent (cents), medians;
* articulation, instrument by instrument: sounding length of staccato over plain; level dip between two notes of the
  same line, slurred, plain (attacked anew) and detache;
* the paper's round trip: attributes on its 0-1 scales to parameters and back (60 partials, 65 bands, 16 kHz), RMSE.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mididdsp as md
from bench import measures, pitch
from bench.workbench import median
from mididdsp.expression import views
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Note, Part, Score
from mididdsp.synthesis.render import render_stream

Array = NDArray[np.float64]

RATE = 48_000
LENGTH_S = 1.6
SPACE_S = 4.0
SWEPT = ("level_db", "brightness", "fluctuation_db", "peak_position", "attack_s", "release_s", "attack_noise_db",
         "vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s", "tuning_cents", "timing_s", "length_ratio")
MOMENTARY = ("fluctuation_db", "peak_position", "attack_s", "release_s", "attack_noise_db")
REPEATS = 5
SEED = 5
DRAWS = 120
DRAWN_SEMITONES = 6
DRAWN_VELOCITIES = (28, 118)
DRAWN_LENGTHS_S = (0.15, 2.5)
SOUNDING_DB = -20.0
"""A note sounds while its 10 ms level is this near to its top: long notes of strings taper well before they end."""
SLOW_ATTACK_S = 0.06
"""Of the notes on which the noise of the attack is swept: what a tone that speaks in a few milliseconds spreads over
the spectrum cannot be told from noise (partials alone then measure -16 dB on the saxophone, -47 dB with this)."""
BENDS_S = 0.18
"""An envelope is made of so many seconds over the attack's polynomials: three, a parabola, for one of 60 ms, nine for
one of 20 ms, which bends more often in its first 40 ms. More than an attack needs take noise for tone."""
MOST_BENDS = 12
VIBRATO_RANGE_CENTS = (8.0, 60.0)
"""Swept on every instrument alike: players of some never play it, and a hand may all the same."""


def line(instrument: str, count: int, *, step_s: float = SPACE_S, length_s: float = LENGTH_S,
         marks: tuple[str, ...] = ()) -> Score:
    """Notes of one pitch, the middle of the range, each by itself."""
    middle = float((INSTRUMENTS[instrument].low + INSTRUMENTS[instrument].high) // 2)
    notes = tuple(Note(id=f"n{k}", onset=0.5 + k * step_s, duration=length_s, pitch=middle, velocity=80,
                       articulations=marks) for k in range(count))
    return Score(parts=(Part(name=instrument, instrument=instrument, notes=notes),))


def sound(performer: md.Performer, performance: md.Performance, repeat: int = 0) -> Array:
    """The first part, dry, mono, float64; a ``repeat`` has other noise."""
    params = next(iter(performer.synthesize(performance)))
    blocks = list(render_stream(params, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE,
                                seed=params.seed + repeat, skirts=params.skirts))
    return np.concatenate([*blocks, np.zeros(RATE, np.float32)]).astype(np.float64)


def attack_and_release(audio: Array, f0_hz: float, offset_s: float) -> tuple[float, float]:
    """10 to 90 % of the body's amplitude, and 3 to 20 dB below it after the offset, s, as the attributes are defined.

    ``measures.note_times``, which knows nothing of a note, takes the level of its middle for its body and its last fall
    for its release: a note that swells speaks late there, and one that tapers is released within its end.

    Args:
        audio: a single note and silence around it; [N].
        f0_hz: of the note; the level is that of whole periods.
        offset_s: when the player is to stop.
    """
    step = 0.001
    level = measures.level_contour(audio, RATE, step, int(np.ceil(0.005 * f0_hz)) / f0_hz)
    end = min(round(offset_s / step), len(level) - 2)
    begin = int(np.argmax(level >= level[:end].max() - 25.0))
    inside = level[begin:end]
    power = 10.0 ** (inside[inside >= inside.max() - 20.0] / 10.0)
    body = min(10.0 * float(np.log10(power.mean())), float(inside.max()))
    risen = int(np.argmax(inside >= body - 0.915)) - int(np.argmax(inside >= body - 20.0))
    top = min(body, float(level[end]) + 3.0)
    after = np.append(level[end:], -np.inf)
    fallen = int(np.argmax(after <= top - 20.0)) - int(np.argmax(after <= top - 3.0))
    return risen * step, fallen * step


def measured(audio: Array, note: Note, begun_s: float = 0.0, ended_s: float = LENGTH_S) -> dict[str, float]:
    """What one note sounds like, by the names of the attributes; NaN where it cannot be told.

    ``begun_s`` and ``ended_s``: from the written onset to where the player is to begin and to stop.
    """
    before = min(0.3, note.onset)
    part = audio[round((note.onset - before) * RATE):round((note.onset + SPACE_S - 0.4) * RATE)]
    times = measures.note_times(part, RATE, pitch.hz_of(note.pitch))
    attack_s, release_s = attack_and_release(part, pitch.hz_of(note.pitch), before + ended_s)
    inside = part[round(times.onset_s * RATE):round(times.offset_s * RATE)]
    body = 10.0 * np.log10(max(float((inside**2).mean()), 1e-12))
    f0_hz = pitch.hz_of(note.pitch)
    # of whole periods: the level of others would follow the wave, by half a dB where a low tone has two in 30 ms
    contour = measures.level_contour(part, RATE, 0.01, np.ceil(0.03 * f0_hz) / f0_hz)
    # by the attributes' definitions: of the note to where the player is to stop, and what in it is within 20 dB
    first = round(times.onset_s / 0.01)
    contour = contour[first:max(round((before + ended_s) / 0.01), first + 1)]
    middle = contour[contour >= contour.max() - 20.0]
    tenth = len(middle) // 10
    result = {
        "level_db": body, "peak_position": float((np.argmax(contour) + 0.5) / len(contour)),
        "fluctuation_db": float(np.std(middle[tenth:len(middle) - tenth])),
        "attack_s": attack_s, "release_s": release_s, "timing_s": times.onset_s - before,
        "length_ratio": (times.offset_s - before) / note.duration,
        # from where the note was asked to begin: where it is found to begin hangs on what is asked
        "attack_noise_db": pitch.attack_noise(part, RATE, note.pitch, before + begun_s, times.body_db,
                                              bends=int(np.clip(BENDS_S / max(attack_s, 1e-3), 3, MOST_BENDS)))}
    try:
        track = pitch.track_known(part, RATE, note.pitch)
    except ValueError:
        return result | dict.fromkeys(("brightness", "vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s",
                                       "tuning_cents"), float("nan"))
    a, b = round((times.onset_s + 0.02) * 250), round((times.offset_s - 0.02) * 250)
    cents = 1200 * np.log2(track.f0_hz[a:b] / pitch.hz_of(note.pitch))
    found = pitch.vibrato(cents, turning=True)
    sixth = len(cents) // 6
    partials = pitch.partial_levels(part, RATE, track)[a:b]
    return result | {
        "brightness": pitch.brightness(partials[sixth:len(partials) - sixth]),
        "tuning_cents": float(np.mean(cents[sixth:len(cents) - sixth])),
        "vibrato_cents": found.extent_cents if found.present else 0.0, "vibrato_rate_hz": found.rate_hz,
        "vibrato_delay_s": found.delay_s}


def ranges(performer: md.Performer, instrument: str) -> dict[str, tuple[float, float]]:
    """5 and 95 % of what the prior draws for notes around the middle of the range, soft and loud, short and long."""
    random = np.random.default_rng(11)
    plain = line(instrument, DRAWS)
    notes = tuple(replace(note, pitch=note.pitch + int(random.integers(-DRAWN_SEMITONES, DRAWN_SEMITONES + 1)),
                          velocity=int(random.integers(*DRAWN_VELOCITIES)),
                          duration=float(np.exp(random.uniform(*np.log(DRAWN_LENGTHS_S)))))
                  for note in plain.parts[0].notes)
    drawn = performer.perform(replace(plain, parts=(replace(plain.parts[0], notes=notes),)), seed=11)
    found = {}
    for name in SWEPT:
        values = [getattr(item, name) for item in drawn.expressions.values()]
        known = [value for value in values if value is not None]
        low, high = (float(edge) for edge in np.percentile(known, (5, 95))) if len(known) > 3 else (0.0, 0.0)
        found[name] = (low, high)
    found["vibrato_cents"] = VIBRATO_RANGE_CENTS
    found["vibrato_rate_hz"] = (4.5, 7.5)
    found["vibrato_delay_s"] = (0.05, 0.5)
    found["tuning_cents"] = (-25.0, 25.0)
    found["timing_s"] = (-0.02, 0.02)
    found["length_ratio"] = (0.4, 1.0)
    return found


def _asked_span(performance: md.Performance, note: Note) -> tuple[float, float]:
    """From the written onset to where the note was asked to begin and to end, s."""
    expression = performance.expressions[note.id]
    ratio = expression.length_ratio
    return expression.timing_s, note.duration * (1.0 if ratio is None else ratio)


def sweep(performer: md.Performer, instrument: str, values: int, attributes: Sequence[str] = SWEPT, seed: int = SEED,
          repeats: int = REPEATS) -> dict[str, dict[str, Any]]:
    """Asked and measured values of every attribute, and what else moved; of moments, medians over repeats."""
    wide = ranges(performer, instrument)
    base = performer.perform(line(instrument, 1), seed=seed, temperature=0.0)
    note = base.score.parts[0].notes[0]
    result: dict[str, dict[str, Any]] = {}
    for name in attributes:
        asked = np.linspace(*wide[name], values)
        rows = []
        for value in asked:
            chosen = base.select()
            if name.startswith("vibrato"):
                chosen = chosen.edit("vibrato=25c")
            elif name == "attack_noise_db":
                chosen = chosen.edit(f"attack={SLOW_ATTACK_S}s")
            edited = chosen.edit(f"{name}={float(value)!r}{'oct' if name == 'brightness' else ''}").performance
            heard = [measured(sound(performer, edited, repeat), note, *_asked_span(edited, note))
                     for repeat in range(repeats if name in MOMENTARY else 1)]
            rows.append({key: median([item[key] for item in heard]) for key in heard[0]})
        got = np.array([row[name] for row in rows])
        known = np.isfinite(got)
        r = slope = float("nan")
        if known.sum() >= 3 and np.ptp(asked[known]) > 0:
            slope = float(np.polyfit(asked[known], got[known], 1)[0])
            r = float(np.corrcoef(asked[known], got[known])[0, 1]) if np.ptp(got[known]) > 1e-9 else 0.0
        leaks = {}
        for other in SWEPT:
            if other == name or (name.startswith("vibrato") and other.startswith("vibrato")) or other in (
                    "vibrato_rate_hz", "vibrato_delay_s"):
                continue
            span = wide[other][1] - wide[other][0]
            line_values = np.array([row[other] for row in rows])
            if span > 0 and np.isfinite(line_values).all():
                tilt = float(np.polyfit(np.linspace(-0.5, 0.5, values), line_values, 1)[0])
                leaks[other] = abs(tilt) / span
        worst = max(leaks, key=lambda key: leaks[key], default="")
        result[name] = {
            "r": r, "slope": slope, "leak": leaks.get(worst, float("nan")), "leak_into": worst,
            "error": float(np.nanmedian(np.abs(got - asked))), "asked": asked.tolist(), "got": got.tolist()}
    return result


def orders(count: int, columns: int, random: np.random.Generator) -> NDArray[np.int64]:
    """An order of ``count`` evenly spread values for each column, all but uncorrelated; [count, columns].

    Orders that are drawn at random agree by chance: of 78 pairs of 60 values one has |r| = .33, which all instruments
    would then show as a leak. By Iman and Conover (1982): scores are turned until they are uncorrelated, and ranked.
    """
    scores = random.standard_normal((count, columns))
    for _ in range(20):
        ranks = scores.argsort(axis=0).argsort(axis=0)
        spread = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
        scores = spread @ np.linalg.inv(np.linalg.cholesky(spread.T @ spread / count)).T
    return np.asarray(scores.argsort(axis=0).argsort(axis=0))


def matrix(performer: md.Performer, instrument: str, count: int) -> dict[str, dict[str, float]]:
    """Asked attribute → measured attribute → Pearson r, of notes whose attributes are all drawn at once."""
    wide = ranges(performer, instrument)
    random = np.random.default_rng(7)
    places = orders(count, len(SWEPT), random)
    asked = {name: np.interp((places[:, k] + 0.5) / count, (0.0, 1.0), wide[name]) for k, name in enumerate(SWEPT)}
    state: md.Performance = performer.perform(line(instrument, count), seed=5, temperature=0.0)
    for index in range(count):
        texts = [f"{name}={float(asked[name][index])!r}{'oct' if name == 'brightness' else ''}" for name in SWEPT]
        state = state.select(notes=f"n{index}").edit(*texts).performance
    audio = sound(performer, state)
    rows = [measured(audio, note, *_asked_span(state, note)) for note in state.score.parts[0].notes]
    found: dict[str, dict[str, float]] = {}
    for name in SWEPT:
        found[name] = {}
        for other in SWEPT:
            got = np.array([row[other] for row in rows])
            known = np.isfinite(got)
            spread = known.sum() >= 8 and np.ptp(got[known]) > 1e-9 and np.ptp(asked[name]) > 0
            found[name][other] = float(np.corrcoef(asked[name][known], got[known])[0, 1]) if spread else float("nan")
    return found


def joints(performer: md.Performer, instrument: str) -> dict[str, float]:
    """Articulation by edit, from the audio: lengths and dips."""
    single = performer.perform(line(instrument, 2), seed=3, temperature=0.0)
    short = single.select(notes="n1").edit("articulation=staccato").performance
    audio = sound(performer, short)
    spans = []
    for note in short.score.parts[0].notes:
        part = audio[round((note.onset - 0.3) * RATE):round((note.onset + SPACE_S - 0.4) * RATE)]
        begun, ended = measures.sounding_span(part, RATE, SOUNDING_DB)
        spans.append(ended - begun)
    middle = float((INSTRUMENTS[instrument].low + INSTRUMENTS[instrument].high) // 2)
    pair = Score(parts=(Part(name="p", instrument=instrument, notes=(
        Note(id="a", onset=0.5, duration=0.8, pitch=middle, velocity=80),
        Note(id="b", onset=1.3, duration=0.8, pitch=middle + 2, velocity=80))),))
    plain = performer.perform(pair, seed=3, temperature=0.0)
    found = {"staccato over plain length": spans[1] / spans[0]}
    for name, edit in (("legato dip, dB", "articulation=legato"), ("plain dip, dB", ""),
                       ("detache dip, dB", "articulation=detache")):
        state = plain.select(notes=["a", "b"]).edit(edit).performance if edit else plain
        level = measures.level_contour(sound(performer, state), RATE, 0.005, 0.02)
        joint = level[int(1.15 / 0.005):int(1.42 / 0.005)]
        sides = min(float(np.median(level[int(0.9 / 0.005):int(1.15 / 0.005)])),
                    float(np.median(level[int(1.5 / 0.005):int(1.8 / 0.005)])))
        found[name] = sides - float(joint.min())
    return found


def paper_values(params: md.SynthParams, segment: md.Segment, note: Note, seconds: float) -> dict[str, float]:
    """The paper's six of a rendered note: 60 partials and 65 even bands of 8 kHz, as at 16 kHz."""
    first = round((note.onset - segment.start_s) * 250)
    span = slice(max(0, first), max(first + 1, first + round(seconds * 250)))
    f0 = segment.f0_hz[span].astype(np.float64)
    amplitude = 10 ** (segment.amplitude_db[span, None].astype(np.float64) / 20) * segment.harmonics[span, :60]
    amplitude = amplitude * (f0[:, None] * np.arange(1, amplitude.shape[1] + 1) < 8000.0)
    amplitude = np.pad(amplitude, ((0, 0), (0, 60 - amplitude.shape[1])))
    total = amplitude.sum(axis=1)
    edges = np.array(params.noise_edges_hz)
    density = 10 ** (segment.noise_db[span].astype(np.float64) / 10) / np.diff(edges)
    centres = (np.arange(65) + 0.5) * 8000.0 / 65
    band = np.clip(np.searchsorted(edges, centres) - 1, 0, density.shape[1] - 1)
    # a band of magnitude m turns uniform noise of power 1/3 into a density of m^2 / 3 over 8 kHz
    magnitude = 10 * np.log10(np.maximum(density[:, band] * 3.0 * 8000.0, 1e-8))
    return views.measure(f0_hz=f0, amplitude_db=np.maximum(20 * np.log10(np.maximum(total, 1e-9)), -80.0),
                         harmonics=amplitude / np.maximum(total, 1e-9)[:, None], noise_db=np.maximum(magnitude, -80.0),
                         pitch=note.pitch)


def round_trip(performer: md.Performer, instrument: str) -> dict[str, float]:
    """RMSE of the paper's six: of what the prior draws, asked for and measured from the parameters; and the calibration
    that the views would need: mean of measured minus asked."""
    performance = performer.perform(line(instrument, 8), seed=21)
    params = next(iter(performer.synthesize(performance)))
    segments = {segment.id: segment for segment in params.segments}
    errors: dict[str, list[float]] = {name: [] for name in views.PAPER}
    for note in performance.score.parts[0].notes:
        expression = performance.expressions[note.id]
        seconds = note.duration * (expression.length_ratio or 1.0)
        got = paper_values(params, segments[note.id], note, seconds)
        for name in views.PAPER:
            errors[name].append(got[name] - views.to_paper(name, expression, instrument))
    return {name: float(np.sqrt(np.mean(np.square(found)))) for name, found in errors.items()} | {
        f"bias of {name}": float(np.mean(found)) for name, found in errors.items()}


def _cross(matrices: Mapping[str, Mapping[str, Mapping[str, float]]], name: str) -> tuple[float, float, str]:
    """(r with itself, largest |r| with another, which), medians over instruments."""
    table = {other: float(np.nanmedian([item[name][other] for item in matrices.values()])) for other in SWEPT}
    worst = max((other for other in SWEPT if other != name), key=lambda other: abs(np.nan_to_num(table[other])))
    return table[name], table[worst], worst


def report(sweeps: Mapping[str, Mapping[str, Mapping[str, Any]]], others: Mapping[str, Mapping[str, float]],
           trips: Mapping[str, Mapping[str, float]],
           matrices: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """All tables as text."""
    swept = list(next(iter(sweeps.values())))
    lines = [f"{len(sweeps)} instruments", "",
             f"{'attribute':18}{'r median':>10}{'r worst':>9}{'':>16}{'slope':>8}{'error':>9}{'leak':>7}  into"]
    for name in swept:
        r = {key: item[name]["r"] for key, item in sweeps.items() if np.isfinite(item[name]["r"])}
        if not r:
            continue
        worst = min(r, key=lambda key: r[key])
        slopes = [item[name]["slope"] for item in sweeps.values()]
        leaks = [item[name]["leak"] for item in sweeps.values()]
        into = [item[name]["leak_into"] for item in sweeps.values()]
        often = max(set(into), key=into.count)
        lines.append(f"{name:18}{np.median(list(r.values())):10.3f}{r[worst]:9.3f} {worst:15}"
                     f"{np.nanmedian(slopes):8.2f}{np.nanmedian([i[name]['error'] for i in sweeps.values()]):9.3f}"
                     f"{np.nanmedian(leaks):7.2f}  {often}")
    lines += ["", "slopes: the least, the largest, and the instruments outside .8 to 1.2"]
    for name in swept:
        slope = {key: item[name]["slope"] for key, item in sweeps.items() if np.isfinite(item[name]["slope"])}
        if slope:
            outside = ", ".join(f"{key} {value:.2f}" for key, value in slope.items() if not 0.8 <= value <= 1.2)
            lines.append(f"{name:18}{min(slope.values()):10.2f}{max(slope.values()):9.2f}  {outside}")
    if matrices:
        lines += ["", "all attributes drawn at once: r with itself (median, worst), the largest with another (median)"]
        for name in SWEPT:
            own, most, other = _cross(matrices, name)
            alone = {key: item[name][name] for key, item in matrices.items() if np.isfinite(item[name][name])}
            worst = min(alone, key=lambda key: alone[key], default="")
            least = f"{alone[worst]:9.3f} {worst:15}" if worst else " " * 25
            lines.append(f"{name:18}{own:10.3f}{least}{most:+9.2f}  {other}")
    heads = "".join(f"{name.replace('vibrato_', 'v_')[:11]:>12}" for name in swept)
    lines += ["", "r by instrument", f"{'':16}{heads}"]
    for instrument, item in sweeps.items():
        lines.append(f"{instrument:16}" + "".join(f"{item[name]['r']:12.3f}" for name in swept))
    kinds = list(next(iter(others.values())))
    lines += ["", "articulation by edit", f"{'':16}" + "".join(f"{kind:>28}" for kind in kinds)]
    for instrument, found in others.items():
        lines.append(f"{instrument:16}" + "".join(f"{found[kind]:28.2f}" for kind in kinds))
    lines.append(f"{'median':16}" + "".join(f"{np.median([f[kind] for f in others.values()]):28.2f}" for kind in kinds))
    lines += ["", "round trip on the paper's scales, RMSE (mean error); 0.19 in the paper over all six"]
    for name in views.PAPER:
        errors = [item[name] for item in trips.values()]
        bias = np.mean([item[f"bias of {name}"] for item in trips.values()])
        lines.append(f"{name:30}{np.sqrt(np.mean(np.square(errors))):8.3f} ({bias:+.3f})")
    six = [item[name] for item in trips.values() for name in views.PAPER]
    lines.append(f"{'all six':30}{np.sqrt(np.mean(np.square(six))):8.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--instruments", default=",".join(INSTRUMENTS))
    parser.add_argument("--attributes", default=",".join(SWEPT), help="what is swept")
    parser.add_argument("--values", type=int, default=5)
    parser.add_argument("--seed", type=int, default=SEED, help="of the note that is swept")
    parser.add_argument("--repeats", type=int, default=REPEATS,
                        help="renders of each value of an attribute of moments, with other noise")
    parser.add_argument("--notes", type=int, default=60, help="of the matrix; 0 leaves it out")
    parser.add_argument("--expression", help="checkpoint to use in place of the shipped one")
    parser.add_argument("--synthesis", help="checkpoint to use in place of the shipped one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    attributes = options.attributes.split(",")
    if unknown := [name for name in attributes if name not in SWEPT]:
        parser.error(f"--attributes: {', '.join(unknown)} is unknown; there are {', '.join(SWEPT)}")
    performer = md.Performer(device="cpu", workers=1, expression=options.expression, synthesis=options.synthesis)
    sweeps, others, trips, matrices = {}, {}, {}, {}
    for name in options.instruments.split(","):
        trips[name] = round_trip(performer, name)
        others[name] = joints(performer, name)
        sweeps[name] = sweep(performer, name, options.values, attributes, options.seed, options.repeats)
        if options.notes:
            matrices[name] = matrix(performer, name, options.notes)
        print(f"{name} done", file=sys.stderr, flush=True)
    print(json.dumps({"sweeps": sweeps, "articulation": others, "round_trip": trips,
                      "matrix": matrices}, indent=1) if options.json else report(sweeps, others, trips, matrices))
    return 0


if __name__ == "__main__":
    sys.exit(main())
