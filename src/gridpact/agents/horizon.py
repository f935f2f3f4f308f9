"""What a home knows when it plans T slots, and what a choice for them comes to, exactly.

Every way of planning hands its choice to `Horizon.outcome`: the same integer steps and the same
cost for all, so that two plans can be compared to the last unit. Nothing here chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gridpact.agents.loads import PICO_PER_NANO
from gridpact.agents.storage import Path, floors_uwh, path
from gridpact.model.assets import UWH_PER_WH
from gridpact.units import floor_divide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gridpact.agents.loads import SlotMarket
    from gridpact.agents.storage import Storage

Key = tuple[str, int]
"""Name of a load or vehicle, and start of its window or arrival."""


@dataclass(frozen=True, slots=True)
class WaitingLoad:
    """A load that can be interrupted, as far as the horizon sees it."""

    key: Key
    limits_wh: list[int]
    """Most energy in each slot."""
    due_wh: int
    """Must be used within the horizon."""
    most_wh: int
    """Left to use in all; above `due_wh` when the window is longer than the horizon."""


@dataclass(frozen=True, slots=True)
class ParkedVehicle:
    """A vehicle's stay, as far as the horizon sees it."""

    key: Key
    storage: Storage
    stored_uwh: int
    """Drawable energy at the start of the horizon, or on arrival."""
    charge_limit_wh: list[int]
    """Per slot; 0 while it is away."""
    discharge_limit_wh: list[int]
    floor_uwh: list[int]
    """Least drawable energy after each slot from which it still leaves with what it needs."""
    needed_uwh: int
    """Drawable energy that it leaves with."""
    stays_on: bool
    """It leaves after the horizon, so what it charges early counts."""


@dataclass(frozen=True, slots=True)
class HomeBattery:
    """The battery at the start of the horizon."""

    storage: Storage
    stored_uwh: int
    due_uwh: list[int]
    """Drawable energy due after each slot; 0 where nothing is."""
    wear_micro_per_kwh: int
    from_grid: bool
    """It may charge more than the home's own surplus."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a way of planning decides, besides the battery."""

    loads_wh: dict[Key, list[int]] = field(default_factory=dict)
    vehicles_wh: dict[Key, list[int]] = field(default_factory=dict)
    """Wanted: + to charge, - to discharge."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a choice comes to if the forecast is right."""

    cost_pico: int
    surplus_wh: list[int]
    """What loads and vehicles leave for the battery, + = surplus."""
    net_wh: list[int]
    """What the meter would see, + = export."""
    wanted_wh: list[int]
    """What the battery was wanted to do, + charge, before any limit."""
    battery: Path
    floor_uwh: list[int]
    loads_wh: dict[Key, list[int]]
    vehicles: dict[Key, Path]


@dataclass(frozen=True, slots=True)
class Horizon:
    """T slots as a home foresees them."""

    base_wh: list[int]
    """Generation less loads that are no longer to be decided, + = surplus."""
    markets: list[SlotMarket]
    leftover_micro_per_kwh: int
    """Value of what is stored or done early when the horizon ends."""
    battery: HomeBattery | None
    loads: list[WaitingLoad]
    vehicles: list[ParkedVehicle]
    fixed_pico: int
    """Disutility that is no longer to be decided."""

    def outcome(
        self, choice: Choice, decide: Callable[[Sequence[int]], Sequence[int]] | None
    ) -> Outcome:
        """Step through the horizon with a choice.

        Args:
            choice: loads as they are, vehicles as wanted.
            decide: from the home's surplus in each slot, after loads and vehicles, what the
                battery is wanted to do, + charge; None leaves the battery alone.
        """
        surplus = list(self.base_wh)
        for energies in choice.loads_wh.values():
            surplus = [left - used for left, used in zip(surplus, energies, strict=True)]
        vehicles = {}
        for vehicle in self.vehicles:
            limits = zip(vehicle.discharge_limit_wh, surplus, strict=True)
            taken = path(
                vehicle.storage,
                vehicle.stored_uwh,
                choice.vehicles_wh[vehicle.key],
                charge_limit_wh=vehicle.charge_limit_wh,
                discharge_limit_wh=[max(0, min(most, -left)) for most, left in limits],
                floor_uwh=vehicle.floor_uwh,
            )
            vehicles[vehicle.key] = taken
            surplus = [left - flow for left, flow in zip(surplus, taken.battery_wh, strict=True)]
        wanted = [0] * len(surplus) if decide is None else list(decide(surplus))
        battery, floors = self._battery(surplus, wanted)
        net = [left - flow for left, flow in zip(surplus, battery.battery_wh, strict=True)]
        cost = self.fixed_pico + PICO_PER_NANO * (
            sum(m.exchange_nano(energy) for m, energy in zip(self.markets, net, strict=True))
            + self._wear_nano(battery)
            - self._leftover_nano(choice, battery, vehicles)
        )
        for number, market in enumerate(self.markets):
            if market.export_max_wh is not None:
                net[number] = min(net[number], market.export_max_wh)
        return Outcome(cost, surplus, net, wanted, battery, floors, choice.loads_wh, vehicles)

    def _battery(self, surplus: list[int], wanted: list[int]) -> tuple[Path, list[int]]:
        """The battery's path and its floors."""
        if self.battery is None:
            return Path([0] * len(surplus), [0] * len(surplus)), [0] * len(surplus)
        storage = self.battery.storage
        charge = [
            storage.charge_max_wh if self.battery.from_grid else max(0, left) for left in surplus
        ]
        floors = floors_uwh(storage, charge, self.battery.due_uwh)
        discharge = [
            storage.discharge_max_wh
            if market.export_max_wh is None
            else max(0, market.export_max_wh - left)
            for market, left in zip(self.markets, surplus, strict=True)
        ]
        taken = path(
            storage,
            self.battery.stored_uwh,
            wanted,
            charge_limit_wh=charge,
            discharge_limit_wh=discharge,
            floor_uwh=floors,
        )
        return taken, floors

    def _wear_nano(self, battery: Path) -> int:
        if self.battery is None or not self.battery.wear_micro_per_kwh:
            return 0
        return self.battery.wear_micro_per_kwh * sum(max(0, -flow) for flow in battery.battery_wh)

    def _leftover_nano(self, choice: Choice, battery: Path, vehicles: dict[Key, Path]) -> int:
        """Value of whole Wh that are stored, or used for loads, before they are due."""
        early_wh = 0
        if self.battery is not None:
            usable_uwh = battery.stored_uwh[-1] - self.battery.storage.min_uwh
            early_wh += floor_divide(usable_uwh, UWH_PER_WH)
        for vehicle in self.vehicles:
            if vehicle.stays_on:
                stored_uwh = min(vehicles[vehicle.key].stored_uwh[-1], vehicle.needed_uwh)
                early_wh += floor_divide(stored_uwh, vehicle.storage.gain_uwh)
        for load in self.loads:
            if load.due_wh < load.most_wh:
                early_wh += sum(choice.loads_wh[load.key])
        return early_wh * self.leftover_micro_per_kwh
