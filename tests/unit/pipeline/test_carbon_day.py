"""Carbon of a whole day on a small feeder: traced, allotted, audited, traced again, proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.small_run import Outcome, call, write_scenario
from tests.unit.pipeline.small_day import (
    FEEDER,
    GENERATION,
    IMPORT,
    SUPPLIER,
    Village,
    run,
    traced,
)

import gridpact
from gridpact.errors import InputError
from gridpact.model import (
    CarbonResult,
    CarbonRules,
    MeteringPolicy,
    Reporting,
    SlotCarbon,
)
from gridpact.node import audit_ledger
from gridpact.pipeline.retrace import Retraced, retrace
from gridpact.pipeline.slot_carbon import SlotTracer, TracedSlot, connections_hash
from gridpact.reports import run_json, write_report


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    folder = tmp_path_factory.mktemp("carbon")
    return run(traced(folder), folder)


def carbon_of(village: Village) -> CarbonResult:
    """The carbon, after everything that must hold for every run has been checked."""
    carbon = village.result.carbon
    assert carbon is not None
    report = audit_ledger(village.ledger)
    assert report.ok, report.violations
    assert carbon.residual_ug == 0
    for slot in filter(None, carbon.slots):
        assert (slot.residual_wh, slot.residual_ug) == (0, 0)
        assert slot.imported_ug == slot.import_mg_per_kwh * slot.imported_wh
    return carbon


def all_of(carbon: CarbonResult) -> list[SlotCarbon]:
    slots = [slot for slot in carbon.slots if slot is not None]
    assert len(slots) == len(carbon.slots)
    return slots


def test_all_that_is_emitted_is_used_lost_stored_or_exported(village: Village) -> None:
    slots = all_of(carbon_of(village))
    emitted = sum(slot.imported_ug + slot.generated_ug for slot in slots)
    stored = sum(slot.charged_ug - slot.discharged_ug for slot in slots)
    used, lost, exported = (
        sum(getattr(slot, name) for slot in slots) for name in ("load_ug", "lost_ug", "exported_ug")
    )
    assert emitted == used + lost + stored + exported
    assert min(emitted, used, lost) > 0
    assert sum(slot.generated_ug for slot in slots) == GENERATION * sum(
        slot.generated_wh for slot in slots
    )


def test_a_feeder_with_little_load_exports_its_sun_with_its_carbon(tmp_path: Path) -> None:
    scenario = traced(tmp_path)
    sunny = tuple(replace(scenario.members[row], home=None) for row in (1, 3))
    slots = all_of(carbon_of(run(replace(scenario, members=sunny), tmp_path)))
    exporting = [slot for slot in slots if slot.exported_wh]
    assert exporting
    for slot in exporting:
        assert slot.imported_wh == 0
        assert slot.exported_ug == pytest.approx(GENERATION * slot.exported_wh, rel=2e-3)


def test_energy_is_that_of_meters_and_homes(village: Village) -> None:
    for slot, carbon in zip(village.result.slots, all_of(carbon_of(village)), strict=True):
        assert carbon.load_wh == slot.load_wh
        assert carbon.generated_wh == slot.pv_wh - slot.spilled_wh
        assert carbon.charged_wh - carbon.discharged_wh == slot.stored_wh
        assert slot.grid is not None
        assert carbon.lost_wh == round(slot.grid.losses_wh or 0)
        assert carbon.imported_wh - carbon.exported_wh == carbon.lost_wh - slot.metered_net_wh


def test_without_sun_everybody_has_the_intensity_of_imports(village: Village) -> None:
    dark = {
        slot.slot.start_s
        for slot, carbon in zip(village.result.slots, all_of(carbon_of(village)), strict=True)
        if not carbon.generated_wh and not carbon.discharged_wh
    }
    assert dark
    statements = carbon_of(village).statements
    lines = [line for each in statements for line in each.lines if line.slot_start_s in dark]
    for line in lines:
        expected_ug = IMPORT * line.physical.load_wh
        # imports are whole Wh, so an intensity is off by a Wh in all that is drawn
        assert line.physical.load_ug == pytest.approx(expected_ug, rel=2e-3)
    assert any(line.physical.load_ug for line in lines)


def test_equal_factors_give_everybody_that_factor(tmp_path: Path) -> None:
    """Metamorphic: wherever power flows the intensity is the one. Batteries' losses raise it."""
    factor = 250_000
    scenario = traced(tmp_path, CarbonRules(factor, factor), factor)
    members = tuple(replace(member, home=None) for member in scenario.members)
    for each in carbon_of(run(replace(scenario, members=members), tmp_path)).statements:
        for line in each.lines:
            part = line.physical
            allowed = 2e-3 * factor * part.load_wh + factor
            assert part.load_ug == pytest.approx(factor * part.load_wh, abs=allowed)
            assert line.bought_ug == factor * line.bought_wh


def test_a_battery_gives_back_what_it_took_and_no_more(village: Village) -> None:
    carbon = carbon_of(village)
    (stored,) = (each for each in carbon.statements if each.statement.charged_wh)
    assert stored.participant_id == village.scenario.members[1].participant_id
    held = 0
    for line in stored.lines:
        assert line.physical.discharged_ug <= held
        held += line.physical.charged_ug - line.physical.discharged_ug
    assert stored.statement.discharged_ug > 0
    assert carbon.held_ug == {stored.participant_id: held}


def test_contractual_carbon_is_that_of_the_bills(village: Village) -> None:
    bought = {bill.participant_id: bill.bill for bill in village.result.bills}
    statements = carbon_of(village).statements
    assert {each.participant_id for each in statements} == set(bought)
    for each in statements:
        statement, bill = each.statement, bought[each.participant_id]
        assert statement.supplied_wh == bill.grid_import_wh
        assert statement.supplied_ug == SUPPLIER * bill.grid_import_wh
        assert statement.bought_wh <= bill.bought_wh
        assert statement.bought_ug == GENERATION * statement.bought_wh
        for line in each.lines:
            taken = line.physical.load_wh + line.physical.charged_wh
            given = line.physical.generated_wh + line.physical.discharged_wh
            assert line.bought_wh + line.supplied_wh >= taken - given
    assert sum(each.statement.bought_wh for each in statements) > 0


def test_shares_of_use_sum_to_one_and_say_where_it_was_from(village: Village) -> None:
    mix = carbon_of(village).mix
    rest = 1.0 - mix.import_share - mix.storage_share
    assert (rest > -1e-6).all()
    assert (mix.import_share > -1e-6).all()
    dark = [i for i, slot in enumerate(village.result.slots) if slot.pv_wh == slot.stored_wh == 0]
    assert dark
    assert mix.import_share[:, dark] == pytest.approx(1.0)


@pytest.mark.parametrize("reporting", list(Reporting))
def test_late_readings_and_batches_leave_it_as_it_is(
    village: Village, tmp_path: Path, reporting: Reporting
) -> None:
    """Carbon waits for the last reading, so it does not matter when readings came."""
    scenario = replace(
        traced(tmp_path), metering=MeteringPolicy(reporting=reporting, late_permille=300)
    )
    late = run(scenario, tmp_path)
    assert late.result.credits
    found, expected = carbon_of(late), carbon_of(village)
    assert found.slots == expected.slots
    assert [each.statement.load_ug for each in found.statements] == [
        each.statement.load_ug for each in expected.statements
    ]


def test_a_network_that_collapses_has_no_carbon_and_says_so(tmp_path: Path) -> None:
    scenario = traced(tmp_path)
    thin = FEEDER["lines.csv"].format(ampere=0.2, r=2_000)
    (tmp_path / "feeder" / "lines.csv").write_text(thin, encoding="utf-8")
    village = run(scenario, tmp_path)
    carbon = carbon_of(village)
    pairs = zip(village.result.slots, carbon.slots, strict=True)
    left = [slot for slot, found in pairs if found is None]
    assert left
    assert all(slot.grid is not None and slot.grid.vm_min_pu is None for slot in left)
    assert len(carbon.untraced) == len(left)
    assert set(carbon.untraced) <= set(village.result.remarks)
    write_report(village.result, tmp_path / "report.html")
    assert f"{len(left)} slots could not be traced" in (tmp_path / "report.html").read_text()


def test_a_day_without_a_policy_has_none(tmp_path: Path) -> None:
    village = run(replace(traced(tmp_path), carbon=None), tmp_path)
    assert village.result.carbon is None
    assert run_json(village.result, None)["carbon"] is None


def test_the_summary_has_both_kinds_apart(village: Village) -> None:
    carbon = run_json(village.result, None)["carbon"]
    assert isinstance(carbon, dict)
    assert carbon["residual_ug"] == 0
    assert carbon["slots"] == len(village.result.slots)
    assert {name for name in carbon if name.startswith("contractual")} == {
        f"contractual_{what}_{unit}" for what in ("bought", "supplied") for unit in ("wh", "ug")
    }


# Traced again


def again(village: Village) -> Retraced:
    return retrace(village.ledger, village.scenario)


def test_tracing_again_comes_to_the_same(village: Village) -> None:
    found = again(village)
    assert (found.violations, found.largest_ug) == ([], 0)
    assert found.slots == len(village.result.slots)


def test_a_lie_that_balances_passes_the_audit_and_not_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger proves books. That power flowed otherwise is seen by tracing again alone."""
    true = SlotTracer.trace

    def lie(tracer: SlotTracer, *arguments: object) -> TracedSlot:
        found = true(tracer, *arguments)  # type: ignore[arg-type]
        one, other = found.members[0], found.members[2]
        moved = one.load_ug // 10
        members = [
            msgspec.structs.replace(one, load_ug=one.load_ug - moved),
            found.members[1],
            msgspec.structs.replace(other, load_ug=other.load_ug + moved),
            *found.members[3:],
        ]
        return replace(found, members=members)

    with monkeypatch.context() as patched:
        patched.setattr(SlotTracer, "trace", lie)
        village = run(traced(tmp_path), tmp_path)
    carbon_of(village)
    found = again(village)
    assert found.largest_ug > 0
    assert any("home-0: load_ug is" in text for text in found.violations)
    assert not any("home-1" in text or "all members" in text for text in found.violations)


def test_a_lie_about_energy_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Wh more lost and imported balances; no meter says otherwise."""
    true = SlotTracer.trace

    def lie(tracer: SlotTracer, *arguments: object) -> TracedSlot:
        found = true(tracer, *arguments)  # type: ignore[arg-type]
        slot = found.slot
        if not slot.imported_wh:
            return found
        padded = msgspec.structs.replace(
            slot,
            imported_wh=slot.imported_wh + 1,
            lost_wh=slot.lost_wh + 1,
            imported_ug=slot.imported_ug + slot.import_mg_per_kwh,
            lost_ug=slot.lost_ug + slot.import_mg_per_kwh,
        )
        return replace(found, slot=padded if padded.lost_wh > 0 else slot)

    with monkeypatch.context() as patched:
        patched.setattr(SlotTracer, "trace", lie)
        village = run(traced(tmp_path), tmp_path)
    carbon_of(village)
    assert any("all members: lost_wh is" in text for text in again(village).violations)


def test_iron_is_lost_with_its_carbon(tmp_path: Path) -> None:
    """A shunt draws 1 kW: in each hour a kWh more is lost than lines lose."""
    scenario = traced(tmp_path)
    table = "shunt,bus,p_w\niron,far,1000\n"
    (tmp_path / "feeder" / "shunts.csv").write_text(table, encoding="utf-8")
    slots = all_of(carbon_of(run(scenario, tmp_path)))
    assert all(slot.lost_wh == pytest.approx(1000, abs=60) for slot in slots)
    assert all(slot.lost_ug > 0 for slot in slots)


@pytest.mark.parametrize("what", ["bus", "power factor", "network"])
def test_another_network_is_named(village: Village, what: str) -> None:
    scenario = village.scenario
    members, network = [*scenario.members], scenario.network
    assert network is not None
    if what == "bus":
        members[0] = replace(members[0], bus="far")
    elif what == "power factor":
        network = replace(network, power_factor_permille=900)
    else:
        network = replace(network, reference="csv:./feeder")
    found = retrace(village.ledger, replace(scenario, members=tuple(members), network=network))
    assert found.slots == 0
    assert "another network, power factor, or members connected elsewhere" in found.violations[0]


def test_a_hash_that_names_other_members_than_the_parts_is_no_excuse(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = connections_hash(village.scenario)
    monkeypatch.setattr("gridpact.pipeline.retrace.connections_hash", lambda _: stated)
    fewer = replace(village.scenario, members=village.scenario.members[:3])
    found = retrace(village.ledger, fewer)
    assert found.slots == 0
    assert "members connected elsewhere" in found.violations[0]


def test_a_scenario_without_carbon_traces_nothing_again(village: Village) -> None:
    with pytest.raises(InputError, match="no \\[network\\] or no \\[carbon\\]"):
        retrace(village.ledger, replace(village.scenario, carbon=None))


# As a user has it


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario file with [carbon] and its run in `out`."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "feeder").mkdir()
    for name, text in FEEDER.items():
        content = text.format(ampere=0.2, r=0.2)
        (folder / "feeder" / name).write_text(content, encoding="utf-8")
    path = write_scenario(folder)
    hours = [f"2024-03-{8 + h // 24:02}T{h % 24:02}:00:00+01:00,{300_000 + h}" for h in range(72)]
    (folder / "grid.csv").write_text("\n".join(["start,mg_per_kwh", *hours]) + "\n")
    text = path.read_text(encoding="utf-8")
    tables = (
        '[network]\nreference = "csv:feeder"\n\n'
        '[carbon]\nimports = "grid.csv"\nsupplier_mg_per_kwh = 350_000\n\n[tariff]\n'
    )
    text = text.replace("[tariff]\n", tables)
    text = text.replace("[[participant]]\n", '[[participant]]\nbus = "near"\n')
    path.write_text(text, encoding="utf-8")
    done = call("run", path, "--out", folder / "out", "--json")
    assert done.code == 0, done.err
    return folder


def test_the_command_line_proves_and_traces_again(files: Path) -> None:
    summary = json.loads((files / "out" / "run.json").read_text())
    root = summary["ledger"]["record_hash"]
    assert summary["carbon"]["residual_ug"] == 0
    proof = files / "carbon.proof"
    assert call("prove", files / "out", "--carbon", "home-1", "-o", proof).code == 0
    proved = call("verify", proof, "--root", root)
    assert proved.code == 0
    assert "carbon/home-1/2024-03-09" in proved.out
    assert "do not add them" in proved.out
    assert "all 24 lines checked" in proved.out
    as_json = call("verify", proof, "--root", root, "--json").json
    assert len(as_json["lines"]) == 24
    assert as_json["value"]["load_ug"] == sum(
        line["physical"]["load_ug"] for line in as_json["lines"]
    )
    audit = call("audit", files / "out", "--scenario", files / "small.toml", "--json")
    assert audit.json["carbon_traced_again"] == {"slots": 24, "largest_ug": 0}
    words = call("audit", files / "out", "--scenario", files / "small.toml").out
    assert "carbon traced again in 24 slots, at most 0 ug apart" in words


def test_a_factor_over_time_is_that_of_each_slot(files: Path) -> None:
    import polars as pl

    slots = pl.read_parquet(files / "out" / "tables" / "carbon_slots.parquet")
    # the file begins a day before the first slot
    assert slots["import_mg_per_kwh"].to_list() == [300_024 + hour for hour in range(24)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--carbon", "nobody"), "'nobody' has no carbon statement; participants: home-0, home-1"),
        (("--carbon", "home-1", "--day", "2024-03-10"), "choose of 2024-03-09"),
        (("--carbon", "home-1", "--bill", "home-1"), "found --bill, --carbon"),
    ],
)
def test_bad_questions_are_answered(files: Path, arguments: tuple[str, ...], said: str) -> None:
    done: Outcome = call("prove", files / "out", *arguments, "-o", files / "none.proof")
    assert done.code == 2
    assert said in done.err
    assert not (files / "none.proof").exists()


def test_from_python_a_statement_is_proved_offline(files: Path) -> None:
    with gridpact.run(files / "small.toml") as result:
        proof = result.prove_carbon("home-1")
        root = result.manifest.record_hash
        frames = result.carbon, result.carbon_statements, result.carbon_lines, result.carbon_mix
        assert [len(frame) for frame in frames] == [24, 4, 96, 96]
    proved = gridpact.verify_carbon(proof, root)
    assert proved.statement.load_ug == sum(line.physical.load_ug for line in proved.lines)
    with pytest.raises(InputError, match="proves no bill"):
        gridpact.verify_bill(proof, root)
    with pytest.raises(InputError, match="refused"):
        gridpact.verify_carbon(proof, "00" * 32)
