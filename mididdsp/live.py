"""A performance kept in sound: after an edit only what changed is made again.

The sound of every segment, every part in its room, and the mix are held in memory (about 40 MB a minute of one part at
48 kHz). ``update`` compares what each segment is made of with what it was made of before: its notes, their expression
and neighbours, the curves that reach it. Changed segments are synthesised anew, the blocks they sound in are summed and
put in their room again, and the mix is summed where any of its parts has changed.

What ``audio`` holds is equal, to the bit, to ``Performer.render`` of the same performance with the same gain: sums run
in the same order, and the room's convolution lies on the same grid of blocks (``mididdsp.rooms``).

A part of several players is made again as a whole when anything in it changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mididdsp.expression.curves import PartCurves
from mididdsp.expression.types import Mix, PartMix, Performance
from mididdsp.meters import TruePeakMeter
from mididdsp.mix import TRUE_PEAK_LIMIT_DB, factor_db, gain_factor, placed, room_response
from mididdsp.notes.types import Part, PartPlan
from mididdsp.notes.voices import plan_part
from mididdsp.parallel import computed_ahead, one_torch_thread
from mididdsp.rendering import trimmed
from mididdsp.rooms import BLOCK
from mididdsp.synthesis.render import render_segment
from mididdsp.synthesis.types import Float32, Segment
from mididdsp.units import FRAME_RATE, db_to_amplitude

LONGEST_RELEASE_S = 5.0
"""A note's sound ends this long after its written end at the latest, stretched ends aside; curves reach so far."""

Play = Callable[[Performance, PartPlan], Iterable[Segment]]
"""The segments of a plan's chains; any chains may be left out of the plan."""

Stem = Callable[[Performance, str], Iterator[Float32]]
"""A part in its place and room, rendered as a whole: stereo blocks before the gain of the mix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What an update did.

    Attributes:
        segments: how many were synthesised.
        spans: what changed in the audio, (from, to) in s, in order and apart from each other; the end too where the
            length changed.
        gain_db: of the mix now.
    """

    segments: int
    spans: tuple[tuple[float, float], ...]
    gain_db: float


@dataclass(slots=True)
class _Sound:
    """The audio of one chain: its first sample and its dry samples."""

    first: int
    audio: Float32
    start_s: float

    @property
    def end(self) -> int:
        return self.first + len(self.audio)


@dataclass(slots=True)
class _PartState:
    """What is held of a part; ``wet`` is the part in its place and room, before the gain."""

    part: Part
    place: PartMix
    plan: PartPlan
    keys: dict[str, tuple[object, ...]] = field(default_factory=dict)
    sounds: dict[str, _Sound] = field(default_factory=dict)
    wet: Float32 = field(default_factory=lambda: np.zeros((2, 0), np.float32))


class Live:
    """See the module; ``Performer.live`` makes one.

    Args:
        performance: to begin with; its mix's gain is kept, or found as a render finds it.
        play: gives the segments of chains.
        stem: renders a part of several players.
        gain_db: to begin with.
        noise_edges_hz: of the segments.
        sample_rate: Hz.
        workers: processes for the first, whole render.
    """

    def __init__(
        self, performance: Performance, *, play: Play, stem: Stem, gain_db: float, noise_edges_hz: Sequence[float],
        sample_rate: int = 48_000, workers: int = 1,
    ) -> None:
        self.sample_rate = sample_rate
        self._play, self._stem, self._edges = play, stem, tuple(noise_edges_hz)
        self._workers = workers
        self._gain_db = gain_db
        self._parts: dict[str, _PartState] = {}
        self._performance = performance
        self._mix = np.zeros((2, 0), np.float32)  # at the gain asked for, before any halving
        self._peaks = np.zeros(0)  # of each block: the highest of its parts, and its true peak over the limit
        self._halvings = 0
        self._audio: Float32 | None = None
        self._rebuild(performance)

    @property
    def performance(self) -> Performance:
        """What sounds, with the gain of its mix."""
        places = {**self._performance.mix.parts, **{name: state.place for name, state in self._parts.items()}}
        return replace(self._performance, mix=Mix(gain_db=self.gain_db, parts=places))

    @property
    def gain_db(self) -> float:
        """Of the mix, lowered as far as its true peak asks for."""
        return self._gain_db if not self._halvings else factor_db(gain_factor(self._gain_db) * 2.0**-self._halvings)

    @property
    def audio(self) -> Float32:
        """The mix; float32 [2, samples], read-only. It shows every update."""
        if self._audio is None:
            self._audio = self._mix if not self._halvings else self._mix * np.float32(2.0**-self._halvings)
            self._audio = self._audio.view()
            self._audio.flags.writeable = False
        return self._audio

    def update(self, performance: Performance) -> Update:
        """Sound another state of the performance; the gain of the mix stays unless it names one.

        Args:
            performance: any; the less differs, the faster.
        """
        names = [(part.name, part.instrument) for part in performance.score.parts if part.notes]
        gain = performance.mix.gain_db
        same_gain = gain is None or gain in (self._gain_db, self.gain_db)
        same_draws = (performance.seed, performance.temperature, performance.a4_hz) == (
            self._performance.seed, self._performance.temperature, self._performance.a4_hz)
        if names != [(name, state.part.instrument) for name, state in self._parts.items()] or not (
                same_gain and same_draws):
            if gain is not None:
                self._gain_db = gain
            self._rebuild(performance)
            end_s = self._mix.shape[1] / self.sample_rate
            count = sum(len(state.sounds) for state in self._parts.values())
            return Update(segments=count, spans=((0.0, end_s),), gain_db=self.gain_db)
        dirty: set[int] = set()
        made = 0
        with one_torch_thread():
            for part in performance.score.parts:
                if part.notes:
                    blocks, count = self._update_part(performance, part)
                    dirty |= blocks
                    made += count
        self._performance = performance
        halvings = self._halvings
        self._sum(dirty)
        if halvings != self._halvings:
            dirty = set(range(-(-self._mix.shape[1] // BLOCK)))
        return Update(segments=made, spans=_spans(dirty, self._mix.shape[1], self.sample_rate), gain_db=self.gain_db)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _rebuild(self, performance: Performance) -> None:
        """Make everything, parts side by side."""
        parts = [part for part in performance.score.parts if part.notes]
        streams = [self._new_part(performance, part) for part in parts]
        self._parts = {}
        costs = [float(len(part.notes)) for part in parts]
        with computed_ahead(streams, self._workers, costs=costs, fork=True) as ahead:
            for part, stream in zip(parts, ahead):
                self._parts[part.name] = next(stream)
        self._performance = performance
        self._mix = np.zeros((2, 0), np.float32)
        self._peaks = np.zeros(0)
        longest = max((state.wet.shape[1] for state in self._parts.values()), default=0)
        self._sum(set(range(-(-longest // BLOCK))))

    def _new_part(self, performance: Performance, part: Part) -> Iterator[_PartState]:
        """The state of a part, made from nothing; a stream of one."""
        state = _PartState(part=part, place=_place(performance.mix, part), plan=plan_part(part))
        state.keys = self._keys(performance, state.plan)
        if part.players == 1:
            state.sounds = self._sounds(performance, state.plan)
            length = self._length(state)
            state.wet = np.zeros((2, length), np.float32)
            self._place_blocks(state, 0, -(-length // BLOCK))
        else:
            state.wet = _joined(self._stem(performance, part.name))
        yield state

    def _update_part(self, performance: Performance, part: Part) -> tuple[set[int], int]:
        """Bring a part up to date: the blocks of it that changed, and how many segments were made."""
        state = self._parts[part.name]
        if state.part is not part:
            state.plan = plan_part(part) if state.part != part else state.plan
        moved = _place(performance.mix, part)
        keys = self._keys(performance, state.plan)
        if part.players > 1:
            if keys == state.keys and moved == state.place and part.players == state.part.players:
                state.part = part
                return set(), 0
            self._parts[part.name] = next(self._new_part(performance, part))
            longest = max(state.wet.shape[1], self._parts[part.name].wet.shape[1])
            return set(range(-(-longest // BLOCK))), len(keys)
        if state.part.players != part.players or moved != state.place:
            longest = state.wet.shape[1]
            self._parts[part.name] = next(self._new_part(performance, part))
            longest = max(longest, self._parts[part.name].wet.shape[1])
            return set(range(-(-longest // BLOCK))), len(keys)
        changed = [chain for chain in state.plan.chains if state.keys.get(chain.id) != keys[chain.id]]
        gone = [chain_id for chain_id in state.sounds if chain_id not in keys]
        state.part = part
        state.keys = keys
        if not changed and not gone:
            return set(), 0
        old_length = state.wet.shape[1]
        old = [state.sounds.pop(chain_id) for chain_id in [*gone, *(chain.id for chain in changed)]
               if chain_id in state.sounds]
        new = self._sounds(performance, replace(state.plan, chains=tuple(changed)))
        state.sounds.update(new)
        length = self._length(state)
        ring = self._ring(state)
        if length != old_length:
            wet = np.zeros((2, length), np.float32)
            wet[:, :min(length, old_length)] = state.wet[:, :length]
            state.wet = wet
        dirty: set[int] = set()
        for sound in (*old, *new.values()):
            dirty |= set(range(max(0, sound.first) // BLOCK, -(-(sound.end + ring) // BLOCK)))
        if length != old_length:
            dirty |= set(range(min(length, old_length) // BLOCK, -(-max(length, old_length) // BLOCK)))
        for first, last in _runs({block for block in dirty if block * BLOCK < length}):
            self._place_blocks(state, first, last)
        return dirty, len(new)

    def _keys(self, performance: Performance, plan: PartPlan) -> dict[str, tuple[object, ...]]:
        """All that the sound of each chain is made of."""
        curves = PartCurves(performance.curves, plan.part, performance.expressions)
        notes = {note.id: note for note in plan.part.notes}
        keys: dict[str, tuple[object, ...]] = {}
        for chain in plan.chains:
            first, last = chain.notes[0], chain.notes[-1]
            around = (notes.get(first.previous or ""), notes.get(last.following or ""))
            drawn = tuple(
                curves.key(item.note.id, item.onset - 3.0, item.offset + _stretch(item.offset - item.onset))
                for item in chain.notes)
            expressions = tuple(performance.expressions[item.note.id] for item in chain.notes)
            keys[chain.id] = (chain, expressions, around, drawn)
        return keys

    def _sounds(self, performance: Performance, plan: PartPlan) -> dict[str, _Sound]:
        """The dry audio of chains."""
        found = {}
        for segment in self._play(performance, plan):
            first, audio = render_segment(trimmed(segment), noise_edges_hz=self._edges, sample_rate=self.sample_rate,
                                          seed=performance.seed, frame_rate=FRAME_RATE, skirts=True)
            if first < 0:
                first, audio = 0, audio[-first:]
            found[segment.id] = _Sound(first=first, audio=audio, start_s=segment.start_s)
        return found

    def _ring(self, state: _PartState) -> int:
        """Samples that the room rings on after the last."""
        response = room_response(state.place.room, state.part.instrument, state.place.pan, self.sample_rate)
        return 0 if response is None else response.shape[1] - 1

    def _length(self, state: _PartState) -> int:
        return max((sound.end for sound in state.sounds.values()), default=0) + self._ring(state)

    def _place_blocks(self, state: _PartState, first: int, last: int) -> None:
        """Make the blocks ``first`` … ``last`` - 1 of a part anew from its dry sounds.

        The convolution begins so many blocks earlier that all which still rings is in it.
        """
        ring = self._ring(state)
        begin = max(0, first - (-(-ring // BLOCK) + 1 if ring else 0))
        dry_end = state.wet.shape[1] - ring
        order = {chain.id: index for index, chain in enumerate(state.plan.chains)}
        sounding = sorted(
            (item for item in state.sounds.items() if item[1].first < last * BLOCK and item[1].end > begin * BLOCK),
            key=lambda item: (item[1].start_s, order[item[0]]))

        def dry() -> Iterator[Float32]:
            for block in range(begin, last):
                start = block * BLOCK
                stop = min(start + BLOCK, dry_end)
                if stop <= start:
                    return
                out = np.zeros(stop - start, np.float32)
                for _, sound in sounding:
                    a, b = max(sound.first, start), min(sound.end, stop)
                    if a < b:
                        out[a - start:b - start] += sound.audio[a - sound.first:b - sound.first]
                yield out

        position = begin * BLOCK
        for block in placed(dry(), state.place, state.part.instrument, self.sample_rate):
            if position >= last * BLOCK:
                break
            if position >= first * BLOCK:
                state.wet[:, position:position + block.shape[1]] = block
            position += block.shape[1]

    # --- mix ---------------------------------------------------------------------------------------------------------

    def _sum(self, dirty: set[int]) -> None:
        """Sum the mix in some blocks, and see to its peak."""
        self._audio = None
        length = max((state.wet.shape[1] for state in self._parts.values()), default=0)
        if length != self._mix.shape[1]:
            mix = np.zeros((2, length), np.float32)
            shared = min(length, self._mix.shape[1])
            mix[:, :shared] = self._mix[:, :shared]
            self._mix = mix
        blocks = -(-length // BLOCK)
        if blocks != len(self._peaks):
            peaks = np.zeros(blocks)
            peaks[:min(blocks, len(self._peaks))] = self._peaks[:blocks]
            self._peaks = peaks
        factor = np.float32(gain_factor(self._gain_db))
        for block in sorted(dirty):
            start, stop = block * BLOCK, min((block + 1) * BLOCK, length)
            if stop <= start:
                continue
            total = np.zeros((2, stop - start), np.float32)
            highest = 0.0
            for state in self._parts.values():
                piece = state.wet[:, start:min(stop, state.wet.shape[1])]
                if piece.shape[1]:
                    scaled = piece * factor
                    highest = max(highest, float(scaled.max()), -float(scaled.min()))
                    total[:, :piece.shape[1]] += scaled
            self._mix[:, start:stop] = total
            self._peaks[block] = highest
        limit = db_to_amplitude(TRUE_PEAK_LIMIT_DB)
        for block in (block for block in dirty if block < blocks):
            meter = TruePeakMeter()
            meter.add(self._mix[:, max(0, block * BLOCK - _EDGE):min(length, (block + 1) * BLOCK + _EDGE)])
            self._peaks[block] = max(self._peaks[block], meter.finish() / limit)
        most = float(self._peaks.max(initial=0.0))
        self._halvings = max(0, math.ceil(math.log2(most))) if most > 0 else 0


_EDGE = 256
"""Samples on either side that the sound between two samples hangs on."""


def _place(mix: Mix, part: Part) -> PartMix:
    from mididdsp.instruments import instrument

    return mix.parts.get(part.name) or PartMix(pan=instrument(part.instrument).pan)


def _stretch(duration: float) -> float:
    """How long after its written end a note's sound and its neighbours' windows reach."""
    return LONGEST_RELEASE_S + 3.0 * duration


def _joined(blocks: Iterable[Float32]) -> Float32:
    pieces = list(blocks)
    return np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)


def _runs(blocks: set[int]) -> list[tuple[int, int]]:
    """Runs of numbers, (first, one after the last)."""
    runs: list[tuple[int, int]] = []
    for block in sorted(blocks):
        if runs and runs[-1][1] == block:
            runs[-1] = (runs[-1][0], block + 1)
        else:
            runs.append((block, block + 1))
    return runs


def _spans(blocks: set[int], length: int, sample_rate: int) -> tuple[tuple[float, float], ...]:
    return tuple((first * BLOCK / sample_rate, min(last * BLOCK, length) / sample_rate)
                 for first, last in _runs(blocks) if first * BLOCK < length)


