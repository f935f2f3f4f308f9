"""The signer as a process: its socket, its end, two of them, and how it is unlocked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.node.signing.rig import CHAIN, LITTLE, NAME, confirmation, make, signed, vote

from gridpact.errors import InputError
from gridpact.node.signature_worker import verify_signature
from gridpact.node.signing.client import SignerClient
from gridpact.node.signing.folder import (
    SOCKET_PATH_MAX,
    Kind,
    add_key,
    allow,
    make_key,
    make_socket_folder,
    show,
    socket_path,
    use_key,
)
from gridpact.node.signing.keyfile import PASSPHRASE, check_rotation, write_privately
from gridpact.node.signing.process import SignerProcess
from gridpact.node.signing.raft_signer import RaftPosition, Status
from gridpact.node.signing.refusals import SignerGoneError, SignerRefusedError
from gridpact.node.signing.wire import MESSAGE_MAX, Answer, Channel

WAIT_S = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "signer")


@pytest.fixture
def process(folder: Path) -> Iterator[SignerProcess]:
    process = SignerProcess(folder)
    yield process
    process.stop()


@pytest.fixture
def client(folder: Path, process: SignerProcess) -> Iterator[SignerClient]:
    client = SignerClient(folder, CHAIN, NAME)
    yield client
    client.close()


def test_a_node_signs_through_the_socket(folder: Path, client: SignerClient) -> None:
    assert client.begin(4, "", 3).status is Status.READY
    data = signed(vote(5), "b")
    assert verify_signature(client.public, data, client.sign(data))
    assert show(folder).position == RaftPosition(4, "", 0, 0)
    client.advance(5, "b", 0)
    assert show(folder).position == RaftPosition(5, "b", 0, 0)
    with pytest.raises(SignerRefusedError, match="b has the vote"):
        client.sign(signed(vote(5), "c"))
    with pytest.raises(SignerRefusedError, match="term 4 after term 5"):
        client.advance(4, "", 0)
    assert show(folder).position == RaftPosition(5, "b", 0, 0)
    assert len(client.sign(signed(confirmation(5, 3)))) == 64


def test_the_socket_is_private(folder: Path, client: SignerClient) -> None:
    assert socket_path(folder).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_message_as_long_as_a_frame_is_signed(client: SignerClient) -> None:
    client.begin(4, "", 0)
    with pytest.raises(SignerRefusedError, match="no message of Raft"):
        client.sign(signed(vote(5)) + bytes(MESSAGE_MAX - 1000))
    assert len(client.sign(signed(vote(5)))) == 64


def test_one_host_at_a_time(folder: Path, client: SignerClient) -> None:
    with pytest.raises(SignerRefusedError, match="another process uses"):
        SignerClient(folder, CHAIN, NAME)
    client.begin(4, "", 0)
    client.sign(signed(vote(5), "b"))
    client.close()
    again = SignerClient(folder, CHAIN, NAME)
    with pytest.raises(SignerRefusedError, match="before begin"):
        again.sign(signed(vote(5), "b"))
    begun = again.begin(4, "", 0)
    assert (begun.status, begun.term, begun.voted_for) == (Status.READY, 5, "b")
    again.close()


@pytest.mark.parametrize(("chain", "name"), [(bytes(32), NAME), (CHAIN, "b")])
def test_a_stranger_is_refused(
    folder: Path, process: SignerProcess, chain: bytes, name: str
) -> None:
    with pytest.raises(SignerRefusedError, match="for nobody else"):
        SignerClient(folder, chain, name)


def test_hello_comes_first(folder: Path, client: SignerClient) -> None:
    client.close()
    again = SignerClient.__new__(SignerClient)
    again._connection = socket.socket(socket.AF_UNIX)
    again._connection.connect(str(socket_path(folder)))
    again._channel = Channel[Answer](again._connection, Answer)
    with pytest.raises(SignerRefusedError, match="hello"):
        again.begin(9, "", 0)
    assert show(folder).position == RaftPosition()
    again.close()


def test_rubbish_closes_the_connection_only(folder: Path, process: SignerProcess) -> None:
    for rubbish in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", b"\x00\x00"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_S)
            connection.connect(str(socket_path(folder)))
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    SignerClient(folder, CHAIN, NAME).close()


def test_a_dead_signer_is_told(folder: Path, process: SignerProcess, client: SignerClient) -> None:
    client.begin(4, "", 0)
    os.kill(process.pid, signal.SIGKILL)
    process.stop()
    with pytest.raises(SignerGoneError, match="nothing is sent without it"):
        client.sign(signed(vote(5)))
    with pytest.raises(SignerGoneError, match="the signer is gone"):
        client.advance(5, "", 0)
    with pytest.raises(SignerGoneError, match="the signer is gone"):
        SignerClient(folder, CHAIN, NAME)


def test_what_was_advanced_outlives_a_kill(folder: Path) -> None:
    for term in range(1, 4):
        process = SignerProcess(folder)
        client = SignerClient(folder, CHAIN, NAME)
        assert client.begin(term - 1, "", term - 1).status is Status.READY
        client.advance(term, "", term)
        os.kill(process.pid, signal.SIGKILL)
        process.stop()
        client.close()
        assert show(folder).position == RaftPosition(term, "", term, term)


def test_two_signers_on_one_folder_are_refused(folder: Path, client: SignerClient) -> None:
    with pytest.raises(SignerGoneError, match="another signer has it; two would sign twice"):
        SignerProcess(folder)
    assert client.begin(1, "", 0).status is Status.READY


def test_a_restored_host_waits_for_the_operator(folder: Path) -> None:
    process = SignerProcess(folder)
    client = SignerClient(folder, CHAIN, NAME)
    client.begin(5, "b", 9, 9)
    client.close()
    client = SignerClient(folder, CHAIN, NAME)
    assert client.begin(4, "", 3).status is Status.BEHIND
    with pytest.raises(SignerRefusedError, match="lies behind"):
        client.sign(signed(vote(9)))
    client.close()
    process.stop()
    before = show(folder).position
    allow(folder)
    process = SignerProcess(folder)
    client = SignerClient(folder, CHAIN, NAME)
    begun = client.begin(4, "", 3)
    assert (begun.status, begun.term, begun.voted_for, begun.reach) == (
        Status.CATCHING_UP,
        5,
        "b",
        9,
    )
    assert show(folder).position == before
    client.close()
    process.stop()


def test_it_ends_with_its_parent(folder: Path) -> None:
    """The pipe closes however the parent ends."""
    process = SignerProcess(folder)
    os.kill(process.pid, signal.SIGTERM)  # sent to a whole group: the node must go first
    client = SignerClient(folder, CHAIN, NAME)
    client.begin(1, "", 0)
    pipe = process._process.stdin
    assert pipe is not None
    pipe.close()
    assert process._process.wait(WAIT_S) == 0
    assert not socket_path(folder).exists()
    process.stop()
    client.close()


def test_it_runs_until_sigterm(folder: Path) -> None:
    command = [sys.executable, "-m", "gridpact.node.signing", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        SignerClient(folder, CHAIN, NAME).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert not socket_path(folder).exists()


def test_a_sealed_key_is_unlocked_by_file_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSPHRASE, raising=False)
    folder = tmp_path / "signer"
    public = make_key(
        folder, kind=Kind.RAFT, chain=CHAIN, name=NAME, passphrase=b"Sesame-7", effort=LITTLE
    )
    with pytest.raises(SignerGoneError, match=f"set {PASSPHRASE}"):
        SignerProcess(folder)
    write_privately(tmp_path / "passphrase", b"Sesame-7\n")
    SignerProcess(folder, passphrase_file=tmp_path / "passphrase").stop()
    monkeypatch.setenv(PASSPHRASE, "Sesame-7")
    process = SignerProcess(folder)
    client = SignerClient(folder, CHAIN, NAME)
    assert client.public == public == show(folder).public
    client.close()
    process.stop()
    assert b"Sesame-7" not in (folder / "signer.log").read_bytes()


def test_another_key_is_taken_into_use(folder: Path) -> None:
    known = show(folder).public
    rotation = add_key(folder, None)
    assert check_rotation(rotation, chain=CHAIN, name=NAME, known=known)
    assert show(folder).public == known
    with pytest.raises(InputError, match="key-3"):
        use_key(folder, 3)
    assert show(folder).public == known
    assert use_key(folder, rotation.number) == rotation.new_public == show(folder).public
    process = SignerProcess(folder)
    client = SignerClient(folder, CHAIN, NAME)
    assert client.public == rotation.new_public
    client.close()
    process.stop()


def test_a_long_path_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    folder = make(tmp_path / ("long" * 30))
    path = make_socket_folder(folder)
    assert len(str(path)) <= SOCKET_PATH_MAX
    assert path.parent.stat().st_mode & 0o777 == 0o700
    process = SignerProcess(folder)
    client = SignerClient(folder, CHAIN, NAME)
    assert client.begin(1, "", 0).status is Status.READY
    client.close()
    process.stop()
    assert not path.parent.exists()


def test_a_folder_begins_empty(folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match="is not empty"):
        make(folder)
    assert sorted(folder.iterdir()) == before
