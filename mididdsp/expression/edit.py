"""Expression in the hand: selections of notes, edits in a musician's words, locks, drawn curves.

Nothing is changed in place: an edit returns a new performance. A ``Selection`` is a performance that remembers which of
its notes are chosen, so that steps chain and the result can be rendered or saved as it is::

    edited = performance.select(part="Violin I", bars=(3, 4)).edit(vibrato="60c").lock()

An assignment is a name, a sign and a value, in text or as keyword:

| text | does |
|---|---|
| ``vibrato=60c``, ``level=mf``, ``length=80%`` | sets |
| ``level+=3dB``, ``tuning-=5c``, ``vibrato*=1.5``, ``attack/=2`` | moves |
| ``volume=0.8``, ``paper.vibrato=0.5`` | the paper's 0…1 scales (``mididdsp.expression.views``) |
| ``level=ramp(p,f)``, ``vibrato=ramp(10c,60c)`` | from first to last chosen note; the level also inside notes |
| ``level+=ramp(0dB,6dB)``, ``crescendo``, ``diminuendo(9dB)`` | a swell drawn over what is there |
| ``articulation=staccato``, ``articulation+=accent``, ``accent``, ``articulation=none`` | marks (``articulation``) |
| ``pitch+=curve(0s:0c,0.3s:-40c)``, ``level=curve(0:-30dB,1:-20dB)``, ``gain-=2dB`` | curves, times from the onset |
| ``players=8`` | how many play the parts that have a chosen note |
| ``noise+=3dB``, ``partials.5-12-=curve(0s:0dB,1s:6dB)`` | the noise along the note, or a band of its partials |
| ``pitch=none``, ``partials=none``, ``curves=none`` | takes off what a hand has drawn |

Conventions: what a hand changes has the origin ``hand``. Locks hold against priors, never against a hand. Values that
leave an attribute's legal range stop at its edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from mididdsp.expression.articulation import RULES, Rules
from mididdsp.expression.assignments import in_order, parsed
from mididdsp.expression.quantities import EditError, named
from mididdsp.expression.select import chosen
from mididdsp.expression.types import ATTRIBUTES, NOTE_ATTRIBUTES, Curve, Performance
from mididdsp.expression.workpiece import Workpiece, notes_by_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Performance):
    """A performance with notes chosen; it plays, saves and compares by its notes as any performance.

    Attributes:
        chosen: ids of the chosen notes, in the order of the score.
        touched: attributes the steps since ``select`` have changed: what ``lock`` locks.
    """

    chosen: tuple[str, ...] = ()
    touched: frozenset[str] = frozenset()

    @property
    def performance(self) -> Performance:
        """The performance without the choice."""
        return Performance(**{item.name: getattr(self, item.name) for item in fields(Performance)})

    def edit(self, *assignments: str, rules: Rules = RULES, **values: object) -> Selection:
        """Change the chosen notes.

        Args:
            assignments: in text, see the module.
            rules: what articulation marks do.
            values: keyword assignments, ``vibrato="60c"``; numbers count in the attribute's unit where that is clear.

        Raises:
            EditError: an assignment cannot be understood.
        """
        texts = [*assignments, *(f"{name}={_text(value)}" for name, value in values.items())]
        work = Workpiece(self, self.chosen, rules)
        for assignment in in_order([parsed(text) for text in texts]):
            assignment.apply(work)
        return replace(self, **work.changed(self.score), touched=self.touched | work.touched)

    def draw(
        self, target: str, times: Sequence[float], values: Sequence[float], *, mode: str = "add", anchor: str = "onset",
        band: tuple[int, int] | None = None,
    ) -> Selection:
        """Draw a curve on every chosen note or, anchored to the piece, one on every part that has a chosen note.

        Args:
            target: ``level``, ``gain``, ``pitch``, ``noise`` or ``partials``.
            times: seconds from the anchor, increasing.
            values: dB, or cents (for ``set``: from the written pitch).
            mode: ``add`` to what is there, or ``set`` it from the first to the last time.
            anchor: ``onset`` or ``offset`` of each note, or ``piece``.
            band: first and last partial, for ``partials``.

        Raises:
            EditError: the curve is not legal.
        """
        curves = []
        try:
            for part, notes in notes_by_part(self, self.chosen):
                anchors = [None] if anchor == "piece" else [note.id for note in notes]
                curves += [Curve(target=target, mode=mode, times=tuple(map(float, times)),
                                 values=tuple(map(float, values)), part=part.name, note_id=note_id, anchor=anchor,
                                 band=band)
                           for note_id in anchors]
        except ValueError as error:
            raise EditError(str(error)) from None
        return replace(self, curves=(*self.curves, *curves))

    def lock(self, *names: str) -> Selection:
        """Keep attributes of the chosen notes from every prior.

        Args:
            names: attributes; none are those changed since ``select``, or all where nothing was.
        """
        kept = self._attributes(names)
        locks = dict(self.locks)
        for note_id in self.chosen:
            locks[note_id] = locks.get(note_id, frozenset()) | kept
        return replace(self, locks=locks)

    def unlock(self, *names: str) -> Selection:
        """Give attributes of the chosen notes back to the priors; no names are all."""
        freed = frozenset(named(name).attribute for name in names) or frozenset(NOTE_ATTRIBUTES)
        locks = {note_id: held - freed if note_id in set(self.chosen) else held
                 for note_id, held in self.locks.items()}
        return replace(self, locks={note_id: held for note_id, held in locks.items() if held})

    def _attributes(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(named(name).attribute for name in names) or self.touched or frozenset(ATTRIBUTES)


def select(performance: Performance, **conditions: Any) -> Selection:
    """A performance with the notes chosen that fit all conditions (``select.chosen``); without any, all notes.

    Raises:
        EditError: a condition cannot be understood, or names what is not there.
    """
    ids = chosen(performance, **conditions)
    return Selection(**{item.name: getattr(performance, item.name) for item in fields(Performance)}, chosen=ids)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return repr(float(value))  # type: ignore[arg-type]
