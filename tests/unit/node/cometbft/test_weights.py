"""Voting weights as diffs: what would halt CometBFT cannot come out.

Method: random sets; the diff is applied by a model of CometBFT's own strict rules.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.errors import InvariantError
from gridpact.node.cometbft.messages import ValidatorUpdate
from gridpact.node.cometbft.weights import TOTAL_WEIGHT_MAX, weight_changes

SETS = st.dictionaries(
    st.binary(min_size=32, max_size=32).map(lambda key: key[:1] * 32),
    st.integers(1, 2**20),
    min_size=1,
    max_size=8,
)


def applied(current: dict[bytes, int], changes: list[ValidatorUpdate]) -> dict[bytes, int]:
    """What CometBFT makes of the changes; it halts on a duplicate, an absent one, an empty set."""
    after = dict(current)
    seen = set()
    for change in changes:
        key = change.pub_key.ed25519
        assert key not in seen
        seen.add(key)
        if change.power == 0:
            del after[key]
        else:
            assert change.power > 0
            after[key] = change.power
    assert after
    return after


@given(SETS, SETS)
def test_changes_turn_one_set_into_the_other(
    current: dict[bytes, int], wanted: dict[bytes, int]
) -> None:
    changes = weight_changes(current, wanted)
    assert applied(current, changes) == wanted
    assert weight_changes(wanted, wanted) == []
    assert all(current.get(c.pub_key.ed25519, 0) != c.power for c in changes), "a diff, no list"


@pytest.mark.parametrize(
    "wanted", [{}, {b"k" * 32: 0}, {b"k" * 32: -1}, {b"k" * 32: TOTAL_WEIGHT_MAX + 1}]
)
def test_a_set_that_would_halt_the_network_is_a_bug_of_ours(wanted: dict[bytes, int]) -> None:
    with pytest.raises(InvariantError):
        weight_changes({b"k" * 32: 1}, wanted)
