"""The chain of `ledger_bench`, written to a folder block by block, and what lies in that folder."""

from __future__ import annotations

from pathlib import Path

from tests.ledger_bench import KWH, LENGTH_S, SLOT, UNIT, Bench, Signed, genesis_with

from gridpact.contracts.application import BlockResult, Candidate, Unreadable
from gridpact.contracts.bodies import CloseAccount, Kind
from gridpact.contracts.genesis import Genesis
from gridpact.ledger.blocks import Proposal
from gridpact.model import Party, Phase, Quality
from gridpact.node import LedgerStore, SimulatedKeys

SEED = 7
MEMBERS = ("ann", "bob", "cyd")
SLOTS = 3
LATER = SLOT + SLOTS * LENGTH_S
"""Start of the first slot after the day."""


class WrittenBench(Bench):
    """A bench whose blocks go to disk."""

    def __init__(self, folder: Path, genesis: Genesis | None = None) -> None:
        keys = SimulatedKeys(SEED)
        super().__init__(genesis or genesis_with(keys), keys)
        self.folder = folder
        self.store = LedgerStore.create(folder, self.genesis)
        self.store.save_initial(dict(self.application.state.entries))

    @classmethod
    def going_on(cls, folder: Path) -> WrittenBench:
        """On a ledger that is already there."""
        bench = cls.__new__(cls)
        keys = SimulatedKeys(SEED)
        bench.folder = folder
        bench.store = LedgerStore.open(folder)
        Bench.__init__(bench, bench.store.genesis, keys)
        tip = bench.store.tip()
        assert tip is not None
        bench.application.state.entries.clear()
        bench.application.state._groups.clear()
        bench.application.restore(bench.store.entries(), *tip)
        for key, entry in bench.application.state.entries.items():
            if isinstance(entry.value, Party):
                bench.wallet._nonces[key.partition("/")[2]] = entry.value.nonce
        return bench

    def _execute(self, proposal: Proposal, candidates: list[Candidate | Unreadable]) -> BlockResult:
        result = super()._execute(proposal, candidates)
        written = [candidate for candidate in candidates if isinstance(candidate, Candidate)]
        assert len(written) == len(candidates)
        self.store.save_block(proposal, written, result)
        return result

    def close_account(self, participant: str, *, submitted_ms: int = 0) -> Signed:
        body = CloseAccount(participant, submitted_ms)
        return self.write("operator", Kind.CLOSE_ACCOUNT, body)

    def barrier(self) -> None:
        """Nothing but a barrier: the first slot is final and stays so."""
        self.move(Phase.FINAL)


def trade_a_day(bench: WrittenBench) -> None:
    """Three members, three slots from orders to final, with a correction in the second."""
    for number, member in enumerate(MEMBERS):
        bench.join(member, deposit_nano=50 * UNIT + number)
    bench.open(slots=SLOTS)
    for slot in range(SLOTS):
        slot_s = SLOT + slot * LENGTH_S
        bench.accept(
            bench.bid("ann", 211_113 + slot, 1_117 + slot, slot_s=slot_s),
            bench.bid("bob", 190_001, 3 * KWH, slot_s=slot_s),
            bench.offer("cyd", 100_007, 2 * KWH, slot_s=slot_s),
        )
    bench.walk(Phase.DELIVERED, slots=SLOTS)
    for slot in range(SLOTS):
        slot_s = SLOT + slot * LENGTH_S
        bench.accept(
            bench.reading("ann", 1_319 + slot, slot_s=slot_s),
            bench.reading("bob", 2 * KWH, slot_s=slot_s),
            bench.reading("cyd", 0, 2 * KWH, slot_s=slot_s),
        )
    for phase in (Phase.METERED, Phase.SETTLED):
        bench.move(phase, slots=SLOTS)
    slot_s = SLOT + LENGTH_S
    bench.accept(
        bench.reading("bob", 1_777, slot_s=slot_s, version=2, quality=Quality.ESTIMATED),
    )
    bench.accept(bench.withdraw("ann", 3_333_333))
    bench.move(Phase.FINAL, slots=SLOTS)


def written_day(folder: Path) -> WrittenBench:
    """The day on disk, its writer still open."""
    bench = WrittenBench(folder)
    trade_a_day(bench)
    return bench


def trade_a_slot(bench: WrittenBench, members: tuple[str, ...], start_s: int) -> None:
    """One more slot from orders to final."""
    bench.open(first_s=start_s)
    for number, member in enumerate(members):
        bench.accept(bench.bid(member, 200_000 + number, KWH + 11 * number, slot_s=start_s))
    bench.walk(Phase.DELIVERED, first_s=start_s)
    for number, member in enumerate(members):
        bench.accept(bench.reading(member, KWH + 13 * number, slot_s=start_s))
    bench.walk(Phase.FINAL, first_s=start_s)
