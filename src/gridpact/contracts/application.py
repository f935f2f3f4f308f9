"""One deterministic application for any engine, in the shape of ABCI 2.0.

It joins the ledger kernel with the handlers. No verdict and no state depends on height, header
time, position in a block or engine: the same transactions per phase give the same market root.

A replica starts from genesis or, with `restore`, from a snapshot (`ledger.snapshots`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gridpact.codec import CodecError, sha256
from gridpact.contracts.bodies import Kind, MovePhase
from gridpact.contracts.call import Call, Rules, latest_closed_s
from gridpact.contracts.genesis import APP_VERSION, Genesis, genesis_hash
from gridpact.contracts.keys import CLOCK, NAMESPACES, party_key
from gridpact.contracts.kinds import KINDS
from gridpact.contracts.transactions import judge_payload, read_envelope
from gridpact.errors import InvariantError, invariant
from gridpact.ledger import (
    Account,
    AmountOverflowError,
    Document,
    Draft,
    Entry,
    Event,
    State,
    system_key,
)
from gridpact.ledger.blocks import (
    FORMAT_VERSION,
    EngineState,
    Proposal,
    Receipt,
    Record,
    engine_root,
    payloads_root,
    proposal_hash,
    receipts_root,
    record_hash,
    state_root,
    transactions_root,
    validators_id,
)
from gridpact.ledger.envelope import Transaction, open_payload
from gridpact.ledger.statemap import MapProof, StateMap
from gridpact.model import AccountMode, Clock, Party, Role, Verdict, uses_nonce


@dataclass(frozen=True, slots=True)
class Info:
    """Where the application is; an engine asks before it replays."""

    app_version: int
    height: int
    record_hash: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction on its way into a block."""

    transaction: Transaction
    sealed: bytes
    """salt || payload, or empty."""
    checked_key: bytes
    """Public key that the signature was checked against; empty when it was not."""
    signature_good: bool
    """What that check said."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes in a decided block that are no transaction; only a faulty proposer includes them."""

    transaction_id: bytes
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What executing a block came to, ready to be stored in one go."""

    record: Record
    receipts: list[Receipt]
    changes: dict[str, Entry | None]
    """State entries after the block; None for deleted ones."""
    documents: list[Document]
    events: list[Event]
    state_map: StateMap


class SignatureCheck(Protocol):
    """Verifies one signature now; used only when a key changed after a transaction was checked."""

    def __call__(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether the signature is good."""


class Application:
    """State, state map and rules of one chain."""

    def __init__(
        self, genesis: Genesis, engine: EngineState, verify_signature: SignatureCheck
    ) -> None:
        self.genesis = genesis
        self.genesis_hash = genesis_hash(genesis)
        self.rules = Rules(genesis)
        self.engine = engine
        self.verify_signature = verify_signature
        self.state = State(NAMESPACES)
        self.state_map = StateMap.empty()
        self.height = 0
        self.last_hash = self.genesis_hash

    def info(self) -> Info:
        """Height and record hash that the state belongs to."""
        return Info(APP_VERSION, self.height, self.last_hash)

    def init_chain(self) -> dict[str, Entry | None]:
        """The state at height 0: clock, system accounts, parties of the genesis file.

        Returns:
            The entries, to be stored.
        """
        draft = Draft(self.state, 0)
        draft.put(CLOCK, Clock(0, [0] * len(self.genesis.markets)))
        for name in ("bank", "fund", "grid"):
            draft.put(system_key(name), Account(int(AccountMode.POSTPAID), Account.NO_LIMIT, 0, 0))
        for party in self.genesis.parties:
            draft.put(party_key(party.party), Party(party.public_key, party.roles, 0, 0))
        draft.commit()
        self.state_map = self.state_map.updated(_contents(draft.writes))
        return draft.writes

    def restore(self, entries: Iterable[tuple[str, Entry]], height: int, last_hash: bytes) -> None:
        """Continue from stored entries instead of from genesis."""
        contents: dict[bytes, bytes | None] = {}
        for key, entry in entries:
            self.state.put(key, entry)
            contents[key.encode()] = entry.content()
        self.state_map = StateMap.empty().updated(contents)
        self.height = height
        self.last_hash = last_hash

    @property
    def phase(self) -> int:
        """Number of the last phase."""
        clock = self.state.entries[CLOCK].value
        invariant(isinstance(clock, Clock), "the clock is not a Clock")
        return clock.phase if isinstance(clock, Clock) else 0

    def party(self, party: str) -> Party | None:
        """A registered party."""
        entry = self.state.entries.get(party_key(party))
        return entry.value if entry is not None and isinstance(entry.value, Party) else None

    def check_tx(self, candidate: Candidate, last_nonce: int | None = None) -> Verdict:
        """Judge an envelope against the state, as for a mempool.

        Args:
            candidate: decoded, with the check of its signature.
            last_nonce: the sender's last nonce among those already waiting; the state's if None.

        Refusals: UNKNOWN_SENDER, BAD_SIGNATURE, NONCE_USED, NONCE_AHEAD, EXPIRED.
        """
        envelope = candidate.transaction.envelope
        party = self.party(envelope.sender)
        if party is None:
            return Verdict.UNKNOWN_SENDER
        if not self._signature_good(candidate, party.public_key):
            return Verdict.BAD_SIGNATURE
        last = party.nonce if last_nonce is None else last_nonce
        if envelope.nonce <= last:
            return Verdict.NONCE_USED
        if envelope.nonce > last + 1:
            return Verdict.NONCE_AHEAD
        clock = self.state.entries[CLOCK].value
        invariant(isinstance(clock, Clock), "the clock is not a Clock")
        if isinstance(clock, Clock):
            closed_s = latest_closed_s(self.rules, clock, candidate.transaction.body)
            if envelope.expiry_s < closed_s:
                return Verdict.EXPIRED
        return Verdict.ACCEPTED

    def _judge(self, candidate: Candidate, last_nonce: int | None) -> Verdict:
        """Whether a candidate may be in the next block: its payload, then as `check_tx`."""
        verdict = judge_payload(candidate.transaction, candidate.sealed, self.rules)
        if verdict != Verdict.ACCEPTED:
            return verdict
        return self.check_tx(candidate, last_nonce)

    def prepare_proposal(
        self, candidates: Sequence[Candidate], time_s: int
    ) -> tuple[Proposal, list[Candidate]]:
        """The next block from what waits, in the order given.

        Left out: what lacks its payload, what `check_tx` refuses, phases whose time has not come,
        and what is over the block's cap. Of a sender's transactions those after a left-out one are
        left out too.

        Returns:
            The proposal, and the candidates in it.
        """
        chosen: list[Candidate] = []
        nonces: dict[str, int] = {}
        for candidate in candidates:
            if len(chosen) >= self.genesis.limits.block_transactions:
                break
            envelope = candidate.transaction.envelope
            if is_early(candidate.transaction, time_s):
                continue
            if self._judge(candidate, nonces.get(envelope.sender)) != Verdict.ACCEPTED:
                continue
            nonces[envelope.sender] = envelope.nonce
            chosen.append(candidate)
        raws = [candidate.transaction.raw for candidate in chosen]
        return Proposal(FORMAT_VERSION, self.height + 1, time_s, self.last_hash, raws), chosen

    def process_proposal(
        self, proposal: Proposal, candidates: Sequence[Candidate | Unreadable]
    ) -> bool:
        """Whether an honest replica may vote for the proposal; depends on it and the state only."""
        if (
            proposal.version != FORMAT_VERSION
            or proposal.height != self.height + 1
            or proposal.parent != self.last_hash
            or not _are_of(candidates, proposal)
            or len(candidates) > self.genesis.limits.block_transactions
        ):
            return False
        nonces: dict[str, int] = {}
        for candidate in candidates:
            if isinstance(candidate, Unreadable) or is_early(
                candidate.transaction, proposal.time_s
            ):
                return False
            envelope = candidate.transaction.envelope
            if self._judge(candidate, nonces.get(envelope.sender)) != Verdict.ACCEPTED:
                return False
            nonces[envelope.sender] = envelope.nonce
        return True

    def finalize_block(
        self, proposal: Proposal, candidates: Sequence[Candidate | Unreadable]
    ) -> BlockResult:
        """Execute a decided block. The working state moves on; `commit` makes it official.

        A decided block is executed whatever is in it: what should not be there gets a verdict.
        A payload that is not here is another matter, since every replica must execute the same.

        Raises:
            InvariantError: not the next height, or a candidate without the payload it names.
        """
        invariant(proposal.height == self.height + 1, f"height {proposal.height} out of turn")
        invariant(_are_of(candidates, proposal), "these are not the proposal's transactions")
        receipts: list[Receipt] = []
        changes: dict[str, Entry | None] = {}
        documents: list[Document] = []
        events: list[Event] = []
        payload_hashes: list[bytes] = []
        for candidate in candidates:
            if isinstance(candidate, Unreadable):
                receipts.append(Receipt(candidate.transaction_id, int(candidate.verdict), b""))
                payload_hashes.append(b"")
                continue
            verdict, draft, postings = self._execute(candidate)
            changes.update(draft.writes)
            documents.extend(draft.documents)
            events.extend(draft.events)
            receipts.append(Receipt(candidate.transaction.id, int(verdict), postings))
            payload_hashes.append(candidate.transaction.envelope.payload_hash)
        state_map = self.state_map.updated(_contents(changes))
        engine = engine_root(self._engine_at(proposal.height))
        record = Record(
            version=FORMAT_VERSION,
            genesis=self.genesis_hash,
            height=proposal.height,
            time_s=proposal.time_s,
            parent=proposal.parent,
            proposal=proposal_hash(proposal),
            transactions=len(receipts),
            transactions_root=transactions_root(proposal.transactions),
            payloads_root=payloads_root(payload_hashes),
            receipts_root=receipts_root(receipts),
            market_root=state_map.root,
            engine_root=engine,
            validators=validators_id(self.engine),
            engine=self.engine.engine,
            state_root=state_root(state_map.root, engine),
        )
        return BlockResult(record, receipts, changes, documents, events, state_map)

    def commit(self, result: BlockResult) -> None:
        """The block is durable: it is the state from now on."""
        self.state_map = result.state_map
        self.height = result.record.height
        self.last_hash = record_hash(result.record)

    def query(self, key: str) -> tuple[Entry | None, MapProof]:
        """A state entry, or None, with the proof of either against the market root."""
        return self.state.entries.get(key), self.state_map.prove(key.encode())

    def readable(self, raw: bytes) -> Transaction | Verdict:
        """The transaction that these bytes are on this chain."""
        return read_envelope(raw, self.rules, self.genesis_hash)

    def _signature_good(self, candidate: Candidate, public_key: bytes) -> bool:
        """The check made before, unless the sender's key has changed since."""
        if candidate.checked_key == public_key:
            return candidate.signature_good
        transaction = candidate.transaction
        return self.verify_signature(public_key, transaction.digest, transaction.envelope.signature)

    def _engine_at(self, height: int) -> EngineState:
        return EngineState(self.engine.engine, height, self.engine.epoch, self.engine.validators)

    def _execute(self, candidate: Candidate) -> tuple[Verdict, Draft, bytes]:
        """Run one transaction: its verdict, what it wrote (already in the state), its postings."""
        transaction = candidate.transaction
        envelope = transaction.envelope
        phase = self.phase
        draft = Draft(self.state, phase)
        verdict = self.check_tx(candidate)
        if not uses_nonce(verdict):
            return verdict, draft, b""
        if verdict == Verdict.ACCEPTED:
            _use_nonce(draft, envelope.sender, envelope.nonce)
            verdict = self._handle(candidate, draft)
        if verdict != Verdict.ACCEPTED:
            draft = Draft(self.state, phase)
            _use_nonce(draft, envelope.sender, envelope.nonce)
        postings = draft.postings_hash(transaction.id)
        draft.commit()
        return verdict, draft, postings

    def _handle(self, candidate: Candidate, draft: Draft) -> Verdict:
        transaction = candidate.transaction
        envelope = transaction.envelope
        if judge_payload(transaction, candidate.sealed, self.rules) != Verdict.ACCEPTED:
            raise InvariantError(f"executed {transaction.id.hex()} without its payload")
        rule = KINDS[envelope.kind]
        payload = None
        if rule.payload is not None:
            try:
                payload = open_payload(rule.payload, candidate.sealed)
            except CodecError:
                return Verdict.MALFORMED_PAYLOAD
        roles = Role(draft.require(party_key(envelope.sender), Party).roles)
        if rule.roles and not rule.roles & roles:
            return Verdict.ROLE_MISSING
        call = Call(
            self.rules,
            draft,
            envelope,
            transaction.id,
            roles,
            transaction.body,
            payload,
            candidate.sealed,
        )
        try:
            return rule.handler(call)
        except AmountOverflowError:
            return Verdict.OVERFLOW


def _are_of(candidates: Sequence[Candidate | Unreadable], proposal: Proposal) -> bool:
    """Whether the candidates are the proposal's bytes, one for one."""
    return len(candidates) == len(proposal.transactions) and all(
        candidate.transaction.raw == raw
        if isinstance(candidate, Candidate)
        else candidate.transaction_id == sha256(raw)
        for candidate, raw in zip(candidates, proposal.transactions, strict=True)
    )


def is_early(transaction: Transaction, time_s: int) -> bool:
    """Whether the transaction is a phase that may not be in a block with this header time."""
    body = transaction.body
    return (
        transaction.envelope.kind == Kind.PHASE
        and isinstance(body, MovePhase)
        and body.not_before_s > time_s
    )


def _use_nonce(draft: Draft, sender: str, nonce: int) -> None:
    key = party_key(sender)
    party = draft.require(key, Party)
    draft.put(key, Party(party.public_key, party.roles, nonce, party.since_phase))


def _contents(changes: Mapping[str, Entry | None]) -> dict[bytes, bytes | None]:
    """What the state map holds under each changed key."""
    return {
        key.encode(): None if entry is None else entry.content() for key, entry in changes.items()
    }
