"""Random microgrids that bargain: deposits cover, money and energy balance, order does not matter.

Method: bids over a window of three slots are solved, proposed and settled on a chain in memory,
with meters that saw something else than was planned. The bench checks money, escrow and energy
after every block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bargain_bench import RULES, bid_of, bids_of, certified, genesis_of, less_green, terms_of
from gridpact.codec import decode, encode
from gridpact.contracts import bargaining
from gridpact.contracts.call import Call
from gridpact.ledger.envelope import Envelope
from gridpact.market.integer.microgrids import exposure_nano
from gridpact.market.solvers.proposal import Proposal, RepairError, propose
from gridpact.model import AccountMode, MicrogridBid, Phase, SlotTariff, Verdict
from gridpact.model.microgrids import Clearing, Storage, Turbine
from gridpact.node import SimulatedKeys
from ledger_bench import DAY, VALIDATORS, Bench, Signed

SLOTS = 3
LOOSE = msgspec.structs.replace(RULES, gap_ppb=10**6)
"""Whole Wh of small storages cost more than the default gap."""
UWH = 10**6

energy = st.integers(0, 40_000)


@st.composite
def microgrid(draw: st.DrawFn) -> MicrogridBid:
    load = draw(st.lists(energy, min_size=SLOTS, max_size=SLOTS))
    green = [draw(st.integers(0, wh)) for wh in load]
    renewable = draw(st.lists(energy, min_size=SLOTS, max_size=SLOTS))
    most = draw(st.integers(0, 20_000))
    store = Storage(
        energy_max_wh=draw(st.integers(0, 8_000)),
        charge_permille=draw(st.integers(850, 1000)),
        discharge_permille=draw(st.integers(850, 1000)),
        content_min_uwh=0,
        content_max_uwh=most * UWH,
        content_start_uwh=draw(st.integers(0, most)) * UWH,
        content_end_uwh=draw(st.integers(0, max(0, most - 1))) * UWH,
    )
    turbine = Turbine(
        draw(st.integers(0, 100)), draw(st.integers(0, 400_000)), draw(st.integers(0, 9_000))
    )
    shortage = draw(st.integers(0, 300_000))
    return bid_of(load, green, renewable, shortage=shortage, turbine=turbine, storage=store)


@st.composite
def tariff(draw: st.DrawFn) -> SlotTariff:
    """Feed-in and fee stay below retail, as a tariff must."""
    feed_in, fee = draw(st.integers(0, 200_000)), draw(st.integers(0, 50_000))
    return SlotTariff(feed_in + fee + draw(st.integers(1, 300_000)), feed_in, fee, "north", DAY)


def bench_of(bids: dict[str, MicrogridBid], prices: SlotTariff) -> Bench:
    """All have bid for the first of three slots, and its gate is closed."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_of(keys, LOOSE), keys)
    bench.join(*bids, mode=AccountMode.POSTPAID)
    bench.open(slots=SLOTS, prices=prices)
    bench.accept(*(bench.microgrid(name, bid) for name, bid in bids.items()))
    bench.move(Phase.CLOSED)
    return bench


NAMES = ("ann", "bob", "dan", "eve")


@settings(max_examples=60, deadline=None)
@given(st.lists(microgrid(), min_size=1, max_size=4), tariff(), st.data())
def test_a_clearing_never_needs_more_than_was_held_and_settles(
    drawn: list[MicrogridBid], prices: SlotTariff, data: st.DataObject
) -> None:
    """But for slots in which all together lose, which is named."""
    bids = dict(zip(NAMES, drawn, strict=False))
    bench = bench_of(bids, prices)
    try:
        proposal = propose(terms_of(SLOTS, prices), drawn, [1] * len(drawn))
    except RepairError:  # no whole Wh beside the plan of so small a storage
        bench.move(Phase.CLEARED)
        assert {bench.account(name) for name in bids} == {(0, 0)}
        return
    (verdict,) = bench.told(bench.clearing(proposal.certificate))
    if verdict == Verdict.DEPOSIT_SHORT:
        assert proposal.first_surplus_nano < 0
    elif verdict == Verdict.ACCEPTED:
        agreements_are_covered(bench, bids, prices, proposal)
    else:  # whole Wh of so small a microgrid cost more than the gap
        assert verdict in {Verdict.CLEARING_ALONE_GAP_TOO_WIDE, Verdict.CLEARING_GAP_TOO_WIDE}
        return
    bench.walk(Phase.DELIVERED)
    for name in bids:
        bench.accept(bench.reading(name, data.draw(energy), data.draw(energy)))
    bench.walk(Phase.SETTLED)
    if data.draw(st.booleans()):
        bench.accept(bench.reading(next(iter(bids)), 7, data.draw(energy), version=2))
    bench.move(Phase.FINAL)
    assert {bench.account(name)[1] for name in bids} == {0}


def agreements_are_covered(
    bench: Bench, bids: dict[str, MicrogridBid], prices: SlotTariff, proposal: Proposal
) -> None:
    held = {name: bench.account(name)[1] for name in bids}
    for name, bid in bids.items():
        terms = terms_of(SLOTS, prices)
        assert held[name] == exposure_nano(terms, bid, LOOSE.price_max_micro_per_kwh)
    bench.move(Phase.CLEARED)
    for entry in bench.application.state.entries.values():  # what is stored can be read again
        assert decode(type(entry.value), encode(entry.value)) == entry.value
    for name, transfer in zip(bids, proposal.certificate.first_transfer_nano, strict=True):
        agreement = bench.agreement(name)
        assert agreement is not None
        assert agreement.transfer_nano == transfer
        assert bench.account(name)[1] == agreement.escrow_nano <= held[name]


# Order


@cache
def day() -> list[list[Signed]]:
    """The transactions of each phase, the one that ends it last."""
    bids = bids_of(2)
    keys = SimulatedKeys(7)
    bench = Bench(genesis_of(keys, LOOSE), keys)
    best = certified(bids)
    numbers = iter(range(1, 99))

    def phase(name: Phase, slots: int = 1) -> Signed:
        return bench.phase(name, slots=slots, number=next(numbers))

    def bid(name: str, *, again: bool) -> list[Signed]:
        sent = [bench.microgrid(name, bids[name])]
        nonce = bench.wallet._nonces[name]
        extra = [bench.cancel(name, nonce), bench.microgrid(name, bids[name])] if again else []
        return [*sent, *extra, bench.microgrid(name, bids[name])]

    joined = [
        tx
        for name in bids
        for tx in (bench.register(name), bench.meter(name), bench.deposit(name, 10**10))
    ]

    def clearings() -> list[Signed]:
        return [
            bench.clearing(certificate, sender=sender, salt=bytes([salt]) * 32)
            for sender, certificate, salt in (
                (VALIDATORS[0], best, 9),
                (VALIDATORS[1], less_green(best, bids, 1), 1),
                (VALIDATORS[2], best, 4),
                ("operator", less_green(best, bids, 500), 2),  # not within the gap
                (VALIDATORS[1], best, 6),
            )
        ]

    readings = [
        bench.reading(name, used, made, version=version)
        for version in (1, 2)
        for name, used, made in (("ann", 3_000, 0), ("bob", 900, 0), ("sun", 1_000, 3_000))
    ]
    bidding = [sent for name in bids for sent in bid(name, again=name != "bob")]
    late = [bench.microgrid(name, bids[name]) for name in bids]
    return [
        [*joined, bench.tariff(slots=2), phase(Phase.OPEN, 2)],
        [*bidding, bench.clearing(best, sender=VALIDATORS[0]), phase(Phase.CLOSED)],
        [*clearings(), *late, phase(Phase.CLEARED)],
        [phase(Phase.DELIVERED)],
        [*readings, phase(Phase.METERED)],
        [phase(Phase.SETTLED)],
        [
            bench.reading("sun", 1_000, 5_000, version=3),
            bench.reading("ann", 3_100, 0, version=4),
            phase(Phase.FINAL),
        ],
    ]


Outcome = tuple[list[bytes], dict[bytes, Verdict], list[bytes]]
"""Market roots before and after each barrier, verdicts, bill lines."""


def played(seed: int) -> Outcome:
    """A day in which each phase's transactions come in another order, every sender's in its own."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_of(keys, LOOSE), keys)
    chance = Random(seed)
    roots, lines = [], []
    for *within, ending in day():
        queues: dict[str, list[Signed]] = defaultdict(list)
        for sent in within:
            queues[decode(Envelope, sent[0]).sender].append(sent)
        tickets = [sender for sender, queue in queues.items() for _ in queue]
        chance.shuffle(tickets)
        row = [queues[sender].pop(0) for sender in tickets]
        cut = chance.randrange(len(row) + 1)
        bench.block(*row[:cut])
        bench.block(*row[cut:])
        roots.append(bench.market_root)
        lines += [document.data for document in bench.block(ending).documents]
        roots.append(bench.market_root)
    return roots, bench.told_by_id, lines


def test_the_order_inside_a_phase_changes_nothing() -> None:
    expected = played(0)
    assert set(expected[1].values()) == {
        Verdict.ACCEPTED,
        Verdict.TOO_MANY_ORDERS,
        Verdict.NOT_CLEARING,
        Verdict.GATE_CLOSED,
        Verdict.CLEARING_GAP_TOO_WIDE,
    }
    for seed in range(1, 25):
        assert played(seed) == expected, seed


def keep_the_first(call: Call, key: str, clearing: Clearing) -> None:
    if call.draft.entry(key) is None:
        call.draft.put(key, clearing, call.sealed[:32])


def keep_the_last(call: Call, key: str, clearing: Clearing) -> None:
    call.draft.put(key, clearing, call.sealed[:32])


def forget_salts(call: Call, key: str, clearing: Clearing) -> None:
    best = call.draft.get(key, Clearing)
    if best is None or bargaining._rank(clearing) < bargaining._rank(best):
        call.draft.put(key, clearing, call.sealed[:32])


@pytest.mark.parametrize("twin", [keep_the_first, keep_the_last, forget_salts])
def test_broken_twins_are_noticed(
    twin: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bargaining, "_keep_best", twin)
    assert len({played(seed)[0][4] for seed in range(8)}) > 1
