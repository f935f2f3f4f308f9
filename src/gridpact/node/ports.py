"""Addresses on this machine: ports that are free, and sockets with short names."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_ports(host: str, count: int) -> list[int]:
    """Ports that nothing listens on now; somebody else may take one before we do."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for found in sockets:
            found.bind((host, 0))
        return [found.getsockname()[1] for found in sockets]
