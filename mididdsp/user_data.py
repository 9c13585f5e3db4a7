"""Where what a user has made is kept: instruments learned from their own recordings, found by name.

``MIDIDDSP_HOME`` names the folder; without it, the place each system has for such data is used.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mididdsp.files import safe_name

HOME_VARIABLE = "MIDIDDSP_HOME"


def data_folder() -> Path:
    """The folder; it may not exist yet."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "mididdsp"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "mididdsp"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mididdsp"


def instruments_folder() -> Path:
    """Where learned instruments are, a checkpoint each."""
    return data_folder() / "instruments"


def work_folder(name: str) -> Path:
    """Where an instrument is being learned: its data set and its run."""
    return data_folder() / "learning" / safe_name(name)


def instrument_path(name: str) -> Path:
    """The checkpoint of a learned instrument; it may not exist."""
    return instruments_folder() / safe_name(name)


def learned_names() -> tuple[str, ...]:
    """Names of the learned instruments, sorted."""
    folder = instruments_folder()
    if not folder.is_dir():
        return ()
    return tuple(sorted(item.name for item in folder.iterdir() if (item / "model.safetensors").is_file()))
