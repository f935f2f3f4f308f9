"""Goal: a bid holds what it can cost, one bid stops nobody else, and every refusal has its name.

The figures are those of `bargain_bench`, worked out by hand there.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bargain_bench import (
    DEPOSIT,
    EXPOSURE,
    NO_STORAGE,
    PRICE_MAX,
    bargain_bench,
    bid_of,
    bids_of,
)
from gridpact.contracts.bodies import (
    BidPayload,
    CloseAccount,
    Kind,
    MoneyPayload,
    PlaceBid,
    Withdraw,
)
from gridpact.contracts.genesis import BargainRules
from gridpact.contracts.keys import CLOCK, position_key
from gridpact.market.integer.microgrids.window import TERM_MAX
from gridpact.model import Clock, MicrogridBid, Phase, Role, SlotBid, SlotTariff, Verdict
from gridpact.model.microgrids import PERIODS_MAX, Storage, Turbine
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    LENGTH_S,
    MARKET,
    OTHER_LENGTH_S,
    OTHER_MARKET,
    SLOT,
    TARIFF,
    UNIT,
    Bench,
    Signed,
)

NEXT = SLOT + LENGTH_S
ANN = bids_of()["ann"]


@pytest.fixture
def bench() -> Bench:
    return bargain_bench()


def held(bench: Bench, member: str, start_s: int = SLOT) -> SlotBid:
    return bench.value(position_key("bids", member, MARKET, start_s), SlotBid)


@pytest.mark.parametrize("name", list(EXPOSURE))
def test_a_bid_holds_the_most_that_the_slot_can_cost(bench: Bench, name: str) -> None:
    bid = bids_of()[name]
    bench.accept(bench.microgrid(name, bid))
    assert bench.account(name) == (DEPOSIT - EXPOSURE[name], EXPOSURE[name])
    assert held(bench, name) == SlotBid(1, bid, EXPOSURE[name])
    assert bench.slot().orders == 0  # how many bid is told when the slot is cleared


def with_storage(**changes: int) -> MicrogridBid:
    store = {"energy_max_wh": 10, "charge_permille": 900, "discharge_permille": 900}
    numbers = {"content_min_uwh": 0, "content_max_uwh": 10**7, "content_start_uwh": 0}
    storage = Storage(**{**store, **numbers, "content_end_uwh": 0, **changes})
    return msgspec.structs.replace(ANN, storage=storage)


def with_turbine(quadratic: int, linear: int) -> MicrogridBid:
    return msgspec.structs.replace(ANN, turbine=Turbine(quadratic, linear, 1_000))


ABSURD = {
    "more green demand than load": bid_of([10], [11], [0]),
    "a loss above the most": msgspec.structs.replace(ANN, shortage_micro_per_kwh=PRICE_MAX + 1),
    "a turbine above the most": with_turbine(0, PRICE_MAX + 1),
    "a turbine whose slope is": with_turbine(500_000, 1),
    "stored more than fits": with_storage(content_start_uwh=10**7 + 1),
    "stored less than the least": with_storage(content_min_uwh=1),
    "least above most": with_storage(content_min_uwh=10**7 + 1),
    "an end that whole Wh miss": with_storage(content_end_uwh=10**7),
    "the whole world's energy": bid_of([QUANTITY_MAX], [QUANTITY_MAX], [0]),
    "so large a storage": with_storage(content_max_uwh=2**61),
}
HOURS = {
    "none": bid_of([], [], []),
    "two": bid_of([1, 1], [1, 1], [0, 0]),
    "a missing one": bid_of([1], [1], []),
    "one too many": bid_of([1], [1, 1], [0]),
    "a day too many": bid_of([1] * (PERIODS_MAX + 1), [1] * 193, [0] * 193),
}
REFUSED: dict[str, tuple[Verdict, Callable[[Bench], Signed]]] = {
    "no market": (Verdict.UNKNOWN_MARKET, lambda b: b.microgrid("ann", ANN, market="lv9")),
    "no slot": (Verdict.UNKNOWN_SLOT, lambda b: b.microgrid("ann", ANN, slot_s=NEXT)),
    "no account": (Verdict.UNKNOWN_PARTY, lambda b: b.microgrid("guest", ANN)),
    "too little money": (
        Verdict.INSUFFICIENT_FUNDS,
        lambda b: b.microgrid("ann", bid_of([1_000], [1_000], [8_000])),
    ),
    "no meter": (Verdict.METER_MISSING, lambda b: b.microgrid("eve", ANN)),
    "a market of orders": (
        Verdict.MECHANISM_WRONG,
        lambda b: b.microgrid("ann", ANN, market=OTHER_MARKET),
    ),
    **{
        name: (Verdict.WINDOW_WRONG, lambda b, bid=bid: b.microgrid("ann", bid))
        for name, bid in HOURS.items()
    },
    **{
        name: (Verdict.BID_WRONG, lambda b, bid=bid: b.microgrid("ann", bid))
        for name, bid in ABSURD.items()
    },
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_a_bid_is_named_and_leaves_no_trace(name: str) -> None:
    """Eve's meter comes after the slot has opened; the guest is a member without an account."""
    bench = bargain_bench("ann", parties=[("guest", Role.MEMBER)])
    bench.join("eve", deposit_nano=DEPOSIT)
    bench.accept(
        bench.tariff(market=OTHER_MARKET),
        bench.phase(Phase.OPEN, market=OTHER_MARKET),
    )
    verdict, write = REFUSED[name]
    bench.refuse(write(bench), verdict)
    bench.accept(bench.microgrid("ann", ANN))


def test_one_bid_a_slot_and_none_behind_the_gate(bench: Bench) -> None:
    bench.accept(bench.microgrid("ann", ANN))
    bench.refuse(bench.microgrid("ann", ANN), Verdict.TOO_MANY_ORDERS)
    bench.move(Phase.CLOSED)
    bench.refuse(bench.microgrid("bob", ANN), Verdict.GATE_CLOSED)
    bench.refuse(bench.microgrid("ann", ABSURD["so large a storage"]), Verdict.GATE_CLOSED)


def test_a_bid_of_any_other_price_fits_beside_the_dearest() -> None:
    """What fits alone fits together: prices and energies are bounded by the market's own most."""
    bench = bargain_bench("ann", "bob", deposit_nano=10**6 * UNIT)
    most_wh = TERM_MAX // (1000 * PRICE_MAX)
    cheap = bid_of([most_wh], [most_wh], [0], shortage=0)
    dear = bid_of([1], [1], [0], shortage=PRICE_MAX)
    above = bid_of([most_wh + 1], [0], [0], shortage=0)
    bench.refuse(bench.microgrid("ann", above), Verdict.BID_WRONG)
    bench.accept(bench.microgrid("ann", cheap), bench.microgrid("bob", dear))


def test_a_quantity_that_no_agreement_can_state_is_refused() -> None:
    """Free of charge everything fits a sum; but what is sold must be one number of the wire."""
    free = SlotTariff(1, 0, 0, "north", TARIFF.billing_day)
    rules = BargainRules(1_000, price_max_micro_per_kwh=1, end_micro_per_kwh=0, weights=[])
    bench = bargain_bench("ann", prices=free, rules=rules)
    store = Storage(1, 1000, 1000, 0, 10**6, 0, 0)
    bid = bid_of([0], [0], [QUANTITY_MAX], shortage=0, storage=store)
    bench.refuse(bench.microgrid("ann", bid), Verdict.BID_WRONG)
    bench.accept(bench.microgrid("ann", msgspec.structs.replace(bid, storage=NO_STORAGE)))


def test_a_cancelled_bid_frees_what_it_held_and_makes_room(bench: Bench) -> None:
    bench.accept(bench.microgrid("ann", ANN))
    bench.refuse(bench.cancel("ann", 9), Verdict.UNKNOWN_ORDER)
    bench.refuse(bench.cancel("bob", 1), Verdict.UNKNOWN_ORDER)
    bench.accept(bench.cancel("ann", 1))  # nonce 1 is the bid's
    assert bench.account("ann") == (DEPOSIT, 0)
    assert bench.entry(position_key("bids", "ann", MARKET, SLOT)) is None
    other = msgspec.structs.replace(ANN, shortage_micro_per_kwh=1)
    bench.accept(bench.microgrid("ann", other))
    assert held(bench, "ann").bid == other
    bench.move(Phase.CLOSED)
    bench.refuse(bench.cancel("ann", held(bench, "ann").nonce), Verdict.GATE_CLOSED)


def test_an_order_is_not_for_a_market_of_bargains(bench: Bench) -> None:
    bench.refuse(bench.bid("ann", 200_000, 1), Verdict.MECHANISM_WRONG)


def test_a_member_with_a_bid_stays(bench: Bench) -> None:
    bench.accept(bench.microgrid("ann", ANN))
    close = CloseAccount("ann", 0)
    bench.accept(bench.write("operator", Kind.CLOSE_ACCOUNT, close))
    bench.move(Phase.CLOSED)
    assert bench.events["claim/operator/11"] == Verdict.ACCOUNT_IN_USE
    assert bench.account("ann") == (DEPOSIT - EXPOSURE["ann"], EXPOSURE["ann"])


# Windows


def fits(bench: Bench, periods: int, start_s: int, *others: int) -> None:
    """A bid fits with so many periods and with no others."""
    for count in others:
        bid = bids_of(count)["ann"]
        bench.refuse(bench.microgrid("ann", bid, slot_s=start_s), Verdict.WINDOW_WRONG)
    bench.accept(bench.microgrid("ann", bids_of(periods)["ann"], slot_s=start_s))


def test_the_window_shrinks_to_the_end_of_what_was_opened_together() -> None:
    bench = bargain_bench(slots=3)
    for place in range(3):
        here = 3 - place
        fits(bench, here, SLOT + place * LENGTH_S, here - 1, here + 1)


def test_the_window_ends_with_the_billing_day() -> None:
    bench = bargain_bench("ann", slots=0)
    bench.accept(
        bench.tariff(slots=2),
        bench.tariff(
            msgspec.structs.replace(TARIFF, billing_day="2023-11-15"),
            first_s=SLOT + 2 * LENGTH_S,
            slots=2,
        ),
    )
    bench.move(Phase.OPEN, slots=4)
    for place, periods in enumerate((2, 1, 2, 1)):
        fits(bench, periods, SLOT + place * LENGTH_S, 3, 4)


def test_slots_that_open_later_do_not_widen_a_window() -> None:
    """A bid that fitted would not fit any more, and nobody could be cleared."""
    bench = bargain_bench("ann", slots=2)
    bench.accept(bench.microgrid("ann", bids_of(2)["ann"]))
    bench.open(first_s=NEXT + LENGTH_S, slots=2)
    fits(bench, 1, NEXT, 2, 3)
    fits(bench, 2, NEXT + LENGTH_S, 1, 3)


def test_slots_that_opened_earlier_are_part_of_a_window() -> None:
    bench = bargain_bench("ann", slots=0)
    bench.open(first_s=NEXT)
    bench.open()
    fits(bench, 1, NEXT, 2)
    fits(bench, 2, SLOT, 1, 3)


def test_a_window_ends_after_two_days_of_quarter_hours() -> None:
    bench = bargain_bench("ann", slots=PERIODS_MAX + 1, deposit_nano=100 * UNIT)
    bid = bid_of([1] * PERIODS_MAX, [1] * PERIODS_MAX, [0] * PERIODS_MAX)
    bench.accept(bench.microgrid("ann", bid))
    bench.accept(bench.microgrid("ann", bid, slot_s=NEXT))


def test_the_price_of_missing_content_counts_where_the_window_is_one_slot() -> None:
    """0.20 for each kWh that a storage may lack after the window, if that is now."""
    store = Storage(0, 1000, 1000, 0, 5_000 * 10**6, 0, 2_000 * 10**6)
    for periods, more_nano in ((2, 0), (1, 400_000_000)):
        bench = bargain_bench("ann", slots=periods)
        bid = msgspec.structs.replace(bids_of(periods)["ann"], storage=store)
        bench.accept(bench.microgrid("ann", bid))
        assert bench.account("ann")[1] == EXPOSURE["ann"] + more_nano


def test_a_turbine_may_be_what_the_slot_costs() -> None:
    """Of 1,000 Wh at 0.085, and 15 pico x 1,000^2; 3,000 Wh are no more than 3,000 Wh of load."""
    for most_wh, more_nano in ((1_000, 85_000_000 + 15_000), (9_000, 255_000_000 + 135_000)):
        bench = bargain_bench("ann")
        bid = msgspec.structs.replace(ANN, turbine=Turbine(15, 85_000, most_wh))
        bench.accept(bench.microgrid("ann", bid))
        assert bench.account("ann")[1] == EXPOSURE["ann"] + more_nano


# Expiry


def test_transactions_expire_against_the_gates_of_their_own_market() -> None:
    bench = bargain_bench("ann")
    bench.accept(bench.tariff(market=OTHER_MARKET, first_s=SLOT + OTHER_LENGTH_S))
    there = SLOT + OTHER_LENGTH_S
    for phase in (Phase.OPEN, Phase.CLOSED):
        bench.accept(bench.phase(phase, market=OTHER_MARKET, first_s=there))
    assert bench.value(CLOCK, Clock).closed_s == [0, there]
    body, payload = PlaceBid(MARKET, SLOT), BidPayload(ANN)
    bench.accept(bench.write("ann", Kind.BID, body, payload, expiry_s=0))
    # what names no market expires against the latest of all gates
    money = MoneyPayload(1, "out")
    late = bench.write("ann", Kind.WITHDRAW, Withdraw(0), money, expiry_s=there - 1)
    bench.refuse(late, Verdict.EXPIRED)
    bench.accept(bench.write("ann", Kind.WITHDRAW, Withdraw(0), money, expiry_s=there))
