"""Bids and clearings with every fault that they can have, for the table of verdicts.

Max, Ned and the sun bargain as Ann, Bob and the sun of `bargain_bench`, but for what some faults
need: Max has a turbine just cheaper than the grid and no weight, Ned and the sun have a storage.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import msgspec
import numpy as np
from tests.bargain_bench import Proof, bid_of, bids_of, certified, proof_of, proved, terms_of
from tests.ledger_bench import DAY, LENGTH_S, MARKET, SLOT, TARIFF, Bench

from gridpact.contracts.bodies import BidPayload, PlaceBid, ProposeClearing
from gridpact.contracts.genesis import BargainRules, BargainWeight, Market
from gridpact.market.integer.microgrids.packing import pack
from gridpact.model import AccountMode, Certificate, MicrogridBid, Phase, SlotTariff, TieRule
from gridpact.model.microgrids import Column, Storage, Turbine
from gridpact.units import QUANTITY_MAX

BARGAINS = "mg"
"""A market of bargains."""
ASKED_S, ASKING_S, UNASKED_S, DEFERRED_S = (SLOT + i * 2 * LENGTH_S for i in range(4))
"""Slots: closed with three bids, open with one, closed without any, and the first of two in which
energy is stored for the second."""
LATER_S = DEFERRED_S + 4 * LENGTH_S
MARKET_OF_BARGAINS = Market(
    BARGAINS,
    LENGTH_S,
    TieRule.PRO_RATA,
    1,
    0,
    BargainRules(10**6, 1_000_000, 200_000, [BargainWeight("max", 0)]),
    None,
)
EVENING = SlotTariff(900_000, 70_000, 20_000, "north", DAY)
WEIGHTS = {"max": 0, "ned": 1, "sun": 1}
STORE = Storage(100, 1000, 1000, 0, 10**8, 10**7, 10**7)


def bids() -> dict[str, MicrogridBid]:
    """Of the closed slot."""
    ann, bob, sun = bids_of().values()
    return {
        "max": msgspec.structs.replace(ann, turbine=Turbine(0, 299_500, 1_000)),
        "ned": msgspec.structs.replace(bob, storage=STORE),
        "sun": msgspec.structs.replace(sun, storage=STORE),
    }


def deferred() -> dict[str, MicrogridBid]:
    """All sun is worth more in the second slot; Ned's one Wh cannot pay a part of waiting."""
    store = Storage(5_000, 1000, 1000, 0, 5_000 * 10**6, 0, 0)
    return {
        "max": bid_of([3_000, 5_000], [0, 5_000], [0, 0]),
        "ned": bid_of([1, 0], [0, 0], [0, 0]),
        "sun": bid_of([0, 0], [0, 0], [5_000, 0], storage=store),
    }


def open_bargains(bench: Bench) -> None:
    """All that the rows are about."""
    bench.join(*WEIGHTS, mode=AccountMode.POSTPAID)
    alone = (ASKED_S, ASKING_S, UNASKED_S, DEFERRED_S)
    for first_s in alone:
        bench.accept(bench.tariff(first_s=first_s, market=BARGAINS))
    bench.accept(bench.tariff(EVENING, first_s=DEFERRED_S + LENGTH_S, market=BARGAINS))
    for first_s in alone:
        slots = 2 if first_s == DEFERRED_S else 1
        bench.accept(bench.phase(Phase.OPEN, first_s=first_s, slots=slots, market=BARGAINS))
    for start_s, asked in ((ASKED_S, bids()), (DEFERRED_S, deferred())):
        for name, bid in asked.items():
            bench.accept(bench.microgrid(name, bid, slot_s=start_s, market=BARGAINS))
    bench.accept(bench.microgrid("max", bids()["max"], slot_s=ASKING_S, market=BARGAINS))
    for first_s in (ASKED_S, UNASKED_S, DEFERRED_S):
        bench.accept(bench.phase(Phase.CLOSED, first_s=first_s, market=BARGAINS))


Make = Callable[..., object]


def microgrids(make: Make, odd: object, auditor: str, guest: str, order_s: int) -> list[object]:
    """Rows of bids."""
    none, shut = PlaceBid("lv9", 1), PlaceBid(BARGAINS, ASKED_S)
    here, elsewhere = PlaceBid(BARGAINS, ASKING_S), PlaceBid(MARKET, order_s)
    ann = bids_of()["ann"]
    absurd = BidPayload(bid_of([QUANTITY_MAX], [0], [QUANTITY_MAX]))
    long = BidPayload(bid_of([9, 9], [99, 9], [0, 0]))
    good = BidPayload(ann)
    return [
        make("expired, odd payload, no role, no market", auditor, none, odd, 0),
        make("odd payload, no role, no market", auditor, none, odd),
        make("no role, no market", auditor, none, absurd),
        make("no market, no account, absurd", guest, none, absurd),
        make("no slot, no account, absurd", guest, PlaceBid(BARGAINS, LATER_S), absurd),
        make("no account, gate closed, absurd", guest, shut, absurd),
        make("gate closed, another bid, absurd", "max", shut, absurd),
        make("another bid, absurd", "max", here, absurd),
        make("no funds, no meter", "eve", here, good),
        make("no meter, two slots for one", "eve", here, long),
        make("a market of orders, two slots for one", "dan", elsewhere, long),
        make("two slots for one, more green than load", "ned", here, long),
        make("absurd", "ned", here, absurd),
        make("", "ned", here, good),
    ]


@cache
def sound() -> Certificate:
    return certified(bids(), weights=list(WEIGHTS.values()))


Change = Callable[[Proof], None]


def spoilt(change: Change) -> Certificate:
    """The sound certificate with other arrays, and otherwise what it was."""
    proof = proof_of(sound(), 3, 1)
    change(proof)
    return msgspec.structs.replace(
        sound(),
        plan=pack(proof.plan),
        duals=pack(proof.duals),
        alone_plan=pack(proof.alone_plan),
        alone_duals=pack(proof.alone_duals),
    )


def at(name: str, column: Column, microgrid: int, by: int) -> Certificate:
    """One number of a plan changed; microgrids are max, ned and sun."""

    def change(proof: Proof) -> None:
        getattr(proof, name)[column, microgrid, 0] += by

    return spoilt(change)


def untraded(proof: Proof) -> None:
    """Max purchases a Wh less than is sold to him."""
    proof.plan[[Column.PURCHASE, Column.GREEN_OTHER], 0, 0] -= 1
    proof.plan[Column.BUY, 0, 0] += 1


def zero(name: str) -> Certificate:
    def change(proof: Proof) -> None:
        getattr(proof, name)[:] = 0

    return spoilt(change)


def huge(proof: Proof) -> None:
    proof.duals[0, 0, 0] = 2**45


def nudged(name: str) -> Certificate:
    first, *rest = getattr(sound(), name)
    return msgspec.structs.replace(sound(), **{name: [first + 1, *rest]})


def pair(change: Change) -> Certificate:
    """A certificate of Max and Ned alone, who have nothing to share, after a change of plans."""
    two = {name: bid for name, bid in bids().items() if name != "sun"}
    proof = proof_of(certified(two, weights=[0, 1]), 2, 1)
    change(proof)
    return proved(proof, terms_of(), list(two.values()), [0, 1], keep=True)


def dearer(proof: Proof) -> None:
    """Max burns a Wh less than he could, in the joint plan only."""
    proof.plan[[Column.TURBINE, Column.BUY], 0, 0] += np.array([-1, 1])


def in_vain(proof: Proof) -> None:
    """Ned sells a Wh to himself, and fees eat what Max saves over a bad plan of his own."""
    proof.plan[[Column.SELL, Column.PURCHASE], 1, 0] += 1
    wasted = np.array([-80, 80])  # x 500 nano = fees of 2 x 20,000 nano
    proof.alone_plan[[Column.TURBINE, Column.BUY], 0, 0] += wasted


def clearings(make: Make, odd: object, auditor: str, operator: str, order_s: int) -> list[object]:
    """Rows of clearings."""
    unread = Certificate(b"", b"", b"", b"", b"", [], [], [], [])

    def here(*left_out: str, start_s: int = ASKED_S, market: str = BARGAINS) -> ProposeClearing:
        return ProposeClearing(market, start_s, list(left_out))

    def one(faults: str, certificate: Certificate, *left_out: str) -> object:
        return make(faults, operator, here(*left_out), certificate)

    loss = certified(deferred(), later_terms(), list(WEIGHTS.values()))
    short = msgspec.structs.replace(sound(), plan=b"")
    return [
        make("expired, odd payload, no role, no market", auditor, here(market="lv9"), odd, 0),
        make("odd payload, no role, no market", auditor, here(market="lv9"), odd),
        make("no role, no market", auditor, here(market="lv9"), unread),
        make("no market", operator, here(market="lv9"), unread),
        make("no slot, eve left out", operator, here("eve", start_s=LATER_S), unread),
        make("orders", operator, here("eve", start_s=order_s, market=MARKET), unread),
        make("open, eve left out", operator, here("eve", start_s=ASKING_S), unread),
        make("no bids, eve left out", operator, here("eve", start_s=UNASKED_S), unread),
        one("eve left out, unreadable", unread, "eve"),
        one("all left out, unreadable", unread, "max", "ned", "sun"),
        one("out of order, unreadable", unread, "sun", "ned"),
        one("only who has no weight is left, unreadable", unread, "ned", "sun"),
        one("unreadable", unread),
        one("no plan", short),
        one("of three, for two", sound(), "sun"),
        one("a dual beyond all bounds", spoilt(huge)),
        one("less than nothing", at("plan", Column.BUY, 1, -1)),
        one("a Wh of green power goes nowhere", at("plan", Column.EXPORT, 2, 1)),
        one("a Wh more than the load", at("plan", Column.BUY, 0, 1)),
        one("stored from nowhere", at("plan", Column.CONTENT, 2, 1)),
        one("sold, and not purchased", spoilt(untraded)),
        one("another cost", nudged("cost_nano")),
        one("no duals", zero("duals")),
        one("alone: less than nothing", at("alone_plan", Column.EXPORT, 0, -1)),
        one("alone: a Wh of green power goes nowhere", at("alone_plan", Column.EXPORT, 2, -1)),
        one("alone: a Wh less than the load", at("alone_plan", Column.BUY, 0, -1)),
        one("alone: stored from nowhere", at("alone_plan", Column.CONTENT, 2, 1)),
        one("alone: another cost", nudged("alone_cost_nano")),
        one("alone: no duals", zero("alone_duals")),
        one("together dearer than alone", pair(dearer), "sun"),
        one("trade, and nobody gains", pair(in_vain), "sun"),
        one("another transfer", nudged("transfer_nano")),
        one("another first transfer", nudged("first_transfer_nano")),
        make("a slot that costs more than held", operator, here(start_s=DEFERRED_S), loss),
        one("", sound()),
        one("", pair(lambda _: None), "sun"),
    ]


def later_terms() -> object:
    return msgspec.structs.replace(
        terms_of(2),
        retail_micro_per_kwh=[TARIFF.retail_micro_per_kwh, EVENING.retail_micro_per_kwh],
        feed_in_micro_per_kwh=[TARIFF.feed_in_micro_per_kwh, EVENING.feed_in_micro_per_kwh],
    )
