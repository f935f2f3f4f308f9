"""What a cheating leader may try on a clearing certificate, and what each replica answers.

Every corruption is judged twice: by `verify`, and number by number by `accepted_plain`, which says
whether it does any harm. A dual that is a little off still proves the gap, and a plan that is a
little dearer is still within it: those are accepted, and counted apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from gridpact.errors import invariant
from gridpact.market.integer.microgrids import (
    GAP_PPB_DEFAULT,
    ClearingVerdict,
    Solution,
    account_of,
    bargain_of,
    verify,
    without_trade,
)
from gridpact.market.integer.microgrids.packing import pack, unpack
from gridpact.market.integer.microgrids.plain import accepted_plain
from gridpact.model.microgrids import Certificate, Column, Row
from gridpact.studies.microgrid_windows import Solved, random_bids, solved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

MICROGRIDS, PERIODS, WINDOWS = 3, 4, 5
WEIGHTS = [1] * MICROGRIDS
Progress = Callable[[int, int], None]
COLUMNS_ALONE = [column for column in Column if column not in {Column.SELL, Column.PURCHASE}]


@dataclass(slots=True)
class CertificateReport:
    """What came of all corruptions."""

    tried: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """By what was tried and the verdict: `transfer_nano: TRANSFERS_WRONG`."""
    harmless: dict[str, int] = field(default_factory=dict)
    """Accepted, and rightly so: still feasible, exact and proved within the gap."""
    unchanged: int = 0
    """Left the certificate as it was."""
    violations: list[str] = field(default_factory=list)
    """Accepted though harmful, or refused though harmless, with what reproduces it."""


def fuzz_certificates(count: int, seed: int, progress: Progress | None = None) -> CertificateReport:
    """Try `count` corruptions on certificates of `WINDOWS` small windows.

    Args:
        count: how many, of each kind in turn.
        seed: of everything random.
        progress: told (tried, of how many).
    """
    chance = Random(seed)
    report = CertificateReport()
    goods = [solved(*random_bids(MICROGRIDS, PERIODS, seed + n)) for n in range(WINDOWS)]
    for number in range(count):
        good = goods[number // len(KINDS) % WINDOWS]
        name, kind = KINDS[number % len(KINDS)]
        bad = kind(good, chance)
        if bad == good.certificate:
            report.unchanged += 1
        else:
            _judge(report, good, bad, name, f"seed {seed}, corruption {number}")
        report.tried += 1
        if progress is not None and report.tried % 500 == 0:
            progress(report.tried, count)
    return report


def _judge(
    report: CertificateReport, good: Solved, bad: Certificate, name: str, where: str
) -> None:
    """Count a corruption by what both judgements say."""
    verdict = verify(good.terms, good.bids, WEIGHTS, bad, GAP_PPB_DEFAULT)
    accepted = verdict is ClearingVerdict.ACCEPTED
    counted, key = report.harmless, name
    if not accepted:
        counted, key = report.refused, f"{name}: {verdict.name}"
    counted[key] = counted.get(key, 0) + 1
    harmless = accepted_plain(good.terms, good.bids, WEIGHTS, bad, GAP_PPB_DEFAULT)
    # Whole numbers of any size can do what 64 bits refuse to try.
    if accepted != harmless and verdict is not ClearingVerdict.OVERFLOW:
        report.violations.append(f"{where}, {name}: {verdict.name}, harmless: {harmless}")


def _packed_as(good: Solved, name: str) -> tuple[int, ...]:
    """Shape of a packed field."""
    rows = {
        "plan": len(Column),
        "duals": len(Row),
        "alone_plan": len(COLUMNS_ALONE),
        "alone_duals": len(Row),
    }
    if name == "balance_duals":
        return (1, good.window.periods)
    return (rows[name], good.window.microgrids, good.window.periods)


def _unpacked(good: Solved, name: str) -> IntArray:
    numbers = unpack(getattr(good.certificate, name), _packed_as(good, name))
    invariant(numbers is not None, f"{name} of a good certificate unpacks")
    return numbers  # type: ignore[return-value]


def _amount(chance: Random) -> int:
    """Mostly small, at times huge, never zero."""
    return chance.choice((-1, 1)) * chance.randrange(1, 1 << chance.choice((1, 4, 16, 40)))


def _number_in(name: str) -> Callable[[Solved, Random], Certificate]:
    """Change one number of a packed field."""

    def kind(good: Solved, chance: Random) -> Certificate:
        numbers = _unpacked(good, name)
        numbers.flat[chance.randrange(numbers.size)] += _amount(chance)
        return msgspec.structs.replace(good.certificate, **{name: pack(numbers)})

    return kind


def _byte_in(name: str) -> Callable[[Solved, Random], Certificate]:
    """Change, add or drop one byte of a packed field."""

    def kind(good: Solved, chance: Random) -> Certificate:
        data = bytearray(getattr(good.certificate, name))
        place = chance.randrange(len(data))
        act = chance.randrange(3)
        if act == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif act == 1:
            del data[place]
        else:
            data.insert(place, chance.randrange(256))
        return msgspec.structs.replace(good.certificate, **{name: bytes(data)})

    return kind


def _amount_in(name: str) -> Callable[[Solved, Random], Certificate]:
    """Move money from one microgrid to another in a list, or claim another cost."""

    def kind(good: Solved, chance: Random) -> Certificate:
        numbers = list(getattr(good.certificate, name))
        amount = _amount(chance)
        giver, taker = chance.sample(range(len(numbers)), 2)
        numbers[giver] -= amount
        if "transfer" in name:
            numbers[taker] += amount
        return msgspec.structs.replace(good.certificate, **{name: numbers})

    return kind


def _dearer(name: str) -> Callable[[Solved, Random], Certificate]:
    """A feasible plan that costs more, with costs and transfers honestly stated.

    In the place of a microgrid's plan without trade it would raise what is paid to that microgrid.
    """
    swaps = ((Column.TURBINE, Column.BUY), (Column.EXPORT, Column.CURTAIL))

    def kind(good: Solved, chance: Random) -> Certificate:
        parts = _solutions(good)
        plan = parts[name == "alone_plan"].plan
        one, other = chance.choice(swaps)
        at = chance.randrange(plan.shape[1]), chance.randrange(plan.shape[2])
        upper = good.window.upper
        room = min(int(plan[one][at]), int(upper[other][at] - plan[other][at]))
        back = min(int(plan[other][at]), int(upper[one][at] - plan[one][at]))
        moved = chance.choice((room, -back))
        if chance.random() < 0.5:
            moved = max(-1, min(1, moved))
        plan[one][at] -= moved
        plan[other][at] += moved
        return _restated(good, *parts)

    return kind


def _unmatched(good: Solved, chance: Random) -> Certificate:
    """Sell what was exported, or the reverse, with nobody to purchase it."""
    together, alone = _solutions(good)
    plan, upper = together.plan, good.window.upper
    at = chance.randrange(plan.shape[1]), chance.randrange(plan.shape[2])
    source, target = chance.sample((Column.SELL, Column.EXPORT), 2)
    room = min(int(plan[source][at]), int(upper[target][at] - plan[target][at]))
    moved = chance.randint(0, room)
    plan[source][at] -= moved
    plan[target][at] += moved
    return _restated(good, together, alone)


def _solutions(good: Solved) -> tuple[Solution, Solution]:
    """Joint and separate solutions of a good certificate."""
    joint = Solution(
        _unpacked(good, "plan"), _unpacked(good, "duals"), _unpacked(good, "balance_duals")[0]
    )
    plan = np.zeros_like(joint.plan)
    plan[COLUMNS_ALONE] = _unpacked(good, "alone_plan")
    return joint, Solution(plan, _unpacked(good, "alone_duals"), np.zeros_like(joint.balance))


def _restated(good: Solved, together: Solution, alone: Solution) -> Certificate:
    """The certificate with other plans and all that follows from them."""
    account = account_of(good.window, together)
    apart = account_of(without_trade(good.window), alone)
    bargain = bargain_of(apart, account, WEIGHTS)
    return msgspec.structs.replace(
        good.certificate,
        plan=pack(together.plan),
        alone_plan=pack(alone.plan[COLUMNS_ALONE]),
        cost_nano=[cost // 1000 for cost in account.costs],
        alone_cost_nano=[cost // 1000 for cost in apart.costs],
        transfer_nano=bargain.transfer_nano,
        first_transfer_nano=bargain.first_transfer_nano,
    )


PACKED = ("plan", "duals", "balance_duals", "alone_plan", "alone_duals")
LISTS = ("cost_nano", "alone_cost_nano", "transfer_nano", "first_transfer_nano")
KINDS: tuple[tuple[str, Callable[[Solved, Random], Certificate]], ...] = (
    *((name, _number_in(name)) for name in PACKED),
    *((f"{name} bytes", _byte_in(name)) for name in PACKED),
    *((name, _amount_in(name)) for name in LISTS),
    *((f"{name} dearer", _dearer(name)) for name in ("plan", "alone_plan")),
    ("plan unmatched", _unmatched),
)
"""What is tried, by name."""
