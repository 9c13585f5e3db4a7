"""Three levels drawn together, each with a seed of its own: hold one, hear the others change.

    python compose_in_python.py        (in the folder of scarborough_fair.mid)
"""

import mididdsp as md
from mididdsp.notes.keys import parse_key
from mididdsp.notes.wishes import Cadence, Wishes

performer = md.Performer()

# Notes alone: three harmonies of a folk tune. The tune itself stays to the note.
for take in performer.compose("harmonize", "scarborough_fair.mid", takes=3, seed=1, wishes=Wishes(passes=16)):
    print(f"harmony {take.seed}: {take.report.surprise:.2f} nats a sixteenth, {take.report.marks.fifths} fifths")
    md.write_midi(take.score, f"harmony{take.seed}.mid")

# Notes, performance and sound in one call: two bars for two strings.
wishes = Wishes(key=parse_key("G minor"), cadences=(Cadence(bar=2),), passes=16)
how = {"bars": 2, "voices": (0, 3), "wishes": wishes}

# The same notes, two performances of them.
for seed in (1, 2):
    created = performer.create("generate", notes_seed=1, expression_seed=seed, synthesis_seed=1, how=how)
    first = created.performance.score.parts[0].notes[0]
    drawn = created.performance.expressions[first.id]
    print(f"performance {seed}: the first note at {drawn.level_db:.1f} dBFS, {1000 * drawn.timing_s:+.0f} ms")
    created.rendering.save(f"performance{seed}.wav")

# The same player (seed of the expression), other notes.
for seed in (2, 3):
    created = performer.create("generate", notes_seed=seed, expression_seed=1, synthesis_seed=1, how=how)
    print(f"notes {seed}: {len(created.performance.score.parts[0].notes)} in the upper voice")
    created.rendering.save(f"notes{seed}.wav")
