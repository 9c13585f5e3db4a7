"""Standard MIDI Files, byte for byte: chunks, running status, variable lengths. What the events mean is ``midi``'s.

Conventions: an event is (tick, status, data); ticks count from the start of its track; meta events have status 0xFF
and their type as the first byte of data. System exclusive and real-time messages are passed over.

Reading is strict where notes would be lost (a file cut short, a byte that is no message) and lenient where nothing is
(chunks of other kinds, a data byte above 127, a wrong number of tracks). It is written here because a file whose key
signature or text is broken still plays, which mido refuses, and because it is four times as fast; mido is its witness
in the tests.

Source: The Complete MIDI 1.0 Detailed Specification, Standard MIDI Files 1.0 (RP-001), RIFF MIDI (RP-029).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

META = 0xFF
TRACK_NAME = 0x03
INSTRUMENT_NAME = 0x04
END_OF_TRACK = 0x2F
SET_TEMPO = 0x51
TIME_SIGNATURE = 0x58
KEY_SIGNATURE = 0x59

_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xF9: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFD: 0, 0xFE: 0}
"""Bytes of data after each system message that a file should not hold, but some do."""


class SmfError(ValueError):
    """The bytes are no Standard MIDI File that can be read."""


class Event(NamedTuple):
    """One message: its tick in the track, its status byte, its data bytes."""

    tick: int
    status: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Smf:
    """A file's events.

    Attributes:
        kind: 0 (one track), 1 (tracks together), 2 (patterns one after the other).
        ticks_per_quarter: above 0, or None when ticks are fractions of a second.
        tick_s: length of a tick in seconds when it does not depend on the tempo, or None.
        tracks: events of each track by tick.
        lengths: tick of each track's end.
        remarks: what was not as it should be, for the user.
    """

    kind: int
    ticks_per_quarter: int | None
    tick_s: float | None
    tracks: tuple[tuple[Event, ...], ...]
    lengths: tuple[int, ...]
    remarks: tuple[str, ...]


def parse_smf(content: bytes) -> Smf:
    """Read the bytes of a MIDI file, plain or inside RIFF (.rmi).

    Raises:
        SmfError: one sentence that says what is wrong and where.
    """
    remarks: list[str] = []
    content = _unwrap_riff(content)
    if content[:4] != b"MThd":
        raise SmfError("it does not begin as a MIDI file does (MThd); give a MIDI file")
    if len(content) < 14:
        raise SmfError("it is cut off inside its header; export it again")
    size = int.from_bytes(content[4:8], "big")
    kind, declared, division = (int.from_bytes(content[at:at + 2], "big") for at in (8, 10, 12))
    if size < 6 or 8 + size > len(content):
        raise SmfError(f"its header says it is {size} bytes long, which cannot be; export it again")
    if kind > 2:
        raise SmfError(f"its header says type {kind}, and only types 0, 1 and 2 exist; export it again")
    ticks_per_quarter, tick_s = _division(division)
    tracks: list[tuple[Event, ...]] = []
    lengths: list[int] = []
    at = 8 + size
    while at + 8 <= len(content):
        chunk, size = content[at:at + 4], int.from_bytes(content[at + 4:at + 8], "big")
        if chunk == b"MTrk":
            events, length = _parse_track(content, at + 8, at + 8 + size, len(tracks) + 1, remarks)
            tracks.append(events)
            lengths.append(length)
        elif len(tracks) >= declared:
            break  # what follows the last track, such as a tag or padding, is no concern of ours
        at += 8 + size
    if not tracks:
        raise SmfError("it has no tracks; export it again")
    if len(tracks) != declared:
        remarks.append(f"The file says it has {counted(declared, 'track')}, and has {len(tracks)}.")
    return Smf(kind=kind, ticks_per_quarter=ticks_per_quarter, tick_s=tick_s, tracks=tuple(tracks),
               lengths=tuple(lengths), remarks=tuple(dict.fromkeys(remarks)))


def counted(number: int, thing: str) -> str:
    """A number of things in words: ``1 note``, ``2 notes``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _unwrap_riff(content: bytes) -> bytes:
    """The MIDI file inside a RIFF container, or the content itself."""
    if content[:4] != b"RIFF":
        return content
    if content[8:12] != b"RMID":
        raise SmfError("it is a RIFF file without MIDI in it; give a MIDI file")
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4:at + 8], "little")
        if content[at:at + 4] == b"data":
            return content[at + 8:at + 8 + size]
        at += 8 + size + size % 2  # chunks of RIFF begin at even places
    raise SmfError("it is a RIFF file whose MIDI data is missing; export it again")


def _division(division: int) -> tuple[int | None, float | None]:
    """Ticks per quarter note, or the length of a tick in seconds (time code)."""
    if division & 0x8000 == 0:
        if division == 0:
            raise SmfError("its header says 0 ticks to a quarter note, so nothing has a length; export it again")
        return division, None
    frames, ticks = 256 - (division >> 8), division & 0xFF
    if frames not in (24, 25, 29, 30) or ticks == 0:
        raise SmfError(f"its header gives time as {frames} frames a second of {ticks} ticks, which no time code has; "
                       "export it again")
    rate = 30_000 / 1001 if frames == 29 else float(frames)
    return None, 1.0 / (rate * ticks)


def _parse_track(content: bytes, at: int, end: int, number: int, remarks: list[str]) -> tuple[tuple[Event, ...], int]:
    """Events of one track chunk and the tick of its end."""
    events: list[Event] = []
    add = events.append
    tick = status = 0
    cut = SmfError(f"track {number} is cut off; export it again")
    try:
        while at < end:
            delta = 0
            for _ in range(4):
                byte = content[at]
                at += 1
                delta = delta << 7 | byte & 0x7F
                if byte < 0x80:
                    break
            else:
                raise SmfError(f"track {number} holds a time that is too long, at byte {at}; export it again")
            tick += delta
            byte = content[at]
            if byte >= 0x80:
                at += 1
                if byte < 0xF0:
                    status = byte
            elif status:
                byte = status
            else:
                raise SmfError(f"track {number} begins in the middle of a message, at byte {at}; export it again")
            if byte < 0xF0:
                after = at + (1 if 0xC0 <= byte < 0xE0 else 2)
                data = content[at:after]
                if max(data) > 127:
                    data = bytes(min(value, 127) for value in data)
                    remarks.append(f"Track {number} holds values above 127; they are taken as 127.")
                add(Event(tick, byte, data))
                at = after
            elif byte in (0xFF, 0xF0, 0xF7):
                kind = content[at:at + (byte == META)]
                at += len(kind)
                size, at = _length(content, at, number)
                if at + size > end:
                    raise cut
                if byte == META:
                    if kind[0] == END_OF_TRACK:
                        return tuple(events), tick
                    add(Event(tick, META, kind + content[at:at + size]))
                at += size
            elif byte in _SYSTEM_DATA:
                at += _SYSTEM_DATA[byte]
            else:
                raise SmfError(f"track {number} holds a byte that is no message (0x{byte:02X}, at byte {at}); "
                               "export it again")
            if at > end:
                raise cut
    except (IndexError, ValueError) as error:
        if isinstance(error, SmfError):
            raise
        raise cut from None
    remarks.append(f"Track {number} has no end mark.")
    return tuple(events), tick


def _length(content: bytes, at: int, number: int) -> tuple[int, int]:
    """A variable-length number and the place after it."""
    value = 0
    for place in range(at, at + 4):
        byte = content[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise SmfError(f"track {number} holds a length that is too long, at byte {at}; export it again")
