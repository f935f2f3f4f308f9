"""A node's door and who comes in: real sockets, with an embedded engine or a played one behind."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.ledger_bench import Bench, Signed

from gridpact.codec import Wire, sha256
from gridpact.contracts.keys import CLOCK, party_key
from gridpact.errors import InputError, InvariantError, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Clock, Seal, SlotSeals, Verdict
from gridpact.node import EmbeddedEngine, Refusal
from gridpact.node.door import Door, NodeStatus, RemoteEngine, door_path
from gridpact.node.door import messages as messages_module
from gridpact.node.door import remote as remote_module
from gridpact.node.door import server as server_module
from gridpact.node.door.messages import (
    MESSAGE_BYTES_MAX,
    DoorError,
    Receipts,
    Request,
    Status,
    Submit,
    Values,
    framed,
    read_answer,
)
from gridpact.node.port import QueryResult

WAITS_S = 10.0


class Played:
    """An engine that says what a test wants."""

    genesis_hash = bytes(32)

    def __init__(self) -> None:
        self.submitted: list[Signed] = []
        self.verdict = Verdict.ACCEPTED
        self.error: Exception | None = None
        self.full = 0
        """So many are not taken."""
        self.answers = asyncio.Event()
        """Receipts are there."""
        self.found: list[Wire | None] = []
        self.looked_up = 0

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        self.check()
        self.submitted.append((envelope, payload))
        if self.full:
            self.full -= 1
            return Verdict.MEMPOOL_FULL
        return self.verdict

    async def receipts(self, ids: Sequence[bytes]) -> list[Receipt | Refusal]:
        await self.answers.wait()
        self.check()
        return [Receipt(one, int(Verdict.ACCEPTED), b"") for one in ids]

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        self.check()
        self.looked_up += 1
        return [*self.found] * len(keys)

    async def query(self, key: str) -> QueryResult:
        raise self.error or InputError([])


class Watched(Door):
    """A door that notes what is asked, and may keep what was said to itself."""

    def __init__(self, engine: EmbeddedEngine | Played, name: str = "val-1") -> None:
        super().__init__(engine, lambda number: status(name, number))
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        self.silent = False

    async def _answer(self, request: Request):  # type: ignore[no-untyped-def]
        self.requests.append(request)
        answer = await super()._answer(request)
        self.asked.set()
        if self.silent:
            await asyncio.Event().wait()
        return answer


def status(name: str, number: int) -> NodeStatus:
    return NodeStatus(number, name, "embedded", bytes(32), 3, bytes(32), bytes(32), "", 0, 0)


class Rig:
    """Doors in a folder, and the clients that came in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench()
        self._stack = contextlib.AsyncExitStack()

    async def embedded(self) -> EmbeddedEngine:
        engine = await EmbeddedEngine.create(self.folder / "ledger", self.bench.genesis)
        self._stack.push_async_callback(engine.close)
        return engine

    async def open(self, engine: EmbeddedEngine | Played, name: str = "val-1") -> Watched:
        door = Watched(engine, name)
        await door.start(self.path(name))
        self._stack.push_async_callback(door.close)
        return door

    def path(self, name: str = "val-1") -> Path:
        return self.folder / f"{name}.sock"

    async def connect(self, *names: str) -> RemoteEngine:
        remote = await RemoteEngine.connect([self.path(name) for name in names or ("val-1",)])
        self._stack.push_async_callback(remote.close)
        return remote

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that may say anything."""
        reader, writer = await asyncio.open_unix_connection(self.path())
        self._stack.callback(writer.close)
        return reader, writer

    async def close(self) -> None:
        await self._stack.aclose()


Run = Callable[[Callable[[Rig], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(remote_module, "RETRY_S", 0.005)

    def started(work: Callable[[Rig], Awaitable[None]]) -> None:
        async def whole() -> None:
            rig = Rig(tmp_path)
            try:
                async with asyncio.timeout(WAITS_S):
                    await work(rig)
            finally:
                await rig.close()

        asyncio.run(whole())

    return started


# All requests


def test_everything_that_an_engine_does_can_be_asked_for(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = await rig.embedded()
        await rig.open(engine)
        remote = await rig.connect()
        assert (await remote.status()).name == "val-1"
        assert remote.genesis_hash == bytes(32)
        with pytest.raises(InputError, match="before the first block") as refused:
            await remote.query(CLOCK)
        assert refused.value.problems[0].where == CLOCK
        ann, tariff = rig.bench.register("ann"), rig.bench.tariff()
        told = await asyncio.gather(*(remote.submit(*signed) for signed in (ann, tariff)))
        assert told == [Verdict.ACCEPTED] * 2
        ids = [sha256(signed[0]) for signed in (ann, tariff)]
        receipts = await remote.receipts(ids)
        assert receipts == await engine.receipts(ids)
        assert all(isinstance(one, Receipt) for one in receipts)
        assert await remote.submit(*ann) == Verdict.NONCE_USED
        assert await remote.submit(ann[0][:-1], ann[1]) == Verdict.MALFORMED_ENVELOPE
        forged = rig.bench.sign("prices", 20, tariff_body(rig), nonce=2, key_of="ann")
        assert await remote.submit(*forged) == Verdict.ACCEPTED
        refusal = Refusal(sha256(forged[0]), Verdict.BAD_SIGNATURE)
        assert await remote.receipts([refusal.transaction]) == [refusal]
        keys = [CLOCK, party_key("prices"), "party/nobody"]
        assert await remote.values(keys) == await engine.values(keys)
        assert isinstance((await remote.values([CLOCK]))[0], Clock)
        for key in keys:
            found, there = await remote.query(key), await engine.query(key)
            assert (found.record, found.proof) == (there.record, there.proof)
            assert (found.entry is None) == (there.entry is None) == (key == "party/nobody")
            if found.entry is not None and there.entry is not None:
                assert found.entry.value == there.entry.value
                assert found.entry.content() == there.entry.content()
        with pytest.raises(InputError, match="no such transaction"):
            await remote.receipts([bytes(32)])

    run(work)


def tariff_body(rig: Rig) -> Wire:
    transaction = rig.bench.application.readable(rig.bench.tariff()[0])
    assert not isinstance(transaction, Verdict)
    return transaction.body


def test_what_is_handed_in_together_goes_in_one_request_in_order(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        door = await rig.open(engine)
        remote = await rig.connect()
        items = [(b"%d" % number, b"payload") for number in range(remote_module.SUBMIT_MAX + 3)]
        await asyncio.gather(*(remote.submit(*item) for item in items))
        assert engine.submitted == items
        sizes = [len(one.items) for one in door.requests if isinstance(one, Submit)]
        assert sizes == [remote_module.SUBMIT_MAX, 3]

    run(work)


def test_much_that_is_handed_in_together_goes_in_messages_that_doors_take(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        door = await rig.open(engine)
        remote = await rig.connect()
        items = [(b"%d" % number, bytes(65_536)) for number in range(400)]
        assert sum(len(payload) for _, payload in items) > MESSAGE_BYTES_MAX
        told = await asyncio.gather(*(remote.submit(*item) for item in items))
        assert set(told) == {Verdict.ACCEPTED}
        assert engine.submitted == items
        await door.close()
        again = Played()
        await rig.open(again)
        await remote.status()
        assert again.submitted == items

    run(work)


def test_several_requests_are_under_way_at_once(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        await rig.open(engine)
        remote = await rig.connect()
        waiting = asyncio.create_task(remote.receipts([bytes(32)]))
        assert (await remote.status()).height == 3
        assert not waiting.done()
        engine.answers.set()
        assert await waiting == [Receipt(bytes(32), int(Verdict.ACCEPTED), b"")]

    run(work)


# Errors


def test_what_made_an_engine_stop_is_told(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        await rig.open(engine)
        remote = await rig.connect()
        engine.error = StoreError("the disk is full")
        for asked in (remote.submit(b"x", b""), remote.values([CLOCK])):
            with pytest.raises(DoorError, match="the disk is full"):
                await asked

    run(work)


def test_a_bug_behind_the_door_is_told_and_not_waited_for(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        await rig.open(engine)
        remote = await rig.connect()
        engine.error = InvariantError("never")
        for asked in (remote.submit(b"x", b""), remote.values([CLOCK]), remote.query(CLOCK)):
            with pytest.raises(DoorError, match="InvariantError: never"):
                await asked
        assert (await remote.status()).height == 3

    run(work)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x05hello",
        b"\x00\x00\x00\x00",
        (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
        framed(Values(1, ["x"])).replace(b"x", b"\xff"),
        (4).to_bytes(4, "big") + msgspec.msgpack.encode([99, 1, 2]),
        (3).to_bytes(4, "big") + msgspec.msgpack.encode([5, "1"])[:3],
        (6).to_bytes(4, "big") + b"\x91" * 6,
    ],
)
def test_what_makes_no_sense_ends_that_connection_and_no_other(run: Run, data: bytes) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        door = await rig.open(engine)
        remote = await rig.connect()
        before = list(door.requests)
        reader, writer = await rig.raw()
        writer.write(framed(Status(7)))
        assert await read_answer(reader) == status("val-1", 7)
        writer.write(data)
        assert await reader.read() == b""
        assert (await remote.status()).height == 3
        assert [*before, Status(7)] == door.requests[: len(before) + 1]
        assert engine.submitted == []

    run(work)


def test_who_leaves_in_the_middle_of_a_message_is_forgotten(run: Run) -> None:
    async def work(rig: Rig) -> None:
        door = await rig.open(Played())
        remote = await rig.connect()
        reader, writer = await rig.raw()
        writer.write(framed(Status(7))[:-1])
        writer.write_eof()
        assert await reader.read() == b""
        await remote.status()
        assert len(door._clients) == 1

    run(work)


def test_a_request_that_no_door_takes_is_refused_here(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again at every door, it would be dismissed for ever."""
    monkeypatch.setattr(messages_module, "MESSAGE_BYTES_MAX", 2_000)

    async def work(rig: Rig) -> None:
        engine = Played()
        await rig.open(engine)
        remote = await rig.connect()
        with pytest.raises(DoorError, match="at most 2000 are taken"):
            await remote.submit(bytes(3_000), b"")
        with pytest.raises(DoorError, match="at most 2000 are taken"):
            await remote.values(["party/ann"] * 1_000)
        assert await remote.submit(bytes(1_000), b"") == Verdict.ACCEPTED
        assert engine.submitted == [(bytes(1_000), b"")]

    run(work)


def test_an_answer_that_no_client_takes_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        await rig.open(engine)
        remote = await rig.connect()
        monkeypatch.setattr(messages_module, "MESSAGE_BYTES_MAX", 2_000)
        engine.found = [Receipt(bytes(32), 0, bytes(32))]
        with pytest.raises(DoorError, match="at most 2000 are taken: ask for less"):
            await remote.values(["party/ann"] * 100)
        assert (await remote.status()).height == 3

    run(work)


def test_an_answer_of_another_kind_is_an_error(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        door = await rig.open(engine)
        remote = await rig.connect()

        async def wrong(request: Request) -> NodeStatus:
            return status("val-1", request.number)

        door._answer = wrong  # type: ignore[method-assign]
        with pytest.raises(DoorError, match="of the kind NodeStatus"):
            await remote.values([CLOCK])

    run(work)


def test_a_client_waits_with_more_than_so_many_requests(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "REQUESTS_MAX", 2)

    async def work(rig: Rig) -> None:
        engine = Played()
        door = await rig.open(engine)
        reader, writer = await rig.raw()
        for number in range(1, 4):
            writer.write(framed(Receipts(number, [])))
        other = await rig.connect()
        await other.status()
        assert sum(isinstance(one, Receipts) for one in door.requests) == 2
        engine.answers.set()
        numbers = {(await read_answer(reader)).number for _ in range(3)}
        assert numbers == {1, 2, 3}

    run(work)


def test_a_client_that_does_not_read_gets_no_more_answers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "UNSENT_BYTES_MAX", 2**16)

    async def work(rig: Rig) -> None:
        engine = Played()
        engine.found = [SlotSeals([Seal(1, bytes(32), 1)] * 20_000)]
        await rig.open(engine)
        reader, writer = await rig.raw()
        for number in range(1, 21):
            writer.write(framed(Values(number, ["seals/x"])))
        other = await rig.connect()
        for _ in range(20):
            await other.status()
        assert engine.looked_up < 10
        assert {(await read_answer(reader)).number for _ in range(20)} == set(range(1, 21))

    run(work)


# The socket


def test_only_its_owner_may_use_a_door(run: Run) -> None:
    async def work(rig: Rig) -> None:
        await rig.open(Played())
        mode = rig.path().stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        made = rig.folder / "file"
        made.touch()
        assert stat.S_IMODE(made.stat().st_mode) & 0o077, "others' files are made as before"

    run(work)


def test_a_door_that_a_crash_left_is_replaced(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.path().touch()
        await rig.open(Played())
        assert (await (await rig.connect()).status()).name == "val-1"

    run(work)


def test_a_long_path_gets_a_door_with_a_short_one(run: Run, tmp_path: Path) -> None:
    home = tmp_path / ("long" * 20) / ("longer" * 20)
    home.mkdir(parents=True)
    path = door_path(home)
    assert path.parent == Path(tempfile.gettempdir())
    assert path == door_path(home / ".." / home.name)
    assert path != door_path(home.parent)
    assert door_path(Path("/run/val-1")) == Path("/run/val-1/door.sock")

    async def work(rig: Rig) -> None:
        door = Door(Played(), lambda number: status("far", number))  # type: ignore[arg-type]
        await door.start(path)
        try:
            remote = await RemoteEngine.connect([path])
            assert (await remote.status()).name == "far"
            await remote.close()
        finally:
            await door.close()
            path.unlink(missing_ok=True)

    run(work)


# Several doors


def test_who_comes_early_waits_for_the_first_door_that_opens(run: Run) -> None:
    async def work(rig: Rig) -> None:
        connecting = asyncio.create_task(rig.connect("val-1", "val-2"))
        await asyncio.sleep(0)
        await rig.open(Played(), "val-2")
        remote = await connecting
        assert (await remote.status()).name == "val-2"

    run(work)


def test_the_next_door_answers_when_one_closes_meanwhile(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = await rig.embedded()
        first = await rig.open(engine, "val-1")
        second = await rig.open(engine, "val-2")
        remote = await rig.connect("val-1", "val-2")
        first.silent = True
        ann = rig.bench.register("ann")
        first.asked.clear()
        submitting = asyncio.create_task(remote.submit(*ann))
        await first.asked.wait()
        await first.close()
        rig.path("val-1").unlink()
        assert await submitting == Verdict.ACCEPTED, "the first had taken it in"
        assert isinstance((await remote.receipts([sha256(ann[0])]))[0], Receipt)
        assert (await remote.status()).name == "val-2"
        assert [type(one) for one in second.requests] == [Submit, Receipts, Status]
        assert remote._items == {}

    run(work)


def test_a_nonce_that_is_used_at_the_first_door_is_said_so(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        await rig.open(engine)
        remote = await rig.connect()
        engine.verdict = Verdict.NONCE_USED
        assert await remote.submit(b"x", b"") == Verdict.NONCE_USED
        assert remote._items == {}

    run(work)


def test_what_was_taken_in_and_not_answered_is_handed_in_again(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine, other = Played(), Played()
        first = await rig.open(engine, "val-1")
        await rig.open(other, "val-2")
        remote = await rig.connect("val-1", "val-2")
        items = [(b"%d" % number, b"payload") for number in range(3)]
        for item in items:
            await remote.submit(*item)
        engine.answers.set()
        await remote.receipts([sha256(items[0][0])])
        engine.answers.clear()
        ids = [sha256(raw) for raw, _ in items[1:]]
        waiting = asyncio.create_task(remote.receipts(ids))
        await remote.status()
        await first.close()
        rig.path("val-1").unlink()
        other.answers.set()
        assert [one.transaction for one in await waiting] == ids
        assert other.submitted == items[1:]

    run(work)


def test_what_a_full_node_does_not_take_is_handed_in_once_more(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine, other = Played(), Played()
        first = await rig.open(engine, "val-1")
        await rig.open(other, "val-2")
        remote = await rig.connect("val-1", "val-2")
        items = [(b"%d" % number, b"payload") for number in range(3)]
        for item in items:
            await remote.submit(*item)
        other.full = 2
        await first.close()
        rig.path("val-1").unlink()
        other.answers.set()
        await remote.receipts([sha256(raw) for raw, _ in items])
        assert other.submitted == [*items, *items[:2]], "the first two found it full"

    run(work)


def test_who_has_left_is_told_so_and_does_not_come_back(run: Run) -> None:
    async def work(rig: Rig) -> None:
        engine = Played()
        door = await rig.open(engine)
        remote = await rig.connect()
        door.silent = True
        waiting = [
            asyncio.create_task(remote.receipts([bytes(32)])),
            asyncio.create_task(remote.submit(b"x", b"")),
            asyncio.create_task(remote.values([CLOCK])),
        ]
        await door.asked.wait()
        await remote.close()
        for asked in (*waiting, remote.status(), remote.submit(b"x", b"")):
            with pytest.raises(DoorError, match="closed"):
                await asked
        await remote.close()
        await asyncio.sleep(0)
        assert not door._clients

    run(work)


def test_a_closed_door_tells_who_waits_inside(run: Run) -> None:
    async def work(rig: Rig) -> None:
        door = await rig.open(Played())
        reader, writer = await rig.raw()
        writer.write(framed(Receipts(1, [])) + framed(Status(2)))
        await read_answer(reader)
        await door.close()
        assert await reader.read() == b""

    run(work)
