"""Words in a score, and what they ask of the player.

A phrase is looked up whole, then word by word; adverbs (*sempre*, *poco*) ask for nothing of their own. What is not in
the tables is nobody's business but the reader's: it is listed.

Conventions: lower case without dots. Italian, with the commonest German, French and English words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mididdsp.notes.dynamics import DROPPING, ON_ONE_NOTE, VELOCITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a word asks for.

    Attributes:
        kind: ``dynamic`` (value: the mark), ``hairpin`` (``1`` or ``-1``), ``tempo`` (``slower``, ``faster``,
            ``back``), ``mark`` (an articulation from here on; empty ends it), ``vibrato`` (``none`` or ``own``),
            ``technique`` (``pizz``, ``arco``, ``mute``, ``open`` and others there is no model of), ``players``
            (``two``, ``one``, ``divided``, ``together``), ``jump`` (a sign of ``unfold.SIGNS``), ``glide``,
            ``character`` (understood, but left to the player).
        value: what of it.
    """

    kind: str
    value: str = ""


def _table(kind: str, **phrases: str) -> dict[str, Ask]:
    return {phrase.strip(): Ask(kind=kind, value=value.removeprefix("_")) for value, text in phrases.items()
            for phrase in text.split(",")}


_PHRASES: dict[str, Ask] = {
    **{mark: Ask(kind="dynamic", value=mark) for mark in (*VELOCITIES, *DROPPING, *ON_ONE_NOTE) if mark != "n"},
    **_table("dynamic", p="piano", f="forte", pp="pianissimo", ff="fortissimo", mf="mezzoforte, mezzo forte",
             mp="mezzopiano, mezzo piano, mezza voce, sotto voce", sf="sforzato, sforzando"),
    **{word: Ask(kind="hairpin", value="1") for word in ("cresc", "cres", "crescendo")},
    **{word: Ask(kind="hairpin", value="-1") for word in (
        "dim", "dimin", "diminuendo", "decresc", "decrescendo", "decr", "calando", "smorz", "smorzando")},
    **_table("tempo",
             slower="rit, ritard, ritardando, rall, rallentando, ritenuto, riten, allargando, allarg, slentando, "
                    "morendo, perdendosi, zurückhaltend",
             faster="accel, accelerando, stringendo, string, stretto, affrettando",
             back="a tempo, in tempo, tempo, tempo i, tempo primo, tempo 1"),
    **_table("mark", legato="legato", staccato="staccato, stacc, spiccato, spicc", tenuto="tenuto, ten",
             portato="portato", detache="détaché, detache, détache, non legato", marcato="marcato, marc, pesante",
             _="ordinario, ord, naturale, nat"),
    **_table("vibrato", none="non vibrato, senza vibrato, senza vib, non vib, ohne vibrato, sans vibrato, no vibrato, "
                             "n v, nv",
             own="vibrato, con vibrato, vib, mit vibrato, avec vibrato, molto vibrato, poco vibrato"),
    **_table("technique", pizz="pizz, pizzicato, gezupft", arco="arco, col arco, coll' arco, c arco, gestrichen",
             mute="con sord, con sordino, con sordini, mit dämpfer, avec sourdine, muted, sordino, gedämpft",
             open="senza sord, senza sordino, senza sordini, ohne dämpfer, open, sans sourdine",
             bridge="sul ponticello, sul pont, am steg", fingerboard="sul tasto, flautando, sulla tastiera",
             wood="col legno, col legno battuto", stopped="gestopft, stopped, bouché, chiuso, cuivré",
             harmonic="harmonics, flageolet, armonici"),
    **_table("players", two="a2, a 2, zu 2, à 2, a due, a 2 soli", one="1, i, 1 solo, solo, ein, uno",
             divided="div, divisi, geteilt, divisés, div a 2, div a 3", together="unis, unisono, unison, zusammen, "
             "tutti"),
    **_table("jump", dc="d c, da capo", dc_fine="d c al fine, da capo al fine", dc_coda="d c al coda, da capo al coda",
             ds="d s, dal segno", ds_fine="d s al fine, dal segno al fine", ds_coda="d s al coda, dal segno al coda",
             fine="fine", to_coda="to coda, al coda"),
    **_table("glide", slide="gliss, glissando, port, portamento, slide"),
    **_table("character", _="dolce, dolcissimo, espressivo, espress, espr, cantabile, cant, grazioso, leggiero, "
             "leggero, legg, semplice, tranquillo, agitato, maestoso, scherzando, con fuoco, con brio, con spirito, "
             "con moto, cantando, lusingando, mancando, teneramente, con espressione, con grazia, risoluto, animato, "
             "giocoso, con anima, affettuoso, con dolore, lamentoso, appassionato, marziale, simile, sim, dolente, "
             "piacevole, brillante, deciso, energico, zart, ausdrucksvoll, innig, lebhaft, ruhig"),
}

_ADVERBS = frozenset((
    "sempre", "poco", "a", "molto", "più", "piu", "un", "meno", "assai", "subito", "sub", "ma", "non troppo", "e", "ed",
    "al", "il", "la", "possibile", "troppo", "ben", "con", "as", "possible", "more", "etwas", "sehr", "très", "un peu",
    "with", "and", "ancora", "quasi", "del", "dal", "mosso"))


def understood(text: str) -> tuple[tuple[Ask, ...], str]:
    """What a text asks for, and what of it was not understood (as written, or empty)."""
    plain = re.sub(r"[.,;:()\[\]\"*_/-]+", " ", text.casefold())
    plain = " ".join(plain.split())
    if plain in _PHRASES:
        return (_PHRASES[plain],), ""
    words = plain.split()
    asks: list[Ask] = []
    left: list[str] = []
    at = 0
    while at < len(words):
        for length in range(min(5, len(words) - at), 0, -1):
            phrase = " ".join(words[at : at + length])
            if phrase in _PHRASES and not (length == 1 and phrase in ("i", "1", "uno", "ein")):
                asks.append(_PHRASES[phrase])
                break
            if phrase in _ADVERBS:
                break
        else:
            left.append(words[at])
            length = 1
        at += length
    if left and not asks:
        return (), " ".join(text.split())
    return tuple(asks), " ".join(left)


def tempo_word(text: str, table: Iterable[tuple[str, float]]) -> float | None:
    """Quarter notes a minute that a heading such as 'Allegro assai' means, by a table of words; None without one."""
    words = re.findall(r"\w+", text.casefold())
    known = dict(table)
    return next((known[word] for word in words if word in known), None)
