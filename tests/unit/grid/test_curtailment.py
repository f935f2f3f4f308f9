"""Curtailment: which trades give way, by how much, and what is told about it.

The network is that of `cases/grid/csv_feeders`: station - trunk (100 A) - near - branch - far, and
station - feeder-2 - other. 100 A at 0.4 kV are 69.28 kW at 1 pu, 17.3 kWh in a quarter of an hour.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tests.unit.grid.small_grids import CASES, IDEAL, cable, chain, load_at, network

from gridpact.errors import InputError
from gridpact.grid import GridModel, curtail, load_network
from gridpact.model.grid import (
    BusTrade,
    Curtailment,
    CurtailmentRule,
    GridLimits,
    LimitKind,
    Network,
    Switch,
    SwitchKind,
)

QUARTER_S = 900
PRO_RATA, LIFO = CurtailmentRule.PRO_RATA, CurtailmentRule.LAST_IN_FIRST_OUT
WIDE = GridLimits(vm_min_pu=0.5, vm_max_pu=1.5)
"""Loading only."""


@pytest.fixture(scope="module")
def feeders() -> Network:
    return load_network("csv:csv_feeders", CASES)


@pytest.fixture(scope="module")
def model(feeders: Network) -> GridModel:
    return GridModel(feeders)


def trade(number: int, seller: str, buyer: str, energy_wh: int) -> BusTrade:
    return BusTrade(f"t{number}", seller, buyer, energy_wh, number)


def flow_after(model: GridModel, trades: list[BusTrade], result: Curtailment, baseline_w: object):
    """The power flow with what is delivered."""
    load_w = np.array(baseline_w, dtype=float).reshape(1, -1)
    ids = [bus.bus_id for bus in model.network.buses]
    for one, left in zip(trades, result.trades, strict=True):
        load_w[0, ids.index(one.seller_bus)] -= left.delivered_wh * 4
        load_w[0, ids.index(one.buyer_bus)] += left.delivered_wh * 4
    return model.flow(load_w)


def loading(model: GridModel, flow: object, branch: str) -> float:
    return float(flow.loading_percent[0, flow.branch_ids.index(branch)])


OVERLOAD = [
    trade(1, "far", "other", 10_000),
    trade(2, "near", "other", 10_000),
    trade(3, "near", "far", 6_000),
    trade(4, "other", "station", 3_000),
]
"""20 kWh in 900 s through the trunk of 17.3 kWh; the last two do not use it."""


def test_everything_is_delivered_where_it_fits(model: GridModel) -> None:
    trades = [trade(1, "far", "other", 10_000), trade(2, "near", "far", 3_000)]
    for rule in CurtailmentRule:
        result = curtail(model, trades, np.zeros(5), rule, GridLimits(), slot_length_s=QUARTER_S)
        assert [left.delivered_wh for left in result.trades] == [10_000, 3_000]
        assert (result.binding, result.pre_existing, result.curtailed_wh) == ((), (), 0)


def test_an_overloaded_trunk_is_named_and_its_trades_give_way_alike(model: GridModel) -> None:
    result = curtail(model, OVERLOAD, np.zeros(5), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    (binding,) = result.binding
    assert (binding.kind, binding.element) == (LimitKind.LOADING, "trunk")
    assert binding.value == pytest.approx(115, abs=3)
    first, second, third, fourth = result.trades
    assert first.delivered_wh == second.delivered_wh
    assert 8_500 < first.delivered_wh < 9_000
    assert first.delivered_wh % 10 == 0  # whole per mille of 10 kWh
    assert (third.delivered_wh, fourth.delivered_wh) == (6_000, 3_000)
    assert first.bound_by == second.bound_by == ("trunk",)
    assert third.bound_by == fourth.bound_by == ()
    for left, one in zip(result.trades, OVERLOAD, strict=True):
        assert left.trade_id == one.trade_id
        assert left.delivered_wh + left.curtailed_wh == one.energy_wh
    assert loading(model, flow_after(model, OVERLOAD, result, np.zeros(5)), "trunk") <= 100


def test_no_more_is_cut_than_one_per_mille(model: GridModel) -> None:
    """The same trades with one step more would overload the trunk again."""
    result = curtail(model, OVERLOAD, np.zeros(5), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    more = replace(
        result,
        trades=tuple(
            replace(left, delivered_wh=left.delivered_wh + 10 * bool(left.curtailed_wh))
            for left in result.trades
        ),
    )
    assert loading(model, flow_after(model, OVERLOAD, more, np.zeros(5)), "trunk") > 100


def test_last_in_first_out_cuts_the_latest_that_uses_the_trunk(model: GridModel) -> None:
    result = curtail(model, OVERLOAD, np.zeros(5), LIFO, WIDE, slot_length_s=QUARTER_S)
    delivered = [left.delivered_wh for left in result.trades]
    assert [delivered[0], *delivered[2:]] == [10_000, 6_000, 3_000]
    assert 7_000 < delivered[1] < 8_000
    assert [bool(left.bound_by) for left in result.trades] == [False, True, False, False]
    one_more = replace(
        result,
        trades=tuple(
            replace(left, delivered_wh=left.delivered_wh + (number == 1))
            for number, left in enumerate(result.trades)
        ),
    )
    assert loading(model, flow_after(model, OVERLOAD, result, np.zeros(5)), "trunk") <= 100
    assert loading(model, flow_after(model, OVERLOAD, one_more, np.zeros(5)), "trunk") > 100


def test_order_made_counts_not_order_given(model: GridModel) -> None:
    reversed_made = [replace(one, made=-one.made) for one in OVERLOAD]
    result = curtail(model, reversed_made, np.zeros(5), LIFO, WIDE, slot_length_s=QUARTER_S)
    assert result.trades[0].curtailed_wh > 0
    assert result.trades[1].curtailed_wh == 0
    same = [replace(one, made=0) for one in OVERLOAD]
    by_id = curtail(model, same, np.zeros(5), LIFO, WIDE, slot_length_s=QUARTER_S)
    assert [bool(left.curtailed_wh) for left in by_id.trades] == [False, True, False, False]


def test_several_whole_trades_go_before_an_earlier_one_is_touched(model: GridModel) -> None:
    trades = [trade(number, "far", "other", 5_000) for number in range(8)]
    result = curtail(model, trades, np.zeros(5), LIFO, WIDE, slot_length_s=QUARTER_S)
    delivered = [left.delivered_wh for left in result.trades]
    assert delivered[:3] == [5_000] * 3
    assert 0 < delivered[3] < 5_000
    assert delivered[4:] == [0] * 4


def test_counter_flow_makes_room(model: GridModel) -> None:
    """A trade the other way relieves the trunk, so it is not cut and the others need not be."""
    trades = [trade(1, "far", "other", 20_000), trade(2, "other", "near", 5_000)]
    for rule in CurtailmentRule:
        result = curtail(model, trades, np.zeros(5), rule, WIDE, slot_length_s=QUARTER_S)
        assert result.curtailed_wh == 0
    alone = curtail(model, trades[:1], np.zeros(5), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert alone.curtailed_wh > 0


def test_the_baseline_leaves_less_room(model: GridModel) -> None:
    """20 kW of generation at far already flow through the trunk: 5 kWh less for trades."""
    baseline_w = load_at(model.network, far=-20_000)[0]
    trades = [trade(1, "near", "other", 20_000)]
    with_it = curtail(model, trades, baseline_w, PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    without = curtail(model, trades, baseline_w * 0, PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert without.trades[0].delivered_wh - with_it.trades[0].delivered_wh == pytest.approx(
        5_000, abs=250
    )


def test_overvoltage_curtails_the_sellers_that_lift_it(model: GridModel) -> None:
    limits = GridLimits(vm_min_pu=0.9, vm_max_pu=1.008, loading_max_percent=1000)
    trades = [trade(1, "far", "other", 12_000), trade(2, "other", "station", 2_000)]
    result = curtail(model, trades, np.zeros(5), PRO_RATA, limits, slot_length_s=QUARTER_S)
    (binding,) = result.binding
    assert (binding.kind, binding.element) == (LimitKind.OVERVOLTAGE, "far")
    assert result.trades[0].curtailed_wh > 0
    assert result.trades[1].curtailed_wh == 0
    flow = flow_after(model, trades, result, np.zeros(5))
    assert np.nanmax(flow.vm_pu) <= 1.008


def test_undervoltage_curtails_the_buyers_that_lower_it(model: GridModel) -> None:
    limits = GridLimits(vm_min_pu=0.99, vm_max_pu=1.1, loading_max_percent=1000)
    trades = [trade(1, "station", "far", 12_000), trade(2, "station", "other", 2_000)]
    result = curtail(model, trades, np.zeros(5), LIFO, limits, slot_length_s=QUARTER_S)
    assert [binding.kind for binding in result.binding] == [LimitKind.UNDERVOLTAGE]
    assert result.binding[0].element == "far"
    assert [bool(left.curtailed_wh) for left in result.trades] == [True, False]


def test_two_places_bind_one_after_the_other(model: GridModel) -> None:
    trades = [trade(1, "far", "other", 25_000), trade(2, "other", "station", 80_000)]
    result = curtail(model, trades, np.zeros(5), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert {binding.element for binding in result.binding} == {"trunk", "feeder-2"}
    assert result.trades[0].bound_by == ("trunk",)
    assert result.trades[1].bound_by == ("feeder-2",)
    flow = flow_after(model, trades, result, np.zeros(5))
    assert flow.loading_percent.max() <= 100


# What is violated without any trade


def test_what_is_violated_anyway_is_told_and_costs_no_trade_elsewhere(model: GridModel) -> None:
    baseline_w = load_at(model.network, far=80_000)[0]
    trades = [trade(1, "other", "station", 5_000)]
    result = curtail(model, trades, baseline_w, PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert [found.element for found in result.pre_existing] == ["trunk"]
    assert result.binding == ()
    assert result.curtailed_wh == 0


def test_trades_that_help_stay_whole(model: GridModel) -> None:
    baseline_w = load_at(model.network, far=80_000)[0]
    trades = [trade(1, "near", "other", 5_000)]
    result = curtail(model, trades, baseline_w, LIFO, WIDE, slot_length_s=QUARTER_S)
    assert [found.element for found in result.pre_existing] == ["trunk"]
    assert result.curtailed_wh == 0


def test_trades_that_worsen_it_are_cut_to_what_does_not(model: GridModel) -> None:
    baseline_w = load_at(model.network, far=80_000)[0]
    trades = [trade(1, "station", "near", 5_000), trade(2, "near", "station", 1_000)]
    result = curtail(model, trades, baseline_w, PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    (binding,) = result.binding
    assert binding.element == "trunk"
    assert binding.limit == pytest.approx(result.pre_existing[0].value + 0.1)
    assert 950 <= result.trades[0].delivered_wh <= 1_050  # the trade that helps makes this room
    assert result.trades[1].delivered_wh == 1_000


def test_a_baseline_that_collapses_cuts_nothing(model: GridModel) -> None:
    baseline_w = load_at(model.network, far=5e6)[0]
    trades = [trade(1, "near", "other", 5_000)]
    result = curtail(model, trades, baseline_w, PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    (found,) = result.pre_existing
    assert (found.kind, found.element) == (LimitKind.COLLAPSE, "far")
    assert result.curtailed_wh == 0


@pytest.mark.parametrize("rule", list(CurtailmentRule))
def test_trades_that_would_collapse_the_grid(model: GridModel, rule: CurtailmentRule) -> None:
    trades = [trade(1, "station-mv", "far", 500_000), trade(2, "station-mv", "other", 600_000)]
    result = curtail(model, trades, np.zeros(5), rule, WIDE, slot_length_s=QUARTER_S)
    assert result.binding[0].kind == LimitKind.COLLAPSE
    assert result.binding[0].element in {"far", "other"}
    flow = flow_after(model, trades, result, np.zeros(5))
    assert flow.converged.all()
    assert flow.loading_percent.max() <= 100


# Places without supply, and nothing to move


def test_nothing_is_delivered_without_supply() -> None:
    net = network(4, (cable("l1", "b0", "b1"), cable("l3", "b2", "b3")))
    trades = [trade(1, "b0", "b3", 100), trade(2, "b2", "b1", 50), trade(3, "b0", "b1", 70)]
    result = curtail(
        GridModel(net), trades, np.zeros(4), PRO_RATA, GridLimits(), slot_length_s=QUARTER_S
    )
    assert [left.delivered_wh for left in result.trades] == [0, 0, 70]
    assert [left.bound_by for left in result.trades] == [("b3",), ("b2",), ()]


def test_trades_at_one_busbar_use_no_line() -> None:
    switch = Switch("s", "b1", SwitchKind.BUS, "b2", closed=True)
    net = network(3, (cable("l1", "b0", "b1", max_i_a=20.0),), (switch,))
    trades = [
        trade(1, "b1", "b1", 10**6),
        trade(2, "b1", "b2", 10**6),
        trade(3, "b0", "b2", 10**4),
    ]
    result = curtail(GridModel(net), trades, np.zeros(3), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert [bool(left.curtailed_wh) for left in result.trades] == [False, False, True]


def test_no_trades(model: GridModel) -> None:
    result = curtail(model, [], np.zeros(5), PRO_RATA, GridLimits(), slot_length_s=QUARTER_S)
    assert result == Curtailment((), (), ())


def test_parallel_ways_share_and_both_bind() -> None:
    """A ring: the shorter way carries more and binds first; the trade is cut to what it takes."""
    lines = (
        cable("short", "b0", "b1", 0.1, max_i_a=60.0),
        cable("long", "b0", "b1", 0.2, max_i_a=60.0),
    )
    model = GridModel(network(2, lines))
    trades = [trade(1, "b0", "b1", 20_000)]
    result = curtail(model, trades, np.zeros(2), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert [binding.element for binding in result.binding] == ["short"]
    only = GridModel(network(2, lines[:1]))
    alone = curtail(only, trades, np.zeros(2), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert result.trades[0].delivered_wh == pytest.approx(
        1.5 * alone.trades[0].delivered_wh, rel=0.02
    )


def test_reactive_baseline_counts(model: GridModel) -> None:
    trades = [trade(1, "near", "other", 17_000)]
    q_var = load_at(model.network, near=40_000)[0]
    plain, with_q = (
        curtail(
            model,
            trades,
            np.zeros(5),
            PRO_RATA,
            WIDE,
            slot_length_s=QUARTER_S,
            baseline_q_var=baseline_q_var,
        )
        for baseline_q_var in (None, q_var)
    )
    assert plain.curtailed_wh == 0
    assert with_q.curtailed_wh > 0


def test_long_slots_carry_more_energy(model: GridModel) -> None:
    trades = [trade(1, "far", "other", 40_000)]
    quarter, hour = (
        curtail(model, trades, np.zeros(5), LIFO, WIDE, slot_length_s=seconds).trades[0]
        for seconds in (900, 3600)
    )
    assert hour.delivered_wh == 40_000
    assert quarter.delivered_wh < 20_000


def test_results_are_whole_numbers(model: GridModel) -> None:
    for rule in CurtailmentRule:
        result = curtail(model, OVERLOAD, np.zeros(5), rule, WIDE, slot_length_s=QUARTER_S)
        for left in result.trades:
            assert type(left.delivered_wh) is int
            assert type(left.curtailed_wh) is int


def test_a_ring_whose_other_half_is_relieved_too_far() -> None:
    """Cutting all that loads a line can reverse it: a level in between is found."""
    net = network(2, (cable("l1", "b0", "b1", max_i_a=30.0),), external_grids=(IDEAL,))
    model = GridModel(net)
    trades = [trade(1, "b0", "b1", 20_000), trade(2, "b1", "b0", 14_000)]
    for rule in CurtailmentRule:
        result = curtail(model, trades, np.zeros(2), rule, WIDE, slot_length_s=QUARTER_S)
        assert result.trades[1].delivered_wh == 14_000
        first = result.trades[0].delivered_wh
        assert 18_500 < first < 20_000
        assert loading(model, flow_after(model, trades, result, np.zeros(2)), "l1") <= 100


@pytest.mark.parametrize("rule", list(CurtailmentRule))
def test_after_too_many_rounds_all_give_way_together(
    model: GridModel, rule: CurtailmentRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridpact.grid.curtailment.ROUNDS_MAX", 0)
    result = curtail(model, OVERLOAD, np.zeros(5), rule, WIDE, slot_length_s=QUARTER_S)
    assert len(result.binding) == 1
    assert result.trades[3].curtailed_wh > 0  # although it does not use the trunk
    flow = flow_after(model, OVERLOAD, result, np.zeros(5))
    assert flow.loading_percent.max() <= 100


def test_when_the_worst_trades_are_not_enough_the_next_follow(
    model: GridModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the trade with the most effect counts as adding: it goes, then the others in turn."""
    monkeypatch.setattr("gridpact.grid.curtailment.ADDS_SHARE", 1.0)
    limits = replace(WIDE, loading_max_percent=20.0)
    result = curtail(model, OVERLOAD[:2], np.zeros(5), PRO_RATA, limits, slot_length_s=QUARTER_S)
    assert len(result.binding) == 2
    flow = flow_after(model, OVERLOAD[:2], result, np.zeros(5))
    assert flow.loading_percent.max() <= 20


@pytest.mark.parametrize("rule", list(CurtailmentRule))
def test_what_later_cuts_make_room_for_is_given_back(
    rule: CurtailmentRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty trades of four plants in the village overload two lines, one behind the other."""
    village = GridModel(load_network("simbench:1-LV-rural2--0-sw", Path()))
    chance = Random(1)
    buses = [bus.bus_id for bus in village.network.buses if bus.bus_id.startswith("bus")]
    trades = [
        BusTrade(
            f"t{number}",
            chance.choice(["bus-40", "bus-51", "bus-50", "bus-41"]),
            chance.choice(buses),
            chance.randint(500, 4_000),
            number,
        )
        for number in range(60)
    ]
    limits = GridLimits(loading_max_percent=60)
    zero = np.zeros(97)
    ours = curtail(village, trades, zero, rule, limits, slot_length_s=QUARTER_S)
    monkeypatch.setattr("gridpact.grid.curtailment._Slot._restore", lambda *_: None)
    without = curtail(village, trades, zero, rule, limits, slot_length_s=QUARTER_S)
    assert len(ours.binding) == 2
    assert ours.binding == without.binding
    assert ours.curtailed_wh < without.curtailed_wh
    for left, less in zip(ours.trades, without.trades, strict=True):
        assert left.delivered_wh >= less.delivered_wh
    assert flow_after(village, trades, ours, zero).loading_percent.max() <= 60


# Bad input


@pytest.mark.parametrize(
    ("trades", "words"),
    [
        ([trade(1, "b9", "b1", 5)], "trade t1: seller's bus 'b9' does not exist"),
        ([trade(1, "b1", "b9", 5)], "trade t1: buyer's bus 'b9' does not exist"),
        ([trade(1, "b0", "b1", -5)], "energy_wh = -5; allowed: 0 to 2147483647"),
        ([trade(1, "b0", "b1", 2**31)], "energy_wh = 2147483648"),
        ([trade(1, "b0", "b1", 5), trade(1, "b1", "b0", 5)], "trade t1: occurs 2 times"),
    ],
)
def test_bad_trades(trades: list[BusTrade], words: str) -> None:
    with pytest.raises(InputError) as caught:
        curtail(GridModel(chain(2)), trades, np.zeros(2), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    assert words in str(caught.value)


def test_bad_shapes_limits_and_slots() -> None:
    model = GridModel(chain(2))
    with pytest.raises(InputError, match="baseline_w: has shape"):
        curtail(model, [], np.zeros(3), PRO_RATA, WIDE, slot_length_s=QUARTER_S)
    with pytest.raises(InputError, match="slot_length_s"):
        curtail(model, [], np.zeros(2), PRO_RATA, WIDE, slot_length_s=0)
    with pytest.raises(InputError, match="vm_min_pu"):
        curtail(model, [], np.zeros(2), PRO_RATA, GridLimits(2, 1), slot_length_s=QUARTER_S)
