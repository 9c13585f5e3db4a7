"""Instruments that users have learned, put beside the shipped ones.

A checkpoint of the synthesis level whose card names an ``instrument`` plays that instrument alone; all others stay with
the shipped weights (or with a whole checkpoint given beside it). Its card may hold an ``expression``: how its player
differs from the shipped expression model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mididdsp.checkpoints import Checkpoint, CheckpointError, load_checkpoint, read_card, resolve, shipped
from mididdsp.expression.adjustment import Adjustment

if TYPE_CHECKING:
    from mididdsp.synthesis.ensemble import EnsembleGenerator
    from mididdsp.synthesis.generator import SynthesisGenerator

Given = Sequence[str | os.PathLike[str]]


def open_synthesis(given: Given, device: str) -> tuple[SynthesisGenerator | EnsembleGenerator, str]:
    """The generator of the synthesis level from the checkpoints given (none: the shipped one), and its hash.

    Args:
        given: names or paths; at most one of them a whole model, and learned instruments.
        device: ``cpu`` or ``cuda``.

    Raises:
        CheckpointError: one cannot be read or does not fit, or two are for the same.
    """
    from mididdsp.synthesis.ensemble import EnsembleGenerator

    base: SynthesisGenerator | None = None
    own: dict[str, SynthesisGenerator] = {}
    hashes: list[str] = []
    for name in given:
        path = resolve(os.fspath(name))
        checkpoint = load_checkpoint(path, level="synthesis")
        generator = _generator(checkpoint, str(path), device)
        instrument = checkpoint.card.get("instrument")
        if (base is not None and instrument is None) or instrument in own:
            raise CheckpointError(f"two checkpoints play {instrument or 'all instruments'}; give one of them")
        if instrument is None:
            base = generator
        else:
            own[str(instrument)] = generator
        hashes.append(checkpoint.hash)
    if base is None:
        checkpoint = load_checkpoint(shipped("synthesis"), level="synthesis")
        base = _generator(checkpoint, str(shipped("synthesis")), device)
        hashes.insert(0, checkpoint.hash)
    if not own:
        return base, hashes[0]
    try:
        return EnsembleGenerator(base, own), hashlib.sha256("".join(hashes).encode()).hexdigest()
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def _generator(checkpoint: Checkpoint, name: str, device: str) -> SynthesisGenerator:
    from mididdsp.synthesis.generator import SynthesisGenerator

    try:
        generator = SynthesisGenerator.from_checkpoint(checkpoint.tensors, checkpoint.card)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint {name} does not fit the synthesis model of this version; train it again") from error
    generator.network.to(device)
    return generator


def adjustments(given: Given) -> dict[str, Adjustment]:
    """How the players of learned instruments differ from the shipped expression model, by instrument.

    Raises:
        CheckpointError: a checkpoint cannot be read.
    """
    found = {}
    for name in given:
        path = resolve(os.fspath(name))
        card = read_card(path, level="synthesis")
        if card.get("instrument") is None or card.get("expression") is None:
            continue
        try:
            found[str(card["instrument"])] = Adjustment.from_json(card["expression"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"the card of {path} does not fit this version ({error}); learn it again") from None
    return found
