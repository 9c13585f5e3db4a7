"""Counted models of one voice: the unigram and Markov chains of any order, for the tables of ``bench.compose``.

Contexts back off to shorter ones after Witten and Bell (1991): the weight of a context is how often it was seen, that
of the shorter one how many different notes followed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.generator import PriorConfig, pitch_classes
from mididdsp.notes.grid import REST, NoteGrid

SHIFTS = range(-5, 7)
"""Semitones by which every training piece is transposed before counting: all keys."""


def transposed(pitch: NDArray[np.int16], semitones: int) -> NDArray[np.int16]:
    """Pitches so many semitones higher."""
    return np.where(pitch == REST, REST, pitch + semitones).astype(np.int16)


class Markov:
    """A chain of one voice, counted once for all orders up to ``order`` (at most 9 with 50 classes).

    Runs of classes are numbers in base ``classes``; ``runs[n]`` holds those of n + 1 classes, sorted, and ``counts[n]``
    how often each was seen.
    """

    def __init__(self, sequences: Sequence[NDArray[np.int64]], order: int, classes: int) -> None:
        self.order, self.classes = order, classes
        self.runs: list[NDArray[np.int64]] = []
        self.counts: list[NDArray[np.int64]] = []
        self.contexts: list[NDArray[np.int64]] = []
        self.seen: list[NDArray[np.int64]] = []
        self.kinds: list[NDArray[np.int64]] = []
        for length in range(order + 1):
            coded = [self._coded(sequence, length) for sequence in sequences if len(sequence) > length]
            runs, counts = np.unique(np.concatenate(coded), return_counts=True)
            contexts, first, kinds = np.unique(runs // classes, return_index=True, return_counts=True)
            self.runs.append(runs)
            self.counts.append(counts)
            self.contexts.append(contexts)
            self.seen.append(np.add.reduceat(counts, first))
            self.kinds.append(kinds)

    def _coded(self, sequence: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        windows = np.lib.stride_tricks.sliding_window_view(sequence, length + 1)
        return np.asarray(windows @ self.classes ** np.arange(length, -1, -1, dtype=np.int64))

    def probabilities(
        self, context: NDArray[np.int64], following: NDArray[np.int64], order: int
    ) -> NDArray[np.float64]:
        """Of ``following`` [n] after ``context`` [n, as many as there are], with contexts of at most ``order``."""
        probability = np.full(len(following), 1.0 / self.classes)
        for length in range(min(order, context.shape[1]) + 1):
            powers = self.classes ** np.arange(length - 1, -1, -1, dtype=np.int64)
            past = context[:, context.shape[1] - length :] @ powers
            count = _found(self.runs[length], self.counts[length], past * self.classes + following)
            total = _found(self.contexts[length], self.seen[length], past)
            kinds = _found(self.contexts[length], self.kinds[length], past)
            mixed = (count + kinds * probability) / np.maximum(total + kinds, 1)
            probability = np.where(total > 0, mixed, probability)
        return probability

    def distribution(self, past: Sequence[int], order: int) -> NDArray[np.float64]:
        """Probabilities of all classes after ``past``."""
        here = np.array(past[max(0, len(past) - order) :], np.int64)
        return self.probabilities(np.tile(here, (self.classes, 1)), np.arange(self.classes), order)

    def nll(self, sequence: NDArray[np.int64], order: int) -> NDArray[np.float64]:
        """Nats of each step, from left to right."""
        costs = np.empty(len(sequence))
        head = min(order, len(sequence))
        for step in range(head):
            costs[step] = -np.log(self.distribution(sequence[:step].tolist(), order)[sequence[step]])
        if len(sequence) > head:
            context = np.lib.stride_tricks.sliding_window_view(sequence[:-1], order) if order else (
                np.empty((len(sequence), 0), np.int64)
            )
            costs[head:] = -np.log(self.probabilities(context, sequence[head:], order))
        return costs


def chains(grids: Sequence[NoteGrid], order: int, config: PriorConfig) -> list[Markov]:
    """A chain for each voice, counted on pieces in all keys."""
    return [
        Markov(
            [pitch_classes(transposed(grid.pitch[voice], shift), config) for grid in grids for shift in SHIFTS],
            order, config.classes,
        )
        for voice in range(config.voices)
    ]


def framewise(models: Sequence[Markov], grid: NoteGrid, order: int, config: PriorConfig) -> NDArray[np.float64]:
    """Nats of each sixteenth, all voices together; [T]."""
    classes = pitch_classes(grid.pitch, config)
    return np.asarray(np.sum([model.nll(classes[voice], order) for voice, model in enumerate(models)], axis=0))


def _found(keys: NDArray[np.int64], values: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value of each wanted key, 0 where it is missing."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
