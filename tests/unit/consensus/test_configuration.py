"""Configurations: which can be used, and how members are put in order."""

from __future__ import annotations

from gridpact.consensus.configuration import (
    VOTERS_MAX,
    Configuration,
    Voter,
    are_usable,
    configuration_of,
    is_usable,
    ranks,
)


def test_voters_stand_once_and_by_name() -> None:
    one, other = Voter("a", 1), Voter("b", 2)
    assert is_usable(Configuration(0, [one, other], []))
    assert is_usable(Configuration(0, [other], [one]))
    assert not is_usable(Configuration(0, [], [one]))
    assert not is_usable(Configuration(0, [other, one], []))
    assert not is_usable(Configuration(0, [one, one], []))
    assert not is_usable(Configuration(0, [one], [other, one]))
    assert configuration_of(3, {"b": 2, "a": 1}) == Configuration(3, [one, other], [])


def test_weights_that_cannot_be_read_again_make_no_configuration() -> None:
    assert are_usable({"a": 1, "b": 2**31 - 1})
    for weights in ({}, {"a": 0}, {"a": -1}, {"a": 2**31}, {"A": 1}, {"": 1}, {"x" * 49: 1}):
        assert not are_usable(weights)
    assert are_usable({f"n{number:04}": 1 for number in range(VOTERS_MAX)})
    assert not are_usable({f"n{number:04}": 1 for number in range(VOTERS_MAX + 1)})


def test_ranks_are_unique_the_heaviest_first_and_equal_ones_by_name() -> None:
    """Source: [XIONG23], eq. (7)."""
    assert ranks({"d": 5, "b": 7, "a": 5, "c": 9}) == {"c": 1, "b": 2, "a": 3, "d": 4}
