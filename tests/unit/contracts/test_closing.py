"""Goal: a closed account leaves nothing personal in the state, and nobody can be closed too early.

Method: chains in memory; every refusal also shows that nothing changed. That closing commutes
with everything else inside a phase is shown by permuting a phase's transactions.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from gridpact.codec import sha256
from gridpact.contracts.bodies import CloseAccount, Kind
from gridpact.contracts.closing import concerns
from gridpact.contracts.keys import bill_key, closure_key, metering_key
from gridpact.ledger import Entry, Privacy, account_key, owner_of, secret_key
from gridpact.ledger.trees import leaf_hash, merkle_root
from gridpact.model import OPEN_PHASES, AccountMode, Closure, Phase, Role, Verdict
from gridpact.node import SimulatedKeys
from ledger_bench import (
    DAY,
    KWH,
    LENGTH_S,
    METERING,
    OPERATOR,
    SLOT,
    UNIT,
    VALIDATORS,
    Bench,
    Signed,
    genesis_with,
)

SECOND = "operator-b"
NEXT = SLOT + LENGTH_S


def close(bench: Bench, member: str, *, sender: str = OPERATOR, submitted_ms: int = 0) -> Signed:
    return bench.write(sender, Kind.CLOSE_ACCOUNT, CloseAccount(member, submitted_ms))


def barrier(bench: Bench, first_s: int = SLOT) -> None:
    bench.move(Phase.FINAL, first_s=first_s)


def event_of(bench: Bench, transaction: Signed) -> Verdict:
    envelope = bench.candidate(*transaction).transaction.envelope  # type: ignore[union-attr]
    return bench.events[f"claim/{envelope.sender}/{envelope.nonce}"]


def personal(bench: Bench, member: str) -> dict[str, Entry]:
    state = bench.application.state
    return {
        key: entry
        for key, entry in state.entries.items()
        if "/" in key
        and owner_of(key) == member
        and (state.namespace(key).privacy is not Privacy.PUBLIC or key.startswith("metering/"))
    }


def traded() -> Bench:
    """Two members with a final slot behind them."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, parties=[(SECOND, Role.OPERATOR)]), keys)
    bench.join("ann", "bob", deposit_nano=10 * UNIT)
    bench.open()
    bench.accept(bench.bid("ann", 200_000, KWH), bench.offer("bob", 100_000, KWH))
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", KWH), bench.reading("bob", 0, KWH))
    bench.walk(Phase.FINAL)
    return bench


@pytest.fixture
def bench() -> Bench:
    return traded()


def test_closing_pays_out_and_leaves_a_root(bench: Bench) -> None:
    before = personal(bench, "ann")
    kinds = {key.partition("/")[0] for key in before}
    assert kinds == {"account", "secret", "bill", "metering"}
    balance, bank = bench.account("ann")[0], bench.system("bank")
    assert balance > 0
    asked = close(bench, "ann")
    bench.accept(asked)
    assert personal(bench, "ann") == before, "nothing happens before the barrier"
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    assert personal(bench, "ann") == {}
    assert bench.system("bank") == bank + balance
    for party in ("ann", "ann.meter"):
        assert bench.party(party).roles == 0
    closure = bench.value(closure_key("ann"), Closure)
    assert closure.phase == bench.application.phase
    leaves = {key: entry.content() for key, entry in before.items() if key != account_key("ann")}
    assert closure.archive != merkle_root([])
    assert set(leaves) == {secret_key("ann"), metering_key("ann"), bill_key("ann", DAY)}


def test_the_archive_is_over_what_left_by_key() -> None:
    """Without a balance the account leaves as it was, so the root can be computed beforehand."""
    bench = Bench()
    bench.join("ann")
    bench.open()
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann"))
    bench.walk(Phase.FINAL)
    before = personal(bench, "ann")
    bench.accept(close(bench, "ann"))
    barrier(bench)
    leaves = [leaf_hash(k.encode() + b"\x00" + before[k].content()) for k in sorted(before)]
    assert bench.value(closure_key("ann"), Closure).archive == merkle_root(leaves)


def test_a_closed_member_can_send_nothing_and_its_ids_stay_taken(bench: Bench) -> None:
    bench.accept(close(bench, "ann"))
    barrier(bench)
    bench.open(first_s=NEXT)
    for transaction, verdict in (
        (bench.bid("ann", 200_000, KWH, slot_s=NEXT), Verdict.ROLE_MISSING),
        (bench.withdraw("ann", 1), Verdict.ROLE_MISSING),
        (bench.rotate("ann", "other"), Verdict.ROLE_MISSING),
        (bench.rotate("ann.meter", "other"), Verdict.ROLE_MISSING),
        (bench.register("ann"), Verdict.ALREADY_REGISTERED),
        (bench.register("ann.meter"), Verdict.ALREADY_REGISTERED),
        (bench.meter("bob", "ann.meter"), Verdict.ALREADY_REGISTERED),
    ):
        bench.refuse(transaction, verdict)
    late = [bench.deposit("ann", 5), bench.meter("ann", "ann.more"), close(bench, "ann")]
    bench.accept(*late)
    barrier(bench)
    assert [event_of(bench, one) for one in late] == [Verdict.UNKNOWN_PARTY] * 3
    bench.accept(bench.grant("ann", Role.MEMBER))
    barrier(bench)
    bench.refuse(bench.bid("ann", 200_000, KWH, slot_s=NEXT), Verdict.UNKNOWN_PARTY)
    bench.walk(Phase.DELIVERED, first_s=NEXT)
    bench.accept(bench.reading("bob", slot_s=NEXT))
    bench.walk(Phase.FINAL, first_s=NEXT)


@pytest.mark.parametrize("phase", OPEN_PHASES[:-1])
def test_a_slot_that_needs_its_readings_keeps_an_account_open(bench: Bench, phase: Phase) -> None:
    bench.open(first_s=NEXT)
    for step in (Phase.DELIVERED, phase):
        if step == Phase.DELIVERED and phase < step:
            continue
        if step > Phase.DELIVERED:
            bench.accept(bench.reading("ann", slot_s=NEXT), bench.reading("bob", slot_s=NEXT))
        bench.walk(step, first_s=NEXT)
    before = personal(bench, "ann")
    asked = close(bench, "ann")
    bench.accept(asked)
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCOUNT_IN_USE
    assert {key: entry.value for key, entry in personal(bench, "ann").items()} == {
        key: entry.value for key, entry in before.items()
    }


def test_a_debt_or_an_open_order_keeps_an_account_open(bench: Bench) -> None:
    bench.accept(bench.register("deb", AccountMode.POSTPAID), bench.meter("deb"))
    barrier(bench)
    bench.open(first_s=NEXT)
    bench.accept(bench.bid("deb", 200_000, KWH, slot_s=NEXT))
    asked = close(bench, "deb")
    bench.accept(asked)
    bench.walk(Phase.CLEARED, first_s=NEXT)
    assert event_of(bench, asked) == Verdict.ACCOUNT_IN_USE
    bench.walk(Phase.DELIVERED, first_s=NEXT)
    bench.accept(*(bench.reading(m, KWH, slot_s=NEXT) for m in ("ann", "bob", "deb")))
    bench.walk(Phase.FINAL, first_s=NEXT)
    owed = bench.account("deb")[0]
    assert owed < 0
    asked = close(bench, "deb")
    bench.accept(asked)
    barrier(bench, NEXT)
    assert event_of(bench, asked) == Verdict.ACCOUNT_IN_USE
    bench.accept(bench.deposit("deb", -owed), paid := close(bench, "deb"))
    barrier(bench, NEXT)
    assert event_of(bench, paid) == Verdict.ACCEPTED


def test_a_member_that_joins_and_leaves_at_one_barrier(bench: Bench) -> None:
    """Its secret comes and goes with one draft and still salts what was posted."""
    bench.accept(bench.register("zoe"), bench.meter("zoe"), bench.deposit("zoe", 77))
    asked = close(bench, "zoe")
    bench.accept(asked)
    bank = bench.system("bank")
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    assert bench.system("bank") == bank
    assert personal(bench, "zoe") == {}
    assert bench.result is not None
    assert bench.result.receipts[0].postings_hash


def test_who_is_unknown_or_not_the_operator(bench: Bench) -> None:
    asked = [close(bench, name) for name in ("nobody", OPERATOR, "ann.meter")]
    bench.accept(*asked)
    barrier(bench)
    assert [event_of(bench, one) for one in asked] == [Verdict.UNKNOWN_PARTY] * 3
    for sender in ("ann", "ann.meter", METERING, VALIDATORS[0]):
        bench.refuse(close(bench, "bob", sender=sender), Verdict.ROLE_MISSING)


def test_closing_commutes_with_the_rest_of_its_phase() -> None:
    """All orders of what others send in the phase, the member and a rival operator among them."""
    outcomes = set()
    senders = [OPERATOR, SECOND, "ann", "bob"]
    for order in permutations(range(4)):
        bench = traded()
        sent = [
            [close(bench, "ann")],
            [
                bench.deposit("ann", 5 * UNIT, sender=SECOND),
                close(bench, "bob", sender=SECOND, submitted_ms=1),
            ],
            [bench.withdraw("ann", UNIT), bench.rotate("ann", "ann-2")],
            [bench.withdraw("bob", UNIT)],
        ]
        assert len(sent) == len(senders)
        for index in order:
            bench.accept(*sent[index])
        barrier(bench)
        events = tuple(sorted((key, int(told)) for key, told in bench.events.items()))
        outcomes.add((bench.market_root, events, bench.system("bank")))
    assert len(outcomes) == 1


def test_a_bare_barrier_moves_no_slot(bench: Bench) -> None:
    """What waits takes effect; slots, contracts and money stay as they are."""
    slot, clock = bench.slot(), bench.application.phase
    bench.open(first_s=NEXT)
    open_slot = bench.slot(NEXT)
    asked = bench.deposit("ann", 3)
    bench.accept(asked)
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    assert (bench.slot(), bench.slot(NEXT)) == (slot, open_slot)
    assert bench.application.phase == clock + 2
    bench.refuse(bench.phase(Phase.FINAL, number=clock + 2), Verdict.PHASE_NUMBER_WRONG)
    for first_s, slots in ((NEXT, 1), (SLOT, 2), (NEXT + LENGTH_S, 1)):
        refused = bench.phase(Phase.FINAL, first_s=first_s, slots=slots)
        bench.refuse(refused, Verdict.PHASE_STEP_WRONG)


def test_validators_may_ask_for_a_bare_barrier_together_and_late(bench: Bench) -> None:
    early = bench.phase(Phase.FINAL, sender=VALIDATORS[0], not_before_s=SLOT)
    bench.refuse(early, Verdict.TOO_EARLY, time_s=2**40)
    asked = bench.deposit("ann", 3)
    bench.accept(asked)
    for validator in VALIDATORS[:2]:
        late = bench.phase(Phase.FINAL, sender=validator, not_before_s=2**33)
        bench.accept(late, time_s=2**40)
    assert event_of(bench, asked) == Verdict.ACCEPTED


def test_what_concerns_a_member() -> None:
    bench = Bench()
    mine = {"ann", "ann.meter"}
    for transaction, expected in (
        (bench.register("ann"), True),
        (bench.meter("ann"), True),
        (bench.deposit("ann", 1), True),
        (bench.reading("ann"), True),
        (bench.reading("ann", sender=METERING), True),
        (bench.bid("ann", 1, 1), True),
        (bench.grant("ann", Role.ISSUER), True),
        (bench.deposit("bob", 1), False),
        (bench.reading("bob"), False),
        (bench.tariff(), False),
        (bench.phase(Phase.OPEN), False),
    ):
        read = bench.application.readable(transaction[0])
        assert not isinstance(read, Verdict)
        assert read.id == sha256(transaction[0])
        assert concerns(read.envelope.sender, read.body, mine) == expected
