"""Goal: what members own arrives as written, and everything that does not fit is named in place.

Method: two members, one with generation; each test writes tables for them and reads the members or
the refusal.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.inputs.meter_files import Village, instants, stamp, wide

from gridpact.errors import InputError
from gridpact.inputs import builtin_scenario, load_scenario, validate_scenario
from gridpact.model import DeferrablePattern, HomePattern, Reporting, VehiclePattern
from gridpact.model.assets import Battery, DailyWindow, FlexibleLoad, Planning

EVERY_DAY = frozenset(range(7))
BATTERY = """
[battery]
capacity_wh = 10_000
charge_w = 5_000
"""
WASH = """[[participant.deferrable]]
name = "wash"
energy_wh = 1_000
power_w = 2_000
from = "22:00"
to = "06:00"
"""
PUMP = """[[participant.flexible]]
name = "pump"
power_nominal_w = 300
disutility_micro_per_kw2h = 200_000
"""
CAR = """[[participant.vehicle]]
name = "car"
capacity_wh = 50_000
charge_w = 11_000
arrival_wh = 20_000
needed_wh = 40_000
from = "18:00"
to = "07:00"
"""
USUAL = Battery(
    capacity_wh=10_000,
    charge_w=5_000,
    discharge_w=5_000,
    charge_permille=950,
    discharge_permille=950,
    stored_initial_wh=0,
    stored_max_wh=10_000,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    times = [stamp(start_s) for start_s in instants("2020-04-30T23:00", 49, 3600)]
    (tmp_path / "meters.csv").write_text(wide(times, [1] * 49, [1] * 49, [1] * 49))
    return tmp_path


def write(folder: Path, common: str = "", anna: str = "", ben: str = "") -> Path:
    """Anna owns generation, Ben does not; keys of [agents] are the lines before any table."""
    text = Village(folder).text().replace('"p0"', '"anna"').replace('"p1"', '"ben"')
    agents, _, tables = common.partition("[")
    text = text.replace("[agents]\n", f"[agents]\n{agents}")
    text = text.replace('pv = "pv_a"\n', f'pv = "pv_a"\n{anna}')
    path = folder / "village.toml"
    path.write_text(f"{text}{ben}\n{'[' if tables else ''}{tables}")
    return path


def homes(folder: Path, **text: str) -> list[HomePattern | None]:
    return [member.home for member in load_scenario(write(folder, **text)).members]


def problems(folder: Path, **text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_scenario(write(folder, **text))
    return [str(problem).removeprefix("village.toml: ") for problem in caught.value.problems]


# Batteries


def test_whoever_owns_generation_has_the_battery(folder: Path) -> None:
    assert homes(folder) == [None, None]
    assert homes(folder, common=BATTERY) == [
        HomePattern(planning=Planning.SELF_CONSUMPTION, battery=USUAL),
        None,
    ]


def test_every_key_of_a_battery_arrives(folder: Path) -> None:
    keys = """discharge_w = 4_000
charge_permille = 960
discharge_permille = 970
stored_initial_wh = 2_000
stored_min_wh = 1_000
stored_max_wh = 9_000
stored_final_wh = 3_000
self_discharge_ppm_per_hour = 50
wear_micro_per_kwh = 20_000
allow_grid_charging = true
"""
    (anna, _) = homes(folder, common=BATTERY + keys)
    assert anna is not None
    assert anna.battery == Battery(
        capacity_wh=10_000,
        charge_w=5_000,
        discharge_w=4_000,
        charge_permille=960,
        discharge_permille=970,
        stored_initial_wh=2_000,
        stored_min_wh=1_000,
        stored_max_wh=9_000,
        stored_final_wh=3_000,
        self_discharge_ppm_per_hour=50,
        wear_micro_per_kwh=20_000,
        allow_grid_charging=True,
    )


def test_a_battery_of_ones_own_overrides_by_key(folder: Path) -> None:
    """Defaults follow the keys of both tables: half the capacity is half the highest level."""
    common = BATTERY + "stored_min_wh = 500\n"
    own = "[participant.battery]\ncapacity_wh = 5_000\n"
    anna, ben = homes(folder, common=common, anna=own, ben=own)
    assert anna is not None
    assert anna.battery is not None
    assert (anna.battery.capacity_wh, anna.battery.stored_max_wh) == (5_000, 5_000)
    assert (anna.battery.charge_w, anna.battery.discharge_w) == (5_000, 5_000)
    assert (anna.battery.stored_min_wh, anna.battery.stored_initial_wh) == (500, 500)
    assert ben == anna  # a battery needs no generation


def test_who_has_a_battery_can_be_said(folder: Path) -> None:
    anna, ben = homes(
        folder, common=BATTERY, anna="own_battery = false\n", ben="own_battery = true\n"
    )
    assert anna is None
    assert ben == HomePattern(planning=Planning.SELF_CONSUMPTION, battery=USUAL)
    own = "[participant.battery]\ncapacity_wh = 10_000\ncharge_w = 5_000\n"
    anna, ben = homes(folder, ben=own)
    assert anna is None
    assert ben == HomePattern(planning=Planning.SELF_CONSUMPTION, battery=USUAL)


BATTERY_CASES = [
    ("capacity_wh = 0", "capacity_wh: 0 is not allowed; allowed: a whole number from 1 to"),
    ("charge_w = -1", "charge_w: -1 is not allowed; allowed: a whole number from 0 to 2147483647;"),
    ("charge_w = 4.6", "charge_w: 4.6 is not allowed"),
    ("discharge_permille = 1001", "discharge_permille: 1001 is not allowed; allowed: a whole numb"),
    ("charge_permille = 0", "charge_permille: 0 is not allowed; allowed: a whole number from 1 to"),
    ("self_discharge_ppm_per_hour = 1_000_001", "self_discharge_ppm_per_hour: 1000001 is not al"),
    (
        "stored_max_wh = 10_001",
        "stored_max_wh: 10001 Wh is out of range; allowed: 0 to 10000; give a value in this range",
    ),
    ("stored_min_wh = 10_001", "stored_min_wh: 10001 Wh is out of range; allowed: 0 to 10000"),
    ("stored_initial_wh = 10_001", "stored_initial_wh: 10001 Wh is out of range; allowed: 0 to"),
    ("stored_final_wh = 10_001", "stored_final_wh: 10001 Wh is out of range; allowed: 0 to 10000"),
    (
        "allow_grid_charging = 1",
        "allow_grid_charging: 1 is not allowed; allowed: true | false; write it without quotes",
    ),
    ("capacity = 1", "capacity: is not a known key; did you mean 'capacity_wh'?"),
]


@pytest.mark.parametrize(("line", "expected"), BATTERY_CASES)
def test_one_key_of_a_battery_is_wrong(folder: Path, line: str, expected: str) -> None:
    """For all, and for one member; never twice."""
    key = line.split(" = ", maxsplit=1)[0]
    kept = [row for row in BATTERY.splitlines() if not row.startswith(f"{key} =")]
    (found,) = problems(folder, common="\n".join([*kept, line, ""]))
    assert found.startswith(f"battery.{expected}")
    (found,) = problems(folder, common=BATTERY, anna=f"[participant.battery]\n{line}\n")
    assert found.startswith(f"participant[1].battery.{expected}")


def test_what_a_battery_needs(folder: Path) -> None:
    missing = [
        (
            "capacity_wh: is missing; allowed: a whole number from 1 to 2147483647; add "
            "capacity_wh = ..."
        ),
        "charge_w: is missing; allowed: a whole number from 0 to 2147483647; add charge_w = ...",
    ]
    assert problems(folder, common="[battery]\n", anna="[participant.battery]\n") == [
        f"battery.{each}" for each in missing
    ]
    assert problems(folder, ben="[participant.battery]\n") == [
        f"participant[2].battery.{each}" for each in missing
    ]


def test_keys_that_contradict_each_other(folder: Path) -> None:
    assert problems(folder, ben="own_battery = true\n") == [
        (
            "participant[2].own_battery: true, but there is no [battery]; allowed: true with "
            "[battery] or [participant.battery]; add one of them, or remove own_battery"
        )
    ]
    own = "own_battery = false\n[participant.battery]\ncapacity_wh = 1\n"
    (found,) = problems(folder, common=BATTERY, anna=own)
    assert found == (
        "participant[1].own_battery: false does not fit [participant.battery]; allowed: one of the "
        "two; remove one"
    )
    (found,) = problems(folder, common=BATTERY, anna='own_battery = "no"\n')
    assert found.startswith("participant[1].own_battery: 'no' is not allowed; allowed: true | fal")


def test_a_battery_that_nobody_has(folder: Path) -> None:
    (found,) = problems(folder, common=BATTERY, anna="own_battery = false\n")
    assert found.startswith("battery: no participant has it; allowed: with members that own gener")


def test_what_is_no_table(folder: Path) -> None:
    path = write(folder)
    path.write_text("battery = 3\n" + path.read_text())
    with pytest.raises(InputError, match=r"battery: 3 is not a table; write \[battery\]"):
        load_scenario(path)
    for line, expected in (
        ("battery = true\n", "battery: true is not a table; write [participant.battery]"),
        ("vehicle = 3\n", "vehicle: 3 is not a list of tables; write [[participant.vehicle]]"),
    ):
        (found,) = problems(folder, ben=line)
        assert found == f"participant[2].{expected}"


# Planning and export


def test_planning_is_inherited_and_overridden(folder: Path) -> None:
    anna, ben = homes(
        folder,
        common='planning = "arbitrage"\n' + BATTERY,
        ben='planning = "optimised"\nown_battery = true\n',
    )
    assert anna is not None
    assert ben is not None
    assert (anna.planning, ben.planning) == (Planning.ARBITRAGE, Planning.OPTIMISED)


def test_planning_needs_something_to_plan(folder: Path) -> None:
    (found,) = problems(folder, common=BATTERY, ben='planning = "arbitrage"\n')
    assert found == (
        "participant[2].planning: has no meaning here: the participant owns nothing that can be "
        "planned; remove it"
    )
    (found,) = problems(folder, common='planning = "arbitrage"\n')
    assert found.startswith("agents.planning: has no meaning here: no participant owns anything")
    (found,) = problems(folder, common=BATTERY, anna='planning = "optimized"\n')
    assert found.startswith("participant[1].planning: 'optimized' is not allowed; allowed: ")
    assert found.endswith("did you mean 'optimised'?")


def test_export_may_be_limited(folder: Path) -> None:
    anna, ben = homes(folder, anna="export_max_w = 0\n")
    assert anna == HomePattern(planning=Planning.SELF_CONSUMPTION, export_max_w=0)
    assert ben is None
    (found,) = problems(folder, ben="export_max_w = 5\n")
    assert found.startswith("participant[2].export_max_w: has no meaning here: without generation")
    (found,) = problems(folder, anna="export_max_w = -1\n")
    assert found.startswith("participant[1].export_max_w: -1 is not allowed; allowed: a whole numb")


# Loads and vehicles


def test_loads_and_vehicles_arrive_with_their_defaults(folder: Path) -> None:
    (_, ben) = homes(folder, ben=WASH + PUMP + CAR)
    assert ben == HomePattern(
        planning=Planning.SELF_CONSUMPTION,
        deferrable=(
            DeferrablePattern(
                name="wash",
                energy_wh=1_000,
                power_w=2_000,
                interruptible=False,
                window=DailyWindow(EVERY_DAY, 22 * 60, 6 * 60),
            ),
        ),
        flexible=(FlexibleLoad("pump", 0, 300, 300, 200_000),),
        vehicles=(
            VehiclePattern(
                name="car",
                capacity_wh=50_000,
                charge_w=11_000,
                charge_permille=950,
                discharge_w=0,
                discharge_permille=1000,
                at_home=DailyWindow(EVERY_DAY, 18 * 60, 7 * 60),
                arrival_wh=20_000,
                needed_wh=40_000,
            ),
        ),
    )


def test_loads_and_vehicles_arrive_with_all_keys(folder: Path) -> None:
    wash = WASH.replace("06:00", "24:00") + 'interruptible = true\ndays = "sat-sun"\n'
    pump = PUMP + "power_min_w = 100\npower_max_w = 500\n"
    car = CAR + 'charge_permille = 900\ndischarge_w = 3_000\ndays = "mon"\n'
    (_, ben) = homes(folder, ben=wash + pump + car)
    assert ben is not None
    assert ben.deferrable[0].interruptible
    assert ben.deferrable[0].window == DailyWindow(frozenset({5, 6}), 1320, 1440)
    assert ben.flexible == (FlexibleLoad("pump", 100, 300, 500, 200_000),)
    (vehicle,) = ben.vehicles
    assert (vehicle.charge_permille, vehicle.discharge_w) == (900, 3_000)
    assert vehicle.discharge_permille == 950
    assert vehicle.at_home.weekdays == {0}
    (_, ben) = homes(folder, ben=car + "discharge_permille = 800\n")
    assert ben is not None
    assert ben.vehicles[0].discharge_permille == 800


ASSET_CASES = [
    # deferrable
    (WASH, 'name = "wash"\n', "", "deferrable[1].name: is missing"),
    (WASH, '"wash"', '"Wash"', "deferrable[1].name: 'Wash' is not a valid name"),
    (WASH, '"wash"', '"battery"', "deferrable[1].name: is the name of something else too; renam"),
    (WASH, "energy_wh = 1_000", "energy_wh = 0", "deferrable[1].energy_wh: 0 is not allowed; al"),
    (WASH, "power_w = 2_000", "power_w = 0", "deferrable[1].power_w: 0 is not allowed; allowed:"),
    (WASH, 'from = "22:00"\n', "", "deferrable[1].from: is missing; allowed: a local time from"),
    (WASH, '"22:00"', '"22"', "deferrable[1].from: '22' is not a time; allowed: a local time from"),
    (WASH, '"22:00"', '"24:00"', "deferrable[1].from: '24:00' is the end of a day; write"),
    (WASH, '"06:00"', '"22:00"', "deferrable[1].to: is the same as from; for a whole day write"),
    (WASH, 'to = "06:00"', 'to = "06:00"\ndays = "never"', "deferrable[1].days: 'never' in 'neve"),
    (WASH, 'to = "06:00"', 'to = "06:00"\nstart = 1', "deferrable[1].start: is not a known key"),
    (
        WASH,
        'to = "06:00"',
        'to = "06:00"\ninterruptible = "yes"',
        "deferrable[1].interruptible: 'yes' is not allowed; allowed: true | false",
    ),
    (
        WASH,
        "power_w = 2_000",
        "power_w = 100",
        (
            "deferrable[1].to: 2020-05-02 21:00Z to 2020-05-03 05:00Z is too short for 1000 Wh at "
            "100 W, in 10 whole slots without a break; widen the window, raise power_w or lower "
            "energy_wh"
        ),
    ),
    # flexible
    (PUMP, "power_nominal_w = 300\n", "", "flexible[1].power_nominal_w: is missing"),
    (PUMP, "= 200_000", "= 0", "flexible[1].disutility_micro_per_kw2h: 0 is not allowed; allowed"),
    (
        PUMP,
        "power_nominal_w = 300",
        "power_nominal_w = 300\npower_max_w = 200",
        "flexible[1].power_nominal_w: 300 W is out of range; allowed: 0 to 200; give a value in",
    ),
    (
        PUMP,
        "power_nominal_w = 300",
        "power_nominal_w = 300\npower_min_w = 301",
        "flexible[1].power_min_w: 301 W is out of range; allowed: 0 to 300",
    ),
    # vehicle
    (CAR, "needed_wh = 40_000\n", "", "vehicle[1].needed_wh: is missing"),
    (CAR, "charge_w = 11_000", "charge_w = 0", "vehicle[1].charge_w: 0 is not allowed; allowed"),
    (
        CAR,
        "needed_wh = 40_000",
        "needed_wh = 50_001",
        "vehicle[1].needed_wh: 50001 Wh is out of range; allowed: 0 to 50000; give a value in this",
    ),
    (
        CAR,
        "arrival_wh = 20_000",
        "arrival_wh = 60_000",
        "vehicle[1].arrival_wh: 60000 Wh is out of range; allowed: 0 to 50000",
    ),
    (CAR, '"07:00"', '"18:00"', "vehicle[1].to: is the same as from"),
    (
        CAR,
        '"07:00"',
        '"19:00"',
        (
            "vehicle[1].to: 2020-05-02 17:00Z to 2020-05-02 18:00Z is too short to charge 21053 Wh "
            "at 11000 W, from 20000 to 40000 Wh at 950 permille; allow a longer stay, raise "
            "charge_w or"
        ),
    ),
    (
        CAR,
        'name = "car"',
        'name = "car"\ndischarge_permille = 900',
        "vehicle[1].discharge_permille: has no meaning here: discharge_w is 0",
    ),
    (CAR, 'name = "car"', 'name = "car"\ncharge_permille = 0', "vehicle[1].charge_permille: 0 is"),
]


@pytest.mark.parametrize(("good", "old", "new", "expected"), ASSET_CASES)
def test_one_key_of_an_asset_is_wrong(
    folder: Path, good: str, old: str, new: str, expected: str
) -> None:
    assert good.count(old) == 1
    (found,) = problems(folder, ben=good.replace(old, new))
    assert found.startswith(f"participant[2].{expected}")


def test_assets_are_told_apart_by_name(folder: Path) -> None:
    (found,) = problems(folder, ben=WASH + CAR.replace('"car"', '"wash"'))
    assert found == (
        "participant[2].vehicle[1].name: 'wash' is the name of participant[2].deferrable[1].name "
        "already; rename one"
    )
    assert len(homes(folder, anna=WASH, ben=WASH)) == 2


def test_everything_comes_at_once(folder: Path) -> None:
    found = problems(
        folder,
        common='planning = "best"\n' + BATTERY + "stored_min_wh = 20_000\n",
        anna="export_max_w = -1\n" + WASH.replace("2_000", "1"),
        ben=CAR.replace("11_000", "1") + PUMP.replace("300", "-1") + WASH.replace("22:00", "22"),
    )
    assert sorted(problem.split(": ")[0] for problem in found) == [
        "agents.planning",
        "battery.stored_min_wh",
        "participant[1].deferrable[1].to",
        "participant[1].export_max_w",
        "participant[2].deferrable[1].from",
        "participant[2].flexible[1].power_nominal_w",
        "participant[2].vehicle[1].to",
    ]


# The built-in scenario


def test_roofs_of_the_village_have_batteries() -> None:
    scenario = builtin_scenario()
    with_battery = [member for member in scenario.members if member.home is not None]
    assert [bool(member.pv_column) for member in with_battery] == [True] * 8
    assert {member.home for member in with_battery} == {
        HomePattern(
            planning=Planning.SELF_CONSUMPTION, battery=replace(USUAL, stored_initial_wh=5_000)
        )
    }
    assert (scenario.metering.reporting, scenario.metering.late_permille) == (Reporting.METER, 10)


def test_a_good_scenario_is_valid_with_its_data(folder: Path) -> None:
    assert validate_scenario(write(folder, common=BATTERY, ben=WASH + PUMP + CAR)) == ()
