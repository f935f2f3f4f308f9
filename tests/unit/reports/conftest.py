"""Runs built by hand: two slots, two members, every number chosen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gridpact.model import (
    AccountMode,
    AccountPolicy,
    AgentPolicy,
    Bill,
    BillResult,
    Gains,
    LedgerResult,
    Member,
    Phase,
    PlacedOrder,
    ProfileSource,
    ProfileUnit,
    Quoting,
    RunResult,
    Scenario,
    Side,
    Slot,
    SlotResult,
    SlotState,
    SlotTariff,
    Tariff,
    TieRule,
)

NAME = '<b>&"x'
"""A scenario name that must never reach a page as it is."""
START_S = 1_465_423_200
"""2016-06-09 00:00 in Berlin."""
RETAIL, FEED_IN, FEE = 300_000, 100_000, 20_000
"""Micro-currency per kWh."""


def member(participant_id: str, pv: str) -> Member:
    return Member(
        participant_id=participant_id,
        bus="",
        load_column=participant_id,
        pv_column=pv,
        load_nominal_w=0,
        pv_nominal_w=0,
        account=AccountPolicy(AccountMode.PREPAID, 0, 50_000_000),
        agent=AgentPolicy(7, Quoting.TRUTHFUL, 0),
    )


def scenario() -> Scenario:
    return Scenario(
        name=NAME,
        seed=7,
        currency="EUR",
        time_zone="Europe/Berlin",
        first_day=date(2016, 6, 9),
        days=1,
        slot_length_s=900,
        market_id="local",
        tie=TieRule.PRO_RATA,
        orders_per_slot=4,
        network="",
        tariff=Tariff("local", RETAIL, FEED_IN, FEE, ()),
        profiles=ProfileSource(None, "", "", ProfileUnit.WH),
        members=(member("ann", "pv-1"), member("ben", "")),
    )


def slot(index: int, *, traded_wh: int, second_stage_wh: int = 0) -> SlotResult:
    """A slot in which ann offers 800 Wh at 0.10 and ben bids for 1,000 Wh at 0.28."""
    load_wh, pv_wh = 1_000, 600 if traded_wh else 0
    net_wh = pv_wh - load_wh
    state = SlotState(
        phase=Phase.SETTLED,
        opened_phase=1,
        tariff=SlotTariff(RETAIL, FEED_IN, FEE, "local", "2016-06-09"),
        orders=2 if traded_wh else 0,
        trades=1 if traded_wh else 0,
        traded_wh=traded_wh,
        second_stage_wh=second_stage_wh,
        turnover_nano=190_000 * traded_wh,
        reference_price_micro_per_kwh=190_000 if traded_wh else -1,
        grid_import_wh=max(0, -net_wh),
        grid_export_wh=max(0, net_wh),
        archive=b"",
    )
    orders = (
        PlacedOrder("ann", Side.OFFER, 100_000, 800, 100_000),
        PlacedOrder("ben", Side.BID, 280_000, 1_000, 280_000),
    )
    return SlotResult(
        slot=Slot(START_S + 900 * index, 900),
        state=state,
        orders=orders if traded_wh else (),
        load_wh=load_wh,
        pv_wh=pv_wh,
        metered_net_wh=net_wh,
    )


def bill(participant_id: str, *, sold_wh: int, bought_wh: int, baseline_nano: int) -> BillResult:
    """A bill whose sums follow from its energies, all at 0.19 and 300 Wh from the grid."""
    sales, purchases = 190_000 * sold_wh, -190_000 * bought_wh
    fees, grid_import = -FEE * bought_wh, -RETAIL * 300
    return BillResult(
        participant_id=participant_id,
        day="2016-06-09",
        bill=Bill(
            total_nano=sales + purchases + fees + grid_import,
            purchases_nano=purchases,
            sales_nano=sales,
            fees_nano=fees,
            grid_import_nano=grid_import,
            grid_export_nano=0,
            bought_wh=bought_wh,
            sold_wh=sold_wh,
            grid_import_wh=300,
            grid_export_wh=0,
            lines=4,
            frontier=[],
        ),
        lines=(),
        baseline_nano=baseline_nano,
    )


def run_result(slots: tuple[SlotResult, ...], bills: tuple[BillResult, ...]) -> RunResult:
    trading = any(each.state.trades for each in slots)
    return RunResult(
        scenario=scenario(),
        engine="embedded",
        slots=slots,
        bills=bills,
        gains=(
            Gains(95_000_000, 50_000_000, 150_000_000, 200_000_000)
            if trading
            else Gains(0, 0, 0, 0)
        ),
        energy_residual_wh=0,
        money_residual_nano=0,
        system_nano={"bank": -100_000_000_000, "fund": 1, "grid": 99_999_999_999},
        ledger=LedgerResult(
            path=Path("out/a b/ledger"),
            height=12,
            transactions=1_234,
            record_hash="ab" * 32,
            state_root="cd" * 32,
            market_state_root="ef" * 32,
        ),
        receipts={"ACCEPTED": 1_232, "EXPIRED": 2},
        sizes={"envelopes": 1_000_000, "payloads": 500_000, "store": 2_000_000},
        timings_s={
            "inputs": 0.5,
            "compilation": 2.0,
            "clearing": 0.25,
            "ledger": 1.0,
            "trading": 3.0,
            "summary": 0.5,
        },
        sources=(f"profiles.csv {'12' * 32}",),
    )


@pytest.fixture
def trading_run() -> RunResult:
    """One slot with a trade of 500 Wh, one without."""
    return run_result(
        (slot(0, traded_wh=500), slot(1, traded_wh=0)),
        (
            bill("ann", sold_wh=500, bought_wh=0, baseline_nano=-10_000_000),
            bill("ben", sold_wh=0, bought_wh=500, baseline_nano=-190_000_001),
        ),
    )


@pytest.fixture
def second_stage_run() -> RunResult:
    """One slot with 500 Wh, of which 200 in the second stage."""
    return run_result((slot(0, traded_wh=500, second_stage_wh=200),), ())


@pytest.fixture
def empty_run() -> RunResult:
    """No orders, no PV, no bills, nothing metered that costs anything."""
    return run_result((slot(0, traded_wh=0), slot(1, traded_wh=0)), ())
