"""Notes of a part become voices and chains: who plays what, and which notes are joined.

One voice plays one note at a time. Conventions:

* A note that begins while another sounds is **joined** to it when the overlap is at least 1 ms, shorter than half of
  the shorter note, and the pitches differ: a player's legato. The earlier note then ends where the later begins.
* A ``legato`` mark joins a note to the one before it in its voice over a short gap as well.
* The same pitch is always attacked anew. When its first sound lasts into the second, the first ends there.
* Notes that merely touch are attacked anew, but for those of a **trill**: short ones that go to and fro between two
  pitches are slurred, as players slur them whatever a file says. Longer overlaps and chords go to several voices.
* Nothing is ever moved: every other note sounds exactly from its onset to its offset, and so the part is as long as
  its notes say.

A voice forgets what it played after ``MEMORY_S`` of silence, so that an edit changes nothing beyond the next such rest.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from mididdsp.notes.types import Chain, Note, Part, PartPlan, PlannedNote

SHORTEST_OVERLAP_S = 0.001
"""Shorter overlaps are the rounding of ticks, no playing."""

MEMORY_S = 2.0
"""After a rest this long a voice no longer leads to what follows: lines are heard as broken."""

GAP_PER_S = 6.0
"""What a second of rest weighs in semitones when a voice is chosen: lines prefer the voice that has just played."""

WIDEST_JOIN = 12.0
"""Semitones over which an overlap joins while other notes sound; beyond an octave it is two players."""

TRILL_NOTES = 6
"""So many notes to and fro are a trill; fewer may be a turn of the melody."""

TRILL_NOTE_S = 0.145
"""Its notes are this long at most, seven a second and more, as trills go; slower ones may be bowed."""

TRILL_GAP_S = 0.02
TRILL_SEMITONES = 3.0

SAME_PITCH = 0.25
"""Semitones: closer pitches are the same key, a quarter tone apart are two."""

LEGATO_GAP_S = 0.25
"""Over a longer gap not even a slur joins."""

MOST_CANDIDATES = 32
"""How many voices are weighed for a note, the latest first; keeps the time linear where hundreds sound at once."""

MOST_TOGETHER = 16
"""How many notes of one chord are given out at once."""


@dataclass(slots=True)
class _Voice:
    """A voice while notes are given out: its number and its last note."""

    number: int
    note: Note
    offset: float
    previous: str | None = None
    chain: list[PlannedNote] = field(default_factory=list)
    joined: bool = False


@dataclass(frozen=True, slots=True)
class _Offer:
    """A voice that could take a note: what it costs, in semitones, and whether the note would be joined."""

    voice: _Voice
    cost: float
    joined: bool


def _same_pitch(a: Note, b: Note) -> bool:
    return abs(a.pitch - b.pitch) < SAME_PITCH


def _legato_gap(earlier: Note) -> float:
    """Longest gap after ``earlier`` that a slur bridges, s: players detach long notes further than short ones."""
    return min(LEGATO_GAP_S, max(0.03, 0.25 * earlier.duration))


def _next_of_a_trill(note: Note, following: Note) -> bool:
    """Whether a note could be followed by another of the same trill, the last of which may be long."""
    interval = abs(following.pitch - note.pitch)
    plain = set(note.articulations) | set(following.articulations) <= {"legato"}
    return (plain and note.duration <= TRILL_NOTE_S and abs(following.onset - note.offset) <= TRILL_GAP_S
            and SAME_PITCH <= interval < TRILL_SEMITONES + SAME_PITCH)


def _trilled(notes: Sequence[Note]) -> frozenset[str]:
    """Ids of the notes of trills, without the first of each."""
    found: set[str] = set()
    run: list[Note] = []
    for note in notes:
        if run and not (_next_of_a_trill(run[-1], note) and (len(run) == 1 or _same_pitch(run[-2], note))):
            run = run[-1:] if _next_of_a_trill(run[-1], note) else []
        run.append(note)
        if len(run) >= TRILL_NOTES:
            found.update(one.id for one in run[1 - TRILL_NOTES:])
    return frozenset(found)


def _offer(voice: _Voice, note: Note, *, alone: bool, slur: bool) -> _Offer | None:
    """What it would mean for a voice to take the note, or None when it is busy; a slur joins it over a short gap."""
    last = voice.note
    if last.onset >= note.onset:
        return None
    overlap = min(voice.offset, note.offset) - note.onset
    interval = abs(last.pitch - note.pitch)
    gap = note.onset - voice.offset
    cost = interval + GAP_PER_S * max(0.0, gap)
    if overlap >= SHORTEST_OVERLAP_S:
        if _same_pitch(last, note):
            # A nested note of the same pitch would cut off the end of the longer: it is another player's.
            return _Offer(voice, -1.0, False) if voice.offset <= note.offset else None
        short = overlap < 0.5 * min(last.duration, note.duration)
        slurred = alone and slur and voice.offset < note.offset
        return _Offer(voice, cost, True) if slurred or (short and (alone or interval <= WIDEST_JOIN)) else None
    slurred = slur and not _same_pitch(last, note)
    return _Offer(voice, cost, slurred and gap <= _legato_gap(last))


def _match(
    notes: Sequence[Note], voices: Sequence[_Voice], trilled: frozenset[str], *, alone: bool
) -> list[_Offer | None]:
    """Give the notes of a chord to voices so that lines do not cross and move least; None asks for a new voice.

    Both are in order of pitch. As many notes as possible continue a voice; among such matchings the cheapest counts.
    Time is notes x voices.
    """
    new_voice = 1000.0  # dearer than any way a line can move, so that a voice at rest is used first
    slurs = [note.id in trilled or "legato" in note.articulations for note in notes]
    offers = [[_offer(voice, note, alone=alone, slur=slur) for voice in voices] for note, slur in zip(notes, slurs)]
    rows, columns = len(notes), len(voices)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        best[i][columns] = best[i + 1][columns] + new_voice
        for j in range(columns - 1, -1, -1):
            offer = offers[i][j]
            take = best[i + 1][j + 1] + offer.cost if offer is not None else float("inf")
            best[i][j] = min(take, best[i][j + 1], best[i + 1][j] + new_voice)
    result: list[_Offer | None] = []
    j = 0
    for i in range(rows):
        chosen: _Offer | None = None
        while j < columns:
            offer = offers[i][j]
            if offer is not None and best[i][j] == best[i + 1][j + 1] + offer.cost:
                chosen = offer
                j += 1
                break
            if best[i][j] == best[i + 1][j] + new_voice:
                break
            j += 1
        result.append(chosen)
    return result


class _Allocator:
    """Gives notes to voices, in order of onset, and collects the chains."""

    def __init__(self, trilled: frozenset[str]) -> None:
        self.trilled = trilled
        self.chains: list[Chain] = []
        self.voices = 0
        self._recent: list[tuple[float, int, _Voice]] = []  # by (offset, number): the end is what sounds longest
        self._numbers: list[int] = []  # of voices at rest for long, sorted

    def chord(self, notes: Sequence[Note]) -> None:
        """Place notes of one onset, in order of pitch; later calls have later onsets."""
        onset = notes[0].onset
        while self._recent and onset - self._recent[0][0] > MEMORY_S:
            self._retire(self._recent.pop(0)[2])
        for start in range(0, len(notes), MOST_TOGETHER):
            group = notes[start:start + MOST_TOGETHER]
            candidates = self._candidates(group)
            sounding = len(self._recent) - bisect.bisect_right(self._recent, onset, key=lambda item: item[0])
            alone = len(notes) == 1 and sounding <= 1
            taken = _match(group, candidates, self.trilled, alone=alone)
            for note, offer in zip(group, taken):
                self._place(note, offer)

    def finish(self) -> tuple[Chain, ...]:
        """The chains by onset of their first note."""
        for _, _, voice in self._recent:
            self._close(voice, None)
        return tuple(sorted(self.chains, key=lambda chain: (chain.notes[0].onset, chain.notes[0].note.pitch, chain.id)))

    def _candidates(self, group: Sequence[Note]) -> list[_Voice]:
        """Voices that may take a note of the group, by the pitch they last played."""
        onset = group[0].onset
        # A voice can only be cut short by a join when at most half of the note is covered, or by its own pitch.
        latest = onset + 0.5 * max(note.duration for note in group)
        end = bisect.bisect_right(self._recent, latest, key=lambda item: item[0])
        found = [voice for _, _, voice in self._recent[max(0, end - MOST_CANDIDATES):end]]
        pitches = [note.pitch for note in group]
        for _, _, voice in self._recent[end:end + MOST_CANDIDATES]:
            at = bisect.bisect_left(pitches, voice.note.pitch - SAME_PITCH)
            if at < len(pitches) and abs(pitches[at] - voice.note.pitch) < SAME_PITCH:
                found.append(voice)
        return sorted(found, key=lambda voice: (voice.note.pitch, voice.number))

    def _place(self, note: Note, offer: _Offer | None) -> None:
        if offer is None:
            number = self._numbers.pop(0) if self._numbers else self.voices
            self.voices = max(self.voices, number + 1)
            voice = _Voice(number, note, note.offset)
        else:
            voice = offer.voice
            self._remove(voice)
            self._close(voice, note, joined=offer.joined)
            voice.previous = voice.note.id
            voice.note, voice.offset, voice.joined = note, note.offset, offer.joined
        bisect.insort(self._recent, (voice.offset, voice.number, voice), key=lambda item: item[:2])

    def _remove(self, voice: _Voice) -> None:
        at = bisect.bisect_left(self._recent, (voice.offset, voice.number), key=lambda item: item[:2])
        del self._recent[at]

    def _retire(self, voice: _Voice) -> None:
        self._close(voice, None)
        bisect.insort(self._numbers, voice.number)

    def _close(self, voice: _Voice, following: Note | None, *, joined: bool = False) -> None:
        """Fix the last note of a voice, now that what follows is known; end the chain unless that is joined."""
        offset = voice.offset
        if following is not None and (joined or (_same_pitch(voice.note, following) and offset > following.onset)):
            offset = following.onset
        voice.chain.append(PlannedNote(
            note=voice.note, onset=voice.note.onset, offset=offset, previous=voice.previous,
            following=following.id if following is not None else None, joined=voice.joined, leads=joined))
        if not joined:
            self.chains.append(Chain(id=voice.chain[0].note.id, voice=voice.number, notes=tuple(voice.chain)))
            voice.chain = []


def _chords(notes: Sequence[Note]) -> Iterator[list[Note]]:
    for _, group in groupby(notes, key=lambda note: note.onset):
        yield sorted(group, key=lambda note: (note.pitch, note.id))


def plan_part(part: Part) -> PartPlan:
    """Place the notes of a part in voices and chains, by the rules at the head of this module.

    Voices follow lines: a note goes to the voice that has to move least, by pitch and by rest; the notes of a chord
    never cross. The plan is a function of the notes alone, and takes n log n time.

    Args:
        part: notes in seconds; any number, chords and overlaps included.

    Returns:
        Every note once. Onsets are the notes' own; offsets too, except where the next note of the chain is joined or
        the same pitch is struck again. ``previous`` and ``following`` are at most ``MEMORY_S`` of rest away.
    """
    allocator = _Allocator(_trilled(part.notes))
    for chord in _chords(part.notes):
        allocator.chord(chord)
    return PartPlan(part=part, chains=allocator.finish(), voices=max(1, allocator.voices))
