"""Where a home stands between two slots: what its batteries hold, what its loads still need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.agents.storage import storage_of, storage_of_vehicle
from gridpact.model.assets import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from gridpact.agents.horizon import Key
    from gridpact.agents.storage import Storage
    from gridpact.model import Slot
    from gridpact.model.assets import DeferrableLoad, ElectricVehicle, Home, Stay, Window


@dataclass(slots=True)
class Run:
    """A deferrable load in one of its windows."""

    key: Key
    load: DeferrableLoad
    window: Window
    remaining_wh: int

    @property
    def started(self) -> bool:
        """Whether it has used some of its energy."""
        return self.remaining_wh < self.load.energy_wh


@dataclass(slots=True)
class Parked:
    """A vehicle in one of its stays, past or to come."""

    key: Key
    vehicle: ElectricVehicle
    stay: Stay
    storage: Storage
    stored_uwh: int
    """Drawable energy now; what it will arrive with while it is away."""

    @property
    def needed_uwh(self) -> int:
        """Drawable energy that it leaves with."""
        return self.storage.level_uwh(self.stay.needed_wh)


@dataclass(slots=True)
class Standing:
    """A home between two slots."""

    home: Home
    grid: Slot
    """Any slot of the run; it says where slots begin and how long they are."""
    next_s: int
    """Start of the first slot that has not been delivered."""
    export_max_wh: int | None
    """Per slot."""
    storage: Storage | None
    """The battery's limits."""
    stored_uwh: int
    """Drawable energy in the battery; 0 without one."""
    runs: list[Run]
    """Windows that were within a horizon, have not ended and have energy left to use."""
    parked: list[Parked]
    """Stays that were within a horizon and have not ended."""
    later_runs: list[Run]
    """Windows that were not, the last first: a year of them must not slow every slot down."""
    later_parked: list[Parked]
    """Stays that were not, the last first."""

    def look_ahead(self, until_s: int) -> None:
        """Take up the windows and stays that begin before `until_s`."""
        while self.later_runs and self.later_runs[-1].window.start_s < until_s:
            self.runs.append(self.later_runs.pop())
        while self.later_parked and self.later_parked[-1].stay.arrival_s < until_s:
            self.parked.append(self.later_parked.pop())


def standing_of(home: Home, first: Slot) -> Standing:
    """A home before its first slot. Windows and stays that have ended by then are left out."""
    storage, stored_uwh = None, 0
    if home.battery is not None:
        storage = storage_of(home.battery, first.length_s)
        stored_uwh = storage.level_uwh(home.battery.stored_initial_wh)
    export_max_wh = None
    if home.export_max_w is not None:
        export_max_wh = home.export_max_w * first.length_s // SECONDS_PER_HOUR
    parked = []
    for vehicle in home.vehicles:
        held = storage_of_vehicle(vehicle, first.length_s)
        parked += [
            Parked(
                (vehicle.name, stay.arrival_s), vehicle, stay, held, held.level_uwh(stay.arrival_wh)
            )
            for stay in vehicle.stays
            if stay.departure_s > first.start_s
        ]
    runs = [
        Run((load.name, window.start_s), load, window, load.energy_wh)
        for load in home.deferrable
        for window in load.windows
        if window.end_s > first.start_s
    ]
    return Standing(
        home=home,
        grid=first,
        next_s=first.start_s,
        export_max_wh=export_max_wh,
        storage=storage,
        stored_uwh=stored_uwh,
        runs=[],
        parked=[],
        later_runs=sorted(runs, key=lambda run: run.window.start_s, reverse=True),
        later_parked=sorted(parked, key=lambda one: one.stay.arrival_s, reverse=True),
    )
