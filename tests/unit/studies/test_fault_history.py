"""Histories of clients against ledgers: the good one passes, each broken one is caught."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.studies.fault_history import Chain, HeightRead, History, NonceRead, Write

MEMBER = "member-0000"


def receipt(nonce: int) -> Receipt:
    return Receipt(transaction(nonce), int(Verdict.ACCEPTED), b"")


def transaction(nonce: int) -> bytes:
    return bytes([nonce]) * 32


def chain(*nonces: int) -> Chain:
    """One transaction in each block."""
    made = Chain()
    for nonce in nonces:
        made.records.append(b"record" + transaction(nonce))
        made.places[transaction(nonce)] = (len(made.places) + 1, receipt(nonce))
        made.lengths.append(len(made.places))
    return made


def write(nonce: int, began_us: int, ended_us: float = inf) -> Write:
    told = None if ended_us == inf else receipt(nonce)
    return Write(0, MEMBER, nonce, transaction(nonce), began_us, ended_us, told)


def history(*seen: Write | NonceRead | HeightRead) -> History:
    made = History()
    for one in seen:
        if isinstance(one, Write):
            made.writes.append(one)
        elif isinstance(one, NonceRead):
            made.nonce_reads.append(one)
        else:
            made.height_reads.append(one)
    return made


def good() -> History:
    return history(
        write(1, 0, 10),
        write(2, 20, 30),
        write(3, 40),  # nobody said what became of it: it is in a block
        write(4, 40),  # nobody said: it is in none
        NonceRead(1, MEMBER, 0, 0, 5),
        NonceRead(1, MEMBER, 1, 5, 15),
        NonceRead(1, MEMBER, 2, 35, 45),
        NonceRead(2, MEMBER, 3, 50, 60),
        HeightRead(2, 1, 12, 25),
        HeightRead(1, 3, 60, 70),
    )


def violations(found: History, *chains: Chain) -> list[str]:
    return found.violations({f"validator-{at}": one for at, one in enumerate(chains)})


def test_what_could_have_happened_passes() -> None:
    assert violations(good(), chain(1, 2, 3), chain(1, 2, 3)) == []
    assert good().acknowledged == 2


def test_an_acknowledged_transaction_that_one_ledger_lacks_is_lost() -> None:
    (records, lost) = violations(good(), chain(1, 2, 3), chain(1, 3))
    assert records == "blocks: validator-1 has other records than the others"
    assert lost.startswith("lost: validator-1 does not hold what was acknowledged: member-0000")
    assert [found.nonce for found in good().lost(chain(1, 3), chain(1, 2, 3))] == [2]


def test_a_ledger_that_began_with_a_snapshot_lacks_only_what_was_before() -> None:
    later = Chain(first=3)
    later.records.append(b"record" + transaction(3))
    later.places[transaction(3)] = (1, receipt(3))
    later.lengths.append(1)
    assert later.height == 3
    seen = good()
    seen.writes[2] = write(3, 40, 50)
    assert violations(seen, later, chain(1, 2, 3)) == []
    later.places.clear()
    (found,) = violations(seen, later, chain(1, 2, 3))
    assert found.startswith("lost: validator-0 does not hold what was acknowledged: member-0000")


def test_another_verdict_than_was_told_is_a_loss() -> None:
    other = chain(1, 2, 3)
    place, told = other.places[transaction(2)]
    other.places[transaction(2)] = (place, Receipt(told.transaction, int(Verdict.EXPIRED), b""))
    (found,) = violations(good(), other)
    assert found.startswith("lost: validator-0")


def test_a_refused_transaction_may_not_be_in_a_block() -> None:
    seen = good()
    seen.writes[3].refusal = Verdict.NONCE_AHEAD
    assert violations(seen, chain(1, 2, 3)) == []
    (found,) = violations(seen, chain(1, 2, 3, 4))
    assert found.startswith("refused, but in a block of validator-0: member-0000 nonce 4")


@pytest.mark.parametrize(
    "stale",
    [
        NonceRead(1, MEMBER, 1, 31, 32),  # 2 was acknowledged before
        NonceRead(1, MEMBER, 0, 61, 62),  # 3 was read before
        HeightRead(1, 1, 31, 32),
        HeightRead(1, 2, 71, 72),
    ],
)
def test_a_stale_read_is_caught(stale: NonceRead | HeightRead) -> None:
    seen = good()
    if isinstance(stale, NonceRead):
        seen.nonce_reads.append(stale)
    else:
        seen.height_reads.append(stale)
    (found,) = violations(seen, chain(1, 2, 3))
    assert found.startswith("linearizability")


def test_a_read_from_the_future_is_caught() -> None:
    seen = good()
    seen.nonce_reads.append(NonceRead(1, MEMBER, 2, 11, 12))
    (found,) = violations(seen, chain(1, 2, 3))
    assert found.startswith("linearizability")


def test_writes_in_another_order_than_clients_saw_are_caught() -> None:
    seen = good()
    seen.writes[0] = replace(seen.writes[0], sender="member-0001")
    (found,) = violations(seen, chain(2, 1, 3))
    assert found.startswith("linearizability")


def test_a_height_that_no_ledger_has_is_caught() -> None:
    seen = good()
    seen.height_reads.append(HeightRead(1, 9, 80, 90))
    (found,) = violations(seen, chain(1, 2, 3))
    assert "height above 3" in found


def test_only_some_of_very_many_are_told() -> None:
    seen = history(*(write(nonce, nonce, nonce + 1) for nonce in range(1, 40)))
    found = violations(seen, chain())
    assert len(found) == 6
    assert found[-1].endswith("34 more")
