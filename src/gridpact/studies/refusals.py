"""Well-formed, well-signed transactions that the rules refuse, and the ledger that makes them so.

The scene has slots in every phase and parties with one lack each; every row of `RULES` names the
one verdict that its transaction must meet there. `wild_intent` draws what may also be accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from gridpact.codec import Wire, encode, sha256
from gridpact.contracts.bodies import (
    CloseAccount,
    Deposit,
    GrantRole,
    Kind,
    MoneyPayload,
    MovePhase,
    ParticipantPayload,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportReading,
    RotateKey,
    SetTariff,
    Withdraw,
)
from gridpact.contracts.genesis import DEFAULT_LIMITS
from gridpact.contracts.keys import CLOCK, party_key, position_key
from gridpact.ledger.envelope import ENVELOPE_VERSION, sealed_payload
from gridpact.model import (
    OPERATOR,
    PRICE_AUTHORITY,
    AccountMode,
    Clock,
    Party,
    Phase,
    Quality,
    Side,
    SlotSeals,
    SlotTariff,
    Verdict,
)
from gridpact.studies.intents import (
    SEALED_ORDER,
    Intent,
    batch_intent,
    cancel_intent,
    carbon_intents,
    curtail_intent,
    order_intent,
    phase_intent,
    reading_intent,
    reveal_intent,
    seal_intent,
    tariff_intent,
)
from gridpact.studies.mutations import (
    EXTREMES,
    SMALL_ORDER_POINTS,
    Forge,
    Mutant,
    Sample,
    Values,
    broken_shape,
    pack,
    values_of,
)
from gridpact.studies.trace_specimens import TRACE_BODIES
from gridpact.studies.workload import (
    DEPOSIT_NANO,
    MARKET,
    METERING_OPERATOR,
    NEVER_S,
    SEALED_MARKET,
    TARIFF,
    VALIDATORS,
    Read,
    Signed,
    Workload,
    meter_of,
    start_of,
)
from gridpact.units import QUANTITY_MAX

FINAL, DELIVERED, CLOSED, DEAR, CLEARED, FULL, OPEN = range(7)
"""Slots by what they are for. The dear one is metered, and settling it would overflow; of the
cleared one trade 0 is curtailed. The market with sealed orders has `CLOSED`, where orders can be
revealed, `FULL` and `OPEN`."""
SLOTS = 8
"""Open from the start; barriers open the following ones."""
UNOPENED = 900_000
"""A slot without tariff, far from all that open."""
CAP = 3
"""Orders per member and slot."""
LATEST_VERSION = 5
"""Of the readings that the delivered slot has."""
POOR, METERLESS = "poor", "meterless"
LATE_EXPIRY_MAX_S = start_of(CLEARED) - 1
"""What expires before the latest closed gate has expired."""


class Scene:
    """Who is there, in which state, and a pen for everybody."""

    def __init__(self, seed: int, random: Random) -> None:
        self.random = random
        self.workload = Workload(
            seed,
            15,
            orders_per_slot=CAP,
            limits=msgspec.structs.replace(DEFAULT_LIMITS, slots_per_phase=SLOTS),
        )
        members = self.workload.members
        self.quiet = members[:4]
        """Never send, so that samples signed by them stay fresh."""
        self.late, self.full, self.absent = members[4:7]
        """Sends what has expired; is at the cap; has a meter that does not report."""
        self.busy = members[7:11]
        self.wild = members[11:14]
        """May do and suffer anything."""
        self.rotator = members[14]
        """Changes its key and is not seen again."""
        self.next_phase = 1
        self.forge = Forge(
            random,
            self.workload.wallet.genesis_hash,
            self.workload.keys,
            self.workload.genesis.limits,
            [],
            {f"small-order-{i}": point for i, point in enumerate(SMALL_ORDER_POINTS)},
        )
        self.read: Read = dict[str, Wire]().get
        """How to read the ledger, once there is one."""
        self._nonces: dict[str, int] = {}

    # Building the scene

    def setup(self) -> list[list[Signed]]:
        """Valid transactions in batches that bring a new ledger to the scene."""
        load = self.workload
        dear = SlotTariff(QUANTITY_MAX, 0, 0, TARIFF.region, TARIFF.billing_day)
        batches = [
            load.registrations()
            + [self._signed(intent) for intent in self._guests()]
            + load.tariffs(0, SLOTS)
            + [self._signed(tariff_intent(0, SLOTS, TARIFF, market=SEALED_MARKET))]
            + [self._signed(tariff_intent(DEAR, 1, dear, submitted_ms=1))],
            [
                load.move(Phase.OPEN, 0, SLOTS),
                load.move(Phase.OPEN, 0, SLOTS, market=SEALED_MARKET),
            ],
            [
                self._signed(order_intent(member, slot, side=side))
                for slot in (FINAL, DELIVERED, CLOSED, CLEARED, OPEN)
                for member, side in zip(self.busy, (Side.BID, Side.OFFER) * 2, strict=True)
            ]
            + [self._signed(order_intent(self.full, FULL)) for _ in range(CAP)]
            + [self._signed(seal_intent(self.full, FULL)) for _ in range(CAP)]
            + [
                self._signed(seal_intent(member, slot))
                for slot in (CLOSED, OPEN)
                for member in self.busy + self.wild
            ],
            [load.move(Phase.CLOSED, 0, 5), load.move(Phase.CLOSED, CLOSED, market=SEALED_MARKET)],
            [load.move(Phase.CLEARED, CLEARED)],
            [self._signed(curtail_intent(CLEARED, (0, 1)))],
        ]
        batches += [
            [load.move(phase, FINAL, 2), load.move(phase, DEAR)]
            for phase in (Phase.CLEARED, Phase.DELIVERED)
        ]
        metered = [*load.members, POOR]
        sent = [self._signed(reading_intent(member, FINAL)) for member in metered]
        sent += [
            self._signed(reading_intent(member, DELIVERED, version=LATEST_VERSION))
            for member in metered
            if member != self.absent
        ]
        sent += [self._signed(reading_intent(m, DEAR, import_wh=QUANTITY_MAX)) for m in metered]
        batches.append(sent)
        batches.append([load.move(Phase.METERED, DEAR)])
        batches.append([load.move(p, FINAL) for p in (Phase.METERED, Phase.SETTLED, Phase.FINAL)])
        return batches

    def _signed(self, intent: Intent) -> Signed:
        return self.workload.sign(
            intent.sender, intent.kind, intent.body, intent.payload, salt=intent.salt
        )

    def _guests(self) -> list[Intent]:
        """Registrations of those with a lack: of money, of a meter, of a sound key."""
        keys = self.workload.keys
        payload = ParticipantPayload(keys.secret("guest"), AccountMode.PREPAID, 0)
        parties = {name: keys.pair(name)[0] for name in (POOR, METERLESS)} | self.forge.small_order
        guests = [
            Intent(OPERATOR, Kind.REGISTER_PARTICIPANT, RegisterParticipant(name, key, 0), payload)
            for name, key in parties.items()
        ]
        meter = meter_of(POOR)
        body = RegisterMeter(meter, keys.pair(meter)[0], POOR, meter, 0)
        guests.append(Intent(OPERATOR, Kind.REGISTER_METER, body))
        money = MoneyPayload(DEPOSIT_NANO, "")
        guests += [
            Intent(OPERATOR, Kind.DEPOSIT, Deposit(name, 0), money)
            for name in (METERLESS, *self.forge.small_order)
        ]
        return guests

    def attach(self, read: Read) -> None:
        """The scene stands on a ledger: make the samples that mutations start from."""
        self.read = read
        self.start_batch()
        for member in self.quiet:
            for intent in specimens(member, self.next_phase):
                sealed = self._sealed(intent, 1)
                fields = self._fields(member, intent.kind, encode(intent.body), sealed, 1)
                envelope = self.forge.signed(fields)
                self.forge.samples.append(Sample(tuple(fields), sealed, envelope))

    # Writing with the next unused nonce

    def start_batch(self) -> None:
        """What was written before has been executed; nonces and the phase are read again."""
        self._nonces.clear()
        clock = self.read(CLOCK)
        self.next_phase = clock.phase + 1 if isinstance(clock, Clock) else 1

    def nonce(self, sender: str) -> int:
        """The last nonce that the sender has used, in the state or in this batch."""
        if sender not in self._nonces:
            party = self.read(party_key(sender))
            self._nonces[sender] = party.nonce if isinstance(party, Party) else 0
        return self._nonces[sender]

    def sealed_nonce(self, member: str, slot: int) -> int:
        """Nonce of the member's first sealed order in a slot; 1 when it has none any more."""
        held = self.read(position_key("seals", member, SEALED_MARKET, start_of(slot)))
        return held.seals[0].nonce if isinstance(held, SlotSeals) else 1

    def write(self, intent: Intent, *, expiry_s: int = NEVER_S) -> Signed:
        """The intent as its sender's next transaction."""
        nonce = self.nonce(intent.sender) + 1
        return self.write_bytes(
            intent.sender, intent.kind, encode(intent.body), self._sealed(intent, nonce), expiry_s
        )

    def write_bytes(
        self, sender: str, kind: Kind, public: bytes, sealed: bytes, expiry_s: int = NEVER_S
    ) -> Signed:
        """Any body and payload, well signed, as the sender's next transaction."""
        nonce = self._nonces[sender] = self.nonce(sender) + 1
        fields = self._fields(sender, kind, public, sealed, nonce, expiry_s)
        return self.forge.signed(fields), sealed

    def _sealed(self, intent: Intent, nonce: int) -> bytes:
        if intent.payload is None:
            return b""
        salt = intent.salt or self.workload.keys.salt(intent.sender, nonce)
        return sealed_payload(salt, intent.payload)

    def _fields(
        self,
        sender: str,
        kind: Kind,
        public: bytes,
        sealed: bytes,
        nonce: int,
        expiry_s: int = NEVER_S,
    ) -> list[object]:
        payload_hash = sha256(sealed) if sealed else b""
        return [ENVELOPE_VERSION, int(kind), sender, nonce, expiry_s, public, payload_hash]

    # Mutants that need the scene

    def refused(self, number: int) -> Mutant:
        """Row `number` of `RULES`, counted round and round."""
        verdict, row = RULES[number % len(RULES)]
        envelope, sealed = self.write(row if isinstance(row, Intent) else row(self))
        return Mutant(f"rule: {verdict.name}", envelope, sealed, frozenset({verdict}))

    def unauthorised(self, number: int) -> Mutant:
        """A good transaction by somebody without the role, all kinds and senders in turn."""
        kind, sender = self.lacking()[number % len(self.lacking())]
        intent = next(i for i in specimens(sender, self.next_phase) if i.kind == kind)
        envelope, sealed = self.write(intent)
        name = f"unauthorised: {kind.name} by {sender}"
        return Mutant(name, envelope, sealed, frozenset({Verdict.ROLE_MISSING}))

    def lacking(self) -> list[tuple[Kind, str]]:
        """(kind, sender) of everything that must not be."""
        member, meter = self.busy[0], meter_of(self.busy[0])
        everybody = (
            OPERATOR, PRICE_AUTHORITY, METERING_OPERATOR, VALIDATORS[1], member, meter
        )  # fmt: skip
        entitled = {
            Kind.REGISTER_PARTICIPANT: {OPERATOR},
            Kind.REGISTER_METER: {OPERATOR, METERING_OPERATOR},
            Kind.GRANT_ROLE: {OPERATOR},
            Kind.CLOSE_ACCOUNT: {OPERATOR},
            Kind.DEPOSIT: {OPERATOR},
            Kind.WITHDRAW: {member},
            Kind.TARIFF: {PRICE_AUTHORITY},
            Kind.ORDER: {member},
            Kind.CANCEL: {member},
            Kind.PHASE: {OPERATOR, VALIDATORS[1]},
            Kind.SEALED_ORDER: {member},
            Kind.REVEAL: {member},
            Kind.CURTAILMENT: {OPERATOR},
            Kind.READING: {METERING_OPERATOR, meter},
            Kind.READING_BATCH: {METERING_OPERATOR, meter},
            Kind.MEMBER_CARBON: {OPERATOR},
            Kind.SLOT_CARBON: {OPERATOR},
            **{kind: set() for kind in TRACE_BODIES},
        }
        return [
            (kind, sender)
            for kind, allowed in entitled.items()
            for sender in everybody
            if sender not in allowed
        ]

    def broken_payload(self) -> Mutant:
        """A payload with the right hash that is not one: only execution can tell."""
        while True:
            intent = self.random.choice(specimens(self.random.choice(self.busy), self.next_phase))
            if intent.payload is not None:
                break
        how, broken = broken_shape(self.forge, encode(intent.payload))
        salt = self.random.randbytes(32)
        sealed = salt[: self.random.randint(1, 32)] if not broken else salt + broken
        envelope, sealed = self.write_bytes(intent.sender, intent.kind, encode(intent.body), sealed)
        expected = frozenset({Verdict.MALFORMED_PAYLOAD})
        return Mutant(f"payload: {how}", envelope, sealed, expected)

    def used_nonce(self) -> Mutant:
        """Something new under a nonce that its sender has used."""
        intent = order_intent(self.random.choice(self.busy), OPEN)
        nonce = self.random.randint(1, self.nonce(intent.sender))
        sealed = self._sealed(intent, nonce)
        fields = self._fields(intent.sender, intent.kind, encode(intent.body), sealed, nonce)
        expected = frozenset({Verdict.NONCE_USED})
        return Mutant("nonce used", self.forge.signed(fields), sealed, expected)

    def expired(self) -> Mutant:
        """Wanted no longer. One per batch: a block uses its nonce, the door does not."""
        expiry_s = self.random.choice([0, LATE_EXPIRY_MAX_S, start_of(FINAL)])
        envelope, sealed = self.write(order_intent(self.late, OPEN), expiry_s=expiry_s)
        return Mutant("expired", envelope, sealed, frozenset({Verdict.EXPIRED}))

    def wild_mutant(self) -> Mutant:
        """Well signed by who may, with numbers and names at the edges; anything may come of it."""
        intent = wild_intent(self)
        public, sealed = encode(intent.body), b""
        if self.random.random() < 0.8:
            public = pack(_strange(self, values_of(public), intent.kind))
        if intent.payload is not None:
            content = encode(intent.payload)
            if self.random.random() < 0.6:
                content = pack(_strange(self, values_of(content), None))
            sealed = (intent.salt or self.random.randbytes(32)) + content
        envelope, sealed = self.write_bytes(intent.sender, intent.kind, public, sealed)
        name = f"wild: {intent.kind.name} by {intent.sender}"
        return Mutant(name, envelope, sealed, frozenset(Verdict))

    # What keeps market time going

    def barrier(self) -> list[Signed]:
        """Opens one more slot: all that waits takes effect, then a validator asks for the next."""
        number, slot = self.next_phase, SLOTS + self.next_phase
        self.next_phase += 1
        return [
            self.write(intent)
            for intent in (
                tariff_intent(slot, 1, TARIFF),
                phase_intent(OPERATOR, number, Phase.OPEN, slot),
                phase_intent(
                    VALIDATORS[0], self.next_phase, Phase.OPEN, UNOPENED, not_before_s=NEVER_S
                ),
            )
        ]


# Intents with one thing to vary


def specimens(sender: str, next_phase: int) -> list[Intent]:
    """One good transaction of each kind, whoever sends it."""
    key, money = bytes(range(32)), MoneyPayload(1_000, "note")
    return [
        Intent(
            sender,
            Kind.REGISTER_PARTICIPANT,
            RegisterParticipant("newcomer", key, 1),
            ParticipantPayload(key, AccountMode.CREDIT_LIMIT, 1_000),
        ),
        Intent(sender, Kind.REGISTER_METER, RegisterMeter("new.meter", key, POOR, OPERATOR, 1)),
        Intent(sender, Kind.GRANT_ROLE, GrantRole(POOR, 64, 1, 1)),
        Intent(sender, Kind.ROTATE_KEY, RotateKey(key, 1)),
        Intent(sender, Kind.CLOSE_ACCOUNT, CloseAccount(POOR, 1)),
        Intent(sender, Kind.DEPOSIT, Deposit(POOR, 1), money),
        Intent(sender, Kind.WITHDRAW, Withdraw(1), money),
        Intent(sender, Kind.TARIFF, SetTariff(MARKET, start_of(UNOPENED), 2, TARIFF, 1)),
        order_intent(sender, OPEN),
        cancel_intent(sender, OPEN, 1),
        phase_intent(sender, next_phase, Phase.CLOSED, OPEN),
        seal_intent(sender, OPEN),
        reveal_intent(sender, CLOSED, 1),
        curtail_intent(CLEARED, (1, 1))._replace(sender=sender),
        batch_intent(POOR, DELIVERED, version=LATEST_VERSION + 1, sender=sender),
        Intent(
            sender,
            Kind.READING,
            ReportReading(MARKET, start_of(DELIVERED), POOR, meter_of(POOR)),
            ReadingPayload(LATEST_VERSION + 1, Quality.ESTIMATED, 500, 0),
        ),
        *carbon_intents(sender, DELIVERED, POOR),
        *(Intent(sender, kind, body) for kind, body in TRACE_BODIES.items()),
    ]


def _dear(retail: int, fee: int) -> SlotTariff:
    return SlotTariff(retail, TARIFF.feed_in_micro_per_kwh, fee, TARIFF.region, "a-day")


def _one(scene: Scene) -> str:
    return scene.random.choice(scene.busy)


def _move(
    phase: Phase, slot: int, *, off: int = 0, slots: int = 1, market: str = MARKET
) -> Callable[[Scene], Intent]:
    """A move by the operator, its number `off` by so much."""

    def intent(scene: Scene) -> Intent:
        number = max(0, scene.next_phase + off)
        return phase_intent(OPERATOR, number, phase, slot, slots=slots, market=market)

    return intent


def _register(name: str) -> Callable[[Scene], Intent]:
    def intent(scene: Scene) -> Intent:
        body = RegisterParticipant(name, bytes(range(32)), 0)
        payload = ParticipantPayload(bytes(32), AccountMode.PREPAID, 0)
        return Intent(OPERATOR, Kind.REGISTER_PARTICIPANT, body, payload)

    return intent


def _misaligned(scene: Scene) -> Intent:
    start_s = start_of(UNOPENED) + scene.random.randint(1, 899)
    body = MovePhase(MARKET, scene.next_phase, Phase.OPEN, start_s, 1, 0)
    return Intent(OPERATOR, Kind.PHASE, body)


def _meter_again(scene: Scene) -> Intent:
    meter = meter_of(_one(scene))
    body = RegisterMeter(meter, bytes(range(32)), POOR, meter, 0)
    return Intent(METERING_OPERATOR, Kind.REGISTER_METER, body)


def _revealed(sender: str, slot: int, **changes: int) -> Intent:
    order = msgspec.structs.replace(SEALED_ORDER, **changes)
    return reveal_intent(sender, slot, 1, order=order)


def _of_seal(scene: Scene, slot: int, **changes: int) -> Intent:
    """A reveal of a seal that is there, as it was sealed or as something else."""
    member = _one(scene)
    order = msgspec.structs.replace(SEALED_ORDER, **changes)
    return reveal_intent(member, slot, scene.sealed_nonce(member, slot), order=order)


RULES: tuple[tuple[Verdict, Intent | Callable[[Scene], Intent]], ...] = (
    (Verdict.OVERFLOW, _move(Phase.SETTLED, DEAR)),
    (Verdict.UNKNOWN_MARKET, lambda s: order_intent(_one(s), OPEN, market="nowhere")),
    (Verdict.UNKNOWN_MARKET, _move(Phase.OPEN, UNOPENED, market="nowhere")),
    (Verdict.UNKNOWN_MARKET, tariff_intent(UNOPENED, 1, TARIFF, market="nowhere")),
    (Verdict.UNKNOWN_SLOT, lambda s: order_intent(_one(s), UNOPENED)),
    (Verdict.UNKNOWN_SLOT, lambda s: cancel_intent(_one(s), UNOPENED, 1)),
    (Verdict.UNKNOWN_SLOT, lambda s: reading_intent(_one(s), UNOPENED)),
    (Verdict.ALREADY_REGISTERED, _register(OPERATOR)),
    (Verdict.ALREADY_REGISTERED, _register(POOR)),
    (Verdict.ALREADY_REGISTERED, _meter_again),
    (Verdict.PHASE_NUMBER_WRONG, _move(Phase.OPEN, UNOPENED, off=1)),
    (Verdict.PHASE_NUMBER_WRONG, _move(Phase.CLEARED, CLOSED, off=-1)),
    (Verdict.PHASE_NUMBER_WRONG, _move(Phase.CLEARED, CLOSED, off=2**32)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.OPEN, FINAL)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.CLEARED, OPEN)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.CLOSED, CLOSED)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.FINAL, FINAL, slots=2)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.CLOSED, UNOPENED)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.CLOSED, CLOSED, slots=4)),
    (Verdict.RANGE_WRONG, _misaligned),
    (Verdict.RANGE_WRONG, _move(Phase.OPEN, UNOPENED, slots=SLOTS + 1)),
    (Verdict.RANGE_WRONG, tariff_intent(UNOPENED, QUANTITY_MAX, TARIFF)),
    (Verdict.TARIFF_MISSING, _move(Phase.OPEN, UNOPENED)),
    (Verdict.TARIFF_WRONG, tariff_intent(OPEN, 1, TARIFF)),
    (Verdict.TARIFF_WRONG, tariff_intent(FINAL, SLOTS, TARIFF)),
    (Verdict.TARIFF_WRONG, tariff_intent(UNOPENED, 1, _dear(100_000, 20_000))),
    (Verdict.TARIFF_WRONG, tariff_intent(UNOPENED, 1, _dear(0, 0))),
    (Verdict.READINGS_MISSING, _move(Phase.METERED, DELIVERED)),
    (
        Verdict.TOO_EARLY,
        lambda s: phase_intent(VALIDATORS[1], s.next_phase, Phase.OPEN, UNOPENED),
    ),
    (
        Verdict.ALREADY_ENDORSED,
        lambda s: phase_intent(
            VALIDATORS[0], s.next_phase, Phase.OPEN, UNOPENED, not_before_s=NEVER_S
        ),
    ),
    (Verdict.GATE_CLOSED, lambda s: order_intent(_one(s), CLOSED)),
    (Verdict.GATE_CLOSED, lambda s: order_intent(_one(s), FINAL)),
    (Verdict.GATE_CLOSED, lambda s: cancel_intent(_one(s), CLOSED, 1)),
    (Verdict.NOT_DELIVERED, lambda s: reading_intent(_one(s), OPEN)),
    (Verdict.NOT_DELIVERED, lambda s: reading_intent(_one(s), CLOSED)),
    (Verdict.PRICE_OUT_OF_BAND, lambda s: order_intent(_one(s), OPEN, price=79_999)),
    (Verdict.PRICE_OUT_OF_BAND, lambda s: order_intent(_one(s), OPEN, price=QUANTITY_MAX)),
    (Verdict.PRICE_OUT_OF_BAND, lambda s: order_intent(_one(s), OPEN, limit=300_001)),
    (Verdict.LIMIT_WRONG, lambda s: order_intent(_one(s), OPEN, limit=199_999)),
    (
        Verdict.LIMIT_WRONG,
        lambda s: order_intent(_one(s), OPEN, limit=200_001, side=Side.OFFER),
    ),
    (Verdict.TOO_MANY_ORDERS, lambda s: order_intent(s.full, FULL)),
    (Verdict.UNKNOWN_ORDER, lambda s: cancel_intent(_one(s), OPEN, 2**40)),
    (Verdict.UNKNOWN_ORDER, lambda s: cancel_intent(s.full, OPEN, 1)),
    (Verdict.INSUFFICIENT_FUNDS, order_intent(POOR, OPEN)),
    (
        Verdict.INSUFFICIENT_FUNDS,
        Intent(POOR, Kind.WITHDRAW, Withdraw(0), MoneyPayload(1, "")),
    ),
    (Verdict.METER_MISSING, order_intent(METERLESS, OPEN)),
    (Verdict.METER_FOREIGN, lambda s: reading_intent(POOR, DELIVERED, meter=meter_of(_one(s)))),
    (Verdict.METER_FOREIGN, reading_intent("nobody", DELIVERED, meter=meter_of(POOR))),
    (Verdict.VERSION_STALE, lambda s: reading_intent(_one(s), DELIVERED)),
    (
        Verdict.VERSION_STALE,
        lambda s: reading_intent(_one(s), DELIVERED, version=LATEST_VERSION),
    ),
    (Verdict.READING_CLOSED, lambda s: reading_intent(_one(s), FINAL, version=2)),
    (Verdict.UNKNOWN_MARKET, lambda s: seal_intent(_one(s), OPEN, market="nowhere")),
    (Verdict.UNKNOWN_MARKET, lambda s: batch_intent(_one(s), DELIVERED, market="nowhere")),
    (Verdict.UNKNOWN_SLOT, lambda s: seal_intent(_one(s), UNOPENED)),
    (Verdict.UNKNOWN_SLOT, lambda s: reveal_intent(_one(s), UNOPENED, 1)),
    (Verdict.UNKNOWN_SLOT, lambda s: reveal_intent(_one(s), CLOSED, 1, market="nowhere")),
    (Verdict.UNKNOWN_SLOT, curtail_intent(UNOPENED, (0, 1))),
    (Verdict.UNKNOWN_SLOT, lambda s: batch_intent(_one(s), UNOPENED)),
    (Verdict.RANGE_WRONG, lambda s: batch_intent(_one(s), DELIVERED, off_s=1)),
    (Verdict.RANGE_WRONG, lambda s: batch_intent(_one(s), DELIVERED, SLOTS + 1)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.REVEALED, CLOSED)),
    (Verdict.PHASE_STEP_WRONG, _move(Phase.CLEARED, CLOSED, market=SEALED_MARKET)),
    (Verdict.GATE_CLOSED, lambda s: seal_intent(_one(s), CLOSED)),
    (
        Verdict.GATE_CLOSED,
        lambda s: cancel_intent(_one(s), CLOSED, 1, market=SEALED_MARKET),
    ),
    (Verdict.NOT_DELIVERED, lambda s: batch_intent(_one(s), OPEN)),
    (Verdict.NOT_DELIVERED, lambda s: batch_intent(_one(s), FINAL, SLOTS)),
    (Verdict.PRICE_OUT_OF_BAND, lambda s: _revealed(_one(s), CLOSED, price_micro_per_kwh=79_999)),
    (Verdict.LIMIT_WRONG, lambda s: _revealed(_one(s), CLOSED, limit_micro_per_kwh=199_999)),
    (Verdict.TOO_MANY_ORDERS, lambda s: seal_intent(s.full, FULL)),
    (Verdict.INSUFFICIENT_FUNDS, seal_intent(POOR, OPEN)),
    (Verdict.INSUFFICIENT_FUNDS, reveal_intent(POOR, CLOSED, 1)),
    (Verdict.METER_MISSING, seal_intent(METERLESS, OPEN)),
    (
        Verdict.METER_FOREIGN,
        batch_intent(POOR, DELIVERED, version=2**31 - 1, sender=METERING_OPERATOR),
    ),
    (Verdict.METER_FOREIGN, lambda s: batch_intent("nobody", DELIVERED, sender=meter_of(_one(s)))),
    (Verdict.VERSION_STALE, lambda s: batch_intent(_one(s), DELIVERED, version=LATEST_VERSION)),
    (Verdict.VERSION_STALE, lambda s: batch_intent(_one(s), FINAL, 2)),
    (Verdict.READING_CLOSED, lambda s: batch_intent(_one(s), FINAL, version=2)),
    (Verdict.SEALING_WRONG, lambda s: order_intent(_one(s), OPEN, market=SEALED_MARKET)),
    (Verdict.SEALING_WRONG, lambda s: seal_intent(_one(s), OPEN, market=MARKET)),
    (Verdict.UNKNOWN_SEAL, lambda s: reveal_intent(_one(s), CLOSED, 2**40)),
    (Verdict.UNKNOWN_SEAL, lambda s: reveal_intent(_one(s), CLOSED, 1, market=MARKET)),
    (Verdict.UNKNOWN_SEAL, lambda s: reveal_intent(s.full, CLOSED, 1)),
    (Verdict.SEAL_BROKEN, lambda s: _of_seal(s, CLOSED, energy_wh=1_001)),
    (Verdict.SEAL_BROKEN, lambda s: _of_seal(s, CLOSED)._replace(salt=bytes(32))),
    (Verdict.SEAL_BROKEN, lambda s: _of_seal(s, OPEN, submitted_ms=1)),
    (Verdict.NOT_REVEALING, lambda s: _of_seal(s, OPEN)),
    (Verdict.NOT_CLEARED, curtail_intent(OPEN, (0, 1))),
    (Verdict.NOT_CLEARED, curtail_intent(CLOSED, (0, 1))),
    (Verdict.NOT_CLEARED, curtail_intent(DELIVERED, (0, 1))),
    (Verdict.NOT_CLEARED, curtail_intent(FINAL, (0, 1))),
    (Verdict.UNKNOWN_TRADE, curtail_intent(CLEARED, (2**40, 1))),
    (Verdict.UNKNOWN_TRADE, curtail_intent(CLEARED, (0, QUANTITY_MAX), (99, 1))),
    (Verdict.CURTAILMENT_WRONG, curtail_intent(CLEARED, (0, 1))),
    (Verdict.CURTAILMENT_WRONG, curtail_intent(CLEARED, (1, QUANTITY_MAX))),
    (Verdict.CURTAILMENT_WRONG, curtail_intent(CLEARED, (1, 1), (1, 2))),
    *((Verdict.CARBON_UNRULED, intent) for intent in carbon_intents(OPERATOR, DELIVERED, POOR)),
)
"""Each verdict of the rules that one transaction can meet, with transactions that must meet it."""


def wild_intent(scene: Scene) -> Intent:
    """A good transaction of a party that may send it and whose affairs nothing else rests on."""
    random = scene.random
    member, puppet = random.choice(scene.wild), meter_of(scene.wild[0])
    by_kind = {intent.kind: intent for intent in specimens(member, scene.next_phase)}
    far = start_of(UNOPENED + random.randrange(1, 20) * 1000)
    last = (2**63 - 1) // 900 * 900
    start_s = random.choice([far, far, far, last, last - 900 * random.randrange(20), 2**63 - 1])
    money = MoneyPayload(random.randint(1, 10**9), "wild")
    choices = [
        by_kind[Kind.REGISTER_PARTICIPANT]._replace(sender=OPERATOR),
        by_kind[Kind.REGISTER_METER]._replace(sender=METERING_OPERATOR),
        Intent(OPERATOR, Kind.GRANT_ROLE, GrantRole(puppet, 32, 1, 0)),
        by_kind[Kind.ROTATE_KEY]._replace(sender=scene.rotator),
        by_kind[Kind.CLOSE_ACCOUNT]._replace(sender=OPERATOR),
        Intent(OPERATOR, Kind.DEPOSIT, Deposit(member, 0), money),
        Intent(member, Kind.WITHDRAW, Withdraw(0), money),
        Intent(PRICE_AUTHORITY, Kind.TARIFF, SetTariff(MARKET, start_s, 2, TARIFF, 0)),
        order_intent(member, OPEN),
        order_intent(puppet, OPEN),
        Intent(puppet, Kind.WITHDRAW, Withdraw(0), money),
        cancel_intent(member, OPEN, random.randint(1, 9)),
        seal_intent(member, OPEN),
        cancel_intent(member, OPEN, scene.sealed_nonce(member, OPEN), market=SEALED_MARKET),
        reveal_intent(member, CLOSED, scene.sealed_nonce(member, CLOSED)),
        reveal_intent(member, CLOSED, scene.sealed_nonce(member, CLOSED)),
        curtail_intent(CLEARED, (random.randint(1, 3), random.randint(1, 1_000))),
        batch_intent(member, DELIVERED, version=random.randint(1, 2**31 - 1)),
        batch_intent(
            member,
            random.choice([FINAL, DELIVERED]),
            random.randint(1, 2),
            version=random.randint(1, 2**31 - 1),
            sender=METERING_OPERATOR,
        ),
        Intent(
            OPERATOR,
            Kind.PHASE,
            MovePhase(
                MARKET,
                scene.next_phase,
                random.choice([Phase.OPEN, Phase.OPEN, Phase.REVEALED, Phase.CLEARED, Phase.FINAL]),
                start_s,
                random.randint(1, 2),
                0,
            ),
        ),
        reading_intent(member, DELIVERED, version=random.randint(1, 2**31)),
        *carbon_intents(OPERATOR, DELIVERED, POOR),
    ]
    return random.choice(choices)


def _strange(scene: Scene, values: Values, kind: Kind | None) -> Values:
    """The values with numbers and names drawn from the edges.

    What would close a far gate, and with it let everything else expire, stays out; so do parties
    that rules of the scene rest on.
    """
    random, strange = scene.random, list(values)
    names = [
        MARKET,
        SEALED_MARKET,
        "nobody",
        *scene.wild,
        *map(meter_of, scene.wild),
        f"n{random.random()}",
    ]
    for place, value in enumerate(values):
        if random.random() < 0.6:
            continue
        if isinstance(value, list):
            strange[place] = _strange(scene, value, kind)
        elif isinstance(value, str):
            strange[place] = random.choice(names)
        elif isinstance(value, bytes):
            strange[place] = random.choice([bytes(32), random.randbytes(32), b"", value])
        elif isinstance(value, int) and (kind, place) != (Kind.PHASE, _PHASE_PLACE):
            strange[place] = random.choice([*EXTREMES, value + 1, -1, 2**63, 2**64 - 1])
    if kind == Kind.GRANT_ROLE:
        strange[0] = values[0]
    return strange


_PHASE_PLACE = 2
"""Where a phase's body says which."""
