"""The socket: however the bytes are cut, the answers are the same; what is wrong ends it clearly.

Method: a client sends recorded frames to a server on a real socket, cut at every byte; the handler
answers with what it was asked, so that a frame that was cut wrongly shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import pytest

from gridpact.codec import sha256
from gridpact.errors import InputError, StoreError
from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft.protobuf import Message, encode, read_varint, varint
from gridpact.node.cometbft.server import CONNECTIONS_MAX, REQUESTS_WAITING_MAX, AbciServer

SAID_BEFORE_ITS_END = 5.0
"""Seconds that a server on the same machine may take for anything."""
BLOCK = abci.RequestBlock((b"one", b"two" * 60), b"h" * 32, 9, abci.Timestamp(17, 5))
ASKED: list[tuple[int, Message]] = [
    (abci.ECHO, abci.Echo("hello")),
    (abci.FLUSH, abci.Empty()),
    (abci.INFO, abci.RequestInfo("0.38.25", 11, 8, "2.0.0")),
    (abci.INIT_CHAIN, abci.RequestInitChain(abci.Timestamp(5), "c", (), b"{}", 1)),
    (abci.QUERY, abci.RequestQuery(b"clock", "/state", 0, prove=True)),
    (abci.CHECK_TX, abci.RequestCheckTx(b"t" * 200, 1)),
    (abci.LIST_SNAPSHOTS, abci.Empty()),
    (abci.OFFER_SNAPSHOT, abci.RequestOfferSnapshot(abci.Snapshot(3, 1, 2, b"h", b"m"), b"a")),
    (abci.LOAD_SNAPSHOT_CHUNK, abci.RequestLoadSnapshotChunk(3, 1, 0)),
    (abci.APPLY_SNAPSHOT_CHUNK, abci.RequestApplySnapshotChunk(1, b"c" * 30, "peer")),
    (abci.PREPARE_PROPOSAL, abci.RequestPrepareProposal(999, (b"one",), 9, abci.Timestamp(17))),
    (abci.PROCESS_PROPOSAL, BLOCK),
    (abci.EXTEND_VOTE, abci.Empty()),
    (abci.VERIFY_VOTE_EXTENSION, abci.RequestVerifyVoteExtension(9, b"x")),
    (abci.FINALIZE_BLOCK, BLOCK),
    (abci.COMMIT, abci.Empty()),
    (abci.FLUSH, abci.Empty()),
]


def framed(number: int, request: Message) -> bytes:
    data = abci.write_request(number, request)
    return varint(len(data)) + data


STREAM = b"".join(framed(number, request) for number, request in ASKED)


def told(number: int, request: Message) -> Message:
    """The answer of the test's handler: a response of the right kind that names the request."""
    name = sha256(bytes([number]) + encode(request))
    response = abci.REQUESTS[number][2]
    for field in response.FIELDS.values():
        if field.name in {"message", "data", "log"}:
            return response(**{field.name: name.hex()})
        if field.name in {"app_hash", "chunk", "vote_extension"}:
            return response(**{field.name: name})
        if field.name in {"result", "retain_height"}:
            return response(**{field.name: name[0] + 1})
    return response()


async def handler(number: int, request: Message) -> Message:
    return told(number, request)


EXPECTED = b"".join(
    varint(len(data)) + data
    for data in (
        abci.write_response(n, abci.Empty() if n == abci.FLUSH else told(n, request))
        for n, request in ASKED
    )
)


class Client:
    """A server with one client on it."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.failures: list[Exception] = []
        self.server = AbciServer(handler, self.failures.append, **limits)
        self.path = folder / "app.sock"

    async def __aenter__(self) -> Self:
        await self.server.start(f"unix://{self.path}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))

    async def last_words(self, data: bytes) -> list[tuple[int, Message]]:
        """What the server says to these bytes until it ends the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        said = await asyncio.wait_for(reader.read(-1), SAID_BEFORE_ITS_END)
        writer.close()
        return responses(said)


def responses(data: bytes) -> list[tuple[int, Message]]:
    found, at = [], 0
    while (length := read_varint(data, at)) is not None:
        at = length[1] + length[0]
        found.append(abci.read_response(data[length[1] : at]))
    return found


def run(folder: Path, work: Callable[[Client], Awaitable[None]], **limits: int) -> None:
    async def whole() -> None:
        async with Client(folder, **limits) as client:
            await work(client)

    asyncio.run(whole())


def test_all_requests_are_in_the_stream() -> None:
    assert {number for number, _ in ASKED} == set(abci.REQUESTS)


def test_the_answers_are_the_same_wherever_the_stream_is_cut(tmp_path: Path) -> None:
    async def cut(client: Client) -> None:
        for place in range(1, len(STREAM)):
            reader, writer = await client.connect()
            for part in (STREAM[:place], STREAM[place:]):
                writer.write(part)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            said = await asyncio.wait_for(reader.readexactly(len(EXPECTED)), SAID_BEFORE_ITS_END)
            assert said == EXPECTED, place
            writer.close()
            await writer.wait_closed()
        assert client.failures == []

    run(tmp_path, cut)


def test_a_stream_of_single_bytes_has_the_same_answers(tmp_path: Path) -> None:
    async def drip(client: Client) -> None:
        reader, writer = await client.connect()
        for byte in STREAM:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await reader.readexactly(len(EXPECTED)) == EXPECTED
        writer.close()

    run(tmp_path, drip)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (varint(2**20 + 1), "a frame of 1048577 bytes; at most 1048576"),
        (b"\xff" * 10, "longer than ten"),
        (varint(2) + b"\x0a\x05", "names 5 bytes where 0 are left"),
        (varint(0), "0 messages"),
        (varint(2) + b"\x22\x00", "unknown message 4"),
        (varint(4) + b"\x0a\x00\x12\x00", "2 messages"),
        (varint(3) + b"\x0a\x01\x0a", "cut off"),
    ],
)
def test_what_is_malformed_ends_the_connection_after_what_came_before(
    tmp_path: Path, data: bytes, words: str
) -> None:
    async def malformed(client: Client) -> None:
        said = await client.last_words(framed(abci.ECHO, abci.Echo("first")) + data + STREAM)
        assert [number for number, _ in said] == [abci.ECHO + 1, abci.EXCEPTION]
        last = said[-1][1]
        assert isinstance(last, abci.ResponseException)
        assert words in last.error
        assert client.failures == [], "the application goes on"
        reader, writer = await client.connect()
        writer.write(STREAM)
        assert await reader.readexactly(len(EXPECTED)) == EXPECTED
        writer.close()

    run(tmp_path, malformed, frame_bytes_max=2**20)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("a bug")])
def test_a_request_that_fails_ends_the_connection_and_is_told(
    tmp_path: Path, error: Exception
) -> None:
    async def failing(client: Client) -> None:
        async def fail(number: int, request: Message) -> Message:
            raise error

        client.server.handler = fail
        ((number, last),) = await client.last_words(STREAM)
        assert number == abci.EXCEPTION
        assert isinstance(last, abci.ResponseException)
        assert str(error) in last.error
        assert client.failures == [error]

    run(tmp_path, failing)


def test_connections_do_not_wait_for_each_other_and_keep_their_order(tmp_path: Path) -> None:
    async def together(client: Client) -> None:
        held = asyncio.Event()

        async def slow(number: int, request: Message) -> Message:
            if request == abci.Echo("slow"):
                await held.wait()
            return request

        client.server.handler = slow
        first, second = await client.connect(), await client.connect()
        first[1].write(framed(abci.ECHO, abci.Echo("slow")) + framed(abci.ECHO, abci.Echo("a")))
        second[1].write(framed(abci.ECHO, abci.Echo("b")))
        answer = framed(abci.ECHO, abci.Echo("b"))
        said = await asyncio.wait_for(second[0].readexactly(len(answer)), SAID_BEFORE_ITS_END)
        assert responses(said) == [(abci.ECHO + 1, abci.Echo("b"))]
        held.set()
        size = len(framed(abci.ECHO, abci.Echo("slow")) + answer)
        said = await asyncio.wait_for(first[0].readexactly(size), SAID_BEFORE_ITS_END)
        words = [message for _, message in responses(said)]
        assert words == [abci.Echo("slow"), abci.Echo("a")]
        for _, writer in (first, second):
            writer.close()

    run(tmp_path, together)


def test_a_flood_is_read_no_faster_than_it_is_answered(tmp_path: Path) -> None:
    async def flood(client: Client) -> None:
        count = 3 * REQUESTS_WAITING_MAX
        reader, writer = await client.connect()
        one = framed(abci.ECHO, abci.Echo("again and again"))
        answer = abci.write_response(abci.ECHO, told(abci.ECHO, abci.Echo("again and again")))
        writer.write(one * count)
        size = count * len(varint(len(answer)) + answer)
        said = await asyncio.wait_for(reader.readexactly(size), 6 * SAID_BEFORE_ITS_END)
        assert said == (varint(len(answer)) + answer) * count
        writer.close()

    run(tmp_path, flood)


def test_one_connection_too_many_is_refused(tmp_path: Path) -> None:
    async def crowd(client: Client) -> None:
        open_ones = [await client.connect() for _ in range(CONNECTIONS_MAX)]
        for reader, writer in open_ones:
            writer.write(STREAM)
            assert await reader.readexactly(len(EXPECTED)) == EXPECTED
        reader, refused = await client.connect()
        open_ones.append((reader, refused))
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), SAID_BEFORE_ITS_END)
        for _, writer in open_ones:
            writer.close()

    run(tmp_path, crowd)


def test_tcp_takes_a_free_port_and_a_wrong_address_is_named() -> None:
    async def listen() -> None:
        server = AbciServer(handler, lambda _: None)
        address = await server.start("tcp://127.0.0.1:0")
        host, _, port = address.removeprefix("tcp://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(STREAM)
        assert await reader.readexactly(len(EXPECTED)) == EXPECTED
        writer.close()
        await server.close()
        for wrong in ("localhost", "tcp://host", "unix://", "http://host:1"):
            with pytest.raises(InputError, match="no address"):
                await server.start(wrong)

    asyncio.run(listen())
