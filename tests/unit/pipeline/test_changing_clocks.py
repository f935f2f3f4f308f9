"""Whole days on which the clocks change: 23 and 25 hours, one bill each, audited."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from gridpact.inputs import load_scenario
from gridpact.model import Phase
from gridpact.node import audit_ledger
from gridpact.pipeline import run_scenario

SCENARIO = """\
version = 1
name = "clocks"
currency = "EUR"
time_zone = "Europe/Berlin"
first_day = {day}
slot_length_s = 3600

[tariff]
retail_micro_per_kwh = 300_000
feed_in_micro_per_kwh = 80_000
network_fee_micro_per_kwh = 20_000

[[tariff.window]]
days = "all"
from = "01:00"
to = "04:00"
retail_micro_per_kwh = 200_000

[profiles]
source = "csv"
file = "homes.csv"
time_column = "start"
time_zone = "UTC"
unit = "wh"

[agents]
season_days = 1

[metering]
reporting = "metering_operator"

[[participant]]
id = "sunny"
load = "quiet"
pv = "roof"

[[participant]]
id = "shady"
load = "busy"
"""


@pytest.mark.parametrize(
    ("day", "hours", "cheap"),
    [(date(2024, 3, 31), 23, 2), (date(2024, 10, 27), 25, 4), (date(2024, 6, 1), 24, 3)],
)
def test_the_day_has_the_hours_it_has(tmp_path: Path, day: date, hours: int, cheap: int) -> None:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=3)
    rows = ["start,quiet,roof,busy"]
    rows += [
        f"{first + timedelta(hours=h):%Y-%m-%dT%H:%MZ},50,{h % 24 * 10},300" for h in range(120)
    ]
    (tmp_path / "homes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = tmp_path / "clocks.toml"
    path.write_text(SCENARIO.format(day=day.isoformat()), encoding="utf-8")
    result = run_scenario(load_scenario(path), tmp_path / "ledger")
    assert len(result.slots) == hours
    assert [slot.state.phase for slot in result.slots] == [Phase.FINAL] * hours
    assert sum(s.state.tariff.retail_micro_per_kwh == 200_000 for s in result.slots) == cheap
    assert {(bill.participant_id, bill.day) for bill in result.bills} == {
        ("sunny", day.isoformat()),
        ("shady", day.isoformat()),
    }
    assert (
        sum(bill.bill.bought_wh + bill.bill.grid_import_wh for bill in result.bills) >= 300 * hours
    )
    assert result.energy_residual_wh == result.money_residual_nano == 0
    assert audit_ledger(tmp_path / "ledger").ok
