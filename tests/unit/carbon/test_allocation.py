"""Whole micrograms: what goes in comes out, kind by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.carbon.flows import solved

from gridpact.carbon import TracingError, allocate, trace
from gridpact.carbon.allocation import allot
from gridpact.errors import InputError
from gridpact.model.carbon import LoadKind, SourceKind, Trace
from gridpact.quantize import QuantizeError


def everything() -> Trace:
    """Import, a plant, a store that gives and one that takes, export, a shunt, a branch that loses
    and one that gains."""
    flow = solved(
        [("a", "b", 5.0, -4.7), ("b", "c", 1.0, -1.1)],
        [("import", "a", 5.0), ("plant", "b", 2.0), ("full", "b", 0.3)],
        [
            ("home", "b", 4.0),
            ("empty", "b", 1.5),
            ("shunt", "b", 0.5),
            ("export", "c", 1.1),
        ],
        kinds={"import": SourceKind.IMPORT, "export": LoadKind.EXPORT, "shunt": LoadKind.SHUNT}
        | {"full": SourceKind.STORE, "empty": LoadKind.CHARGING},
    )
    return trace(flow, np.array([0.7, 0.1, 0.3]))


def test_the_sums_are_exact_and_by_kind() -> None:
    result = everything()
    found = allocate(result, 0.25)
    assert found.residual_ug == 0
    assert found.imported_ug == 875_000_000_000
    assert found.generated_ug == 50_000_000_000
    assert found.emitted_ug == (875_000_000_000, 50_000_000_000, 22_500_000_000)
    rho = (4.7 * 0.7 + 0.2 + 0.09) / 7.0
    assert found.consumed_ug == pytest.approx(4.0 * rho * 0.25e12, abs=2)
    assert found.exported_ug == pytest.approx(1.1 * rho * 0.25e12, abs=2)
    assert found.stored_ug == pytest.approx((1.5 * rho - 0.09) * 0.25e12, abs=2)
    assert found.loss_ug[1] == pytest.approx(-0.1 * rho * 0.25e12, abs=2)
    assert found.lost_ug == sum(found.loss_ug) + found.load_ug[2]


def test_odd_micrograms_go_to_the_largest_remainder() -> None:
    """2 ug among three equal loads: the first two get one each."""
    flow = solved([], [("g", "a", 3e-6)], [(name, "a", 1e-6) for name in "xyz"])
    found = allocate(trace(flow, np.array([2e-6 / 3])), 1.0)
    assert found.emitted_ug == (2,)
    assert found.load_ug == (1, 1, 0)


def test_no_carbon_at_all() -> None:
    flow = solved([], [("g", "a", 1.0)], [("l", "a", 1.0)])
    found = allocate(trace(flow, np.array([0.0])), 1.0)
    assert (found.emitted_ug, found.load_ug, found.residual_ug) == ((0,), (0,), 0)


def test_refusals() -> None:
    result = everything()
    for hours in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="hours: "):
            allocate(result, hours)
    with pytest.raises(InputError, match=r"snapshot: 1 is not there; allowed: 0 to 0"):
        allocate(result, 1.0, 1)
    with pytest.raises(QuantizeError, match="emitted_ug"):
        allocate(result, 1e4)
    half = replace(result, bus_t_per_mwh=result.bus_t_per_mwh / 2)
    with pytest.raises(TracingError, match="did not reach a load or loss"):
        allocate(half, 1.0)


# Carbon that is known to the microgram


def t_per_h(*ug: float, hours: float = 0.25) -> list[float]:
    """What a trace says of takers that take so much in a snapshot."""
    return [each / hours / 1e12 for each in ug]


def test_what_is_known_is_shared_in_traced_proportions() -> None:
    """216 g of the small day of the ledger's tests: 1,050 Wh share 204 of them."""
    share = 204e6 / 1_050
    traced = t_per_h(1_000 * share, 4e6, 8e6, 50 * share)
    found = allot(216_000_000, traced, [1_000, 100, 200, 50], 0.25, slack_ug=0)
    assert found == [194_285_714, 4_000_000, 8_000_000, 9_714_286]


@pytest.mark.parametrize("hours", [0.25, 1.0, 24.0])
def test_the_length_of_a_snapshot_changes_nothing(hours: float) -> None:
    traced = t_per_h(1e6, 2e6, 3e6, hours=hours)
    assert allot(6_000_000, traced, [1, 1, 1], hours, slack_ug=0) == [10**6, 2 * 10**6, 3 * 10**6]


def test_micrograms_left_over_go_to_the_largest_remainder() -> None:
    assert allot(2, t_per_h(0.6, 0.6, 0.6), [1, 1, 1], 0.25, slack_ug=0) == [1, 1, 0]
    assert allot(10, t_per_h(3, 3, 4), [1, 1, 1], 0.25, slack_ug=0) == [3, 3, 4]


@pytest.mark.parametrize("none", [0, -3])
def test_who_takes_no_whole_watt_hour_takes_no_carbon(none: int) -> None:
    """Lines that gain energy by the rounding of a power flow take none either."""
    found = allot(6_000, t_per_h(3_000, 2, 2_998), [10, none, 10], 0.25, slack_ug=0)
    assert (sum(found), found[1]) == (6_000, 0)
    assert found[0] - found[2] == pytest.approx(2, abs=1)


def test_a_branch_that_gains_takes_nothing_back() -> None:
    found = allot(5_990, t_per_h(3_000, 3_000, -10), [10, 10, 10], 0.25, slack_ug=0)
    assert found == [2_995, 2_995, 0]


def test_carbon_of_which_a_trace_knows_nothing_is_shared_by_energy() -> None:
    """An import of a Wh that the power flow did not have: 400,000 ug, and no proportions."""
    found = allot(400_000, t_per_h(0, 0, 0), [3, 1, 0], 0.25, slack_ug=400_000)
    assert found == [300_000, 100_000, 0]


def test_no_carbon_is_shared_as_none() -> None:
    assert allot(0, t_per_h(0, 0), [5, 0], 0.25, slack_ug=0) == [0, 0]
    assert allot(0, t_per_h(0.2, 0), [5, 0], 0.25, slack_ug=0) == [0, 0]
    assert allot(0, [], [], 0.25, slack_ug=0) == []


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_is_missing_may_be_as_much_as_rounding_makes(sign: int) -> None:
    """A ten-thousandth of all, the rounding of sources to whole Wh, half a microgram for each."""
    total, slack = 10**9, 400_000
    traced, energies = [total / 2, total / 2], [5, 5]
    allowed = total // 10**4 + slack + 2
    fits = total + sign * allowed - (sign * allowed) // 10**4
    assert sum(allot(fits, t_per_h(*traced), energies, 0.25, slack_ug=slack)) == fits
    with pytest.raises(TracingError, match="did not reach a load or loss"):
        allot(total + 2 * sign * allowed, t_per_h(*traced), energies, 0.25, slack_ug=slack)


def test_every_taker_has_its_energy() -> None:
    with pytest.raises(ValueError, match="shorter"):
        allot(1, t_per_h(1, 1), [1], 0.25, slack_ug=5)
    with pytest.raises(QuantizeError, match="traced_ug"):
        allot(1, [1e9], [1], 1.0, slack_ug=0)


def test_carbon_that_nobody_can_take_is_refused() -> None:
    with pytest.raises(TracingError, match="5 ug and nobody who takes a whole Wh"):
        allot(5, [0.0, 0.0], [0, -3], 1.0, slack_ug=5)
