"""MIDI files byte by byte, for the tests that need odd and broken ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

END = b"\xff\x2f\x00"


def number(value: int) -> bytes:
    """A variable-length number."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "big") + body


def track(*events: tuple[int, bytes], end: bool = True) -> bytes:
    """A track chunk of (tick, message bytes), sorted here by tick; order at one tick is kept."""
    body, now = b"", 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        body += number(tick - now) + message
        now = tick
    return chunk(b"MTrk", body + (b"\x00" + END if end else b""))


def file(*tracks: bytes, kind: int = 1, division: int = 480, declared: int | None = None) -> bytes:
    """A whole file; ``division`` may be any 16 bits."""
    count = len(tracks) if declared is None else declared
    head = b"".join(part.to_bytes(2, "big") for part in (kind, count, division))
    return chunk(b"MThd", head) + b"".join(tracks)


def note(on: int, off: int, key: int, velocity: int = 80, channel: int = 0) -> list[tuple[int, bytes]]:
    return [(on, bytes((0x90 | channel, key, velocity))), (off, bytes((0x80 | channel, key, 64)))]


def notes(found: Iterable[tuple[int, int, int]], channel: int = 0) -> list[tuple[int, bytes]]:
    """(on, off, key) of each; at one tick ends come before beginnings."""
    events = [event for on, off, key in found for event in note(on, off, key, channel=channel)]
    return sorted(events, key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90))


def program(value: int, channel: int = 0, tick: int = 0) -> tuple[int, bytes]:
    return tick, bytes((0xC0 | channel, value))


def control(tick: int, value: int, number_: int, channel: int = 0) -> tuple[int, bytes]:
    """Controller ``number_`` takes a value."""
    return tick, bytes((0xB0 | channel, number_, value))


def bend(tick: int, value: int, channel: int = 0) -> tuple[int, bytes]:
    """A bend of -8192 to 8191."""
    return tick, bytes((0xE0 | channel, value + 8192 & 0x7F, value + 8192 >> 7))


def meta(tick: int, kind: int, data: bytes) -> tuple[int, bytes]:
    return tick, bytes((0xFF, kind)) + number(len(data)) + data


def name(text: str | bytes) -> tuple[int, bytes]:
    return meta(0, 0x03, text if isinstance(text, bytes) else text.encode())


def tempo(tick: int, quarter_us: int) -> tuple[int, bytes]:
    return meta(tick, 0x51, quarter_us.to_bytes(3, "big"))


def rpn_range(semitones: int, cents: int = 0, channel: int = 0) -> Sequence[tuple[int, bytes]]:
    """RPN 0 sets the range of the bend."""
    return [control(0, value, number_, channel) for number_, value in (
        (101, 0), (100, 0), (6, semitones), (38, cents), (101, 127), (100, 127))]
