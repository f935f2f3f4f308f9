"""Running a signer: this process as one, or one as a child of a node."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol, cast

import structlog

from gridpact.errors import GridpactError, invariant
from gridpact.node.signing.cometbft_signer import CometbftPosition, CometbftSigner
from gridpact.node.signing.folder import (
    POSITION,
    Kind,
    Settings,
    leave_socket_folder,
    make_socket_folder,
    read_settings,
)
from gridpact.node.signing.keyfile import SigningKey, key_path, unlock_with
from gridpact.node.signing.position import PositionFile
from gridpact.node.signing.raft_signer import RaftPosition, RaftSigner
from gridpact.node.signing.refusals import SignerGoneError
from gridpact.node.signing.service import RaftService
from gridpact.node.signing.standing import Standing

READY = b"ready\n"
"""What a child writes once it can be reached."""
LOCK_WAITS_S = 3.0
"""How long the signer of a node that has just been killed may take to end."""
STOP_WAITS_S = 5.0

_log = structlog.get_logger(__name__)


class _Service(Protocol):
    def serve(self, parent: int | None = None) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


def run(
    folder: Path,
    *,
    passphrase_file: Path | None = None,
    prompt: Callable[[str], str] | None = None,
    parent: int | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Be the signer of a folder until SIGTERM or SIGINT.

    Args:
        folder: that `make_key` made.
        passphrase_file: see `unlock_with`.
        prompt: see `unlock_with`.
        parent: descriptor of a pipe; when its other end closes, this ends too.
        ready: called once nodes can connect.
    Raises:
        InputError: no such folder, or no way to unlock its key.
        StoreError: the position is damaged or used by another signer, or cannot be kept.
    """
    settings = read_settings(folder)
    path = key_path(folder, settings.key)
    key = unlock_with(path, passphrase_file=passphrase_file, prompt=prompt)
    service, close = _open(folder, settings, key)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            if parent is None:
                signal.signal(number, lambda *_: service.stop())
            else:  # a child that ended before its node would leave it without signatures
                signal.signal(number, signal.SIG_IGN)
        _log.info("signer started", name=settings.name, public=key.public.hex())
        ready()
        service.serve(parent)
    finally:
        service.close()
        leave_socket_folder(folder)
        close()
        _log.info("signer stopped", name=settings.name)


def _open(folder: Path, settings: Settings, key: SigningKey) -> tuple[_Service, Callable[[], None]]:
    """(service, what lets go of the position)."""
    standing = Standing(folder)
    if settings.kind is Kind.COMETBFT:
        # the protocol of CometBFT loads all of its room, which needs this one
        from gridpact.node.signing.privval import CometbftService

        last = PositionFile(folder / POSITION, CometbftPosition, wait_s=LOCK_WAITS_S)
        path = make_socket_folder(folder)
        signer = CometbftSigner(key, last, standing)
        return CometbftService(path, settings.chain_id, signer), last.close
    file = PositionFile(folder / POSITION, RaftPosition, wait_s=LOCK_WAITS_S)
    raft_signer = RaftSigner(key, bytes.fromhex(settings.chain), settings.name, file, standing)
    return RaftService(folder, settings, key.public, raft_signer), file.close


class SignerProcess:
    """A signer as a child; it also ends when this process does, whatever the reason.

    Args:
        folder: of the signer.
        passphrase_file: see `unlock_with`; the child knows the environment too.
    Raises:
        SignerGoneError: it did not start; says why.
    """

    def __init__(self, folder: Path, *, passphrase_file: Path | None = None) -> None:
        command = [sys.executable, "-m", "gridpact.node.signing", str(folder), "--child"]
        if passphrase_file is not None:
            command += ["--passphrase-file", str(passphrase_file)]
        log = folder / "signer.log"
        with log.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter, our module)
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink
            )
        if self._output.readline() != READY:
            self.stop()
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise SignerGoneError(f"{folder}: the signer did not start: {said[-1] if said else ''}")

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    def fileno(self) -> int:
        """A descriptor that can be read once the child has ended, for whatever reason."""
        return self._output.fileno()

    @property
    def _output(self) -> IO[bytes]:
        """Where the child says that it is ready, and nothing else."""
        invariant(self._process.stdout is not None, "the child was started with pipes")
        return cast("IO[bytes]", self._process.stdout)

    def stop(self) -> None:
        """Ask it to end, and make it when it does not."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(STOP_WAITS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(arguments: Sequence[str]) -> int:
    """`python -m gridpact.node.signing FOLDER`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gridpact.node.signing")
    parser.add_argument("folder", type=Path, help="folder of the signer")
    parser.add_argument("--passphrase-file", type=Path, help="only its owner may read it")
    parser.add_argument("--child", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)

    def say_ready() -> None:
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()

    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))
    try:
        run(
            options.folder,
            passphrase_file=options.passphrase_file,
            parent=sys.stdin.fileno() if options.child else None,
            ready=say_ready,
        )
    except GridpactError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
