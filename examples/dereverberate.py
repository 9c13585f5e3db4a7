"""Take the room of a recording away, and give it that of another.

    python examples/dereverberate.py in.wav dry.wav                   # mididdsp room in.wav --dry -o dry.wav
    python examples/dereverberate.py in.wav out.wav --of hall.wav     # mididdsp room in.wav --of hall.wav -o out.wav
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mididdsp.audio_files import read_audio, write_audio
from mididdsp.reverberation import dried, estimate, impulse_response
from mididdsp.rooms import convolved


def main() -> None:
    """The example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--of", type=Path, default=None)
    chosen = parser.parse_args()
    audio, rate = read_audio(chosen.recording)
    room = estimate(audio, rate)
    print(f"{chosen.recording}: falls by 60 dB in {room.middle_s:.1f} s, {room.amount_db:+.0f} dB re the direct sound")
    dry = np.concatenate(list(dried([audio], rate, room)), axis=1)
    if chosen.of is None:
        write_audio(chosen.output, dry, rate)
        return
    other = estimate(*read_audio(chosen.of))
    print(f"{chosen.of}: falls by 60 dB in {other.middle_s:.1f} s, {other.amount_db:+.0f} dB re the direct sound")
    response = impulse_response(other, rate)
    rung = [direct + wet for direct, wet in convolved([dry.mean(axis=0)], response)]
    write_audio(chosen.output, np.concatenate(rung, axis=1), rate)


if __name__ == "__main__":
    main()
