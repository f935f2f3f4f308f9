"""Small scenarios around a meter file, for tests of all the ways to write one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridpact.errors import InputError
from gridpact.inputs import load_profiles, load_scenario
from gridpact.model import Profiles

HOUR = 3600


def utc(text: str) -> int:
    """Seconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@dataclass
class Village:
    """A scenario whose keys tests change; `members` are pairs of load and generation."""

    folder: Path
    file: str = "meters.csv"
    zone: str = "+01:00"
    first_day: str = "2020-05-02"
    days: int = 1
    slot_s: int = HOUR
    season_days: int = 1
    members: Sequence[tuple[str, str]] = (("load_a", "pv_a"), ("load_b", ""))
    keys: dict[str, str] = field(
        default_factory=lambda: {"source": '"csv"', "time_column": '"start"', "unit": '"wh"'}
    )

    def text(self) -> str:
        """The scenario as TOML."""
        profiles = "\n".join(f"{key} = {value}" for key, value in self.keys.items())
        participants = "".join(
            f'[[participant]]\nid = "p{number}"\nload = "{load}"\n'
            + (f'pv = "{pv}"\n' if pv else "")
            for number, (load, pv) in enumerate(self.members)
        )
        return f"""
version = 1
name = "village"
currency = "EUR"
time_zone = "{self.zone}"
first_day = {self.first_day}
days = {self.days}
slot_length_s = {self.slot_s}
[tariff]
retail_micro_per_kwh = 300_000
feed_in_micro_per_kwh = 80_000
network_fee_micro_per_kwh = 50_000
[agents]
season_days = {self.season_days}
[profiles]
file = "{self.file}"
{profiles}
{participants}"""

    def write(self, content: str | bytes | None = None) -> Path:
        """Scenario and, if given, the meter file; returns the scenario's path."""
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (self.folder / self.file).write_bytes(data)
        path = self.folder / "village.toml"
        path.write_text(self.text())
        return path

    def load(self, content: str | bytes | None = None) -> Profiles:
        """The profiles."""
        return load_profiles(load_scenario(self.write(content)))

    def refusal(self, content: str | bytes | None = None) -> list[str]:
        """What scenario or profiles are refused with."""
        with pytest.raises(InputError) as caught:
            self.load(content)
        return [str(problem) for problem in caught.value.problems]


def instants(first: str, count: int, step_s: int) -> list[int]:
    """Evenly spaced times from `first`, in UTC."""
    return [utc(first) + step_s * i for i in range(count)]


def stamp(instant_s: int, zone: str = "UTC") -> str:
    """What a wall clock shows."""
    return f"{datetime.fromtimestamp(instant_s, ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def shifted_stamp(instant_s: int, zone: str, by_s: int) -> str:
    """What the wall clock shows, moved on without asking the clock."""
    moment = datetime.fromtimestamp(instant_s, ZoneInfo(zone)).replace(tzinfo=None)
    return f"{moment + timedelta(seconds=by_s):%Y-%m-%d %H:%M}"


def wide(
    labels: Sequence[str], *columns: Sequence[object], names: str = "load_a,pv_a,load_b"
) -> str:
    """A wide file."""
    rows = zip(labels, *columns, strict=True)
    lines = (",".join(map(str, row)) for row in rows)
    return "\n".join([f"start,{names}", *lines, ""])
