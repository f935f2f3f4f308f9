"""Goal: a sealed order shows nothing, is opened as it was sealed, or loses its deposit.

Import 0.30, export 0.08, network fee 0.02 per kWh; every member starts with 10, the deposit is 0.5.
"""

from __future__ import annotations

from itertools import permutations
from random import Random

import msgspec
import pytest

import ledger_bench
from gridpact.codec import Wire, decode, sha256
from gridpact.contracts import sealing
from gridpact.contracts.bodies import (
    CancelOrder,
    Kind,
    OrderPayload,
    RevealOrder,
    SealOrder,
    order_commitment,
)
from gridpact.contracts.keys import bill_key, position_group
from gridpact.ledger.envelope import Envelope, sealed_payload
from gridpact.model import (
    AccountMode,
    BillLine,
    LineKind,
    Order,
    Phase,
    Role,
    Seal,
    Side,
    TieRule,
    Verdict,
)
from gridpact.node import SimulatedKeys
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    AUDITOR,
    DAY,
    LENGTH_S,
    MARKET,
    OTHER_MARKET,
    SEAL_SALT,
    SLOT,
    UNIT,
    Bench,
    genesis_with,
)

TEN = 10 * UNIT
DEPOSIT = UNIT // 2
NEXT = SLOT + LENGTH_S
BID = OrderPayload(Side.BID, 200_000, 1_000, 250_000, 7)
OFFER = OrderPayload(Side.OFFER, 100_000, 600, 100_000, 8)
BID_HELD, OFFER_HELD = 270_000_000, 120_000_000
"""(0.25 + 0.02) for 1,000 Wh; (0.30 - 0.10) for 600 Wh."""
BOTH_MARKETS = pytest.mark.parametrize("deposit_nano", [0, DEPOSIT])


def market(
    *members: str, deposit_nano: int = DEPOSIT, tie: TieRule = TieRule.PRO_RATA, cap: int = 3
) -> Bench:
    """Members with 10 each and a meter, two slots open."""
    keys = SimulatedKeys(7)
    genesis = genesis_with(keys, sealed_deposit_nano=deposit_nano, tie=tie, orders_per_slot=cap)
    bench = Bench(genesis, keys)
    bench.join(*members, deposit_nano=TEN)
    bench.open(slots=2)
    return bench


@pytest.fixture
def bench() -> Bench:
    return market("ann", "bob")


def commitment(sender: str, order: OrderPayload, start_s: int = SLOT) -> bytes:
    return order_commitment(sender, MARKET, start_s, sha256(sealed_payload(SEAL_SALT, order)))


# Sealing


def test_a_sealed_order_holds_the_deposit_and_shows_no_more_than_a_hash(bench: Bench) -> None:
    sent = bench.seal("ann", BID)
    bench.accept(sent)
    assert bench.seals("ann") == [Seal(1, commitment("ann", BID), DEPOSIT)]
    assert bench.account("ann") == (TEN - DEPOSIT, DEPOSIT)
    assert bench.orders("ann") == []
    raw, sealed = sent
    assert (sealed, decode(Envelope, raw).payload_hash) == (b"", b"")
    body = decode(SealOrder, decode(Envelope, raw).public)
    assert body == SealOrder(MARKET, SLOT, commitment("ann", BID))


def test_a_commitment_is_of_one_sender_market_slot_and_order() -> None:
    hashed = sha256(sealed_payload(SEAL_SALT, BID))
    others = {
        order_commitment("ann", MARKET, SLOT, hashed),
        order_commitment("bob", MARKET, SLOT, hashed),
        order_commitment("ann", OTHER_MARKET, SLOT, hashed),
        order_commitment("ann", MARKET, NEXT, hashed),
        order_commitment("ann", MARKET, SLOT, sha256(sealed_payload(SEAL_SALT, OFFER))),
        order_commitment("ann", MARKET, SLOT, sha256(sealed_payload(bytes(32), BID))),
        hashed,
    }
    assert len(others) == 7


def test_seals_stand_by_nonce_and_by_slot(bench: Bench) -> None:
    bench.accept(
        bench.seal("ann", BID), bench.seal("ann", BID, slot_s=NEXT), bench.seal("ann", OFFER)
    )
    assert [seal.nonce for seal in bench.seals("ann")] == [1, 3]
    assert [seal.nonce for seal in bench.seals("ann", NEXT)] == [2]
    assert bench.account("ann") == (TEN - 3 * DEPOSIT, 3 * DEPOSIT)
    assert bench.seals("bob") == []


# Taking back


def test_cancelling_frees_the_deposit(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID), bench.seal("ann", OFFER))
    bench.accept(bench.cancel("ann", 1))
    assert [seal.nonce for seal in bench.seals("ann")] == [2]
    assert bench.account("ann") == (TEN - DEPOSIT, DEPOSIT)
    bench.accept(bench.cancel("ann", 2))
    assert bench.account("ann") == (TEN, 0)
    assert bench.entry(f"seals/ann/{MARKET}/{SLOT}") is None
    assert not bench.groups().get(position_group("seals", MARKET, SLOT))


def test_what_is_cancelled_cannot_be_revealed(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID), bench.cancel("ann", 1))
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.reveal("ann", 1, BID), Verdict.UNKNOWN_SEAL)


def test_behind_the_gate_nothing_is_taken_back(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.cancel("ann", 1), Verdict.GATE_CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))
    bench.refuse(bench.cancel("ann", 1), Verdict.GATE_CLOSED)


@pytest.mark.parametrize(
    ("sender", "nonce", "start_s"), [("ann", 2, SLOT), ("bob", 1, SLOT), ("ann", 1, NEXT)]
)
def test_only_a_seal_of_ones_own_is_cancelled(
    bench: Bench, sender: str, nonce: int, start_s: int
) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.refuse(bench.cancel(sender, nonce, slot_s=start_s), Verdict.UNKNOWN_ORDER)


# Revealing


def test_a_revealed_order_keeps_its_id_and_holds_its_worst_case(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))
    assert bench.party("ann").nonce == 2
    assert bench.orders("ann") == [Order(1, Side.BID, 200_000, 1_000, 250_000, 7, BID_HELD)]
    assert bench.account("ann") == (TEN - BID_HELD, BID_HELD)
    assert bench.entry(f"seals/ann/{MARKET}/{SLOT}") is None


@pytest.mark.parametrize("deposit_nano", [1, OFFER_HELD, 3 * OFFER_HELD])
def test_a_deposit_may_be_smaller_or_larger_than_what_is_held_then(deposit_nano: int) -> None:
    bench = market("ann", deposit_nano=deposit_nano)
    bench.accept(bench.seal("ann", OFFER))
    assert bench.account("ann") == (TEN - deposit_nano, deposit_nano)
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, OFFER))
    assert bench.account("ann") == (TEN - OFFER_HELD, OFFER_HELD)


def test_orders_stand_by_nonce_however_they_are_revealed(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID), bench.seal("ann", OFFER), bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    bench.accept(
        bench.reveal("ann", 3, BID), bench.reveal("ann", 1, BID), bench.reveal("ann", 2, OFFER)
    )
    assert [(order.nonce, order.side) for order in bench.orders("ann")] == [
        (1, Side.BID),
        (2, Side.OFFER),
        (3, Side.BID),
    ]
    held = 2 * BID_HELD + OFFER_HELD
    assert bench.account("ann") == (TEN - held, held)


def test_of_several_seals_one_is_revealed_and_the_others_wait(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID), bench.seal("ann", OFFER))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))
    assert bench.seals("ann") == [Seal(2, commitment("ann", OFFER), DEPOSIT)]
    assert bench.account("ann") == (TEN - BID_HELD - DEPOSIT, BID_HELD + DEPOSIT)


def test_money_that_the_deposit_held_counts_for_the_order() -> None:
    """To the nano: what is free and the deposit together are the worst case, or one too little."""
    late = NEXT + LENGTH_S
    for missing, verdict in ((0, Verdict.ACCEPTED), (1, Verdict.INSUFFICIENT_FUNDS)):
        bench = market(deposit_nano=100_000_000)
        bench.join("ann", deposit_nano=BID_HELD - missing)
        bench.open(first_s=late)
        bench.accept(bench.seal("ann", BID, slot_s=late))
        bench.move(Phase.CLOSED, first_s=late)
        assert bench.told(bench.reveal("ann", 1, BID, slot_s=late)) == [verdict]
        left = (0, BID_HELD) if not missing else (BID_HELD - 100_000_001, 100_000_000)
        assert bench.account("ann") == left


def test_what_cannot_be_paid_stays_sealed_and_is_lost() -> None:
    bench = market("ann")
    dear = OrderPayload(Side.BID, 200_000, 10**8, 200_000, 0)
    bench.accept(bench.seal("ann", dear))
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.reveal("ann", 1, dear), Verdict.INSUFFICIENT_FUNDS)
    bench.move(Phase.REVEALED)
    assert bench.account("ann") == (TEN - DEPOSIT, 0)


# Refusals of a seal, by number


def test_a_seal_for_an_unknown_market(bench: Bench) -> None:
    sent = bench.write("ann", Kind.SEALED_ORDER, SealOrder("lv9", SLOT, bytes(32)))
    bench.refuse(sent, Verdict.UNKNOWN_MARKET)


@pytest.mark.parametrize("start_s", [SLOT - LENGTH_S, SLOT + 1, 0, 2**63 - 1])
def test_a_seal_for_an_unknown_slot(bench: Bench, start_s: int) -> None:
    sent = bench.write("ann", Kind.SEALED_ORDER, SealOrder(MARKET, start_s, bytes(32)))
    bench.refuse(sent, Verdict.UNKNOWN_SLOT)


@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.REVEALED, Phase.CLEARED, Phase.FINAL])
def test_no_seal_behind_the_gate(bench: Bench, phase: Phase) -> None:
    for passed in (Phase.DELIVERED, phase):
        if passed <= phase:
            bench.walk(passed)
        if passed == Phase.DELIVERED <= phase:
            bench.accept(bench.reading("ann"), bench.reading("bob"))
    bench.refuse(bench.seal("ann", BID), Verdict.GATE_CLOSED)


def test_seals_have_the_cap_of_orders(bench: Bench) -> None:
    bench.accept(*(bench.seal("ann", BID) for _ in "abc"))
    bench.refuse(bench.seal("ann", BID), Verdict.TOO_MANY_ORDERS)
    bench.accept(bench.seal("ann", BID, slot_s=NEXT), bench.seal("bob", BID))
    bench.accept(bench.cancel("ann", 2), bench.seal("ann", BID))


def test_the_deposit_must_be_there() -> None:
    bench = market()
    bench.join("ann", deposit_nano=DEPOSIT - 1)
    bench.join("bob", mode=AccountMode.CREDIT_LIMIT, limit_nano=DEPOSIT)
    bench.open(first_s=NEXT + LENGTH_S)
    for member, verdict in (("ann", Verdict.INSUFFICIENT_FUNDS), ("bob", Verdict.ACCEPTED)):
        assert bench.told(bench.seal(member, BID, slot_s=NEXT + LENGTH_S)) == [verdict]
    refused = bench.seal("bob", BID, slot_s=NEXT + LENGTH_S)
    bench.refuse(refused, Verdict.INSUFFICIENT_FUNDS)


def test_who_has_no_meter_seals_nothing() -> None:
    bench = market()
    bench.accept(bench.register("ann", AccountMode.POSTPAID))
    bench.open(first_s=NEXT + LENGTH_S)
    bench.refuse(bench.seal("ann", BID, slot_s=NEXT + LENGTH_S), Verdict.METER_MISSING)
    bench.accept(bench.meter("ann"))
    bench.open(first_s=NEXT + 2 * LENGTH_S)
    bench.refuse(bench.seal("ann", BID, slot_s=NEXT + LENGTH_S), Verdict.METER_MISSING)
    bench.accept(bench.seal("ann", BID, slot_s=NEXT + 2 * LENGTH_S))


@BOTH_MARKETS
def test_a_market_takes_one_sort_of_order(deposit_nano: int) -> None:
    bench = market("ann", deposit_nano=deposit_nano)
    is_open, is_sealed = bench.bid("ann", 200_000, 1), bench.seal("ann", BID)
    if deposit_nano:
        bench.refuse(is_open, Verdict.SEALING_WRONG)
        bench.accept(is_sealed)
    else:
        bench.accept(is_open)
        bench.refuse(is_sealed, Verdict.SEALING_WRONG)


class Odd(Wire, frozen=True):
    side: int
    price_micro_per_kwh: int
    energy_wh: int
    limit_micro_per_kwh: int
    submitted_ms: int


# Refusals of a reveal, by number


@pytest.mark.parametrize(
    "payload", [Odd(3, 200_000, 1, 200_000, 0), Odd(1, 200_000, 0, 200_000, 0)]
)
def test_a_malformed_order_can_be_sealed_and_not_revealed(bench: Bench, payload: Odd) -> None:
    """Nobody sees what is inside a seal, so this costs its sender the deposit."""
    hashed = sha256(sealed_payload(SEAL_SALT, payload))
    body = SealOrder(MARKET, SLOT, order_commitment("ann", MARKET, SLOT, hashed))
    bench.accept(bench.write("ann", Kind.SEALED_ORDER, body))
    bench.walk(Phase.CLOSED)
    shown = bench.write("ann", Kind.REVEAL, RevealOrder(MARKET, SLOT, 1), payload, salt=SEAL_SALT)
    bench.refuse(shown, Verdict.MALFORMED_PAYLOAD)


@pytest.mark.parametrize(
    ("market_name", "start_s"), [("lv9", SLOT), (MARKET, SLOT + 1), (MARKET, 0)]
)
def test_a_reveal_for_an_unknown_slot(bench: Bench, market_name: str, start_s: int) -> None:
    sent = bench.write("ann", Kind.REVEAL, RevealOrder(market_name, start_s, 1), BID)
    bench.refuse(sent, Verdict.UNKNOWN_SLOT)


@pytest.mark.parametrize(
    ("order", "verdict"),
    [
        (OrderPayload(Side.BID, 79_999, 1, 79_999, 0), Verdict.PRICE_OUT_OF_BAND),
        (OrderPayload(Side.OFFER, 300_001, 1, 300_001, 0), Verdict.PRICE_OUT_OF_BAND),
        (OrderPayload(Side.BID, 200_000, 1, QUANTITY_MAX, 0), Verdict.PRICE_OUT_OF_BAND),
        (OrderPayload(Side.BID, 200_000, 1, 199_999, 0), Verdict.LIMIT_WRONG),
        (OrderPayload(Side.OFFER, 200_000, 1, 200_001, 0), Verdict.LIMIT_WRONG),
    ],
)
def test_prices_are_judged_when_they_are_seen(
    bench: Bench, order: OrderPayload, verdict: Verdict
) -> None:
    bench.accept(bench.seal("ann", order))
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.reveal("ann", 1, order), verdict)


@pytest.mark.parametrize(
    ("sender", "nonce", "start_s"), [("ann", 2, SLOT), ("bob", 1, SLOT), ("ann", 1, NEXT)]
)
def test_only_a_seal_of_ones_own_is_revealed(
    bench: Bench, sender: str, nonce: int, start_s: int
) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.move(Phase.CLOSED, slots=2)
    bench.refuse(bench.reveal(sender, nonce, BID, slot_s=start_s), Verdict.UNKNOWN_SEAL)


def test_a_seal_is_revealed_once(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))
    bench.refuse(bench.reveal("ann", 1, BID), Verdict.UNKNOWN_SEAL)
    assert len(bench.orders("ann")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"side": Side.OFFER, "limit_micro_per_kwh": 200_000},
        {"price_micro_per_kwh": 200_001},
        {"energy_wh": 999},
        {"limit_micro_per_kwh": 250_001},
        {"submitted_ms": 6},
    ],
)
def test_an_order_is_revealed_as_it_was_sealed(bench: Bench, changes: dict[str, int]) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    other = msgspec.structs.replace(BID, **changes)
    bench.refuse(bench.reveal("ann", 1, other), Verdict.SEAL_BROKEN)


def test_another_salt_is_another_order(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    sent = bench.write("ann", Kind.REVEAL, RevealOrder(MARKET, SLOT, 1), BID, salt=bytes(32))
    bench.refuse(sent, Verdict.SEAL_BROKEN)


def test_one_seal_does_not_open_another(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID), bench.seal("ann", OFFER))
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.reveal("ann", 1, OFFER), Verdict.SEAL_BROKEN)


def test_a_seal_of_one_slot_is_not_good_for_the_next(bench: Bench) -> None:
    body = SealOrder(MARKET, NEXT, commitment("ann", BID, SLOT))
    bench.accept(bench.write("ann", Kind.SEALED_ORDER, body))
    bench.move(Phase.CLOSED, slots=2)
    bench.refuse(bench.reveal("ann", 1, BID, slot_s=NEXT), Verdict.SEAL_BROKEN)


def test_orders_are_revealed_between_the_gate_and_the_phase_of_that_name(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.refuse(bench.reveal("ann", 1, BID), Verdict.NOT_REVEALING)
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))


def test_after_the_phase_no_seal_is_left_to_reveal(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.REVEALED)
    bench.refuse(bench.reveal("ann", 1, BID), Verdict.UNKNOWN_SEAL)


def test_who_is_no_participant_reveals_nothing() -> None:
    bench = market()
    bench.accept(bench.grant(AUDITOR, Role.MEMBER))
    bench.open(first_s=NEXT + LENGTH_S)
    bench.refuse(bench.seal(AUDITOR, BID), Verdict.UNKNOWN_PARTY)
    bench.refuse(bench.reveal(AUDITOR, 1, BID), Verdict.UNKNOWN_PARTY)


# Copies


def copied(bench: Bench) -> None:
    """Bob seals what Ann sealed, without knowing it, and shows what she showed."""
    bench.accept(bench.seal("ann", BID))
    bench.accept(bench.seal("bob", BID, sealed_by="ann"))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))
    bench.refuse(bench.reveal("bob", 1, BID), Verdict.SEAL_BROKEN)


def test_a_copy_of_anothers_seal_opens_nothing_and_costs_the_deposit(bench: Bench) -> None:
    copied(bench)
    bench.move(Phase.REVEALED)
    assert bench.account("bob") == (TEN - DEPOSIT, 0)
    assert bench.orders("bob") == []


def test_the_test_of_copies_notices_a_commitment_that_binds_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unbound(sender: str, market_name: str, start_s: int, hashed: bytes) -> bytes:
        return order_commitment("anybody", market_name, start_s, hashed)

    monkeypatch.setattr(sealing, "order_commitment", unbound)
    monkeypatch.setattr(ledger_bench, "order_commitment", unbound)
    with pytest.raises(AssertionError, match="ACCEPTED, not SEAL_BROKEN"):
        copied(bench)


# The end of revealing


def test_what_stays_sealed_is_lost_to_the_fund_and_stands_on_the_bill(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID), bench.seal("ann", OFFER), bench.seal("ann", BID))
    bench.accept(bench.seal("bob", OFFER))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 2, OFFER))
    bench.move(Phase.REVEALED)
    assert bench.account("ann") == (TEN - 2 * DEPOSIT - OFFER_HELD, OFFER_HELD)
    assert bench.account("bob") == (TEN - DEPOSIT, 0)
    assert bench.system("fund") == 3 * DEPOSIT
    assert bench.seals("ann") == bench.seals("bob") == []
    assert not bench.groups().get(position_group("seals", MARKET, SLOT))
    bill = bench.bill("ann")
    assert (bill.total_nano, bill.lost_deposits_nano, bill.lines) == (-UNIT, -UNIT, 2)
    assert bench.bill("bob").lost_deposits_nano == -DEPOSIT
    assert bench.result is not None
    lines = [decode(BillLine, document.data) for document in bench.result.documents]
    assert [document.owner for document in bench.result.documents] == ["ann", "ann", "bob"]
    assert lines == [
        BillLine(SLOT, LineKind.LOST_DEPOSIT, 0, f"order/{nonce}", 0, 0, -DEPOSIT)
        for nonce in (1, 3, 1)
    ]


def test_deposits_are_taken_in_the_order_of_ids() -> None:
    """`ann` before `ann-2`, although their keys sort the other way, on every replica."""
    bench = market("ann-2", "ann")
    bench.accept(bench.seal("ann-2", BID), bench.seal("ann", BID))
    bench.walk(Phase.REVEALED)
    assert bench.result is not None
    assert [document.owner for document in bench.result.documents] == ["ann", "ann-2"]


def test_with_everything_revealed_nobody_loses_anything(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID))
    bench.move(Phase.REVEALED)
    assert bench.system("fund") == 0
    assert bench.entry(bill_key("ann", DAY)) is None
    assert bench.result is not None
    assert bench.result.documents == []
    assert bench.slot().phase == Phase.REVEALED


def test_the_end_of_one_slot_takes_no_deposit_of_another(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID, slot_s=NEXT))
    bench.walk(Phase.REVEALED)
    assert bench.account("ann") == (TEN - DEPOSIT, DEPOSIT)
    assert len(bench.seals("ann", NEXT)) == 1


def test_a_lost_deposit_and_the_settlement_stand_on_one_bill(bench: Bench) -> None:
    bench.accept(bench.seal("ann", BID))
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", 100), bench.reading("bob"))
    bench.walk(Phase.FINAL)
    bill = bench.bill("ann")
    assert (bill.lost_deposits_nano, bill.grid_import_nano) == (-DEPOSIT, -30_000_000)
    assert (bill.total_nano, bill.lines) == (-DEPOSIT - 30_000_000, 2)
    assert bench.account("ann") == (TEN - DEPOSIT - 30_000_000, 0)


# The clearing


def test_the_auction_knows_what_was_revealed_and_nothing_else() -> None:
    """Eve's offer is cheaper than Bob's, and stays sealed."""
    bench = market("ann", "bob", "eve")
    cheaper = OrderPayload(Side.OFFER, 90_000, 600, 90_000, 1)
    bench.accept(bench.seal("ann", BID), bench.seal("bob", OFFER), bench.seal("eve", cheaper))
    bench.walk(Phase.CLOSED)
    bench.accept(bench.reveal("ann", 1, BID), bench.reveal("bob", 1, OFFER))
    bench.walk(Phase.CLEARED)
    (contract,) = bench.contracts("ann")
    assert (contract.counterparty, contract.order_nonce, contract.energy_wh) == ("bob", 1, 600)
    assert contract.price_sum_micro_per_kwh == 300_000
    assert bench.contracts("eve") == []
    assert (bench.slot().orders, bench.slot().trades) == (2, 1)


def test_a_slot_cannot_clear_before_revealing_has_ended(bench: Bench) -> None:
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.phase(Phase.CLEARED), Verdict.PHASE_STEP_WRONG)
    bench.move(Phase.REVEALED)
    bench.refuse(bench.phase(Phase.REVEALED), Verdict.PHASE_STEP_WRONG)
    bench.move(Phase.CLEARED)


def drawn(chance: Random) -> list[tuple[str, OrderPayload]]:
    """(sender, order), with ties on purpose."""
    placed = []
    for member in ("ann", "bob", "dan", "eve"):
        for _ in range(chance.randrange(3)):
            price, give = chance.choice([120_000, 150_000, 200_000]), chance.choice([0, 30_000])
            side = chance.choice(list(Side))
            limit = price + give if side == Side.BID else price - give
            time = chance.randrange(3)
            order = OrderPayload(side, price, chance.choice([100, 101, 333]), limit, time)
            placed.append((member, order))
    chance.shuffle(placed)
    return placed


@pytest.mark.parametrize("tie", TieRule)
@pytest.mark.parametrize("seed", range(6))
def test_sealed_or_open_the_same_orders_clear_in_the_same_way(seed: int, tie: TieRule) -> None:
    members = ("ann", "bob", "dan", "eve")
    placed = drawn(Random(seed))
    ends = []
    for deposit_nano in (0, 1):
        bench = market(*members, deposit_nano=deposit_nano, tie=tie)
        nonces: dict[str, int] = dict.fromkeys(members, 0)
        shown = []
        for sender, order in placed:
            nonces[sender] += 1
            shown.append((sender, nonces[sender], order))
            if deposit_nano:
                bench.accept(bench.seal(sender, order))
            else:
                bench.accept(
                    bench.order(
                        sender,
                        order.side,
                        order.price_micro_per_kwh,
                        order.energy_wh,
                        limit=order.limit_micro_per_kwh,
                        submitted_ms=order.submitted_ms,
                    )
                )
        bench.walk(Phase.CLOSED)
        if deposit_nano:
            bench.accept(*(bench.reveal(*one) for one in reversed(shown)))
        ends.append([bench.orders(member) for member in members])
        bench.walk(Phase.CLEARED)
        ends[-1] += [bench.contracts(member) for member in members]
        ends[-1] += [bench.account(member) for member in members]
        ends[-1].append(bench.slot())
        assert bench.slot().orders == len(placed)
    assert ends[0] == ends[1]


# Order inside a phase


def test_seals_and_reveals_of_different_senders_commute() -> None:
    roots = set()
    members = ("ann", "bob", "eve")
    orders = dict(zip(members, (BID, OFFER, OFFER), strict=True))
    for order in permutations(members):
        bench = market(*members)
        bench.accept(*(bench.seal(member, orders[member]) for member in order))
        bench.accept(*(bench.seal(member, BID) for member in reversed(order)))
        bench.accept(bench.cancel(order[0], 1) if order[0] == "ann" else bench.cancel("ann", 1))
        bench.walk(Phase.CLOSED)
        bench.accept(
            *(bench.reveal(member, 2, BID) for member in order),
            *(bench.reveal(member, 1, orders[member]) for member in order if member == "bob"),
        )
        revealed = bench.market_root
        bench.walk(Phase.CLEARED)
        roots.add((revealed, bench.market_root))
    assert len(roots) == 1


def test_a_cancel_names_an_order_of_either_sort() -> None:
    """The body is the same; the market says which sort there is."""
    for deposit_nano in (0, DEPOSIT):
        bench = market("ann", deposit_nano=deposit_nano)
        bench.accept(bench.seal("ann", BID) if deposit_nano else bench.bid("ann", 200_000, 1))
        bench.accept(bench.write("ann", Kind.CANCEL, CancelOrder(MARKET, SLOT, 1)))
        assert bench.account("ann") == (TEN, 0)
