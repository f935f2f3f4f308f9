"""Goal: every number of a bill is a sum over its lines, corrections included."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.codec import encode
from gridpact.model import Bill, BillLine, LineKind
from gridpact.settlement import NO_BILL, add_lines

MONEY = {
    LineKind.PURCHASE: "purchases_nano",
    LineKind.SALE: "sales_nano",
    LineKind.NETWORK_FEE: "fees_nano",
    LineKind.GRID_IMPORT: "grid_import_nano",
    LineKind.GRID_EXPORT: "grid_export_nano",
    LineKind.LOST_DEPOSIT: "lost_deposits_nano",
}
OF_BARGAINS = {LineKind.TRANSFER, LineKind.COMPENSATION}
"""Their amounts count as purchases or sales, by who gets them."""
ENERGY = {
    LineKind.PURCHASE: "bought_wh",
    LineKind.SALE: "sold_wh",
    LineKind.GRID_IMPORT: "grid_import_wh",
    LineKind.GRID_EXPORT: "grid_export_wh",
}


def line(kind: LineKind, energy_wh: int, amount_nano: int, correction: int = 0) -> BillLine:
    return BillLine(900, kind, correction, "lv1.900.0", energy_wh, 400_000, amount_nano)


DAY = [
    line(LineKind.PURCHASE, 1_000, -200_000_000),
    line(LineKind.NETWORK_FEE, 1_000, -20_000_000),
    line(LineKind.GRID_IMPORT, 300, -90_000_000),
    line(LineKind.SALE, 500, 100_000_000),
    line(LineKind.GRID_EXPORT, 200, 16_000_000),
    line(LineKind.UNDELIVERABLE, 40, 0),
    line(LineKind.LOST_DEPOSIT, 0, -5_000_000),
]


def test_an_empty_bill_stays_empty() -> None:
    assert add_lines(NO_BILL, [], []) == NO_BILL
    assert all(value in (0, []) for value in msgspec.structs.astuple(NO_BILL))


def test_a_day_by_hand() -> None:
    assert add_lines(NO_BILL, DAY, [b"f" * 32]) == Bill(
        total_nano=-199_000_000,  # -200 - 20 - 90 + 100 + 16 - 5 million
        purchases_nano=-200_000_000,
        sales_nano=100_000_000,
        fees_nano=-20_000_000,
        grid_import_nano=-90_000_000,
        grid_export_nano=16_000_000,
        lost_deposits_nano=-5_000_000,
        bought_wh=1_000,
        sold_wh=500,
        grid_import_wh=300,
        grid_export_wh=200,
        lines=7,
        frontier=[b"f" * 32],
    )


def test_the_energy_of_a_fee_is_not_counted_twice() -> None:
    bill = add_lines(NO_BILL, DAY[:2], [])
    assert bill.bought_wh == 1_000
    assert sum(getattr(bill, field) for field in ENERGY.values()) == 1_000


def test_a_correction_takes_energy_and_money_back() -> None:
    issued = add_lines(NO_BILL, DAY, [])
    corrected = add_lines(
        issued,
        [
            line(LineKind.GRID_IMPORT, 300, 90_000_000, -1),
            line(LineKind.GRID_EXPORT, 50, 4_000_000, 1),
        ],
        [],
    )
    assert corrected.grid_import_nano == corrected.grid_import_wh == 0
    assert corrected.grid_export_nano == 20_000_000
    assert corrected.grid_export_wh == 250
    assert corrected.total_nano == issued.total_nano + 94_000_000
    assert corrected.lines == 9


def without_money_where_nothing_was_delivered(item: BillLine) -> BillLine:
    if item.kind == LineKind.UNDELIVERABLE:
        return msgspec.structs.replace(item, amount_nano=0)
    return item


@given(
    st.lists(
        st.builds(
            line,
            st.sampled_from(sorted(set(LineKind) - OF_BARGAINS)),
            st.integers(0, 2**31),
            st.integers(-(2**50), 2**50),
            st.sampled_from([0, 1, -1]),
        ).map(without_money_where_nothing_was_delivered)
    ),
    st.data(),
)
def test_a_bill_is_the_sum_of_its_lines_however_they_come(
    lines: list[BillLine], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(lines)))
    bill = add_lines(add_lines(NO_BILL, lines[:cut], []), lines[cut:], [])
    assert bill == add_lines(NO_BILL, lines, [])
    for kind, field in MONEY.items():
        amounts = [item.amount_nano for item in lines if item.kind == kind]
        assert getattr(bill, field) == sum(amounts)
    for kind, field in ENERGY.items():
        signed = [
            -item.energy_wh if item.correction < 0 else item.energy_wh
            for item in lines
            if item.kind == kind
        ]
        assert getattr(bill, field) == sum(signed)
    assert bill.total_nano == sum(getattr(bill, field) for field in MONEY.values())
    assert bill.lines == len(lines)


@pytest.mark.parametrize("kind", sorted(set(LineKind) - OF_BARGAINS))
def test_every_kind_of_line_has_its_place(kind: LineKind) -> None:
    if kind == LineKind.UNDELIVERABLE:  # it says why something is not there; that is no amount
        bill = add_lines(NO_BILL, [line(kind, 1, 0)], [])
        assert bill == msgspec.structs.replace(NO_BILL, lines=1)
        return
    bill = add_lines(NO_BILL, [line(kind, 1, -1)], [])
    changed = {
        field for field in Bill.__struct_fields__ if getattr(bill, field) != getattr(NO_BILL, field)
    }
    assert changed == {"total_nano", "lines", MONEY[kind]} | {
        field for energy_kind, field in ENERGY.items() if energy_kind == kind
    }
    assert encode(bill)


# Of bargains


@pytest.mark.parametrize(
    ("kind", "amount_nano", "field"),
    [
        (LineKind.TRANSFER, 7, "sales_nano"),
        (LineKind.TRANSFER, -7, "purchases_nano"),
        (LineKind.COMPENSATION, 7, "purchases_nano"),  # a buyer gets it
        (LineKind.COMPENSATION, -7, "sales_nano"),
    ],
)
def test_what_a_bargain_pays_has_the_side_of_who_gets_it(
    kind: LineKind, amount_nano: int, field: str
) -> None:
    bill = add_lines(NO_BILL, [line(kind, 5, amount_nano)], [])
    change = {"total_nano": amount_nano, "lines": 1, field: amount_nano}
    assert bill == msgspec.structs.replace(NO_BILL, **change)
    gone = add_lines(bill, [line(kind, 5, -amount_nano, -1)], [])
    assert gone == msgspec.structs.replace(NO_BILL, lines=2)


@given(st.lists(st.tuples(st.sampled_from(sorted(OF_BARGAINS)), st.integers(-(2**50), 2**50))))
def test_taking_all_lines_of_bargains_back_leaves_nothing(paid: list[tuple[LineKind, int]]) -> None:
    issued = [line(kind, 3, amount) for kind, amount in paid]
    back = [line(kind, 3, -amount, -1) for kind, amount in paid]
    bill = add_lines(NO_BILL, issued + back, [])
    assert bill == msgspec.structs.replace(NO_BILL, lines=2 * len(paid))
    half = add_lines(NO_BILL, issued, [])
    assert half.purchases_nano + half.sales_nano == half.total_nano == sum(nano for _, nano in paid)
