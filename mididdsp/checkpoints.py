"""Checkpoints: trained tensors and the card that says where they come from. Knows nothing of the models.

A checkpoint is a folder with ``model.safetensors`` (the tensors, the card and a checksum: complete in itself, written
by one rename) and ``card.json`` (the same card for people to read; it is never read back). Nothing is ever pickled.
The functions that only read cards do not import torch.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mididdsp.files import atomic_path
from mididdsp.user_data import instrument_path, learned_names

if TYPE_CHECKING:
    import torch

LEVELS = ("notes", "expression", "synthesis", "autoencoder")
"""What has a model: the three levels, and the autoencoder that stands beside the synthesis level."""

VERSION = 1
"""Of the form of checkpoints; a file with a higher one is refused."""

CARD_KEYS = ("level", "model", "recipe", "data", "figures", "licence", "attribution", "version")
"""What every card states: ``model`` is a mapping of plain arguments, ``recipe`` the command that made the weights."""

MODEL_FILE = "model.safetensors"
CARD_FILE = "card.json"

_WEIGHTS = Path(__file__).parent / "weights"
_METADATA_KEY = "mididdsp"  # a single key: several would be written in an order that changes from run to run
_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format itself


class CheckpointError(ValueError):
    """A checkpoint cannot be read, written or used; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        tensors: by name; floating-point ones are float32 on the CPU, however they were stored.
        card: see ``CARD_KEYS``; may hold more.
        hash: SHA-256 of ``model.safetensors``, 64 hexadecimal digits.
    """

    tensors: dict[str, torch.Tensor]
    card: dict[str, Any]
    hash: str


def save_checkpoint(
    path: Path, tensors: Mapping[str, torch.Tensor], card: Mapping[str, Any], *, half: bool = False
) -> str:
    """Write a checkpoint; what was in the folder stays whole until the new one is complete.

    Args:
        path: the folder; made where it does not exist.
        tensors: at least one, all finite, on any device.
        card: with the keys of ``CARD_KEYS``; ``version`` may be left out. JSON values only.
        half: store floating-point tensors as float16 (half the size, about three digits).

    Returns:
        The hash of the written file, as ``Checkpoint.hash``.

    Raises:
        CheckpointError: the card lacks a key or is not JSON, or a tensor is not finite or too large for float16.
    """
    import safetensors.torch
    import torch

    folder = Path(path)
    full_card = _checked_card({**card, "version": card.get("version", VERSION)}, f"the card for {folder}")
    stored: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        # A copy of its own: safetensors refuses tensors that share memory, such as tied weights.
        value = tensor.detach().to("cpu", copy=True).contiguous()
        if value.is_floating_point():
            value = value.to(torch.float16 if half else torch.float32)
            if not bool(torch.isfinite(value).all()):
                raise CheckpointError(
                    f"tensor {name} of the checkpoint {folder} has values that are not finite"
                    f"{' in float16' if half else ''}; such a model cannot be saved"
                )
        stored[name] = value
    if not stored:
        raise CheckpointError(f"the checkpoint {folder} would hold no tensors; give at least one")
    try:
        header = json.dumps(
            {"card": full_card, "tensors_sha256": _tensors_hash(stored)}, allow_nan=False, sort_keys=True
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"the card for {folder} is not plain JSON ({error}); use text, finite numbers, lists and mappings"
        ) from None
    data = safetensors.torch.save(stored, metadata={_METADATA_KEY: header})
    with atomic_path(folder / MODEL_FILE) as file:
        file.write_bytes(data)
    with atomic_path(folder / CARD_FILE) as file:
        file.write_text(json.dumps(full_card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return hashlib.sha256(data).hexdigest()


def load_checkpoint(path: str | Path, *, level: str | None = None) -> Checkpoint:
    """Read a checkpoint folder, or its ``model.safetensors`` alone, and check it against its checksum.

    Args:
        path: of the folder or the file.
        level: refuse a checkpoint of another level.

    Raises:
        CheckpointError: missing, not a checkpoint, damaged, of another level or of a newer version.
    """
    import safetensors
    import safetensors.torch
    import torch

    file = _model_file(path)
    data = _read(file)
    card, tensors_hash = _header(data, file)
    _check_level(card, level, file)
    try:
        stored = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file} is damaged ({error}); get a fresh copy or train again") from None
    if _tensors_hash(stored) != tensors_hash:
        raise CheckpointError(f"{file} is damaged (its checksum differs); get a fresh copy or train again")
    tensors = {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in stored.items()}
    return Checkpoint(tensors=tensors, card=card, hash=hashlib.sha256(data).hexdigest())


def read_card(path: str | Path, *, level: str | None = None) -> dict[str, Any]:
    """The card of a checkpoint, without its tensors and without importing torch.

    Args:
        path: of the folder or the file.
        level: refuse a checkpoint of another level.

    Raises:
        CheckpointError: missing, not a checkpoint, of another level or of a newer version.
    """
    file = _model_file(path)
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            data = start + stream.read(min(size, _LARGEST_HEADER))
    except OSError as error:
        raise CheckpointError(f"the checkpoint {file} cannot be read: {error.strerror}") from None
    card, _ = _header(data, file)
    _check_level(card, level, file)
    return card


def shipped(level: str) -> Path:
    """The folder of the weights in the package for ``notes``, ``expression``, ``synthesis`` or ``autoencoder``.

    Raises:
        ValueError: there is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}; the levels are {', '.join(LEVELS)}")
    return _WEIGHTS / level


def shipped_names() -> tuple[str, ...]:
    """Names of all checkpoints in the package, sorted; the first word of each is its level."""
    return tuple(sorted(file.parent.name for file in _WEIGHTS.glob(f"*/{MODEL_FILE}")))


def resolve(name_or_path: str | Path) -> Path:
    """What ``--checkpoint NAME|FILE`` means: a name of the package's weights or of a learned instrument, else a path.

    A name wins over a folder of that name; write ``./notes`` for the folder.

    Raises:
        CheckpointError: it is neither.
    """
    if str(name_or_path) in shipped_names():
        return _WEIGHTS / str(name_or_path)
    path = Path(name_or_path)
    if path.name == str(name_or_path) and (instrument_path(path.name) / MODEL_FILE).is_file():
        return instrument_path(path.name)
    if not path.exists():
        names = ", ".join(shipped_names()) or "none"
        own = ", ".join(learned_names())
        raise CheckpointError(
            f"there is no checkpoint {str(name_or_path)!r}; "
            f"give a name from the package ({names}){f' or of yours ({own})' if own else ''} or the path of a folder "
            f"with {MODEL_FILE}"
        )
    _model_file(path)
    return path


def _model_file(path: str | Path) -> Path:
    given = Path(path)
    file = given / MODEL_FILE if given.is_dir() else given
    if not file.exists():
        reason = f"the folder {given} has no {MODEL_FILE}" if given.is_dir() else f"there is no file {given}"
        raise CheckpointError(f"{reason}; give the folder of a checkpoint")
    return file


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"the checkpoint {file} cannot be read: {error.strerror}") from None


def _header(data: bytes, file: Path) -> tuple[dict[str, Any], str]:
    """Card and checksum from the beginning of a safetensors file: 8 bytes of length, then that much JSON."""
    size = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if size < 2 or size > _LARGEST_HEADER or data[8:9] != b"{":
        raise CheckpointError(f"{file} is not a checkpoint; give a folder or file that `mididdsp train` wrote")
    try:
        header = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError):
        raise CheckpointError(f"{file} is damaged (its header is not JSON); get a fresh copy or train again") from None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get(_METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{file} holds tensors but no mididdsp card; give a folder or file that `mididdsp train` wrote"
        )
    try:
        inner = json.loads(text)
        card, tensors_hash = inner["card"], inner["tensors_sha256"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise CheckpointError(f"{file} is damaged (its card cannot be read); get a fresh copy or train again") from None
    return _checked_card(card, f"the card of {file}"), str(tensors_hash)


def _checked_card(card: Any, what: str) -> dict[str, Any]:
    if not isinstance(card, dict):
        raise CheckpointError(f"{what} is damaged (not a mapping); get a fresh copy or train again")
    version = card.get("version")
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(f"{what} has version {version!r}; it must be a whole number from 1")
    if version > VERSION:
        raise CheckpointError(
            f"{what} has version {version}, this mididdsp reads up to {VERSION}; install a newer mididdsp"
        )
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        raise CheckpointError(f"{what} lacks {', '.join(missing)}; a card states {', '.join(CARD_KEYS)}")
    if card["level"] not in LEVELS:
        raise CheckpointError(f"{what} has level {card['level']!r}; the levels are {', '.join(LEVELS)}")
    if not isinstance(card["model"], Mapping):
        raise CheckpointError(f"{what} has a model that is not a mapping; give the model's arguments by name")
    return card


def _check_level(card: Mapping[str, Any], level: str | None, file: Path) -> None:
    if level is not None and card["level"] != level:
        raise CheckpointError(
            f"{file} is a checkpoint of the {card['level']} level, not of {level}; give one made by "
            f"`mididdsp train {level}`"
        )


def _tensors_hash(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes, so that a flipped bit never passes for a weight."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(f"{name}\x1f{tuple(value.shape)}\x1f{value.dtype}\x1f".encode())
        digest.update(value.reshape(-1).numpy().tobytes())
    return digest.hexdigest()
