"""Small tools of the synthesis level: a wavetable instrument, a chorus, a bell, and a room found blind.

    python effects.py                 (writes organ.wav, chorus.wav, bell.wav, wet.wav and dry_again.wav)

All are pure functions with gradients; the last part uses the gradients.
"""

import numpy as np
import soundfile
import torch

from mididdsp.synthesis.dsp.filters import sinc_filter
from mididdsp.synthesis.dsp.oscillators import oscillator_bank
from mididdsp.synthesis.dsp.resampling import resample
from mididdsp.synthesis.dsp.sinusoids import harmonic_to_sinusoidal, sinusoidal_to_harmonic
from mididdsp.synthesis.dsp.wavetables import harmonics_to_wavetable, wavetable_synthesis
from mididdsp.synthesis.effects import chorus, exponential_impulse_response, reverb
from mididdsp.synthesis.losses import MIDI_DDSP_WEIGHTS, spectral_loss

RATE = 16_000
FRAMES = 250
SAMPLES = RATE
torch.manual_seed(1)


def save(name: str, audio: torch.Tensor) -> None:
    soundfile.write(name, (0.5 * audio / audio.abs().max()).detach().numpy(), RATE)


# A wavetable instrument: one period of an organ pipe at the start, of a reed at the end, cross-faded frame by frame.
number = torch.arange(1, 33, dtype=torch.float32)
pipe, reed = (number % 2) / number**2, 1.0 / number
share = torch.linspace(0.0, 1.0, FRAMES)[:, None]
tables = harmonics_to_wavetable((1 - share) * pipe + share * reed, 512)
f0 = torch.full((FRAMES,), 220.0)
level = torch.linspace(0, torch.pi, FRAMES).sin()
organ = wavetable_synthesis(f0, level, tables, samples=SAMPLES, sample_rate=RATE)
save("organ.wav", organ)

# A chorus makes it many; a low pass in front takes the edge off the reed.
soft = sinc_filter(organ, torch.tensor([3_000.0]), 256, RATE)
save("chorus.wav", chorus(soft, RATE, voices=4))

# A bell: the partials as free sinusoids, stretched as those of a stiff bar are, the high ones dying first.
decay = torch.exp(-torch.linspace(0, 1, FRAMES)[:, None] * (1.5 + number[:12]))
amplitudes, frequencies = harmonic_to_sinusoidal(torch.ones(FRAMES), decay / decay.sum(-1, keepdim=True), f0)
frequencies = frequencies * torch.sqrt(1.0 + 0.004 * number[:12] ** 2)
sounding = resample(amplitudes * decay.sum(-1, keepdim=True), SAMPLES, "linear")
save("bell.wav", oscillator_bank(resample(frequencies, SAMPLES, "linear"), sounding, RATE))
_, nearest = sinusoidal_to_harmonic(amplitudes, frequencies, f0, width=0.3, partials=12, normalize=True)
led = float((nearest.argmax(-1) == 0).float().mean())
print(f"gathered back into partials, the bell is led by the first in {led:.0%} of its frames")

# A room found blind: which decay, behind the dry sound, gives the wet one? Only the level and the pace are unknown.
noise = torch.rand(8_000) * 2 - 1
clicks = organ * (torch.arange(SAMPLES) % 4_000 < 800)
wet = reverb(clicks, exponential_impulse_response(torch.tensor([-2.0]), torch.tensor([1.5]), noise))
save("wet.wav", wet)
gain, pace = torch.tensor([0.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
optimizer = torch.optim.Adam([gain, pace], lr=0.1)
for _ in range(60):
    optimizer.zero_grad()
    # other noise than the room's own: what is found is its decay, not its echoes
    guess = reverb(clicks, exponential_impulse_response(gain, pace, torch.rand(8_000) * 2 - 1))
    loss = spectral_loss(wet, guess, MIDI_DDSP_WEIGHTS, fft_sizes=(1024, 256), sample_rate=RATE)
    loss.backward()
    optimizer.step()
print(f"the room: gain {gain.item():.2f} (it was -2.00), pace {pace.item():.2f} (it was 1.50)")
response = exponential_impulse_response(gain, pace, noise)
save("dry_again.wav", wet - reverb(clicks, response, add_dry=False))
assert np.isfinite(wet.detach().numpy()).all()
