"""The physical day end to end on a small feeder: every case is a whole run, audited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.pipeline.small_day import Village, run, scenario_in, with_feeder

from gridpact.model import (
    AccountMode,
    AccountPolicy,
    HomePattern,
    LineKind,
    MeteringPolicy,
    Reporting,
    RunResult,
)
from gridpact.model.assets import Battery, Planning
from gridpact.model.grid import CurtailmentRule, LimitKind
from gridpact.node import audit_ledger


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Village:
    """Without a network, all meters in time, orders open."""
    folder = tmp_path_factory.mktemp("plain")
    return run(scenario_in(folder), folder)


def sound(village: Village) -> RunResult:
    """The result, after everything that must hold for every run has been checked."""
    result = village.result
    assert result.money_residual_nano == 0
    assert result.energy_residual_wh == 0
    report = audit_ledger(village.ledger)
    assert report.ok, report.violations
    assert report.transactions == sum(result.receipts.values())
    for slot in result.slots:
        # PV = use + feed-in + stored + spilled: what meters saw is what homes did, to the Wh
        assert slot.metered_net_wh == slot.pv_wh - slot.load_wh - slot.stored_wh - slot.spilled_wh
    return result


def bills(result: RunResult) -> dict[str, int]:
    return {bill.participant_id: bill.bill.total_nano for bill in result.bills}


def test_a_day_without_network_or_homes_has_neither_in_its_result(plain: Village) -> None:
    result = sound(plain)
    assert result.grid is None
    assert result.homes == ()
    assert all(slot.grid is None for slot in result.slots)
    assert result.credits == ()
    assert result.fullest_book is not None
    assert len(result.fullest_book.orders) == 4
    most = max(slot.state.traded_wh for slot in result.slots)
    book_s = result.fullest_book.slot.start_s
    assert next(s for s in result.slots if s.slot.start_s == book_s).state.traded_wh == most


# Lines


def test_lines_that_carry_everything_change_nothing(plain: Village, tmp_path: Path) -> None:
    result = sound(run(with_feeder(plain.scenario, tmp_path, ampere=200), tmp_path))
    assert bills(result) == bills(plain.result)
    assert all(slot.grid is not None and not slot.grid.cuts for slot in result.slots)
    assert result.grid is not None
    assert [bus.bus for bus in result.grid.buses] == ["main", "near", "far"]
    assert all(
        0.99 < (bus.vm_min_pu or 0) <= (bus.vm_max_pu or 0) < 1.01 for bus in result.grid.buses
    )
    peaks = {branch.branch: branch.loading_max_percent for branch in result.grid.branches}
    slots = [slot.grid for slot in result.slots if slot.grid is not None]
    assert max(slot.loading_max_percent or 0 for slot in slots) == max(
        p or 0 for p in peaks.values()
    )
    assert all((slot.losses_wh or 0) > 0 for slot in slots)
    for slot, seen in zip(result.slots, slots, strict=True):
        outside = (seen.from_outside_wh or 0) - (seen.losses_wh or 0)
        assert outside == pytest.approx(-slot.metered_net_wh, abs=0.01)


@pytest.mark.parametrize("rule", list(CurtailmentRule))
def test_a_full_line_curtails_and_the_money_adds_up(
    plain: Village, tmp_path: Path, rule: CurtailmentRule
) -> None:
    """The thin line carries 1.2 A: half a kilowatt less than the far homes want to sell."""
    scenario = with_feeder(plain.scenario, tmp_path, ampere=1.2)
    assert scenario.network is not None
    scenario = replace(scenario, network=replace(scenario.network, rule=rule))
    result = sound(run(scenario, tmp_path))
    (tmp_path / "wide").mkdir()
    wide = run(with_feeder(plain.scenario, tmp_path / "wide", ampere=200), tmp_path / "wide").result
    cut = [slot for slot in result.slots if slot.state.curtailed_wh]
    assert cut
    for slot in cut:
        assert slot.grid is not None
        assert sum(each.curtailed_wh for each in slot.grid.cuts) == slot.state.curtailed_wh
        assert {each.bound_by for each in slot.grid.cuts} == {"thin"}
        assert slot.spilled_wh > 0
    peak = {
        slot.slot.start_s: slot.grid.loading_max_percent or 0 for slot in wide.slots if slot.grid
    }
    for slot in cut:
        # the sellers were what filled the line; they fed less in, and it carries less than before
        assert slot.grid is not None
        assert (slot.grid.loading_max_percent or 0) < peak[slot.slot.start_s] * 200 / 1.2
    lines = [line for bill in result.bills for line in bill.lines]
    undeliverable = [line for line in lines if line.kind == LineKind.UNDELIVERABLE]
    assert all(line.reference.endswith("@thin") for line in undeliverable)
    assert all(line.amount_nano == 0 for line in undeliverable)
    # each curtailed Wh is on the seller's and on the buyer's bill
    assert sum(line.energy_wh for line in undeliverable) == 2 * sum(
        slot.state.curtailed_wh for slot in cut
    )
    delivered = sum(line.energy_wh for line in lines if line.kind == LineKind.SALE)
    traded = sum(slot.state.traded_wh - slot.state.curtailed_wh for slot in result.slots)
    assert delivered == traded
    assert sum(bills(result).values()) == -sum(result.system_nano.values()) - deposits(result)


def deposits(result: RunResult) -> int:
    """What members paid in; it lies on their accounts and came from the bank."""
    return sum(member.account.deposit_micro * 1000 for member in result.scenario.members)


def test_a_network_that_cannot_carry_the_load_is_named_and_the_day_goes_on(
    plain: Village, tmp_path: Path
) -> None:
    """At 5,000 ohm per km the far homes' load has no power flow in most slots."""
    result = sound(run(with_feeder(plain.scenario, tmp_path, ampere=200, r=5_000), tmp_path))
    dark = [slot.grid for slot in result.slots if slot.grid and slot.grid.vm_min_pu is None]
    assert dark
    for grid in dark:
        assert [violation.kind for violation in grid.violations] == [LimitKind.COLLAPSE]
        assert grid.violations[0].element == "far"
        assert grid.losses_wh is None
    assert any(f"{len(dark)} slots have no power flow" in remark for remark in result.remarks)


def test_members_without_supply_trade_nothing_and_are_named(plain: Village, tmp_path: Path) -> None:
    scenario = with_feeder(plain.scenario, tmp_path, ampere=200)
    lines = tmp_path / "feeder" / "lines.csv"
    text = lines.read_text().replace("max_i_ka\n", "max_i_ka,in_service\n")
    text = text.replace("0.08,0.2\n", "0.08,0.2,true\n", 1).rstrip() + ",false\n"
    lines.write_text(text)
    result = sound(run(scenario, tmp_path))
    cut = [each for slot in result.slots if slot.grid for each in slot.grid.cuts]
    assert cut
    assert {each.bound_by for each in cut} == {"far"}
    assert all(each.curtailed_wh == each.energy_wh for each in cut)
    assert any("far" in remark for remark in result.remarks)


# Orders


def test_sealed_orders_come_to_what_open_ones_come_to(plain: Village, tmp_path: Path) -> None:
    scenario = replace(plain.scenario, sealed_deposit_micro=1_000_000)
    result = sound(run(scenario, tmp_path))
    assert bills(result) == bills(plain.result)
    trades = [slot.state.traded_wh for slot in result.slots]
    assert trades == [slot.state.traded_wh for slot in plain.result.slots]
    orders = sum(slot.state.orders for slot in plain.result.slots)
    assert sum(slot.state.orders for slot in result.slots) == orders
    # a seal and a reveal for each order, and a barrier more in each slot
    sent = sum(plain.result.receipts.values()) + orders + len(result.slots)
    assert sum(result.receipts.values()) == sent


# Readings


def test_day_batches_come_to_what_single_readings_come_to(plain: Village, tmp_path: Path) -> None:
    metering = MeteringPolicy(Reporting.METERING_OPERATOR)
    result = sound(run(replace(plain.scenario, metering=metering), tmp_path))
    assert bills(result) == bills(plain.result)
    members, slots = len(plain.scenario.members), len(plain.result.slots)
    readings = members * slots
    barriers = 2 * (slots - 1)  # `metered` and `settled` once for the day
    sent = sum(plain.result.receipts.values()) - readings + members - barriers
    assert sum(result.receipts.values()) == sent


@pytest.mark.parametrize("reporting", list(Reporting))
def test_late_readings_are_substituted_and_corrected_by_credit_notes(
    plain: Village, tmp_path: Path, reporting: Reporting
) -> None:
    metering = MeteringPolicy(reporting, late_permille=200)
    result = sound(run(replace(plain.scenario, metering=metering), tmp_path))
    assert result.credits
    changed = bills(result)
    for note in result.credits:
        assert sum(line.amount_nano for line in note.lines) == note.note.change.total_nano
        assert {line.correction for line in note.lines} <= {-1, 1}
        assert note.note.billed_nano == changed[note.participant_id]
        changed[note.participant_id] += note.note.change.total_nano
    # with the corrections everybody is where all meters in time would have left them
    assert changed == bills(plain.result)
    assert bills(result) != bills(plain.result)


def test_the_share_of_late_readings_is_drawn_by_the_seed(plain: Village, tmp_path: Path) -> None:
    """All late: every bill rests on substitutes, every slot is corrected."""
    metering = MeteringPolicy(Reporting.METERING_OPERATOR, late_permille=1000)
    result = sound(run(replace(plain.scenario, metering=metering), tmp_path))
    lines = [line for note in result.credits for line in note.lines]
    assert {line.slot_start_s for line in lines} == {slot.slot.start_s for slot in result.slots}


# Homes


def test_a_battery_moves_sun_into_the_evening(plain: Village, tmp_path: Path) -> None:
    battery = Battery(
        capacity_wh=5_000,
        charge_w=1_000,
        discharge_w=1_000,
        charge_permille=950,
        discharge_permille=950,
        stored_initial_wh=0,
        stored_max_wh=5_000,
    )
    home = HomePattern(planning=Planning.SELF_CONSUMPTION, battery=battery)
    members = tuple(
        replace(member, home=home) if number % 2 else member
        for number, member in enumerate(plain.scenario.members)
    )
    result = sound(run(replace(plain.scenario, members=members), tmp_path))
    assert [each.participant_id for each in result.homes] == ["home-1", "home-3"]
    for each in result.homes:
        assert each.charged_wh > each.discharged_wh > 0
        assert each.shortfalls == ()
    stored = [slot.stored_wh for slot in result.slots]
    noon = [value for slot, value in zip(result.slots, stored, strict=True) if slot.pv_wh]
    assert max(noon) > 0
    assert min(stored) < 0
    assert bills(result) != bills(plain.result)
    outside = sum(bill.bill.grid_import_wh for bill in result.bills)
    assert outside < sum(bill.bill.grid_import_wh for bill in plain.result.bills)


def test_who_cannot_pay_in_advance_is_refused_and_the_day_goes_on(
    plain: Village, tmp_path: Path
) -> None:
    poor = AccountPolicy(AccountMode.PREPAID, limit_micro=0, deposit_micro=0)
    members = (replace(plain.scenario.members[0], account=poor), *plain.scenario.members[1:])
    result = sound(run(replace(plain.scenario, members=members), tmp_path))
    assert result.receipts["INSUFFICIENT_FUNDS"] == len(result.slots)
    assert next(b for b in result.bills if b.participant_id == "home-0").bill.bought_wh == 0


def test_progress_names_each_slot_as_it_is_done(plain: Village, tmp_path: Path) -> None:
    from gridpact.pipeline import run_scenario

    told: list[tuple[int, int, int]] = []
    result = run_scenario(
        plain.scenario,
        tmp_path / "ledger",
        lambda done, total, slot: told.append((done, total, slot.slot.start_s)),
    )
    starts = [slot.slot.start_s for slot in result.slots]
    assert told == [(i + 1, len(starts), start) for i, start in enumerate(starts)]
