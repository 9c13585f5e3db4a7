"""The way up: a recording of one instrument becomes notes, how each is played, and synthesis parameters.

``listen`` finds pitch, voicing, level and notes of the whole recording; ``Listening.segments`` then takes the sound
apart, segment by segment, and measures every note on the way, so that ``Listening.performance`` can be asked for at the
end. What is held in memory is one segment and a few bytes a frame.

Conventions: frames are those of the recording, frame 0 at its start. A new segment begins where a note begins with an
attack; silence belongs to none, and what sounds without a pitch (breath, bow, room) stays in the segment before it as
noise. Two segments that touch are cross-faded over one frame. Written pitches are the nearest semitones in the tuning
of the recording, and ``tuning_cents`` what is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.audio_files import AudioFileError
from mididdsp.audio_stream import Recording, Window
from mididdsp.bars import beat_at
from mididdsp.contours import HIGHEST, LOWEST, TRACKERS, Contours, track_recording
from mididdsp.evenness import Prior
from mididdsp.expression.analysis import measure_note
from mididdsp.expression.types import ATTRIBUTES, Mix, NoteExpression, PartMix, Performance
from mididdsp.instruments import INSTRUMENTS, Instrument, by_register
from mididdsp.instruments import instrument as instrument_of
from mididdsp.instruments import named as instrument_named
from mididdsp.note_lines import glide_time
from mididdsp.notes.analysis import HeardNote, find_notes
from mididdsp.notes.given import align_notes
from mididdsp.notes.types import Note, Part, Score, TempoChange
from mididdsp.notes.voices import plan_part
from mididdsp.synthesis.decomposition import (
    CONTEXT_FRAMES,
    WORK_RATES,
    decompose,
    frame_hop,
    measured_powers,
    noise_edges,
    partial_count,
    refine_f0,
)
from mididdsp.synthesis.types import Segment, SynthParams
from mididdsp.units import FRAME_RATE, SILENCE_DB, hz_to_midi

Array = NDArray[np.floating[Any]]
Progress = Callable[[float], None]

QUIET_DB, SPAN_DB = -100.0, 60.0
"""Stretches below the first are silence: no segment; in a soft recording only what lies so far below its top."""

SHORTEST_GAP_S = 0.05
"""Shorter silence stays inside a segment."""

LONGEST_S = 30.0
"""A segment that would be longer is cut: memory must not grow with a held note."""

EARLY_FRAMES = 2
"""A segment begins this long before the attack of its note."""

RELEASE_S = 0.6
"""A note's release is looked for so long after it, as in the training data."""

_BEYOND_SEMITONES, _PEDAL_SEMITONES = 2.0, 5.0  # a tuba's pedal notes lie below what it was learned from

FEWEST_TO_TUNE = 4
"""With fewer notes A4 is taken to be 440 Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Frames [first, last) of one segment, and the notes that begin in it, by number."""

    first: int
    last: int
    notes: tuple[int, ...]


class Listening:
    """A recording listened to once; see ``listen``.

    Attributes:
        recording: what was listened to.
        part: name of the part.
        instrument: a name from the table of instruments.
        contours: pitch, voicing and level.
        heard: the notes found.
        notes: the same notes as written.
        a4_hz: the tuning.
        spans: what will be its segments.
        sample_rate: at which the sound is taken apart, Hz.
        noise_edges_hz: of the segments.
        partials: of the segments.
        measured: the expression of each note by id, as far as segments were taken.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        part: str,
        instrument: str,
        contours: Contours,
        heard: Sequence[HeardNote],
        notes: Sequence[Note],
        a4_hz: float,
        messages: Sequence[str] = (),
        score: Score | None = None,
    ) -> None:
        self.recording = recording
        self.part = part
        self.instrument = instrument
        self.contours = contours
        self.heard = tuple(heard)
        self.notes = tuple(notes)
        self.a4_hz = a4_hz
        self._messages = tuple(messages)
        self._score = score
        self._unexplained: dict[int, tuple[int, int]] = {}
        self.sample_rate = WORK_RATES[0] if recording.sample_rate <= WORK_RATES[0] else WORK_RATES[-1]
        self.noise_edges_hz = noise_edges(self.sample_rate)
        self.spans = _spans(contours, self.heard)
        pitched = contours.f0_hz[contours.voiced]
        lowest = float(np.min(pitched)) if len(pitched) else 440.0
        self.partials = min(partial_count(lowest, self.sample_rate), instrument_of(instrument).partials)
        self._loud_db = float(contours.level_db.max()) - 20.0
        self.measured: dict[str, NoteExpression] = {}

    @property
    def messages(self) -> tuple[str, ...]:
        """What the user should know; more once all segments were taken."""
        wrong, pitched = (sum(counts[index] for counts in self._unexplained.values()) for index in (0, 1))
        if wrong <= _UNEXPLAINED_MOST * pitched:
            return self._messages
        return (*self._messages, f"in {100 * wrong / pitched:.0f} % of what has a pitch there is more than one note "
                                 "at a time, or much noise; only one line was followed, so notes are missing or wrong")

    def segments(self, progress: Progress | None = None) -> Iterator[Segment]:
        """The sound, taken apart segment by segment; each note of a segment is measured before it is given.

        Raises:
            AudioFileError: the recording is damaged.
        """
        window = Window(self.recording, self.sample_rate)
        for index, span in enumerate(self.spans):
            before = index > 0 and self.spans[index - 1].last == span.first
            after = index + 1 < len(self.spans) and self.spans[index + 1].first == span.last
            yield self._segment(window, span, before, after)
            if progress is not None:
                progress(span.last / len(self.contours))

    def params(self, progress: Progress | None = None) -> SynthParams:
        """All segments, in memory."""
        return SynthParams(part=self.part, instrument=self.instrument, segments=tuple(self.segments(progress)),
                           noise_edges_hz=self.noise_edges_hz, a4_hz=self.a4_hz)

    def performance(self) -> Performance:
        """What was played and how, once all segments were taken.

        The mix gives back the recording's own level: the recording brings its room, and stands in the middle.

        Raises:
            ValueError: segments were not taken to the end.
        """
        missing = [note.id for note in self.notes if note.id not in self.measured]
        if missing:
            raise ValueError(f"{len(missing)} of {len(self.notes)} notes are not measured yet; take all segments first")
        score = self._score
        if score is None:
            part = Part(name=self.part, instrument=self.instrument, notes=self.notes)
            score = Score(parts=(part,), title=self.part)
        return Performance(
            score=score, expressions=dict(self.measured), a4_hz=self.a4_hz,
            origins={note.id: dict.fromkeys(ATTRIBUTES, "recording") for note in self.notes},
            mix=Mix(gain_db=_CENTRE_GAIN_DB, parts={self.part: PartMix(pan=0.0, room="none")}),
        )

    def _segment(self, window: Window, span: Span, before: bool, after: bool) -> Segment:
        contours, hop, count = self.contours, frame_hop(self.sample_rate), len(self.contours)
        # a neighbour's last or first frame is this one's silence: the two are cross-faded between them
        first, last = span.first - int(before), span.last + int(after)
        begin, end = max(0, first - CONTEXT_FRAMES), min(count, last + CONTEXT_FRAMES)
        sound = window.read(begin * hop, (end + CONTEXT_FRAMES) * hop)
        f0 = refine_f0(sound, self._held(begin, end), sample_rate=self.sample_rate)
        harmonic = contours.voiced[begin:end].astype(np.float64)
        found = decompose(sound, f0, harmonic, sample_rate=self.sample_rate, partials=self.partials)
        own = slice(first - begin, last - begin)
        self._measure(span, first, f0[own], found.partials[own], found.noise_db[own], found.harmonic[own])
        power = (found.partials[own].astype(np.float64) ** 2).sum(axis=1) / 2.0
        rest = (10.0 ** (found.noise_db[own].astype(np.float64) / 10.0)).sum(axis=1)
        pitched = contours.voiced[first:last] & (contours.level_db[first:last] > self._loud_db)
        doubtful = (power < _EXPLAINS * (power + rest)) | several_notes(found.partials[own])
        self._unexplained[span.first] = (int(np.sum(pitched & doubtful)), int(np.sum(pitched)))
        total = found.partials[own].sum(axis=1, dtype=np.float64)
        shares = found.partials[own] / np.maximum(total, 1e-12)[:, None]
        shares[total <= 1e-12] = np.eye(1, self.partials, dtype=np.float32)
        amplitude_db = 20.0 * np.log10(np.maximum(total, 10 ** (SILENCE_DB / 20)))
        noise_db = found.noise_db[own].copy()
        for silent, index in ((before, 0), (after, -1)):
            if silent:
                amplitude_db[index] = SILENCE_DB
                noise_db[index] = SILENCE_DB
        ids = tuple(self.notes[number].id for number in span.notes)
        return Segment(
            id=ids[0] if ids else f"{self.part}@{span.first}", note_ids=ids, start_s=first / FRAME_RATE,
            f0_hz=f0[own].astype(np.float32), amplitude_db=amplitude_db.astype(np.float32),
            harmonics=shares.astype(np.float32), noise_db=noise_db,
        )

    def _held(self, first: int, last: int) -> Array:
        """The fundamental, that of the last voiced frame where there is none: what rings on has its pitch."""
        voiced = np.flatnonzero(self.contours.voiced[:last])
        latest = voiced[np.maximum(np.searchsorted(voiced, np.arange(first, last), side="right") - 1, 0)]
        return self.contours.f0_hz[latest].astype(np.float64)

    def _measure(
        self, span: Span, first: int, f0_hz: Array, partials: Array, noise_db: Array, harmonic: Array
    ) -> None:
        """The expression of the notes that begin in a span; the arrays begin at frame ``first``."""
        if not span.notes:
            return
        partial_power, noise_power = measured_powers(partials, noise_db, f0_hz, harmonic, self.noise_edges_hz)
        tuned = f0_hz * (440.0 / self.a4_hz)
        for number in span.notes:
            heard, note = self.heard[number], self.notes[number]
            following = self.heard[number + 1] if number + 1 < len(self.heard) else None
            leads = following is not None and following.joined
            onset = max(heard.onset - first, 0)
            offset = min(max(heard.offset - first, onset + 1), len(f0_hz))
            end = min(offset + int(RELEASE_S * FRAME_RATE), len(f0_hz))
            if following is not None:
                end = min(end, max(following.onset - 2 - first, offset)) if not leads else min(end, offset + 6)
            stretch = slice(max(0, onset - 8), max(end, offset))
            previous = self.heard[number - 1] if heard.joined and number else None
            expression = measure_note(
                f0_hz=tuned[stretch], partial_power=partial_power[stretch], noise_power=noise_power[stretch],
                pitch=note.pitch, onset=onset - stretch.start, offset=offset - stretch.start, joined=heard.joined,
                leads=leads, written_onset_s=note.onset - (first + stretch.start) / FRAME_RATE,
                written_duration_s=note.duration,
                glide_s=None if previous is None else glide_time(hz_to_midi(f0_hz), onset, previous.pitch, heard.pitch),
            )
            self.measured[note.id] = expression


_EXPLAINS = 0.7
_UNEXPLAINED_MOST = 0.1
"""A recording of one line has its pitch explain 0.7 of the power in nearly all frames that are loud and have one."""

_TOGETHER = ((2, 3), (3, 4), (3, 5), (4, 5), (5, 6), (4, 5, 6), (5, 6, 8), (3, 4, 5))
"""Frequency ratios of notes that a tracker hears as one far below them: fifth, fourth, sixth, thirds, major triads."""

_TOGETHER_HOLD, _ONE_HOLDS = 0.995, 0.9


def several_notes(partials: Array) -> NDArray[np.bool_]:
    """Where notes stand in simple ratios and were taken for the partials of one; peak amplitudes [T, H] → [T].

    All the power is then in the multiples of two or three numbers, and not in those of one alone. Two notes an octave
    apart are one note with strong even partials to this, as to the ear.
    """
    power = np.asarray(partials, dtype=np.float64) ** 2
    total = power.sum(axis=1) + 1e-30
    number = np.arange(1, power.shape[1] + 1)
    found = np.zeros(len(power), bool)
    for members in _TOGETHER:
        multiples = [number % member == 0 for member in members]
        together = power[:, np.any(multiples, axis=0)].sum(axis=1) / total
        alone = np.max([power[:, own].sum(axis=1) for own in multiples], axis=0) / total
        found |= (together > _TOGETHER_HOLD) & (alone < _ONE_HOLDS)
    return found


_CENTRE_GAIN_DB = 10.0 * float(np.log10(2.0))
"""Makes up for the pan law: a part in the middle then has the recording's level on both sides."""


def listen(
    recording: Recording,
    *,
    part: str,
    instrument: str = "auto",
    tracker: str = TRACKERS[0],
    given: Score | None = None,
    prior: Callable[[], Prior] | None = None,
    progress: Progress | None = None,
) -> Listening:
    """Find the notes of a recording of one monophonic instrument.

    Args:
        recording: to listen to.
        part: name of the part.
        instrument: a name from the table of instruments, or ``auto``: the one that the recording's name or the given
            notes say; else the one whose players the prior finds likeliest to play so.
        tracker: one of ``mididdsp.contours.TRACKERS``.
        given: what is played, one part; it is aligned to the sound. None transcribes.
        prior: gives the prior over expression, which only ``auto`` asks for.
        progress: told the share done.

    Raises:
        AudioFileError: the recording is damaged or silent, or nothing in it has a pitch.
        ValueError: there is no such instrument or tracker, or the notes given are not one part's.
    """
    own = None if given is None else only_part(given)
    named, exact = _named(recording, own) if instrument == "auto" else (instrument_of(instrument).name, True)
    known = None if named is None else instrument_of(named)
    low, high = reach(known) if exact else (LOWEST, HIGHEST)
    contours = track_recording(recording, tracker=tracker, low=low, high=high, progress=progress)
    heard = find_notes(contours.f0_hz, contours.voiced, contours.level_db, periodicity=contours.periodicity)
    if not heard:
        share = float(np.mean(contours.voiced))
        raise AudioFileError(f"{recording.name}: no notes were heard ({100 * share:.0f} % of it has a pitch); "
                             "give a recording of one instrument playing one note at a time")
    messages: list[str] = []
    score = None
    if own is not None and given is not None:
        aligned = align_notes(own.notes, heard, contours.f0_hz, contours.voiced, contours.level_db)
        heard = list(aligned.notes)
        if aligned.transposition:
            own = replace(own, notes=tuple(replace(note, pitch=note.pitch + aligned.transposition)
                                           for note in own.notes))
            messages.append(f"the notes given sound {abs(aligned.transposition)} semitones "
                            f"{'higher' if aligned.transposition > 0 else 'lower'}; they are taken so")
        missed = aligned.heard.count(False)
        if missed:
            messages.append(f"{missed} of {len(own.notes)} given notes were not heard; they stand where the tempo puts "
                            "them")
        a4_hz = tuning_of([item for item, there in zip(heard, aligned.heard) if there])
        score, notes, heard = placed(given, own, heard)
        part = own.name
    else:
        a4_hz = tuning_of(heard)
        notes = written(heard, a4_hz, part)
    if named is None:
        trial = Listening(recording, part=part, instrument=_WIDEST, contours=contours, heard=heard, notes=notes,
                          a4_hz=a4_hz)
        named = likeliest_instrument(trial, None if prior is None else prior())
        messages.append(f"the instrument was not named, and {INSTRUMENTS[named].label.lower()} is a guess by range and "
                        "playing; name it where it is another")
    if score is not None:
        score = replace(score, parts=(replace(score.parts[0], instrument=named),))
    return Listening(recording, part=part, instrument=named, contours=contours, heard=heard, notes=notes, a4_hz=a4_hz,
                     messages=messages, score=score)


def only_part(score: Score) -> Part:
    """The part of a score that has one with notes.

    Raises:
        ValueError: it has none, or several.
    """
    parts = [part for part in score.parts if part.notes]
    if len(parts) != 1:
        names = ", ".join(part.name for part in parts) or "none"
        raise ValueError(f"the notes given have {len(parts)} parts with notes ({names}); give those of the one "
                         "instrument that is recorded")
    return parts[0]


def _named(recording: Recording, own: Part | None) -> tuple[str | None, bool]:
    """The instrument that the name of the recording, or else the notes given, say, and whether it is the very one.

    A piccolo is played by the flute, and yet sounds an octave above it.
    """
    for text in (Path(recording.name).stem, "" if own is None else own.name):
        found = instrument_named(text)
        if found is not None:
            return found
    return (None, False) if own is None or own.program is None else (own.instrument, False)


def reach(known: Instrument | None) -> tuple[float, float]:
    """MIDI numbers between which a pitch is looked for: an instrument's range and what players reach beyond it."""
    if known is None:
        return LOWEST, HIGHEST
    below = _PEDAL_SEMITONES if known.family == "brass" else _BEYOND_SEMITONES
    return known.low - below, known.high + _BEYOND_SEMITONES


def placed(score: Score, own: Part, heard: Sequence[HeardNote]) -> tuple[Score, list[Note], list[HeardNote]]:
    """The given notes on the recording's clock: (score with the part and its tempo, its notes, what was heard of each).

    The tempo is what a listener follows, a line through the onsets of three beats around each beat; what single notes
    keep off it is their timing. Notes of a table without tempo begin where they were heard.
    """
    if not score.tempo:
        notes = [replace(note, onset=item.onset / FRAME_RATE,
                         duration=max(_end(heard, index) - item.onset, 1) / FRAME_RATE,
                         articulations=_marks(note, item))
                 for index, (note, item) in enumerate(zip(own.notes, heard))]
        tempo: tuple[TempoChange, ...] = ()
    else:
        beats = np.array([beat_at(score.tempo, note.onset) for note in own.notes])
        ends = np.array([beat_at(score.tempo, note.offset) for note in own.notes])
        grid, times = _followed(beats, np.array([item.onset for item in heard]) / FRAME_RATE, float(ends.max()))
        onsets, offsets = np.interp(beats, grid, times), np.interp(ends, grid, times)
        notes = [replace(note, onset=float(max(onset, 0.0)), duration=float(max(offset - onset, 1.0 / FRAME_RATE)),
                         articulations=_marks(note, item))
                 for note, item, onset, offset in zip(own.notes, heard, onsets, offsets)]
        tempo = tuple(TempoChange(time=float(time), beat=float(beat), bpm=float(60.0 * (after - beat) / (later - time)))
                      for time, later, beat, after in zip(times[:-1], times[1:], grid[:-1], grid[1:]))
    # notes of a chord that began one after another now begin together, and stand by pitch
    pairs = sorted(zip(notes, heard), key=lambda pair: (pair[0].onset, pair[0].pitch))
    notes = [note for note, _ in pairs]
    return replace(score, parts=(replace(own, notes=tuple(notes), lanes=()),), tempo=tempo), notes, \
        [item for _, item in pairs]


def _followed(beats: Array, times: Array, end: float) -> tuple[Array, Array]:
    """(beats, seconds): a time for every beat, by a line through the onsets around it, always rising."""
    grid = np.arange(np.floor(beats.min()), np.ceil(end) + 1.0)
    spread = np.ptp(beats)
    slope = float(np.polyfit(beats, times, 1)[0]) if spread > 0 else 0.5
    slope = max(slope, 0.05)
    found = np.empty(len(grid))
    for index, beat in enumerate(grid):
        weight = np.clip(1.0 - (np.abs(beats - beat) / 1.6) ** 3, 0.0, None)
        near = weight > 0
        if not near.any() or np.ptp(beats[near]) < 0.5:
            nearest = int(np.argmin(np.abs(beats - beat)))
            found[index] = times[nearest] + slope * (beat - beats[nearest])
        else:
            line = np.polyfit(beats[near], times[near], 1, w=np.sqrt(weight[near]))
            found[index] = float(np.polyval(line, beat))
    # tempo lies between a fifth and five times the mean
    steps = np.clip(np.diff(found), 0.2 * slope, 5.0 * slope)
    return grid, np.concatenate([[found[0]], found[0] + np.cumsum(steps)])


def _marks(note: Note, heard: HeardNote) -> tuple[str, ...]:
    marks = set(note.articulations) - {"legato"}
    return tuple(sorted(marks | {"legato"} if heard.joined else marks))


def _end(heard: Sequence[HeardNote], number: int) -> int:
    """Frame after a note as it is written: where it stops, or where the note that it leads to begins."""
    following = heard[number + 1] if number + 1 < len(heard) else None
    if following is not None and (following.joined or following.onset < heard[number].offset):
        return max(following.onset, heard[number].onset + 1)
    return heard[number].offset


def likeliest_instrument(trial: Listening, prior: Prior | None) -> str:
    """A guess: the instrument whose players play the first notes most nearly so.

    Attributes are compared with the mean that the prior draws for each instrument; notes out of its range count
    against it. Twelve of thirty phrases were guessed right (bench.roundtrip's set valid, chance is two).
    """
    pitches = [note.pitch for note in trial.notes]
    for index, _ in enumerate(trial.segments()):
        if len(trial.measured) >= _TRIAL_NOTES or index >= _TRIAL_SEGMENTS:
            break
    notes = tuple(note for note in trial.notes if note.id in trial.measured)
    if prior is None or not notes:
        return by_register(tuple(INSTRUMENTS), pitches)
    scores = {}
    for name, known in INSTRUMENTS.items():
        outside = float(np.mean([not known.holds(pitch) for pitch in pitches]))
        plan = plan_part(Part(name=trial.part, instrument=name, notes=notes))
        mean = prior.express(plan, seed=0, temperature=0.0)
        off = [float(np.median([getattr(trial.measured[note.id], attribute) - getattr(mean[note.id], attribute)
                                for note in notes])) / scale for attribute, scale in _TELLING.items()]
        scores[name] = float(np.sum(np.square(off))) + 20.0 * outside
    return min(scores, key=lambda name: scores[name])


_TRIAL_NOTES, _TRIAL_SEGMENTS = 24, 40
_TELLING = {"brightness": 0.35, "attack_noise_db": 6.0, "attack_s": 0.03, "fluctuation_db": 1.5}
"""Attributes that tell instruments apart, with how far players of one are apart."""

_WIDEST = "contrabassoon"
"""The instrument with the most partials, for the time in which it is not known."""


def tuning_of(heard: Sequence[HeardNote]) -> float:
    """A4 in Hz: the circular mean of the notes' distances to the nearest semitone, longer notes counting more."""
    if len(heard) < FEWEST_TO_TUNE:
        return 440.0
    pitches = np.array([note.pitch for note in heard])
    seconds = np.array([note.offset - note.onset for note in heard]) / FRAME_RATE
    mean = np.sum(np.minimum(seconds, 1.0) * np.exp(2j * np.pi * pitches))
    return float(440.0 * 2.0 ** (np.angle(mean) / (2 * np.pi) / 12.0))


def written(heard: Sequence[HeardNote], a4_hz: float, part: str) -> list[Note]:
    """The notes as they would be written: nearest semitones, from onset to where they stop or lead on."""
    notes = []
    for number, item in enumerate(heard):
        pitch = float(np.clip(np.rint(item.pitch - 12.0 * np.log2(a4_hz / 440.0)), 0, 127))
        notes.append(Note(
            id=_note_id(part, item.onset, pitch), onset=item.onset / FRAME_RATE,
            duration=max(_end(heard, number) - item.onset, 1) / FRAME_RATE, pitch=pitch,
            articulations=("legato",) if item.joined else (),
        ))
    return notes


def _note_id(part: str, onset: int, pitch: float) -> str:
    return hashlib.sha256(f"{part}\0{onset}\0{pitch:g}".encode()).hexdigest()[:12]


def _spans(contours: Contours, heard: Sequence[HeardNote]) -> tuple[Span, ...]:
    """Segments to be: stretches of sound, cut where a note begins with an attack."""
    sounding = contours.level_db > min(QUIET_DB, float(contours.level_db.max()) - SPAN_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sounding.astype(np.int8), [0]])))
    stretches: list[list[int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist()):
        if stretches and start - stretches[-1][1] < SHORTEST_GAP_S * FRAME_RATE:
            stretches[-1][1] = stop
        else:
            stretches.append([start, stop])
    attacks = [max(0, note.onset - EARLY_FRAMES) for note in heard if not note.joined]
    longest = int(LONGEST_S * FRAME_RATE)
    spans = []
    for start, stop in stretches:
        cuts = sorted({start, stop, *(attack for attack in attacks if start < attack < stop)})
        if len(cuts) > 2 and not any(start <= attack <= start + 1 for attack in attacks) and cuts[1] - start < longest:
            cuts.pop(1)  # what sounds before the first note belongs to its segment
        for first, last in zip(cuts[:-1], cuts[1:]):
            pieces = -(-(last - first) // longest)
            borders = [first + (last - first) * piece // pieces for piece in range(pieces + 1)]
            spans += list(zip(borders[:-1], borders[1:]))
    starts = np.array([first for first, _ in spans])
    owners: dict[int, list[int]] = {}
    for number, note in enumerate(heard):
        # a note heard before the sound rises above silence belongs to the first
        owner = max(int(np.searchsorted(starts, note.onset, side="right")) - 1, 0)
        owners.setdefault(owner, []).append(number)
    return tuple(Span(first=first, last=last, notes=tuple(owners.get(index, ())))
                 for index, (first, last) in enumerate(spans))
