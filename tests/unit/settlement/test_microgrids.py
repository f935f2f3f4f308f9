"""Goal: settlement of a bargain moves money and energy, and makes neither.

Agreements here need not come from a clearing: whatever was agreed, both sides balance.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.model import Agreement, BillLine, Flow, LineKind, MicrogridBid, SlotTariff
from gridpact.model.microgrids import Storage, Turbine
from gridpact.settlement import (
    NO_AGREEMENT,
    Metered,
    bargain_lines,
    charged_wh,
    deliver,
    realised_cost_nano,
)
from gridpact.settlement.microgrids import Delivery

TARIFF = SlotTariff(300_000, 80_000, 20_000, "north", "2023-11-14")
NAMES = ("ann", "bob", "dan", "eve")
WH = st.integers(0, 10_000)


def agreement(**fields: object) -> Agreement:
    """Nothing agreed but what is named."""
    return Agreement(**{**{f: getattr(NO_AGREEMENT, f) for f in FIELDS}, **fields})


FIELDS = Agreement.__struct_fields__


def lines_of(
    agreements: dict[str, Agreement], metered: dict[str, Metered], tariff: SlotTariff = TARIFF
) -> dict[str, list[BillLine]]:
    return bargain_lines(
        market="mg", slot_start_s=900, tariff=tariff, agreements=agreements, metered=metered
    )


# By hand


@pytest.mark.parametrize(
    ("generated_wh", "consumed_wh", "charged", "sent"),
    [
        (900, 200, 100, [300, 300]),  # as planned
        (2_000, 200, 100, [300, 300]),  # no more than was sold
        (700, 200, 100, [250, 250]),  # 700 + 100 - 100 - 200 = 500, half to each
        (701, 200, 100, [251, 250]),  # the odd Wh to the first
        (200, 200, 100, [0, 0]),  # own use and storage come first
        (0, 200, 100, [0, 0]),
        (900, 0, 100, [300, 300]),
        (600, 150, 100, [225, 225]),  # own use is the load when that is less than planned
        (600, 900, 100, [200, 200]),  # and the plan when the load is more
    ],
)
def test_own_use_then_buyers_in_proportion(
    generated_wh: int, consumed_wh: int, charged: int, sent: list[int]
) -> None:
    sales = [Flow("ann", 300, 1), Flow("bob", 300, 1)]
    agreed = agreement(green_wh=200, charge_wh=100, discharge_wh=100, sales=sales)
    found = deliver(agreed, Metered(generated_wh, consumed_wh, "r"))
    assert found == Delivery(charged, sent)


@pytest.mark.parametrize(
    ("generated_wh", "charged"), [(0, 70), (5, 75), (30, 100), (31, 100), (500, 100)]
)
def test_a_storage_charges_no_more_than_there_is(generated_wh: int, charged: int) -> None:
    """What is discharged and what is purchased counts too: 40 + 30."""
    agreed = agreement(charge_wh=100, discharge_wh=40, purchases=[Flow("sun", 30, 1)])
    assert charged_wh(agreed, generated_wh) == charged


def test_storage_and_turbine_are_part_of_what_the_grid_takes() -> None:
    """1,000 + 50 + 200 - 700 - 10."""
    agreed = agreement(green_wh=700, charge_wh=10, discharge_wh=50, turbine_wh=200)
    (line,) = lines_of({"ann": agreed}, {"ann": Metered(1_000, 700, "r/v1")})["ann"]
    assert line == BillLine(900, LineKind.GRID_EXPORT, 0, "r/v1", 540, 160_000, 43_200_000)


def test_a_single_microgrid_has_nobody_to_pay() -> None:
    lines = lines_of({"ann": agreement(green_wh=3)}, {"ann": Metered(3, 9, "r")})
    assert [(line.kind, line.amount_nano) for line in lines["ann"]] == [
        (LineKind.GRID_IMPORT, -1_800_000)
    ]


def test_nothing_agreed_and_nothing_metered_is_no_line() -> None:
    assert lines_of({}, {}) == {}
    assert lines_of({"ann": NO_AGREEMENT}, {"ann": Metered(0, 0, "r")}) == {"ann": []}
    assert lines_of({}, {"ann": Metered(5, 5, "r")}) == {"ann": []}


def test_references_say_with_whom() -> None:
    agreed = {
        "ann": agreement(transfer_nano=7, sales=[Flow("bob", 2, 500)]),
        "bob": agreement(transfer_nano=-7, purchases=[Flow("ann", 2, 500)]),
    }
    lines = lines_of(agreed, {"ann": Metered(1, 0, "m/v1"), "bob": Metered(0, 2, "n/v1")})
    told = {name: [(line.kind.name, line.reference) for line in own] for name, own in lines.items()}
    assert told["ann"] == [
        ("TRANSFER", "mg.900"),
        ("SALE", "mg.900"),
        ("COMPENSATION", "mg.900/bob"),
        ("NETWORK_FEE", "mg.900"),
    ]
    assert told["bob"][2:] == [
        ("COMPENSATION", "mg.900/ann"),
        ("NETWORK_FEE", "mg.900"),
        ("GRID_IMPORT", "n/v1"),
    ]
    assert [line.price_sum_micro_per_kwh for line in lines["bob"]] == [0, 0, 1_000, 40_000, 600_000]


def test_what_a_slot_really_cost_counts_turbine_and_green_loss() -> None:
    """100 Wh burnt: 100 x 85,000 + 15 x 100^2 / 1000; 400 of 500 Wh demanded are not green."""
    truth = MicrogridBid(
        [900], [500], [0], 60_000, Turbine(15, 85_000, 200), Storage(0, 1, 1, 0, 0, 0, 0)
    )
    agreed = agreement(green_wh=100, turbine_wh=100, purchases=[Flow("sun", 100, 1)])
    billed = [BillLine(900, LineKind.GRID_IMPORT, 0, "r", 700, 600_000, -210_000_000)]
    cost = realised_cost_nano(truth, 0, agreed, Metered(0, 900, "r"), Delivery(0, []), 100, billed)
    assert cost == 8_500_000 + 150 + 24_000_000 + 210_000_000


def test_what_the_storage_took_is_no_green_demand_that_was_missed() -> None:
    """100 Wh were to come for the storage and did not: 50 Wh of demand are short, not 150."""
    truth = MicrogridBid(
        [50], [50], [0], 1_000, Turbine(0, 0, 0), Storage(100, 1000, 1000, 0, 10**8, 0, 0)
    )
    agreed = agreement(charge_wh=100, purchases=[Flow("sun", 100, 1)])
    metered = Metered(0, 50, "r")
    assert deliver(agreed, metered) == Delivery(100, [])
    cost = realised_cost_nano(truth, 0, agreed, metered, Delivery(100, []), 0, [])
    assert cost == 50 * 1_000


# Whatever was agreed


@st.composite
def bargains(draw: st.DrawFn) -> tuple[dict[str, Agreement], dict[str, Metered]]:
    """Sellers and buyers with flows that both state, transfers that sum to zero, any readings."""
    names = NAMES[: draw(st.integers(1, 4))]
    sellers = names[: draw(st.integers(0, len(names)))]
    buyers = names[len(sellers) :]
    sales: dict[str, list[Flow]] = {name: [] for name in names}
    purchases: dict[str, list[Flow]] = {name: [] for name in names}
    for seller in sellers:
        for buyer in buyers:
            if wh := draw(st.integers(0, 3_000)):
                price = draw(st.integers(0, 900_000))
                sales[seller].append(Flow(buyer, wh, price))
                purchases[buyer].append(Flow(seller, wh, price))
    paid = [draw(st.integers(-(10**9), 10**9)) for _ in names[1:]]
    agreements = {
        name: Agreement(
            transfer,
            draw(WH),
            draw(WH),
            draw(WH),
            draw(WH),
            sales[name],
            purchases[name],
            0,
        )
        for name, transfer in zip(names, [-sum(paid), *paid], strict=True)
    }
    metered = {name: Metered(draw(WH), draw(WH), f"{name}/v1") for name in names}
    return agreements, metered


def sums(lines: dict[str, list[BillLine]], kind: LineKind) -> tuple[int, int]:
    """(Wh, nano) of all lines of a kind."""
    found = [line for own in lines.values() for line in own if line.kind == kind]
    return sum(line.energy_wh for line in found), sum(line.amount_nano for line in found)


@given(bargains())
def test_money_and_energy_are_conserved(
    bargain: tuple[dict[str, Agreement], dict[str, Metered]],
) -> None:
    agreements, metered = bargain
    lines = lines_of(agreements, metered)
    assert sums(lines, LineKind.TRANSFER)[1] == sums(lines, LineKind.COMPENSATION)[1] == 0
    sold_wh, bought_wh = (sums(lines, kind)[0] for kind in (LineKind.SALE, LineKind.PURCHASE))
    assert sold_wh == bought_wh
    assert sums(lines, LineKind.NETWORK_FEE) == (2 * sold_wh, -20_000 * 2 * sold_wh)
    made = used = 0
    for name, agreed in agreements.items():
        made += metered[name].generated_wh + agreed.discharge_wh + agreed.turbine_wh
        used += metered[name].consumed_wh + charged_wh(agreed, metered[name].generated_wh)
    exported, imported = (
        sums(lines, kind)[0] for kind in (LineKind.GRID_EXPORT, LineKind.GRID_IMPORT)
    )
    assert made - used == exported - imported
    agreed_wh = sum(flow.energy_wh for each in agreements.values() for flow in each.sales)
    assert sums(lines, LineKind.COMPENSATION)[0] == 2 * (agreed_wh - sold_wh)


@given(bargains(), st.integers(0, 5_000))
def test_who_generates_more_never_compensates_more(
    bargain: tuple[dict[str, Agreement], dict[str, Metered]], more_wh: int
) -> None:
    agreements, metered = bargain
    before = lines_of(agreements, metered)
    name = next(iter(metered))
    seen = metered[name]
    metered[name] = Metered(seen.generated_wh + more_wh, seen.consumed_wh, seen.reference)
    after = lines_of(agreements, metered)

    def owed(lines: dict[str, list[BillLine]]) -> int:
        own = [line for line in lines[name] if line.kind == LineKind.COMPENSATION]
        return -sum(min(0, line.amount_nano) for line in own)

    sold = sum(flow.energy_wh for flow in agreements[name].sales)
    dearest = max((flow.compensation_micro_per_kwh for flow in agreements[name].sales), default=0)
    rounding = dearest * (len(agreements[name].sales) - 1)  # a Wh may change buyers
    assert owed(after) <= owed(before) + max(0, rounding)
    assert owed(after) <= dearest * sold


@given(bargains())
def test_every_buyer_of_a_seller_gets_the_same_part(
    bargain: tuple[dict[str, Agreement], dict[str, Metered]],
) -> None:
    """To the Wh: sent x sold in all = sent in all x sold, less than one Wh of each off."""
    agreements, metered = bargain
    for name, agreed in agreements.items():
        sent = deliver(agreed, metered[name]).sent_wh
        sold = [flow.energy_wh for flow in agreed.sales]
        for part, whole in zip(sent, sold, strict=True):
            assert 0 <= part <= whole
            assert abs(part * sum(sold) - sum(sent) * whole) < sum(sold)


@given(bargains())
def test_the_order_of_participants_changes_nothing(
    bargain: tuple[dict[str, Agreement], dict[str, Metered]],
) -> None:
    agreements, metered = bargain
    backwards = dict(reversed(agreements.items())), dict(reversed(metered.items()))
    there, here = lines_of(*backwards), lines_of(agreements, metered)
    for name, own in here.items():
        assert sorted(own, key=repr) == sorted(there[name], key=repr)
