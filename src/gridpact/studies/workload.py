"""A small seeded population on a ledger, for tests and studies: who is there and what they send.

Everything it writes is valid when it is executed in the order in which it was written, each phase
after the receipts of what came before it. It signs with simulated keys and leaves sending to its
callers, who lend it a way to read the state when it has to go on from an existing ledger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from random import Random

from gridpact.codec import Wire, sha256
from gridpact.contracts.bodies import (
    CancelOrder,
    Deposit,
    Kind,
    MoneyPayload,
    MovePhase,
    OrderPayload,
    ParticipantPayload,
    PlaceOrder,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportReading,
    SetTariff,
    Withdraw,
)
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
    genesis_hash,
)
from gridpact.contracts.keys import CLOCK, party_key, position_key, slot_key
from gridpact.errors import invariant
from gridpact.model import (
    METER_SUFFIX,
    OPEN_PHASES,
    OPERATOR,
    PRICE_AUTHORITY,
    AccountMode,
    Clock,
    Party,
    Phase,
    Quality,
    Role,
    Side,
    SlotOrders,
    SlotReadings,
    SlotState,
    SlotTariff,
    TieRule,
    Verdict,
)
from gridpact.node import EmbeddedEngine, EnginePort, SimulatedKeys, Wallet

MARKET, SEALED_MARKET = "m", "sealed"
"""With open orders, where members trade; with sealed ones, for studies that send those."""
SEALED_DEPOSIT_NANO = 10**9
METERING_OPERATOR = "metering-operator"
VALIDATORS = ("validator-a", "validator-b")
"""May move a phase together when the operator is silent."""
FIRST_START_S = 1_735_689_600
"""Start of slot 0: 2025-01-01 00:00 UTC."""
SLOT_LENGTH_S = 900
NEVER_S = 2**40
"""Expiry of what does not belong to a slot."""
TARIFF = SlotTariff(300_000, 80_000, 20_000, "north", "2025-01-01")
"""Retail, feed-in and network fee in micro-currency per kWh; the billing day is each slot's own."""
DEPOSIT_NANO = 10**15
"""What each member pays in, a million: more than its orders can ever hold."""
ENERGY_MAX_WH = 5_000

Signed = tuple[bytes, bytes]
"""(envelope, sealed payload), as an engine takes them."""
Read = Callable[[str], Wire | None]
"""The value under a state key."""


class _ResumableWallet(Wallet):
    """A wallet that can go on where an existing ledger has left its parties."""

    def resume(self, party: str, nonce: int) -> None:
        """`nonce` is the last that the party has used."""
        self._nonces[party] = nonce

    def last_nonce(self, party: str) -> int:
        """The last one written."""
        return self._nonces[party]


def reader(engine: EmbeddedEngine) -> Read:
    """Reads what the engine has executed so far."""
    state = engine.application.state

    def read(key: str) -> Wire | None:
        entry = state.entries.get(key)
        return None if entry is None else entry.value

    return read


async def send(engine: EnginePort, batch: Sequence[Signed]) -> list[Verdict]:
    """Submit all together, wait until each is durable or refused, and say what each was told."""
    ids = [sha256(envelope) for envelope, _ in batch]
    told = await asyncio.gather(*(engine.submit(*signed) for signed in batch))
    taken = [id_ for id_, verdict in zip(ids, told, strict=True) if verdict == Verdict.ACCEPTED]
    outcomes = iter(await engine.receipts(taken))
    return [
        Verdict(next(outcomes).verdict) if verdict == Verdict.ACCEPTED else verdict
        for verdict in told
    ]


def meter_of(member: str) -> str:
    """Id of a member's meter."""
    return member + METER_SUFFIX


def start_of(slot: int) -> int:
    """Start of the slot with this number, seconds UTC."""
    return FIRST_START_S + slot * SLOT_LENGTH_S


class Workload:
    """Members with meters and money, and the transactions of their days.

    Same seed and same calls, same bytes. Slots are numbered from 0.
    """

    def __init__(
        self,
        seed: int,
        members: int,
        *,
        orders_per_slot: int = 20,
        limits: Limits = DEFAULT_LIMITS,
        validators: Sequence[str] = VALIDATORS,
    ) -> None:
        self.members = [f"member-{number:04}" for number in range(members)]
        self.keys = SimulatedKeys(seed)
        self.genesis = self._genesis(seed, orders_per_slot, limits, validators)
        self.wallet = _ResumableWallet(self.keys, genesis_hash(self.genesis))
        self.phase = 0
        """Number of the last phase transaction written."""
        self._random = Random(seed)
        self._cap = orders_per_slot
        self._placed: dict[tuple[int, str], list[int]] = {}
        """Nonces of open orders by (open slot, member)."""
        self._seats: deque[tuple[int, str]] = deque()
        """Where the next orders go: each (open slot, member) that is below the cap, in turn."""

    def _genesis(
        self, seed: int, orders_per_slot: int, limits: Limits, validators: Sequence[str]
    ) -> Genesis:
        roles = {
            OPERATOR: Role.OPERATOR,
            PRICE_AUTHORITY: Role.PRICE_AUTHORITY,
            METERING_OPERATOR: Role.METERING_OPERATOR,
            **dict.fromkeys(validators, Role.VALIDATOR),
        }
        return Genesis(
            version=GENESIS_VERSION,
            app_version=APP_VERSION,
            chain=f"workload-{seed}",
            currency="EUR",
            network="",
            previous=b"",
            markets=[
                Market(
                    market,
                    SLOT_LENGTH_S,
                    TieRule.PRO_RATA,
                    orders_per_slot,
                    deposit_nano,
                    None,
                    None,
                )
                for market, deposit_nano in ((MARKET, 0), (SEALED_MARKET, SEALED_DEPOSIT_NANO))
            ],
            parties=[
                GenesisParty(party, self.keys.pair(party)[0], int(role))
                for party, role in roles.items()
            ],
            validators=[Validator(party, 1) for party in validators],
            limits=limits,
            fallback=FallbackRule(quorum=2, delay_s=3600),
        )

    def sign(
        self,
        sender: str,
        kind: Kind,
        body: Wire,
        payload: Wire | None = None,
        *,
        expiry_s: int = NEVER_S,
        salt: bytes = b"",
    ) -> Signed:
        """The sender's next transaction."""
        return self.wallet.write(sender, kind, body, payload, expiry_s=expiry_s, salt=salt)

    def registrations(self) -> list[Signed]:
        """Members, their meters and first deposits; in force from the first barrier.

        Account modes take turns, and the meters of every second member have the metering operator
        as reporter.
        """
        sent = []
        modes = list(AccountMode)
        for number, member in enumerate(self.members):
            meter, mode = meter_of(member), modes[number % len(modes)]
            key, meter_key = self.keys.pair(member)[0], self.keys.pair(meter)[0]
            limit = DEPOSIT_NANO if mode == AccountMode.CREDIT_LIMIT else 0
            reporter = METERING_OPERATOR if number % 2 else meter
            sent += [
                self.sign(
                    OPERATOR,
                    Kind.REGISTER_PARTICIPANT,
                    RegisterParticipant(member, key, number),
                    ParticipantPayload(self.keys.secret(member), mode, limit),
                ),
                self.sign(
                    OPERATOR,
                    Kind.REGISTER_METER,
                    RegisterMeter(meter, meter_key, member, reporter, number),
                ),
                self.sign(
                    OPERATOR,
                    Kind.DEPOSIT,
                    Deposit(member, number),
                    MoneyPayload(DEPOSIT_NANO, "first payment"),
                ),
            ]
        return sent

    def tariffs(self, first: int, slots: int) -> list[Signed]:
        """Prices of a range of slots, one transaction for each day; in force from a barrier."""
        by_day: dict[str, list[int]] = {}
        for slot in range(first, first + slots):
            day = datetime.fromtimestamp(start_of(slot), UTC).date().isoformat()
            by_day.setdefault(day, []).append(slot)
        return [
            self.sign(
                PRICE_AUTHORITY,
                Kind.TARIFF,
                SetTariff(
                    MARKET,
                    start_of(run[0]),
                    len(run),
                    SlotTariff(
                        TARIFF.retail_micro_per_kwh,
                        TARIFF.feed_in_micro_per_kwh,
                        TARIFF.network_fee_micro_per_kwh,
                        TARIFF.region,
                        day,
                    ),
                    0,
                ),
            )
            for day, run in by_day.items()
        ]

    def move(self, phase: Phase, first: int, slots: int = 1, *, market: str = MARKET) -> Signed:
        """The phase transaction that moves slots `first`, `first + 1`, ... one step on."""
        self.phase += 1
        touched = range(first, first + slots) if market == MARKET else range(0)
        if phase == Phase.OPEN:
            for slot in touched:
                self._open(slot)
        elif phase == Phase.CLOSED:
            self._placed = {k: v for k, v in self._placed.items() if k[0] not in touched}
            self._seats = deque(seat for seat in self._seats if seat[0] not in touched)
        body = MovePhase(market, self.phase, phase, start_of(first), slots, 0)
        return self.sign(OPERATOR, Kind.PHASE, body)

    def opening(self, slots: int) -> list[list[Signed]]:
        """From nothing to `slots` open slots, in two batches: all claims, then their barrier."""
        return [self.registrations() + self.tariffs(0, slots), [self.move(Phase.OPEN, 0, slots)]]

    async def open_market(self, engine: EnginePort, slots: int = 8) -> None:
        """Bring a new ledger to where orders can come: `opening`, sent and accepted.

        Raises:
            InvariantError: something was refused.
        """
        for batch in self.opening(slots):
            told = set(await send(engine, batch))
            invariant(told == {Verdict.ACCEPTED}, f"opening the market was told {told}")

    def room(self) -> int:
        """How many more orders fit under the cap."""
        return sum(self._cap - len(self._placed[seat]) for seat in self._seats)

    def orders(self, count: int) -> list[Signed]:
        """Orders of all members in turn, over all open slots, within the cap.

        Raises:
            InvariantError: more than members x open slots x cap.
        """
        sent = []
        for _ in range(count):
            invariant(bool(self._seats), f"no room for {count} orders; open more slots")
            seat = self._seats.popleft()
            sent.append(self._order(*seat))
            if len(self._placed[seat]) < self._cap:
                self._seats.append(seat)
        return sent

    def cancels(self, count: int) -> list[Signed]:
        """Takes back up to `count` open orders, chosen by chance."""
        sent = []
        for _ in range(count):
            seats = [seat for seat, nonces in self._placed.items() if nonces]
            if not seats:
                break
            slot, member = seat = self._random.choice(seats)
            nonces = self._placed[seat]
            if len(nonces) == self._cap:
                self._seats.append(seat)
            nonce = nonces.pop(self._random.randrange(len(nonces)))
            body = CancelOrder(MARKET, start_of(slot), nonce)
            sent.append(self.sign(member, Kind.CANCEL, body, expiry_s=start_of(slot)))
        return sent

    def withdrawals(self, count: int) -> list[Signed]:
        """Small amounts, each by a member chosen by chance; paid at the next barrier."""
        return [
            self.sign(
                self._random.choice(self.members),
                Kind.WITHDRAW,
                Withdraw(self._random.randrange(10**6)),
                MoneyPayload(self._random.randrange(1, 10**6), "payout"),
            )
            for _ in range(count)
        ]

    def readings(self, first: int, slots: int = 1, *, version: int = 1) -> list[Signed]:
        """One reading of every member's meter for each slot of a range that is delivered."""
        sent = []
        for slot in range(first, first + slots):
            for number, member in enumerate(self.members):
                meter = meter_of(member)
                body = ReportReading(MARKET, start_of(slot), member, meter)
                import_wh, export_wh = self._random.randrange(ENERGY_MAX_WH), 0
                if self._random.random() < 0.5:
                    import_wh, export_wh = export_wh, import_wh
                payload = ReadingPayload(version, Quality.MEASURED, import_wh, export_wh)
                sender = METERING_OPERATOR if number % 2 else meter
                sent.append(self.sign(sender, Kind.READING, body, payload))
        return sent

    def resumed_from(self, slots: int) -> list[str]:
        """Keys of all that `resume` reads."""
        fixed = [party.party for party in self.genesis.parties]
        names = (*fixed, *self.members, *map(meter_of, self.members))
        starts = [start_of(slot) for slot in range(slots)]
        return [
            CLOCK,
            *map(party_key, names),
            *(slot_key(MARKET, start) for start in starts),
            *(
                position_key("orders", member, MARKET, start)
                for start in starts
                for member in self.members
            ),
        ]

    def resume(self, read: Read, slots: int) -> None:
        """Go on from what a ledger holds: nonces, the phase number, open orders.

        Args:
            slots: how many slots, from 0 on, may be open.
        """
        clock = read(CLOCK)
        self.phase = clock.phase if isinstance(clock, Clock) else 0
        fixed = [party.party for party in self.genesis.parties]
        for name in (*fixed, *self.members, *map(meter_of, self.members)):
            party = read(party_key(name))
            self.wallet.resume(name, party.nonce if isinstance(party, Party) else 0)
        self._placed.clear()
        self._seats.clear()
        for slot in range(slots):
            state = read(slot_key(MARKET, start_of(slot)))
            if not isinstance(state, SlotState) or state.phase != Phase.OPEN:
                continue
            self._open(slot)
            for member in self.members:
                held = read(position_key("orders", member, MARKET, start_of(slot)))
                if isinstance(held, SlotOrders):
                    self._placed[slot, member] = [order.nonce for order in held.orders]
        self._seats = deque(seat for seat in self._seats if len(self._placed[seat]) < self._cap)

    def batches(self, read: Read, *, slots: int = 2, size: int = 8) -> Iterator[list[Signed]]:
        """Without end: members trade window after window of slots, from open to final.

        It goes on wherever the ledger stands, so it can be started again after a crash. All
        receipts of a batch have to be in before the next is asked for.

        Args:
            slots: slots of one window, which move together.
            size: about this many orders per batch, and batches of orders per window.
        """
        window = 0
        while _phase_of(read, window * slots) == Phase.FINAL:
            window += 1
        self.resume(read, (window + 1) * slots)
        if read(party_key(meter_of(self.members[-1]))) is None:
            yield self.registrations()
        while True:
            first = window * slots
            yield from self._window(read, first, slots, size)
            window += 1

    def _window(self, read: Read, first: int, slots: int, size: int) -> Iterator[list[Signed]]:
        """One window from whatever phase it is in to `final`."""
        while (phase := _phase_of(read, first)) != Phase.FINAL:
            if phase is None:
                yield self.tariffs(first, slots)
            elif phase == Phase.OPEN:
                for _ in range(size):
                    yield self.orders(min(size, self.room())) + self.cancels(1)
                    yield self.withdrawals(1)
            elif phase in {Phase.DELIVERED, Phase.SETTLED}:
                version = 1
                key = position_key("readings", self.members[0], MARKET, start_of(first))
                if isinstance(held := read(key), SlotReadings):
                    version += max(reading.version for reading in held.readings)
                yield self.readings(first, slots, version=version)
            yield [self.move(_AFTER[phase], first, slots)]

    def _open(self, slot: int) -> None:
        for member in self.members:
            self._placed[slot, member] = []
            self._seats.append((slot, member))

    def _order(self, slot: int, member: str) -> Signed:
        """An order between the tariffs with a limit a little beyond its price."""
        chance = self._random
        low, high = TARIFF.feed_in_micro_per_kwh, TARIFF.retail_micro_per_kwh
        price, side = chance.randint(low, high), chance.choice(list(Side))
        limit = chance.randint(price, high) if side == Side.BID else chance.randint(low, price)
        payload = OrderPayload(
            side, price, chance.randint(1, ENERGY_MAX_WH), limit, chance.randrange(10**6)
        )
        body = PlaceOrder(MARKET, start_of(slot))
        signed = self.sign(member, Kind.ORDER, body, payload, expiry_s=start_of(slot))
        self._placed[slot, member].append(self.wallet.last_nonce(member))
        return signed


_AFTER: dict[Phase | None, Phase] = dict(zip((None, *OPEN_PHASES), OPEN_PHASES, strict=False))
"""The step that follows each phase; the first one follows None."""


def _phase_of(read: Read, slot: int) -> Phase | None:
    """Where a slot is; None before it is open."""
    state = read(slot_key(MARKET, start_of(slot)))
    return state.phase if isinstance(state, SlotState) else None
