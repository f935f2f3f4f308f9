"""Order files in, trade files out: what is read, what is refused, what is written to the byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gridpact.errors import InputError, StoreError
from gridpact.inputs.orders import OrderFile, SlotBook, read_orders, write_trades
from gridpact.market.integer import AuctionResult, Orders, clear_auction
from gridpact.model import TieRule

HEADER = "order_id,participant,slot,side,price_micro_per_kwh,energy_wh"
NOON = "2024-06-01T12:00:00Z"


def read(tmp_path: Path, content: str | bytes) -> OrderFile:
    path = tmp_path / "orders.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_orders(path)


def problems(tmp_path: Path, content: str | bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(tmp_path, content)
    return [str(problem) for problem in caught.value.problems]


def values(orders: Orders) -> list[tuple[int, ...]]:
    return list(
        zip(
            orders.price_micro_per_kwh.tolist(),
            orders.energy_wh.tolist(),
            orders.limit_micro_per_kwh.tolist(),
            orders.submitted_ms.tolist(),
            orders.rank.tolist(),
            strict=True,
        )
    )


# Reading


def test_books_by_slot_with_ranks_by_id(tmp_path: Path) -> None:
    read_file = read(
        tmp_path,
        f"""{HEADER}
o10,ann,2024-06-01T12:15:00Z,bid,600000,2000
o9,bob,{NOON},offer,500000,1500
o10b,cem,{NOON},bid,610000,700
a1,dee,{NOON},offer,450000,300
""",
    )
    noon, later = read_file.books
    assert (noon.slot, later.slot) == (NOON, "2024-06-01T12:15:00Z")
    # sorted as text at noon: a1 < o10b < o9
    assert (noon.offer_ids, noon.offer_participants) == (("a1", "o9"), ("dee", "bob"))
    assert values(noon.offers) == [(450_000, 300, 450_000, 0, 0), (500_000, 1500, 500_000, 0, 2)]
    assert (noon.bid_ids, noon.bid_participants) == (("o10b",), ("cem",))
    assert values(noon.bids) == [(610_000, 700, 610_000, 0, 1)]
    assert (later.bid_ids, later.offer_ids) == (("o10",), ())
    assert values(later.offers) == []


def test_optional_columns_may_be_empty_and_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    (book,) = read(
        tmp_path,
        "submitted_ms,limit_micro_per_kwh,energy_wh,price_micro_per_kwh,side,slot,participant,"
        """order_id
17,700000,2,600000,bid,5,ann,b1
,,3,500000,offer,5,bob,s1
0,0,2147483647,2147483647,offer,5,bob,s2
""",
    ).books
    assert book.slot == "5"
    assert values(book.bids) == [(600_000, 2, 700_000, 17, 0)]
    assert values(book.offers) == [
        (500_000, 3, 500_000, 0, 1),
        (2**31 - 1, 2**31 - 1, 0, 0, 2),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff{0}\nb1,ann,7,bid,6,2\n",
        "{0}\r\nb1,ann,7,bid,6,2\r\n",
        "\n{0}\n\nb1,ann,7,bid,6,2\n\n,,,,,\n",
        "{0}\n b1 , ann ,7, bid , 6 , 2",
        '{0}\n"b1","ann","7","bid","6","2"\n',
        "{0}\nb1,ann,007,bid,+6,02\n",
    ],
    ids=["byte order mark", "CRLF", "empty lines", "blanks", "quotes", "zeros and plus"],
)
def test_harmless_variants(tmp_path: Path, content: str) -> None:
    (book,) = read(tmp_path, content.format(HEADER)).books
    assert (book.slot, book.bid_ids, book.bid_participants) == ("7", ("b1",), ("ann",))
    assert values(book.bids) == [(6, 2, 6, 0, 0)]


@pytest.mark.parametrize(
    "text",
    [NOON, "2024-06-01T12:00Z", "2024-06-01 14:00:00+02:00", "2024-06-01T12:00:00+00:00"],
)
def test_spellings_of_one_slot(tmp_path: Path, text: str) -> None:
    content = f"{HEADER}\nb1,ann,{text},bid,6,2\ns1,bob,{NOON},offer,5,2\n"
    (book,) = read(tmp_path, content).books
    assert book.slot == NOON
    assert (len(book.bids), len(book.offers)) == (1, 1)


def test_numbered_slots_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    rows = "".join(f"b{slot},ann,{slot},bid,6,2\n" for slot in (10, 9, 100))
    assert [book.slot for book in read(tmp_path, f"{HEADER}\n{rows}").books] == ["9", "10", "100"]


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    rows = [f"x{k},ann,{k % 3},{('bid', 'offer')[k % 2]},{50 + k},{1 + k}" for k in range(20)]
    first = read(tmp_path, "\n".join([HEADER, *rows]))
    again = read(tmp_path, "\n".join([HEADER, *reversed(rows)]))
    for one, other in zip(first.books, again.books, strict=True):
        assert (one.slot, one.bid_ids, one.offer_ids) == (
            other.slot,
            other.bid_ids,
            other.offer_ids,
        )
        assert values(one.bids) == values(other.bids)


# Refusals


def test_all_problems_of_a_file_at_once(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        f"""{HEADER},limit_micro_per_kwh,submitted_ms
b1,ann,{NOON},bid,600000,2000,,
b1,ann,{NOON},bid,600000,2000,,
,,{NOON},buy,0.6,0,,
s1,bob,yesterday,offer,-1,2147483648,2147483648,-1
s2,bob,,Offer,,1e3,x,1.5
s3,bob,{NOON},offer,500000,1,500001
s4,bob,{NOON},offer,500000,1,500001,
b2,bob,{NOON},bid,500000,1,499999,
b3,bob,7,bid,500000,1,,
""",
    )
    facts = [line.removeprefix("orders.csv:").replace("column ", "").split(";")[0] for line in told]
    assert facts == [
        "3: order_id: 'b1' is the id of line 2",
        "4: order_id: is empty",
        "4: participant: is empty",
        "4: side: 'buy' is not a side",
        "4: price_micro_per_kwh: '0.6' is not a whole number",
        "4: energy_wh: '0' is not in range",
        "5: slot: 'yesterday' is neither a UTC time since 1970 nor a number",
        "5: price_micro_per_kwh: '-1' is not in range",
        "5: energy_wh: '2147483648' is not in range",
        "5: limit_micro_per_kwh: '2147483648' is not in range",
        "5: submitted_ms: '-1' is not in range",
        "6: slot: nothing is neither a UTC time since 1970 nor a number",
        "6: side: 'Offer' is not a side",
        "6: price_micro_per_kwh: nothing is not a whole number",
        "6: energy_wh: '1e3' is not a whole number",
        "6: limit_micro_per_kwh: 'x' is not a whole number",
        "6: submitted_ms: '1.5' is not a whole number",
        "7: has 7 fields, the header has 8",
        "8: limit_micro_per_kwh: 500001 is above the offer's price 500000",
        "9: limit_micro_per_kwh: 499999 is below the bid's price 500000",
        "10: slot: '7' is a number, line 2 gives a time",
    ]


@pytest.mark.parametrize(
    ("row", "remedy"),
    [
        (
            f"b1,ann,{NOON},bid,0.45,1",
            "is not a whole number; allowed: 0..2147483647; give micro-currency per kWh, 0.45 is",
        ),
        (f"b1,ann,{NOON},buy,45,1", "'buy' is not a side; write bid to buy, offer to sell"),
        (f"b1,ann,{NOON},Offer,45,1", "'Offer' is not a side; did you mean 'offer'?; write bid"),
        ("b1,ann,noon,bid,45,1", "write the start as 2024-06-01T12:00:00Z, or a whole number"),
        (f",ann,{NOON},bid,45,1", "is empty; give every order an id of its own"),
    ],
)
def test_a_problem_says_what_is_allowed_and_what_to_do(
    tmp_path: Path, row: str, remedy: str
) -> None:
    (told,) = problems(tmp_path, f"{HEADER}\n{row}\n")
    assert remedy in told


def test_header_problems(tmp_path: Path) -> None:
    told = problems(tmp_path, "order_id,participant,slot,sides,energy_wh,energy_wh,note\n1,2\n")
    assert [line.split(";")[0] for line in told] == [
        "orders.csv:1: column side is missing",
        "orders.csv:1: column price_micro_per_kwh is missing",
        "orders.csv:1: 'sides' is not a known column",
        "orders.csv:1: column 'energy_wh' stands twice",
        "orders.csv:1: 'note' is not a known column",
    ]
    assert "did you mean 'side'?" in told[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "orders.csv:1: is empty; write a header"),
        (b"\xef\xbb\xbf \n\n", "orders.csv:1: is empty; write a header"),
        (f"{HEADER}\n".encode(), "orders.csv:1: has no orders below the header"),
        (HEADER.replace(",", ";").encode(), "orders.csv:1: separates columns by semicolons"),
        (f"{HEADER}\nb1,ann,1,bid,1,1\nb\xe4".encode("latin-1"), "orders.csv:3: byte 0xe4 is not"),
        (HEADER.encode("utf-16"), "orders.csv:1: byte 0xff is not UTF-8"),
        (f'{HEADER}\nb1,"ann,1,bid,1,1\n'.encode(), "orders.csv:2: is not CSV: unexpected end"),
        (
            f'{HEADER}\n"b\n1",ann,1,bid,1,1\n'.encode(),
            "orders.csv:3: column order_id: 'b\\n1'",
        ),
        (
            f"{HEADER}\nb1,a\x07n,1,bid,1,1\n".encode(),
            "orders.csv:2: column participant: 'a\\x07",
        ),
    ],
)
def test_files_that_are_no_order_files(tmp_path: Path, content: bytes, message: str) -> None:
    (told,) = problems(tmp_path, content)
    assert told.startswith(message)


@pytest.mark.parametrize(
    "slot",
    [
        "2024-06-01T12:00:00",  # of which zone?
        "2024-06-01",
        "2024-13-01T12:00:00Z",
        "2024-06-01T12:00:00.5Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "-1",
        "1.0",
        str(2**63),
        "9" * 31,
        "१२",
    ],
)
def test_slots_that_are_none(tmp_path: Path, slot: str) -> None:
    (told,) = problems(tmp_path, f"{HEADER}\nb1,ann,{slot},bid,1,1\n")
    assert "is neither a UTC time since 1970 nor a number" in told


@pytest.mark.parametrize(
    "text", ["1_000", "0x10", "\uff11\uff12", "1 000", "NaN", "inf", "9" * 5000, "--1"]
)
def test_numbers_that_are_none(tmp_path: Path, text: str) -> None:
    (told,) = problems(tmp_path, f"{HEADER}\nb1,ann,1,bid,{text},1\n")
    assert "column price_micro_per_kwh" in told
    assert len(told) < 250


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_orders(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_orders(tmp_path)


# Writing


BOOKS = f"""{HEADER}
s1,bob,{{0}},offer,500001,1001
b1,ann,{{0}},bid,600000,700
b2,cem,{{0}},bid,510000,400
"""


def cleared(tmp_path: Path, content: str) -> list[tuple[SlotBook, AuctionResult]]:
    return [
        (book, clear_auction(book.bids, book.offers, TieRule.PRO_RATA))
        for book in read(tmp_path, content).books
    ]


def test_trades_of_one_slot(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    write_trades(path, cleared(tmp_path, BOOKS.format(NOON)))
    # 1100001 x 700 / 2 = 385000350; 1010001 x 301 / 2 = 152005150.5, the buyer pays the ceiling
    assert path.read_bytes().decode() == (
        "trade_id,stage,seller_order,buyer_order,energy_wh,price_sum_micro_per_kwh,payment_nano\n"
        "2024-06-01T12:00:00Z.0,1,s1,b1,700,1100001,385000350\n"
        "2024-06-01T12:00:00Z.1,1,s1,b2,301,1010001,152005151\n"
    )


def test_several_slots_get_a_column(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    content = f"""{HEADER}
s1,bob,9,offer,5,10
b1,ann,9,bid,5,10
s2,bob,10,offer,5,10
"b,2",ann,10,bid,5,10
s3,bob,11,offer,5,10
"""
    write_trades(path, cleared(tmp_path, content))
    assert path.read_bytes().decode() == (
        "slot,trade_id,stage,seller_order,buyer_order,energy_wh,price_sum_micro_per_kwh,"
        "payment_nano\n"
        "9,9.0,1,s1,b1,10,10,50\n"
        '10,10.0,1,s2,"b,2",10,10,50\n'
    )


def test_the_new_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("old")
    write_trades(path, cleared(tmp_path, BOOKS.format(1)))
    assert path.read_text().startswith("trade_id,")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["orders.csv", "trades.csv"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("old")
    ((book, result),) = cleared(tmp_path, BOOKS.format(1))
    with pytest.raises(IndexError):  # a result of another book
        write_trades(path, [(SlotBook("1", (), (), book.bids, (), (), book.offers), result)])
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["orders.csv", "trades.csv"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        write_trades(tmp_path / "absent" / "trades.csv", [])
