"""Three microgrids whose bargain can be worked out by hand, and clearings to propose for them.

Import 0.30, export 0.08, fee 0.02 per side and kWh; each loses 0.06 for a kWh that is not green.
The sun has 5,000 Wh and needs 1,000; Ann needs 3,000 Wh, 2,000 of them green; Bob 1,000, all green.

| | alone | together | saves | receives |
|---|---|---|---|---|
| ann | 3 x 0.30 + 2 x 0.06 = 1.02 | 3 x 0.02 = 0.06 | 0.96 | 0.30 - 0.96 = -0.66 |
| bob | 0.30 + 0.06 = 0.36 | 0.02 | 0.34 | 0.30 - 0.34 = -0.04 |
| sun | -4 x 0.08 = -0.32 | 4 x 0.02 = 0.08 | -0.40 | 0.30 + 0.40 = 0.70 |

Together they save 0.90, a third each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np
from tests.ledger_bench import TARIFF, UNIT, Bench, genesis_with

from gridpact.contracts.genesis import BargainRules, Genesis
from gridpact.market.integer.microgrids import (
    Solution,
    account_of,
    certificate_of,
    plan_of,
    window_of,
)
from gridpact.market.integer.microgrids.certificate import COLUMNS_ALONE
from gridpact.market.integer.microgrids.packing import pack, unpack
from gridpact.market.solvers.proposal import propose
from gridpact.model import Certificate, MicrogridBid, MicrogridTerms, Phase, Role, SlotTariff
from gridpact.model.microgrids import Column, Row, Storage, Turbine
from gridpact.node import SimulatedKeys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

PRICE_MAX = 1_000_000
RULES = BargainRules(
    gap_ppb=1_000, price_max_micro_per_kwh=PRICE_MAX, end_micro_per_kwh=200_000, weights=[]
)
NO_TURBINE = Turbine(0, 0, 0)
NO_STORAGE = Storage(0, 1000, 1000, 0, 0, 0, 0)
DEPOSIT = 10 * UNIT


def bid_of(
    load_wh: Sequence[int],
    green_wh: Sequence[int],
    renewable_wh: Sequence[int],
    *,
    shortage: int = 60_000,
    turbine: Turbine = NO_TURBINE,
    storage: Storage = NO_STORAGE,
) -> MicrogridBid:
    """A bid; without more said there is neither turbine nor storage."""
    return MicrogridBid(
        list(load_wh), list(green_wh), list(renewable_wh), shortage, turbine, storage
    )


def bids_of(periods: int = 1) -> dict[str, MicrogridBid]:
    """The three, every period alike."""
    return {
        "ann": bid_of([3_000] * periods, [2_000] * periods, [0] * periods),
        "bob": bid_of([1_000] * periods, [1_000] * periods, [0] * periods),
        "sun": bid_of([1_000] * periods, [1_000] * periods, [5_000] * periods),
    }


EXPOSURE = {
    # shortage + import + fees + (export + undelivered at 1.30), each at its most
    "ann": 120_000_000 + 900_000_000 + 60_000_000,
    "bob": 60_000_000 + 300_000_000 + 20_000_000,
    "sun": 60_000_000 + 300_000_000 + 120_000_000 + 400_000_000 + 6_500_000_000,
}
"""What is held for each bid, nano."""
ESCROW = {
    "ann": 660_000_000 + 60_000_000,
    "bob": 40_000_000 + 20_000_000,
    "sun": 80_000_000 + 4 * 360_000_000,
}
"""Of their agreements: transfer, fees, and 0.36 for each kWh not delivered."""
TRANSFERS = {"ann": -660_000_000, "bob": -40_000_000, "sun": 700_000_000}


def terms_of(periods: int = 1, tariff: SlotTariff = TARIFF) -> MicrogridTerms:
    """Of so many slots with one tariff."""
    return MicrogridTerms(
        [tariff.retail_micro_per_kwh] * periods,
        [tariff.feed_in_micro_per_kwh] * periods,
        tariff.network_fee_micro_per_kwh,
        RULES.end_micro_per_kwh,
    )


def genesis_of(
    keys: SimulatedKeys, rules: BargainRules, parties: Iterable[tuple[str, Role]] = ()
) -> Genesis:
    """That of the bench, but the first market is one of bargains."""
    genesis = genesis_with(keys, parties=parties)
    first, *others = genesis.markets
    bargains = msgspec.structs.replace(first, bargain=rules)
    return msgspec.structs.replace(genesis, markets=[bargains, *others])


def bargain_bench(
    *members: str,
    slots: int = 1,
    prices: SlotTariff = TARIFF,
    rules: BargainRules = RULES,
    deposit_nano: int = DEPOSIT,
    parties: Iterable[tuple[str, Role]] = (),
) -> Bench:
    """Members with 10 each and a meter, and open slots in a market of bargains."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_of(keys, rules, parties), keys)
    bench.join(*(members or bids_of()), deposit_nano=deposit_nano)
    if slots:
        bench.open(slots=slots, prices=prices)
    return bench


def closed_bench(
    bids: Mapping[str, MicrogridBid] | None = None, rules: BargainRules = RULES
) -> Bench:
    """All bids for the first slot are in, and its gate is closed."""
    bids = bids or bids_of()
    bench = bargain_bench(*bids, slots=len(next(iter(bids.values())).load_wh), rules=rules)
    bench.accept(*(bench.microgrid(name, bid) for name, bid in bids.items()))
    bench.move(Phase.CLOSED)
    return bench


def certified(
    bids: Mapping[str, MicrogridBid],
    terms: MicrogridTerms | None = None,
    weights: Sequence[int] | None = None,
) -> Certificate:
    """A clearing of bids by the solver, in the order of ids."""
    ordered = [bids[name] for name in sorted(bids)]
    terms = terms or terms_of(len(ordered[0].load_wh))
    return propose(terms, ordered, weights or [1] * len(ordered)).certificate


@dataclass
class Proof:
    """What a certificate is made of, as arrays to be changed."""

    plan: IntArray
    """(columns, M, T)"""
    duals: IntArray
    """(rows, M, T)"""
    balance: IntArray
    """(T,)"""
    alone_plan: IntArray
    """(columns, M, T), the packed ones only"""
    alone_duals: IntArray


def proof_of(certificate: Certificate, microgrids: int, periods: int) -> Proof:
    """The arrays of a certificate."""
    shape = (microgrids, periods)
    return Proof(
        plan_of(certificate, *shape).copy(),
        _unpacked(certificate.duals, (len(Row), *shape)),
        _unpacked(certificate.balance_duals, (1, periods))[0],
        _unpacked(certificate.alone_plan, (len(COLUMNS_ALONE), *shape)),
        _unpacked(certificate.alone_duals, (len(Row), *shape)),
    )


def _unpacked(data: bytes, shape: tuple[int, ...]) -> IntArray:
    found = unpack(data, shape)
    assert found is not None
    return found


def proved(
    proof: Proof,
    terms: MicrogridTerms,
    bids: Sequence[MicrogridBid],
    weights: Sequence[int],
    *,
    keep: bool = False,
) -> Certificate:
    """The certificate that belongs to arrays; `keep`: with the joint plan though nobody gains."""
    window = window_of(terms, bids)
    alone_plan = np.zeros_like(proof.plan)
    alone_plan[list(COLUMNS_ALONE)] = proof.alone_plan
    alone = Solution(alone_plan, proof.alone_duals, np.zeros(window.periods, np.int64))
    together = Solution(proof.plan, proof.duals, proof.balance)
    made = certificate_of(window, together, alone, weights)
    if not keep:
        return made
    costs = account_of(window, together).costs
    return msgspec.structs.replace(
        made, plan=pack(proof.plan), cost_nano=[cost // 1000 for cost in costs]
    )


def less_green(certificate: Certificate, bids: Mapping[str, MicrogridBid], wh: int) -> Certificate:
    """A sound certificate of a plan in which the sun gives Ann less green power than she could use:
    she buys it from the grid, and the sun gives it to the grid."""

    def change(proof: Proof, ann: int, sun: int) -> None:
        proof.plan[[Column.PURCHASE, Column.GREEN_OTHER], ann, 0] -= wh
        proof.plan[Column.BUY, ann, 0] += wh
        proof.plan[Column.SELL, sun, 0] -= wh
        proof.plan[Column.EXPORT, sun, 0] += wh

    return _changed(certificate, bids, None, change)


def with_passing(
    certificate: Certificate, bids: Mapping[str, MicrogridBid], terms: MicrogridTerms, wh: int
) -> Certificate:
    """The same for everybody, but the sun sells some energy more that it purchases itself."""

    def change(proof: Proof, _: int, sun: int) -> None:
        proof.plan[[Column.SELL, Column.PURCHASE], sun, 0] += wh

    return _changed(certificate, bids, terms, change)


def with_other_duals(certificate: Certificate, bids: Mapping[str, MicrogridBid]) -> Certificate:
    """The same plan, proved by duals one pico away."""

    def change(proof: Proof, _: int, __: int) -> None:
        proof.duals += 1

    return _changed(certificate, bids, None, change)


def _changed(
    certificate: Certificate,
    bids: Mapping[str, MicrogridBid],
    terms: MicrogridTerms | None,
    change: Callable[[Proof, int, int], None],
) -> Certificate:
    names = sorted(bids)
    ordered = [bids[name] for name in names]
    periods = len(ordered[0].load_wh)
    proof = proof_of(certificate, len(names), periods)
    change(proof, names.index("ann"), names.index("sun"))
    return proved(proof, terms or terms_of(periods), ordered, [1] * len(names))
