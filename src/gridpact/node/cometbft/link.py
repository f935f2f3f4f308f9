"""How validators hand each other payloads: pushed with the transaction, or asked for by its id.

A frame on the links holds one canonical message; its channel says which. Nothing here is believed:
what comes goes to `Held.take`, which looks whether a payload has the hash that its envelope names.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from gridpact.codec import CodecError, Hash, Wire, decode, encode, sha256
from gridpact.node.links import Counts, Limits, LinkError, Member, Mesh, Reason

LINK_VERSION = 2
ITEMS_BYTES_MAX = 4 * 2**20
"""Payloads per frame; longer lists are several frames."""
LIMITS = Limits(
    frame_bytes_max=16 * 2**20,
    unsent_bytes_max=32 * 2**20,
    frame_s=30.0,
    retry_most_s=2.0,
)
"""A peer that does not keep up is not pushed to any more: it asks for what it lacks."""
PUSH, WANT = 1, 2
"""Channels."""


class Push(Wire, frozen=True):
    """(envelope, payload): new ones, or those that were asked for."""

    items: list[tuple[bytes, bytes]]


class Want(Wire, frozen=True):
    """Ids of transactions whose payloads the sender lacks."""

    ids: list[Hash]


class Held(Protocol):
    """Where payloads lie."""

    def take(self, envelope: bytes, sealed: bytes) -> bool:
        """Keep a payload that somebody sent, if it is one that fits the envelope."""

    def held(self, ids: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """(envelope, payload) of those that are here."""


def pushes(items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Messages that carry these payloads, each of a size that is taken."""
    messages, batch, size = [], [], 0
    for item in items:
        batch.append(item)
        size += len(item[0]) + len(item[1])
        if size >= ITEMS_BYTES_MAX:
            messages.append(encode(Push(batch)))
            batch, size = [], 0
    if batch:
        messages.append(encode(Push(batch)))
    return messages


class PayloadLink:
    """One validator's end of all its links.

    Args:
        held: where payloads lie.
        genesis_hash: of the chain; validators of others are refused.
        own: this validator.
        key: file with its private key.
        peers: the other validators.
    Raises:
        InputError: a certificate or the key is none, or a validator is named twice.
    """

    def __init__(
        self, held: Held, genesis_hash: bytes, own: Member, key: Path, peers: Sequence[Member]
    ) -> None:
        self._held = held
        self.mesh = Mesh(
            own,
            key,
            peers,
            chain=genesis_hash,
            version=LINK_VERSION,
            received=self._received,
            chance=random.Random(),
            limits=LIMITS,
        )
        self._came = asyncio.Event()

    async def start(self, listener: socket.socket | None = None) -> None:
        """See `Mesh.start`."""
        await self.mesh.start(listener)

    async def close(self) -> None:
        """End all connections."""
        await self.mesh.close()

    @property
    def counts(self) -> Counts:
        """What the links have done."""
        return self.mesh.counts

    def push(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        """Send payloads to all peers that are there and keep up; the others ask."""
        messages = pushes([item for item in items if item[1]])
        for peer in self.mesh.peers:
            self._send_all(peer, messages)

    async def fetch(self, ids: Collection[bytes], timeout_s: float) -> None:
        """See `adapter.Fetch`."""
        left = set(ids)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    for peer in self.mesh.peers:
                        self.mesh.send(peer, WANT, encode(Want(sorted(left))))
                    retry_at = asyncio.get_running_loop().time() + timeout_s / 4
                    while left and asyncio.get_running_loop().time() < retry_at:
                        self._came.clear()
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._came.wait(), timeout_s / 4)
                        left -= self._here(left)
                    if not left:
                        return

    def _here(self, ids: set[bytes]) -> set[bytes]:
        return {sha256(envelope) for envelope, _ in self._held.held(ids)}

    def _send_all(self, peer: str, messages: Sequence[bytes]) -> None:
        """As many as the peer keeps up with."""
        for message in messages:
            if not self.mesh.send(peer, PUSH, message):
                return

    def _received(self, peer: str, channel: int, data: bytes) -> None:
        """Take or give payloads."""
        try:
            if channel == PUSH:
                for envelope, sealed in decode(Push, data).items:
                    self._held.take(envelope, sealed)
                self._came.set()
            elif channel == WANT:
                self._send_all(peer, pushes(self._held.held(decode(Want, data).ids)))
            else:
                raise LinkError(Reason.MALFORMED, f"nothing is said on channel {channel}")
        except CodecError as error:
            raise LinkError(Reason.MALFORMED, str(error)) from error
