"""Lines of bills and statements that stay in the ledger until somebody reads them.

A year has millions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, overload

from gridpact.codec import WireType, decode
from gridpact.model import RunResult
from gridpact.node import LedgerStore


@dataclasses.dataclass(frozen=True, slots=True)
class StoredLines(Sequence[WireType], Generic[WireType]):
    """The lines of one bill, credit note or carbon statement, read anew each time.

    Raises on reading:
        InputError: the ledger is not there any more.
    """

    folder: Path
    """Of the ledger."""
    series: str
    """State key of the bill, note or statement."""
    length: int
    line_type: type[WireType]

    def read(self) -> list[WireType]:
        """All lines, in order."""
        store = LedgerStore.open(self.folder, writable=False)
        try:
            return [
                decode(self.line_type, document.data) for document in store.documents(self.series)
            ]
        finally:
            store.close()

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> WireType: ...

    @overload
    def __getitem__(self, index: slice) -> list[WireType]: ...

    def __getitem__(self, index: int | slice) -> WireType | list[WireType]:
        return self.read()[index]

    def __iter__(self) -> Iterator[WireType]:
        return iter(self.read())


def moved_to(result: RunResult, folder: Path) -> RunResult:
    """The result of a run whose ledger lies in another folder now."""

    def at(lines: Sequence[WireType]) -> Sequence[WireType]:
        return (
            dataclasses.replace(lines, folder=folder) if isinstance(lines, StoredLines) else lines
        )

    carbon = result.carbon
    if carbon is not None:
        statements = tuple(
            dataclasses.replace(each, lines=at(each.lines)) for each in carbon.statements
        )
        carbon = dataclasses.replace(carbon, statements=statements)
    return dataclasses.replace(
        result,
        carbon=carbon,
        ledger=dataclasses.replace(result.ledger, path=folder),
        bills=tuple(dataclasses.replace(bill, lines=at(bill.lines)) for bill in result.bills),
        credits=tuple(dataclasses.replace(note, lines=at(note.lines)) for note in result.credits),
    )
