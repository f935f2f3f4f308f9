"""Goal: a clearing counts because it proves itself, the best one does, and none leaves all free.

The figures are those of `bargain_bench`, worked out by hand there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import msgspec
import pytest

from bargain_bench import (
    DEPOSIT,
    ESCROW,
    NO_STORAGE,
    RULES,
    TRANSFERS,
    bargain_bench,
    bid_of,
    bids_of,
    certified,
    closed_bench,
    less_green,
    terms_of,
    with_other_duals,
    with_passing,
)
from gridpact.contracts.bodies import CloseAccount, Kind
from gridpact.contracts.genesis import BargainWeight
from gridpact.contracts.keys import clearing_key
from gridpact.market.integer.microgrids import plan_of
from gridpact.market.integer.microgrids.packing import pack
from gridpact.model import Agreement, Certificate, Flow, MicrogridBid, Phase, SlotTariff, Verdict
from gridpact.model.microgrids import Clearing, Column, Storage
from ledger_bench import LENGTH_S, MARKET, OTHER_MARKET, SLOT, TARIFF, VALIDATORS, Bench

NEXT = SLOT + LENGTH_S
KEY = clearing_key(MARKET, SLOT)
LOOSE = msgspec.structs.replace(RULES, gap_ppb=10**6)
"""A market that allows a thousandth."""
COMPENSATION = 360_000
"""Loss and import."""


@pytest.fixture
def bench() -> Bench:
    return closed_bench()


@pytest.fixture(scope="module")
def sound() -> Certificate:
    return certified(bids_of())


def free(bench: Bench) -> bool:
    """Whether nothing is held for anybody."""
    return all(bench.account(name) == (DEPOSIT, 0) for name in bids_of())


def transfers(bench: Bench, *names: str) -> dict[str, int]:
    """What was agreed that each receives."""
    agreed = {name: bench.agreement(name) for name in names or bids_of()}
    return {name: each.transfer_nano for name, each in agreed.items() if each is not None}


# What comes of a clearing


def test_the_bargain_of_three_by_hand(bench: Bench, sound: Certificate) -> None:
    bench.accept(bench.clearing(sound))
    bench.move(Phase.CLEARED)
    to_ann, to_bob = (Flow(name, wh, COMPENSATION) for name, wh in (("ann", 3_000), ("bob", 1_000)))
    expected = {
        "ann": Agreement(-660_000_000, 3_000, 0, 0, 0, [], [Flow("sun", 3_000, COMPENSATION)], 0),
        "bob": Agreement(-40_000_000, 1_000, 0, 0, 0, [], [Flow("sun", 1_000, COMPENSATION)], 0),
        "sun": Agreement(700_000_000, 1_000, 0, 0, 0, [to_ann, to_bob], [], 0),
    }
    for name, agreement in expected.items():
        held = msgspec.structs.replace(agreement, escrow_nano=ESCROW[name])
        assert bench.agreement(name) == held
        assert bench.account(name) == (DEPOSIT - ESCROW[name], ESCROW[name])
    slot = bench.slot()
    assert (slot.phase, slot.orders, slot.trades) == (Phase.CLEARED, 3, 2)
    assert (slot.traded_wh, slot.turnover_nano) == (4_000, 700_000_000)
    assert bench.entry(KEY) is None


def test_without_a_clearing_nobody_trades_and_all_is_free(bench: Bench) -> None:
    bench.move(Phase.CLEARED)
    slot = bench.slot()
    assert (slot.phase, slot.orders) == (Phase.CLEARED, 3)
    assert (slot.trades, slot.traded_wh, slot.turnover_nano) == (0, 0, 0)
    assert free(bench)
    assert [bench.agreement(name) for name in bids_of()] == [None] * 3


def test_a_slot_without_bids_goes_its_way() -> None:
    bench = bargain_bench()
    bench.move(Phase.CLOSED)
    bench.refuse(bench.clearing(certified(bids_of())), Verdict.NOT_CLEARING)
    bench.move(Phase.CLEARED)
    assert bench.slot().orders == bench.slot().trades == 0


def test_a_clearing_in_which_nobody_gains_binds_to_own_plans_only() -> None:
    """Nobody has green power: no trade, no transfer, and nothing stays held."""
    bids = {name: bid_of([1_000], [500], [0]) for name in ("ann", "bob")}
    bench = closed_bench(bids)
    bench.accept(bench.clearing(certified(bids)))
    bench.move(Phase.CLEARED)
    for name in bids:
        assert bench.agreement(name) == Agreement(0, 0, 0, 0, 0, [], [], 0)
        assert bench.account(name) == (DEPOSIT, 0)
    assert bench.slot().trades == 0


def test_only_the_first_slot_of_a_window_is_agreed() -> None:
    bench = closed_bench(bids_of(2))
    bench.accept(bench.clearing(certified(bids_of(2))))
    bench.move(Phase.CLEARED)
    assert transfers(bench) == TRANSFERS
    assert bench.slot().traded_wh == 4_000
    assert bench.slot(NEXT).phase == Phase.OPEN
    assert bench.agreement("ann", NEXT) is None


def test_what_merely_passes_through_is_no_trade() -> None:
    """Free of fees a plan may let the sun sell and purchase the same; it would then owe
    compensation for energy that is not its own."""
    prices = SlotTariff(300_000, 80_000, 0, "north", TARIFF.billing_day)
    terms = terms_of(1, prices)
    bench = bargain_bench(prices=prices)
    bench.accept(*(bench.microgrid(name, bid) for name, bid in bids_of().items()))
    bench.move(Phase.CLOSED)
    passing = with_passing(certified(bids_of(), terms), bids_of(), terms, 100)
    plan = plan_of(passing, 3, 1)
    assert plan[Column.SELL, 2, 0] == 4_100
    assert plan[Column.PURCHASE, 2, 0] == 100
    bench.accept(bench.clearing(passing))
    bench.move(Phase.CLEARED)
    sun = bench.agreement("sun")
    assert sun is not None
    assert [flow.energy_wh for flow in sun.sales] == [3_000, 1_000]
    assert sun.purchases == []
    assert bench.slot().traded_wh == 4_000


# When one may be proposed


def test_clearings_are_for_closed_slots_of_markets_that_bargain(
    bench: Bench, sound: Certificate
) -> None:
    bench.accept(bench.tariff(market=OTHER_MARKET), bench.tariff(first_s=NEXT))
    bench.move(Phase.CLEARED)
    bench.accept(bench.phase(Phase.OPEN, market=OTHER_MARKET))
    bench.move(Phase.OPEN, first_s=NEXT)
    bench.refuse(bench.clearing(sound, market="lv9"), Verdict.UNKNOWN_MARKET)
    bench.refuse(bench.clearing(sound, slot_s=NEXT + LENGTH_S), Verdict.UNKNOWN_SLOT)
    bench.refuse(bench.clearing(sound, market=OTHER_MARKET), Verdict.MECHANISM_WRONG)
    bench.refuse(bench.clearing(sound), Verdict.NOT_CLEARING)  # cleared
    bench.accept(bench.microgrid("ann", bids_of()["ann"], slot_s=NEXT))
    bench.refuse(bench.clearing(sound, slot_s=NEXT), Verdict.NOT_CLEARING)  # open


def test_a_clearing_of_another_slot_or_of_other_bids_proves_nothing(sound: Certificate) -> None:
    bids = {**bids_of(), "ann": bid_of([3_000], [2_000], [1])}
    bench = closed_bench(bids)
    bench.refuse(bench.clearing(sound), Verdict.CLEARING_GREEN_UNBALANCED)
    bench.refuse(bench.clearing(certified(bids_of(2))), Verdict.CLEARING_SHAPE_WRONG)
    bench.accept(bench.clearing(certified(bids)))


# Tampering


def nudged(name: str, place: int, by: int) -> Callable[[Certificate], Certificate]:
    """One number of a list changed."""

    def change(certificate: Certificate) -> Certificate:
        numbers = list(getattr(certificate, name))
        numbers[place] += by
        return msgspec.structs.replace(certificate, **{name: numbers})

    return change


def moved(column: Column, by: int, microgrid: int = 0) -> Callable[[Certificate], Certificate]:
    """One quantity of the joint plan changed."""

    def change(certificate: Certificate) -> Certificate:
        plan = plan_of(certificate, 3, 1).copy()
        plan[column, microgrid, 0] += by
        return msgspec.structs.replace(certificate, plan=pack(plan))

    return change


def without_duals(name: str) -> Callable[[Certificate], Certificate]:
    def change(certificate: Certificate) -> Certificate:
        return msgspec.structs.replace(certificate, **{name: bytes(9) * 3})

    return change


TAMPERED: dict[str, tuple[Verdict, Callable[[Certificate], Certificate]]] = {
    "bytes cut": (
        Verdict.CLEARING_SHAPE_WRONG,
        lambda c: msgspec.structs.replace(c, plan=c.plan[:-1]),
    ),
    "a microgrid less": (
        Verdict.CLEARING_SHAPE_WRONG,
        lambda c: msgspec.structs.replace(c, cost_nano=c.cost_nano[:-1]),
    ),
    "more than the load": (Verdict.CLEARING_LIMIT_BROKEN, moved(Column.BUY, 3_001)),
    "less than nothing": (Verdict.CLEARING_LIMIT_BROKEN, moved(Column.BUY, -1)),
    "green power from nowhere": (Verdict.CLEARING_GREEN_UNBALANCED, moved(Column.PURCHASE, -1)),
    "more power than load": (Verdict.CLEARING_POWER_UNBALANCED, moved(Column.BUY, 1)),
    "contents that do not follow": (Verdict.CLEARING_LIMIT_BROKEN, moved(Column.CONTENT, 1)),
    "a plan's cost": (Verdict.CLEARING_COST_WRONG, nudged("cost_nano", 1, 1)),
    "prices": (Verdict.CLEARING_GAP_TOO_WIDE, without_duals("duals")),
    "a cost alone": (Verdict.CLEARING_ALONE_COST_WRONG, nudged("alone_cost_nano", 0, 1)),
    "prices alone": (Verdict.CLEARING_ALONE_GAP_TOO_WIDE, without_duals("alone_duals")),
    "a transfer": (Verdict.CLEARING_TRANSFERS_WRONG, nudged("transfer_nano", 2, 1)),
    "a first transfer": (
        Verdict.CLEARING_FIRST_TRANSFERS_WRONG,
        nudged("first_transfer_nano", 0, -1),
    ),
}


@pytest.mark.parametrize("name", list(TAMPERED))
def test_whatever_is_tampered_with_is_refused_by_its_name(
    bench: Bench, sound: Certificate, name: str
) -> None:
    verdict, change = TAMPERED[name]
    bench.refuse(bench.clearing(change(sound)), verdict)
    bench.move(Phase.CLEARED)
    assert free(bench)


def test_two_wrongs_that_cancel_are_no_clearing(bench: Bench, sound: Certificate) -> None:
    """A nano from the sun to Ann: the sum is right, the shares are not."""
    shifted = nudged("first_transfer_nano", 0, 1)(nudged("first_transfer_nano", 2, -1)(sound))
    bench.refuse(bench.clearing(shifted), Verdict.CLEARING_FIRST_TRANSFERS_WRONG)


# Competing clearings


def test_the_cheapest_counts_whatever_the_order_and_the_proposer() -> None:
    bids = bids_of(2)
    best = certified(bids)
    worse, worst = (less_green(best, bids, wh) for wh in (1, 1_000))
    roots = set()
    for order in permutations((best, worse)):
        bench = closed_bench(bids, LOOSE)
        bench.refuse(bench.clearing(worst), Verdict.CLEARING_GAP_TOO_WIDE)
        for sender, certificate in zip(VALIDATORS, order, strict=False):
            salt = (b"\x01" if certificate is best else b"\x02") * 32
            bench.accept(bench.clearing(certificate, sender=sender, salt=salt))
        kept = bench.value(KEY, Clearing)
        assert kept.costs_nano == sum(best.cost_nano) + sum(best.alone_cost_nano)
        roots.add(bench.application.state.entries[KEY].content())
        bench.move(Phase.CLEARED)
        assert bench.slot().traded_wh == 4_000
    assert len(roots) == 1


def test_who_copies_a_clearing_leaves_no_trace_of_its_order(sound: Certificate) -> None:
    """Equal costs: the smaller hash, and of one and the same certificate the smaller salt."""
    other = with_other_duals(sound, bids_of())
    assert other != sound
    assert other.cost_nano == sound.cost_nano
    sent = [(sound, 7), (sound, 9), (other, 8), (other, 5)]
    contents = set()
    for order in permutations(sent):
        bench = closed_bench()
        for certificate, salt in order:
            bench.accept(bench.clearing(certificate, salt=bytes([salt]) * 32))
        contents.add(bench.application.state.entries[KEY].content())
    assert len(contents) == 1


# Who is left out

TINY = bid_of([3, 2], [0, 0], [5, 0], storage=Storage(7, 700, 700, 0, 9 * 10**6, 10**6, 7 * 10**6))
"""Whole Wh cost so small a storage more than any share of its turnover."""


def test_a_tiny_microgrid_can_be_proved_with_the_others() -> None:
    bids = {**bids_of(2), "mite": TINY}
    bench = closed_bench(bids)
    bench.accept(bench.clearing(certified(bids)))
    bench.move(Phase.CLEARED)
    assert bench.agreement("mite") is not None


def test_one_bid_that_is_left_out_does_not_keep_others_from_clearing() -> None:
    bids = {**bids_of(2), "mite": TINY}
    bench = closed_bench(bids, LOOSE)
    three = certified(bids_of(2))
    bench.refuse(bench.clearing(three), Verdict.CLEARING_SHAPE_WRONG)
    bench.accept(bench.clearing(three, "mite"))
    bench.move(Phase.CLEARED)
    assert bench.agreement("mite") is None
    assert bench.account("mite") == (DEPOSIT, 0)
    assert transfers(bench) == TRANSFERS
    assert (bench.slot().orders, bench.slot().traded_wh) == (4, 4_000)


def test_who_leaves_out_somebody_without_need_loses(sound: Certificate) -> None:
    """However cheap the others' clearing is: leaving out whoever has the largest bill is cheap."""
    pair = {name: bid for name, bid in bids_of().items() if name != "ann"}
    two = certified(pair)
    assert sum(two.cost_nano) < sum(sound.cost_nano)
    for first, second in permutations((("ann",), ())):
        bench = closed_bench()
        for left_out in (first, second):
            bench.accept(bench.clearing(two if left_out else sound, *left_out))
        assert bench.value(KEY, Clearing).left_out == []
        bench.move(Phase.CLEARED)
        assert bench.slot().traded_wh == 4_000


def test_of_two_who_bid_the_same_the_order_does_not_say_who_is_left_out() -> None:
    """Their clearings without one or the other are the same bytes, even salted alike."""
    bids = {**bids_of(), "bob": bids_of()["ann"]}
    two = certified({name: bids[name] for name in ("ann", "sun")})
    contents = set()
    for first, second in permutations(("ann", "bob")):
        bench = closed_bench(bids)
        for left_out in (first, second):
            bench.accept(bench.clearing(two, left_out, salt=b"\x01" * 32))
        contents.add(bench.application.state.entries[KEY].content())
    assert len(contents) == 1


@pytest.mark.parametrize(
    "left_out",
    [("eve",), ("bob", "ann"), ("ann", "ann"), ("ann", "eve"), ("ann", "bob", "sun")],
)
def test_who_is_left_out_has_bid_and_is_named_once_in_order(
    bench: Bench, sound: Certificate, left_out: tuple[str, ...]
) -> None:
    bench.refuse(bench.clearing(sound, *left_out), Verdict.LEFT_OUT_WRONG)


def stored_for_later() -> tuple[dict[str, MicrogridBid], SlotTariff]:
    """All of the sun is worth more in the second slot, so the first costs all three money."""
    store = Storage(5_000, 1000, 1000, 0, 5_000 * 10**6, 0, 0)
    sun = bid_of([0, 0], [0, 0], [5_000, 0], storage=store)
    bids = {
        "ann": bid_of([3_000, 5_000], [0, 5_000], [0, 0]),
        "bob": bid_of([1, 0], [0, 0], [0, 0], storage=NO_STORAGE),
        "sun": sun,
    }
    return bids, SlotTariff(900_000, 70_000, 20_000, "north", TARIFF.billing_day)


def test_a_deposit_that_a_losing_slot_exceeds_is_named_and_can_be_left_out() -> None:
    """The sun gives up exports for 0.40 now; a third of it is more than Bob's single Wh holds."""
    bids, dear = stored_for_later()
    bench = bargain_bench(slots=0, deposit_nano=2 * DEPOSIT)
    bench.accept(bench.tariff(), bench.tariff(dear, first_s=NEXT))
    bench.move(Phase.OPEN, slots=2)
    bench.accept(*(bench.microgrid(name, bid) for name, bid in bids.items()))
    bench.move(Phase.CLOSED)
    terms = msgspec.structs.replace(
        terms_of(2),
        retail_micro_per_kwh=[300_000, 900_000],
        feed_in_micro_per_kwh=[80_000, 70_000],
    )
    all_three = certified(bids, terms)
    assert all_three.first_transfer_nano == [-133_333_333, -133_333_333, 266_666_666]
    bench.refuse(bench.clearing(all_three), Verdict.DEPOSIT_SHORT)
    del bids["bob"]
    bench.accept(bench.clearing(certified(bids, terms), "bob"))
    bench.move(Phase.CLEARED)
    assert transfers(bench, "ann", "sun") == {"ann": -200_000_000, "sun": 200_000_000}
    assert bench.account("bob") == (2 * DEPOSIT, 0)


# Weights


def weighted(**weights: int) -> Bench:
    named = [BargainWeight(name, weight) for name, weight in weights.items()]
    return closed_bench(rules=msgspec.structs.replace(RULES, weights=named))


def test_gains_are_in_proportion_to_weights_and_one_where_none_is_named() -> None:
    """0.90 in parts of 1, 0 and 2; the absent party's weight counts for nothing."""
    bench = weighted(bob=0, sun=2, eve=7)
    bench.refuse(bench.clearing(certified(bids_of())), Verdict.CLEARING_TRANSFERS_WRONG)
    bench.accept(bench.clearing(certified(bids_of(), weights=[1, 0, 2])))
    bench.move(Phase.CLEARED)
    assert list(transfers(bench).values()) == [-660_000_000, -340_000_000, 1_000_000_000]


def test_without_any_weight_there_is_no_bargain_and_no_harm() -> None:
    bench = weighted(ann=0, bob=0, sun=0)
    bench.refuse(bench.clearing(certified(bids_of())), Verdict.CLEARING_BIDS_WRONG)
    bench.move(Phase.CLEARED)
    assert free(bench)


# What stays of it


def test_a_clearing_is_sealed_with_its_proposers_salt(bench: Bench, sound: Certificate) -> None:
    """Bids and agreements are salted from their owners' secrets, clearings by the payload's."""
    bench.accept(bench.clearing(sound, salt=b"\x5a" * 32))
    entry = bench.entry(KEY)
    assert entry is not None
    assert entry.salt == b"\x5a" * 32
    for name in bids_of():
        for what in ("bids", "account"):
            keys = [key for key in bench.application.state.entries if key.startswith(what)]
            salts = {bench.application.state.entries[key].salt for key in keys}
            assert len(salts) == len(keys) == 3, name
            assert b"" not in salts


def test_a_member_with_the_markets_name_takes_no_clearing_along(sound: Certificate) -> None:
    """The second part of a clearing's key is a market, of most private keys it is the owner."""
    bench = bargain_bench()
    bench.accept(*(bench.microgrid(name, bid) for name, bid in bids_of().items()))
    bench.accept(bench.register(MARKET))
    bench.move(Phase.CLOSED)
    bench.accept(bench.clearing(sound))
    bench.accept(bench.write("operator", Kind.CLOSE_ACCOUNT, CloseAccount(MARKET, 0)))
    bench.move(Phase.CLEARED)
    assert bench.events["claim/operator/14"] == Verdict.ACCEPTED
    assert bench.slot().traded_wh == 4_000
