"""Goal: placing loads is really cheapest. Every choice is held against trying all of them."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gridpact.agents.loads import (
    SlotMarket,
    bent_wh,
    best_run,
    disutility_pico,
    fill_cheapest,
    slot_limits_wh,
    whole_parts,
)
from gridpact.model.assets import FlexibleLoad, Window

PRICES = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)


@st.composite
def markets(draw: st.DrawFn, slots: int) -> list[SlotMarket]:
    export = draw(st.none() | st.integers(0, 3))
    return [
        SlotMarket(dear, cheap, export)
        for cheap, dear in draw(st.lists(PRICES, min_size=slots, max_size=slots))
    ]


def cost_of(net: list[int], used: list[int], at: list[SlotMarket]) -> int:
    return sum(
        market.exchange_nano(left - energy)
        for left, energy, market in zip(net, used, at, strict=True)
    )


def test_limits_only_while_the_window_lasts() -> None:
    window = Window(450, 2_000)
    assert slot_limits_wh(window, 4_000, 0, 900, 4) == [500, 1_000, 222, 0]
    assert slot_limits_wh(window, 4_000, 1_800, 900, 2) == [222, 0]
    assert slot_limits_wh(window, 4_000, 9_000, 900, 2) == [0, 0]
    assert slot_limits_wh(Window(9_000, 9_900), 4_000, 0, 900, 2) == [0, 0]


@given(st.data())
def test_interruptible_loads_cost_as_little_as_can_be(data: st.DataObject) -> None:
    slots = data.draw(st.integers(1, 4))
    at = data.draw(markets(slots))
    energies = st.lists(st.integers(-3, 4), min_size=slots, max_size=slots)
    net, limits = data.draw(energies), [abs(one) for one in data.draw(energies)]
    due = data.draw(st.integers(0, sum(limits)))
    most = data.draw(st.integers(due, sum(limits)))
    early = data.draw(st.integers(0, 9))
    used = fill_cheapest(net, at, limits, due_wh=due, most_wh=most, early_micro_per_kwh=early)
    assert due <= sum(used) <= most
    assert all(0 <= one <= limit for one, limit in zip(used, limits, strict=True))
    found = cost_of(net, used, at) - early * sum(used)
    best = min(
        cost_of(net, list(tried), at) - early * sum(tried)
        for tried in product(*(range(limit + 1) for limit in limits))
        if due <= sum(tried) <= most
    )
    assert found == best


def test_without_room_it_uses_what_it_can() -> None:
    at = [SlotMarket(5, 1, None)] * 2
    options = {"due_wh": 10, "most_wh": 10, "early_micro_per_kwh": 0}
    assert fill_cheapest([0, 0], at, [3, 2], **options) == [3, 2]


def test_surplus_that_would_be_spilled_goes_first() -> None:
    at = [SlotMarket(5, 1, None), SlotMarket(5, 4, 2)]
    options = {"due_wh": 4, "most_wh": 4, "early_micro_per_kwh": 0}
    assert fill_cheapest([2, 5], at, [9, 9], **options) == [1, 3]


@given(st.data())
def test_a_run_starts_where_it_costs_least(data: st.DataObject) -> None:
    slots = data.draw(st.integers(1, 6))
    at = data.draw(markets(slots))
    net = data.draw(st.lists(st.integers(-3, 4), min_size=slots, max_size=slots))
    limits = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=slots, max_size=slots))
    energy = data.draw(st.integers(1, 8))
    later = data.draw(st.none() | st.integers(-30, 30))
    used = best_run(net, at, limits, energy_wh=energy, full_wh=2, started=False, later_nano=later)
    shape = [2] * ((energy - 1) // 2) + [energy - (energy - 1) // 2 * 2]
    tried = [
        [0] * start + shape + [0] * (slots - start - len(shape))
        for start in range(slots - len(shape) + 1)
        if all(limit == 2 for limit in limits[start : start + len(shape)])
    ]
    now = min(
        (cost_of(net, one, at) - cost_of(net, [0] * slots, at) for one in tried), default=None
    )
    if now is None:
        assert used == (None if later is None else [0] * slots)
    elif later is not None and later < now:
        assert used == [0] * slots
    else:
        assert used in tried
        assert cost_of(net, used, at) - cost_of(net, [0] * slots, at) == now


def test_a_run_that_has_started_goes_on() -> None:
    at = [SlotMarket(9, 1, None), SlotMarket(2, 1, None), SlotMarket(2, 1, None)]
    options = {"full_wh": 2, "started": True, "later_nano": None}
    assert best_run([0, 0, 0], at, [2, 2, 2], energy_wh=3, **options) == [2, 1, 0]
    assert best_run([0, 0, 0], at, [2, 2, 2], energy_wh=9, **options) == [2, 2, 2]
    assert best_run([0, 0, 0], at, [0, 2, 2], energy_wh=3, **options) is None
    options["later_nano"] = 0  # free, but it cannot wait any more
    assert best_run([0, 0, 0], at, [2, 2, 2], energy_wh=3, **options) == [2, 1, 0]


@given(st.data())
def test_a_flexible_load_bends_to_the_cheapest_energy(data: st.DataObject) -> None:
    low, nominal, high = sorted(data.draw(st.lists(st.integers(0, 200), min_size=3, max_size=3)))
    load = FlexibleLoad("pump", low * 4, nominal * 4, high * 4, data.draw(st.integers(1, 10**7)))
    net = data.draw(st.integers(-100, 300))
    cheap, dear = sorted(data.draw(st.lists(st.integers(0, 400_000), min_size=2, max_size=2)))
    market = SlotMarket(dear, cheap, data.draw(st.none() | st.integers(0, 100)))

    def cost(energy: int) -> int:
        pico = disutility_pico(load, 900, energy - nominal)
        return pico + 1000 * market.exchange_nano(net - energy)

    energy, pico = bent_wh(load, 900, net, market)
    assert low <= energy <= high
    assert cost(energy) == min(cost(one) for one in range(low, high + 1))
    assert pico == disutility_pico(load, 900, energy - nominal)


def test_disutility_in_its_units() -> None:
    """0.2 currency per kW^2 and hour, 2 kW off for a quarter of an hour: 0.2 x 4 / 4 = 0.2."""
    load = FlexibleLoad("pump", 0, 3_000, 3_000, 200_000)
    assert disutility_pico(load, 900, 500) == disutility_pico(load, 900, -500) == 2 * 10**11


@given(st.data())
def test_rounded_energies_are_brought_back_between_their_limits(data: st.DataObject) -> None:
    limits = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
    values = [limit + data.draw(st.integers(-6, 2)) for limit in limits]
    low = data.draw(st.integers(0, sum(limits)))
    high = data.draw(st.integers(low, sum(limits)))
    kept = list(values)
    whole_parts(values, limits, low, high)
    assert low <= sum(values) <= high
    assert all(0 <= value <= limit for value, limit in zip(values, limits, strict=True))
    fits = all(0 <= one <= limit for one, limit in zip(kept, limits, strict=True))
    if fits and low <= sum(kept) <= high:
        assert values == kept
