"""The sixteen requests of ABCI, answered by one application, its ledger and the payloads beside.

A block is executed by `finalize_block` and becomes durable in `commit`, in one transaction of the
ledger. Whatever crashes in between, `info` says where the disk is and CometBFT sends again what is
missing. A block without transactions leaves no trace in the ledger: its hash stays that of the last
record, so an idle chain stands still (ADR 026).
"""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import structlog

from gridpact import __version__
from gridpact.codec import sha256
from gridpact.contracts import Application, BlockResult, Candidate, Unreadable, judge_payload
from gridpact.contracts.genesis import APP_VERSION
from gridpact.errors import InputError, Problem, invariant
from gridpact.files import sync_folder
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal, Receipt, record_hash
from gridpact.model import Verdict
from gridpact.node.candidates import Checked
from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft.payloads import Payloads
from gridpact.node.cometbft.protobuf import Message
from gridpact.node.cometbft.queries import answer_query
from gridpact.node.cometbft.snapshots import Snapshots
from gridpact.node.cometbft.weights import weight_changes
from gridpact.node.embedded import catch_up
from gridpact.node.engines import COMETBFT, engine_state, stored_engine
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import LedgerStore

PAYLOADS = "payloads.sqlite"
SNAPSHOTS = "snapshots"
"""Beside the folder of the ledger."""
PROPOSAL_WAITS_S = 2.0
"""How long a proposal's missing payloads are asked for before it is rejected; it comes again."""
DECIDED_WAITS_S = 5.0
"""How long before missing payloads of a decided block are asked for again, and a line is logged."""

_log = structlog.get_logger(__name__)


class Fetch(Protocol):
    """Asks other validators for payloads."""

    async def __call__(self, ids: Collection[bytes], timeout_s: float) -> None:
        """Ask for payloads by transaction id; returns when all came, or after the time.

        What comes is handed to `Adapter.take`.
        """


@dataclass(frozen=True, slots=True)
class _Pending:
    """A block that was executed and is not durable yet."""

    height: int
    hash: bytes
    proposal: Proposal
    candidates: list[Candidate | Unreadable]
    result: BlockResult | None
    """None for a block without transactions."""


def chain_id(genesis_hash: bytes) -> str:
    """CometBFT's name of a chain: at most 50 characters, and no two chains share it."""
    return f"gridpact-{genesis_hash.hex()[:32]}"


def app_state(genesis_hash: bytes) -> bytes:
    """What the genesis file of CometBFT says about ours: JSON, its hash."""
    return b'"' + genesis_hash.hex().encode() + b'"'


async def nobody_asked(ids: Collection[bytes], timeout_s: float) -> None:
    """A validator without others: there is nobody to ask."""
    await asyncio.sleep(timeout_s)


class Adapter:
    """Answers CometBFT."""

    def __init__(self, store: LedgerStore, *, snapshots_every: int = 0) -> None:
        """Continue a ledger; payloads and snapshots lie beside its folder.

        Args:
            store: the ledger, empty or made by this engine.
            snapshots_every: after how many of its blocks a snapshot is taken; 0: never.
        """
        beside = store.folder.parent
        self.store = store
        self.payloads = Payloads(beside / PAYLOADS)
        self.snapshots = Snapshots(beside / SNAPSHOTS, snapshots_every, self._begin_with)
        self.fetch: Fetch = nobody_asked
        self.settled: Callable[[Sequence[Receipt]], None] = lambda _: None
        """Told the receipts of a block once it is durable."""
        self.refused: Callable[[bytes, Verdict], None] = lambda _id, _verdict: None
        """Told what this node's mempool does not take, or not any more."""
        self.weights: Callable[[], tuple[Mapping[bytes, int], Mapping[bytes, int]]] | None = None
        """Voting weights by key after a block: (those in force, those wanted); None: they stay."""
        self._checked = Checked(lambda: self.application)
        self._nonces: dict[str, int] = {}
        """Last nonce of each sender in CometBFT's mempool."""
        self._wanted: set[bytes] = set()
        """Transactions of a block whose payloads are being asked for."""
        self._pending: _Pending | None = None
        self.at_rest = asyncio.Event()
        """No block is between execution and disk."""
        self._answers: dict[int, Callable[[Any], Any]] = {
            abci.ECHO: lambda request: request,
            abci.INFO: self._info,
            abci.INIT_CHAIN: self._init_chain,
            abci.QUERY: self._query,
            abci.CHECK_TX: self._check_tx,
            abci.COMMIT: self._commit,
            abci.LIST_SNAPSHOTS: lambda _: self.snapshots.on_offer(),
            abci.OFFER_SNAPSHOT: lambda request: self.snapshots.offer(request, self.store),
            abci.LOAD_SNAPSHOT_CHUNK: self.snapshots.chunk,
            abci.APPLY_SNAPSHOT_CHUNK: lambda request: self.snapshots.apply(request, self.store),
            abci.PREPARE_PROPOSAL: self._prepare_proposal,
            abci.PROCESS_PROPOSAL: self._process_proposal,
            abci.EXTEND_VOTE: lambda _: abci.ResponseExtendVote(),
            abci.VERIFY_VOTE_EXTENSION: self._verify_vote_extension,
            abci.FINALIZE_BLOCK: self._finalize_block,
        }
        self._load()

    def _load(self) -> None:
        """Take the state from the disk."""
        genesis = self.store.genesis
        if self.store.height() and stored_engine(self.store) != COMETBFT:
            text = "was made by another engine; a validator begins with an empty folder"
            raise InputError([Problem(str(self.store.folder), text)])
        self.application = Application(genesis, engine_state(genesis, COMETBFT), verify_signature)
        catch_up(self.application, self.store)
        found = self.payloads.cometbft_height(self.application.height)
        if found is None and self.application.height:
            text = "its file of payloads and heights is missing; begin with an empty folder"
            raise InputError([Problem(str(self.store.folder), text)])
        self.height = found or 0
        self._pending = None
        self.at_rest.set()

    async def answer(self, number: int, request: Message) -> Message:
        """Answer a request of CometBFT; whatever it raises ends the validator."""
        found = self._answers[number](request)
        return cast(Message, await found if asyncio.iscoroutine(found) else found)

    def _begin_with(self, folder: Path, height: int) -> None:
        """Put a restored ledger in the place of the empty one, the height of CometBFT first."""
        place = self.store.folder
        restored = LedgerStore.open(folder, writable=False)
        ledger = restored.height()
        restored.close()
        self.payloads.keep((), ledger, height)
        self.store.close()
        shutil.rmtree(place)
        folder.rename(place)
        sync_folder(place.parent)
        self.store = LedgerStore.open(place)
        self._load()
        _log.info("restored from a snapshot", height=height, ledger=ledger)

    def close(self) -> None:
        """Give the files free."""
        self.payloads.close()
        self.store.close()

    # Payloads

    def take(self, envelope: bytes, sealed: bytes) -> bool:
        """Keep a payload that belongs to an envelope; False when it does not, or there is no room.

        Whoever sends it need not be trusted.
        """
        transaction = self._checked.readable(envelope)
        if isinstance(transaction, Verdict) or not sealed:
            return False
        if judge_payload(transaction, sealed, self.application.rules) != Verdict.ACCEPTED:
            return False
        party = self.application.party(transaction.envelope.sender)
        if party is not None and transaction.envelope.nonce <= party.nonce:
            return False
        if transaction.id not in self._wanted and not self.payloads.has_room(len(sealed)):
            return False
        self.payloads.take(transaction.id, envelope, sealed)
        return True

    def held(self, ids: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """(envelope, payload) of those that are here, waiting or in the ledger."""
        found: list[tuple[bytes, bytes]] = []
        heights: dict[int, list[bytes]] = {}
        for transaction_id in ids:
            item = self.payloads.get(transaction_id)
            if item is not None:
                found.append(item)
            elif (place := self.store.find_transaction(transaction_id)) is not None:
                heights.setdefault(place[0], []).append(transaction_id)
        for height, wanted in heights.items():
            found += [
                (row.envelope, row.sealed)
                for row in self.store.transactions(height)
                if row.id in wanted and row.sealed
            ]
        return found

    def _is_on_its_way(self, transaction_id: bytes) -> bool:
        """Whether the transaction is in the block that is being executed."""
        return self._pending is not None and any(
            sha256(raw) == transaction_id for raw in self._pending.proposal.transactions
        )

    # Info, first block

    def _info(self, request: abci.RequestInfo) -> abci.ResponseInfo:
        hash_ = self.application.last_hash if self.height else b""
        return abci.ResponseInfo("gridpact", __version__, APP_VERSION, self.height, hash_)

    def _init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        """The state at height 0 is in the ledger already; here we see whether it is the same chain.

        Raises:
            InputError: another chain, or other voting weights than those of the genesis.
        """
        genesis_hash = self.application.genesis_hash
        problems = []
        if request.chain_id != chain_id(genesis_hash):
            text = f"{request.chain_id!r} is not this chain, {chain_id(genesis_hash)!r}"
            problems.append(Problem("chain_id", text))
        if request.app_state_bytes != app_state(genesis_hash):
            problems.append(Problem("app_state", f"is not {app_state(genesis_hash).decode()}"))
        if request.initial_height != 1:
            problems.append(Problem("initial_height", f"{request.initial_height} is not 1"))
        powers = sorted(validator.power for validator in request.validators)
        weights = sorted(validator.weight for validator in self.store.genesis.validators)
        if powers != weights:
            problems.append(Problem("validators", f"weights {powers} are not those of {weights}"))
        if problems:
            raise InputError(problems)
        return abci.ResponseInitChain((), genesis_hash)

    # Mempool

    def _check_tx(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        candidate = self._candidate(request.tx)
        if isinstance(candidate, Unreadable):
            self.refused(candidate.transaction_id, candidate.verdict)
            return abci.ResponseCheckTx(int(candidate.verdict), candidate.verdict.name)
        envelope = candidate.transaction.envelope
        verdict = self.application.check_tx(candidate, self._nonces.get(envelope.sender))
        if verdict == Verdict.ACCEPTED:
            self._nonces[envelope.sender] = envelope.nonce
            return abci.ResponseCheckTx()
        party = self.application.party(envelope.sender)
        waits = verdict == Verdict.NONCE_USED and party and party.nonce < envelope.nonce
        if not waits and not self._is_on_its_way(candidate.transaction.id):
            self._forget([candidate.transaction.id])
            self.refused(candidate.transaction.id, verdict)
        return abci.ResponseCheckTx(int(verdict), verdict.name)

    def _candidate(self, raw: bytes) -> Candidate | Unreadable:
        """A transaction with its payload, if that is here, and the check of its signature."""
        _, sealed = self.payloads.get(sha256(raw)) or (b"", b"")
        return self._checked.candidate(raw, sealed)

    def _forget(self, ids: Collection[bytes]) -> None:
        self._checked.forget(ids)
        self.payloads.drop(ids)

    # Consensus

    def _prepare_proposal(
        self, request: abci.RequestPrepareProposal
    ) -> abci.ResponsePrepareProposal:
        """Of what waits, what the application would accept; what lacks its payload waits on."""
        found = [self._candidate(raw) for raw in request.txs]
        readable = [candidate for candidate in found if isinstance(candidate, Candidate)]
        time_s = max(0, request.time.seconds)
        _, chosen = self.application.prepare_proposal(readable, time_s)
        return abci.ResponsePrepareProposal(tuple(c.transaction.raw for c in chosen))

    async def _process_proposal(self, request: abci.RequestBlock) -> abci.ResponseResult:
        """Accept what the application accepts, once all payloads are here and on the disk."""
        accepted = abci.ResponseResult(abci.ACCEPT)
        rejected = abci.ResponseResult(abci.REJECT_PROPOSAL)
        if request.height != self.height + 1 or request.time.seconds < 0:
            return rejected
        if not request.txs:
            return accepted
        await self._fetch(self._missing(request.txs), PROPOSAL_WAITS_S)
        if missing := self._missing(request.txs):
            _log.warning("proposal rejected", height=request.height, payloads_missing=len(missing))
            return rejected
        candidates = [self._candidate(raw) for raw in request.txs]
        if not self.application.process_proposal(self._proposal(request), candidates):
            _log.warning("proposal rejected", height=request.height, reason="not by the rules")
            return rejected
        self.payloads.keep(map(sha256, request.txs), self.application.height + 1, request.height)
        return accepted

    def _verify_vote_extension(
        self, request: abci.RequestVerifyVoteExtension
    ) -> abci.ResponseResult:
        """Nobody adds anything."""
        empty = not request.vote_extension
        return abci.ResponseResult(abci.ACCEPT if empty else abci.REJECT_PROPOSAL)

    async def _finalize_block(self, request: abci.RequestBlock) -> abci.ResponseFinalizeBlock:
        """Execute a decided block, waiting for payloads as long as it takes."""
        if self._pending is not None and self._pending.hash != request.hash:
            _log.warning("executed block left behind", height=self._pending.height)
            self._load()
        if self._pending is None:
            invariant(
                request.height == self.height + 1,
                f"CometBFT is at {request.height}, the ledger at {self.height}",
            )
            while missing := self._missing(request.txs):
                _log.warning("decided block waits", height=request.height, payloads=len(missing))
                await self._fetch(missing, DECIDED_WAITS_S)
            self._pending = self._executed(request)
        pending = self._pending
        if pending.result is None:
            return abci.ResponseFinalizeBlock((), (), self.application.last_hash)
        results = [abci.ExecTxResult(r.verdict, r.postings_hash) for r in pending.result.receipts]
        hash_ = record_hash(pending.result.record)
        return abci.ResponseFinalizeBlock(tuple(results), self._weight_changes(), hash_)

    def _executed(self, request: abci.RequestBlock) -> _Pending:
        proposal = self._proposal(request)
        candidates = [self._replayed(self._candidate(raw)) for raw in request.txs]
        result = None
        if candidates:
            self.at_rest.clear()
            result = self.application.finalize_block(proposal, candidates)
        return _Pending(request.height, request.hash, proposal, candidates, result)

    def _replayed(self, candidate: Candidate | Unreadable) -> Candidate | Unreadable:
        """With the payload from the ledger, if only a faulty majority put it in a block again."""
        if isinstance(candidate, Unreadable) or candidate.sealed:
            return candidate
        held = self.held([candidate.transaction.id])
        return dataclasses.replace(candidate, sealed=held[0][1]) if held else candidate

    def _commit(self, _: Message) -> abci.ResponseCommit:
        """Make the executed block durable: first where CometBFT is, then the block itself."""
        pending = self._pending
        if pending is None:
            raise InputError([Problem("commit", "no block has been executed")])
        application = self.application
        if pending.result is None:
            self.payloads.keep((), application.height, pending.height)
        else:
            self.payloads.keep((), application.height + 1, pending.height)
            self.store.save_block(pending.proposal, pending.candidates, pending.result)
            application.commit(pending.result)
        self.height = pending.height
        self._pending = None
        self._nonces.clear()  # what still waits is checked again before anything new
        self.at_rest.set()
        if pending.result is not None:
            self._forget([receipt.transaction for receipt in pending.result.receipts])
            self.settled(pending.result.receipts)
            self.snapshots.after_block(application, self.store, self.height)
        return abci.ResponseCommit()

    def _proposal(self, request: abci.RequestBlock) -> Proposal:
        application = self.application
        time_s = max(0, request.time.seconds)
        transactions = list(request.txs)
        return Proposal(
            FORMAT_VERSION, application.height + 1, time_s, application.last_hash, transactions
        )

    async def _fetch(self, ids: list[bytes], timeout_s: float) -> None:
        """Ask for payloads that a block needs: they come in even when there is no room."""
        if ids:
            self._wanted = set(ids)
            await self.fetch(ids, timeout_s)
            self._wanted = set()

    def _missing(self, raws: Sequence[bytes]) -> list[bytes]:
        """Ids of the transactions that need a payload which is not here.

        One whose nonce is used is refused before anybody looks at its payload.
        """
        missing = []
        for raw in raws:
            candidate = self._candidate(raw)
            if not isinstance(candidate, Candidate) or candidate.sealed:
                continue
            envelope = candidate.transaction.envelope
            party = self.application.party(envelope.sender)
            if envelope.payload_hash and (party is None or envelope.nonce > party.nonce):
                missing.append(candidate.transaction.id)
        return missing

    def _weight_changes(self) -> tuple[abci.ValidatorUpdate, ...]:
        """What CometBFT is told to change, effective two heights later."""
        return () if self.weights is None else tuple(weight_changes(*self.weights()))

    # Reads

    async def _query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        """Between blocks, so that a value and its proof are of the same one."""
        await self.at_rest.wait()
        return answer_query(self.application, self.store, self.height, request)
