"""Speed beside FluidSynth in the same run: a minute of violin, a ten-minute quartet, start-up and ``--help``.

    python -m bench.speed [--json] [--short]

Work is measured after start-up, in a process of its own per piece: imports and weights are loaded and a second of music
rendered first. Peak memory is of the whole process from its start, children included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.pieces import QUARTET, write_piece
from bench.process import measure, render_with_fluidsynth

BARS = {
    "violin_cpu_s": 2.5,
    "quartet_cpu_s": 60.0,
    "quartet_wall_s": 40.0,
    "quartet_peak_mib": 800.0,
    "help_s": 0.5,
    "start_s": 4.0,
}
"""What each figure must not exceed."""


def _child(midi: str, warm: str, out: str) -> None:
    """Render one piece in this process and print what the work after start-up took."""
    started = time.perf_counter()
    import mididdsp as md
    from mididdsp.parallel import cpu_seconds

    performer = md.Performer(device="cpu")
    performer.render(warm).save(f"{out}.warm.wav")
    ready = time.perf_counter() - started
    wall, cpu = time.perf_counter(), cpu_seconds()
    report = performer.render(midi).save(out)
    print(
        json.dumps(
            {
                "wall_s": time.perf_counter() - wall,
                "cpu_s": cpu_seconds() - cpu,
                "audio_s": report.duration_s,
                "start_s": ready,
            }
        )
    )


def _piece(folder: Path, name: str, seconds: float, players: tuple[tuple[str, int, int], ...]) -> dict[str, float]:
    midi, warm = folder / f"{name}.mid", folder / "warm.mid"
    write_piece(midi, seconds, players)
    write_piece(warm, 1.0, players)
    usage = measure([sys.executable, "-m", "bench.speed", "--child", str(midi), str(warm), str(folder / f"{name}.wav")])
    if usage.code:
        raise SystemExit(f"rendering {name} failed")
    figures: dict[str, float] = json.loads(usage.output.splitlines()[-1])
    figures["peak_mib"] = usage.peak_mib
    figures["times_real"] = figures["audio_s"] / figures["wall_s"]
    other = render_with_fluidsynth(midi, folder / f"{name}.fluid.wav")
    if other is not None:
        figures["fluidsynth_cpu_s"] = other.cpu_s
        figures["fluidsynth_wall_s"] = other.wall_s
        figures["cpu_over_fluidsynth"] = figures["cpu_s"] / other.cpu_s
    return figures


def _best(command: list[str], times: int = 5) -> float:
    def once() -> float:
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - started

    return min(once() for _ in range(times))


def run(short: bool) -> dict[str, Any]:
    """All figures; ``short`` renders a tenth of the quartet."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        violin = _piece(place, "violin", 60.0, QUARTET[:1])
        quartet = _piece(place, "quartet", 60.0 if short else 600.0, QUARTET)
    load = "import mididdsp as md; p = md.Performer(device='cpu'); p.expression_generator; p.synthesis_generator"
    return {
        "violin": violin,
        "quartet": quartet,
        "help_s": _best([sys.executable, "-m", "mididdsp.cli", "--help"]),
        "start_s": _best([sys.executable, "-c", load], times=3),
    }


def main() -> None:
    """Print the figures as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--short", action="store_true", help="one minute of quartet instead of ten")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    figures = run(options.short)
    measured = {f"{name}_{key}": value for name in ("violin", "quartet") for key, value in figures[name].items()}
    measured.update(help_s=figures["help_s"], start_s=figures["start_s"])
    if options.json:
        print(json.dumps({**figures, "bars": BARS}, indent=2))
    else:
        for name, value in measured.items():
            bar = "" if name not in BARS or options.short and name.startswith("quartet") else f"   (bar {BARS[name]:g})"
            print(f"{name:32}{value:10.2f}{bar}")


if __name__ == "__main__":
    main()
