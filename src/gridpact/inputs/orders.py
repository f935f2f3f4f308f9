"""Order books from a CSV file, and the trades of their clearing back into one.

Order files have the columns `order_id,participant,slot,side,price_micro_per_kwh,energy_wh` and
optionally `limit_micro_per_kwh` and `submitted_ms`, in any order, comma separated, UTF-8 with or
without byte order mark. Whatever is wrong with one is found and said at once, with file and line.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gridpact.errors import InputError, Problem
from gridpact.files import write_atomically
from gridpact.inputs.tables import closest, shown
from gridpact.market.integer import AuctionResult, Orders
from gridpact.units import INT64_MAX, QUANTITY_MAX, split_half_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REQUIRED_COLUMNS = ("order_id", "participant", "slot", "side", "price_micro_per_kwh", "energy_wh")
OPTIONAL_COLUMNS = ("limit_micro_per_kwh", "submitted_ms")
"""Without a limit the order's own price is its limit; without a time it came at time 0."""

TRADE_COLUMNS = (
    "trade_id",
    "stage",
    "seller_order",
    "buyer_order",
    "energy_wh",
    "price_sum_micro_per_kwh",
    "payment_nano",
)

_BOUNDS = {
    "price_micro_per_kwh": (0, QUANTITY_MAX, "give micro-currency per kWh, 0.45 is 450000"),
    "energy_wh": (1, QUANTITY_MAX, "give whole Wh, 1.5 kWh is 1500; leave out an empty order"),
    "limit_micro_per_kwh": (0, QUANTITY_MAX, "give micro-currency per kWh, or nothing"),
    "submitted_ms": (0, INT64_MAX, "give milliseconds since 1970-01-01 UTC, or nothing"),
}
"""Least and largest value of each number, and what to do about another one."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_TIME = re.compile(r"[0-9]{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SLOT_RULE = "write the start as 2024-06-01T12:00:00Z, or a whole number"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SlotBook:
    """All orders of one delivery slot. Row i of `bids` has the id `bid_ids[i]`, and so on."""

    slot: str
    """A whole number, or the start as `2024-06-01T12:00:00Z`."""
    bid_ids: tuple[str, ...]
    bid_participants: tuple[str, ...]
    bids: Orders
    offer_ids: tuple[str, ...]
    offer_participants: tuple[str, ...]
    offers: Orders


@dataclass(frozen=True, slots=True)
class OrderFile:
    """The order books of one file."""

    books: tuple[SlotBook, ...]
    """One per slot, earliest first, at least one. Within a side orders stand by id as text."""


def read_orders(path: Path) -> OrderFile:
    """Read an order file.

    Raises:
        InputError: everything that is wrong with the file, by line.
    """
    lines = _Lines(path.name)
    text = _text(path)
    for line, row in _rows(text, lines):
        lines.take(line, row)
    if not lines.problems and not lines.orders:
        lines.note(1, "has no orders below the header; add one line per order")
    if lines.problems:
        raise InputError(lines.problems)
    by_slot: defaultdict[int, list[_Order]] = defaultdict(list)
    for order in lines.orders:
        by_slot[order.slot].append(order)
    return OrderFile(
        tuple(_book(by_slot[slot], in_time=lines.slots_are_times) for slot in sorted(by_slot))
    )


def write_trades(path: Path, cleared: Sequence[tuple[SlotBook, AuctionResult]]) -> None:
    """Write the trades of the slots of an order file; the old file stays until all is written.

    Columns: `TRADE_COLUMNS`, with `slot` before them when there is more than one slot. A trade's
    id is its slot and its number in the clearing; `payment_nano` is what the buyer pays, so on a
    half nano the ceiling.

    Raises:
        StoreError: the file cannot be written.
    """
    with_slot = len(cleared) > 1
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("slot", *TRADE_COLUMNS) if with_slot else TRADE_COLUMNS)
    for book, result in cleared:
        slot = (book.slot,) if with_slot else ()
        writer.writerows((*slot, *row) for row in _trade_rows(book, result))
    write_atomically(path, text.getvalue().encode())


def _trade_rows(
    book: SlotBook, result: AuctionResult
) -> Iterator[tuple[str, int, str, str, int, int, int]]:
    """The values of `TRADE_COLUMNS` of every trade."""
    trades = zip(
        result.trades.stage.tolist(),
        result.trades.offer.tolist(),
        result.trades.bid.tolist(),
        result.trades.energy_wh.tolist(),
        result.trades.price_sum_micro_per_kwh.tolist(),
        strict=True,
    )
    for number, (stage, offer, bid, energy_wh, price_sum) in enumerate(trades):
        paid, _, _ = split_half_unit(price_sum, energy_wh)
        yield (
            f"{book.slot}.{number}",
            stage,
            book.offer_ids[offer],
            book.bid_ids[bid],
            energy_wh,
            price_sum,
            paid,
        )


def _text(path: Path) -> str:
    """The file as text.

    Raises:
        InputError: it cannot be opened, is empty, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        problem = Problem(f"{path}", f"cannot be read: {reason}; check path and permissions")
        raise InputError([problem]) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise InputError([Problem(f"{path.name}:{line}", message)]) from error
    if not text.strip():
        message = f"is empty; write a header, {','.join(REQUIRED_COLUMNS)}, and one line per order"
        raise InputError([Problem(f"{path.name}:1", message)])
    return text


def _rows(text: str, lines: _Lines) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and named fields of every row of the right length; notes the others."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    try:
        for fields in reader:
            cells = [cell.strip() for cell in fields]
            if not any(cells):
                continue
            if not header:
                header = cells
                if not _header_is_right(header, reader.line_num, lines):
                    return
            elif len(cells) != len(header):
                lines.note(
                    reader.line_num,
                    f"has {len(cells)} fields, the header has {len(header)}; correct the row",
                )
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        lines.note(reader.line_num, f"is not CSV: {error}; close quotes, and double inner ones")


def _header_is_right(header: list[str], line: int, lines: _Lines) -> bool:
    """Whether every column is known, none is missing and none stands twice; notes what is not."""
    known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    if len(header) == 1 and ";" in header[0]:
        lines.note(line, "separates columns by semicolons; separate them by commas")
        return False
    before = len(lines.problems)
    for column in REQUIRED_COLUMNS:
        if column not in header:
            lines.note(line, f"column {column} is missing; add it")
    for column in dict.fromkeys(header):
        if column not in known:
            hint = closest(column, known)
            allowed = f"allowed: {', '.join(known)}; rename or remove it"
            lines.note(line, f"{shown(column)} is not a known column{hint}; {allowed}")
        if header.count(column) > 1:
            lines.note(line, f"column {shown(column)} stands twice; remove one")
    return len(lines.problems) == before


@dataclass(frozen=True, slots=True)
class _Order:
    """One line of the file."""

    order_id: str
    participant: str
    slot: int
    """The number, or seconds since 1970-01-01 UTC."""
    is_bid: bool
    price_micro_per_kwh: int
    energy_wh: int
    limit_micro_per_kwh: int
    submitted_ms: int


class _Lines:
    """The orders of one file while it is read, and what was wrong with it so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.orders: list[_Order] = []
        self.slots_are_times = False
        self._first_slot_line = 0
        self._line_of: dict[str, int] = {}

    def note(self, line: int, message: str) -> None:
        """Keep a problem."""
        self.problems.append(Problem(f"{self.file}:{line}", message))

    def take(self, line: int, row: dict[str, str]) -> None:
        """Check one row, all of it; keep its order when there is nothing to note."""
        before = len(self.problems)
        order_id = row["order_id"]
        first = self._line_of.setdefault(order_id, line)
        if not order_id:
            self.note(line, "column order_id: is empty; give every order an id of its own")
        elif first != line:
            self.note(
                line,
                f"column order_id: {shown(order_id)} is the id of line {first}; rename one of them",
            )
        if not row["participant"]:
            self.note(line, "column participant: is empty; name who sent the order")
        for column in ("order_id", "participant"):
            if not row[column].isprintable():
                message = f"{shown(row[column])} has control characters; remove them"
                self.note(line, f"column {column}: {message}")
        slot = self._slot(line, row["slot"])
        if row["side"] not in {"bid", "offer"}:
            hint = closest(row["side"], ("bid", "offer"))
            message = f"{shown(row['side'])} is not a side{hint}; write bid to buy, offer to sell"
            self.note(line, f"column side: {message}")
        price = self._whole(line, row, "price_micro_per_kwh", None)
        energy = self._whole(line, row, "energy_wh", None)
        limit = self._whole(line, row, "limit_micro_per_kwh", price)
        submitted = self._whole(line, row, "submitted_ms", 0)
        is_bid = row["side"] == "bid"
        if len(self.problems) == before:
            self._check_limit(line, is_bid=is_bid, price=price, limit=limit)
        if len(self.problems) == before:
            self.orders.append(
                _Order(order_id, row["participant"], slot, is_bid, price, energy, limit, submitted)
            )

    def _check_limit(self, line: int, *, is_bid: bool, price: int, limit: int) -> None:
        """A buyer's limit is the most it pays, a seller's the least it takes."""
        if is_bid and limit < price:
            fact = f"{limit} is below the bid's price {price}; allowed: {price}..{QUANTITY_MAX}"
        elif not is_bid and limit > price:
            fact = f"{limit} is above the offer's price {price}; allowed: 0..{price}"
        else:
            return
        self.note(line, f"column limit_micro_per_kwh: {fact}; correct the limit or the price")

    def _whole(self, line: int, row: dict[str, str], column: str, default: int | None) -> int:
        """A number within its bounds; after noting a problem, the least allowed one."""
        low, high, remedy = _BOUNDS[column]
        text = row.get(column, "")
        if not text and default is not None:
            return default
        value = int(text) if _WHOLE.fullmatch(text) else None
        if value is not None and low <= value <= high:
            return value
        fact = shown(text) if text else "nothing"
        kind = "a whole number" if value is None else "in range"
        message = f"{fact} is not {kind}; allowed: {low}..{high}; {remedy}"
        self.note(line, f"column {column}: {message}")
        return low

    def _slot(self, line: int, text: str) -> int:
        """The number of a slot, or its start in seconds; 0 after noting a problem."""
        slot = None
        is_time = _TIME.fullmatch(text) is not None
        if is_time:
            try:
                start = datetime.fromisoformat(text).astimezone(UTC)
                slot = (start - _EPOCH) // timedelta(seconds=1)
            except (ValueError, OverflowError):
                slot = None
        elif _WHOLE.fullmatch(text):
            slot = int(text)
        if slot is None or not 0 <= slot <= INT64_MAX:
            fact = shown(text) if text else "nothing"
            message = f"{fact} is neither a UTC time since 1970 nor a number; {_SLOT_RULE}"
            self.note(line, f"column slot: {message}")
            return 0
        if not self._first_slot_line:
            self._first_slot_line, self.slots_are_times = line, is_time
        if is_time != self.slots_are_times:
            here, there = ("time", "number") if is_time else ("number", "time")
            message = f"{shown(text)} is a {here}, line {self._first_slot_line} gives a {there}"
            self.note(line, f"column slot: {message}; use one form in all lines")
        return slot


def _book(orders: list[_Order], *, in_time: bool) -> SlotBook:
    """The book of one slot; ranks are positions among the sorted ids of both sides."""
    orders.sort(key=lambda order: order.order_id)
    sides: dict[bool, list[tuple[int, _Order]]] = {True: [], False: []}
    for rank, order in enumerate(orders):
        sides[order.is_bid].append((rank, order))
    bids, offers = sides[True], sides[False]
    slot = orders[0].slot
    start = (_EPOCH + timedelta(seconds=slot)).strftime("%Y-%m-%dT%H:%M:%SZ") if in_time else None
    return SlotBook(
        slot=start or str(slot),
        bid_ids=tuple(order.order_id for _, order in bids),
        bid_participants=tuple(order.participant for _, order in bids),
        bids=_side(bids),
        offer_ids=tuple(order.order_id for _, order in offers),
        offer_participants=tuple(order.participant for _, order in offers),
        offers=_side(offers),
    )


def _side(ranked: list[tuple[int, _Order]]) -> Orders:
    """One side as arrays."""
    return Orders.of(
        price_micro_per_kwh=[order.price_micro_per_kwh for _, order in ranked],
        energy_wh=[order.energy_wh for _, order in ranked],
        limit_micro_per_kwh=[order.limit_micro_per_kwh for _, order in ranked],
        submitted_ms=[order.submitted_ms for _, order in ranked],
        rank=[rank for rank, _ in ranked],
    )
