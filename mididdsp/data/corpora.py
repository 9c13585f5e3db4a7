"""Corpora of pieces in a fixed number of voices that the prior over notes can learn from, and a published split.

Conventions: a corpus is named by what ``mididdsp train notes corpus=NAME`` takes; the three here come with music21, so
that nothing is fetched. A folder of one's own scores is a corpus too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCORE_SUFFIXES = (".mxl", ".xml", ".musicxml", ".krn", ".abc", ".mid", ".midi")
"""Files of a corpus that are scores."""


class CorpusError(ValueError):
    """There is no such corpus; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCorpus:
    """Where pieces come from and which of them are taken.

    Attributes:
        name: of the corpus; its data file is called after it.
        title: for people.
        voices: of every piece; pieces with others are left out.
        composers: as music21 names them; empty for a folder.
        folder: of one's own scores, or None.
        most_rests: share of silent cells above which a piece is left out, 0 to 1.
        most_off_grid: share of notes that begin beside the grid of sixteenths above which a piece is left out, 0 to 1.
        data: for the card of a checkpoint: name, source and terms.
        attribution: for the card.
    """

    name: str
    title: str
    voices: int
    composers: tuple[str, ...] = ()
    folder: Path | None = None
    most_rests: float = 0.25
    most_off_grid: float = 1.0
    attribution: str = ""

    @property
    def data(self) -> dict[str, str]:
        """For the card of a checkpoint: what it was trained on, and on what terms."""
        if self.folder is not None:
            return {"name": self.title, "source": f"scores of the folder {self.folder.name}", "terms": "the owner's"}
        return {
            "name": f"{self.title} in the corpus of music21",
            "source": "https://github.com/cuthbertLab/music21",
            "terms": "music in the public domain; the corpus files carry their encoders' notes",
        }

    def files(self) -> list[Path]:
        """All scores that may be pieces of it, by name.

        Raises:
            CorpusError: the folder has no scores.
        """
        if self.folder is not None:
            found = {path for path in self.folder.rglob("*") if path.suffix.lower() in SCORE_SUFFIXES}
        else:
            from music21 import corpus

            every = (Path(path) for composer in self.composers for path in corpus.getComposer(composer))
            found = {path for path in every if path.suffix in SCORE_SUFFIXES}
        if not found:
            raise CorpusError(f"there are no scores of {self.title}; looked for {', '.join(SCORE_SUFFIXES)}")
        return sorted(found, key=lambda path: (path.name, path.parent.name))


def _of_music21(
    name: str, title: str, voices: int, composers: tuple[str, ...], whose: str, rests: float
) -> VoiceCorpus:
    return VoiceCorpus(
        name=name,
        title=title,
        voices=voices,
        composers=composers,
        most_rests=rests,
        most_off_grid=0.1,
        attribution=f"Trained on {whose} (public domain) from the corpus of music21 (M. S. Cuthbert and contributors).",
    )


CHORALES = _of_music21("chorales", "Four-part chorales of J. S. Bach", 4, ("bach",), "chorales by J. S. Bach", 0.25)

CORPORA: Mapping[str, VoiceCorpus] = {
    one.name: one
    for one in (
        CHORALES,
        _of_music21(
            "madrigals", "Five-part madrigals of C. Monteverdi", 5, ("monteverdi",), "madrigals by C. Monteverdi", 0.5
        ),
        _of_music21(
            "quartets",
            "String quartets of J. Haydn and W. A. Mozart",
            4,
            ("haydn", "mozart"),
            "string quartets by J. Haydn and W. A. Mozart",
            0.4,
        ),
    )
}
"""By the name that the recipe takes."""


def corpus_of(name: str, voices: int) -> VoiceCorpus:
    """A corpus by its name, or a folder of one's own scores with so many voices.

    Raises:
        CorpusError: it is neither.
    """
    if name in CORPORA:
        return CORPORA[name]
    folder = Path(name)
    if not folder.is_dir():
        raise CorpusError(f"corpus is {name!r}; choose {', '.join(CORPORA)}, or a folder of scores")
    label = folder.resolve().name
    return VoiceCorpus(
        name=label,
        title=f"Scores of the folder {label}",
        voices=voices,
        folder=folder,
        most_rests=0.5,
        most_off_grid=0.1,
        attribution=f"Trained on the scores of the folder {label}.",
    )


PUBLISHED_TEST = (
    "bwv60.5", "bwv429", "bwv9.7", "bwv145-a", "bwv174.5", "bwv99.6", "bwv248.53-5", "bwv339", "bwv290", "bwv306",
    "bwv37.6", "bwv45.7", "bwv340", "bwv294", "bwv67.7", "bwv112.5", "bwv430", "bwv327", "bwv69.6-a", "bwv197.5",
    "bwv298", "bwv292", "bwv317", "bwv431", "bwv245.14", "bwv57.8", "bwv64.4", "bwv248.46-5", "bwv393", "bwv153.9",
    "bwv184.5", "bwv326", "bwv361", "bwv159.5", "bwv32.6", "bwv43.11", "bwv148.6", "bwv331", "bwv245.37", "bwv114.7",
    "bwv404", "bwv366", "bwv276", "bwv245.5", "bwv371", "bwv85.6", "bwv244.3", "bwv256", "bwv102.7", "bwv36.8-2",
    "bwv78.7", "bwv316", "bwv87.7", "bwv90.5", "bwv419", "bwv291", "bwv289", "bwv311", "bwv65.7", "bwv56.5", "bwv338",
    "bwv40.8", "bwv410", "bwv270", "bwv126.6", "bwv93.7", "bwv350", "bwv405", "bwv7.7",
)  # fmt: skip
"""Chorales of the corpus that are in the test part of the split 229/76/77 of Boulanger-Lewandowski et al. (2012).

Found by comparing the first quarters of the 77 published sequences, up to transposition, with the corpus. 69 are there
as four voices; of the others three are movements with more than four parts in the corpus (BWV 120.8, 248.17, 41.6) and
five are not among its pieces. That split sorts pieces, not tunes: many of its test pieces have other settings of
their tune, and some nearly the same setting, in training.
"""
