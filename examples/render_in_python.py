"""A MIDI file to sound in Python: whole, then level by level with an edit between.

    python render_in_python.py        (in the folder of ode_to_joy.mid)
"""

from dataclasses import replace

import mididdsp as md

performer = md.Performer()

# In one line: notes, expression, synthesis, audio. The same seed gives the same bytes.
performer.render("ode_to_joy.mid", seed=1).save("ode_to_joy.wav")

# How is every note played? The performance holds drawn values; it is drawn once and kept.
performance = performer.perform("ode_to_joy.mid", seed=1)
melody = performance.score.parts[0]
first = melody.notes[0]
print(f"{melody.name}: {len(melody.notes)} notes; the first at {performance.expressions[first.id].level_db:.1f} dBFS")

# Change the first note: louder, brighter, with a wide vibrato. Values are frozen; an edit makes a new one.
before = performance.expressions[first.id]
after = replace(before, level_db=before.level_db + 4.0, brightness=before.brightness + 0.3,
                vibrato_cents=35.0, vibrato_rate_hz=5.5, vibrato_delay_s=0.1)
edited = replace(performance, expressions={**performance.expressions, first.id: after})

# Render the edited performance, with stems and every level saved for the next edit.
report = performer.render(edited).save("ode_to_joy_edited.wav", stems="stems", levels="levels")
print(f"{report.duration_s:.1f} s of audio, true peak {report.true_peak_dbtp:.1f} dBTP")

# The next level down: what the instrument does 250 times a second. An octave up, for this part alone.
params = next(performer.synthesize(edited))
higher = replace(params, segments=tuple(replace(segment, f0_hz=2 * segment.f0_hz) for segment in params.segments))
performer.render(higher, tail_s=1.0).save("octave.wav")
