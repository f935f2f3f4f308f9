"""Bill lines that stay in the ledger until somebody reads them: a year has millions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from gridpact.codec import decode
from gridpact.model import BillLine, RunResult
from gridpact.node import LedgerStore


@dataclasses.dataclass(frozen=True, slots=True)
class StoredLines(Sequence[BillLine]):
    """The lines of one bill or credit note, read anew each time.

    Raises on reading:
        InputError: the ledger is not there any more.
    """

    folder: Path
    """Of the ledger."""
    series: str
    """State key of the bill or the credit note."""
    length: int

    def read(self) -> list[BillLine]:
        """All lines, in order."""
        store = LedgerStore.open(self.folder, writable=False)
        try:
            return [decode(BillLine, document.data) for document in store.documents(self.series)]
        finally:
            store.close()

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> BillLine: ...

    @overload
    def __getitem__(self, index: slice) -> list[BillLine]: ...

    def __getitem__(self, index: int | slice) -> BillLine | list[BillLine]:
        return self.read()[index]

    def __iter__(self) -> Iterator[BillLine]:
        return iter(self.read())


def moved_to(result: RunResult, folder: Path) -> RunResult:
    """The result of a run whose ledger lies in another folder now."""

    def at(lines: Sequence[BillLine]) -> Sequence[BillLine]:
        return (
            dataclasses.replace(lines, folder=folder) if isinstance(lines, StoredLines) else lines
        )

    return dataclasses.replace(
        result,
        ledger=dataclasses.replace(result.ledger, path=folder),
        bills=tuple(dataclasses.replace(bill, lines=at(bill.lines)) for bill in result.bills),
        credits=tuple(dataclasses.replace(note, lines=at(note.lines)) for note in result.credits),
    )
