"""Goal: what was agreed is paid, what did not come is compensated, and every Wh has two sides.

The figures are those of `bargain_bench`, worked out by hand there; `C` is the compensation of 0.36
for a kWh that the sun does not deliver.
"""

from __future__ import annotations

import msgspec
import pytest

from bargain_bench import DEPOSIT, bargain_bench, bids_of, certified, closed_bench
from gridpact.codec import decode
from gridpact.contracts.conservation import (
    energy_residual_wh,
    escrow_residual_nano,
    money_residual_nano,
)
from gridpact.contracts.keys import bill_key, position_key
from gridpact.model import Agreement, Bill, BillLine, Phase, Quality, Verdict
from ledger_bench import MARKET, SLOT, Bench

REFERENCE = f"{MARKET}.{SLOT}"
PLAN = {"ann": (3_000, 0), "bob": (1_000, 0), "sun": (1_000, 5_000)}
"""(consumed, generated) as everybody had bid."""


def cleared(*, proposed: bool = True) -> Bench:
    bench = closed_bench()
    if proposed:
        bench.accept(bench.clearing(certified(bids_of())))
    bench.walk(Phase.DELIVERED)
    return bench


def settled(metered: dict[str, tuple[int, int]], *, proposed: bool = True) -> Bench:
    """The day with these readings."""
    bench = cleared(proposed=proposed)
    bench.accept(*(bench.reading(name, *seen) for name, seen in metered.items()))
    bench.walk(Phase.SETTLED)
    return bench


def lines(bench: Bench, name: str) -> list[tuple[str, int, int]]:
    """(kind, Wh, nano) of the lines that the last block wrote for a member."""
    assert bench.result is not None
    found = [
        decode(BillLine, document.data)
        for document in bench.result.documents
        if document.owner == name
    ]
    return [(line.kind.name.lower(), line.energy_wh, line.amount_nano) for line in found]


def total(bench: Bench, name: str) -> int:
    """What a member has gained since its deposit."""
    available, escrow = bench.account(name)
    assert escrow == 0
    return available - DEPOSIT


def test_who_does_as_planned_owes_no_compensation() -> None:
    bench = settled(PLAN)
    assert lines(bench, "ann") == [
        ("transfer", 0, -660_000_000),
        ("purchase", 3_000, 0),
        ("network_fee", 3_000, -60_000_000),
    ]
    assert lines(bench, "bob") == [
        ("transfer", 0, -40_000_000),
        ("purchase", 1_000, 0),
        ("network_fee", 1_000, -20_000_000),
    ]
    assert lines(bench, "sun") == [
        ("transfer", 0, 700_000_000),
        ("sale", 4_000, 0),
        ("network_fee", 4_000, -80_000_000),
    ]
    slot = bench.slot()
    assert (slot.grid_import_wh, slot.grid_export_wh) == (0, 0)
    assert bench.system("network.north") == 160_000_000
    assert bench.system("grid") == bench.system("fund") == 0


def test_a_shortfall_is_shared_in_proportion_and_compensated() -> None:
    """3,000 Wh are generated, 1,000 of them used: half of the 4,000 sold comes, half to each."""
    bench = settled({**PLAN, "sun": (1_000, 3_000)})
    assert lines(bench, "ann") == [
        ("transfer", 0, -660_000_000),
        ("purchase", 1_500, 0),
        ("compensation", 1_500, 540_000_000),  # 1.5 C
        ("network_fee", 1_500, -30_000_000),
        ("grid_import", 1_500, -450_000_000),
    ]
    assert lines(bench, "bob") == [
        ("transfer", 0, -40_000_000),
        ("purchase", 500, 0),
        ("compensation", 500, 180_000_000),
        ("network_fee", 500, -10_000_000),
        ("grid_import", 500, -150_000_000),
    ]
    assert lines(bench, "sun") == [
        ("transfer", 0, 700_000_000),
        ("sale", 2_000, 0),
        ("compensation", 1_500, -540_000_000),
        ("compensation", 500, -180_000_000),
        ("network_fee", 2_000, -40_000_000),
    ]
    assert (bench.slot().grid_import_wh, bench.slot().grid_export_wh) == (2_000, 0)
    assert bench.system("grid") == 600_000_000
    assert bench.system("network.north") == 80_000_000


@pytest.mark.parametrize("generated_wh", [0, 999, 1_000, 1_001, 2_500, 4_999, 5_000, 9_000])
def test_what_a_buyer_pays_in_all_does_not_depend_on_delivery(generated_wh: int) -> None:
    """Compensation refunds import and green loss, less the fee that was saved.

    Ann's loss of 0.06 for green energy that did not come is on no ledger.
    """
    bench = settled({**PLAN, "sun": (1_000, generated_wh)})
    missing_wh = {name: dict_of(lines(bench, name)).get("compensation", 0) for name in PLAN}
    sent_wh = max(0, min(4_000, generated_wh - 1_000))
    assert missing_wh["ann"] + missing_wh["bob"] == 4_000 - sent_wh
    for name, agreed in (("ann", 720_000_000), ("bob", 60_000_000)):
        not_green_nano = 60_000 * missing_wh[name]
        fee_saved_nano = 20_000 * missing_wh[name]
        assert total(bench, name) - not_green_nano == -agreed + fee_saved_nano
    assert sum(total(bench, name) for name in PLAN) == -(
        bench.system("grid") + bench.system("network.north")
    )


def dict_of(found: list[tuple[str, int, int]]) -> dict[str, int]:
    """Wh by kind."""
    energy: dict[str, int] = {}
    for kind, wh, _ in found:
        energy[kind] = energy.get(kind, 0) + wh
    return energy


def test_more_than_planned_goes_to_the_grid_and_more_load_comes_from_it() -> None:
    bench = settled({"ann": (3_500, 0), "bob": (700, 0), "sun": (1_200, 6_000)})
    assert lines(bench, "ann")[-1] == ("grid_import", 500, -150_000_000)
    assert lines(bench, "bob")[-1] == ("grid_export", 300, 24_000_000)
    assert lines(bench, "sun")[-1] == ("grid_export", 800, 64_000_000)
    assert not any("compensation" in dict_of(lines(bench, name)) for name in PLAN)
    assert (bench.slot().grid_import_wh, bench.slot().grid_export_wh) == (500, 1_100)


def test_own_use_is_what_was_planned_and_no_more_than_the_load() -> None:
    """More load than planned does not take from buyers; less load leaves more for them."""
    more = settled({**PLAN, "sun": (2_000, 5_000)})
    assert lines(more, "sun")[1:] == [
        ("sale", 4_000, 0),
        ("network_fee", 4_000, -80_000_000),
        ("grid_import", 1_000, -300_000_000),
    ]
    less = settled({**PLAN, "sun": (400, 4_000)})
    assert dict_of(lines(less, "sun")) == {
        "transfer": 0, "sale": 3_600, "compensation": 400, "network_fee": 3_600,
    }  # fmt: skip


def test_without_a_clearing_everybody_settles_with_the_grid_alone() -> None:
    bench = settled(PLAN, proposed=False)
    assert lines(bench, "ann") == [("grid_import", 3_000, -900_000_000)]
    assert lines(bench, "bob") == [("grid_import", 1_000, -300_000_000)]
    assert lines(bench, "sun") == [("grid_export", 4_000, 320_000_000)]
    assert (bench.slot().grid_import_wh, bench.slot().grid_export_wh) == (4_000, 4_000)


def test_who_is_metered_and_did_not_bid_settles_with_the_grid() -> None:
    bench = bargain_bench(*bids_of(), "eve")
    bench.accept(*(bench.microgrid(name, bid) for name, bid in bids_of().items()))
    bench.move(Phase.CLOSED)
    bench.accept(bench.clearing(certified(bids_of())))
    bench.walk(Phase.DELIVERED)
    bench.accept(*(bench.reading(name, *seen) for name, seen in PLAN.items()))
    bench.accept(bench.reading("eve", 100, 40))
    bench.walk(Phase.SETTLED)
    assert lines(bench, "eve") == [("grid_import", 60, -18_000_000)]
    assert lines(bench, "ann")[0] == ("transfer", 0, -660_000_000)


def test_a_missing_reading_stops_settlement_until_somebody_reports() -> None:
    bench = cleared()
    bench.accept(*(bench.reading(name, *seen) for name, seen in PLAN.items() if name != "bob"))
    bench.refuse(bench.phase(Phase.METERED), Verdict.READINGS_MISSING)
    bench.accept(bench.reading("bob", *PLAN["bob"], quality=Quality.SUBSTITUTED))
    bench.walk(Phase.SETTLED)
    assert lines(bench, "bob")[0] == ("transfer", 0, -40_000_000)


def test_sums_of_a_bill_have_the_sides_of_the_bargain() -> None:
    """What a seller compensates lowers its sales, what a buyer gets lowers its purchases."""
    bench = settled({**PLAN, "sun": (1_000, 3_000)})
    ann, sun = bench.bill("ann"), bench.bill("sun")
    assert (ann.purchases_nano, ann.sales_nano) == (-120_000_000, 0)  # 540 - 660
    assert (sun.purchases_nano, sun.sales_nano) == (0, -20_000_000)  # 700 - 540 - 180
    assert (ann.bought_wh, ann.grid_import_wh, sun.sold_wh) == (1_500, 1_500, 2_000)
    assert ann.total_nano == total(bench, "ann")


# Corrections


def corrected(*readings: tuple[str, int, int]) -> Bench:
    """Settled as planned; then later versions of readings, and the end."""
    bench = settled(PLAN)
    bench.accept(*(bench.reading(*reading, version=2) for reading in readings))
    bench.move(Phase.FINAL)
    return bench


def test_a_sellers_later_reading_changes_what_its_buyers_are_owed() -> None:
    bench = corrected(("sun", 1_000, 3_000))
    assert lines(bench, "ann") == [
        ("purchase", 3_000, 0),
        ("network_fee", 3_000, 60_000_000),  # taken back
        ("purchase", 1_500, 0),
        ("compensation", 1_500, 540_000_000),
        ("network_fee", 1_500, -30_000_000),
        ("grid_import", 1_500, -450_000_000),
    ]
    straight = settled({**PLAN, "sun": (1_000, 3_000)})
    for name in PLAN:
        assert bench.account(name) == straight.account(name)
        issued, change = bench.bill(name), bench.credit(name).change
        for field in Bill.__struct_fields__[:-2]:
            both = getattr(issued, field) + getattr(change, field)
            assert both == getattr(straight.bill(name), field), (name, field)
    assert bench.slot().grid_import_wh == straight.slot().grid_import_wh == 2_000


def test_a_buyers_later_reading_changes_its_own_lines_only() -> None:
    bench = corrected(("ann", 3_200, 0))
    assert lines(bench, "ann") == [("grid_import", 200, -60_000_000)]
    assert lines(bench, "bob") == lines(bench, "sun") == []


def test_a_later_version_that_says_the_same_changes_no_amount() -> None:
    bench = corrected(("sun", 1_000, 5_000))
    assert [lines(bench, name) for name in PLAN] == [[], [], []]
    assert bench.slot().phase == Phase.FINAL


def test_nothing_of_a_final_slot_is_left_but_its_root() -> None:
    bench = corrected()
    assert len(bench.slot().archive) == 32
    left = {key.partition("/")[0] for key in bench.application.state.entries}
    assert not left & {"bids", "agreements", "clearing", "readings"}
    assert bench.slot().traded_wh == 4_000


# What an auditor sees


def tampered(bench: Bench, **changes: object) -> Bench:
    key = position_key("agreements", "sun", MARKET, SLOT)
    entry = bench.application.state.entries[key]
    value = msgspec.structs.replace(entry.value, **changes)
    bench.application.state.entries[key] = msgspec.structs.replace(entry, value=value)
    return bench


def residual_wh(bench: Bench) -> int:
    return energy_residual_wh(bench.application.state, MARKET, SLOT, bench.slot())


def test_an_agreement_that_was_tampered_with_does_not_balance() -> None:
    honest = cleared()
    state = honest.application.state
    assert residual_wh(honest) == escrow_residual_nano(state) == money_residual_nano(state) == 0
    agreement = honest.agreement("sun")
    assert agreement is not None
    flow = msgspec.structs.replace(agreement.sales[0], energy_wh=3_001)
    assert residual_wh(tampered(cleared(), transfer_nano=700_000_001)) == 1
    assert residual_wh(tampered(cleared(), sales=[flow, agreement.sales[1]])) == 2
    more = tampered(cleared(), escrow_nano=agreement.escrow_nano - 7)
    assert escrow_residual_nano(more.application.state) == 7


def test_storage_that_was_tampered_with_after_settlement_does_not_balance() -> None:
    bench = settled(PLAN)
    assert residual_wh(bench) == 0
    assert residual_wh(tampered(bench, discharge_wh=3)) == 3
    assert residual_wh(tampered(bench, discharge_wh=0, turbine_wh=5)) == 5


def test_the_agreement_stays_until_the_slot_is_final() -> None:
    bench = settled(PLAN)
    assert isinstance(bench.agreement("sun"), Agreement)
    assert bench.entry(bill_key("sun", "2023-11-14")) is not None
