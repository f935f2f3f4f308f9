"""A signer's folder: its settings, its keys, how far it has gone.

The folder is not part of a backup of the node: an older copy of it would let a key sign twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from gridpact.errors import InputError, Problem, StoreError
from gridpact.node.signing.cometbft_signer import CometbftPosition
from gridpact.node.signing.keyfile import (
    Effort,
    Rotation,
    change_passphrase,
    is_sealed,
    key_path,
    new_key,
    public_key,
    rotate,
    write_privately,
)
from gridpact.node.signing.position import PositionFile, create_position, read_position
from gridpact.node.signing.raft_signer import RaftPosition
from gridpact.node.signing.standing import Allowed, Behind, Standing

SETTINGS = "signer.json"
POSITION = "position"
SOCKET = "signer.sock"
SOCKET_PATH_MAX = 100
"""Longer paths do not fit a Unix socket's address."""
FORMAT = "gridpact/signer/v1"


class Kind(Enum):
    """For whom a signer works."""

    RAFT = "raft"
    COMETBFT = "cometbft"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a signer needs to know, as `signer.json` in its folder."""

    format: str
    kind: Kind
    chain: str
    """Name of the chain, 32 bytes in hexadecimal."""
    name: str
    """Of the member."""
    key: int = 1
    """Number of the key in use."""
    chain_id: str = ""
    """What CometBFT calls the chain."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person may see of a signer."""

    settings: Settings
    public: bytes
    """Of the key in use."""
    position: RaftPosition | CometbftPosition
    behind: Behind | None
    allowed: Allowed | None


def make_key(
    folder: Path,
    *,
    kind: Kind,
    chain: bytes,
    name: str,
    passphrase: bytes | None,
    effort: Effort | None = None,
    chain_id: str = "",
    seed: bytes | None = None,
) -> bytes:
    """Make the folder of a signer that has signed nothing, with its first key.

    Args:
        folder: empty or absent.
        kind: for whom it signs.
        chain: name of the chain, 32 bytes.
        name: of the member.
        passphrase: seals the key; None leaves it unprotected.
        effort: to be spent on each try of the passphrase.
        chain_id: what CometBFT calls the chain.
        seed: 32 bytes of a key that is known already; else the operating system's randomness.
    Returns:
        The public key, 32 bytes.
    Raises:
        InputError: the folder is not empty, or the passphrase is.
        StoreError: the disk refused.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError([Problem(str(folder), "is not empty; a signer begins in a new folder")])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = new_key(key_path(folder, 1), passphrase, effort=effort, seed=seed)
    create_position(folder / POSITION, _first(kind))
    _write_settings(folder, Settings(FORMAT, kind, chain.hex(), name, 1, chain_id))
    return public


def read_settings(folder: Path) -> Settings:
    """What `make_key` wrote.

    Raises:
        InputError: no such folder, or none of ours.
    """
    path = folder / SETTINGS
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError([Problem(str(path), f"no settings of a signer: {error}")]) from error
    if settings.format != FORMAT:
        raise InputError([Problem(str(path), f"is {settings.format}; this reads {FORMAT}")])
    return settings


def show(folder: Path) -> Shown:
    """What a person may see; also while the signer runs.

    Raises:
        InputError: no folder of a signer.
        StoreError: damaged.
    """
    settings = read_settings(folder)
    standing = Standing(folder)
    return Shown(
        settings,
        public_key(key_path(folder, settings.key)),
        read_position(folder / POSITION, type(_first(settings.kind))),
        standing.behind,
        standing.allowed,
    )


def allow(folder: Path) -> Allowed:
    """Let a host go on that was restored from an older copy; its position stays where it is.

    Raises:
        InputError: no start was refused.
        StoreError: the signer runs; stop it first.
    """
    position_type = type(_first(read_settings(folder).kind))
    held = PositionFile(folder / POSITION, position_type)
    try:
        return Standing(folder).allow()
    finally:
        held.close()


def add_key(folder: Path, passphrase: bytes | None, *, effort: Effort | None = None) -> Rotation:
    """Make the next key: see `rotate`. `use_key` takes it into use."""
    settings = read_settings(folder)
    chain = bytes.fromhex(settings.chain)
    return rotate(folder, settings.key, passphrase, chain=chain, name=settings.name, effort=effort)


def use_key(folder: Path, number: int) -> bytes:
    """Sign with another key of the folder from the next start on; returns its public half.

    Raises:
        InputError: no such key.
    """
    public = public_key(key_path(folder, number))
    _write_settings(folder, msgspec.structs.replace(read_settings(folder), key=number))
    return public


def socket_path(folder: Path) -> Path:
    """Where node and signer of this folder meet: in it, or in a place with a shorter name.

    The signer of a Raft replica listens there; that of CometBFT finds CometBFT listening.
    """
    path = folder.resolve() / SOCKET
    if len(str(path)) <= SOCKET_PATH_MAX:
        return path
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"gridpact-{os.getuid()}-{digest}" / SOCKET


def make_socket_folder(folder: Path) -> Path:
    """Make the place of the socket, where only we can reach it; returns `socket_path`.

    Raises:
        StoreError: somebody else has made it.
    """
    path = socket_path(folder)
    if path.parent != folder.resolve():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        status = path.parent.lstat()
        if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
            raise StoreError(f"{path.parent}: belongs to somebody else; remove it")
    return path


def leave_socket_folder(folder: Path) -> None:
    """Remove the place of the socket, unless it is the folder itself or something is in it."""
    path = socket_path(folder)
    if path.parent != folder.resolve():
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _first(kind: Kind) -> RaftPosition | CometbftPosition:
    return RaftPosition() if kind is Kind.RAFT else CometbftPosition()


def _write_settings(folder: Path, settings: Settings) -> None:
    write_privately(folder / SETTINGS, msgspec.json.format(msgspec.json.encode(settings)) + b"\n")


def reseal(folder: Path, prompt: Callable[[str], str]) -> None:
    """Seal the key in use with another passphrase.

    Args:
        folder: of the signer, which should not run.
        prompt: gets a person's answer; an empty new passphrase is refused.
    Raises:
        InputError: the old passphrase is wrong, or the new one was not repeated.
        StoreError: the disk refused; the old file is still there.
    """
    path = key_path(folder, read_settings(folder).key)
    old = prompt(f"Passphrase of {path}").encode() if is_sealed(path) else None
    new, again = prompt("New passphrase"), prompt("The same again")
    if new != again:
        raise InputError([Problem(str(path), "the new passphrase was not repeated; try again")])
    change_passphrase(path, old, new.encode())
