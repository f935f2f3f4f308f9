"""Folders of Raft validators: who the members are, where they are, what proves it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gridpact.consensus.configuration import Faults, next_weights
from gridpact.contracts.genesis import (
    Genesis,
    genesis_from_json,
    genesis_hash,
    genesis_to_json,
)
from gridpact.errors import InputError, Problem
from gridpact.files import sync_folder, write_durably
from gridpact.node.engines import RAFT, WEIGHTED_RAFT
from gridpact.node.links import Member, make_identity, write_key
from gridpact.node.ports import free_ports
from gridpact.node.raft.blocks import BLOCK_BYTES_MAX, ITEM_BYTES
from gridpact.node.signing import Kind, make_key, use_key
from gridpact.node.signing.keyfile import Rotation, check_rotation

NODE = "node.json"
GENESIS = "genesis.json"
LINK_KEY = "link.key"
LEDGER = "ledger"
WAL = "raft.wal"
SIGNER = "signer"
"""Files and folders of a validator."""
PUBLIC_KEY_BYTES = 32
RAFT_ENGINES = (RAFT, WEIGHTED_RAFT)


class RaftMember(Member, frozen=True):
    """A validator as the others know it, with the key that signs what it says in the protocol."""

    public_key: str
    """Ed25519, in hexadecimal."""


class WeightChange(msgspec.Struct, frozen=True):
    """Other voting weights, from a height of the ledger on."""

    height: int
    weights: dict[str, int]


class RaftSettings(msgspec.Struct, frozen=True):
    """What a validator's process needs to know, as `node.json` in its folder."""

    engine: str
    name: str
    """Party id of this validator."""
    members: list[RaftMember]
    """All validators, this one too."""
    one_way_ms: int
    """99th percentile of how long a message takes; timeouts follow from it."""
    trace: bool
    """Whether all events are written to a file, to replay them in the simulator."""
    metrics_port: int = 0
    """Where figures are served on `metrics_host`; 0: nowhere."""
    metrics_host: str = "127.0.0.1"
    changes: list[WeightChange] = []
    """In order of height; the same on all validators. A script, until scores are on the ledger."""

    def weights_at(self, height: int, first: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """The voting weights that a height of the ledger leads to, two decisions later.

        Weights under which the heaviest minority could stop the others do not come into force.

        Args:
            height: of the ledger.
            first: weights of the genesis.
        """
        held = dict(first)
        for change in self.changes:
            if change.height < height:
                faulty = (len(change.weights) - 1) // 2
                held = next_weights(held, change.weights, faulty, Faults.CRASH)
        return tuple(sorted(held.items()))

    @property
    def own(self) -> RaftMember:
        """This validator."""
        return next(member for member in self.members if member.name == self.name)

    @property
    def others(self) -> list[RaftMember]:
        """The other validators."""
        return [member for member in self.members if member.name != self.name]


def write_homes(
    folder: Path,
    genesis: Genesis,
    *,
    engine: str,
    host: str = "127.0.0.1",
    one_way_ms: int = 5,
    trace: bool = False,
) -> list[Path]:
    """A folder for each validator of the genesis, all on one machine.

    Keys of the signers are unprotected: such a network is for trying out (`docs/network.md`).

    Args:
        folder: empty or absent.
        genesis: of the chain.
        engine: name of one of the Rafts.
        host: address of the machine.
        one_way_ms: see `RaftSettings`.
        trace: see `RaftSettings`.
    Returns:
        The folders, in the order of the genesis.
    Raises:
        InputError: the folder is there and not empty, no such engine, or transactions may be too
            large for it.
    """
    if engine not in RAFT_ENGINES:
        known = ", ".join(RAFT_ENGINES)
        raise InputError([Problem("engine", f"{engine!r} is not one of: {known}")])
    _check_limits(genesis, "limits")
    if folder.exists() and any(folder.iterdir()):
        raise InputError([Problem(str(folder), "is not empty; choose a new folder")])
    names = [validator.party for validator in genesis.validators]
    chain = genesis_hash(genesis)
    members = []
    for name, port in zip(names, free_ports(host, len(names)), strict=True):
        home = folder / name
        home.mkdir(parents=True)
        key, certificate = make_identity(name)
        write_key(home / LINK_KEY, key)
        public = make_key(home / SIGNER, kind=Kind.RAFT, chain=chain, name=name, passphrase=None)
        members.append(RaftMember(name, host, port, certificate, public.hex()))
    for name in names:
        settings = RaftSettings(engine, name, members, one_way_ms, trace)
        write_settings(folder / name, settings)
        write_durably(folder / name / GENESIS, genesis_to_json(genesis))
    return [folder / name for name in names]


def write_settings(home: Path, settings: RaftSettings) -> None:
    """Write `node.json`, or write it anew: a validator reads it when it starts."""
    data = msgspec.json.format(msgspec.json.encode(settings)) + b"\n"
    aside = home / f"{NODE}.new"
    aside.unlink(missing_ok=True)
    write_durably(aside, data)
    aside.rename(home / NODE)
    sync_folder(home)


def read_settings(home: Path) -> RaftSettings:
    """What `write_homes` wrote.

    Raises:
        InputError: no such file, or not one of ours.
    """
    path = home / NODE
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=RaftSettings)
        keys = [bytes.fromhex(member.public_key) for member in settings.members]
        names = [member.name for member in settings.members]
        if settings.engine not in RAFT_ENGINES or settings.name not in names:
            raise ValueError(f"engine {settings.engine!r}, name {settings.name!r}")
        if any(len(key) != PUBLIC_KEY_BYTES for key in keys) or len(set(names)) < len(names):
            raise ValueError("members: each name once, each key 64 hexadecimal digits")
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise InputError([Problem(str(path), f"no settings of a validator: {error}")]) from error
    return settings


def read_genesis(home: Path) -> Genesis:
    """The genesis of a validator's chain; InputError when it is missing, malformed or too wide."""
    path = home / GENESIS
    try:
        genesis = genesis_from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    _check_limits(genesis, str(path))
    return genesis


def _check_limits(genesis: Genesis, where: str) -> None:
    """Whether the largest transaction fits a block: it would wait for ever, and others with it."""
    limits = genesis.limits
    size, most = limits.envelope_bytes + limits.payload_bytes, BLOCK_BYTES_MAX - ITEM_BYTES
    if size > most:
        text = (
            f"envelope_bytes {limits.envelope_bytes} and payload_bytes {limits.payload_bytes} are "
            f"{size} bytes together; one entry of the log takes {most}: lower them"
        )
        raise InputError([Problem(where, text)])


def accept_rotation(home: Path, rotation: Rotation) -> str:
    """Know a member by its new key from the next start on; its own signer takes it into use.

    Args:
        home: of any validator of the network; it must not run.
        rotation: what the member's signer has made, signed with the key that is known.
    Returns:
        The member's name.
    Raises:
        InputError: no member has the old key, or the old key does not vouch for the new one.
    """
    settings = read_settings(home)
    chain = genesis_hash(read_genesis(home))
    for member in settings.members:
        known = bytes.fromhex(member.public_key)
        if check_rotation(rotation, chain=chain, name=member.name, known=known):
            break
    else:
        text = "is of no member: nobody has its old key, or that key has not signed it"
        raise InputError([Problem("rotation", text)])
    changed = msgspec.structs.replace(member, public_key=rotation.new_public.hex())
    members = [changed if one is member else one for one in settings.members]
    settings = msgspec.structs.replace(settings, members=members)
    if member.name == settings.name:
        use_key(home / SIGNER, rotation.number)
    write_settings(home, settings)
    return member.name
