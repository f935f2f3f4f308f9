"""Four homes on a feeder of three buses: a day that fits into a second, built without files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tests.unit.cli.small_run import write_scenario

from gridpact.inputs import load_scenario
from gridpact.model import (
    CarbonPolicy,
    CarbonRules,
    HomePattern,
    NetworkPolicy,
    RunResult,
    Scenario,
)
from gridpact.model.assets import Battery, Planning
from gridpact.pipeline import run_scenario

FEEDER = {
    "buses.csv": "bus,vn_kv\nmain,0.4\nnear,0.4\nfar,0.4\n",
    "lines.csv": (
        "line,from_bus,to_bus,length_km,r_ohm_per_km,x_ohm_per_km,max_i_ka\n"
        "trunk,main,near,0.1,0.2,0.08,0.2\n"
        "thin,near,far,0.1,{r},0.08,{ampere}\n"
    ),
    "external_grids.csv": "external_grid,bus\ngrid,main\n",
}
BUSES = ("near", "far", "near", "far")
"""Of home-0 to home-3; homes 1 and 3 have the sun and sit at the far end."""


@dataclass(frozen=True)
class Village:
    """A scenario with what its run came to."""

    scenario: Scenario
    folder: Path
    result: RunResult

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"


def scenario_in(folder: Path, **changes: object) -> Scenario:
    """The small scenario with fields of the test's choosing."""
    folder.mkdir(parents=True, exist_ok=True)
    return replace(load_scenario(write_scenario(folder)), **changes)  # type: ignore[arg-type]


def with_feeder(scenario: Scenario, folder: Path, *, ampere: float, r: float = 0.2) -> Scenario:
    """The scenario on a feeder whose far line carries this much."""
    network = folder / "feeder"
    network.mkdir()
    for name, text in FEEDER.items():
        (network / name).write_text(text.format(ampere=ampere / 1000, r=r), encoding="utf-8")
    members = tuple(
        replace(member, bus=bus) for member, bus in zip(scenario.members, BUSES, strict=True)
    )
    return replace(scenario, members=members, network=NetworkPolicy("csv:feeder", folder))


def run(scenario: Scenario, folder: Path) -> Village:
    """Run it into a new folder."""
    return Village(scenario, folder, run_scenario(scenario, folder / "ledger"))


GENERATION, IMPORT, SUPPLIER = 41_000, 400_000, 300_000
"""mg/kWh of members' plants, of the grid by power flow, of the grid by contract."""
BATTERY = Battery(
    capacity_wh=4_000,
    charge_w=2_000,
    discharge_w=2_000,
    charge_permille=950,
    discharge_permille=950,
    stored_min_wh=0,
    stored_max_wh=4_000,
    stored_initial_wh=0,
    self_discharge_ppm_per_hour=1_000,
)
STORING = HomePattern(planning=Planning.SELF_CONSUMPTION, battery=BATTERY)


def traced(folder: Path, rules: CarbonRules | None = None, imports: int = IMPORT) -> Scenario:
    """The small scenario on its feeder, with carbon and a battery in a home without sun."""
    scenario = with_feeder(scenario_in(folder), folder, ampere=200)
    members = list(scenario.members)
    members[1] = replace(members[1], home=STORING)
    policy = CarbonPolicy(rules or CarbonRules(GENERATION, SUPPLIER), imports)
    return replace(scenario, members=tuple(members), carbon=policy)
