"""Writing traces: a file for each start, whole before anything is done, and never in the way."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.unit.node.raft.hosts import Station
from tests.unit.sim.traces import Alone

from gridpact.consensus.raft.messages import VoteRequest
from gridpact.consensus.raft.trace import End, Step, read_trace, state_hash
from gridpact.consensus.shape import Propose, ReadRequest, Received
from gridpact.node.raft import trace
from gridpact.node.signing import SignerGoneError
from gridpact.sim.replay import replay, trace_files


def frames(path: Path) -> list[Step | End]:
    return list(read_trace(path.read_bytes(), str(path))[1])


def test_a_start_begins_a_new_file(tmp_path: Path) -> None:
    for name in ("trace", "trace-1", "trace-2"):
        one = Alone(tmp_path)
        one.decide(name.encode())
        assert one.close() == tmp_path / name
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, "it has what the ledger has"
    assert [file.name for file in trace_files(tmp_path)] == ["trace", "trace-1", "trace-2"]


def test_the_end_has_the_state(tmp_path: Path) -> None:
    one = Alone(tmp_path)
    one.decide(b"block")
    assert frames(one.close())[-1] == End(state_hash(one.replica))


def test_a_step_is_in_the_file_before_any_of_it_is_done(tmp_path: Path) -> None:
    async def work() -> None:
        one = Station(tmp_path)
        seen: list[Step] = []
        one.deliver = lambda _peer, _data: seen.append(one.given()[-1])
        one.host.start()
        one.hear("b", VoteRequest(1, 0, 0, trial=True, asked_to=False))
        assert [type(step.event) for step in seen] == [Received]
        one.close()

    asyncio.run(work())


def test_what_a_signer_refused_is_in_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_data: bytes) -> bytes:
        raise SignerGoneError("the signer is gone")

    async def work() -> None:
        one = Station(tmp_path)
        one.host.start()
        monkeypatch.setattr(one.recorder._signer, "sign", refuse, raising=False)
        with pytest.raises(SignerGoneError):
            one.hear("b", VoteRequest(1, 0, 0, trial=False, asked_to=False))
        one.close()

    asyncio.run(work())
    (last,) = frames(tmp_path / "trace")[-1:]
    assert isinstance(last, Step)
    assert last.digests is None
    (played,) = replay([tmp_path / "trace"]).traces
    assert (played.ending, played.difference) == ("its host could not finish the last step", "")


@pytest.mark.parametrize("first", [True, False])
def test_a_disk_that_refuses_ends_the_trace_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    one = Alone(tmp_path)
    if not first:
        one.decide(b"block")
    whole = len(frames(tmp_path / "trace"))

    def refuse(_file: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", refuse)
        one.give(None if first else Propose(9, b"other"))
    one.give(ReadRequest(3))
    assert len(frames(one.close())) == whole


def test_a_folder_that_refuses_does_not_keep_a_validator_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        one = Alone(tmp_path)
    one.decide(b"block")
    assert one.replica.commit == 2
    one.close()
    assert list(tmp_path.iterdir()) == []


def test_a_trace_has_an_end_to_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "TRACE_BYTES_MAX", 2_000)
    one = Alone(tmp_path)
    one.decide(*(bytes(100) for _ in range(50)))
    path = one.close()
    assert 1_500 < path.stat().st_size <= 2_000
    (played,) = replay([path]).traces
    assert (played.ending, played.difference) == ("not closed", "")
