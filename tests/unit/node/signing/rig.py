"""A signer on its own: a folder, and what a replica would give it to sign."""

from __future__ import annotations

from pathlib import Path

import msgspec
from nacl.pwhash import argon2id

from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    RaftMessage,
    VoteReply,
    VoteRequest,
)
from gridpact.node.signing.folder import POSITION, Kind, make_key
from gridpact.node.signing.keyfile import Effort, key_path, unlock
from gridpact.node.signing.position import PositionFile
from gridpact.node.signing.raft_signer import FRAME_TAG, RaftPosition, RaftSigner
from gridpact.node.signing.standing import Standing

CHAIN = bytes(range(32))
NAME = "a"
LITTLE = Effort(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
"""Enough for tests."""
NOW_MS = 1_800_000_000_000


def make(folder: Path) -> Path:
    """The folder of a Raft signer whose key is not protected."""
    make_key(folder, kind=Kind.RAFT, chain=CHAIN, name=NAME, passphrase=None)
    return folder


class Opened:
    """The signer of a folder in this process."""

    def __init__(self, folder: Path, signer_type: type[RaftSigner] = RaftSigner) -> None:
        self.file = PositionFile(folder / POSITION, RaftPosition)
        self.standing = Standing(folder, lambda: NOW_MS)
        key = unlock(key_path(folder, 1))
        self.public = key.public
        self.signer = signer_type(key, CHAIN, NAME, self.file, self.standing)

    def __enter__(self) -> RaftSigner:
        return self.signer

    def __exit__(self, *_: object) -> None:
        self.file.close()


def signed(message: RaftMessage, to: str = "b", sender: str = NAME, chain: bytes = CHAIN) -> bytes:
    """What the signature of a frame covers."""
    names = sender.encode() + b"\x00" + to.encode() + b"\x00"
    return FRAME_TAG + chain + names + msgspec.msgpack.encode(message)


def vote(term: int) -> VoteReply:
    return VoteReply(term, granted=True, trial=False)


def candidacy(term: int) -> VoteRequest:
    return VoteRequest(term, 0, 0, trial=False, asked_to=False)


def confirmation(term: int, index: int) -> AppendReply:
    return AppendReply(term, accepted=True, index=index, question=0)


def heartbeat(term: int) -> Append:
    return Append(term, 0, 0, [], 0, 0)
