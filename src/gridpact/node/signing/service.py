"""The signer's side of the Unix socket: one host at a time, one request after the other."""

from __future__ import annotations

import selectors
import socket
from pathlib import Path

import msgspec
import structlog

from gridpact.node.signing.folder import Settings, make_socket_folder
from gridpact.node.signing.raft_signer import RaftSigner
from gridpact.node.signing.refusals import SignerRefusedError
from gridpact.node.signing.wire import (
    VERSION,
    Advance,
    Advanced,
    Answer,
    Begin,
    Channel,
    Compared,
    Hello,
    Known,
    No,
    Request,
    Sign,
    Signed,
)

CALLERS_MAX = 8
"""Connections at a time; one of them is the host."""
REST_WAITS_S = 5.0
"""How long the rest of a message may take."""

_log = structlog.get_logger(__name__)


class RaftService:
    """Serves one host over the socket of a signer's folder.

    Args:
        folder: of the signer.
        settings: whose signer it is.
        public: key in use.
        signer: keeps the rules.
    """

    def __init__(self, folder: Path, settings: Settings, public: bytes, signer: RaftSigner) -> None:
        self._settings, self._public, self._signer = settings, public, signer
        self._path = make_socket_folder(folder)
        self._path.unlink(missing_ok=True)  # whoever holds the position's lock owns the socket
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen(CALLERS_MAX)
        self._callers: set[Channel[Request]] = set()
        self._host: Channel[Request] | None = None
        """The caller that said hello first."""
        self._waker, self._woken = socket.socketpair()

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal's handler."""
        self._waker.send(b"\x00")

    def serve(self, parent: int | None = None) -> None:
        """Answer until told to stop, or until the pipe of the starting process closes.

        Args:
            parent: descriptor of that pipe.
        Raises:
            StoreError: the position cannot be kept any more.
        """
        with selectors.DefaultSelector() as selector:
            for ends in (self._woken, parent):
                if ends is not None:
                    selector.register(ends, selectors.EVENT_READ, self._woken)
            selector.register(self._listener, selectors.EVENT_READ, self._listener)
            while True:
                ready = {key.data for key, _ in selector.select()}
                if self._woken in ready:
                    return
                for caller in self._callers & ready:
                    if not self._answer(caller):
                        selector.unregister(caller.connection)
                        self._drop(caller)
                if self._listener in ready and (new := self._accept()) is not None:
                    selector.register(new.connection, selectors.EVENT_READ, new)

    def close(self) -> None:
        """Take the socket away."""
        for caller in set(self._callers):
            self._drop(caller)
        self._path.unlink(missing_ok=True)
        for one in (self._listener, self._waker, self._woken):
            one.close()

    def _accept(self) -> Channel[Request] | None:
        connection, _ = self._listener.accept()
        if len(self._callers) >= CALLERS_MAX:
            connection.close()
            return None
        connection.settimeout(REST_WAITS_S)
        caller = Channel[Request](connection, Request)
        self._callers.add(caller)
        return caller

    def _drop(self, caller: Channel[Request]) -> None:
        caller.connection.close()
        self._callers.remove(caller)
        if caller is self._host:
            self._host = None
            self._signer.end()

    def _answer(self, caller: Channel[Request]) -> bool:
        """Answer what has come; whether the caller is still there."""
        try:
            caller.send(self._reply(caller, caller.receive()))
            while caller.has_more:
                caller.send(self._reply(caller, caller.receive()))
        except (OSError, msgspec.MsgspecError):
            return False
        return True

    def _reply(self, caller: Channel[Request], request: Request) -> Answer:
        try:
            if isinstance(request, Hello):
                self._know(caller, request)
                return Known(self._public)
            if caller is not self._host:
                raise SignerRefusedError("say hello first")
            return self._done(request)
        except SignerRefusedError as refusal:
            _log.warning("refused", reason=str(refusal))
            return No(str(refusal))

    def _done(self, request: Begin | Advance | Sign) -> Answer:
        match request:
            case Sign(data):
                return Signed(self._signer.sign(data))
            case Advance(term, voted_for, index):
                self._signer.advance(term, voted_for, index)
                return Advanced()
            case Begin(term, voted_for, last_index, index):
                begun = self._signer.begin(term, voted_for, last_index, index)
                _log.info("host begins", status=begun.status.value, term=begun.term)
                return Compared(begun)

    def _know(self, caller: Channel[Request], hello: Hello) -> None:
        settings = self._settings
        if hello.version != VERSION:
            raise SignerRefusedError(f"speaks version {VERSION}, not {hello.version}")
        if (hello.chain, hello.name) != (bytes.fromhex(settings.chain), settings.name):
            raise SignerRefusedError(f"signs for {settings.name} on one chain, for nobody else")
        if self._host not in (None, caller):
            raise SignerRefusedError("another process uses this signer")
        self._host = caller
