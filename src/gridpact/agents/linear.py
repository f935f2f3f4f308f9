"""A home's horizon as a linear programme, solved by HiGHS.

The matrix depends only on the shape of the home, so it is built once per shape; from home to home
and day to day bounds and costs change. Every solve starts from nothing, so that an answer does
not depend on what was solved before it. Floats live here and leave through `quantize`.

Energies are in kWh and prices in currency per kWh inside, so that all numbers are near one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.errors import GridpactError, InputError, Problem
from gridpact.model.assets import UWH_PER_WH
from gridpact.units import MICRO_PER_CURRENCY, WH_PER_KWH

if TYPE_CHECKING:
    from gridpact.agents.horizon import HomeBattery, Horizon, Key, ParkedVehicle
    from gridpact.quantize import FloatArray

UWH_PER_KWH = UWH_PER_WH * WH_PER_KWH
ITERATIONS_MAX = 100_000
"""Of the simplex method. A limit in iterations, not in time: the same on every machine."""
TIDY_PASSES = 4
"""How often a slot may be found that charges the battery while the home takes from outside."""
TOUCH_KWH = 1e-6
"""Below this a flow counts as none: a thousandth of a Wh, far above the solver's 1e-7 kWh."""


class PlanSolveError(GridpactError):
    """The linear programme was not solved to an optimum."""

    def __init__(self, status: str, iterations: int) -> None:
        self.status, self.iterations = status, iterations
        super().__init__(f"the plan's linear programme: {status} after {iterations} iterations")


@dataclass(frozen=True, slots=True)
class LinearPlan:
    """An optimal plan in fractions."""

    cost: float
    """In currency, of what the horizon leaves open: exchange, wear, less the value of energy that
    is stored above the minimum, or that reached vehicles and loads, when it ends."""
    battery_wh: FloatArray
    """Shape (T,), + charge, - discharge."""
    loads_wh: dict[Key, FloatArray]
    vehicles_wh: dict[Key, FloatArray]
    """+ charge, - discharge."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the matrix depends on."""

    slots: int
    storages: tuple[tuple[int, int, int], ...]
    """Round trip in millionths, and share kept in a slot as a fraction, of each storage."""
    loads: int

    @property
    def columns(self) -> int:
        """Buy, sell, spill; charge, discharge, store of each storage; each load."""
        return self.slots * (3 + 3 * len(self.storages) + self.loads)

    @property
    def rows(self) -> int:
        """Balance; one state per storage and slot; one sum per load."""
        return self.slots * (1 + len(self.storages)) + self.loads


class LinearSolver:
    """Solves horizons, one after the other; keeps one model per shape.

    Raises:
        InputError: HiGHS is not installed.
    """

    def __init__(self) -> None:
        try:
            import highspy
        except ImportError as error:
            message = (
                "planning by linear programme needs highspy, which is not installed; install the "
                "extra: pip install 'gridpact[agents]', or choose another planning"
            )
            raise InputError([Problem("planning", message)]) from error
        self._highs = highspy
        self._models: dict[_Shape, Any] = {}

    def solve(self, horizon: Horizon) -> LinearPlan:
        """The plan of least cost on a horizon's forecast.

        All limits of the exact steps hold, with fractions allowed. A battery that may charge from
        surplus only is bounded by the surplus before loads that can wait; where these loads
        then take from outside while the battery charges, the smaller of the two flows is
        forbidden in that slot and the programme solved again. So with such loads the plan is
        feasible but need not be the very best; without them it is.

        Raises:
            PlanSolveError: no optimum, with the solver's own word for why.

        Source: [CESDT23], eq. (2)-(11). Ours: the objective; the paper's (5), (6) set prices.
        """
        programme = _Programme(horizon)
        model = self._model(programme.shape)
        self._pass(model, programme)
        values = self._run(model)
        for _ in range(TIDY_PASSES):
            if not programme.tidy(values):
                break
            self._pass(model, programme)
            try:
                values = self._run(model)
            except PlanSolveError:
                # What is due leaves no other way: the exact steps clamp the charging instead.
                break
        return programme.plan(values)

    def _model(self, shape: _Shape) -> Any:
        if shape not in self._models:
            highs = self._highs
            model = highs.Highs()
            for option, value in (
                ("output_flag", False),
                ("threads", 1),
                ("solver", "simplex"),
                ("presolve", "off"),
                ("simplex_iteration_limit", ITERATIONS_MAX),
            ):
                model.setOptionValue(option, value)
            programme = highs.HighsLp()
            programme.num_col_, programme.num_row_ = shape.columns, shape.rows
            programme.col_cost_ = np.zeros(shape.columns)
            programme.col_lower_ = programme.col_upper_ = np.zeros(shape.columns)
            programme.row_lower_ = programme.row_upper_ = np.zeros(shape.rows)
            start, index, value = _matrix(shape)
            programme.a_matrix_.format_ = highs.MatrixFormat.kColwise
            programme.a_matrix_.start_ = start
            programme.a_matrix_.index_ = index
            programme.a_matrix_.value_ = value
            model.passModel(programme)
            self._models[shape] = model
        return self._models[shape]

    def _pass(self, model: Any, programme: _Programme) -> None:
        """Give the model this horizon's numbers; forget where the last solve ended."""
        columns = np.arange(programme.shape.columns, dtype=np.int32)
        rows = np.arange(programme.shape.rows, dtype=np.int32)
        model.clearSolver()
        model.changeColsBounds(len(columns), columns, programme.low, programme.high)
        model.changeColsCost(len(columns), columns, programme.cost)
        model.changeRowsBounds(len(rows), rows, programme.row_low, programme.row_high)

    def _run(self, model: Any) -> FloatArray:
        model.run()
        status = model.getModelStatus()
        if status != self._highs.HighsModelStatus.kOptimal:
            iterations = int(model.getInfo().simplex_iteration_count)
            raise PlanSolveError(model.modelStatusToString(status), iterations)
        return np.asarray(model.getSolution().col_value, dtype=np.float64)


def _matrix(shape: _Shape) -> tuple[Any, Any, Any]:
    """The constraints by column: starts, row numbers, values.

    Row t: buy - sell - spill - charge + discharge - loads = - base.
    Row of a storage at t: store_t - kept store_{t-1} - gain charge + discharge = 0, at first
    = kept x what is there. Row of a load: sum of its slots.
    """
    slots = np.arange(shape.slots)
    entries: list[tuple[Any, Any, float]] = []
    for block, sign in enumerate((1.0, -1.0, -1.0)):
        entries.append((slots, slots + block * shape.slots, sign))
    column = 3 * shape.slots
    for number, (gain, kept, kept_of) in enumerate(shape.storages, 1):
        state = slots + number * shape.slots
        charge, discharge = slots + column, slots + column + shape.slots
        store = slots + column + 2 * shape.slots
        entries += [
            (slots, charge, -1.0),
            (slots, discharge, 1.0),
            (state, charge, -gain / UWH_PER_WH),
            (state, discharge, 1.0),
            (state, store, 1.0),
            (state[1:], store[:-1], -kept / kept_of),
        ]
        column += 3 * shape.slots
    row = (1 + len(shape.storages)) * shape.slots
    for number in range(shape.loads):
        used = slots + column + number * shape.slots
        entries += [(slots, used, -1.0), (np.full(shape.slots, row + number), used, 1.0)]
    rows = np.concatenate([entry[0] for entry in entries])
    columns = np.concatenate([entry[1] for entry in entries])
    values = np.concatenate([np.full(len(entry[0]), entry[2]) for entry in entries])
    order = np.lexsort((rows, columns))
    starts = np.searchsorted(columns[order], np.arange(shape.columns + 1))
    return starts.astype(np.int32), rows[order].astype(np.int32), values[order]


class _Programme:
    """Bounds and costs of one horizon, in the order of the matrix."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon = horizon
        battery = [] if horizon.battery is None else [horizon.battery]
        storages = [one.storage for one in battery]
        storages += [vehicle.storage for vehicle in horizon.vehicles]
        self.shape = _Shape(
            len(horizon.base_wh),
            tuple((one.gain_uwh, one.kept, one.kept_of) for one in storages),
            len(horizon.loads),
        )
        slots = self.shape.slots
        self.cost = np.zeros(self.shape.columns)
        self.low = np.zeros(self.shape.columns)
        self.high = np.full(self.shape.columns, np.inf)
        self.row_low = np.zeros(self.shape.rows)
        self.base = np.asarray(horizon.base_wh, dtype=np.float64) / WH_PER_KWH
        self.row_low[:slots] = -self.base
        self._exchange()
        for number, one in enumerate(battery):
            self._battery(number, one)
        for number, vehicle in enumerate(horizon.vehicles, len(battery)):
            self._vehicle(number, vehicle)
        self.row_high = self.row_low.copy()
        self._loads()

    def _block(self, number: int) -> slice:
        return slice(number * self.shape.slots, (number + 1) * self.shape.slots)

    def _exchange(self) -> None:
        markets = self.horizon.markets
        buy, sell, spill = (self._block(number) for number in range(3))
        self.cost[buy] = [one.buy_micro_per_kwh / MICRO_PER_CURRENCY for one in markets]
        self.cost[sell] = [-one.sell_micro_per_kwh / MICRO_PER_CURRENCY for one in markets]
        export = [one.export_max_wh for one in markets]
        self.high[sell] = [np.inf if most is None else most / WH_PER_KWH for most in export]
        self.high[spill] = [0.0 if most is None else np.inf for most in export]

    def _battery(self, number: int, battery: HomeBattery) -> None:
        storage, slots = battery.storage, self.shape.slots
        charge, discharge, store = (self._block(3 + 3 * number + block) for block in range(3))
        charge_kwh = np.full(slots, storage.charge_max_wh / WH_PER_KWH)
        if not battery.from_grid:
            charge_kwh = np.minimum(charge_kwh, np.maximum(self.base, 0.0))
        self.high[charge] = charge_kwh
        self.high[discharge] = storage.discharge_max_wh / WH_PER_KWH
        self.cost[discharge] = battery.wear_micro_per_kwh / MICRO_PER_CURRENCY
        self.high[store] = (storage.max_uwh - storage.min_uwh) / UWH_PER_KWH
        start_kwh = (battery.stored_uwh - storage.min_uwh) / UWH_PER_KWH
        # What is due but out of reach is lowered to what charging all the way would reach.
        due = np.asarray([max(0, one - storage.min_uwh) for one in battery.due_uwh]) / UWH_PER_KWH
        kept = storage.kept / storage.kept_of
        added = charge_kwh * storage.gain_uwh / UWH_PER_WH
        reached = _reached(start_kwh, kept, added, float(self.high[store.start]))
        self.low[store] = np.minimum(due, reached)
        self.cost[store.stop - 1] = -self.horizon.leftover_micro_per_kwh / MICRO_PER_CURRENCY
        self.row_low[slots * (1 + number)] = start_kwh * kept

    def _vehicle(self, number: int, vehicle: ParkedVehicle) -> None:
        storage, slots = vehicle.storage, self.shape.slots
        charge, discharge, store = (self._block(3 + 3 * number + block) for block in range(3))
        charge_kwh = np.asarray(vehicle.charge_limit_wh, dtype=np.float64) / WH_PER_KWH
        self.high[charge] = charge_kwh
        limit = np.asarray(vehicle.discharge_limit_wh, dtype=np.float64) / WH_PER_KWH
        self.high[discharge] = np.minimum(limit, np.maximum(-self.base, 0.0))
        self.high[store] = storage.max_uwh / UWH_PER_KWH
        start_kwh = vehicle.stored_uwh / UWH_PER_KWH
        # Floors stop below the last whole Wh; fractions can and should fill the battery up.
        top_uwh = storage.max_uwh - storage.gain_uwh
        floors = [one if one <= top_uwh else vehicle.needed_uwh for one in vehicle.floor_uwh]
        floor = np.asarray(floors, dtype=np.float64) / UWH_PER_KWH
        reached = start_kwh + np.cumsum(charge_kwh) * storage.gain_uwh / UWH_PER_WH
        self.low[store] = np.minimum(floor, np.minimum(reached, self.high[store]))
        if vehicle.stays_on:
            per_stored = UWH_PER_WH / storage.gain_uwh / MICRO_PER_CURRENCY
            self.cost[store.stop - 1] = -self.horizon.leftover_micro_per_kwh * per_stored
            most_kwh = max(vehicle.needed_uwh, vehicle.stored_uwh) / UWH_PER_KWH
            self.high[store.stop - 1] = max(most_kwh, self.low[store.stop - 1])
        self.row_low[slots * (1 + number)] = start_kwh

    def _loads(self) -> None:
        first = 3 + 3 * len(self.shape.storages)
        row = self.shape.slots * (1 + len(self.shape.storages))
        for number, load in enumerate(self.horizon.loads):
            used = self._block(first + number)
            self.high[used] = np.asarray(load.limits_wh, dtype=np.float64) / WH_PER_KWH
            if load.due_wh < load.most_wh:
                self.cost[used] = -self.horizon.leftover_micro_per_kwh / MICRO_PER_CURRENCY
            self.row_low[row + number] = min(load.due_wh, sum(load.limits_wh)) / WH_PER_KWH
            self.row_high[row + number] = load.most_wh / WH_PER_KWH

    def tidy(self, values: FloatArray) -> bool:
        """Forbid the smaller flow where a battery charges while the home takes from outside.

        Returns:
            whether there was such a slot.
        """
        battery = self.horizon.battery
        if battery is None or battery.from_grid:
            return False
        buy, sell, spill, charge = (self._block(number) for number in range(4))
        # At equal prices both may be above zero, and only their difference says anything.
        taken = values[buy] - values[sell] - values[spill]
        both = (taken > TOUCH_KWH) & (values[charge] > TOUCH_KWH)
        keep_charging = values[charge] >= taken
        self.high[buy][both & keep_charging] = 0.0
        self.high[charge][both & ~keep_charging] = 0.0
        return bool(both.any())

    def plan(self, values: FloatArray) -> LinearPlan:
        """What the variables say."""
        horizon = self.horizon
        flows = []
        for number in range(len(self.shape.storages)):
            charge, discharge = (self._block(3 + 3 * number + block) for block in range(2))
            flows.append((values[charge] - values[discharge]) * WH_PER_KWH)
        nothing = np.zeros(self.shape.slots)
        battery = nothing if horizon.battery is None else flows.pop(0)
        first = 3 + 3 * len(self.shape.storages)
        loads = {
            load.key: values[self._block(first + number)] * WH_PER_KWH
            for number, load in enumerate(horizon.loads)
        }
        keys = [vehicle.key for vehicle in horizon.vehicles]
        cost = float(self.cost @ values)
        return LinearPlan(cost, battery, loads, dict(zip(keys, flows, strict=True)))


def _reached(start_kwh: float, kept: float, added_kwh: FloatArray, most_kwh: float) -> FloatArray:
    """Stored energy after each slot when every slot charges all it can."""
    reached = []
    stored_kwh = start_kwh
    for added in added_kwh.tolist():
        stored_kwh = min(most_kwh, kept * stored_kwh + added)
        reached.append(stored_kwh)
    return np.asarray(reached)
