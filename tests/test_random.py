"""Keyed random numbers: they depend on seed and key alone, and never change between versions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mididdsp.random import keyed_generator

keys = st.lists(st.text(max_size=6), max_size=3).map(tuple)


@given(seed=st.integers(), key=keys)
def test_the_same_key_gives_the_same_numbers(seed: int, key: tuple[str, ...]) -> None:
    first = keyed_generator(seed, *key)
    keyed_generator(seed, *key, "another").random(3)  # what is drawn elsewhere does not matter
    assert np.array_equal(first.random(4), keyed_generator(seed, *key).random(4))


@given(one=st.tuples(st.integers(), keys), other=st.tuples(st.integers(), keys))
def test_other_keys_give_other_numbers(one: tuple[int, tuple[str, ...]], other: tuple[int, tuple[str, ...]]) -> None:
    same = np.array_equal(keyed_generator(one[0], *one[1]).random(4), keyed_generator(other[0], *other[1]).random(4))
    assert same == (one == other)


def test_words_of_a_key_do_not_run_together() -> None:
    assert keyed_generator(0, "ab", "c").random() != keyed_generator(0, "a", "bc").random()
    assert keyed_generator(1, "2").random() != keyed_generator(12).random()


def test_numbers_are_the_same_on_every_machine() -> None:
    """Stored documents are drawn again from their seed: these numbers must never change.

    Made with NumPy 2.4.6: Philox keyed by BLAKE2b of "seed, words".
    """
    random = keyed_generator(7, "note", "life")
    assert random.random() == 0.012415576892915725
    assert random.integers(2**62) == 3460333861652776197
    # The normal distribution's last bit may follow the C library.
    normals = keyed_generator(-1).standard_normal(2)
    np.testing.assert_allclose(normals, [-0.4010140081716307, -2.1697620792509698], rtol=1e-14)


def test_normals_are_normal() -> None:
    values = keyed_generator(3, "normal").standard_normal(100_000)
    # Five standard errors: 1 / sqrt(N) of the mean, 1 / sqrt(2 N) of the deviation.
    assert abs(values.mean()) < 5 / np.sqrt(100_000)
    assert abs(values.std() - 1.0) < 5 / np.sqrt(200_000)
