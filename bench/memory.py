"""Peak memory of a quartet of ten minutes and of sixty: it must not grow with length.

python -m bench.memory [--json] [--minutes 10 60]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.pieces import write_piece
from bench.process import measure

BAR = 1.15
"""Peak of the long piece over that of the short one, at most."""


def peak_mib(minutes: float, folder: Path) -> float:
    """Peak memory of rendering a made-up quartet, MiB, children included."""
    midi = folder / f"quartet{minutes:g}.mid"
    write_piece(midi, minutes * 60.0)
    out = folder / "out.wav"
    usage = measure(
        [sys.executable, "-m", "mididdsp.cli", "render", str(midi), "-o", str(out), "--quiet", "--device", "cpu"]
    )
    if usage.code:
        raise SystemExit(f"rendering {minutes:g} minutes failed")
    out.unlink()
    return usage.peak_mib


def main() -> None:
    """Print the peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--minutes", type=float, nargs=2, default=[10.0, 60.0], help="the short and the long piece")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        short, long = (peak_mib(minutes, Path(folder)) for minutes in options.minutes)
    figures = {"minutes": options.minutes, "peak_mib": [short, long], "ratio": long / short, "bar": BAR}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print(
            f"{options.minutes[0]:g} min: {short:.0f} MiB, {options.minutes[1]:g} min: {long:.0f} MiB, "
            f"ratio {long / short:.3f} (bar {BAR})"
        )


if __name__ == "__main__":
    main()
