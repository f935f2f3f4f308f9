"""Goal: each contract at its price, each imbalance at the tariff, all by numbers done by hand.

One tariff throughout: import 0.30, export 0.08, network fee 0.02 per kWh. A unit of money is a
nano, so 1 kWh at 0.30 is 300,000,000.
"""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from gridpact.model import BillLine, Contract, LineKind, Quality, Reading, Side, SlotTariff
from gridpact.settlement import (
    choose_readings,
    contracted_net_wh,
    imbalance_line,
    metered_net_wh,
    reading_reference,
    trade_id,
    trade_lines,
)
from gridpact.units import INT64_MAX, QUANTITY_MAX

TARIFF = SlotTariff(300_000, 80_000, 20_000, "north", "2024-06-01")
START_S = 1_700_000_100


def reading(
    import_wh: int = 0,
    export_wh: int = 0,
    *,
    meter: str = "ann.meter",
    sender: str = "ann.meter",
    version: int = 1,
    quality: Quality = Quality.MEASURED,
) -> Reading:
    return Reading(meter, sender, version, quality, import_wh, export_wh)


def bought(energy_wh: int, price_sum: int, *, trade: int = 0) -> Contract:
    paid = -(-price_sum * energy_wh // 2)
    fee = 20_000 * energy_wh
    return Contract(trade, Side.BID, 1, "bob", 1, energy_wh, price_sum, paid, fee, 0, "")


def cut(contract: Contract, curtailed_wh: int) -> Contract:
    return msgspec.structs.replace(contract, curtailed_wh=curtailed_wh, bound_by="line-7")


def sold(energy_wh: int, price_sum: int, *, trade: int = 0) -> Contract:
    got = price_sum * energy_wh // 2
    return Contract(trade, Side.OFFER, 1, "bob", 1, energy_wh, price_sum, got, 0, 0, "")


def grid_line(
    contracts: list[Contract], readings: list[Reading], correction: int = 0
) -> BillLine | None:
    return imbalance_line(
        slot_start_s=START_S,
        contracts=contracts,
        readings=readings,
        tariff=TARIFF,
        correction=correction,
    )


# Net energy


def test_injection_is_positive() -> None:
    assert metered_net_wh([]) == 0
    assert metered_net_wh([reading(import_wh=250)]) == -250
    assert metered_net_wh([reading(250), reading(export_wh=1_000, meter="ann.roof")]) == 750
    assert contracted_net_wh([]) == 0
    assert contracted_net_wh([sold(700, 400_000), bought(200, 400_000)]) == 500


# Contracts


def test_a_purchase_has_a_line_for_the_energy_and_one_for_the_network() -> None:
    lines = trade_lines(
        market="lv1", slot_start_s=START_S, contracts=[bought(1_000, 400_001)], tariff=TARIFF
    )
    # (0.200001 + 0.200000) / 2 per kWh x 1 kWh = 0.2000005: 200,000,500 nano
    assert lines == [
        BillLine(START_S, LineKind.PURCHASE, 0, "lv1.1700000100.0", 1_000, 400_001, -200_000_500),
        BillLine(START_S, LineKind.NETWORK_FEE, 0, "lv1.1700000100.0", 1_000, 40_000, -20_000_000),
    ]


def test_a_sale_has_one_line() -> None:
    lines = trade_lines(
        market="lv1", slot_start_s=START_S, contracts=[sold(3, 300_001, trade=7)], tariff=TARIFF
    )
    # 150,000.5 x 3 = 450,001.5: the seller gets the floor
    assert lines == [BillLine(START_S, LineKind.SALE, 0, "lv1.1700000100.7", 3, 300_001, 450_001)]


def test_without_a_fee_there_is_no_line_for_it() -> None:
    free = msgspec.structs.replace(TARIFF, network_fee_micro_per_kwh=0)
    contracts = [bought(10, 400_000)]
    lines = trade_lines(market="lv1", slot_start_s=START_S, contracts=contracts, tariff=free)
    assert [line.kind for line in lines] == [LineKind.PURCHASE]


def test_what_the_grid_could_not_carry_is_named_and_not_paid() -> None:
    contracts = [cut(bought(1_000, 400_001), 400), cut(sold(3, 300_001, trade=7), 2)]
    lines = trade_lines(market="lv1", slot_start_s=START_S, contracts=contracts, tariff=TARIFF)
    # 600 Wh at 200,000.5 = 120,000,300 nano; 1 Wh at 150,000.5: the seller gets the floor
    assert [
        (line.kind.name, line.reference, line.energy_wh, line.amount_nano) for line in lines
    ] == [
        ("PURCHASE", "lv1.1700000100.0", 600, -120_000_300),
        ("NETWORK_FEE", "lv1.1700000100.0", 600, -12_000_000),
        ("UNDELIVERABLE", "lv1.1700000100.0@line-7", 400, 0),
        ("SALE", "lv1.1700000100.7", 1, 150_000),
        ("UNDELIVERABLE", "lv1.1700000100.7@line-7", 2, 0),
    ]
    assert contracted_net_wh(contracts) == -599


def test_a_trade_that_is_curtailed_whole_has_only_the_line_that_says_so() -> None:
    contracts = [cut(bought(1_000, 400_000), 1_000)]
    lines = trade_lines(market="lv1", slot_start_s=START_S, contracts=contracts, tariff=TARIFF)
    assert [line.kind for line in lines] == [LineKind.UNDELIVERABLE]
    line = grid_line(contracts, [reading(import_wh=1_000)])
    assert line is not None
    assert (line.kind, line.energy_wh, line.amount_nano) == (
        LineKind.GRID_IMPORT,
        1_000,
        -300_000_000,
    )


def test_lines_follow_the_contracts() -> None:
    contracts = [bought(1, 400_000), sold(1, 400_000, trade=1), bought(2, 400_000, trade=2)]
    lines = trade_lines(market="lv1", slot_start_s=0, contracts=contracts, tariff=TARIFF)
    assert [(line.kind.name, line.reference) for line in lines] == [
        ("PURCHASE", "lv1.0.0"),
        ("NETWORK_FEE", "lv1.0.0"),
        ("SALE", "lv1.0.1"),
        ("PURCHASE", "lv1.0.2"),
        ("NETWORK_FEE", "lv1.0.2"),
    ]
    assert trade_lines(market="lv1", slot_start_s=0, contracts=[], tariff=TARIFF) == []
    assert trade_id("lv1", 900, 12) == "lv1.900.12"


# Imbalance


@pytest.mark.parametrize(
    ("contracts", "import_wh", "export_wh", "kind", "energy_wh", "amount_nano"),
    [
        # nothing agreed: everything is with the grid
        ([], 1_000, 0, LineKind.GRID_IMPORT, 1_000, -300_000_000),
        ([], 0, 1_000, LineKind.GRID_EXPORT, 1_000, 80_000_000),
        # bought 700, took 1,000: 300 more from the grid
        ([bought(700, 400_000)], 1_000, 0, LineKind.GRID_IMPORT, 300, -90_000_000),
        # bought 700, took 400: 300 left over, fed in at the export price
        ([bought(700, 400_000)], 400, 0, LineKind.GRID_EXPORT, 300, 24_000_000),
        # sold 700, fed in 1,000
        ([sold(700, 400_000)], 0, 1_000, LineKind.GRID_EXPORT, 300, 24_000_000),
        # sold 700, fed in 699
        ([sold(700, 400_000)], 0, 699, LineKind.GRID_IMPORT, 1, -300_000),
        # sold 700 and consumed instead: the whole of it and the consumption
        ([sold(700, 400_000)], 50, 0, LineKind.GRID_IMPORT, 750, -225_000_000),
        # bought 100 and sold 300 in the same slot
        (
            [bought(100, 400_000), sold(300, 400_000)],
            0,
            250,
            LineKind.GRID_EXPORT,
            50,
            4_000_000,
        ),
    ],
)
def test_the_imbalance_is_with_the_grid(
    contracts: list[Contract],
    import_wh: int,
    export_wh: int,
    kind: LineKind,
    energy_wh: int,
    amount_nano: int,
) -> None:
    price_sum = 600_000 if kind == LineKind.GRID_IMPORT else 160_000
    assert grid_line(contracts, [reading(import_wh, export_wh)]) == BillLine(
        START_S, kind, 0, "ann.meter/v1", energy_wh, price_sum, amount_nano
    )


@pytest.mark.parametrize(
    ("contracts", "readings"),
    [
        ([], []),
        ([], [reading()]),
        ([bought(700, 400_000)], [reading(700)]),
        ([sold(700, 400_000)], [reading(export_wh=700)]),
        ([bought(1, 400_000), sold(1, 400_000)], [reading()]),
        ([], [reading(500), reading(export_wh=500, meter="ann.roof")]),
    ],
)
def test_what_was_agreed_and_metered_alike_needs_no_grid(
    contracts: list[Contract], readings: list[Reading]
) -> None:
    assert grid_line(contracts, readings) is None
    assert grid_line(contracts, readings, -1) is None


def test_a_correction_takes_back_the_old_line_to_the_nano() -> None:
    contracts = [bought(700, 400_000)]
    used, better = [reading(1_000)], [reading(400, version=2)]
    first = grid_line(contracts, used)
    back = grid_line(contracts, used, -1)
    anew = grid_line(contracts, better, 1)
    assert first is not None
    assert back == BillLine(
        START_S, LineKind.GRID_IMPORT, -1, "ann.meter/v1", 300, 600_000, 90_000_000
    )
    assert anew == BillLine(
        START_S, LineKind.GRID_EXPORT, 1, "ann.meter/v2", 300, 160_000, 24_000_000
    )
    assert first.amount_nano + back.amount_nano == 0


def test_taking_back_an_export_costs_what_it_earned() -> None:
    back = grid_line([], [reading(export_wh=1_000)], -1)
    assert back is not None
    assert (back.kind, back.energy_wh, back.amount_nano) == (
        LineKind.GRID_EXPORT,
        1_000,
        -80_000_000,
    )


def test_the_largest_reading_of_one_meter_fits_the_wire() -> None:
    tariff = SlotTariff(QUANTITY_MAX, 0, 0, "north", "2024-06-01")
    line = imbalance_line(
        slot_start_s=0,
        contracts=[],
        readings=[reading(QUANTITY_MAX)],
        tariff=tariff,
        correction=0,
    )
    assert line is not None
    assert line.amount_nano == -(QUANTITY_MAX**2) >= -INT64_MAX


# Readings


def test_the_highest_version_counts() -> None:
    old, new = reading(100), reading(200, version=2)
    assert choose_readings([old, new]) == choose_readings([new, old]) == [new]


def test_a_higher_version_counts_whatever_its_quality_and_sender() -> None:
    measured = reading(100)
    guess = reading(200, version=2, quality=Quality.SUBSTITUTED, sender="zed")
    assert choose_readings([measured, guess]) == [guess]


def test_of_one_version_the_better_quality_counts_and_then_the_smaller_sender() -> None:
    by_meter = reading(100, quality=Quality.ESTIMATED)
    by_operator = reading(200, sender="metering")
    assert choose_readings([by_meter, by_operator]) == [by_operator]
    alike = reading(300)
    assert choose_readings([by_operator, alike]) == [alike]  # ann.meter < metering


def test_each_meter_has_one_reading_in_the_order_of_meters() -> None:
    roof, house = reading(export_wh=5, meter="ann.roof"), reading(9, meter="ann.house")
    assert choose_readings([roof, house]) == [house, roof]
    assert choose_readings([]) == []


def test_the_choice_does_not_depend_on_the_order_of_arrival() -> None:
    arrived = [
        reading(1),
        reading(2, version=2, quality=Quality.ESTIMATED),
        reading(3, version=2, sender="metering"),
        reading(4, version=2, sender="other"),
        reading(5, meter="ann.roof", quality=Quality.SUBSTITUTED),
    ]
    chosen = {tuple(choose_readings(order)) for order in permutations(arrived)}
    assert chosen == {(arrived[2], arrived[4])}


def test_a_grid_line_names_each_meter_with_the_version_used() -> None:
    assert reading_reference([reading()]) == "ann.meter/v1"
    two = [reading(version=3), reading(meter="ann.roof", version=12)]
    assert reading_reference(two) == "ann.meter/v3+ann.roof/v12"


def test_a_reference_never_exceeds_a_text_of_the_ledger() -> None:
    """Up to 200 characters all meters are named, beyond them the first one and a count."""

    def meters(*lengths: int) -> list[Reading]:
        return [reading(meter=f"{i}".ljust(length, "m")) for i, length in enumerate(lengths)]

    fits = meters(47, 47, 46, 45)  # with /v1 and +: 4 x 3 + 3 more
    assert len(reading_reference(fits)) == 200
    assert reading_reference(fits).count("+") == 3
    one_more = meters(47, 47, 47, 45)
    assert reading_reference(one_more) == f"{one_more[0].meter}/v1+3 meters"
    many = [reading(meter=f"{'m' * 46}{i:02}", version=2**31 - 1) for i in range(50)]
    assert all(len(reading_reference(many[:count])) <= 200 for count in range(1, 51))
    assert reading_reference(many).endswith("+49 meters")
