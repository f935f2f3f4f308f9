"""A chain in memory, to be played by tests: members sign, blocks are made, state lies open.

It drives `Application` the way a host does, without disk, processes or clock. After every block
it checks what must hold always: money and escrow add up, energy balances in every slot, so does
carbon, and the root is that of a tree built anew from all entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

import msgspec

from gridpact.codec import Wire, sha256
from gridpact.contracts.application import Application, BlockResult, Candidate, Unreadable
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    BatchPayload,
    BidPayload,
    CancelOrder,
    Curtail,
    CurtailedTrade,
    CurtailmentPayload,
    Deposit,
    GrantRole,
    Kind,
    MemberCarbonPayload,
    MoneyPayload,
    MovePhase,
    OrderPayload,
    ParticipantPayload,
    PlaceBid,
    PlaceOrder,
    ProposeClearing,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportBatch,
    ReportReading,
    RevealOrder,
    RotateKey,
    SealOrder,
    SetTariff,
    SlotReading,
    Withdraw,
    order_commitment,
)
from gridpact.contracts.carbon_balance import carbon_residuals
from gridpact.contracts.conservation import energy_residual_wh, unbalanced
from gridpact.contracts.genesis import (
    APP_VERSION,
    DEFAULT_LIMITS,
    GENESIS_VERSION,
    FallbackRule,
    Genesis,
    GenesisParty,
    Limits,
    Market,
    Validator,
)
from gridpact.contracts.keys import (
    bill_key,
    credit_key,
    party_key,
    position_key,
    slot_key,
)
from gridpact.contracts.transactions import judge_payload
from gridpact.ledger import Account, Entry, account_key, system_key
from gridpact.ledger.blocks import FORMAT_VERSION, EngineState, Proposal
from gridpact.ledger.envelope import Transaction, sealed_payload, sign_envelope
from gridpact.ledger.statemap import StateMap
from gridpact.model import (
    SEALED_PHASES,
    AccountMode,
    Agreement,
    Bill,
    Certificate,
    Contract,
    CreditNote,
    MemberCarbon,
    MicrogridBid,
    Order,
    Party,
    Phase,
    Quality,
    Role,
    Seal,
    Side,
    SlotCarbon,
    SlotContracts,
    SlotOrders,
    SlotReadings,
    SlotSeals,
    SlotState,
    SlotTariff,
    TieRule,
    Verdict,
)
from gridpact.node import SimulatedKeys, Wallet
from gridpact.node.signature_worker import verify_signature

Signed = tuple[bytes, bytes]
"""(envelope, salt || payload)"""
Value = TypeVar("Value", bound=Wire)

OPERATOR, PRICES, METERING = "operator", "prices", "metering"
AUDITOR = "auditor"
"""A party whose role allows none of the kinds."""
VALIDATORS = ("val-1", "val-2", "val-3")
MARKET, OTHER_MARKET = "lv1", "lv2"
SLOT = 1_699_999_200
"""Start of the first slot that tests trade, on the grid of both markets."""
LENGTH_S, OTHER_LENGTH_S = 900, 1_800
DELAY_S = 3_600
"""Validators may move a phase this long after the end of its slots."""
NEVER = 2**40
"""Expiry of what is wanted always."""
DAY = "2023-11-14"
TARIFF = SlotTariff(300_000, 80_000, 20_000, "north", DAY)
"""Import 0.30, export 0.08, network fee 0.02 per kWh."""
KWH = 1_000
CONNECTIONS = b"\xc0" * 32
"""Hash of who is connected where, which nobody reads here."""
SEAL_SALT = b"\x5e" * 32
"""Of the sealed orders that tests reveal."""
UNIT = 10**9
"""One of the currency, in nano."""
WAY = (Phase.CLOSED, Phase.CLEARED, Phase.DELIVERED, Phase.METERED, Phase.SETTLED, Phase.FINAL)
"""The phases after `open`."""
SEALED_WAY = SEALED_PHASES[1:]
"""The same in a market whose orders are sealed."""

verify_once = cache(verify_signature)
"""Tests check the same signature many times over."""


def genesis_with(
    keys: SimulatedKeys,
    *,
    tie: TieRule = TieRule.PRO_RATA,
    orders_per_slot: int = 3,
    sealed_deposit_nano: int = 0,
    other_deposit_nano: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    fallback: FallbackRule | None = None,
    parties: Iterable[tuple[str, Role]] = (),
) -> Genesis:
    """One operator, one price authority, one metering operator, three validators, an auditor."""
    everybody = [
        (OPERATOR, Role.OPERATOR),
        (PRICES, Role.PRICE_AUTHORITY),
        (METERING, Role.METERING_OPERATOR),
        (AUDITOR, Role.AUDITOR),
        *((validator, Role.VALIDATOR) for validator in VALIDATORS),
        *parties,
    ]
    return Genesis(
        version=GENESIS_VERSION,
        app_version=APP_VERSION,
        chain="bench",
        currency="EUR",
        network="",
        previous=b"",
        markets=[
            Market(MARKET, LENGTH_S, tie, orders_per_slot, sealed_deposit_nano, None, None),
            Market(
                OTHER_MARKET, OTHER_LENGTH_S, tie, orders_per_slot, other_deposit_nano, None, None
            ),
        ],
        parties=[GenesisParty(party, keys.pair(party)[0], int(role)) for party, role in everybody],
        validators=[Validator(party, 1) for party in VALIDATORS],
        limits=limits,
        fallback=fallback or FallbackRule(quorum=2, delay_s=DELAY_S),
    )


def engine_of(genesis: Genesis, name: str = "embedded") -> EngineState:
    """What an engine of that name would say about itself."""
    return EngineState(name, 0, 0, sorted((v.party, v.weight) for v in genesis.validators))


class Bench:
    """One chain with everybody's keys."""

    def __init__(self, genesis: Genesis | None = None, keys: SimulatedKeys | None = None) -> None:
        self.keys = keys or SimulatedKeys(7)
        self.genesis = genesis or genesis_with(self.keys)
        self.application = Application(self.genesis, engine_of(self.genesis), verify_once)
        self.application.init_chain()
        self.wallet = Wallet(self.keys, self.application.genesis_hash)
        self.result: BlockResult | None = None
        """Of the last block."""
        self.told_by_id: dict[bytes, Verdict] = {}
        """Of every transaction that was in a block."""
        self.events: dict[str, Verdict] = {}
        """What became of every claim."""

    # Writing

    def write(
        self,
        sender: str,
        kind: Kind,
        body: Wire,
        payload: Wire | None = None,
        *,
        expiry_s: int = NEVER,
        salt: bytes = b"",
    ) -> Signed:
        """The sender's next transaction."""
        return self.wallet.write(sender, kind, body, payload, expiry_s=expiry_s, salt=salt)

    def sign(
        self,
        sender: str,
        kind: int,
        body: Wire,
        payload: Wire | None = None,
        *,
        nonce: int,
        key_of: str = "",
        chain: bytes = b"",
        expiry_s: int = NEVER,
    ) -> Signed:
        """A transaction with a nonce, a key, a chain or a kind of the test's choosing."""
        sealed = b"" if payload is None else sealed_payload(b"\x05" * 32, payload)
        raw = sign_envelope(
            genesis_hash=chain or self.application.genesis_hash,
            signing_key=self.keys.pair(key_of or sender)[1],
            sender=sender,
            nonce=nonce,
            kind=kind,
            expiry_s=expiry_s,
            body=body,
            sealed=sealed,
        )
        return raw, sealed

    def register(
        self,
        participant: str,
        mode: AccountMode = AccountMode.PREPAID,
        limit_nano: int = 0,
        *,
        sender: str = OPERATOR,
        key_of: str = "",
        submitted_ms: int = 0,
    ) -> Signed:
        public_key = self.keys.pair(key_of or participant)[0]
        return self.write(
            sender,
            Kind.REGISTER_PARTICIPANT,
            RegisterParticipant(participant, public_key, submitted_ms),
            ParticipantPayload(self.keys.secret(participant), mode, limit_nano),
        )

    def meter(
        self,
        owner: str,
        meter: str = "",
        *,
        reporter: str = "",
        sender: str = OPERATOR,
        submitted_ms: int = 0,
    ) -> Signed:
        meter = meter or f"{owner}.meter"
        public_key = self.keys.pair(meter)[0]
        body = RegisterMeter(meter, public_key, owner, reporter or meter, submitted_ms)
        return self.write(sender, Kind.REGISTER_METER, body)

    def grant(
        self,
        party: str,
        role: Role,
        *,
        granted: int = 1,
        sender: str = OPERATOR,
        submitted_ms: int = 0,
    ) -> Signed:
        return self.write(sender, Kind.GRANT_ROLE, GrantRole(party, role, granted, submitted_ms))

    def rotate(self, sender: str, key_of: str, *, submitted_ms: int = 0) -> Signed:
        """Asks for the key that the simulated party `key_of` has."""
        public_key = self.keys.pair(key_of)[0]
        return self.write(sender, Kind.ROTATE_KEY, RotateKey(public_key, submitted_ms))

    def deposit(
        self, participant: str, amount_nano: int, *, sender: str = OPERATOR, submitted_ms: int = 0
    ) -> Signed:
        payload = MoneyPayload(amount_nano, "in")
        return self.write(sender, Kind.DEPOSIT, Deposit(participant, submitted_ms), payload)

    def withdraw(self, sender: str, amount_nano: int, *, submitted_ms: int = 0) -> Signed:
        payload = MoneyPayload(amount_nano, "out")
        return self.write(sender, Kind.WITHDRAW, Withdraw(submitted_ms), payload)

    def tariff(
        self,
        prices: SlotTariff = TARIFF,
        *,
        first_s: int = SLOT,
        slots: int = 1,
        market: str = MARKET,
        sender: str = PRICES,
        submitted_ms: int = 0,
    ) -> Signed:
        body = SetTariff(market, first_s, slots, prices, submitted_ms)
        return self.write(sender, Kind.TARIFF, body)

    def bid(self, sender: str, price: int, energy_wh: int, **more: int) -> Signed:
        return self.order(sender, Side.BID, price, energy_wh, **more)

    def offer(self, sender: str, price: int, energy_wh: int, **more: int) -> Signed:
        return self.order(sender, Side.OFFER, price, energy_wh, **more)

    def order(
        self,
        sender: str,
        side: Side,
        price: int,
        energy_wh: int,
        *,
        limit: int | None = None,
        slot_s: int = SLOT,
        submitted_ms: int = 0,
        expiry_s: int = NEVER,
    ) -> Signed:
        limit = price if limit is None else limit
        payload = OrderPayload(side, price, energy_wh, limit, submitted_ms)
        body = PlaceOrder(MARKET, slot_s)
        return self.write(sender, Kind.ORDER, body, payload, expiry_s=expiry_s)

    def cancel(self, sender: str, order_nonce: int, *, slot_s: int = SLOT) -> Signed:
        return self.write(sender, Kind.CANCEL, CancelOrder(MARKET, slot_s, order_nonce))

    def seal(
        self, sender: str, order: OrderPayload, *, slot_s: int = SLOT, sealed_by: str = ""
    ) -> Signed:
        """A sealed order; `sealed_by` makes it a commitment that belongs to somebody else."""
        sealed = sealed_payload(SEAL_SALT, order)
        commitment = order_commitment(sealed_by or sender, MARKET, slot_s, sha256(sealed))
        return self.write(sender, Kind.SEALED_ORDER, SealOrder(MARKET, slot_s, commitment))

    def reveal(self, sender: str, nonce: int, order: OrderPayload, *, slot_s: int = SLOT) -> Signed:
        return self.write(
            sender, Kind.REVEAL, RevealOrder(MARKET, slot_s, nonce), order, salt=SEAL_SALT
        )

    def microgrid(
        self, sender: str, bid: MicrogridBid, *, slot_s: int = SLOT, market: str = MARKET
    ) -> Signed:
        """A bid in a market of bargains."""
        return self.write(sender, Kind.BID, PlaceBid(market, slot_s), BidPayload(bid))

    def clearing(
        self,
        certificate: Certificate,
        *left_out: str,
        sender: str = OPERATOR,
        slot_s: int = SLOT,
        market: str = MARKET,
        salt: bytes = b"",
    ) -> Signed:
        body = ProposeClearing(market, slot_s, list(left_out))
        return self.write(sender, Kind.CLEARING, body, certificate, salt=salt)

    def curtailment(
        self,
        *cuts: tuple[int, int, str],
        sender: str = OPERATOR,
        slot_s: int = SLOT,
        submitted_ms: int = 0,
    ) -> Signed:
        """(trade, Wh, branch or bus) of each trade that the grid cannot carry."""
        payload = CurtailmentPayload([CurtailedTrade(*cut) for cut in cuts])
        return self.write(sender, Kind.CURTAILMENT, Curtail(MARKET, slot_s, submitted_ms), payload)

    def member_carbon(
        self,
        participant: str,
        *parts: MemberCarbon,
        sender: str = OPERATOR,
        first_s: int = SLOT,
        submitted_ms: int = 0,
        market: str = MARKET,
    ) -> Signed:
        """A member's part of consecutive slots."""
        body = AllotMemberCarbon(market, first_s, participant, submitted_ms)
        return self.write(sender, Kind.MEMBER_CARBON, body, MemberCarbonPayload(list(parts)))

    def slot_carbon(
        self,
        *slots: SlotCarbon,
        sender: str = OPERATOR,
        first_s: int = SLOT,
        submitted_ms: int = 0,
        market: str = MARKET,
    ) -> Signed:
        """Sums of consecutive slots, which make the members' parts count."""
        body = AllotSlotCarbon(market, first_s, list(slots), CONNECTIONS, submitted_ms)
        return self.write(sender, Kind.SLOT_CARBON, body)

    def batch(
        self,
        owner: str,
        net_wh: Sequence[int],
        *,
        sender: str = METERING,
        version: int = 1,
        quality: Quality = Quality.MEASURED,
        first_s: int = SLOT,
    ) -> Signed:
        """Readings of consecutive slots, net, + = export."""
        seen = [SlotReading(quality, max(0, -net), max(0, net)) for net in net_wh]
        body = ReportBatch(MARKET, first_s, owner, f"{owner}.meter")
        return self.write(sender, Kind.READING_BATCH, body, BatchPayload(version, seen))

    def phase(
        self,
        phase: Phase,
        *,
        first_s: int = SLOT,
        slots: int = 1,
        number: int | None = None,
        sender: str = OPERATOR,
        not_before_s: int = 0,
        market: str = MARKET,
    ) -> Signed:
        number = self.application.phase + 1 if number is None else number
        body = MovePhase(market, number, phase, first_s, slots, not_before_s)
        return self.write(sender, Kind.PHASE, body)

    def reading(
        self,
        owner: str,
        import_wh: int = 0,
        export_wh: int = 0,
        *,
        meter: str = "",
        sender: str = "",
        version: int = 1,
        quality: Quality = Quality.MEASURED,
        slot_s: int = SLOT,
    ) -> Signed:
        meter = meter or f"{owner}.meter"
        body = ReportReading(MARKET, slot_s, owner, meter)
        payload = ReadingPayload(version, quality, import_wh, export_wh)
        return self.write(sender or meter, Kind.READING, body, payload)

    def use_key(self, party: str, key_of: str) -> None:
        """From now on the party signs with the key of the simulated party `key_of`."""
        self.keys._pairs[party] = self.keys.pair(key_of)

    # Deciding

    def candidates(self, transactions: Iterable[Signed]) -> list[Candidate | Unreadable]:
        """What a host makes of received bytes."""
        return [self.candidate(raw, sealed) for raw, sealed in transactions]

    def candidate(self, raw: bytes, sealed: bytes) -> Candidate | Unreadable:
        transaction = self.application.readable(raw)
        if isinstance(transaction, Verdict):
            return Unreadable(sha256(raw), transaction)
        verdict = judge_payload(transaction, sealed, self.application.rules)
        if verdict != Verdict.ACCEPTED:
            return Unreadable(transaction.id, verdict)
        return self.checked(transaction, sealed)

    def checked(self, transaction: Transaction, sealed: bytes) -> Candidate:
        envelope = transaction.envelope
        party = self.application.party(envelope.sender)
        if party is None:
            return Candidate(transaction, sealed, b"", False)
        good = verify_once(party.public_key, transaction.digest, envelope.signature)
        return Candidate(transaction, sealed, party.public_key, good)

    def block(self, *transactions: Signed, time_s: int = 0) -> BlockResult:
        """One block as an honest proposer makes it and honest replicas accept it."""
        offered = self.candidates(transactions)
        readable = [c for c in offered if isinstance(c, Candidate)]
        proposal, chosen = self.application.prepare_proposal(readable, time_s)
        assert chosen == offered, "a transaction was turned away at the door"
        assert self.application.process_proposal(proposal, offered)
        return self._execute(proposal, offered)

    def decide(self, *transactions: Signed, time_s: int = 0) -> BlockResult:
        """One block with whatever is in it, as only a faulty proposer makes it."""
        return self._execute(self.proposal(transactions, time_s), self.candidates(transactions))

    def proposal(self, transactions: Sequence[Signed], time_s: int = 0) -> Proposal:
        application = self.application
        raws = [raw for raw, _ in transactions]
        return Proposal(FORMAT_VERSION, application.height + 1, time_s, application.last_hash, raws)

    def _execute(self, proposal: Proposal, candidates: list[Candidate | Unreadable]) -> BlockResult:
        result = self.application.finalize_block(proposal, candidates)
        self.application.commit(result)
        self.result = result
        for receipt in result.receipts:
            self.told_by_id[receipt.transaction] = Verdict(receipt.verdict)
        for event in result.events:
            self.events[event.subject] = Verdict(event.verdict)
        self.check()
        return result

    def told(self, *transactions: Signed, time_s: int = 0) -> list[Verdict]:
        """Verdicts of one block, in its order."""
        result = self.block(*transactions, time_s=time_s)
        return [Verdict(receipt.verdict) for receipt in result.receipts]

    def accept(self, *transactions: Signed, time_s: int = 0) -> None:
        """One block in which everything is accepted."""
        told = self.told(*transactions, time_s=time_s)
        assert told == [Verdict.ACCEPTED] * len(transactions), told

    def refuse(self, transaction: Signed, verdict: Verdict, *, time_s: int = 0) -> None:
        """One block with one refused transaction, which uses its nonce and nothing else.

        What has expired is turned away at the door, so only a decided block can hold it.
        """
        before = dict(self.application.state.entries)
        groups = self.groups()
        make = self.decide if verdict == Verdict.EXPIRED else self.block
        told = Verdict(make(transaction, time_s=time_s).receipts[0].verdict)
        assert told == verdict, f"{told.name}, not {verdict.name}"
        assert self.result is not None
        assert (self.result.documents, self.result.events) == ([], [])
        assert [receipt.postings_hash for receipt in self.result.receipts] == [b""]
        candidate = self.candidate(*transaction)
        assert isinstance(candidate, Candidate)
        key = party_key(candidate.transaction.envelope.sender)
        sender = before[key].value
        assert isinstance(sender, Party)
        used = msgspec.structs.replace(sender, nonce=sender.nonce + 1)
        after = {key: (entry.value, entry.salt) for key, entry in before.items()}
        after[key] = (used, b"")
        entries = self.application.state.entries
        assert {key: (entry.value, entry.salt) for key, entry in entries.items()} == after
        assert self.groups() == groups

    def groups(self) -> dict[str, set[str]]:
        """All lists of the state, emptied ones left out."""
        groups = self.application.state._groups
        return {name: set(keys) for name, keys in groups.items() if keys}

    def check(self) -> None:
        """What must hold after every block."""
        state = self.application.state
        found = unbalanced(state) + carbon_residuals(state)
        for key, entry in state.entries.items():
            if isinstance(entry.value, SlotState):
                _, market, start_s = key.split("/")
                if residual := energy_residual_wh(state, market, int(start_s), entry.value):
                    found.append(f"energy: {key} is {residual} Wh from balancing")
        assert not found, "\n".join(found)
        contents = {key.encode(): entry.content() for key, entry in state.entries.items()}
        assert StateMap.empty().updated(contents).root == self.market_root

    @property
    def market_root(self) -> bytes:
        return self.application.state_map.root

    # Days

    def join(
        self,
        *participants: str,
        deposit_nano: int = 0,
        mode: AccountMode = AccountMode.PREPAID,
        limit_nano: int = 0,
    ) -> None:
        """Registers members with one meter each, and pays in; all wait for the next barrier."""
        for participant in participants:
            self.accept(self.register(participant, mode, limit_nano), self.meter(participant))
            if deposit_nano:
                self.accept(self.deposit(participant, deposit_nano))

    def move(self, phase: Phase, *, first_s: int = SLOT, slots: int = 1) -> None:
        """The operator moves slots on."""
        self.accept(self.phase(phase, first_s=first_s, slots=slots))

    def open(self, *, first_s: int = SLOT, slots: int = 1, prices: SlotTariff = TARIFF) -> None:
        """Sets prices and opens slots."""
        self.accept(self.tariff(prices, first_s=first_s, slots=slots))
        self.move(Phase.OPEN, first_s=first_s, slots=slots)

    def walk(self, last: Phase, *, first_s: int = SLOT, slots: int = 1) -> None:
        """Moves open slots on up to and including a phase, without readings in between."""
        start = self.slot(first_s).phase
        sealed = self.genesis.markets[0].sealed_deposit_nano
        for phase in SEALED_WAY if sealed else WAY:
            if start < phase <= last:
                self.move(phase, first_s=first_s, slots=slots)

    # Looking

    def entry(self, key: str) -> Entry | None:
        return self.application.state.entries.get(key)

    def value(self, key: str, kind: type[Value]) -> Value:
        entry = self.application.state.entries[key]
        assert isinstance(entry.value, kind)
        return entry.value

    def party(self, party: str) -> Party:
        return self.value(party_key(party), Party)

    def account(self, participant: str) -> tuple[int, int]:
        """(available, escrow), nano."""
        account = self.value(account_key(participant), Account)
        return account.available_nano, account.escrow_nano

    def system(self, name: str) -> int:
        """Balance of a system account, nano."""
        account = self.value(system_key(name), Account)
        assert account.escrow_nano == 0
        return account.available_nano

    def slot(self, start_s: int = SLOT, market: str = MARKET) -> SlotState:
        return self.value(slot_key(market, start_s), SlotState)

    def orders(self, participant: str, start_s: int = SLOT) -> list[Order]:
        key = position_key("orders", participant, MARKET, start_s)
        return self.value(key, SlotOrders).orders if self.entry(key) is not None else []

    def contracts(self, participant: str, start_s: int = SLOT) -> list[Contract]:
        key = position_key("contracts", participant, MARKET, start_s)
        return self.value(key, SlotContracts).contracts if self.entry(key) is not None else []

    def agreement(self, participant: str, start_s: int = SLOT) -> Agreement | None:
        key = position_key("agreements", participant, MARKET, start_s)
        return self.value(key, Agreement) if self.entry(key) is not None else None

    def readings(self, participant: str, start_s: int = SLOT) -> SlotReadings:
        return self.value(position_key("readings", participant, MARKET, start_s), SlotReadings)

    def seals(self, participant: str, start_s: int = SLOT) -> list[Seal]:
        key = position_key("seals", participant, MARKET, start_s)
        return self.value(key, SlotSeals).seals if self.entry(key) is not None else []

    def credit(self, participant: str, day: str = DAY) -> CreditNote:
        return self.value(credit_key(participant, day), CreditNote)

    def bill(self, participant: str, day: str = DAY) -> Bill:
        return self.value(bill_key(participant, day), Bill)
