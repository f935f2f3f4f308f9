"""Blocks that can no longer be executed, checked by what everybody may see.

Once payloads are gone, a block proves what its public parts prove: that it follows the block
before, that its envelopes, payload hashes and receipts are those of its record, that each was
signed by the key its sender had then, and that nonces have no gaps. Keys, roles and meters follow
from public bodies and from what barriers said of the claims. What the block did to accounts is not
looked at here: the state at the base has the root that the last of these records names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from gridpact.codec import CodecError, Wire, decode, encode
from gridpact.contracts import APPLIED_IN_ORDER, Application, judge_payload
from gridpact.contracts.bodies import (
    Claim,
    CloseAccount,
    Endorsement,
    GrantRole,
    Kind,
    MovePhase,
    RegisterMeter,
    RegisterParticipant,
    RotateKey,
)
from gridpact.ledger import Entry
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
from gridpact.ledger.envelope import Transaction
from gridpact.model import Meter, Metering, Party, Role, Verdict, uses_nonce
from gridpact.node.signature_worker import verify_signature
from gridpact.node.tables import Base, LedgerTables, StoredTransaction
from gridpact.node.verifier import VerifierProcess

PUBLIC_START = ("party", "metering", "endorsement")
"""Namespaces that public checks follow, besides claims."""
_CLAIM_ORDER = list(APPLIED_IN_ORDER)
_VERDICTS = frozenset(map(int, Verdict))


def first_state_of(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """What public checks of later blocks start from; of claims without their payloads."""
    kept: dict[str, Entry] = {}
    for key, entry in entries.items():
        if isinstance(entry.value, Claim):
            kept[key] = Entry(msgspec.structs.replace(entry.value, payload=b""), b"", -1)
        elif key.partition("/")[0] in PUBLIC_START:
            kept[key] = entry
    return kept


def differences(where: str, stored: Record, computed: Record) -> Iterator[str]:
    """Each field of a record that is not what it should be, in words."""
    for name in Record.__struct_fields__:
        values = getattr(stored, name), getattr(computed, name)
        if values[0] != values[1]:
            shown = [v.hex() if isinstance(v, bytes) else v for v in values]
            yield f"{where}: {name} is {shown[0]}, the replay gives {shown[1]}"


class PublicHistory:
    """One pass over the blocks from the first one held up to the base."""

    def __init__(
        self,
        store: LedgerTables,
        base: Base,
        application: Application,
        found: Callable[[str], None],
    ) -> None:
        self.store = store
        self.base = base
        self.application = application
        """For its rules and its engine; its state is not used."""
        self.found = found
        self.last_hash = application.genesis_hash
        self.transactions = 0
        self.payloads = 0
        """Payloads that are here."""
        self.pruned = 0
        """Payloads that envelopes name and that are not here."""
        self._parties: dict[str, Party] = {}
        self._meters: dict[str, list[Meter]] = {}
        self._waiting: dict[str, tuple[tuple[int, int, str, int], Kind, Wire]] = {}
        """Claim -> its place in the order of claims, its kind, its body."""
        self._asked: dict[str, bytes] = {}
        """Validator -> the phase it asks for."""

    async def run(self, verifier: VerifierProcess, entries: Mapping[str, Entry]) -> None:
        """Check all blocks, then that parties and meters are those of the base.

        Args:
            verifier: checks signatures.
            entries: the state at the base.
        """
        self._begin()
        for height in range(self.base.first, self.base.height + 1):
            if not await self._block(height, verifier):
                return
        if self.last_hash != self.base.record:
            self.found(f"block {self.base.height}: its record is not the one of the base")
        for name, computed in (("party", self._parties), ("metering", self._metering())):
            stored = {
                key.partition("/")[2]: entry.value
                for key, entry in entries.items()
                if key.startswith(f"{name}/")
            }
            for owner in sorted(stored.keys() | computed.keys()):
                if stored.get(owner) != computed.get(owner):
                    self.found(f"base: {name}/{owner} is not what the blocks before it give")

    def _metering(self) -> dict[str, Metering]:
        return {owner: Metering(meters) for owner, meters in self._meters.items()}

    def _begin(self) -> None:
        """Where the checks start: the genesis file, or what a snapshot left."""
        rows = self.store.first_rows()
        if self.base.first == 1:
            for party in self.store.genesis.parties:
                self._parties[party.party] = Party(party.public_key, party.roles, 0, 0)
            return
        self.last_hash = record_hash(self.store.record(self.base.first - 1))
        for key, value in rows.items():
            what, _, name = key.partition("/")
            try:
                if what == "party":
                    self._parties[name] = decode(Party, value)
                elif what == "metering":
                    self._meters[name] = decode(Metering, value).meters
                elif what == "endorsement":
                    bodies = decode(Endorsement, value).bodies
                    self._asked = {sender.decode(): body for sender, body in bodies}
                else:
                    claim = decode(Claim, value)
                    sender, _, nonce = name.rpartition("/")
                    body = decode(APPLIED_IN_ORDER[claim.kind][0], claim.body)
                    self._wait(sender, int(nonce), claim.kind, body)
            except (CodecError, ValueError, KeyError) as error:
                self.found(f"first state row {key!r}: {error}")

    async def _block(self, height: int, verifier: VerifierProcess) -> bool:
        """Check one block; False when going on makes no sense."""
        where = f"block {height}"
        data = self.store.record_bytes(height)
        if data is None:
            self.found(f"{where}: record is missing")
            return False
        try:
            record = decode(Record, data)
        except CodecError as error:
            self.found(f"{where}: {error}")
            return False
        rows = self.store.transactions(height)
        read = self._read(where, rows)
        if read is None:
            return False
        for text in differences(where, record, self._record(height, record, rows, read)):
            self.found(text)
        events = iter(self.store.events(height))
        start = dict(self._parties)
        good = await self._signatures(read, verifier)
        for row, transaction, is_good in zip(rows, read, good, strict=True):
            name = f"{where}, transaction {row.id.hex()[:16]}"
            self._follow(name, row, transaction, is_good, start.get(transaction.envelope.sender))
            if row.verdict == Verdict.ACCEPTED:
                self._apply(name, transaction, events)
        for subject, _ in events:
            self.found(f"{where}: nothing decided {subject!r}")
        self.last_hash = record_hash(record)
        self.transactions += len(rows)
        return True

    def _read(self, where: str, rows: list[StoredTransaction]) -> list[Transaction] | None:
        """The stored bytes as transactions, with the payloads that are still here; None if not."""
        read = []
        for row in rows:
            name = f"{where}, transaction {row.id.hex()[:16]}"
            transaction = self.application.readable(row.envelope)
            if not isinstance(transaction, Transaction):
                self.found(f"{name}: {transaction.name}")
                return None
            if row.id != transaction.id:
                self.found(f"{name}: its id is {transaction.id.hex()}")
            if row.sealed is not None:
                self.payloads += 1
                verdict = judge_payload(transaction, row.sealed, self.application.rules)
                if verdict != Verdict.ACCEPTED or not row.sealed:
                    self.found(f"{name}: payload is not the one the envelope names")
            elif transaction.envelope.payload_hash:
                self.pruned += 1
            read.append(transaction)
        return read

    def _record(
        self, height: int, record: Record, rows: list[StoredTransaction], read: list[Transaction]
    ) -> Record:
        """The record that the public parts give; the market root is taken as stated."""
        engine = self.application.engine
        at_height = EngineState(engine.engine, height, engine.epoch, engine.validators)
        envelopes = [row.envelope for row in rows]
        proposal = Proposal(FORMAT_VERSION, height, record.time_s, self.last_hash, envelopes)
        receipts = [Receipt(row.id, row.verdict, row.postings_hash) for row in rows]
        root = engine_root(at_height)
        return Record(
            version=FORMAT_VERSION,
            genesis=self.application.genesis_hash,
            height=height,
            time_s=record.time_s,
            parent=self.last_hash,
            proposal=proposal_hash(proposal),
            transactions=len(rows),
            transactions_root=transactions_root(envelopes),
            payloads_root=payloads_root([t.envelope.payload_hash for t in read]),
            receipts_root=receipts_root(receipts),
            market_root=record.market_root,
            engine_root=root,
            validators=validators_id(engine),
            engine=engine.engine,
            state_root=state_root(record.market_root, root),
        )

    async def _signatures(self, read: list[Transaction], verifier: VerifierProcess) -> list[bool]:
        """Whether each is signed with the key that its sender has before the block."""
        checks = []
        for transaction in read:
            party = self._parties.get(transaction.envelope.sender)
            key = party.public_key if party is not None else bytes(32)
            checks.append((key, transaction.digest, transaction.envelope.signature))
        return await verifier.verify(checks)

    def _follow(
        self,
        name: str,
        row: StoredTransaction,
        transaction: Transaction,
        is_good: bool,
        start: Party | None,
    ) -> None:
        """Check signature and nonce, and count the nonce.

        Args:
            name: of the transaction, for people.
            row: as stored.
            transaction: the same, read.
            is_good: whether the signature is by the key that the sender had before the block.
            start: the sender before the block.
        """
        envelope = transaction.envelope
        party = self._parties.get(envelope.sender)
        if party is None or start is None or not is_good:
            self.found(f"{name}: is not signed by a party of this chain")
            return
        same_key = party.public_key == start.public_key
        if row.verdict not in _VERDICTS:
            self.found(f"{name}: verdict {row.verdict} is none")
        elif not uses_nonce(Verdict(row.verdict)):
            if same_key:
                self.found(f"{name}: {Verdict(row.verdict).name}, and yet in a block")
        elif envelope.nonce != party.nonce + 1:
            self.found(f"{name}: nonce {envelope.nonce} follows {party.nonce}")
        else:
            if not same_key and not verify_signature(
                party.public_key, transaction.digest, envelope.signature
            ):
                self.found(f"{name}: is not signed with the key its sender had by then")
            self._parties[envelope.sender] = msgspec.structs.replace(party, nonce=envelope.nonce)

    def _apply(
        self, name: str, transaction: Transaction, events: Iterator[tuple[str, int]]
    ) -> None:
        """What an accepted transaction does to keys, roles and meters, now or at a barrier."""
        envelope, body = transaction.envelope, transaction.body
        if isinstance(body, MovePhase):
            if self._is_barrier(envelope.sender, body):
                self._decide(name, body.number, events)
        elif envelope.kind in APPLIED_IN_ORDER:
            self._wait(envelope.sender, envelope.nonce, Kind(envelope.kind), body)

    def _wait(self, sender: str, nonce: int, kind: Kind, body: Wire) -> None:
        submitted_ms = getattr(body, "submitted_ms", 0)
        rank = (_CLAIM_ORDER.index(kind), submitted_ms, sender, nonce)
        self._waiting[f"claim/{sender}/{nonce}"] = (rank, kind, body)

    def _is_barrier(self, sender: str, body: MovePhase) -> bool:
        """Whether an accepted phase took effect: the operator's does, validators' when enough."""
        party = self._parties.get(sender)
        if party is not None and Role.OPERATOR in Role(party.roles):
            return True
        self._asked[sender] = encode(body)
        same = sum(asked == encode(body) for asked in self._asked.values())
        return same >= self.store.genesis.fallback.quorum

    def _decide(self, name: str, number: int, events: Iterator[tuple[str, int]]) -> None:
        """All claims that wait, in their order, with what the barrier said of each."""
        self._asked = {}
        waiting = sorted(self._waiting.items(), key=lambda item: item[1][0])
        self._waiting = {}
        for subject, (_, _, body) in waiting:
            told, verdict = next(events, ("nothing", -1))
            if told != subject:
                self.found(f"{name}: the barrier decided {told!r} where {subject!r} waited")
                return
            if verdict == Verdict.ACCEPTED:
                self._enter(subject.split("/")[1], body, number)

    def _enter(self, sender: str, body: Wire, number: int) -> None:
        """What an accepted claim does to keys, roles and meters."""
        parties = self._parties
        if isinstance(body, RegisterParticipant):
            parties[body.participant] = Party(body.public_key, int(Role.MEMBER), 0, number)
            self._meters[body.participant] = []
        elif isinstance(body, RegisterMeter):
            parties[body.meter] = Party(body.public_key, int(Role.METER), 0, number)
            meters = [*self._meters.get(body.owner, []), Meter(body.meter, body.reporter, number)]
            self._meters[body.owner] = sorted(meters, key=lambda meter: meter.meter)
        elif isinstance(body, GrantRole) and body.party in parties:
            party = parties[body.party]
            role = int(body.role)
            roles = party.roles | role if body.granted else party.roles & ~role
            parties[body.party] = msgspec.structs.replace(party, roles=roles)
        elif isinstance(body, RotateKey) and sender in parties:
            key = body.public_key
            parties[sender] = msgspec.structs.replace(parties[sender], public_key=key)
        elif isinstance(body, CloseAccount):
            meters = self._meters.pop(body.participant, [])
            for name in (body.participant, *(meter.meter for meter in meters)):
                if name in parties:
                    parties[name] = msgspec.structs.replace(parties[name], roles=0)
