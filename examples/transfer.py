"""A hummed tune on the violin and on the tuba, in Python, with a picture of what was kept.

    python transfer.py                (writes hum.wav, hum_on_violin.wav, hum_on_tuba.wav and transfer.png)

On the command line: mididdsp transfer hum.wav --to violin -o hum_on_violin.wav
"""

import numpy as np
import soundfile
from matplotlib.figure import Figure

import mididdsp as md
from mididdsp.audio_stream import open_recording, recording_of
from mididdsp.checkpoints import shipped
from mididdsp.transfer import fit, listen, load_autoencoder, transferred

RATE = 48_000


def hum(notes: list[tuple[float, float]]) -> np.ndarray:
    """A made-up voice: (MIDI pitch, seconds) each, glides between notes, vibrato on long ones, three formants."""
    pitch = np.concatenate([np.full(round(seconds * RATE), midi) for midi, seconds in notes])
    held = np.concatenate([np.linspace(0.0, 1.0, round(seconds * RATE)) * (seconds > 0.5) for _, seconds in notes])
    glide = np.hanning(RATE // 12)
    edge = len(glide)
    pitch = np.convolve(np.pad(pitch, edge, mode="edge"), glide / glide.sum(), mode="same")[edge:-edge]
    time = np.arange(len(pitch)) / RATE
    f0 = 440.0 * 2.0 ** ((pitch + 0.3 * held * np.sin(2 * np.pi * 5.5 * time) - 69.0) / 12.0)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    voice = np.zeros(len(time))
    for partial in range(1, 25):
        formants = sum(
            np.exp(-(((partial * f0 - centre) / width) ** 2))
            for centre, width in ((500.0, 200.0), (1_000.0, 250.0), (2_600.0, 400.0))
        )
        voice += (0.05 + formants) / partial * np.sin(partial * phase)
    swell = 0.4 + 0.6 * np.sin(np.pi * time / time[-1])
    fade = np.minimum(1.0, np.minimum(time, time[-1] - time) / 0.05)
    return (0.2 * swell * fade * voice).astype(np.float32)


tune = hum([(52, 0.4), (55, 0.4), (59, 0.8), (57, 0.4), (55, 0.4), (54, 0.4), (52, 1.0)])
soundfile.write("hum.wav", tune, RATE)

# What was hummed: fundamental and loudness, 250 times a second.
heard = listen(open_recording("hum.wav"))
autoencoder = load_autoencoder(shipped("autoencoder"))
performer = md.Performer()

# The octave and the level are chosen so that the instrument plays where it was learned; both can be set by hand.
for instrument in ("violin", "tuba"):
    fitted = fit(heard, autoencoder, instrument)
    print(f"{instrument}: {fitted.octaves:+d} octaves, {fitted.gain_db:+.1f} dB")
    params = transferred(heard, autoencoder, instrument, fitted)
    performer.render(params).save(f"hum_on_{instrument}.wav")

# What was kept: the same measured again on the dry violin.
fitted = fit(heard, autoencoder, "violin")
dry = performer.render(transferred(heard, autoencoder, "violin", fitted), room="none", tail_s=0.0)
again = listen(recording_of(dry.audio, RATE))
figure = Figure(figsize=(9, 7), layout="constrained")
axes = figure.subplots(2, 2)
for column, (name, audio, found) in enumerate((("hummed", tune, heard), ("violin", dry.audio.mean(axis=0), again))):
    axes[0, column].specgram(audio + 1e-9, NFFT=2048, noverlap=1536, Fs=RATE, vmin=-140)
    axes[0, column].set(ylim=(0, 6_000), title=name, xlabel="s", ylabel="Hz")
    time = np.arange(len(found.f0_hz)) / 250.0
    sounding = found.sounding
    axes[1, 0].plot(time[sounding], 69 + 12 * np.log2(found.f0_hz[sounding] / 440.0), ".", markersize=2, label=name)
    axes[1, 1].plot(time, found.loudness_db, label=name)
axes[1, 0].set(xlabel="s", ylabel="pitch (MIDI)")
axes[1, 1].set(xlabel="s", ylabel="loudness, A-weighted dB", ylim=(-90, 0))
axes[1, 0].legend()
figure.savefig("transfer.png", dpi=80)
