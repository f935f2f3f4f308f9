"""Best use of the green energy of one microgrid in one period, in whole Wh and exact.

Once storage and trade are settled, what is left is a merit order: load, demand for green energy,
turbine, grid, export. It is solved in closed form, so a repaired plan loses nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.market.integer.microgrids.window import Window
from gridpact.model.microgrids import Column


@dataclass(frozen=True, slots=True)
class Use:
    """Where green energy and load end up, in Wh."""

    buy: int
    turbine: int
    export: int
    curtail: int
    green_demanded: int
    green_other: int


@dataclass(frozen=True, slots=True)
class Place:
    """One microgrid in one period; prices in pico per Wh."""

    load: int
    demand: int
    renewable: int
    export_max: int
    turbine_best: int
    """Wh at which the turbine's last Wh costs no more than the grid's."""
    linear: int
    quadratic: int
    shortage: int
    retail: int
    feed_in: int

    @property
    def most(self) -> int:
        """Green energy that can be put anywhere at all."""
        return self.load + self.export_max + self.renewable

    def use(self, green: int) -> Use:
        """The cheapest use of `green` Wh, 0..`most`; where two cost the same, the load first.

        The load takes green energy in falling order of what it saves, and so do the outlets,
        export and curtailment; the two falling lists are merged.
        """
        first_price, second_price = max(self.feed_in, 0), min(self.feed_in, 0)
        exports_first = self.feed_in >= 0
        caps = (self.export_max, self.renewable)
        first_max, second_max = caps if exports_first else caps[::-1]
        used = min(green, self._worth(first_price))
        first = min(green - used, first_max)
        used += min(green - used - first, max(0, self._worth(second_price) - used))
        second = min(green - used - first, second_max)
        used = green - first - second
        power = self.load - used
        turbine = min(self.turbine_best, power)
        demanded = min(used, self.demand)
        return Use(
            buy=power - turbine,
            turbine=turbine,
            export=first if exports_first else second,
            curtail=second if exports_first else first,
            green_demanded=demanded,
            green_other=used - demanded,
        )

    def cost(self, green: int) -> int:
        """Cost in pico of the best use, shortage included; convex in `green`."""
        use = self.use(green)
        turbine = (self.linear + self.quadratic * use.turbine) * use.turbine
        short = self.shortage * (self.demand - use.green_demanded)
        return turbine + short + self.retail * use.buy - self.feed_in * use.export

    def _worth(self, price: int) -> int:
        """How many Wh of the load are worth at least `price` when met by green energy."""
        demanded = self.load + 1 - self._first_power(price - self.shortage)
        other = self.load + 1 - self._first_power(price)
        return max(min(self.demand, demanded), other)

    def _first_power(self, price: int) -> int:
        """The least n so that the n-th Wh of other power costs `price` or more; else load + 1."""
        if self.quadratic:
            first = -(-(price - self.linear + self.quadratic) // (2 * self.quadratic))
        else:
            first = 1 if self.linear >= price else self.load + 1
        first = max(first, 1)
        if first <= self.turbine_best:
            return first
        return self.turbine_best + 1 if self.retail >= price else self.load + 1


def places(window: Window, period: int) -> list[Place]:
    """Every microgrid in one period."""
    retail = int(window.retail_pico[period])
    feed_in = int(window.feed_in_pico[period])
    columns = zip(
        window.load_wh[:, period].tolist(),
        window.green_demand_wh[:, period].tolist(),
        window.renewable_wh[:, period].tolist(),
        window.upper[Column.EXPORT, :, period].tolist(),
        window.upper[Column.TURBINE, :, period].tolist(),
        window.turbine_linear_pico[:, 0].tolist(),
        window.turbine_quadratic_pico[:, 0].tolist(),
        window.shortage_pico[:, 0].tolist(),
        strict=True,
    )
    return [
        Place(
            load=load,
            demand=demand,
            renewable=renewable,
            export_max=export_max,
            turbine_best=_turbine_best(turbine_max, retail - linear, quadratic),
            linear=linear,
            quadratic=quadratic,
            shortage=shortage,
            retail=retail,
            feed_in=feed_in,
        )
        for load, demand, renewable, export_max, turbine_max, linear, quadratic, shortage in columns
    ]


def _turbine_best(most: int, saving: int, quadratic: int) -> int:
    """Wh of the turbine whose marginal cost stays within what a Wh from the grid costs."""
    if quadratic == 0:
        return most if saving > 0 else 0
    return min(most, max(0, (saving + quadratic) // (2 * quadratic)))
