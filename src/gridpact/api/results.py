"""A finished run as data frames, with its ledger and where its numbers come from."""

from __future__ import annotations

import shutil
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gridpact import __version__
from gridpact.model import RunResult
from gridpact.node import LedgerStore, audit_ledger, prove_bill
from gridpact.node.audit import AuditReport
from gridpact.node.prover import prove_carbon
from gridpact.reports import ORDERS, frame_of, table, write_report

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from gridpact.ledger.proofs import ProofFile


@dataclass(frozen=True, slots=True)
class Manifest:
    """What has to be the same for a run to come out the same, and what it came to."""

    version: str
    """Of gridpact."""
    scenario: str
    seed: int
    sources: tuple[tuple[str, str], ...]
    """Name and SHA-256 of each file read."""
    record_hash: str
    """Of the last block; what `verify` and `audit` take as root."""
    market_state_root: str


class Result:
    """A finished run.

    Its tables are polars data frames; columns end in their unit and `docs/results.md` explains
    each. A ledger in a temporary folder lives as long as the object: keep it, close it, or use it
    in a `with` statement.
    """

    def __init__(self, result: RunResult, temporary: Path | None = None) -> None:
        """Wrap a run.

        Args:
            result: the run.
            temporary: a folder to remove together with this object; None leaves all in place.
        """
        self.result = result
        self._close = (
            None if temporary is None else weakref.finalize(self, shutil.rmtree, temporary, True)
        )

    def __repr__(self) -> str:
        scenario = self.result.scenario
        return f"<Result {scenario.name!r}, {len(self.result.slots)} slots, {self.ledger}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the ledger of a run without `out`; the tables stay."""
        if self._close is not None:
            self._close()

    @property
    def ledger(self) -> Path:
        """Folder of the ledger."""
        return self.result.ledger.path

    @property
    def manifest(self) -> Manifest:
        """Version, seed, hashes of the sources, and what the ledger ended with."""
        pairs = (source.rpartition(" ") for source in self.result.sources)
        return Manifest(
            version=__version__,
            scenario=self.result.scenario.name,
            seed=self.result.scenario.seed,
            sources=tuple((name, digest) for name, _, digest in pairs),
            record_hash=self.result.ledger.record_hash,
            market_state_root=self.result.ledger.market_state_root,
        )

    @cached_property
    def slots(self) -> pl.DataFrame:
        """One row per delivery slot: tariffs, trades, energies."""
        return self._frame("slots")

    @cached_property
    def bills(self) -> pl.DataFrame:
        """One row per billing day and participant."""
        return self._frame("bills")

    @cached_property
    def bill_lines(self) -> pl.DataFrame:
        """One row per line of a bill or of a credit note."""
        return self._frame("bill_lines")

    @cached_property
    def credit_notes(self) -> pl.DataFrame:
        """One row per bill that was corrected after it was issued."""
        return self._frame("credit_notes")

    @cached_property
    def grid(self) -> pl.DataFrame:
        """One row per slot: voltages, loading, losses; empty without a network."""
        return self._frame("grid_slots")

    @cached_property
    def branches(self) -> pl.DataFrame:
        """One row per line and transformer, with its highest loading."""
        return self._frame("branches")

    @cached_property
    def buses(self) -> pl.DataFrame:
        """One row per bus, with its lowest and highest voltage."""
        return self._frame("buses")

    @cached_property
    def cuts(self) -> pl.DataFrame:
        """One row per trade that the grid could not carry in full."""
        return self._frame("cuts")

    @cached_property
    def violations(self) -> pl.DataFrame:
        """One row per limit that was broken in a slot after all curtailment."""
        return self._frame("violations")

    @cached_property
    def homes(self) -> pl.DataFrame:
        """One row per member that owns more than a meter."""
        return self._frame("homes")

    @cached_property
    def shortfalls(self) -> pl.DataFrame:
        """One row each time that energy was due in a home and was not there."""
        return self._frame("shortfalls")

    @cached_property
    def carbon(self) -> pl.DataFrame:
        """One row per slot with carbon: energy and carbon in and out; empty without."""
        return self._frame("carbon_slots")

    @cached_property
    def carbon_statements(self) -> pl.DataFrame:
        """One row per billing day and participant: physical and contractual carbon."""
        return self._frame("carbon_statements")

    @cached_property
    def carbon_lines(self) -> pl.DataFrame:
        """One row per slot of a carbon statement."""
        return self._frame("carbon_lines")

    @cached_property
    def carbon_mix(self) -> pl.DataFrame:
        """One row per slot and member: where what it used was from."""
        return self._frame("carbon_mix")

    @cached_property
    def orders(self) -> pl.DataFrame:
        """The orders of the slot with the most trades."""
        return frame_of(self.result, ORDERS)

    def _frame(self, name: str) -> pl.DataFrame:
        return frame_of(self.result, table(name))

    def report(self, path: str | Path) -> Path:
        """Write the page of the run, one file that needs no network, and return its path.

        Raises:
            StoreError: the disk refused.
        """
        write_report(self.result, Path(path))
        return Path(path)

    def audit(self) -> AuditReport:
        """Execute every block of the ledger again and compare everything that is stored.

        Raises:
            StoreError: the ledger is gone or damaged.
        """
        return audit_ledger(self.ledger, expected_root=self.result.ledger.record_hash)

    def prove_bill(self, participant: str, day: str = "") -> bytes:
        """A proof of a bill with all its lines, which `verify_bill` checks without the ledger.

        Args:
            participant: whose bill.
            day: YYYY-MM-DD; the last one when left out.
        Raises:
            InputError: there is no such bill.
        """
        return self._proof(prove_bill, participant, day)

    def prove_carbon(self, participant: str, day: str = "") -> bytes:
        """A proof of a carbon statement with all its lines, which `verify_carbon` checks.

        Args:
            participant: whose statement.
            day: YYYY-MM-DD; the last one when left out.
        Raises:
            InputError: there is no such statement.
        """
        return self._proof(prove_carbon, participant, day)

    def _proof(
        self, prove: Callable[[LedgerStore, str, str], ProofFile], participant: str, day: str
    ) -> bytes:
        from gridpact.ledger.proofs import proof_bytes

        store = LedgerStore.open(self.ledger, writable=False)
        try:
            return proof_bytes(prove(store, participant, day))
        finally:
            store.close()
