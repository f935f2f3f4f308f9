"""Goal: a scenario file is either exactly what runs, or every problem in it is named at once.

Method: one good file; each test breaks it in one or many places and reads the refusal.
"""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridpact.errors import InputError, InvariantError, Problem
from gridpact.inputs import builtin_scenario, load_scenario, validate_scenario
from gridpact.model import (
    AccountMode,
    AccountPolicy,
    AgentPolicy,
    Forecasting,
    Member,
    MeteringPolicy,
    ProfileUnit,
    Quoting,
    Reporting,
    TieRule,
)
from gridpact.model.grid import CurtailmentRule, GridLimits

HEAD = """\
version = 1
name = "village"
seed = 7
currency = "EUR"
time_zone = "+01:00"
first_day = 2020-05-02
days = 2
slot_length_s = 3600
"""
MARKET = """
[market]
id = "square"
tie = "time"
orders_per_slot = 2
sealed_deposit_micro = 100_000
"""
TARIFF = """
[tariff]
retail_micro_per_kwh = 300_000
feed_in_micro_per_kwh = 80_000
network_fee_micro_per_kwh = 50_000
[[tariff.window]]
days = "mon-wed,fri"
from = "17:00"
to = "24:00"
retail_micro_per_kwh = 400_000
[[tariff.window]]
days = "sat-mon"
from = "22:00"
to = "06:00"
feed_in_micro_per_kwh = 60_000
"""
CSV = """
[profiles]
source = "csv"
file = "meters.csv"
time_column = "start"
unit = "kwh"
"""
SIMBENCH = '\n[profiles]\nsource = "simbench"\n'
AGENTS = """
[accounts]
mode = "credit_limit"
limit_micro = 20_000_000
deposit_micro = 1_000_000
[agents]
season_days = 1
quoting = "shaded"
shade_max_percent = 10
forecast = "learned"
[metering]
reporting = "metering_operator"
late_permille = 25
"""
MEMBERS = """
[[participant]]
id = "anna"
load = "load_a"
pv = "pv_a"
[[participant]]
id = "ben"
load = "load_b"
mode = "prepaid"
deposit_micro = 9
quoting = "truthful"
season_days = 2
"""
GOOD = HEAD + MARKET + TARIFF + CSV + AGENTS + MEMBERS
GRID = (
    HEAD.replace("2020-05-02", "2016-06-09")
    .replace("3600", "900")
    .replace("+01:00", "Europe/Berlin")
    + TARIFF
    + SIMBENCH
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hours = [f"2020-{d} {h:02d}:00,0.5,0.1,1" for d in day_names() for h in range(24)]
    (tmp_path / "meters.csv").write_text("start,load_a,pv_a,load_b\n" + "\n".join(hours) + "\n")
    return tmp_path


def day_names() -> list[str]:
    return ["04-30", "05-01", "05-02", "05-03"]


def write(folder: Path, text: str) -> Path:
    path = folder / "village.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    """What the file is refused with, each as `key: message`."""
    with pytest.raises(InputError) as caught:
        load_scenario(write(folder, text))
    return [str(problem).removeprefix("village.toml: ") for problem in caught.value.problems]


def broken(old: str, new: str, good: str = GOOD) -> str:
    assert good.count(old) == 1, f"{old!r} is not there once"
    return good.replace(old, new)


# What a good file says


def test_every_key_arrives(folder: Path) -> None:
    scenario = load_scenario(write(folder, GOOD))
    assert scenario.name == "village"
    assert scenario.seed == 7
    assert scenario.currency == "EUR"
    assert scenario.time_zone == "+01:00"
    assert (scenario.first_day, scenario.days) == (date(2020, 5, 2), 2)
    assert scenario.slot_length_s == 3600
    assert (scenario.market_id, scenario.tie, scenario.orders_per_slot) == (
        "square",
        TieRule.TIME,
        2,
    )
    assert scenario.network is None
    assert scenario.forecasting is Forecasting.LEARNED
    assert scenario.sealed_deposit_micro == 100_000
    assert scenario.metering == MeteringPolicy(Reporting.METERING_OPERATOR, 25)
    assert scenario.tariff.region == "local"
    assert scenario.profiles.file == folder / "meters.csv"
    assert scenario.profiles.time_zone == "+01:00"
    assert scenario.profiles.unit is ProfileUnit.KWH


def test_windows_arrive(folder: Path) -> None:
    first, second = load_scenario(write(folder, GOOD)).tariff.windows
    assert first.days == {0, 1, 2, 4}
    assert (first.from_minute, first.to_minute) == (17 * 60, 1440)
    assert (first.retail_micro_per_kwh, first.feed_in_micro_per_kwh) == (400_000, 80_000)
    assert second.days == {5, 6, 0}
    assert (second.from_minute, second.to_minute) == (22 * 60, 6 * 60)
    assert (second.retail_micro_per_kwh, second.feed_in_micro_per_kwh) == (300_000, 60_000)


def test_midnight_may_end_a_window_under_both_names(folder: Path) -> None:
    named = load_scenario(write(folder, broken('to = "24:00"', 'to = "00:00"')))
    assert named.tariff.windows[0].to_minute == 1440


def test_participants_inherit_and_override(folder: Path) -> None:
    anna, ben = load_scenario(write(folder, GOOD)).members
    assert anna == Member(
        participant_id="anna",
        bus="",
        load_column="load_a",
        pv_column="pv_a",
        load_nominal_w=0,
        pv_nominal_w=0,
        account=AccountPolicy(AccountMode.CREDIT_LIMIT, 20_000_000, 1_000_000),
        agent=AgentPolicy(1, Quoting.SHADED, 10),
    )
    assert ben.pv_column == ""
    assert ben.account == AccountPolicy(AccountMode.PREPAID, 0, 9)
    assert ben.agent == AgentPolicy(2, Quoting.TRUTHFUL, 0)


def test_shading_alone_has_a_default(folder: Path) -> None:
    text = GOOD.replace(AGENTS, "[agents]\nseason_days = 1\n").replace("truthful", "shaded")
    anna, ben = load_scenario(write(folder, text)).members
    assert anna.agent == AgentPolicy(1, Quoting.TRUTHFUL, 0)
    assert ben.agent == AgentPolicy(2, Quoting.SHADED, 25)


def test_defaults_are_those_of_the_documented_table(folder: Path) -> None:
    text = (
        GRID.replace("seed = 7\n", "")
        .replace("days = 2\n", "")
        .replace("slot_length_s = 900\n", "")
    )
    scenario = load_scenario(write(folder, text))
    assert (scenario.seed, scenario.days, scenario.slot_length_s) == (1, 1, 900)
    assert (scenario.market_id, scenario.tie) == ("local", TieRule.PRO_RATA)
    assert scenario.orders_per_slot == 4
    assert scenario.network is not None
    assert scenario.network.reference == "simbench:1-LV-rural2--0-sw"
    assert scenario.network.rule is CurtailmentRule.PRO_RATA
    assert scenario.network.limits == GridLimits()
    assert scenario.network.power_factor_permille == 930
    assert scenario.forecasting is Forecasting.SEASONAL_NAIVE
    assert scenario.metering == MeteringPolicy(Reporting.METER, 0)
    assert scenario.sealed_deposit_micro == 0
    assert all(member.home is None for member in scenario.members)
    assert scenario.tariff.region == "local"
    assert {m.account for m in scenario.members} == {
        AccountPolicy(AccountMode.PREPAID, 0, 50_000_000)
    }
    assert {m.agent for m in scenario.members} == {AgentPolicy(7, Quoting.TRUTHFUL, 0)}


def test_byte_order_mark_is_no_key(folder: Path) -> None:
    assert load_scenario(write(folder, "\ufeff" + GOOD)).name == "village"


def test_csv_members_can_be_at_buses(folder: Path) -> None:
    network = '[network]\nreference = "simbench:1-LV-rural2--0-sw"\nregion = "south"\n'
    text = GOOD.replace('id = "anna"', 'id = "anna"\nbus = "bus-1"')
    text = text.replace('id = "ben"', 'id = "ben"\nbus = "bus-96"') + network
    scenario = load_scenario(write(folder, text))
    assert [member.bus for member in scenario.members] == ["bus-1", "bus-96"]
    assert scenario.tariff.region == "south"


# The grid that ships with the package


def test_whole_grid_is_99_members_with_8_plants(folder: Path) -> None:
    members = load_scenario(write(folder, GRID)).members
    ids = [member.participant_id for member in members]
    assert len(ids) == 99
    assert ids == sorted(ids)
    owners = {m.participant_id: (m.pv_column, m.pv_nominal_w) for m in members if m.pv_column}
    assert owners == {
        "h0-l-077": ("PV7", 22_600),
        "h0-a-066": ("PV3", 28_600),
        "h0-c-078": ("PV7", 28_600),
        "h0-g-015": ("PV4", 27_600),
        "h0-a-008": ("PV4", 11_000),
        "h0-g-007": ("PV3", 12_500),
        "h0-a-045": ("PV3", 4_700),  # and not h0-c-086 at the same bus
        "h0-g-006": ("PV1", 9_800),
    }


def test_some_of_the_grid_by_name(folder: Path) -> None:
    some = '[[participant]]\nid = "cara"\nload = "h0-l-077"\npv = "pv-1"\n'
    (cara,) = load_scenario(write(folder, GRID + some)).members
    assert cara.bus == "bus-40"
    assert (cara.load_column, cara.load_nominal_w) == ("H0-L", 2_000)
    assert (cara.pv_column, cara.pv_nominal_w) == ("PV7", 22_600)


def test_built_in_scenario_is_the_sunny_working_day() -> None:
    scenario = builtin_scenario()
    assert scenario.first_day == date(2016, 6, 9)
    assert scenario.first_day.weekday() == 3
    assert (scenario.currency, scenario.time_zone) == ("EUR", "Europe/Berlin")
    assert len(scenario.members) == 99
    with pytest.raises(InputError, match="allowed: rural-day"):
        builtin_scenario("rural-night")


# Refusals: one row each, as `key: beginning ... end`

CASES = [
    # top level
    ("version = 1", "version = 2", "version: 2 is not a version"),
    ("version = 1\n", "", "version: is missing"),
    ("version = 1", 'version = "1"', "version: '1' is not allowed"),
    ('name = "village"', 'name = "Village Green"', "name: 'Village Green' is not a valid name"),
    ("seed = 7", "seed = -1", "seed: -1 is not allowed; allowed: a whole number from 0"),
    ("seed = 7", "seed = true", "seed: true is not allowed"),
    ("seed = 7", "seed = 1e3", "seed: 1000.0 is not allowed"),
    ("seed = 7", f"seed = 0x{'f' * 9000}", "seed: a number too long to show is not allowed"),
    ('"EUR"', '"euro"', "currency: 'euro' is not a currency; allowed: three capital letters"),
    ('"EUR"', "978", "currency: 978 is not allowed"),
    ('"+01:00"', '"Europe/Berln"', "time_zone: 'Europe/Berln' is not a known time zone"),
    ('"+01:00"', '"+15:00"', "time_zone: '+15:00' is not a known time zone"),
    ('"+01:00"', '"../../etc/passwd"', "time_zone: '../../etc/passwd' is not a known time zone"),
    ('"+01:00"', '""', "time_zone: '' is not allowed"),
    ("2020-05-02", '"2020-05-02"', "first_day: '2020-05-02' is not allowed; allowed: a date"),
    ("2020-05-02", "2020-05-02T00:00:00", "first_day: 2020-05-02 00:00:00 is not allowed"),
    ("2020-05-02", "1914-05-02", "first_day: 1914-05-02 is not allowed"),
    (
        "\ndays = 2\n",
        "\ndays = 0\n",
        "days: 0 is not allowed; allowed: a whole number from 1 to 366",
    ),
    ("slot_length_s = 3600", "slot_length_s = 700", "slot_length_s: 700 does not divide a day"),
    ("slot_length_s = 3600", "slot_length_s = 30", "slot_length_s: 30 is not allowed"),
    ("seed = 7", "sede = 7", "sede: is not a known key; did you mean 'seed'?"),
    # market
    ('tie = "time"', 'tie = "prorata"', "market.tie: 'prorata' is not allowed"),
    ('id = "square"', "id = 3", "market.id: 3 is not allowed"),
    ("orders_per_slot = 2", "orders_per_slot = 0", "market.orders_per_slot: 0 is not allowed"),
    ("orders_per_slot = 2", "order_per_slot = 2", "market.order_per_slot: is not a known key; did"),
    (MARKET, "market = 3\n", "market: 3 is not a table; write [market]"),
    # tariff
    (
        "retail_micro_per_kwh = 300_000",
        "retail_micro_per_kwh = 0.30",
        "tariff.retail_micro_per_kwh",
    ),
    ("network_fee_micro_per_kwh = 50_000\n", "", "tariff.network_fee_micro_per_kwh: is missing"),
    (
        "retail_micro_per_kwh = 300_000",
        "retail_micro_per_kwh = 2147483648",
        "tariff.retail_micro_per_kwh: 2147483648 is not allowed; allowed: a whole number from 0 t",
    ),
    (
        '"mon-wed,fri"',
        '"mon-wend"',
        "tariff.window[1].days: 'mon-wend' in 'mon-wend' is not a week",
    ),
    ('"mon-wed,fri"', '"mon-"', "tariff.window[1].days: 'mon-' in"),
    ('"mon-wed,fri"', '"mon,,fri"', "tariff.window[1].days: '' in"),
    ('from = "17:00"', 'from = "25:00"', "tariff.window[1].from: '25:00' is not a time"),
    ('from = "17:00"', "from = 17:00:00", "tariff.window[1].from: 17:00:00 is not allowed"),
    ('from = "17:00"', 'from = "17:30"', "tariff.window[1].from: '17:30' is inside a slot"),
    ('from = "22:00"', 'from = "06:00"', "tariff.window[2].to: is the same as from"),
    ('from = "17:00"', 'from = "24:00"', "tariff.window[1].from: '24:00' is the end of a day"),
    (
        "retail_micro_per_kwh = 400_000\n",
        "",
        "tariff.window[1].retail_micro_per_kwh: is missing; give it, or feed_in_micro_per_kwh",
    ),
    (
        "retail_micro_per_kwh = 400_000",
        "retail_micro_per_kwh = 130_000",
        "tariff.window[1].retail_micro_per_kwh: feed-in 80000 leaves no room for a market below r",
    ),
    (
        "feed_in_micro_per_kwh = 60_000",
        "feed_in_micro_per_kwh = 250_000",
        "tariff.window[2].feed_in_micro_per_kwh: feed-in 250000 leaves no room",
    ),
    (
        '[[tariff.window]]\ndays = "sat',
        '[[tariff.windows]]\ndays = "sat',
        "tariff.windows: is not a",
    ),
    # profiles
    ('source = "csv"', 'source = "cvs"', "profiles.source: 'cvs' is not allowed; allowed:"),
    ('file = "meters.csv"', 'file = "meter.csv"', "profiles.file: "),
    ('file = "meters.csv"\n', "", "profiles.file: is missing"),
    ('file = "meters.csv"', 'file = "\\u0000"', "profiles.file: "),
    ('file = "meters.csv"', 'file = "."', "profiles.file: "),
    ('"start"', '"begin"', "profiles.time_column: 'begin' is not a column of meters.csv"),
    ('unit = "kwh"', 'unit = "mwh"', "profiles.unit: 'mwh' is not allowed"),
    (
        'unit = "kwh"',
        'unit = "kwh"\ntime_zone = "CETT"',
        "profiles.time_zone: 'CETT' is not a known",
    ),
    # accounts and agents
    ('"credit_limit"', '"credit"', "accounts.mode: 'credit' is not allowed"),
    ('"credit_limit"', '"prepaid"', "accounts.limit_micro: 20000000 does not fit mode"),
    ("limit_micro = 20_000_000\n", "", "accounts.limit_micro: 0 does not fit mode"),
    (
        "deposit_micro = 1_000_000",
        "deposit_micro = 0.5",
        "accounts.deposit_micro: 0.5 is not allowed; allowed: a whole number from 0 to",
    ),
    ("season_days = 1", "season_days = 0", "agents.season_days: 0 is not allowed"),
    ('quoting = "shaded"', 'quoting = "truthful"', "agents.shade_max_percent: 10 has no meaning"),
    ("shade_max_percent = 10", "shade_max_percent = 101", "agents.shade_max_percent: 101"),
    (
        'quoting = "shaded"',
        'quoting = "random"',
        'agents.shade_max_percent: 10 has no meaning with quoting = "random"; allowed: absent or 0',
    ),
    ('"learned"', '"lerned"', "agents.forecast: 'lerned' is not allowed; allowed: \"seasonal_n"),
    (
        'load = "load_b"',
        'load = "load_b"\nforecast = "learned"',
        "participant[2].forecast: is not a known key",
    ),
    (
        'forecast = "learned"',
        'planning = "arbitrage"',
        "agents.planning: has no meaning here: no participant owns anything that can be planned",
    ),
    ('forecast = "learned"', 'planning = "best"', "agents.planning: 'best' is not allowed; allow"),
    # metering and seals
    ('"metering_operator"', '"operator"', "metering.reporting: 'operator' is not allowed"),
    (
        "late_permille = 25",
        "late_permille = 1001",
        "metering.late_permille: 1001 is not allowed; allowed: a whole number from 0 to 1000",
    ),
    ("late_permille = 25", "late = 25", "metering.late: is not a known key"),
    (
        "sealed_deposit_micro = 100_000",
        "sealed_deposit_micro = 0.1",
        "market.sealed_deposit_micro: 0.1 is not allowed; allowed: a whole number from 0 to 1000",
    ),
    # participants
    (MEMBERS, "", "participant: is missing"),
    (MEMBERS, "[participant]\nid = 3\n", "participant: {'id': 3} is not a list of tables"),
    ('id = "anna"\n', "", "participant[1].id: is missing"),
    ('id = "anna"', 'id = "Anna"', "participant[1].id: 'Anna' is not a valid name"),
    ('id = "anna"', f'id = "{"a" * 43}"', "participant[1].id: 'aaa"),
    ('id = "ben"', 'id = "anna.meter"', "participant[2].id: 'anna.meter' is the name of a meter"),
    ('id = "ben"', 'id = "anna"', "participant[2].id: 'anna' is the id of participant[1].id"),
    (
        'load = "load_b"',
        'load = "load_a"',
        "participant[2].load: 'load_a' is taken by participant[1]",
    ),
    (
        'load = "load_b"',
        'load = "pv_a"',
        "participant[2].load: 'pv_a' is taken by participant[1].pv",
    ),
    (
        'load = "load_b"',
        'load = "laod_b"',
        "participant[2].load: 'laod_b' is not a column of meters.csv; did you mean 'load_b'?",
    ),
    ('id = "anna"', 'id = "anna"\nbus = "bus-1"', "participant[1].bus: has no meaning here"),
    ("deposit_micro = 9", "deposit_micro = -9", "participant[2].deposit_micro: -9 is not allowed"),
    (
        'mode = "prepaid"',
        'mode = "postpaid"\nlimit_micro = 1',
        "participant[2].limit_micro: 1 does",
    ),
    ("season_days = 2", "season_day = 2", "participant[2].season_day: is not a known key; did you"),
]


def test_a_refusal_says_fact_allowed_values_and_remedy(folder: Path) -> None:
    text = broken("retail_micro_per_kwh = 400_000", "retail_micro_per_kwh = 130_000")
    text = broken("deposit_micro = 1_000_000", "deposit_micro = 0.5", text)
    assert problems(folder, text) == [
        (
            "tariff.window[1].retail_micro_per_kwh: feed-in 80000 leaves no room for a market "
            "below retail 130000 less network fee 50000 (micro-currency per kWh); allowed: feed-in "
            "below 80000; raise retail, or lower feed-in or the fee"
        ),
        (
            "accounts.deposit_micro: 0.5 is not allowed; allowed: a whole number from 0 to "
            "1000000000000000; give micro-currency: a deposit of 50 is 50000000"
        ),
    ]


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_one_problem_is_named(folder: Path, old: str, new: str, expected: str) -> None:
    found = problems(folder, broken(old, new))
    assert any(problem.startswith(expected) for problem in found), found


GRID_CASES = [
    ("slot_length_s = 900", "slot_length_s = 3600", "slot_length_s: 3600 is not the interval"),
    ("2016-06-09", "2016-01-07", "first_day: 2016-01-07 with days = 2 and 7 days of history needs"),
    ("2016-06-09", "2016-12-31", "first_day: 2016-12-31 with days = 2"),
    ('"Europe/Berlin"', '"+00:07"', "time_zone: midnight of 2016-06-09 in +00:07 is"),
    (
        'source = "simbench"',
        'source = "simbench"\nunit = "kw"',
        "profiles.unit: has no meaning here",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), GRID_CASES)
def test_one_problem_with_the_grid(folder: Path, old: str, new: str, expected: str) -> None:
    (found,) = problems(folder, broken(old, new, GRID))
    assert found.startswith(expected)


PARTICIPANT_CASES = [
    ('load = "h0-l-007"', "load: 'h0-l-007' is not known; allowed: a load of simbench:1-LV-rural2"),
    ('load = "h0-l-077"\npv = "pv-2"', "pv: pv-2 is at bus-51, but h0-l-077 is at bus-40"),
    ('load = "h0-l-077"\npv = "pv-9"', "pv: 'pv-9' is not known"),
    ('load = "h0-l-077"\nbus = "bus-1"', "bus: bus-1 is not where h0-l-077 is connected"),
    ('load = "h0-l-077"\nbus = "bus-999"', "bus: 'bus-999' is not known"),
]


@pytest.mark.parametrize(("lines", "expected"), PARTICIPANT_CASES)
def test_one_problem_with_a_unit_of_the_grid(folder: Path, lines: str, expected: str) -> None:
    (found,) = problems(folder, GRID + f'[[participant]]\nid = "x"\n{lines}\n')
    assert found.startswith(f"participant[1].{expected}")


def test_days_that_would_fit_are_named(folder: Path) -> None:
    (found,) = problems(folder, broken("2016-06-09", "2016-01-07", GRID))
    assert found.endswith("choose first_day from 2016-01-08 to 2016-12-30")
    for day in ("2016-01-08", "2016-12-30"):
        load_scenario(write(folder, broken("2016-06-09", day, GRID)))


def test_bus_is_needed_with_a_network(folder: Path) -> None:
    found = problems(folder, GOOD + '[network]\nreference = "simbench:1-LV-rural2--0-sw"\n')
    assert [problem.split(":")[0] for problem in found] == [
        "participant[1].bus",
        "participant[2].bus",
    ]


def test_every_way_to_quote(folder: Path) -> None:
    for word, percent in (("random", 0), ("adaptive", 10), ("shaded", 10), ("truthful", 0)):
        text = broken('quoting = "truthful"', f'quoting = "{word}"')
        _, ben = load_scenario(write(folder, text)).members
        assert ben.agent == AgentPolicy(2, Quoting[word.upper()], percent)


def test_whose_ids_are_taken(folder: Path) -> None:
    for name in ("operator", "price-authority", "metering-operator"):
        (found,) = problems(folder, broken('id = "ben"', f'id = "{name}"'))
        assert found == (
            f"participant[2].id: '{name}' is the id of who runs the market or the meters; allowed: "
            "any other name; rename it"
        )


def test_deposits_must_fit_the_ledger_together(folder: Path) -> None:
    text = GRID + "[accounts]\ndeposit_micro = 1_000_000_000_000_000\n"
    (found,) = problems(folder, text)
    assert found.startswith("accounts: all deposits together are 99000000000000000 micro-currency")


def test_a_wrong_source_does_not_accuse_the_columns(folder: Path) -> None:
    found = problems(folder, broken('source = "csv"', 'source = "cvs"'))
    assert len(found) == 1


def test_all_problems_come_at_once(folder: Path) -> None:
    """Planted problems that do not touch each other are all there, and nothing else."""
    planted = [case for case in CASES if case[2].split(":")[0] in APART]
    text = GOOD
    for old, new, _ in planted:
        text = broken(old, new, text)
    found = problems(folder, text)
    assert len(found) == len(planted) == len(APART)
    for _, _, expected in planted:
        assert any(problem.startswith(expected) for problem in found), expected


APART = [
    "name",
    "days",
    "sede",
    "market.id",
    "market.tie",
    "market.order_per_slot",
    "tariff.windows",
    "profiles.time_column",
    "profiles.unit",
    "agents.season_days",
    "accounts.deposit_micro",
    "participant[2].deposit_micro",
    "participant[2].season_day",
]


# Files that are no scenario


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"version = \n", "village.toml: is not TOML"),
        (b"version = 1\nversion = 1\n", "village.toml: is not TOML"),
        (b"a = " + b"[" * 5000, "village.toml: is not TOML"),
        (b"a = " + b"9" * 5000, "village.toml: is not TOML"),
        (b"first_day = 2016-02-30\n", "village.toml: is not TOML"),
        (b'version = 1\nname = "\xe4"\n', "village.toml:2: byte 0xe4 is not UTF-8"),
        (b"", "village.toml: version: is missing"),
    ],
)
def test_not_a_scenario(folder: Path, content: bytes, expected: str) -> None:
    (folder / "village.toml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_scenario(folder / "village.toml")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("name", ["", "absent.toml", "\0"])
def test_no_file(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"check the path|is not a path"):
        load_scenario(folder / name)


def test_refusal_leaves_the_folder_alone(folder: Path) -> None:
    problems(folder, broken("\ndays = 2\n", "\ndays = 0\n"))
    assert sorted(path.name for path in folder.iterdir()) == ["meters.csv", "village.toml"]


# Validation of a scenario with its data


def test_valid_scenario_has_no_problems(folder: Path) -> None:
    assert validate_scenario(write(folder, GOOD)) == ()


def test_validation_reads_the_data_beside_other_problems(folder: Path) -> None:
    """The market is wrong and a row is negative: both are named in one go."""
    meters = folder / "meters.csv"
    meters.write_text(meters.read_text().replace("04-30 05:00,0.5", "04-30 05:00,-0.5"))
    found = validate_scenario(write(folder, broken('tie = "time"', 'tie = "tme"')))
    assert [problem.where for problem in found] == ["village.toml: market.tie", "meters.csv:7"]


def test_validation_of_what_is_no_scenario(folder: Path) -> None:
    (found,) = validate_scenario(folder / "absent.toml")
    assert "check the path" in found.message


# Damage

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats().map(lambda value: float(f"{value:.3f}")),
    st.text(max_size=12),
    st.sampled_from(["mon", "17:00", "+01:00", "csv", "simbench", "load_a", "anna"]),
    st.dates(),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


OWNED = """\
own_battery = true
export_max_w = 1_000
planning = "arbitrage"
[participant.battery]
stored_min_wh = 100
allow_grid_charging = true
[[participant.deferrable]]
name = "wash"
energy_wh = 1_000
power_w = 2_000
interruptible = true
from = "22:00"
to = "06:00"
days = "mon-fri"
[[participant.flexible]]
name = "pump"
power_min_w = 100
power_nominal_w = 300
power_max_w = 500
disutility_micro_per_kw2h = 200_000
[[participant.vehicle]]
name = "car"
capacity_wh = 50_000
charge_w = 11_000
discharge_w = 3_000
discharge_permille = 900
from = "18:00"
to = "07:00"
arrival_wh = 20_000
needed_wh = 40_000
[battery]
capacity_wh = 10_000
charge_w = 5_000
[network]
reference = "simbench:1-LV-rural2--0-sw"
vm_min_pu = 0.95
"""
"""What the last participant of GOOD may own besides, and a grid in which nobody has a bus yet."""


def as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = "".join(f"\\U{ord(c):08x}" for c in value)
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    return str(value)


def never_worse_than_input_error(folder: Path, text: str) -> None:
    path = write(folder, text)
    try:
        load_scenario(path)
        refused: tuple[Problem, ...] = ()
    except InputError as error:
        refused = error.problems
    assert all(problem.where and problem.message for problem in refused)
    assert all(len(str(problem)) < 1000 for problem in refused)


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


@SHARED
@given(data=st.data())
def test_any_value_anywhere_is_taken_or_refused(folder: Path, data: st.DataObject) -> None:
    lines = (GOOD + OWNED).splitlines()
    places = [number for number, line in enumerate(lines) if " = " in line]
    for number in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        value = as_toml(data.draw(VALUES))
        lines[number] = f"{lines[number].split(' = ')[0]} = {value}"
    text = "\n".join(lines)
    tomllib.loads(text)  # it is the scenario that is odd, not the file
    never_worse_than_input_error(folder, text)


@SHARED
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 8), st.text(max_size=6)), max_size=3
    )
)
def test_cut_and_scribbled_text_is_taken_or_refused(
    folder: Path, edits: list[tuple[int, int, str]]
) -> None:
    text = GOOD
    for start, length, insert in edits:
        text = text[:start] + insert + text[start + length :]
    never_worse_than_input_error(folder, text.encode("utf-8", "ignore").decode())


@SHARED
@given(data=st.data())
def test_lines_may_be_missing_in_any_number(folder: Path, data: st.DataObject) -> None:
    lines = GRID.splitlines()
    kept = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    text = "\n".join(line for line, keep in zip(lines, kept, strict=True) if keep)
    never_worse_than_input_error(folder, text)


def test_an_input_error_names_something() -> None:
    with pytest.raises(InvariantError):
        InputError([])
