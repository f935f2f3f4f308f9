"""Runs built by hand: two slots, two members, every number chosen.

The bare run has no network, no homes, no corrections; the full one has all of it, with names that
must never reach a page as they are.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import msgspec
import pytest

from gridpact.model import (
    AccountMode,
    AccountPolicy,
    AgentPolicy,
    Bill,
    BillLine,
    BillResult,
    Book,
    BranchPeak,
    BusBand,
    CreditNote,
    CreditResult,
    ForecastErrors,
    Gains,
    GridResult,
    HomeResult,
    LedgerResult,
    LineKind,
    Member,
    NetworkPolicy,
    Phase,
    PlacedOrder,
    ProfileSource,
    ProfileUnit,
    Quoting,
    RunResult,
    Scenario,
    Side,
    Slot,
    SlotGrid,
    SlotResult,
    SlotState,
    SlotTariff,
    Tariff,
    TieRule,
    TradeCut,
)
from gridpact.model.assets import Planning, Shortfall
from gridpact.model.grid import LimitKind, Violation

NAME = '<b>&"x'
"""A scenario name that must never reach a page as it is."""
NAN = float("nan")
START_S = 1_465_423_200
"""2016-06-09 00:00 in Berlin."""
LINE = '<i>|"line'
"""A branch whose name must not either."""
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
        network=None,
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
        curtailed_wh=0,
        second_stage_wh=second_stage_wh,
        turnover_nano=190_000 * traded_wh,
        reference_price_micro_per_kwh=190_000 if traded_wh else -1,
        grid_import_wh=max(0, -net_wh),
        grid_export_wh=max(0, net_wh),
        archive=b"",
    )
    return SlotResult(
        slot=Slot(START_S + 900 * index, 900),
        state=state,
        load_wh=load_wh,
        pv_wh=pv_wh,
        metered_net_wh=net_wh,
        stored_wh=0,
        spilled_wh=0,
        grid=None,
    )


ORDERS = (
    PlacedOrder("ann", Side.OFFER, 100_000, 800, 100_000),
    PlacedOrder("ben", Side.BID, 280_000, 1_000, 280_000),
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
            lost_deposits_nano=0,
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
        credits=(),
        fullest_book=Book(slots[0].slot, ORDERS) if trading else None,
        grid=None,
        homes=(),
        forecast=ForecastErrors(0, NAN, NAN, NAN, NAN, NAN, {}, {}),
        carbon=None,
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
        remarks=(),
    )


def solved(
    *, lowest: float, loading: float, cuts: tuple[TradeCut, ...], violations: tuple[Violation, ...]
) -> SlotGrid:
    return SlotGrid(
        vm_min_pu=lowest,
        vm_min_bus="bus-9",
        vm_max_pu=1.0123,
        vm_max_bus="bus-1",
        loading_max_percent=loading,
        loading_max_branch=LINE,
        losses_wh=12.5,
        from_outside_wh=400.0,
        cuts=cuts,
        violations=violations,
    )


UNSOLVED = SlotGrid(
    *(None, "", None, "", None, "", None, None),
    cuts=(),
    violations=(Violation(LimitKind.COLLAPSE, 1, "bus-9", NAN, NAN, float("inf")),),
)


def grid_result() -> GridResult:
    return GridResult(
        reference="pandapower:street.json",
        buses=(
            BusBand("bus-1", 1.0, 1.0123),
            BusBand("bus-9", 0.89, 0.99),
            BusBand("dead", None, None),
        ),
        branches=(
            BranchPeak("cable", 40.0),
            BranchPeak(LINE, 104.25),
            BranchPeak("unrated", None),
        ),
        unsupported=("3 <meters> of the file",),
        unsupplied=("island of bus dead",),
    )


def home(participant_id: str, shortfalls: tuple[Shortfall, ...] = ()) -> HomeResult:
    return HomeResult(
        participant_id=participant_id,
        planning=Planning.OPTIMISED,
        charged_wh=5_000,
        discharged_wh=4_500,
        conversion_loss_uwh=400_000_000,
        self_discharge_uwh=10_000_000,
        deferrable_wh=1_200,
        flexible_wh=0,
        vehicle_charged_wh=7_000,
        vehicle_discharged_wh=0,
        spilled_wh=30,
        fallback_plans=2,
        shortfalls=shortfalls,
    )


def credit(change_nano: int) -> CreditResult:
    """150 Wh of ben's import become 100."""
    lines = tuple(
        BillLine(START_S, LineKind.GRID_IMPORT, step, "ben.meter/v2", wh, 2 * RETAIL, nano)
        for step, wh, nano in ((-1, 150, 45_000_000), (1, 100, -30_000_000))
    )
    change = Bill(change_nano, 0, 0, 0, change_nano, 0, 0, 0, 0, -50, 0, 2, [])
    note = CreditNote(b"\0" * 32, -195_000_000, change)
    return CreditResult("ben", "2016-06-09", note, lines)


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


@pytest.fixture
def full_run(trading_run: RunResult) -> RunResult:
    """The trading run with a network that curtails, homes, forecasts, a credit note, remarks.

    In the first slot 120 of 500 Wh are curtailed and a line is overloaded all the same; in the
    second the power flow finds no solution.
    """
    first, second = trading_run.slots
    ann, ben = trading_run.bills
    cut = TradeCut(0, "ann", "ben", 500, 120, LINE)
    over = Violation(LimitKind.LOADING, 0, LINE, 104.25, 100.0, 0.0425)
    slots = (
        dataclasses.replace(
            first,
            state=msgspec.structs.replace(first.state, curtailed_wh=120),
            stored_wh=300,
            spilled_wh=40,
            grid=solved(lowest=0.9876, loading=104.25, cuts=(cut,), violations=(over,)),
        ),
        dataclasses.replace(second, stored_wh=-100, grid=UNSOLVED),
    )
    trade = f"local.{START_S}.0"
    lines = (
        BillLine(START_S, LineKind.PURCHASE, 0, trade, 380, 380_001, -72_200_190),
        BillLine(START_S, LineKind.UNDELIVERABLE, 0, f"{trade}@{LINE}", 120, 380_001, 0),
        BillLine(START_S, LineKind.LOST_DEPOSIT, 0, "order/4", 0, 0, -1_000_000),
    )
    lost = msgspec.structs.replace(ben.bill, lost_deposits_nano=-1_000_000)
    return dataclasses.replace(
        trading_run,
        scenario=dataclasses.replace(
            trading_run.scenario, network=NetworkPolicy("pandapower:street.json", Path())
        ),
        slots=slots,
        bills=(ann, dataclasses.replace(ben, bill=lost, lines=lines)),
        credits=(credit(15_000_000),),
        grid=grid_result(),
        homes=(home("ann"), home("ben", (Shortfall("ben", "car & co", START_S + 900, 250),))),
        forecast=ForecastErrors(
            4, 84.0, 120.5, -3.25, 96.0, 0.125, {0.1: 9.5, 0.9: 11.25}, {0.1: 0.25, 0.9: 0.75}
        ),
        remarks=("4 gaps of <profiles> were filled",),
    )
