"""Keyed random numbers: the same key gives the same numbers on every machine, in any order of asking.

Every draw of the project is keyed by (document seed, identity, level), so that a new or changed note draws only for
itself and nothing depends on what was drawn before. The generator is Philox, a counter-based generator, on the CPU.
"""

from __future__ import annotations

import hashlib

import numpy as np


def keyed_generator(seed: int, *key: str) -> np.random.Generator:
    """A generator whose numbers depend on ``seed`` and ``key`` alone.

    Args:
        seed: of the document; any integer.
        key: what the numbers are for, such as a note id and a level name.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox).
    """
    text = "\x1f".join((str(int(seed)), *key)).encode()
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, dtype="<u8")))
