"""Every check of a clearing certificate: what it refuses, and that nothing else would refuse it.

Method: for each check, a certificate that is right but for what the check looks at. `verify` names
it; a twin of the source without that one check accepts it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.microgrid_cases import NO_TURBINE, Case, two_hours

from gridpact.codec import CodecError, decode, encode
from gridpact.market.integer.microgrids import (
    ClearingVerdict,
    Solution,
    account_of,
    bargain_of,
    certificate_of,
    verify,
    window_of,
    without_trade,
)
from gridpact.market.integer.microgrids import certificate as certificate_module
from gridpact.market.integer.microgrids import plan as plan_module
from gridpact.market.integer.microgrids.bound import dual_limit
from gridpact.market.integer.microgrids.packing import pack, unpack
from gridpact.market.integer.microgrids.plain import accepted_plain
from gridpact.model import Certificate
from gridpact.model.microgrids import Column, MicrogridBid, Row, Storage

GAP_PPB = 300_000
WIDE_PPB = 10**9
WEIGHTS = [1, 1]
Cells = dict[tuple[Column, int, int], int]
C = Column


def stated(case: Case, together: Solution, alone: Solution) -> Certificate:
    """A certificate that says honestly what follows from its plans, whatever they are."""
    account = account_of(case.window, together)
    apart = account_of(without_trade(case.window), alone)
    kept = [column for column in Column if column not in {Column.SELL, Column.PURCHASE}]
    bargain = bargain_of(apart, account, WEIGHTS)
    return Certificate(
        plan=pack(together.plan),
        duals=pack(together.duals),
        balance_duals=pack(together.balance[np.newaxis]),
        alone_plan=pack(alone.plan[kept]),
        alone_duals=pack(alone.duals),
        cost_nano=[cost // 1000 for cost in account.costs],
        alone_cost_nano=[cost // 1000 for cost in apart.costs],
        transfer_nano=bargain.transfer_nano,
        first_transfer_nano=bargain.first_transfer_nano,
    )


def moved(changes: Cells, *, alone: bool = False) -> Certificate:
    """The good certificate with cells of a plan changed by so much, honestly restated."""
    case = two_hours()
    plan = (case.alone if alone else case.together).plan
    for place, change in changes.items():
        plan[place] += change
    return stated(case, case.together, case.alone)


def good() -> Certificate:
    case = two_hours()
    return stated(case, case.together, case.alone)


def large_dual() -> Certificate:
    """B has nothing in the second hour, so a dual of any size is harmless there."""
    case = two_hours()
    case.together.duals[Row.GREEN, 1, 1] = dual_limit(case.window) + 1
    return stated(case, case.together, case.alone)


def spoiled(*, alone: bool = False) -> Certificate:
    """Duals that prove little: B's load in the first hour at 1 per Wh."""
    case = two_hours()
    (case.alone if alone else case.together).duals[Row.POWER, 1, 0] = 10**12
    return stated(case, case.together, case.alone)


def claimed(name: str, *changes: int) -> Certificate:
    numbers = [a + b for a, b in zip(getattr(good(), name), changes, strict=True)]
    return msgspec.structs.replace(good(), **{name: numbers})


def worse_together() -> Certificate:
    """Nobody trades and B leaves its turbine off: dearer than what each can do alone."""
    case = two_hours()
    plan = case.alone.plan.copy()
    plan[C.TURBINE, 1, 0], plan[C.BUY, 1, 0] = 0, 10
    return stated(case, Solution(plan, case.together.duals, case.together.balance), case.alone)


def idle_trade() -> Certificate:
    """A sells to itself until fees have eaten the 190,000 nano that trade saves."""
    itself = {(C.SELL, 0, 0): 10, (C.PURCHASE, 0, 0): 10, (C.SELL, 0, 1): 9, (C.PURCHASE, 0, 1): 9}
    return moved(itself)


CHECKS: list[tuple[ClearingVerdict, str, Callable[[], Certificate], int]] = [
    (
        ClearingVerdict.OVERFLOW,
        "if any(int(part.min()) < -most or int(part.max()) > most for part in duals):",
        large_dual,
        GAP_PPB,
    ),
    (
        ClearingVerdict.LIMIT_BROKEN,
        "if ((plan < window.lower) | (plan > window.upper)).any():",
        lambda: moved({(C.EXPORT, 0, 0): 1, (C.CURTAIL, 0, 0): -1}),
        GAP_PPB,
    ),
    (
        ClearingVerdict.GREEN_UNBALANCED,
        "if (used + given != taken).any():",
        lambda: moved({(C.EXPORT, 0, 0): 1}),
        GAP_PPB,
    ),
    (
        ClearingVerdict.POWER_UNBALANCED,
        "if (used + plan[Column.TURBINE] + plan[Column.BUY] != window.load_wh).any():",
        lambda: moved({(C.TURBINE, 1, 0): -1}),
        GAP_PPB,
    ),
    (
        ClearingVerdict.STORAGE_WRONG,
        (
            "if (plan[Column.CONTENT] != _content_before(window, plan) "
            "+ _content_gain(window, plan)).any():"
        ),
        lambda: moved({(C.CHARGE, 0, 0): -1, (C.EXPORT, 0, 0): 1}),
        GAP_PPB,
    ),
    (
        ClearingVerdict.TRADE_UNBALANCED,
        "if (plan[Column.SELL].sum(axis=0) != plan[Column.PURCHASE].sum(axis=0)).any():",
        lambda: moved({(C.SELL, 0, 0): -1, (C.EXPORT, 0, 0): 1}),
        GAP_PPB,
    ),
    (
        ClearingVerdict.COST_WRONG,
        "if certificate.cost_nano != _nano(account.costs):",
        lambda: claimed("cost_nano", 1, -1),
        GAP_PPB,
    ),
    (
        ClearingVerdict.GAP_TOO_WIDE,
        "if not _within(gap_ppb, *joint, window.microgrids * rounding):",
        spoiled,
        GAP_PPB,
    ),
    (
        ClearingVerdict.ALONE_STORAGE_WRONG,
        "if found := fault(separate, alone.plan):",
        lambda: moved({(C.CONTENT, 0, 0): 1}, alone=True),
        GAP_PPB,
    ),
    (
        ClearingVerdict.ALONE_COST_WRONG,
        "if certificate.alone_cost_nano != _nano(alone_account.costs):",
        lambda: claimed("alone_cost_nano", 1, 0),
        GAP_PPB,
    ),
    (
        ClearingVerdict.ALONE_GAP_TOO_WIDE,
        "if not all(_within(gap_ppb, *part, rounding) for part in parts):",
        lambda: spoiled(alone=True),
        GAP_PPB,
    ),
    (ClearingVerdict.SURPLUS_NEGATIVE, "if bargain.surplus_pico < 0:", worse_together, WIDE_PPB),
    (
        ClearingVerdict.TRADE_WITHOUT_SURPLUS,
        "if bargain.surplus_pico == 0 and trades:",
        idle_trade,
        WIDE_PPB,
    ),
    (
        ClearingVerdict.TRANSFERS_WRONG,
        "if certificate.transfer_nano != bargain.transfer_nano:",
        lambda: claimed("transfer_nano", 1, -1),
        GAP_PPB,
    ),
    (
        ClearingVerdict.FIRST_TRANSFERS_WRONG,
        "if certificate.first_transfer_nano != bargain.first_transfer_nano:",
        lambda: claimed("first_transfer_nano", -1, 1),
        GAP_PPB,
    ),
]


def without(module: ModuleType, check: str) -> tuple[str, bool]:
    """The module's source with one condition never true, and whether it had that condition."""
    source = " ".join(inspect.getsource(module).split(" "))
    return source.replace(
        check, "if found := 0:" if ":=" in check else "if False:"
    ), check in source


def loaded(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102
    return module.__dict__


def twin_without(check: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClearingVerdict]:
    """`verify` without one of its checks, wherever that is."""
    sources = [without(module, check) for module in (plan_module, certificate_module)]
    assert [present for _, present in sources].count(True) == 1, f"no longer there: {check}"
    plan = loaded("plan_twin", sources[0][0], monkeypatch)
    certificate = loaded("certificate_twin", sources[1][0], monkeypatch)
    certificate["fault"] = plan["fault"]
    twin: Callable[..., ClearingVerdict] = certificate["verify"]
    return twin


@pytest.mark.parametrize(
    ("verdict", "check", "forged", "gap_ppb"), CHECKS, ids=[check[0].name for check in CHECKS]
)
def test_each_check_alone_refuses_its_fault(
    verdict: ClearingVerdict,
    check: str,
    forged: Callable[[], Certificate],
    gap_ppb: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case, bad = two_hours(), forged()
    assert verify(case.terms, case.bids, WEIGHTS, bad, gap_ppb) is verdict
    if verdict is not ClearingVerdict.OVERFLOW:
        assert not accepted_plain(case.terms, case.bids, WEIGHTS, bad, gap_ppb)
    twin = twin_without(check, monkeypatch)
    assert twin(case.terms, case.bids, WEIGHTS, bad, gap_ppb) is ClearingVerdict.ACCEPTED


def test_the_good_certificate_is_accepted_by_all() -> None:
    case = two_hours()
    assert good() == certificate_of(case.window, case.together, case.alone, WEIGHTS)
    assert verify(case.terms, case.bids, WEIGHTS, good(), GAP_PPB) is ClearingVerdict.ACCEPTED
    assert accepted_plain(case.terms, case.bids, WEIGHTS, good(), GAP_PPB)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({(C.EXPORT, 0, 0): 1, (C.CURTAIL, 0, 0): -1}, ClearingVerdict.ALONE_LIMIT_BROKEN),
        ({(C.EXPORT, 0, 0): 1}, ClearingVerdict.ALONE_GREEN_UNBALANCED),
        ({(C.BUY, 1, 0): -1}, ClearingVerdict.ALONE_POWER_UNBALANCED),
    ],
)
def test_faults_of_plans_without_trade(changes: Cells, verdict: ClearingVerdict) -> None:
    case = two_hours()
    bad = moved(changes, alone=True)
    assert verify(case.terms, case.bids, WEIGHTS, bad, GAP_PPB) is verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"cost_nano": [0]},
        {"transfer_nano": [0, 0, 0]},
        {"plan": b""},
        {"duals": good().duals[:-1]},
        {"balance_duals": good().balance_duals + b"\0"},
        {"alone_plan": good().plan},
    ],
)
def test_wrong_shapes(changes: dict[str, Any]) -> None:
    case = two_hours()
    bad = msgspec.structs.replace(good(), **changes)
    assert verify(case.terms, case.bids, WEIGHTS, bad, GAP_PPB) is ClearingVerdict.SHAPE_WRONG


@pytest.mark.parametrize(
    ("weights", "gap_ppb"),
    [([1], GAP_PPB), ([0, 0], GAP_PPB), ([2, -1], GAP_PPB), ([1, 2**31], GAP_PPB), ([1, 1], -1)],
)
def test_rules_that_cannot_be(weights: Sequence[int], gap_ppb: int) -> None:
    case = two_hours()
    verdict = verify(case.terms, case.bids, weights, good(), gap_ppb)
    assert verdict is ClearingVerdict.BIDS_WRONG


def test_bids_that_cannot_be() -> None:
    case = two_hours()
    broken = msgspec.structs.replace(case.bids[0], load_wh=[0])
    verdict = verify(case.terms, [broken, case.bids[1]], WEIGHTS, good(), GAP_PPB)
    assert verdict is ClearingVerdict.BIDS_WRONG


def test_the_certificate_travels_whole() -> None:
    assert decode(Certificate, encode(good())) == good()
    with pytest.raises(CodecError, match="Certificate"):
        decode(Certificate, encode(good()) + b"\0")


def test_when_trade_saves_nothing_nobody_trades() -> None:
    """A solver's joint plan that is a little dearer than none gives way to the plans without."""
    case = two_hours()
    dear = Solution(case.together.plan.copy(), case.together.duals, case.together.balance)
    dear.plan[C.SELL, 0, 0] += 10
    dear.plan[C.PURCHASE, 0, 0] += 10
    dear.plan[C.SELL, 0, 1] += 10
    dear.plan[C.PURCHASE, 0, 1] += 10
    found = certificate_of(case.window, dear, case.alone, WEIGHTS)
    assert found.transfer_nano == found.first_transfer_nano == [0, 0]
    assert found.cost_nano == found.alone_cost_nano
    verdict = verify(case.terms, case.bids, WEIGHTS, found, WIDE_PPB)
    assert verdict is ClearingVerdict.ACCEPTED


def test_trade_that_saves_nothing_at_all_is_dropped() -> None:
    case = two_hours()
    plan = unpack(idle_trade().plan, case.together.plan.shape)
    assert plan is not None
    even = Solution(plan, case.together.duals, case.together.balance)
    assert sum(account_of(case.window, even).costs) == (250 + 200 + 744 - 90) * 10**6
    found = certificate_of(case.window, even, case.alone, WEIGHTS)
    assert found.plan == pack(case.alone.plan)
    verdict = verify(case.terms, case.bids, WEIGHTS, found, WIDE_PPB)
    assert verdict is ClearingVerdict.ACCEPTED


def test_dust_in_the_duals_of_an_idle_storage_does_no_harm() -> None:
    """A storage that is out of order costs nothing, so its gap must be nothing too."""
    case = two_hours()
    store = Storage(0, 950, 950, 0, 10**10, 5 * 10**9, 0)
    idle = MicrogridBid([0, 0], [0, 0], [0, 0], 0, NO_TURBINE, store)
    window = window_of(case.terms, [*case.bids, idle])
    solutions = []
    for solution in (case.together, case.alone):
        plan = np.pad(solution.plan, ((0, 0), (0, 1), (0, 0)))
        plan[C.CONTENT, 2] = 5 * 10**9
        duals = np.pad(solution.duals, ((0, 0), (0, 1), (0, 0)))
        duals[Row.STORED, 2] = [-3, 2]
        solutions.append(Solution(plan, duals, solution.balance))
    found = certificate_of(window, *solutions, [1, 1, 1])
    # The dust costs 35,000 pico together, where others turn over 914 million.
    verdict = verify(case.terms, [*case.bids, idle], [1, 1, 1], found, GAP_PPB + 12_000)
    assert verdict is ClearingVerdict.ACCEPTED
    assert found.transfer_nano[2] * 3 == 190_000 - 1


def test_duals_beyond_64_bits_of_product_are_cut_off() -> None:
    """Solvers may leave any number where nothing depends on it."""
    case = two_hours()
    for solution in (case.together, case.alone):
        solution.duals[Row.GREEN, 1, 1] = 2**61
        solution.duals[Row.POWER, 1, 1] = -(2**61)
    found = certificate_of(case.window, case.together, case.alone, WEIGHTS)
    assert verify(case.terms, case.bids, WEIGHTS, found, GAP_PPB) is ClearingVerdict.ACCEPTED
