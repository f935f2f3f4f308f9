"""A day of microgrids on the embedded engine, seen from inside."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from gridpact.agents.microgrids import PERFECT, STAND_IN, ForecastError
from gridpact.inputs.microgrid_days import microgrid_day
from gridpact.market.solvers import proposal
from gridpact.model.microgrid_day import MicrogridDay
from gridpact.node import audit_ledger
from gridpact.pipeline.microgrid_run import MicrogridRun, run_microgrids
from gridpact.units import NANO_PER_CURRENCY


def cut(day: MicrogridDay, first: int, end: int) -> MicrogridDay:
    """Some hours of a day."""
    terms = msgspec.structs.replace(
        day.terms,
        retail_micro_per_kwh=day.terms.retail_micro_per_kwh[first:end],
        feed_in_micro_per_kwh=day.terms.feed_in_micro_per_kwh[first:end],
    )
    truth = tuple(
        msgspec.structs.replace(
            bid,
            load_wh=bid.load_wh[first:end],
            green_demand_wh=bid.green_demand_wh[first:end],
            renewable_wh=bid.renewable_wh[first:end],
        )
        for bid in day.truth
    )
    return dataclasses.replace(day, terms=terms, truth=truth)


def run(day: MicrogridDay, folder: Path, error: ForecastError) -> MicrogridRun:
    return run_microgrids(day, folder, seed=3, error=error, engine="embedded", validators=1)


def test_with_perfect_forecasts_the_day_costs_what_one_plan_of_it_costs(tmp_path: Path) -> None:
    day = microgrid_day(None)
    found = run(day, tmp_path / "ledger", PERFECT)
    total = sum(sum(slot.cost_nano) for slot in found.slots)
    assert total / NANO_PER_CURRENCY == pytest.approx(27_830.691, abs=0.01)
    assert not any(any(slot.missing_wh) or any(slot.penalty_nano) for slot in found.slots)
    gained = sum(sum(slot.alone_cost_nano) for slot in found.slots) - total
    assert gained / NANO_PER_CURRENCY == pytest.approx(9102.126, abs=0.02)
    assert sum(slot.first_surplus_nano < 0 for slot in found.slots) == 2
    for slot in found.slots:
        assert sum(one.transfer_nano for one in slot.agreements) == 0
    assert found.money_residual_nano == 0
    assert audit_ledger(tmp_path / "ledger").ok


def test_who_delivers_less_pays_and_everything_still_adds_up(tmp_path: Path) -> None:
    found = run(cut(microgrid_day(None), 8, 16), tmp_path / "ledger", STAND_IN)
    missing = [sum(slot.missing_wh[i] for slot in found.slots) for i in range(4)]
    assert missing[0] == missing[3] == 0, "MG1 and MG4 only buy"
    assert min(missing[1:3]) > 0
    assert all(
        (slot.penalty_nano[i] > 0) == (slot.missing_wh[i] > 0)
        for slot in found.slots
        for i in range(4)
    )
    for slot in found.slots:
        assert sum(slot.sent_wh) == sum(slot.received_wh)
        assert sum(slot.sent_wh) + sum(slot.missing_wh) == slot.state.traded_wh
    assert audit_ledger(tmp_path / "ledger").ok


def test_small_microgrids_clear_in_whole_wh(tmp_path: Path) -> None:
    found = run(cut(microgrid_day(Path("rural-quarters")), 9, 15), tmp_path / "ledger", STAND_IN)
    assert [slot.refused for slot in found.slots] == [""] * 6
    assert sum(slot.state.traded_wh for slot in found.slots) > 10_000


def test_without_a_solution_nobody_trades_and_the_day_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = proposal.propose

    def fails_once(*arguments):  # type: ignore[no-untyped-def]
        if len(arguments[0].retail_micro_per_kwh) == 3:
            raise proposal.RepairError("no plan in whole Wh")
        return sound(*arguments)

    monkeypatch.setattr(proposal, "propose", fails_once)
    found = run(cut(microgrid_day(None), 10, 14), tmp_path / "ledger", STAND_IN)
    assert [slot.refused for slot in found.slots] == ["", "no plan in whole Wh", "", ""]
    without = found.slots[1]
    assert (without.agreements, without.state.trades, without.state.traded_wh) == ((), 0, 0)
    assert without.content_uwh == found.slots[0].content_uwh, "storages rest"
    assert all(slot.state.traded_wh > 0 for slot in (found.slots[0], *found.slots[2:]))
    assert audit_ledger(tmp_path / "ledger").ok
