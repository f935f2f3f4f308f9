"""Busbars, open ends and supply."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.grid.small_grids import IDEAL, cable, chain, network

from gridpact.grid import supplied_buses, unsupplied
from gridpact.grid.topology import topology_of
from gridpact.model.grid import NominalLoad, Switch, SwitchKind


def joined(switch_id: str, bus: str, other: str, *, closed: bool = True) -> Switch:
    return Switch(switch_id, bus, SwitchKind.BUS, other, closed)


def test_a_ring_of_closed_switches_is_one_busbar() -> None:
    switches = (
        joined("a", "b3", "b2"),
        joined("b", "b2", "b1"),
        joined("c", "b1", "b3"),
        joined("d", "b4", "b3", closed=False),
    )
    topology = topology_of(network(5, (cable("l1", "b0", "b1"),), switches))
    assert topology.busbar.tolist() == [0, 1, 1, 1, 4]
    assert topology.supplied.tolist() == [True, True, True, True, False]


def test_an_open_switch_opens_its_end_of_the_line_only() -> None:
    for bus, ends in (("b0", (False, True)), ("b1", (True, False))):
        opened = Switch("s", bus, SwitchKind.LINE, "l1", closed=False)
        topology = topology_of(network(2, (cable("l1", "b0", "b1"),), (opened,)))
        assert (topology.from_closed[0], topology.to_closed[0]) == ends
        assert topology.supplied.tolist() == [True, False]


def test_closed_switches_at_lines_change_nothing() -> None:
    closed = Switch("s", "b1", SwitchKind.LINE, "l1", closed=True)
    assert supplied_buses(network(2, (cable("l1", "b0", "b1"),), (closed,))) == {"b0", "b1"}


def test_a_bus_out_of_service_opens_everything_at_it() -> None:
    net = chain(4)
    dead = replace(net.buses[1], in_service=False)
    net = replace(
        net,
        buses=(net.buses[0], dead, *net.buses[2:]),
        switches=(joined("s", "b1", "b2"), joined("t", "b2", "b3")),
    )
    topology = topology_of(net)
    assert topology.supplied.tolist() == [True, False, False, False]
    assert topology.busbar.tolist() == [0, 1, 2, 2]


def test_lines_out_of_service_carry_nothing() -> None:
    net = network(2, (cable("l1", "b0", "b1", in_service=False),))
    assert supplied_buses(net) == {"b0"}


def test_external_grids_out_of_service_supply_nothing() -> None:
    second = replace(IDEAL, external_grid_id="off", bus="b2", in_service=False)
    net = network(3, (cable("l1", "b0", "b1"),), external_grids=(IDEAL, second))
    assert supplied_buses(net) == {"b0", "b1"}
    on = replace(net, external_grids=(IDEAL, replace(second, in_service=True)))
    assert unsupplied(on) == ()


def test_each_island_is_one_problem_with_its_loads() -> None:
    lines = (cable("l1", "b0", "b1"), cable("l2", "b3", "b2"))
    loads = (NominalLoad("mill", "b3", 1.0, 0.0), NominalLoad("fine", "b1", 1.0, 0.0))
    net = network(5, lines, loads=loads)
    first, second = unsupplied(net)
    assert first.where == "small: buses b2, b3"
    assert "with mill: no supply, and members there cannot trade" in first.message
    assert second.where == "small: bus b4"
    assert second.message.startswith("no path to an external grid: no supply")


def test_long_lists_are_cut() -> None:
    net = network(40, tuple(cable(f"l{end}", f"b{end - 1}", f"b{end}") for end in range(2, 40)))
    (problem,) = unsupplied(net)
    assert problem.where.endswith("b10, b11, b12 and 27 more")
