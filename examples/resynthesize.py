"""A recording taken apart and put together again: whole, without its noise, and played by another instrument.

    python resynthesize.py [RECORDING]

Without a recording one is made first, from a tune and the shipped weights.
"""

import sys
from dataclasses import replace

import mididdsp as md

performer = md.Performer()
if len(sys.argv) > 1:
    recording = sys.argv[1]
else:
    recording = "violin.wav"
    performer.render("scarborough_fair.mid", end_s=4.0, tail_s=0.5).save(recording)

# Up: notes, how each of them is played, and the sound itself, 250 times a second.
heard = performer.analyze(recording, instrument="violin")
part = heard.performance.score.parts[0]
print(f"{len(part.notes)} notes, A4 = {heard.performance.a4_hz:.1f} Hz, {len(heard.params.segments)} segments")

# Down again, in three ways. The sound as it was:
performer.render(heard.params, room="none").save("resynthesized.wav")

# its partials alone, for the noise is a part of the parameters like any other:
silent = tuple(replace(segment, noise_db=segment.noise_db * 0.0 - 120.0) for segment in heard.params.segments)
performer.render(replace(heard.params, segments=silent), room="none").save("partials_alone.wav")

# and the same playing on another instrument.
other, messages = performer.recast(heard.performance, {"*": "clarinet"})
performer.render(other).save("as_a_clarinet.wav")
print(*messages, sep="\n")
