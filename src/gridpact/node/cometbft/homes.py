"""Folders of validators: keys, genesis file and configuration as CometBFT 0.38 reads them.

Only what differs from CometBFT's defaults is written. The keys are made here, with the operating
system's randomness; the validator's key signs blocks, nothing of ours, and only its signer has it.
Links between validators have a key of their own, whose certificate the others' settings hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from nacl.bindings import crypto_sign_keypair

from gridpact.contracts.genesis import Genesis, genesis_hash, genesis_to_json
from gridpact.errors import InputError, Problem
from gridpact.files import write_durably
from gridpact.node.cometbft.adapter import app_state, chain_id
from gridpact.node.cometbft.rpc import BATCH_MAX
from gridpact.node.links import Member, make_identity, write_key
from gridpact.node.ports import free_ports
from gridpact.node.signing.folder import Kind, make_key, socket_path
from gridpact.node.signing.keyfile import SEED_BYTES

BLOCK_BYTES_MAX = 4 * 2**20
UNIX_PATH_MAX = 100
"""Longer paths do not fit a Unix socket's address; a TCP port is used instead."""
NODE = "node.json"
GENESIS = "genesis.json"
COMETBFT = "cometbft"
LINK_KEY = "link_key.pem"
"""Files and folders of a validator."""
SIGNER = "signer"
"""Folder of the validator's signer; no part of any backup."""
_CONFIG = """\
proxy_app = "{proxy_app}"
priv_validator_laddr = "unix://{signer_socket}"
priv_validator_key_file = "data/unused_key.json"
priv_validator_state_file = "data/unused_state.json"
moniker = "{name}"
abci = "socket"
log_level = "{log_level}"

[rpc]
laddr = "tcp://{host}:{rpc_port}"
max_request_batch_size = {batch_max}
max_body_bytes = 8388608

[p2p]
laddr = "tcp://{host}:{p2p_port}"
persistent_peers = "{peers}"
addr_book_strict = false
allow_duplicate_ip = true
pex = false
flush_throttle_timeout = "10ms"

[mempool]
size = 100000
max_txs_bytes = 268435456
cache_size = 200000

[consensus]
timeout_propose = "{propose_ms}ms"
timeout_propose_delta = "500ms"
timeout_commit = "{commit_ms}ms"
create_empty_blocks = false
peer_gossip_sleep_duration = "10ms"

[tx_index]
indexer = "null"
"""

_STATE_SYNC = """
[statesync]
enable = true
rpc_servers = "{servers}"
trust_height = {height}
trust_hash = "{block}"
trust_period = "168h0m0s"
discovery_time = "5s"
"""


class NodeSettings(msgspec.Struct, frozen=True):
    """What a validator's process needs to know, as `node.json` in its folder."""

    name: str
    """Party id of the validator."""
    proxy_app: str
    """Where our application listens for CometBFT."""
    host: str
    rpc_port: int
    """Where CometBFT takes transactions."""
    link_port: int
    """Where this validator takes payloads."""
    certificate: str
    """What it shows there, as PEM text; the private key is in `link_key.pem` beside this file."""
    peers: list[Member]
    """Where the others do, and what they show."""
    snapshots_every: int
    """After how many blocks of the ledger a snapshot is taken for others; 0: never."""
    metrics_port: int = 0
    """Where figures are served on `metrics_host`; 0: nowhere."""
    metrics_host: str = "127.0.0.1"

    def member(self) -> Member:
        """This validator as the others know it."""
        return Member(self.name, self.host, self.link_port, self.certificate)


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast blocks follow each other."""

    commit_ms: int = 150
    """Rest after each block, in which votes of slow validators still count."""
    propose_ms: int = 3000
    """How long a proposer may take before the next one has its turn."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys of one validator and the ports of its three doors."""

    name: str
    weight: int
    validator: tuple[bytes, bytes]
    node: tuple[bytes, bytes]
    link: tuple[bytes, str]
    """Private key and certificate."""
    p2p_port: int
    rpc_port: int
    link_port: int


def write_homes(
    folder: Path,
    genesis: Genesis,
    *,
    host: str = "127.0.0.1",
    timing: Timing | None = None,
    snapshots_every: int = 0,
    passphrase: bytes | None = None,
) -> list[Path]:
    """A folder for each validator of the genesis, all on one machine.

    Args:
        folder: empty or absent.
        genesis: of the chain.
        host: address of the machine.
        timing: how fast blocks follow each other.
        snapshots_every: see `NodeSettings`.
        passphrase: seals the keys of the signers; None leaves them unprotected.
    Returns:
        The folders, in the order of the genesis.
    Raises:
        InputError: the folder is there and not empty, or the extra `node` is not installed.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError([Problem(str(folder), "is not empty; choose a new folder")])
    ports = free_ports(host, 4 * len(genesis.validators))
    keys = [
        _Keys(
            validator.party,
            validator.weight,
            crypto_sign_keypair(),
            crypto_sign_keypair(),
            make_identity(validator.party),
            *ports[4 * i : 4 * i + 3],
        )
        for i, validator in enumerate(genesis.validators)
    ]
    document = _genesis_document(genesis, keys)
    homes = []
    for i, own in enumerate(keys):
        home = folder / own.name
        others = [other for other in keys if other is not own]
        long = len(str(home / "app.sock")) > UNIX_PATH_MAX
        proxy_app = f"tcp://{host}:{ports[4 * i + 3]}" if long else f"unix://{home / 'app.sock'}"
        settings = NodeSettings(
            name=own.name,
            proxy_app=proxy_app,
            host=host,
            rpc_port=own.rpc_port,
            link_port=own.link_port,
            certificate=own.link[1],
            peers=[Member(o.name, host, o.link_port, o.link[1]) for o in others],
            snapshots_every=snapshots_every,
        )
        _write_home(home, own, others, settings, timing or Timing())
        _make_signer(home, own, genesis, passphrase)
        write_durably(home / COMETBFT / "config" / "genesis.json", document)
        write_durably(home / GENESIS, genesis_to_json(genesis))
        homes.append(home)
    return homes


def read_settings(home: Path) -> NodeSettings:
    """What `write_homes` wrote.

    Raises:
        InputError: no such file, or not one of ours.
    """
    path = home / NODE
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodeSettings)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError([Problem(str(path), f"no settings of a validator: {error}")]) from error


def begin_from_peers(home: Path, peers: Sequence[Path], *, height: int, block: str) -> None:
    """Let a validator that has no ledger begin with a snapshot of the others.

    Args:
        home: of the validator; what it signed last stays where it is.
        peers: folders of two others at least.
        height: of a block that the operator trusts.
        block: its hash in hexadecimal.
    Raises:
        InputError: the validator has a ledger.
    """
    if (home / "ledger").exists():
        raise InputError([Problem(str(home / "ledger"), "is there; move it away first")])
    servers = [(settings.host, settings.rpc_port) for settings in map(read_settings, peers)]
    text = _STATE_SYNC.format(
        servers=",".join(f"{host}:{port}" for host, port in servers), height=height, block=block
    )
    config = home / COMETBFT / "config" / "config.toml"
    kept = config.read_text(encoding="utf-8").partition("\n[statesync]")[0]
    new = config.with_suffix(".new")
    new.unlink(missing_ok=True)
    write_durably(new, (kept + text).encode())
    new.rename(config)


def _write_home(
    home: Path, own: _Keys, others: Sequence[_Keys], settings: NodeSettings, timing: Timing
) -> None:
    config, data = home / COMETBFT / "config", home / COMETBFT / "data"
    for made in (config, data):
        made.mkdir(parents=True)
    host = settings.host
    text = _CONFIG.format(
        proxy_app=settings.proxy_app,
        signer_socket=socket_path(home / SIGNER),
        name=own.name,
        log_level="error",
        host=host,
        rpc_port=own.rpc_port,
        p2p_port=own.p2p_port,
        peers=",".join(f"{_address(o.node[0]).lower()}@{host}:{o.p2p_port}" for o in others),
        batch_max=BATCH_MAX,
        commit_ms=timing.commit_ms,
        propose_ms=timing.propose_ms,
    )
    write_durably(config / "config.toml", text.encode())
    _write_secret(config / "node_key.json", {}, own.node[1])
    write_key(home / LINK_KEY, own.link[0])
    write_durably(home / NODE, msgspec.json.format(msgspec.json.encode(settings)) + b"\n")


def _make_signer(home: Path, own: _Keys, genesis: Genesis, passphrase: bytes | None) -> None:
    """The validator's key and what it has signed lie outside of CometBFT's folder."""
    name = genesis_hash(genesis)
    make_key(
        home / SIGNER,
        kind=Kind.COMETBFT,
        chain=name,
        name=own.name,
        passphrase=passphrase,
        chain_id=chain_id(name),
        seed=own.validator[1][:SEED_BYTES],
    )


def _write_secret(path: Path, fields: Mapping[str, object], secret: bytes) -> None:
    key = {"type": "tendermint/PrivKeyEd25519", "value": base64.b64encode(secret).decode()}
    path.touch(mode=0o600)
    path.write_text(json.dumps({**fields, "priv_key": key}, indent=2), encoding="utf-8")


def _genesis_document(genesis: Genesis, keys: Sequence[_Keys]) -> bytes:
    name = genesis_hash(genesis)
    document = {
        "genesis_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "chain_id": chain_id(name),
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_BYTES_MAX), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": "100000",
                "max_age_duration": "172800000000000",
                "max_bytes": "1048576",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "0"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": _address(own.validator[0]),
                "pub_key": _public(own.validator[0]),
                "power": str(own.weight),
                "name": own.name,
            }
            for own in keys
        ],
        "app_hash": "",
        "app_state": json.loads(app_state(name)),
    }
    return json.dumps(document, indent=2).encode()


def _address(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:40].upper()


def _public(public_key: bytes) -> dict[str, str]:
    value = base64.b64encode(public_key).decode()
    return {"type": "tendermint/PubKeyEd25519", "value": value}
