"""Where training begins: a configuration is composed from files and overrides, then handed to the level's recipe.

The files are in ``configs/LEVEL``: ``train.yaml`` with all keys, a group ``model`` of sizes, and a group ``recipe`` of
variants (``recipe=debug`` is a run of seconds on made-up data). Each recipe is a module ``mididdsp.training.LEVEL``
with ``run(config) -> Path``; below it everything takes plain arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mididdsp.checkpoints import LEVELS
from mididdsp.files import atomic_path

if TYPE_CHECKING:
    import torch

    from mididdsp.training.loop import LoopSettings

PRIMARY = "train"
"""Name of the file that a level's configuration begins with."""

_PATH_KEYS = ("data", "out", "start", "recordings", "corpus", "sound")
_QUOTES = "'\""
_MAY_DIFFER = ("out", "steps", "minutes", "threads", "device", "command", "quiet")
"""Keys that may change when a run is continued."""


class RecipeError(ValueError):
    """A configuration is wrong; the message is one sentence for the user."""


def train(level: str, overrides: Sequence[str], *, out: Path | None = None, quiet: bool = False) -> Path:
    """Train a level's model as ``mididdsp train LEVEL OVERRIDES…`` does.

    Args:
        level: ``notes``, ``expression``, ``synthesis`` or ``autoencoder``.
        overrides: in hydra's form, such as ``model=small`` or ``steps=20000``.
        out: folder of the run; the same as the override ``out``.
        quiet: no progress line.

    Returns:
        The folder of the checkpoint made.

    Raises:
        RecipeError: no such level, an unknown key, or a required one left out.
        TrainingError: the run failed (see ``mididdsp.training.loop``).
    """
    if out is not None:
        escaped = str(out).replace("\\", "\\\\").replace("'", "\\'")
        overrides = [*overrides, f"out='{escaped}'"]
    config = compose(level, overrides)
    config["command"] = command(level, overrides)
    config["quiet"] = quiet
    import torch

    recipe = importlib.import_module(f"mididdsp.training.{level}")
    threads = torch.get_num_threads()
    torch.set_num_threads(config["threads"])  # for what a recipe does before and after the loop too
    try:
        return Path(recipe.run(config))
    finally:
        torch.set_num_threads(threads)


def compose(level: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration of a level with the overrides applied, as plain values.

    Raises:
        RecipeError: no such level, an unknown key, or a required one left out.
    """
    if level not in LEVELS:
        raise RecipeError(f"there is no level {level!r}; the levels are {', '.join(LEVELS)}")
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(config_folder() / level), version_base="1.3"):
            composed = hydra_compose(PRIMARY, overrides=list(overrides))
        missing = sorted(OmegaConf.missing_keys(composed))
        if missing:
            raise RecipeError(f"train {level} needs {', '.join(missing)}; write {missing[0]}=VALUE after the level")
        config = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"train {level} cannot use these settings: {reason}") from None
    if not isinstance(config, dict):
        raise RecipeError(f"the configuration of {level} is not a mapping; mend {config_folder() / level}")
    return {str(key): value for key, value in config.items()}


def config_folder() -> Path:
    """Where the configurations are: in the installed package, or beside it in a source tree."""
    spec = importlib.util.find_spec("mididdsp.configs")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(place) / LEVELS[0] / f"{PRIMARY}.yaml").exists():
            return Path(place).resolve()
    folder = Path(__file__).resolve().parents[2] / "configs"
    if not folder.is_dir():
        raise RecipeError("the configurations of mididdsp are missing from this installation; install it again")
    return folder


def command(level: str, overrides: Sequence[str]) -> str:
    """The command for the card; of folders only the last name is kept, since cards travel."""
    words = []
    for override in overrides:
        key, equals, value = override.partition("=")
        words.append(f"{key}{equals}{Path(value.strip(_QUOTES)).name if key in _PATH_KEYS else value}")
    return shlex.join(["mididdsp", "train", level, *words])


def loop_settings(config: Mapping[str, Any]) -> LoopSettings:
    """Settings of the loop from the keys that every level has: steps, minutes, seed, threads and the group ``loop``."""
    from mididdsp.training.loop import LoopSettings

    shared = {key: config[key] for key in ("steps", "minutes", "seed", "threads")}
    loop = dict(config["loop"])
    if "betas" in loop:
        loop["betas"] = tuple(loop["betas"])
    return LoopSettings(**shared, **loop)


def fixed_part(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that must be the same for a run to be continued (see ``loop.train``); folders by their last name."""
    kept = {key: value for key, value in config.items() if key not in _MAY_DIFFER}
    return {key: Path(value).name if key in _PATH_KEYS and value is not None else value for key, value in kept.items()}


def device(name: str) -> torch.device:
    """``cpu``, ``cuda``, or with ``auto`` the GPU where there is one.

    Raises:
        RecipeError: another name, or a GPU asked for where there is none.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"device is {name!r}; it must be auto, cpu or cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise RecipeError("device is cuda, but torch sees no GPU; use device=cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def save_config(config: Mapping[str, Any], folder: Path) -> None:
    """Write the resolved configuration beside the run, as ``config.json``."""
    with atomic_path(Path(folder) / "config.json") as file:
        file.write_text(json.dumps(dict(config), indent=2, default=str) + "\n", encoding="utf-8")
