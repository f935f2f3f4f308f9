"""Goal: contractual energy is counted once, by whoever used it; statements are sums of lines."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from gridpact.model import CarbonLine, CarbonStatement, Contract, MemberCarbon, Side
from gridpact.settlement.carbon import NO_CARBON, add_carbon, purchases_wh


def contract(side: Side, energy_wh: int, curtailed_wh: int = 0) -> Contract:
    return Contract(0, side, 1, "bob", 1, energy_wh, 300_000, 0, 0, curtailed_wh, "")


def bought(energy_wh: int, curtailed_wh: int = 0) -> Contract:
    return contract(Side.BID, energy_wh, curtailed_wh)


def sold(energy_wh: int, curtailed_wh: int = 0) -> Contract:
    return contract(Side.OFFER, energy_wh, curtailed_wh)


@pytest.mark.parametrize(
    ("contracts", "net_wh", "expected"),
    [
        ([], 0, (0, 0)),
        ([], -1_000, (0, 1_000)),
        ([], 1_000, (0, 0)),
        ([bought(600)], -1_000, (600, 400)),
        ([bought(600)], -600, (600, 0)),
        ([bought(600)], -400, (400, 0)),  # 200 went back to the grid
        ([bought(600)], 0, (0, 0)),
        ([bought(600)], 500, (0, 0)),
        ([bought(600), bought(100)], -1_000, (700, 300)),
        ([bought(600, 200)], -1_000, (400, 600)),  # the lines could not carry 200
        ([sold(600)], 600, (0, 0)),
        ([sold(600)], 900, (0, 0)),
        ([sold(600)], 500, (0, 100)),  # sold what was not there
        ([sold(600, 100)], 500, (0, 0)),
        ([sold(600)], -50, (0, 650)),
    ],
)
def test_what_was_bought_and_used(
    contracts: list[Contract], net_wh: int, expected: tuple[int, int]
) -> None:
    assert purchases_wh(contracts, net_wh) == expected


@pytest.mark.parametrize(
    ("contracts", "net_wh", "expected"),
    [
        ([bought(600), sold(600)], 0, (0, 0)),
        ([bought(600), sold(600)], -1_000, (0, 1_000)),
        ([bought(600), sold(200)], -1_000, (400, 600)),
        ([bought(600), sold(200)], -100, (100, 0)),
        ([bought(200), sold(600)], 400, (0, 0)),
        ([bought(200), sold(600)], 300, (0, 100)),
    ],
)
def test_what_was_sold_on_is_the_next_buyers(
    contracts: list[Contract], net_wh: int, expected: tuple[int, int]
) -> None:
    """Counted with both it would be there twice."""
    assert purchases_wh(contracts, net_wh) == expected


def line(start_s: int, *values: int) -> CarbonLine:
    return CarbonLine(start_s, MemberCarbon(*values[:7]), *values[7:])


LINES = [
    line(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    line(900, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110),
    line(1_800, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000, 1_100),
]


def test_a_statement_is_the_sum_of_its_lines() -> None:
    total = add_carbon(NO_CARBON, LINES, [b"\x01" * 32])
    numbers = [111 * each for each in range(1, 12)]
    assert total == CarbonStatement(*numbers, lines=3, frontier=[b"\x01" * 32])


def test_lines_may_come_in_any_portions() -> None:
    whole = add_carbon(NO_CARBON, LINES, [])
    stated = NO_CARBON
    for first, end in pairwise((0, 1, 1, 3)):
        stated = add_carbon(stated, LINES[first:end], [])
    assert stated == whole
    assert msgspec.structs.astuple(add_carbon(whole, [], [])) == msgspec.structs.astuple(whole)
