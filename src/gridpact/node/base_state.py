"""The base: the state from which a ledger can be executed when an earlier part of it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gridpact.codec import Wire, encode
from gridpact.errors import InputError, StoreError
from gridpact.ledger import Document, Entry, Privacy, owner_of
from gridpact.ledger.blocks import record_hash
from gridpact.ledger.envelope import SALT_BYTES
from gridpact.ledger.snapshots import SnapshotError, entry_of, root_of
from gridpact.ledger.trees import Frontier, leaf_hash
from gridpact.model import Bill, CarbonStatement, CreditNote
from gridpact.node.history import first_state_of
from gridpact.node.tables import NAMESPACE_BY_NAME, Base, LedgerTables


def check_base(store: LedgerTables, base: Base, found: Callable[[str], None]) -> dict[str, Entry]:
    """The state at the base, believed only when its record carries it.

    Args:
        store: where it is kept.
        base: what the store says of it.
        found: told everything that is wrong.
    Returns:
        The entries, complete only when nothing was found.
    """
    entries: dict[str, Entry] = {}
    for key, (table, salt, value) in store.state_rows("base_state").items():
        try:
            entries[key] = entry_of(NAMESPACE_BY_NAME, key, salt, value)
        except SnapshotError as error:
            found(f"base: {error}")
            continue
        public = NAMESPACE_BY_NAME[key.partition("/")[0]].privacy is Privacy.PUBLIC
        if table != ("base_state" if public else "private_base_state"):
            found(f"base: {key!r} is in the table {table}")
    try:
        record = store.record(base.height)
    except (InputError, StoreError) as error:
        found(f"base: {error}")
        return entries
    if record_hash(record) != base.record or record.height != base.height:
        found(f"base: block {base.height} does not have the record that execution starts from")
    if root_of(entries) != record.market_root:
        found(f"base: its state does not have the root of block {base.height}")
    if store.kept_hash(base.height) != base.kept:
        found("base: old events, annual totals, first state or lines of closed accounts changed")
    if not 1 <= base.first <= base.height + 1:
        found(f"base: block {base.first} cannot be the first one here")
    rows = store.first_rows()
    if base.first == 1 and rows:
        found("first_state has rows although the blocks begin at 1")
    if base.first == base.height + 1:
        expected = {key: encode(entry.value) for key, entry in first_state_of(entries).items()}
        if rows != expected:
            found("first_state is not what the state at the base says")
    return entries


def line_count(value: Wire) -> int:
    """How many lines a state value commits to."""
    paper = _lines_of(value)
    return paper.lines if paper is not None else 0


def check_lines(series: str, value: Wire, documents: list[Document]) -> Iterator[str]:
    """What is wrong with the lines of a bill, credit note or carbon statement, in words."""
    paper = _lines_of(value)
    if paper is None:
        yield f"{series!r} has lines and is no bill"
        return
    frontier = Frontier()
    for index, document in enumerate(documents):
        if (document.index, document.owner) != (index, owner_of(series)):
            yield f"document {document.index} of {series!r} is out of place"
        if len(document.salt) != SALT_BYTES:
            yield f"document {document.index} of {series!r} has a salt of another length"
        frontier = frontier.append(leaf_hash(document.salt + document.data))
    if (frontier.count, list(frontier.hashes)) != (paper.lines, paper.frontier):
        yield f"documents of {series!r} are not the lines that it commits to"


def _lines_of(value: Wire) -> Bill | CarbonStatement | None:
    """What says how many lines are kept beside the state, and which: of a note it is the change."""
    if isinstance(value, CreditNote):
        return value.change
    return value if isinstance(value, Bill | CarbonStatement) else None
