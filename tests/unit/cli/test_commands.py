"""What holds for every command: help with an example, clear refusals, `clear auction`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call

COMMANDS = [
    ("run",),
    ("validate",),
    ("clear", "auction"),
    ("audit",),
    ("prove",),
    ("verify",),
    ("bench",),
    ("trace",),
    ("fuzz",),
    ("kill",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example(command: tuple[str, ...]) -> None:
    done = call(*command, "--help")
    assert done.code == 0
    assert "Example:" in done.out
    assert f"gridpact {' '.join(command)}" in done.out


def test_an_unknown_bench_names_those_there_are() -> None:
    done = call("bench", "speed")
    assert done.code == 2
    for name in ("clearing", "ledger", "day"):
        assert name in done.err


def test_clear_auction_by_hand(tmp_path: Path) -> None:
    """Two offers, two bids; 0.50 and 0.60 meet at 0.55, 0.52 and 0.54 at 0.53."""
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "order_id,participant,slot,side,price_micro_per_kwh,energy_wh\n"
        "s1,ann,2024-06-01T12:00:00Z,offer,500000,1000\n"
        "s2,bob,2024-06-01T12:00:00Z,offer,520000,1000\n"
        "b1,cyd,2024-06-01T12:00:00Z,bid,600000,1000\n"
        "b2,dan,2024-06-01T12:00:00Z,bid,540000,500\n"
    )
    trades = tmp_path / "trades.csv"
    done = call("clear", "auction", orders, "-o", trades, "--json")
    assert done.code == 0
    (slot,) = done.json["slots"]
    assert (slot["trades"], slot["traded_wh"], slot["remaining_offer_wh"]) == (2, 1500, 500)
    with trades.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["seller_order"], r["buyer_order"], r["energy_wh"]) for r in rows] == [
        ("s1", "b1", "1000"),
        ("s2", "b2", "500"),
    ]
    assert [r["price_sum_micro_per_kwh"] for r in rows] == ["1100000", "1060000"]
    assert [r["payment_nano"] for r in rows] == ["550000000", "265000000"]


def test_clear_auction_lists_all_problems_and_writes_nothing(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "order_id,participant,slot,side,price_micro_per_kwh,energy_wh\n"
        "s1,ann,1,offer,-5,1000\n"
        "s1,bob,1,sell,520000,0\n"
    )
    done = call("clear", "auction", orders, "-o", tmp_path / "trades.csv")
    assert done.code == 2
    for place in ("orders.csv:2", "orders.csv:3"):
        assert place in done.err
    assert not (tmp_path / "trades.csv").exists()
    assert call("clear", "auction", orders, "--tie", "luck").code == 2
    assert call("clear", "auction", tmp_path / "absent.csv").code == 2
