"""Measuring whole processes: wall time, processor time and peak memory of a command and all its children."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import fluid


@dataclass(frozen=True)
class Usage:
    """What a command took: wall and processor seconds, peak MiB with its children, exit code, stdout."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    code: int
    output: str


def _tree_kib(pid: int) -> int:
    """Resident memory of a process and its children now: each page once (PSS), in KiB."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += _tree_kib(int(child))
    except (OSError, ValueError):
        pass
    return total


def measure(command: Sequence[str], *, every_s: float = 0.1) -> Usage:
    """Run a command to its end and say what it took."""
    peak = 0
    done = threading.Event()
    before = os.times()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)

    def watch() -> None:
        nonlocal peak
        while not done.wait(every_s):
            peak = max(peak, _tree_kib(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    wall = time.perf_counter() - started
    done.set()
    watcher.join()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(wall, cpu, peak / 1024.0, process.returncode, output)


def render_with_fluidsynth(midi: Path, out: Path) -> Usage | None:
    """Render with FluidSynth at 48 kHz, its reverb on as it comes; None, said aloud, where it is not installed."""
    absent = fluid.missing()
    if absent is not None:
        print(f"{absent}; its figures are left out", file=sys.stderr)
        return None
    return measure(["fluidsynth", "-ni", "-q", "-r", "48000", "-F", str(out), str(fluid.SOUND_FONT), str(midi)])
