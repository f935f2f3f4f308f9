"""Goal: prices are set before a slot opens, leave room for trade, and are fixed from then on."""

from __future__ import annotations

import pytest

from gridpact.contracts.bodies import Claim, Kind
from gridpact.contracts.genesis import DEFAULT_LIMITS
from gridpact.contracts.keys import claim_key, tariff_key
from gridpact.ledger import Account, system_key
from gridpact.model import AccountMode, Phase, Role, SlotTariff, Verdict
from gridpact.node import SimulatedKeys
from gridpact.units import INT64_MAX, QUANTITY_MAX
from ledger_bench import (
    DAY,
    LENGTH_S,
    MARKET,
    OTHER_LENGTH_S,
    OTHER_MARKET,
    PRICES,
    SLOT,
    TARIFF,
    UNIT,
    Bench,
    genesis_with,
)

CHEAP = SlotTariff(200_000, 50_000, 10_000, "south", DAY)
LIMIT = DEFAULT_LIMITS.slots_per_phase
SECOND = "prices-b"


@pytest.fixture
def bench() -> Bench:
    keys = SimulatedKeys(7)
    return Bench(genesis_with(keys, parties=[(SECOND, Role.PRICE_AUTHORITY)]), keys)


def barrier(bench: Bench) -> None:
    """A slot far away opens."""
    start_s = SLOT + 10_000 * LENGTH_S + LENGTH_S * bench.application.phase
    bench.accept(bench.tariff(first_s=start_s))
    bench.move(Phase.OPEN, first_s=start_s)


def test_prices_wait_for_the_barrier_and_then_lie_ready(bench: Bench) -> None:
    bench.accept(bench.tariff(CHEAP, slots=2, submitted_ms=3))
    claim = bench.value(claim_key(PRICES, 1), Claim)
    assert (claim.kind, claim.submitted_ms, claim.payload) == (Kind.TARIFF, 3, b"")
    assert bench.entry(tariff_key(MARKET, SLOT)) is None
    barrier(bench)
    for start_s in (SLOT, SLOT + LENGTH_S):
        assert bench.value(tariff_key(MARKET, start_s), SlotTariff) == CHEAP
    assert bench.entry(tariff_key(MARKET, SLOT + 2 * LENGTH_S)) is None
    fees = bench.value(system_key("network.south"), Account)
    assert fees == Account(int(AccountMode.POSTPAID), Account.NO_LIMIT, 0, 0)


def test_an_opened_slot_takes_its_prices_with_it(bench: Bench) -> None:
    bench.open(slots=2)
    assert bench.slot().tariff == TARIFF
    assert bench.entry(tariff_key(MARKET, SLOT)) is None
    assert bench.entry(tariff_key(MARKET, SLOT + LENGTH_S)) is None


def test_a_regions_account_is_made_once(bench: Bench) -> None:
    """A second tariff of the region must not empty what has been collected."""
    bench.join("ann", "bob", deposit_nano=UNIT)
    bench.open()
    bench.accept(bench.bid("ann", 200_000, 1_000), bench.offer("bob", 200_000, 1_000))
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", 1_000), bench.reading("bob", 0, 1_000))
    bench.walk(Phase.SETTLED)
    assert bench.system("network.north") == 20_000_000
    barrier(bench)
    assert bench.system("network.north") == 20_000_000


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_tariffs_the_later_signed_one_holds(bench: Bench, swapped: bool) -> None:
    transactions = [
        bench.tariff(CHEAP, submitted_ms=2),
        bench.tariff(TARIFF, sender=SECOND, submitted_ms=1),
    ]
    bench.accept(*(reversed(transactions) if swapped else transactions))
    bench.move(Phase.OPEN)
    assert bench.slot().tariff == CHEAP


def test_prices_may_change_until_the_slot_opens(bench: Bench) -> None:
    bench.accept(bench.tariff(TARIFF))
    barrier(bench)
    bench.accept(bench.tariff(CHEAP))
    bench.move(Phase.OPEN)
    assert bench.slot().tariff == CHEAP


def test_prices_of_an_unknown_market(bench: Bench) -> None:
    bench.refuse(bench.tariff(market="lv9"), Verdict.UNKNOWN_MARKET)


@pytest.mark.parametrize(
    ("market", "first_s", "slots"),
    [
        (MARKET, SLOT + 1, 1),
        (MARKET, SLOT - 1, 1),
        (OTHER_MARKET, SLOT + LENGTH_S, 1),
        (MARKET, SLOT, LIMIT + 1),
        (MARKET, SLOT, QUANTITY_MAX),
    ],
)
def test_a_range_is_aligned_and_not_too_long(
    bench: Bench, market: str, first_s: int, slots: int
) -> None:
    bench.refuse(bench.tariff(market=market, first_s=first_s, slots=slots), Verdict.RANGE_WRONG)


@pytest.mark.parametrize(
    ("market", "first_s", "slots"),
    [
        (MARKET, 0, 1),
        (MARKET, SLOT, LIMIT),
        (OTHER_MARKET, SLOT + OTHER_LENGTH_S, 1),
    ],
)
def test_a_range_on_the_grid_of_its_market(
    bench: Bench, market: str, first_s: int, slots: int
) -> None:
    bench.accept(bench.tariff(market=market, first_s=first_s, slots=slots))


@pytest.mark.parametrize("slots", [1, 2])
def test_a_range_ends_where_times_end(bench: Bench, slots: int) -> None:
    """A slot whose end is beyond 64 bits could not be written as market time."""
    last_s = INT64_MAX - INT64_MAX % LENGTH_S
    bench.refuse(bench.tariff(first_s=last_s, slots=slots), Verdict.RANGE_WRONG)


@pytest.mark.parametrize(
    ("retail", "feed_in", "fee", "verdict"),
    [
        (300_000, 80_000, 219_999, Verdict.ACCEPTED),
        (300_000, 80_000, 220_000, Verdict.TARIFF_WRONG),  # nothing left between the two
        (300_000, 80_000, 220_001, Verdict.TARIFF_WRONG),
        (300_000, 300_000, 0, Verdict.TARIFF_WRONG),
        (300_000, 300_001, 0, Verdict.TARIFF_WRONG),
        (1, 0, 0, Verdict.ACCEPTED),
        (0, 0, 0, Verdict.TARIFF_WRONG),
        (QUANTITY_MAX, 0, QUANTITY_MAX - 1, Verdict.ACCEPTED),
        (QUANTITY_MAX, QUANTITY_MAX, QUANTITY_MAX, Verdict.TARIFF_WRONG),
    ],
)
def test_feed_in_and_network_fee_leave_room_below_retail(
    bench: Bench, retail: int, feed_in: int, fee: int, verdict: Verdict
) -> None:
    transaction = bench.tariff(SlotTariff(retail, feed_in, fee, "north", DAY))
    if verdict == Verdict.ACCEPTED:
        bench.accept(transaction)
    else:
        bench.refuse(transaction, verdict)


def test_prices_of_an_open_slot_are_fixed(bench: Bench) -> None:
    bench.open(first_s=SLOT + LENGTH_S)
    for first_s, slots in ((SLOT + LENGTH_S, 1), (SLOT, 2), (SLOT + LENGTH_S, 2)):
        bench.refuse(bench.tariff(first_s=first_s, slots=slots), Verdict.TARIFF_WRONG)
    bench.accept(bench.tariff(first_s=SLOT), bench.tariff(first_s=SLOT + 2 * LENGTH_S))


def test_prices_of_a_finished_slot_are_fixed_too(bench: Bench) -> None:
    bench.open()
    bench.walk(Phase.FINAL)
    bench.refuse(bench.tariff(), Verdict.TARIFF_WRONG)


def test_the_first_reason_wins(bench: Bench) -> None:
    bench.open()
    full = SlotTariff(1, 1, 1, "north", DAY)
    bench.refuse(bench.tariff(full, market="lv9", first_s=SLOT + 1), Verdict.UNKNOWN_MARKET)
    bench.refuse(bench.tariff(full, first_s=SLOT + 1), Verdict.RANGE_WRONG)
    bench.refuse(bench.tariff(full), Verdict.TARIFF_WRONG)
