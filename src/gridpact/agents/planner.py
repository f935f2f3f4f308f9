"""A home's energy manager: plans a horizon, says what it expects, and carries slots out.

Per slot the caller asks `expected_net_wh` for the order, and after the clearing tells `deliver`
what really came; once a day or more often it calls `plan` with a fresh forecast. The manager sees
no other home and no market, only prices it is given.

Source: [CESDT23], section 3 (the home energy management system). Ours: everything between the
forecast and the meter that the paper leaves open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpact.agents.delivery import Flows, flow, settle
from gridpact.agents.foresight import foresee
from gridpact.agents.linear import LinearSolver, PlanSolveError
from gridpact.agents.standing import standing_of
from gridpact.agents.strategies import arbitrage, optimised, self_consumption
from gridpact.errors import InputError, Problem, invariant
from gridpact.model.asset_checks import home_problems
from gridpact.model.assets import HomePlan, HomeSlot, Planning, PlanOutcome, utc_text
from gridpact.quantize import QuantizeError
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.agents.horizon import Horizon, Outcome
    from gridpact.model import Slot
    from gridpact.model.assets import Home, PlanPrices


class HomePlanner:
    """The energy manager of one home.

    Args:
        home: what it has.
        first: the first slot of the run.
        solver: for homes that plan by linear programme; one may serve many homes. A new one when
            None.
    Raises:
        InputError: everything that is wrong with the home, or HiGHS is needed and missing.
    """

    def __init__(self, home: Home, first: Slot, solver: LinearSolver | None = None) -> None:
        problems = home_problems(home, first)
        if problems:
            raise InputError(problems)
        if solver is None and home.planning is Planning.OPTIMISED:
            solver = LinearSolver()
        self.home = home
        self._solver = solver
        self._standing = standing_of(home, first)
        self._plan: HomePlan | None = None
        self._forecast_wh: list[int] = []
        self._due_uwh: list[int] = []

    @property
    def stored_uwh(self) -> int:
        """Drawable energy in the battery now; 0 without one."""
        return self._standing.stored_uwh

    def plan(
        self,
        start_s: int,
        slots: int,
        net_wh: Sequence[int],
        prices: PlanPrices,
        day_ends: Sequence[int] = (),
    ) -> HomePlan:
        """Plan the next slots from where the home stands now.

        Args:
            start_s: start of the first slot, the next one to deliver.
            slots: T, how many; 92 to 100 for a day of quarter hours, more to look beyond it.
            net_wh: T values, generation less load of the profile, + = surplus, as forecast.
            prices: expected prices of the T slots.
            day_ends: after how many of the slots a day ends, when the battery's final level is
                due.
        Returns:
            the plan, which holds until the next call.
        Raises:
            InputError: forecast or prices of the wrong length or out of range, or a start that
                goes back; the last plan goes on to hold.
        """
        problems = self._problems(start_s, slots, net_wh, prices, day_ends)
        if problems:
            raise InputError(problems)
        forecast = [int(value) for value in net_wh]
        foresight = foresee(self._standing, start_s, forecast, prices, day_ends)
        horizon = foresight.horizon
        outcome, rule, how, reason = self._decide(horizon)
        self._forecast_wh = forecast
        self._due_uwh = [0] * slots if horizon.battery is None else horizon.battery.due_uwh
        self._plan = HomePlan(
            start_s=start_s,
            slot_length_s=self._standing.grid.length_s,
            outcome=how,
            reason=reason,
            cost_pico=outcome.cost_pico,
            rule_cost_pico=rule.cost_pico,
            surplus_wh=tuple(outcome.surplus_wh),
            net_wh=tuple(outcome.net_wh),
            wanted_wh=tuple(outcome.wanted_wh),
            battery_wh=tuple(outcome.battery.battery_wh),
            stored_uwh=tuple(outcome.battery.stored_uwh),
            floor_uwh=tuple(outcome.floor_uwh),
            flexible_wh=tuple(foresight.flexible_wh),
            deferrable_wh={
                key: tuple(used)
                for key, used in (*foresight.runs_wh.items(), *outcome.loads_wh.items())
            },
            vehicle_wh={key: tuple(path.battery_wh) for key, path in outcome.vehicles.items()},
        )
        return self._plan

    def _problems(
        self,
        start_s: int,
        slots: int,
        net_wh: Sequence[int],
        prices: PlanPrices,
        day_ends: Sequence[int],
    ) -> list[Problem]:
        """Everything that is wrong with what the home is told, at once."""
        where, grid = self.home.participant_id, self._standing.grid
        problems: list[Problem] = []

        def problem(field: str, message: str) -> None:
            problems.append(Problem(f"{where}: {field}", message))

        start, next_s = utc_text(start_s), self._standing.next_s
        if start_s < next_s or (start_s - grid.start_s) % grid.length_s:
            problem(
                "start_s",
                f"{start} is not the start of a slot from {utc_text(next_s)} on, the first that "
                "has not been delivered; plan forward only",
            )
        if slots < 1:
            problem("slots", f"{slots} slots from {start} on; allowed: 1 or more")
        buy, sell = prices.buy_micro_per_kwh, prices.sell_micro_per_kwh
        for name, values in (
            ("net_wh", net_wh),
            ("prices.buy_micro_per_kwh", buy),
            ("prices.sell_micro_per_kwh", sell),
        ):
            if len(values) != slots:
                problem(
                    name,
                    f"{len(values)} values from {start} on; expected {slots}, one for each slot "
                    f"of {grid.length_s} s",
                )
        for number, value in enumerate(net_wh):
            if not -QUANTITY_MAX <= value <= QUANTITY_MAX:
                message = f"{value} Wh is out of range; allowed: up to {QUANTITY_MAX} either way"
                problem(f"net_wh[{number}]", message)
        for number, (dear, cheap) in enumerate(zip(buy, sell, strict=False)):
            if not 0 <= cheap <= dear <= QUANTITY_MAX:
                problem(
                    f"prices[{number}]",
                    f"buying at {dear} and selling at {cheap} micro-currency per kWh; allowed: "
                    f"0 <= selling <= buying <= {QUANTITY_MAX}, or trading with oneself would pay",
                )
        if prices.leftover_micro_per_kwh < 0:
            message = f"{prices.leftover_micro_per_kwh} micro-currency per kWh; allowed: 0 or more"
            problem("prices.leftover_micro_per_kwh", message)
        for end in day_ends:
            if not 1 <= end <= slots:
                problem("day_ends", f"{end} is not one of the {slots} slots of the plan")
        return problems

    def _decide(self, horizon: Horizon) -> tuple[Outcome, Outcome, PlanOutcome, str]:
        """The home's way of planning, held against the rule: (plan, rule, where from, reason)."""
        rule = self_consumption(horizon)
        if self.home.planning is Planning.ARBITRAGE:
            return arbitrage(horizon, rule), rule, PlanOutcome.AS_ASKED, ""
        open_to_choice = horizon.battery or horizon.loads or horizon.vehicles
        if self.home.planning is not Planning.OPTIMISED or not open_to_choice:
            return rule, rule, PlanOutcome.AS_ASKED, ""
        invariant(self._solver is not None, "a home that plans by linear programme has a solver")
        try:
            best = optimised(horizon, self._solver)  # type: ignore[arg-type]
        except (PlanSolveError, QuantizeError) as error:
            return rule, rule, PlanOutcome.SOLVER_FAILED, str(error)
        if best.cost_pico > rule.cost_pico:
            return rule, rule, PlanOutcome.RULE_CHEAPER, ""
        return best, rule, PlanOutcome.AS_ASKED, ""

    def expected_net_wh(self, start_s: int) -> int:
        """What the meter would see in a slot if the forecast were right: the energy to order.

        From what the battery really holds, so it may differ from the plan's own number.

        Args:
            start_s: the next slot to deliver, within the plan.
        Returns:
            Wh, + = export.
        """
        forecast = self._forecast_wh[self._number(start_s)]
        flows = self._flow(start_s, max(0, -forecast), max(0, forecast), 0)
        return flows.slot.net_wh

    def deliver(self, start_s: int, load_wh: int, pv_wh: int, *, unmatched_wh: int = 0) -> HomeSlot:
        """Carry out a slot with the load and the generation that came.

        Loads and vehicles run as planned. The battery does what was expected of it, plus or minus
        what came differently, so that the meter sees what was announced as long as the battery
        can. It takes what was not sold, and does not charge from what was not bought.

        Args:
            start_s: the next slot to deliver, within the plan.
            load_wh: of the profile, >= 0.
            pv_wh: generation, >= 0.
            unmatched_wh: part of the home's own order that found no other side, + of an offer,
                - of a bid.
        Returns:
            all flows; `net_wh` is what the meter reports, and `shortfalls` what fell due and is
            not there.
        """
        invariant(load_wh >= 0 and pv_wh >= 0, f"load {load_wh} Wh, generation {pv_wh} Wh")
        flows = self._flow(start_s, load_wh, pv_wh, unmatched_wh)
        settle(self._standing, flows)
        return flows.slot

    def _flow(self, start_s: int, load_wh: int, pv_wh: int, unmatched_wh: int) -> Flows:
        number = self._number(start_s)
        invariant(self._plan is not None, "a home plans before it delivers")
        return flow(
            self._standing,
            self._plan,  # type: ignore[arg-type]
            start_s,
            load_wh=load_wh,
            pv_wh=pv_wh,
            unmatched_wh=unmatched_wh,
            due_uwh=self._due_uwh[number],
        )

    def _number(self, start_s: int) -> int:
        """Which slot of the plan begins at `start_s`; it must be the next to deliver."""
        plan_s = self._plan.start_s if self._plan is not None else start_s
        number = (start_s - plan_s) // self._standing.grid.length_s
        invariant(
            start_s == self._standing.next_s and 0 <= number < len(self._forecast_wh),
            f"the slot at {utc_text(start_s)} is not the next one of a plan",
        )
        return number
