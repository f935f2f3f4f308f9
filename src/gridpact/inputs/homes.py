"""What members own, from the wall clock of a scenario to instants of its run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gridpact.inputs.calendar import parse_zone
from gridpact.model.asset_checks import home_problems
from gridpact.model.assets import DeferrableLoad, ElectricVehicle, Home, Stay, Window

if TYPE_CHECKING:
    from datetime import date, tzinfo

    from gridpact.model import (
        DeferrablePattern,
        HomePattern,
        Profiles,
        Scenario,
        Slot,
        VehiclePattern,
    )
    from gridpact.model.assets import DailyWindow


@dataclass(frozen=True, slots=True)
class RunDays:
    """The days of a run, and the clock that its members live by."""

    first_day: date
    days: int
    zone: tzinfo
    first: Slot
    """The first slot of the run."""

    def windows(self, daily: DailyWindow) -> tuple[Window, ...]:
        """The windows that begin within the days of the run or are open when it begins."""
        found = daily.windows(self.first_day - timedelta(days=1), self.days + 1, self.zone)
        return tuple(window for window in found if window.end_s > self.first.start_s)


def homes_of(scenario: Scenario, profiles: Profiles) -> dict[str, Home]:
    """The homes of the members that own more than a meter, by participant id.

    A vehicle whose stay began before the first slot has `arrival_wh` when the run begins. A
    deferrable load whose window began before it is due in what is left of the window, and counts
    as done when that is too short.

    Args:
        scenario: as read from a file, so that its homes are sound.
        profiles: of the scenario; the first slot is theirs.
    """
    run = RunDays(
        scenario.first_day, scenario.days, parse_zone(scenario.time_zone), profiles.slots[0]
    )
    return {
        member.participant_id: home_of(member.participant_id, member.home, run)
        for member in scenario.members
        if member.home is not None
    }


def home_of(participant_id: str, pattern: HomePattern, run: RunDays) -> Home:
    """One member's home in the days of a run."""
    return Home(
        participant_id=participant_id,
        planning=pattern.planning,
        battery=pattern.battery,
        deferrable=tuple(deferrable_of(load, run) for load in pattern.deferrable),
        flexible=pattern.flexible,
        vehicles=tuple(vehicle_of(vehicle, run) for vehicle in pattern.vehicles),
        export_max_w=pattern.export_max_w,
    )


def deferrable_of(pattern: DeferrablePattern, run: RunDays) -> DeferrableLoad:
    """A load in all its windows that matter to a run."""
    windows = run.windows(pattern.window)
    load = DeferrableLoad(
        pattern.name, pattern.energy_wh, pattern.power_w, pattern.interruptible, windows
    )
    if windows and windows[0].start_s < run.first.start_s:
        rest = replace(load, windows=(Window(run.first.start_s, windows[0].end_s),))
        if home_problems(Home(participant_id="", deferrable=(rest,)), run.first):
            return replace(load, windows=windows[1:])
    return load


def vehicle_of(pattern: VehiclePattern, run: RunDays) -> ElectricVehicle:
    """A vehicle with all its stays that matter to a run."""
    return ElectricVehicle(
        name=pattern.name,
        capacity_wh=pattern.capacity_wh,
        charge_w=pattern.charge_w,
        charge_permille=pattern.charge_permille,
        discharge_w=pattern.discharge_w,
        discharge_permille=pattern.discharge_permille,
        stays=tuple(
            Stay(window.start_s, window.end_s, pattern.arrival_wh, pattern.needed_wh)
            for window in run.windows(pattern.at_home)
        ),
    )
