"""Certified clearing on random windows: fast against slow, and what always holds."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.microgrid_strategies import duals, rough_plans, windows

from gridpact.market.integer.microgrids import (
    GAP_PPB_DEFAULT,
    ClearingVerdict,
    Solution,
    account_of,
    flows_wh,
    repair,
    verify,
    window_of,
    without_trade,
)
from gridpact.market.integer.microgrids.bargain import savings_pico, transfers_nano
from gridpact.market.integer.microgrids.bound import lower_bounds_pico
from gridpact.market.integer.microgrids.dispatch import Place, places
from gridpact.market.integer.microgrids.packing import SIZE_MAX, pack, unpack
from gridpact.market.integer.microgrids.plain import (
    bound_plain,
    cost_parts_plain,
    feasible_plain,
)
from gridpact.market.integer.microgrids.plan import cost_terms, costs_pico, fault, turnovers_pico
from gridpact.model.microgrids import Column
from gridpact.studies.microgrid_windows import random_bids, solved


@given(st.data())
def test_costs_and_bounds_are_those_of_the_plain_sums(data: st.DataObject) -> None:
    """Up to the largest prices, energies and duals that are let in: nothing wraps."""
    terms, bids = data.draw(windows())
    window = window_of(terms, bids)
    plan = data.draw(rough_plans(window))
    rows, balance = data.draw(duals(window))
    found = cost_terms(window, plan)
    periods = range(window.periods)
    for number, bid in enumerate(bids):
        parts = [
            part
            for period in periods
            for part in cost_parts_plain(terms, bid, plan.tolist(), number, period)
        ]
        assert costs_pico(found)[number] == sum(parts)
        assert turnovers_pico(found)[number] == sum(map(abs, parts))
    for trade in (True, False):
        bounds = lower_bounds_pico(window if trade else without_trade(window), rows, balance)
        for number, bid in enumerate(bids):
            own = rows[:, number].tolist()
            plain = bound_plain(terms, bid, own, balance.tolist(), trade=trade)
            assert bounds[number] == plain


@given(st.data())
def test_repaired_plans_are_feasible_and_no_bound_is_above_their_cost(
    data: st.DataObject,
) -> None:
    terms, bids = data.draw(windows())
    window = window_of(terms, bids)
    rough = data.draw(rough_plans(window))
    rows, balance = data.draw(duals(window))
    for trade in (True, False):
        problem = window if trade else without_trade(window)
        plan = repair(problem, rough)
        if plan is None:
            assert trade, "without trade there always is a plan"
            continue
        assert fault(problem, plan) is ClearingVerdict.ACCEPTED
        assert feasible_plain(bids, plan.tolist(), trade=trade)
        assert (repair(problem, rough) == plan).all()
        account = account_of(problem, Solution(plan, rows, balance))
        assert sum(account.bounds) <= sum(account.costs)
        if not trade:
            pairs = zip(account.bounds, account.costs, strict=True)
            assert all(bound <= cost for bound, cost in pairs)


@given(st.data())
def test_a_changed_cell_is_a_fault_as_the_plain_rules_say(data: st.DataObject) -> None:
    terms, bids = data.draw(windows())
    window = without_trade(window_of(terms, bids))
    plan = repair(window, data.draw(rough_plans(window)))
    assert plan is not None
    place = tuple(data.draw(st.integers(0, size - 1)) for size in plan.shape)
    plan[place] += data.draw(st.sampled_from((-(10**6), -1, 1, 10**6)))
    good = fault(window, plan) is ClearingVerdict.ACCEPTED
    assert good == feasible_plain(bids, plan.tolist(), trade=False)
    assert not good


@settings(max_examples=200)
@given(st.data())
def test_dispatch_is_the_best_of_all_uses(data: st.DataObject) -> None:
    small = st.integers(0, 4)
    price = st.integers(-6, 6)
    load = data.draw(small)
    linear, quadratic, retail = data.draw(st.integers(0, 6)), data.draw(small), data.draw(price)
    most = data.draw(st.integers(0, load))
    marginal = [linear + quadratic * (2 * n - 1) for n in range(1, most + 1)]
    place = Place(
        load=load,
        demand=data.draw(st.integers(0, load)),
        renewable=data.draw(small),
        export_max=data.draw(small),
        turbine_best=sum(cost <= retail - (quadratic == 0) for cost in marginal),
        linear=linear,
        quadratic=quadratic,
        shortage=data.draw(small),
        retail=retail,
        feed_in=data.draw(price),
    )
    green = data.draw(st.integers(0, place.most))
    costs = []
    ranges = (place.demand, load - place.demand, place.export_max, most)
    for demanded, other, export, turbine in product(*(range(one + 1) for one in ranges)):
        buy = load - demanded - other - turbine
        if buy < 0 or not 0 <= green - demanded - other - export <= place.renewable:
            continue
        costs.append(
            (linear + quadratic * turbine) * turbine
            + place.shortage * (place.demand - demanded)
            + retail * buy
            - place.feed_in * export
        )
    assert place.cost(green) == min(costs)
    use = place.use(green)
    assert min(use.buy, use.turbine, use.export, use.curtail, use.green_demanded) >= 0
    assert use.green_demanded + use.green_other + use.export + use.curtail == green
    assert use.green_demanded + use.green_other + use.turbine + use.buy == load
    assert use.export <= place.export_max
    assert use.curtail <= place.renewable


def test_turbines_of_places_stop_where_the_grid_is_cheaper() -> None:
    terms, bids = random_bids(3, 24, seed=5)
    window = window_of(terms, bids)
    for period in (0, 8, 12):
        for number, place in enumerate(places(window, period)):
            best = place.turbine_best
            most = int(window.upper[Column.TURBINE, number, period])
            marginal = [place.linear + place.quadratic * (2 * n - 1) for n in (best, best + 1)]
            assert best == 0 or marginal[0] <= place.retail
            assert best == most or marginal[1] > place.retail


@pytest.mark.parametrize("seed", range(6))
def test_solved_rounded_and_repaired_is_certified_within_a_millionth(seed: int) -> None:
    """Microgrids of some MW; the plain twin of the check agrees in other tests."""
    microgrids, periods = (2, 4, 7, 12, 3, 5)[seed], (24, 24, 24, 24, 48, 7)[seed]
    found = solved(*random_bids(microgrids, periods, seed))
    weights = [1] * microgrids
    verdict = verify(found.terms, found.bids, weights, found.certificate, GAP_PPB_DEFAULT)
    assert verdict is ClearingVerdict.ACCEPTED
    assert sum(found.certificate.alone_cost_nano) > sum(found.certificate.cost_nano)


amounts = st.integers(-(10**18), 10**18)
members = st.lists(st.tuples(amounts, st.integers(0, 50)), min_size=1, max_size=12).filter(
    lambda rows: any(weight for _, weight in rows)
)


@given(members)
def test_transfers_sum_to_zero_and_are_the_rule_to_a_nano(rows: list[tuple[int, int]]) -> None:
    savings, weights = [list(column) for column in zip(*rows, strict=True)]
    found = transfers_nano(savings, weights)
    surplus, whole = sum(savings), sum(weights)
    assert sum(found) == 0
    for transfer, saving, weight in zip(found, savings, weights, strict=True):
        assert abs(1000 * whole * transfer - (weight * surplus - whole * saving)) < 1000 * whole


@given(members, st.randoms(use_true_random=False))
def test_transfers_follow_their_microgrids(rows: list[tuple[int, int]], chance: object) -> None:
    """In another order each gets the same, to the nano that equal remainders may cost."""
    order = list(range(len(rows)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    first = transfers_nano([row[0] for row in rows], [row[1] for row in rows])
    second = transfers_nano([rows[i][0] for i in order], [rows[i][1] for i in order])
    assert all(abs(second[place] - first[i]) <= 1 for place, i in enumerate(order))
    parts = [(rows[i][1] * sum(row[0] for row in rows), rows[i][0]) for i in order]
    whole = 1000 * sum(row[1] for row in rows)
    rests = [(a - b * (whole // 1000)) % whole for a, b in parts]
    if len(set(rests)) == len(rests):
        assert [first[i] for i in order] == second


@given(st.lists(amounts, min_size=6, max_size=6), st.integers(1, 1000))
def test_money_in_another_unit_gives_transfers_in_that_unit(
    savings: list[int], factor: int
) -> None:
    whole = [1_000 * 3 * saving for saving in savings]
    scaled = transfers_nano([factor * saving for saving in whole], [1, 1, 1, 1, 1, 1])
    exact = [sum(whole) * factor - 6 * factor * saving for saving in whole]
    assert all(abs(6000 * a - b) < 6000 for a, b in zip(scaled, exact, strict=True))


def test_savings_telescope_over_the_day() -> None:
    """What is paid by the fall of savings still to come adds up to the first window's savings."""
    still = [[900, -100], [650, 40], [10, 5], [0, 0]]
    paid = [savings_pico(one, later) for one, later in pairwise(still)]
    assert [sum(column) for column in zip(*paid, strict=True)] == still[0]


energies = st.lists(st.integers(0, 1000), min_size=2, max_size=10)


@st.composite
def trades(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Sales and purchases of the same total, nobody doing both."""
    sales, asked_for = draw(energies), draw(energies)
    total, given_to = sum(sales), [1 + energy for energy in asked_for]
    bought = [total * energy // sum(given_to) for energy in given_to]
    bought[0] += total - sum(bought)
    return sales + [0] * len(bought), [0] * len(sales) + bought


@given(trades(), st.randoms(use_true_random=False))
def test_flows_are_exact_near_proportional_and_anonymous(
    trade: tuple[list[int], list[int]], chance: object
) -> None:
    sales, purchases = trade
    flows = flows_wh(sales, purchases)
    assert [sum(row) for row in flows] == sales
    assert [sum(column) for column in zip(*flows, strict=True)] == purchases
    assert all(energy >= 0 for row in flows for energy in row)
    total = sum(sales)
    for i, row in enumerate(flows):
        for j, energy in enumerate(row):
            assert abs(energy * total - sales[i] * purchases[j]) <= len(sales) * total
    distinct = all(len({n for n in side if n}) == len([n for n in side if n]) for side in trade)
    if distinct:
        order = list(range(len(sales)))
        chance.shuffle(order)  # type: ignore[attr-defined]
        moved = flows_wh([sales[i] for i in order], [purchases[i] for i in order])
        assert moved == [[flows[i][j] for j in order] for i in order]


@given(
    st.lists(
        st.lists(st.integers(1 - SIZE_MAX, SIZE_MAX - 1), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_packing_is_exact(rows: list[list[int]]) -> None:
    columns = np.array(rows, np.int64)
    packed = pack(columns)
    unpacked = unpack(packed, columns.shape)
    assert unpacked is not None
    assert (unpacked == columns).all()


@given(st.binary(max_size=40))
def test_bytes_that_unpack_are_the_only_ones_for_their_numbers(data: bytes) -> None:
    found = unpack(data, (1, 3))
    if found is not None:
        assert pack(found) == data


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3), st.data())
def test_tampered_bytes_are_other_numbers_or_none(row: list[int], data: st.DataObject) -> None:
    columns = np.array([row], np.int64) << data.draw(st.sampled_from((0, 7, 8, 31, 56)))
    packed = bytearray(pack(columns))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    found = unpack(bytes(packed), columns.shape)
    assert found is None or (found != columns).any()
    assert found is None or pack(found) == bytes(packed)
