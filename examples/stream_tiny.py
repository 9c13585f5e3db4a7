"""A live instrument: fundamental and loudness arrive 20 ms at a time, and sound leaves as fast.

    python stream_tiny.py             (writes live.wav)

The tiny autoencoder has fewer than 5,000 parameters an instrument. What it streams is what it gives for the whole at
once; the sound of a frame is complete when the next two are known, 8 ms later.
"""

import time

import numpy as np
import soundfile

from mididdsp.checkpoints import resolve
from mididdsp.synthesis.streaming import AutoencoderStream
from mididdsp.transfer import load_autoencoder

RATE = 48_000
BLOCK = 5  # frames of 4 ms

autoencoder = load_autoencoder(resolve("autoencoder-tiny"))
stream = AutoencoderStream(autoencoder, "flute", sample_rate=RATE)


def hand(frame: int) -> tuple[float, float]:
    """What a hand at two faders might do: a rising line with vibrato, and swells."""
    seconds = frame / 250.0
    pitch = 74.0 + 5.0 * np.floor(seconds) / 2.0 + 0.2 * np.sin(2 * np.pi * 5.0 * seconds)
    return 440.0 * 2.0 ** ((pitch - 69.0) / 12.0), -42.0 + 16.0 * np.sin(np.pi * (seconds % 1.0)) ** 0.5


sound = []
began = time.process_time()
for first in range(0, 1_000, BLOCK):
    f0_hz, loudness_db = np.array([hand(frame) for frame in range(first, first + BLOCK)]).T
    sound.append(stream.play(f0_hz, loudness_db))
sound.append(stream.end())
work = time.process_time() - began
audio = np.concatenate(sound)
soundfile.write("live.wav", audio, RATE)
seconds = len(audio) / RATE
print(f"{seconds:.1f} s of flute in blocks of {4 * BLOCK} ms: {seconds / work:.0f}x real time")
