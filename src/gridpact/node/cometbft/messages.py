"""The messages of ABCI 2.0 (package `tendermint.abci` of CometBFT 0.38), as tables.

Fields that we neither read nor write are not listed: decoding skips them. Numbers are those of the
public interface definition; a request's answer has its number plus one, and 1 is an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gridpact.node.cometbft.protobuf import (
    Field,
    Kind,
    Message,
    WireError,
    decode,
    encode,
    fields_of,
    tagged,
)

Fields = dict[int, Field]
ACCEPT = 1
"""A proposal, a snapshot or a chunk of it is taken."""
REJECT_PROPOSAL = 2
ABORT = 2
"""No snapshot will ever do."""
REJECT_SNAPSHOT = 3
REJECT_FORMAT = 4
RETRY_CHUNK = 3
REJECT_APPLIED = 5
RECHECK = 1
"""The transaction was taken before; a block has been decided since."""


def _text(name: str) -> Field:
    return Field(name, Kind.TEXT)


def _bytes(name: str, *, repeated: bool = False) -> Field:
    return Field(name, Kind.BYTES, repeated=repeated)


def _int(name: str) -> Field:
    return Field(name, Kind.INT)


def _uint(name: str) -> Field:
    return Field(name, Kind.UINT)


def _message(name: str, message: type[Message], *, repeated: bool = False) -> Field:
    return Field(name, Kind.MESSAGE, message, repeated)


# Parts


@dataclass(frozen=True, slots=True)
class Timestamp(Message):
    """A moment."""

    seconds: int = 0
    nanos: int = 0
    FIELDS: ClassVar[Fields] = {1: _int("seconds"), 2: _int("nanos")}


@dataclass(frozen=True, slots=True)
class PublicKey(Message):
    """A validator's key; Ed25519 is the only kind we use."""

    ed25519: bytes = b""
    FIELDS: ClassVar[Fields] = {1: _bytes("ed25519")}


@dataclass(frozen=True, slots=True)
class ValidatorUpdate(Message):
    """A validator with its voting weight; 0 removes it."""

    pub_key: PublicKey = PublicKey()
    power: int = 0
    FIELDS: ClassVar[Fields] = {1: _message("pub_key", PublicKey), 2: _int("power")}


@dataclass(frozen=True, slots=True)
class Snapshot(Message):
    """What a peer offers."""

    height: int = 0
    format: int = 0
    chunks: int = 0
    hash: bytes = b""
    metadata: bytes = b""
    FIELDS: ClassVar[Fields] = {
        1: _uint("height"),
        2: _uint("format"),
        3: _uint("chunks"),
        4: _bytes("hash"),
        5: _bytes("metadata"),
    }


@dataclass(frozen=True, slots=True)
class ExecTxResult(Message):
    """What a transaction was told: the verdict, and the receipt."""

    code: int = 0
    data: bytes = b""
    FIELDS: ClassVar[Fields] = {1: _uint("code"), 2: _bytes("data")}


# Requests


@dataclass(frozen=True, slots=True)
class Echo(Message):
    """Say the same back; request and response."""

    message: str = ""
    FIELDS: ClassVar[Fields] = {1: _text("message")}


@dataclass(frozen=True, slots=True)
class Empty(Message):
    """Flush and commit, list of snapshots, and the answers that say no more than that."""


@dataclass(frozen=True, slots=True)
class RequestInfo(Message):
    """Asked first: how far is the application?"""

    version: str = ""
    block_version: int = 0
    p2p_version: int = 0
    abci_version: str = ""
    FIELDS: ClassVar[Fields] = {
        1: _text("version"),
        2: _uint("block_version"),
        3: _uint("p2p_version"),
        4: _text("abci_version"),
    }


@dataclass(frozen=True, slots=True)
class RequestInitChain(Message):
    """Asked when the application is at height 0."""

    time: Timestamp = Timestamp()
    chain_id: str = ""
    validators: tuple[ValidatorUpdate, ...] = ()
    app_state_bytes: bytes = b""
    initial_height: int = 0
    FIELDS: ClassVar[Fields] = {
        1: _message("time", Timestamp),
        2: _text("chain_id"),
        4: _message("validators", ValidatorUpdate, repeated=True),
        5: _bytes("app_state_bytes"),
        6: _int("initial_height"),
    }


@dataclass(frozen=True, slots=True)
class RequestQuery(Message):
    """A read."""

    data: bytes = b""
    path: str = ""
    height: int = 0
    prove: bool = False
    FIELDS: ClassVar[Fields] = {
        1: _bytes("data"),
        2: _text("path"),
        3: _int("height"),
        4: Field("prove", Kind.BOOL),
    }


@dataclass(frozen=True, slots=True)
class RequestCheckTx(Message):
    """May this wait in the mempool?"""

    tx: bytes = b""
    type: int = 0
    FIELDS: ClassVar[Fields] = {1: _bytes("tx"), 2: _int("type")}


@dataclass(frozen=True, slots=True)
class RequestOfferSnapshot(Message):
    """May the application start from this?"""

    snapshot: Snapshot = Snapshot()
    app_hash: bytes = b""
    FIELDS: ClassVar[Fields] = {1: _message("snapshot", Snapshot), 2: _bytes("app_hash")}


@dataclass(frozen=True, slots=True)
class RequestLoadSnapshotChunk(Message):
    """A peer wants a part of a snapshot."""

    height: int = 0
    format: int = 0
    chunk: int = 0
    FIELDS: ClassVar[Fields] = {1: _uint("height"), 2: _uint("format"), 3: _uint("chunk")}


@dataclass(frozen=True, slots=True)
class RequestApplySnapshotChunk(Message):
    """A part of the snapshot that was taken."""

    index: int = 0
    chunk: bytes = b""
    sender: str = ""
    FIELDS: ClassVar[Fields] = {1: _uint("index"), 2: _bytes("chunk"), 3: _text("sender")}


@dataclass(frozen=True, slots=True)
class RequestPrepareProposal(Message):
    """Choose the next block from what waits."""

    max_tx_bytes: int = 0
    txs: tuple[bytes, ...] = ()
    height: int = 0
    time: Timestamp = Timestamp()
    FIELDS: ClassVar[Fields] = {
        1: _int("max_tx_bytes"),
        2: _bytes("txs", repeated=True),
        5: _int("height"),
        6: _message("time", Timestamp),
    }


@dataclass(frozen=True, slots=True)
class RequestBlock(Message):
    """A block: to be judged (process_proposal) or executed (finalize_block)."""

    txs: tuple[bytes, ...] = ()
    hash: bytes = b""
    height: int = 0
    time: Timestamp = Timestamp()
    FIELDS: ClassVar[Fields] = {
        1: _bytes("txs", repeated=True),
        4: _bytes("hash"),
        5: _int("height"),
        6: _message("time", Timestamp),
    }


@dataclass(frozen=True, slots=True)
class RequestVerifyVoteExtension(Message):
    """Judge what another validator added to its vote."""

    height: int = 0
    vote_extension: bytes = b""
    FIELDS: ClassVar[Fields] = {3: _int("height"), 4: _bytes("vote_extension")}


# Responses


@dataclass(frozen=True, slots=True)
class ResponseException(Message):
    """The application cannot go on; CometBFT stops."""

    error: str = ""
    FIELDS: ClassVar[Fields] = {1: _text("error")}


@dataclass(frozen=True, slots=True)
class ResponseInfo(Message):
    """How far the application is."""

    data: str = ""
    version: str = ""
    app_version: int = 0
    last_block_height: int = 0
    last_block_app_hash: bytes = b""
    FIELDS: ClassVar[Fields] = {
        1: _text("data"),
        2: _text("version"),
        3: _uint("app_version"),
        4: _int("last_block_height"),
        5: _bytes("last_block_app_hash"),
    }


@dataclass(frozen=True, slots=True)
class ResponseInitChain(Message):
    """Validators to begin with (none: those of the request) and the first hash."""

    validators: tuple[ValidatorUpdate, ...] = ()
    app_hash: bytes = b""
    FIELDS: ClassVar[Fields] = {
        2: _message("validators", ValidatorUpdate, repeated=True),
        3: _bytes("app_hash"),
    }


@dataclass(frozen=True, slots=True)
class ResponseQuery(Message):
    """What was read."""

    code: int = 0
    log: str = ""
    key: bytes = b""
    value: bytes = b""
    height: int = 0
    FIELDS: ClassVar[Fields] = {
        1: _uint("code"),
        3: _text("log"),
        6: _bytes("key"),
        7: _bytes("value"),
        9: _int("height"),
    }


@dataclass(frozen=True, slots=True)
class ResponseCheckTx(Message):
    """0: it may wait."""

    code: int = 0
    log: str = ""
    gas_wanted: int = 0
    FIELDS: ClassVar[Fields] = {1: _uint("code"), 3: _text("log"), 5: _int("gas_wanted")}


@dataclass(frozen=True, slots=True)
class ResponseCommit(Message):
    """Blocks below this height may be dropped; 0: none."""

    retain_height: int = 0
    FIELDS: ClassVar[Fields] = {3: _int("retain_height")}


@dataclass(frozen=True, slots=True)
class ResponseListSnapshots(Message):
    """What peers may have."""

    snapshots: tuple[Snapshot, ...] = ()
    FIELDS: ClassVar[Fields] = {1: _message("snapshots", Snapshot, repeated=True)}


@dataclass(frozen=True, slots=True)
class ResponseResult(Message):
    """A number of what was decided: proposals, vote extensions, snapshots, chunks."""

    result: int = 0
    FIELDS: ClassVar[Fields] = {1: _int("result")}


@dataclass(frozen=True, slots=True)
class ResponseLoadSnapshotChunk(Message):
    """The part, or nothing when it is not there."""

    chunk: bytes = b""
    FIELDS: ClassVar[Fields] = {1: _bytes("chunk")}


@dataclass(frozen=True, slots=True)
class ResponseApplySnapshotChunk(Message):
    """Whether a part was taken, what to fetch again, and from whom to take nothing any more."""

    result: int = 0
    refetch_chunks: tuple[int, ...] = ()
    reject_senders: tuple[str, ...] = ()
    FIELDS: ClassVar[Fields] = {
        1: _int("result"),
        2: Field("refetch_chunks", Kind.UINT, repeated=True),
        3: Field("reject_senders", Kind.TEXT, repeated=True),
    }


@dataclass(frozen=True, slots=True)
class ResponsePrepareProposal(Message):
    """The block."""

    txs: tuple[bytes, ...] = ()
    FIELDS: ClassVar[Fields] = {1: _bytes("txs", repeated=True)}


@dataclass(frozen=True, slots=True)
class ResponseExtendVote(Message):
    """What to add to the vote: nothing."""

    vote_extension: bytes = b""
    FIELDS: ClassVar[Fields] = {1: _bytes("vote_extension")}


@dataclass(frozen=True, slots=True)
class ResponseFinalizeBlock(Message):
    """What came of a block."""

    tx_results: tuple[ExecTxResult, ...] = ()
    validator_updates: tuple[ValidatorUpdate, ...] = ()
    app_hash: bytes = b""
    FIELDS: ClassVar[Fields] = {
        2: _message("tx_results", ExecTxResult, repeated=True),
        3: _message("validator_updates", ValidatorUpdate, repeated=True),
        5: _bytes("app_hash"),
    }


ECHO, FLUSH, INFO, INIT_CHAIN, QUERY, CHECK_TX, COMMIT = 1, 2, 3, 5, 6, 8, 11
LIST_SNAPSHOTS, OFFER_SNAPSHOT, LOAD_SNAPSHOT_CHUNK, APPLY_SNAPSHOT_CHUNK = 12, 13, 14, 15
PREPARE_PROPOSAL, PROCESS_PROPOSAL, EXTEND_VOTE, VERIFY_VOTE_EXTENSION = 16, 17, 18, 19
FINALIZE_BLOCK = 20
EXCEPTION = 1
"""Number of the response that ends everything."""

REQUESTS: dict[int, tuple[str, type[Message], type[Message]]] = {
    ECHO: ("echo", Echo, Echo),
    FLUSH: ("flush", Empty, Empty),
    INFO: ("info", RequestInfo, ResponseInfo),
    INIT_CHAIN: ("init_chain", RequestInitChain, ResponseInitChain),
    QUERY: ("query", RequestQuery, ResponseQuery),
    CHECK_TX: ("check_tx", RequestCheckTx, ResponseCheckTx),
    COMMIT: ("commit", Empty, ResponseCommit),
    LIST_SNAPSHOTS: ("list_snapshots", Empty, ResponseListSnapshots),
    OFFER_SNAPSHOT: ("offer_snapshot", RequestOfferSnapshot, ResponseResult),
    LOAD_SNAPSHOT_CHUNK: (
        "load_snapshot_chunk",
        RequestLoadSnapshotChunk,
        ResponseLoadSnapshotChunk,
    ),
    APPLY_SNAPSHOT_CHUNK: (
        "apply_snapshot_chunk",
        RequestApplySnapshotChunk,
        ResponseApplySnapshotChunk,
    ),
    PREPARE_PROPOSAL: ("prepare_proposal", RequestPrepareProposal, ResponsePrepareProposal),
    PROCESS_PROPOSAL: ("process_proposal", RequestBlock, ResponseResult),
    EXTEND_VOTE: ("extend_vote", Empty, ResponseExtendVote),
    VERIFY_VOTE_EXTENSION: ("verify_vote_extension", RequestVerifyVoteExtension, ResponseResult),
    FINALIZE_BLOCK: ("finalize_block", RequestBlock, ResponseFinalizeBlock),
}
"""Number -> (name, request, response)."""


def read_request(data: bytes) -> tuple[int, Message]:
    """(number, request) of a frame.

    Raises:
        WireError: malformed, no request, or more than one.
    """
    return _read_one(data, {number: request for number, (_, request, _) in REQUESTS.items()})


def read_response(data: bytes) -> tuple[int, Message]:
    """(number of the response, response) of a frame; refusals as those of `read_request`."""
    known = {number + 1: response for number, (_, _, response) in REQUESTS.items()}
    return _read_one(data, {EXCEPTION: ResponseException, **known})


def write_request(number: int, request: Message) -> bytes:
    """The frame of a request, without its length."""
    return _write_one(number, request)


def write_response(number: int, response: Message) -> bytes:
    """The frame of the answer to a request, without its length."""
    return _write_one(number + 1, response)


def write_exception(text: str) -> bytes:
    """The frame of an exception, without its length."""
    return _write_one(EXCEPTION, ResponseException(text))


def _read_one(data: bytes, known: dict[int, type[Message]]) -> tuple[int, Message]:
    found = [(number, raw) for number, _, raw in fields_of(data) if isinstance(raw, bytes)]
    if len(found) != 1:
        raise WireError(f"a frame with {len(found)} messages; exactly one is expected")
    number, raw = found[0]
    if number not in known:
        raise WireError(f"a frame with the unknown message {number}")
    return number, decode(known[number], raw)


def _write_one(number: int, message: Message) -> bytes:
    return tagged(number, encode(message))
