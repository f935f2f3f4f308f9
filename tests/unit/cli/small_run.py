"""A small scenario on a user's own CSV, and a way to call the command as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOURS = 9 * 24
SCENARIO = """\
version = 1
name = "small"
seed = 7
currency = "EUR"
time_zone = "+01:00"
first_day = 2024-03-09
slot_length_s = 3600

[tariff]
retail_micro_per_kwh = 300_000
feed_in_micro_per_kwh = 80_000
network_fee_micro_per_kwh = 20_000

[profiles]
source = "csv"
file = "homes.csv"
time_column = "start"
unit = "wh"

[agents]
season_days = 2
quoting = "shaded"
shade_max_percent = 60
"""


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object that it has to be."""
        return json.loads(self.out)


def call(*arguments: object, cwd: Path | None = None) -> Outcome:
    """Run `gridpact` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from gridpact.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def write_scenario(folder: Path, text: str = SCENARIO, homes: int = 4) -> Path:
    """Scenario and data of a few homes, every second one with sun; returns the TOML's path."""
    columns = [f"load_{i},pv_{i}" for i in range(homes)]
    rows = [",".join(["start", *columns])]
    for hour in range(HOURS):
        day, clock = divmod(hour, 24)
        cells = []
        for home in range(homes):
            sun = max(0, 6 - abs(clock - 12)) * 150 if home % 2 else 0
            cells.append(
                f"{300 + 7 * ((hour * (home + 3)) % 40)},{sun + 5 * (day % 3) * (sun > 0)}"
            )
        rows.append(f"2024-03-{1 + day:02d} {clock:02d}:00," + ",".join(cells))
    (folder / "homes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for home in range(homes):
        text += f'\n[[participant]]\nid = "home-{home}"\nload = "load_{home}"\npv = "pv_{home}"\n'
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Run:
    """A finished run."""

    scenario: Path
    folder: Path
    summary: dict[str, Any]
