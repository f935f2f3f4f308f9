"""Goal: what waits takes effect at the next barrier in one order, whatever the order of arrival."""

from __future__ import annotations

from itertools import permutations

from carbon_bench import ANN, BOB, SLOTS, fresh, settle, statement
from gridpact.codec import sha256
from gridpact.contracts.bodies import Claim, CloseAccount, Kind
from gridpact.contracts.claims import APPLIED_IN_ORDER
from gridpact.contracts.keys import claim_key
from gridpact.contracts.kinds import KINDS
from gridpact.ledger import Event
from gridpact.model import Phase, Role, Verdict
from ledger_bench import (
    AUDITOR,
    LENGTH_S,
    METERING,
    OPERATOR,
    PRICES,
    SLOT,
    UNIT,
    Bench,
    Signed,
)

IMMEDIATE = {
    Kind.ORDER,
    Kind.CANCEL,
    Kind.PHASE,
    Kind.SEALED_ORDER,
    Kind.REVEAL,
    Kind.BID,
    Kind.CLEARING,
    Kind.READING,
    Kind.READING_BATCH,
    Kind.TRACE_REQUEST,
    Kind.TRACE_PACKAGE,
    Kind.TRACE_RESULT,
    Kind.TRACE_JUDGEMENT,
    Kind.TRACE_RATES,
}


def test_every_kind_is_immediate_or_has_a_place_in_the_order() -> None:
    assert set(APPLIED_IN_ORDER) | IMMEDIATE == set(Kind) == set(KINDS)
    assert not set(APPLIED_IN_ORDER) & IMMEDIATE
    for kind, (body, payload, _) in APPLIED_IN_ORDER.items():
        assert (KINDS[kind].body, KINDS[kind].payload) == (body, payload)


def test_claims_apply_by_kind_then_time_then_id() -> None:
    """Kinds in the order in which one makes room for the next: a meter needs its owner."""
    told = set()
    for arrival in permutations(range(4)):
        bench = Bench()
        bench.join("ann", deposit_nano=UNIT)
        bench.open()
        by_sender: list[list[Signed]] = [
            [
                bench.deposit("ann", 1, submitted_ms=1),
                bench.grant(AUDITOR, Role.ISSUER, submitted_ms=8),
                bench.meter("ann", "ann.a", submitted_ms=7),
                bench.register("bob", submitted_ms=6),
                bench.meter("ann", "ann.b", submitted_ms=2),
            ],
            [bench.withdraw("ann", 5, submitted_ms=9), bench.withdraw("ann", 6, submitted_ms=4)],
            [bench.tariff(first_s=SLOT + LENGTH_S, submitted_ms=99)],
            [bench.rotate(METERING, "other", submitted_ms=3)],
        ]
        bench.accept(*(sent for i in arrival for sent in by_sender[i]))
        bench.move(Phase.CLOSED)
        assert bench.result is not None
        assert bench.result.events == [
            Event("claim/prices/2", 0),
            Event("claim/operator/8", 0),  # participant, then meters, 2 ms before 7 ms
            Event("claim/operator/9", 0),
            Event("claim/operator/7", 0),
            Event("claim/operator/6", 0),  # role
            Event("claim/metering/1", 0),  # key
            Event("claim/ann/2", 0),  # withdrawals, 4 ms before 9 ms
            Event("claim/ann/1", 0),
            Event("claim/operator/5", 0),  # deposit
        ]
        told.add(bench.market_root)
    assert len(told) == 1


def test_parts_of_carbon_come_before_their_sums_and_both_before_anybody_leaves() -> None:
    """However early the others were signed; the slots are not final yet, so Bob stays."""
    bench = fresh()
    settle(bench)
    sent = [
        bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, CloseAccount("bob", 0)),
        bench.slot_carbon(*SLOTS, submitted_ms=1),
        bench.member_carbon("bob", *BOB, submitted_ms=2),
        bench.member_carbon("ann", *ANN, submitted_ms=3),
    ]
    bench.accept(*sent)
    bench.move(Phase.FINAL, slots=2)
    assert bench.result is not None
    first = bench.party(OPERATOR).nonce - 4
    assert bench.result.events == [
        Event(f"claim/{OPERATOR}/{first + 2}", Verdict.ACCEPTED),
        Event(f"claim/{OPERATOR}/{first + 3}", Verdict.ACCEPTED),
        Event(f"claim/{OPERATOR}/{first + 1}", Verdict.ACCEPTED),
        Event(f"claim/{OPERATOR}/{first}", Verdict.ACCOUNT_IN_USE),
    ]
    assert statement(bench, "bob").lines == 2


def test_nothing_waits_longer_than_to_the_next_barrier() -> None:
    bench = Bench()
    bench.accept(bench.deposit("nobody", 1), bench.meter("nobody", "x"), bench.tariff())
    assert len(bench.groups()["claim"]) == 3
    bench.move(Phase.OPEN)
    assert "claim" not in bench.groups()
    assert sorted(bench.events.values()) == [0, Verdict.UNKNOWN_PARTY, Verdict.UNKNOWN_PARTY]


def test_a_claim_without_a_payload_is_salted_with_its_own_id() -> None:
    """What it says is public; the leaf needs a salt all the same."""
    bench = Bench()
    transaction = bench.tariff()
    bench.accept(transaction)
    entry = bench.entry(claim_key(PRICES, 1))
    assert entry is not None
    assert entry.salt == sha256(sha256(transaction[0]))
    assert isinstance(entry.value, Claim)
    assert entry.value.payload == b""


def test_money_that_comes_in_at_a_barrier_is_there_for_the_next_phase_only() -> None:
    """A withdrawal is held when it is sent, so a deposit of the same barrier cannot pay it."""
    bench = Bench()
    bench.join("ann", deposit_nano=10)
    bench.open()
    bench.accept(bench.withdraw("ann", 10), bench.deposit("ann", 4))
    bench.refuse(bench.withdraw("ann", 1), Verdict.INSUFFICIENT_FUNDS)
    bench.move(Phase.CLOSED)
    assert bench.account("ann") == (4, 0)
    assert bench.system("bank") == -4
    assert bench.party(OPERATOR).nonce == 6
