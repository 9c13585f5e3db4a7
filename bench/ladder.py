"""The ladder: how near to real recordings each step of the way comes, and what else one could have used.

    python bench/ladder.py --data DATA                  # print the table
    python bench/ladder.py --data DATA --write          # and write bench/ladder.json
    python bench/ladder.py --data DATA --check          # and fail where a row of ours is worse than bench/ladder.json
    python bench/ladder.py --against OLD.json           # compare bench/ladder.json with an older one; nothing is run

Rows, from the limit to the control: another real take, analysis and resynthesis, the clip's measured expression with
our synthesis, the whole chain from notes, the nearest training clip pitch-shifted, FluidSynth with FluidR3, and plain
tones with one hump a note. A measure that the plain tones win is no measure.

Columns (medians over clips): warped and sustain distance in dB; r of the level contour; life: how far the modulation of
partials and of f0 is from the real clips', mean over four octave bands of |20 log10 of the ratio of medians|, dB; noise
and brightness: median of ours less the real one, dB and octaves. Clips are of the test split, listed in
``ladder_clips.csv`` with their notes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads cost more than they gain
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from bench import clips, fluid, measures, pitch  # noqa: E402
from bench.chain import Chain, ChainUnavailable  # noqa: E402
from bench.transcribe import transcribe  # noqa: E402
from mididdsp.instruments import instrument  # noqa: E402

Array = NDArray[np.float64]
Table = dict[str, dict[str, dict[str, dict[str, float | None]]]]
"""kind → row → family or overall → column → figure."""

LIST = ROOT / "bench" / "ladder_clips.csv"
COMMITTED = ROOT / "bench" / "ladder.json"
REASONS = ROOT / "bench" / "ladder.reasons"
RATE = clips.SAMPLE_RATE

ROWS: dict[str, str] = {
    "take": "another real take", "resynthesis": "analysis-resynthesis", "measured": "measured expression + ours",
    "chain": "whole chain from notes", "neighbour": "nearest training clip, shifted",
    "fluidsynth": "FluidSynth + FluidR3", "hump": "plain tones with a hump",
}
OURS = ("resynthesis", "measured", "chain")
STRETCHED = ("take", "neighbour")
"""Rows whose length is what it is: their level contours are stretched onto the clip's."""
COLUMNS: dict[str, int] = {"warped": -1, "sustain": -1, "level_r": 1, "life_partials": -1, "life_f0": -1, "noise": 0,
                           "brightness": 0}
"""Each column with its good direction: less, more, or nearest to 0."""
NOTE_COUNT, PHRASE_COUNT = 40, 20
TOLERANCE = {"warped": 0.05, "sustain": 0.05, "level_r": 0.02, "life_partials": 0.3, "life_f0": 0.3, "noise": 0.5,
             "brightness": 0.03}
"""A row is worse when it moved by more than this: below it, another seed moves it as far."""
UNPLAYABLE_STYLES = ("trill", "tremolo", "glissando")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test clip, and the notes to ask for."""

    clip: clips.Clip
    notes: tuple[tuple[float, float, float, int], ...]
    audio: Array

    @property
    def kind(self) -> str:
        """note or phrase."""
        return self.clip.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one clip in one row; life is of its longest note."""

    warped: float
    sustain: float
    level_r: float
    life: pitch.Life | None


def reach(clip: clips.Clip) -> tuple[float, float]:
    """MIDI pitches between which a phrase moves: around its label, within the instrument."""
    known = instrument(clip.instrument)
    return max(known.low - 1, clip.label - 13), min(known.high + 2, clip.label + 25)


def choose(library: clips.Library) -> list[tuple[clips.Clip, list[tuple[float, float, float, int]]]]:
    """The ladder's clips, evenly over instruments and pitch; the same for the same data."""
    chosen: list[tuple[clips.Clip, list[tuple[float, float, float, int]]]] = []
    names = list(clips.FAMILIES)
    for index, name in enumerate(names):
        count = NOTE_COUNT // len(names) + (index < NOTE_COUNT % len(names))
        found = []
        for clip in library.select(split="test", instrument=name, styles=clips.PLAIN_STYLES):
            sounding = library.pitch(clip)
            if sounding is None or abs((sounding - clip.label + 6) % 12 - 6) > 1.5:
                continue
            onset, duration = clips.note_of(library.audio(clip), sounding)
            if 0.3 <= duration <= 6.0:
                found.append((sounding, clip, (onset, duration, sounding, clip.velocity)))
        found.sort(key=lambda item: (item[0], item[1].file))
        picks = clips.spread_evenly([clip for _, clip, _ in found], count)
        chosen += [(clip, [note]) for _, clip, note in found if clip in picks]
    for index, name in enumerate(names):
        count = PHRASE_COUNT // len(names) + (index < PHRASE_COUNT % len(names))
        best = []
        for clip in library.select(split="test", kind="phrase", instrument=name):
            if any(word in clip.style for word in UNPLAYABLE_STYLES):
                continue
            notes = transcribe(library.audio(clip), RATE, *reach(clip))
            if notes:
                best.append((-min(len(notes), 6), clip.file, clip, notes))
        best.sort(key=lambda item: item[:2])
        chosen += [(clip, [(*note, clip.velocity) for note in notes]) for _, _, clip, notes in best[:count]]
    return chosen


def write_list(chosen: Sequence[tuple[clips.Clip, list[tuple[float, float, float, int]]]], path: Path = LIST) -> None:
    """One line a note: file, kind, onset_s, duration_s, pitch, velocity."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["file", "kind", "onset_s", "duration_s", "pitch", "velocity"])
        for clip, notes in chosen:
            for onset, duration, midi, velocity in notes:
                lines.writerow([clip.file, clip.kind, f"{onset:.3f}", f"{duration:.3f}", f"{midi:.3f}", velocity])


def read_list(library: clips.Library, path: Path = LIST) -> list[Case]:
    """The cases of the committed list, with their audio."""
    notes: dict[str, list[tuple[float, float, float, int]]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            notes.setdefault(line["file"], []).append((float(line["onset_s"]), float(line["duration_s"]),
                                                       float(line["pitch"]), int(line["velocity"])))
    cases = []
    for name, played in notes.items():
        clip = library.clip(name)
        cases.append(Case(clip=clip, notes=tuple(played), audio=library.audio(clip)))
    return cases


def humps(notes: Sequence[tuple[float, float, float, int]]) -> Array:
    """Plain tones, up to 20 partials 1/k, one half sine of amplitude over each note: the control."""
    out = np.zeros(round((max(onset + duration for onset, duration, _, _ in notes) + 0.1) * RATE))
    for onset, duration, midi, _ in notes:
        time_s = np.arange(round(duration * RATE)) / RATE
        hz = pitch.hz_of(midi)
        tone = sum(np.sin(2 * np.pi * k * hz * time_s) / k for k in range(1, min(20, int(8000 / hz)) + 1))
        start = round(onset * RATE)
        out[start:start + len(time_s)] += 0.1 * tone * np.sin(np.pi * time_s / duration)
    return out


def render_rows(cases: Sequence[Case], library: clips.Library, chain: Chain) -> dict[str, list[Array | None]]:
    """Audio of every row for every case; None where a row has none. Prints why a whole row is missing."""
    rows: dict[str, list[Array | None]] = {name: [None] * len(cases) for name in ROWS}
    problem = fluid.missing()
    if problem:
        print(f"fluidsynth row skipped: {problem}", file=sys.stderr)
    else:
        played = fluid.render([fluid.Request(instrument=case.clip.instrument, notes=case.notes) for case in cases])
        # FluidR3 has no samples beyond an instrument's range; it is then silent, and there is nothing to compare.
        rows["fluidsynth"] = [audio if np.abs(audio).max() > 1e-5 else None for audio in played]
    missing: set[str] = set()

    def ours(row: str, index: int, make: Callable[[], Array]) -> None:
        if row in missing:
            return
        try:
            rows[row][index] = make()
        except (ChainUnavailable, ImportError) as reason:
            missing.add(row)
            print(f"{row} row is n/a: {reason}", file=sys.stderr)

    for index, case in enumerate(cases):
        rows["hump"][index] = humps(case.notes)
        name, midi = case.clip.instrument, case.notes[0][2]
        if case.kind == "note":
            other = library.another_take(case.clip)
            rows["take"][index] = None if other is None else library.audio(other)
            near = library.nearest_training_clip(case.clip)
            if near is not None:
                rows["neighbour"][index] = clips.repitch(library.audio(near[0]), midi - near[1])
            guide = np.array([pitch.hz_of(midi)])
            ours("measured", index, partial(chain.render_measured, case.audio, RATE, name, midi, case.clip.velocity))
        else:
            guide = pitch.track(case.audio, RATE, *reach(case.clip)).f0_hz
        ours("resynthesis", index, partial(chain.resynthesize, case.audio, RATE, guide))
        ours("chain", index, partial(chain.render_notes, name, case.notes, RATE))
    return rows


def measure(case: Case, audio: Array, row: str) -> Figures:
    """One clip in one row."""
    onset, duration, midi, _ = max(case.notes, key=lambda note: note[1])
    if row in STRETCHED:
        onset, duration = clips.note_of(audio, midi)
        onset, duration = float(onset), float(duration)
    spans = [(start, start + length) for start, length, _, _ in case.notes] if row not in STRETCHED else []
    return Figures(
        warped=measures.warped_distance(case.audio, audio, RATE),
        sustain=measures.sustain_distance(case.audio, audio, RATE),
        level_r=measures.contour_correlation(case.audio, audio, RATE, spans, stretch=row in STRETCHED),
        life=pitch.life(audio, RATE, midi, onset, onset + duration))


def _median(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return round(float(np.median(known)), 3) if known else None


def _life_gap(real: Sequence[pitch.Life], ours: Sequence[pitch.Life], which: str) -> float | None:
    gaps = []
    for band in range(len(pitch.LIFE_BANDS_HZ)):
        there, here = (_median([float(getattr(item, which)[band]) for item in side]) for side in (real, ours))
        if there is not None and here is not None:
            # What is below a thousandth of a dB or cent is no movement; 60 dB stands for that.
            gaps.append(min(60.0, abs(20 * np.log10(max(here, 1e-3) / max(there, 1e-3)))))
    return round(float(np.mean(gaps)), 2) if gaps else None


def summarise(cases: Sequence[Case], real: Sequence[pitch.Life | None],
              figures: Mapping[str, Sequence[Figures | None]]) -> Table:
    """Medians per kind, row, family and overall; differences of life against the same clips' own."""
    table: Table = {}
    for kind in ("note", "phrase"):
        table[kind] = {}
        for row, items in figures.items():
            groups: dict[str, dict[str, float | None]] = {}
            for family in ("overall", *dict.fromkeys(clips.FAMILIES.values())):
                inside = [index for index, case in enumerate(cases) if case.kind == kind and items[index] is not None
                          and family in ("overall", case.clip.family)]
                if not inside:
                    continue
                found = [item for item in (items[index] for index in inside) if item is not None]
                both = [(r, o.life) for r, o in zip((real[index] for index in inside), found)
                        if r is not None and o.life is not None]
                there, here = [r for r, _ in both], [o for _, o in both if o is not None]
                groups[family] = {
                    "clips": len(inside), "warped": _median([item.warped for item in found]),
                    "sustain": _median([item.sustain for item in found]),
                    "level_r": _median([item.level_r for item in found]),
                    "life_partials": _life_gap(there, here, "partials_db"),
                    "life_f0": _life_gap(there, here, "f0_cents"),
                    "noise": _median([o.noise_db - r.noise_db for r, o in both if o is not None]),
                    "brightness": _median([o.brightness - r.brightness for r, o in both if o is not None])}
            if groups:
                table[kind][row] = groups
    return table


def print_table(table: Table) -> None:
    """The whole table, a block per kind and family."""
    for kind, rows in table.items():
        families = list(dict.fromkeys(family for groups in rows.values() for family in groups))
        for family in families:
            print(f"\n{kind}s, {family}")
            print(f"{'':32s}{'clips':>6s}" + "".join(f"{column:>15s}" for column in COLUMNS))
            for row, title in ROWS.items():
                group = rows.get(row, {}).get(family)
                values = [None if group is None else group.get(column) for column in COLUMNS]
                shown = "".join(f"{'n/a' if value is None else format(value, '.2f'):>15s}" for value in values)
                print(f"{title:32s}{'' if group is None else int(group['clips'] or 0):>6}{shown}")


def worse(old: Table, new: Table) -> list[str]:
    """Figures of our rows that got worse beyond the tolerance, or are gone: ``kind/row/family/column: old -> new``."""
    found = []
    for kind, rows in old.items():
        for row in OURS:
            for family, columns in rows.get(row, {}).items():
                for column, good in COLUMNS.items():
                    before = columns.get(column)
                    now = new.get(kind, {}).get(row, {}).get(family, {}).get(column)
                    if before is None:
                        continue
                    name = f"{kind}/{row}/{family}/{column}"
                    if now is None:
                        found.append(f"{name}: {before} -> n/a")
                        continue
                    loss = abs(now) - abs(before) if good == 0 else (before - now) * good
                    if loss > TOLERANCE[column]:
                        found.append(f"{name}: {before} -> {now}")
    return found


def unexplained(found: Sequence[str], reasons: Path = REASONS) -> list[str]:
    """Those that no line of the reasons file names; a line is ``kind/row[/family[/column]] why``."""
    lines = reasons.read_text(encoding="utf-8").splitlines() if reasons.exists() else []
    named = [line.split(maxsplit=1)[0] for line in lines if len(line.split(maxsplit=1)) == 2 and line[0] != "#"]
    return [item for item in found
            if not any(item.split(":")[0] == name or item.startswith(name + "/") for name in named)]


def pictures(cases: Sequence[Case], rows: Mapping[str, Sequence[Array | None]], folder: Path) -> None:
    """A strip of spectrograms a clip: real | ours | FluidSynth."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    for index, case in enumerate(cases):
        strip = [("real", case.audio), ("mididdsp", rows["chain"][index]), ("FluidSynth", rows["fluidsynth"][index])]
        figure = Figure(figsize=(12, 3.2), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
        for axis, (title, audio) in zip(axes, strip):
            axis.set_title(f"{title}: {case.clip.instrument}", fontsize=9)
            if audio is None:
                axis.text(0.5, 0.5, "n/a", transform=axis.transAxes)
                continue
            power = measures.mel_power(audio[:round(len(case.audio) * 1.1)], RATE)
            level = 10 * np.log10(np.maximum(power / power.max(), 1e-7))
            axis.imshow(level.T, origin="lower", aspect="auto", vmin=-70, vmax=0,
                        extent=(0, len(level) * measures.STEP_S, 0, measures.MEL_BANDS))
            axis.set_xlabel("s", fontsize=8)
        axes[0].set_ylabel("mel band")
        figure.savefig(folder / f"{index:02d}_{Path(case.clip.file).stem}.png", dpi=80)


def _compare(old: Path, new: Table) -> int:
    found = unexplained(worse(json.loads(old.read_text(encoding="utf-8")), new))
    for line in found:
        print(f"worse: {line}", file=sys.stderr)
    if found:
        print(f"name them in {REASONS.name} with a reason, or mend them", file=sys.stderr)
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 done, 1 a row got worse or has no figures to write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data",
                        help="folder with split.csv and philharmonia/ (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=clips.DEFAULT_CACHE,
                        help="folder for measured pitches (default: %(default)s)")
    parser.add_argument("--expression", type=Path, help="checkpoint to use in place of the shipped one")
    parser.add_argument("--synthesis", type=Path, help="checkpoint to use in place of the shipped one")
    parser.add_argument("--choose", action="store_true", help=f"choose the clips anew and write {LIST.name}")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {COMMITTED.name}")
    parser.add_argument("--check", action="store_true", help=f"fail where our rows are worse than {COMMITTED.name}")
    parser.add_argument("--against", type=Path, metavar="OLD.json", help="compare committed figures with older ones")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write spectrogram strips here")
    options = parser.parse_args(arguments)
    if options.against:
        return _compare(options.against, json.loads(COMMITTED.read_text(encoding="utf-8")))
    started = time.perf_counter()
    library = clips.Library(options.data, options.cache)
    if options.choose:
        write_list(choose(library))
        library.save()
    cases = read_list(library)
    rows = render_rows(cases, library, Chain(options.expression, options.synthesis))
    library.save()
    real = []
    for case in cases:
        onset, duration, midi, _ = max(case.notes, key=lambda note: note[1])
        real.append(pitch.life(case.audio, RATE, midi, onset, onset + duration))
    figures = {row: [None if audio is None else measure(case, audio, row) for case, audio in zip(cases, audios)]
               for row, audios in rows.items()}
    table = summarise(cases, real, figures)
    print_table(table)
    print(f"\n{len(cases)} clips in {time.perf_counter() - started:.0f} s")
    if options.pictures:
        pictures(cases, rows, options.pictures)
    status = _compare(COMMITTED, table) if options.check and COMMITTED.exists() else 0
    absent = [ROWS[row] for row in OURS if row not in table["note"]]
    if options.write and absent:
        print(f"{COMMITTED.name} is not written: {', '.join(absent)} is n/a", file=sys.stderr)
        return 1
    if options.write:
        temporary = COMMITTED.with_suffix(".tmp")
        temporary.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(COMMITTED)
    return status


if __name__ == "__main__":
    sys.exit(main())
