"""Nothing appears or vanishes: money, escrow, energy and carbon balance whatever anybody sends.

Method: hypothesis makes rows of sensible, senseless and forbidden transactions. The bench draws
the auditor's sums after every block; here also: no accepted order or withdrawal goes beyond its
sender's limit, and once all slots are final nothing is held for anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carbon_bench import IMPORT_MG_PER_KWH, part, sums, with_carbon
from gridpact.contracts import phases, sealing, settling
from gridpact.contracts.bodies import CancelOrder, Kind, OrderPayload
from gridpact.contracts.books import SlotBooks
from gridpact.contracts.call import Call
from gridpact.contracts.keys import position_key, slot_carbon_key, slot_key
from gridpact.contracts.kinds import KINDS
from gridpact.errors import InvariantError
from gridpact.ledger import Account, Leg, account_key
from gridpact.model import (
    AccountMode,
    BillLine,
    LineKind,
    Phase,
    Quality,
    Seal,
    Side,
    SlotCarbon,
    SlotOrders,
    SlotState,
    Verdict,
)
from gridpact.node import SimulatedKeys
from ledger_bench import (
    LENGTH_S,
    MARKET,
    METERING,
    OPERATOR,
    SEALED_WAY,
    SLOT,
    UNIT,
    WAY,
    Bench,
    Signed,
    genesis_with,
)

MEMBERS = ("ann", "bob", "dan")
MODES = {
    "ann": (AccountMode.PREPAID, 0),
    "bob": (AccountMode.CREDIT_LIMIT, UNIT // 2),
    "dan": (AccountMode.POSTPAID, 0),
}
SLOTS = (SLOT, SLOT + LENGTH_S)

members = st.sampled_from([*MEMBERS, "nobody"])
slots = st.sampled_from([*SLOTS, SLOT + 1, SLOT + 9 * LENGTH_S])
energies = st.sampled_from([1, 99, 100, 101, 1_000, 2_500, 2**31 - 1])
prices = st.sampled_from([0, 79_999, 80_000, 100_001, 150_000, 200_000, 300_000, 300_001])
amounts = st.sampled_from([1, UNIT // 3, UNIT, 5 * UNIT, 2**62])

CANCEL = CancelOrder(MARKET, SLOT, 1)
Sent = Callable[[Bench], Signed]


def order(
    member: str, side: Side, price: int, give: int, energy_wh: int, slot_s: int, time: int
) -> Sent:
    limit = max(0, price + give if side == Side.BID else price - give)
    return lambda bench: bench.order(
        member, side, price, energy_wh, limit=limit, slot_s=slot_s, submitted_ms=time
    )


def reading(
    member: str, sender: str, import_wh: int, export_wh: int, version: int, slot_s: int
) -> Sent:
    return lambda bench: bench.reading(
        member,
        import_wh,
        export_wh,
        sender=sender or f"{member}.meter",
        version=version,
        quality=Quality(1 + version % 3),
        slot_s=slot_s,
    )


def drawn_by_all(wh: int, lost_ug: int) -> SlotCarbon:
    """Sums of a slot in which each member used so much from outside."""
    mine = part(load=(wh, wh * IMPORT_MG_PER_KWH))
    return sums([mine] * len(MEMBERS), wh * len(MEMBERS), lost=(0, lost_ug))


transactions = st.one_of(
    st.builds(
        order,
        members,
        st.sampled_from(Side),
        prices,
        st.sampled_from([0, 0, 50_000, -1]),
        energies,
        slots,
        st.integers(0, 3),
    ),
    st.builds(
        lambda member, nonce, slot_s: lambda b: b.cancel(member, nonce, slot_s=slot_s),
        members,
        st.integers(1, 6),
        slots,
    ),
    st.builds(lambda member, amount: lambda b: b.withdraw(member, amount), members, amounts),
    st.builds(lambda member, amount: lambda b: b.deposit(member, amount), members, amounts),
    st.builds(
        reading,
        members,
        st.sampled_from(["", "", METERING, "ann.meter"]),
        st.sampled_from([0, 0, 70, 1_000]),
        st.sampled_from([0, 0, 50, 900]),
        st.integers(1, 4),
        slots,
    ),
    st.builds(
        lambda phase, slot_s, count: lambda b: b.phase(phase, first_s=slot_s, slots=count),
        st.sampled_from(Phase),
        slots,
        st.integers(1, 2),
    ),
    st.builds(
        lambda trade, wh, slot_s: lambda b: b.curtailment((trade, wh, "line-7"), slot_s=slot_s),
        st.integers(0, 3),
        st.sampled_from([1, 1, 50, 99, 10**6]),
        slots,
    ),
    st.builds(
        lambda member, net_wh, version: lambda b: b.batch(member, net_wh, version=version),
        members,
        st.lists(st.sampled_from([-900, 0, 50]), min_size=1, max_size=3),
        st.integers(1, 4),
    ),
    st.builds(
        lambda member, wh, ug, slot_s, count: (
            lambda b: b.member_carbon(member, *[part(load=(wh, ug))] * count, first_s=slot_s)
        ),
        members,
        st.sampled_from([0, 5, 70]),
        st.sampled_from([0, 1, 5 * IMPORT_MG_PER_KWH]),
        slots,
        st.integers(1, 2),
    ),
    st.builds(
        lambda wh, by, slot_s, count: (
            lambda b: b.slot_carbon(*[drawn_by_all(wh, by)] * count, first_s=slot_s)
        ),
        st.sampled_from([0, 5, 5, 70]),
        st.sampled_from([0, 0, 1]),
        slots,
        st.integers(1, 2),
    ),
    st.builds(lambda member: lambda b: b.meter(member, f"{member}.b"), members),
    st.builds(lambda member: lambda b: b.register(member), members),
    st.builds(
        lambda member, key: (
            lambda b: b.sign(member, Kind.CANCEL, CancelOrder("lv1", SLOT, 1), nonce=key)
        ),
        members,
        st.integers(1, 9),
    ),
)

orders = st.builds(
    order,
    st.sampled_from(MEMBERS),
    st.sampled_from(Side),
    st.sampled_from([100_001, 150_000, 200_000]),
    st.sampled_from([0, 20_000]),
    st.sampled_from([1, 99, 100, 1_000]),
    st.sampled_from(SLOTS),
    st.integers(0, 3),
)
"""Those that mostly are accepted, so that there is something to trade."""


sealed_orders = st.builds(
    lambda side, price, energy_wh: OrderPayload(side, price, energy_wh, price, 0),
    st.sampled_from(Side),
    st.sampled_from([100_001, 150_000, 200_000]),
    st.sampled_from([1, 99, 100, 10**5]),
)
seals = st.tuples(st.sampled_from(MEMBERS), st.sampled_from(SLOTS), sealed_orders)


def opened(deposit_nano: int = 0) -> Bench:
    """Three members of three modes; both slots are open."""
    keys = SimulatedKeys(7)
    bench = Bench(with_carbon(genesis_with(keys, sealed_deposit_nano=deposit_nano)), keys)
    for member, (mode, limit_nano) in MODES.items():
        bench.accept(
            bench.register(member, mode, limit_nano),
            bench.meter(member, reporter=METERING),
            bench.deposit(member, UNIT),
        )
    bench.open(slots=2)
    return bench


def send(bench: Bench, write: Sent) -> Verdict:
    """One transaction in a block of its own, with a nonce that fits whatever was refused before."""
    for party in [*MEMBERS, *(f"{member}.meter" for member in MEMBERS), METERING, OPERATOR]:
        bench.wallet._nonces[party] = bench.party(party).nonce
    sent = write(bench)
    (receipt,) = bench.decide(sent).receipts
    verdict = Verdict(receipt.verdict)
    transaction = bench.application.readable(sent[0])
    assert not isinstance(transaction, Verdict)
    envelope = transaction.envelope
    if verdict == Verdict.ACCEPTED and envelope.kind in (Kind.ORDER, Kind.WITHDRAW):
        account = bench.value(account_key(envelope.sender), Account)
        unlimited = account.limit_nano == Account.NO_LIMIT
        assert unlimited or account.available_nano >= -account.limit_nano
    return verdict


def finish(bench: Bench, way: tuple[Phase, ...] = WAY) -> None:
    """Everything that owes a reading reports, and all slots become final."""
    for start_s in SLOTS:
        while (phase := bench.slot(start_s).phase) != Phase.FINAL:
            if phase == Phase.DELIVERED:
                for member in MEMBERS:
                    for meter in (f"{member}.meter", f"{member}.b"):
                        if bench.application.party(meter) is not None:
                            bench.wallet._nonces[meter] = bench.party(meter).nonce
                            bench.decide(
                                bench.reading(member, 5, meter=meter, version=9, slot_s=start_s)
                            )
            send(
                bench,
                lambda b, phase=phase, start_s=start_s: b.phase(
                    way[way.index(phase) + 1] if phase in way else way[0], first_s=start_s
                ),
            )
            assert bench.slot(start_s).phase != phase
    rooms = {key.partition("/")[0] for key in bench.application.state.entries}
    assert not rooms & {"seals", "orders", "contracts", "readings", "parts", "claim"}
    assert all(bench.account(member)[1] == 0 for member in MEMBERS)


@settings(max_examples=60)
@given(
    st.lists(orders, min_size=4, max_size=12),
    st.lists(st.lists(transactions, max_size=6), min_size=len(WAY), max_size=len(WAY)),
)
def test_whatever_is_sent_all_sums_stay_zero(placed: list[Sent], between: list[list[Sent]]) -> None:
    """Both slots walk on, as far as they may, with anything in between."""
    bench = opened()
    for write in placed:
        send(bench, write)
    for phase, writes in zip(WAY, between, strict=True):
        for write in writes:
            send(bench, write)
        send(bench, lambda b, phase=phase: b.phase(phase))
        send(bench, lambda b, phase=phase: b.phase(phase, first_s=SLOTS[1]))
    finish(bench)


@settings(max_examples=30)
@given(
    st.lists(orders, min_size=2, max_size=8),
    st.lists(transactions, max_size=6),
    st.sampled_from([0, 5, 70, 10**6]),
)
def test_carbon_can_be_allotted_after_whatever_was_sent(
    placed: list[Sent], between: list[Sent], load_wh: int
) -> None:
    """Once a last reading is in, and everybody's part says the same."""
    bench = opened()
    for write in placed:
        send(bench, write)
    for phase in WAY[:3]:
        send(bench, lambda b, phase=phase: b.phase(phase))
    for phase in WAY[3:5]:
        for member in MEMBERS:
            send(bench, lambda b, member=member, p=phase: last_reading(b, member, load_wh, p))
        send(bench, lambda b, phase=phase: b.phase(phase))
    for write in between:
        send(bench, write)
    assume(bench.slot().phase == Phase.SETTLED)
    assume(bench.entry(slot_carbon_key(MARKET, SLOT)) is None)
    for member in MEMBERS:
        send(bench, lambda b, member=member: last_reading(b, member, load_wh, Phase.FINAL))
    mine = part(load=(load_wh, load_wh * IMPORT_MG_PER_KWH))
    for member in MEMBERS:
        told = send(bench, lambda b, m=member: b.member_carbon(m, mine, submitted_ms=9))
        assert told == Verdict.ACCEPTED
    drawn = drawn_by_all(load_wh, 0)
    assert send(bench, lambda b: b.slot_carbon(drawn)) == Verdict.ACCEPTED
    finish(bench)
    allotted = bench.value(slot_carbon_key(MARKET, SLOT), SlotCarbon)
    assert allotted.load_ug == len(MEMBERS) * load_wh * IMPORT_MG_PER_KWH


def last_reading(bench: Bench, member: str, load_wh: int, phase: Phase) -> Signed:
    """A version above all others; the later, the higher."""
    return bench.reading(member, load_wh, version=100 + phase)


@settings(max_examples=40)
@given(
    st.lists(seals, min_size=3, max_size=9),
    st.sets(st.integers(0, 8)),
    st.lists(st.lists(transactions, max_size=4), min_size=8, max_size=8),
    st.sampled_from([1, UNIT // 4]),
)
def test_with_sealed_orders_all_sums_stay_zero(
    placed: list[tuple[str, int, OrderPayload]],
    silent: set[int],
    between: list[list[Sent]],
    deposit_nano: int,
) -> None:
    """Some are never revealed, some cannot be paid; whatever is sent in between."""
    bench = opened(deposit_nano)
    kept = []
    for member, slot_s, order in placed:
        write = partial(Bench.seal, sender=member, order=order, slot_s=slot_s)
        if send(bench, lambda b, write=write: write(b)) == Verdict.ACCEPTED:
            kept.append((member, bench.party(member).nonce, order, slot_s))
    for phase, writes in zip(SEALED_WAY, between, strict=False):
        for write in writes:
            send(bench, write)
        for slot_s in SLOTS:
            send(bench, lambda b, phase=phase, slot_s=slot_s: b.phase(phase, first_s=slot_s))
        if phase == Phase.CLOSED:
            for number, (member, nonce, order, slot_s) in enumerate(kept):
                if number not in silent:
                    show = partial(Bench.reveal, sender=member, nonce=nonce, order=order)
                    send(bench, lambda b, show=show, slot_s=slot_s: show(b, slot_s=slot_s))
    finish(bench, SEALED_WAY)
    assert bench.system("fund") >= 0


# Broken twins


def cancelling_keeps_the_order(call: Call) -> Verdict:
    body = call.body
    assert isinstance(body, CancelOrder)
    key = position_key("orders", call.sender, body.market, body.slot_start_s)
    held = call.draft.get(key, SlotOrders)
    slot = call.draft.get(slot_key(body.market, body.slot_start_s), SlotState)
    if held is None or slot is None or slot.phase != Phase.OPEN:
        return Verdict.UNKNOWN_ORDER
    escrow = held.orders[0].escrow_nano
    call.draft.post(Leg(account_key(call.sender), escrow, -escrow))
    return Verdict.ACCEPTED


def a_free_cancel(patch: pytest.MonkeyPatch) -> None:
    rule = replace(KINDS[Kind.CANCEL], handler=cancelling_keeps_the_order)
    patch.setitem(KINDS, Kind.CANCEL, rule)


def clearing_frees_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(phases.STEPS, Phase.CLEARED, phases._advance(Phase.CLEARED))


def a_lost_watt_hour(patch: pytest.MonkeyPatch) -> None:
    honest = settling.imbalance_line

    def imbalance_line(**arguments: object) -> BillLine | None:
        line = honest(**arguments)
        return line and msgspec.structs.replace(line, energy_wh=line.energy_wh - 1)

    patch.setattr(settling, "imbalance_line", imbalance_line)


def escrow_that_settlement_forgets(patch: pytest.MonkeyPatch) -> None:
    honest = SlotBooks.enter
    patch.setattr(
        SlotBooks,
        "enter",
        lambda self, owner, escrow_nano, lines: honest(self, owner, 0 * escrow_nano, lines),
    )


def a_deposit_that_is_lost_and_not_booked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sealing.SlotBooks, "enter", lambda *_: None)


def a_deposit_that_vanishes(patch: pytest.MonkeyPatch) -> None:
    honest = SlotBooks.close

    def close(self: SlotBooks) -> None:
        self.by_kind[LineKind.LOST_DEPOSIT] = 0
        honest(self)

    patch.setattr(SlotBooks, "close", close)


def a_seal_that_stays_when_it_is_revealed(patch: pytest.MonkeyPatch) -> None:
    honest = sealing.keep_seals

    def keep(call: Call, market: str, start_s: int, kept: list[Seal]) -> None:
        if call.envelope.kind == Kind.SEALED_ORDER:
            honest(call, market, start_s, kept)

    patch.setattr(sealing, "keep_seals", keep)


def a_seal_that_is_free(patch: pytest.MonkeyPatch) -> None:
    honest = sealing.Seal
    patch.setattr(sealing, "Seal", lambda nonce, commitment, _: honest(nonce, commitment, 0))


def sealed_day(bench: Bench) -> None:
    """A trade of two revealed orders; the third stays sealed."""
    bid = OrderPayload(Side.BID, 200_000, 1_000, 200_000, 0)
    offer = OrderPayload(Side.OFFER, 100_001, 101, 100_001, 0)
    for member, order in (("ann", bid), ("dan", offer), ("bob", offer)):
        send(bench, lambda b, member=member, order=order: b.seal(member, order))
    send(bench, lambda b: b.phase(Phase.CLOSED))
    send(bench, lambda b: b.reveal("ann", 1, bid))
    send(bench, lambda b: b.reveal("dan", 1, offer))
    finish(bench, SEALED_WAY)


@pytest.mark.parametrize(
    ("twin", "found"),
    [
        (a_deposit_that_is_lost_and_not_booked, "escrow: accounts hold "),
        (a_deposit_that_vanishes, "postings do not balance"),
        (a_seal_that_stays_when_it_is_revealed, "escrow: accounts hold -"),
        (a_seal_that_is_free, "escrow: accounts hold "),
    ],
)
def test_a_broken_twin_of_sealing_is_caught(
    twin: Callable[[pytest.MonkeyPatch], None], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin(monkeypatch)
    bench = opened(UNIT // 4)
    with pytest.raises((AssertionError, InvariantError), match=found):
        sealed_day(bench)


def test_the_same_sealed_day_without_a_twin_balances() -> None:
    bench = opened(UNIT // 4)
    sealed_day(bench)
    assert bench.system("fund") == UNIT // 4 + 1
    assert bench.bill("bob").lost_deposits_nano == -UNIT // 4
    assert bench.slot().traded_wh == 101


def usual_day(bench: Bench) -> list[Verdict]:
    """A trade, a cancel, imbalances of all three."""
    told = [
        send(bench, order("ann", Side.BID, 200_000, 0, 1_000, SLOT, 0)),
        send(bench, order("dan", Side.OFFER, 100_001, 0, 101, SLOT, 0)),
        send(bench, order("bob", Side.OFFER, 290_000, 0, 101, SLOT, 0)),
        send(bench, lambda b: b.cancel("bob", 1)),
    ]
    finish(bench)
    return told


@pytest.mark.parametrize(
    ("twin", "found"),
    [
        (a_free_cancel, "escrow: accounts hold -"),
        (clearing_frees_nothing, "escrow: accounts hold "),
        (a_lost_watt_hour, "Wh from balancing"),
        (escrow_that_settlement_forgets, "escrow: accounts hold "),
    ],
)
def test_a_broken_twin_is_caught(
    twin: Callable[[pytest.MonkeyPatch], None], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin(monkeypatch)
    bench = opened()
    with pytest.raises(AssertionError, match=found):
        usual_day(bench)


def test_the_same_day_without_a_twin_balances() -> None:
    bench = opened()
    assert usual_day(bench) == [Verdict.ACCEPTED] * 4
    assert bench.system("fund") == 1
