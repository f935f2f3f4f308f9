"""Market nouns as they stand on the ledger: integers only, frozen, no default values."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from gridpact.codec import (
    Hash,
    Int64,
    Name,
    Natural,
    PositiveQuantity,
    PublicKey,
    Quantity,
    Text,
    Wire,
)


class Role(IntFlag):
    """What a party may do. A party holds any number of roles."""

    OPERATOR = 1
    """registers parties, books payments, moves phases."""
    ISSUER = 2
    VALIDATOR = 4
    """moves a phase together with others when the operator is silent."""
    METERING_OPERATOR = 8
    """reports for the meters that name it."""
    METER = 16
    MEMBER = 32
    """trades."""
    AUDITOR = 64
    SUBSTATION = 128
    CLOUD_PROVIDER = 256
    GRID_COMPANY = 512
    ALLOWANCE_AUTHORITY = 1024
    PRICE_AUTHORITY = 2048
    """sets tariffs and network fees."""


class Phase(IntEnum):
    """Where a delivery slot is in market time. Only steps of one, only forward."""

    OPEN = 1
    CLOSED = 2
    """the gate is closed: no order comes or goes."""
    REVEALED = 3
    """of markets with sealed orders only: what was not opened has lost its deposit."""
    CLEARED = 4
    DELIVERED = 5
    METERED = 6
    """every meter has reported."""
    SETTLED = 7
    FINAL = 8
    """corrections are over; orders, contracts and readings have left the state."""


OPEN_PHASES = tuple(phase for phase in Phase if phase is not Phase.REVEALED)
"""The steps of a slot whose orders anybody with the payload can read."""
SEALED_PHASES = tuple(Phase)
"""The steps of a slot whose orders are sealed until the gate is closed."""


class Side(IntEnum):
    """An order's direction."""

    BID = 1
    """to buy."""
    OFFER = 2
    """to sell."""


class Quality(IntEnum):
    """How a reading came about; a smaller number is better evidence."""

    MEASURED = 1
    ESTIMATED = 2
    SUBSTITUTED = 3


class Party(Wire, frozen=True):
    """Somebody who may send transactions. The id is permanent, the key rotates."""

    public_key: PublicKey
    roles: Natural
    nonce: Natural
    """The last one used; 0 before the first."""
    since_phase: Natural
    """Number of the barrier that made the party active."""


class Meter(Wire, frozen=True):
    """A meter and who may report for it."""

    meter: Name
    reporter: Name
    """The party that may report besides the meter itself; the meter's own id when none."""
    since_phase: Natural
    """Number of the barrier that made it active; slots opened from then on need its readings."""


class Metering(Wire, frozen=True):
    """The meters of one participant, by id."""

    meters: list[Meter]


class Order(Wire, frozen=True):
    """One open order; its id is (participant, nonce)."""

    nonce: Natural
    side: Side
    price_micro_per_kwh: Quantity
    energy_wh: PositiveQuantity
    limit_micro_per_kwh: Quantity
    """Private limit: worst price the second stage may use."""
    submitted_ms: Natural
    """Signed by the sender; breaks ties."""
    escrow_nano: Natural
    """Worst-case exposure that is held for it."""


class SlotOrders(Wire, frozen=True):
    """A participant's open orders in one slot, by nonce."""

    orders: list[Order]


class Seal(Wire, frozen=True):
    """One order that nobody can read yet; its id is (participant, nonce)."""

    nonce: Natural
    commitment: Hash
    """What the order must hash to when it is revealed."""
    deposit_nano: Natural
    """Held for it; lost when it is not revealed."""


class SlotSeals(Wire, frozen=True):
    """A participant's sealed orders in one slot, by nonce."""

    seals: list[Seal]


class Contract(Wire, frozen=True):
    """Agreed delivery in a slot, as one of its two parties holds it."""

    trade: Natural
    """Number in the canonical order of the clearing, from 0; the trade id is
    `<market>.<slot start>.<number>`."""
    side: Side
    stage: Natural
    counterparty: Name
    order_nonce: Natural
    energy_wh: PositiveQuantity
    price_sum_micro_per_kwh: Natural
    """Twice the price: the sum of both quotes, so that the midpoint loses nothing."""
    payment_nano: Natural
    """What this party pays (bid) or gets (offer)."""
    fee_nano: Natural
    """Network fee, on the buyer's copy."""
    curtailed_wh: Natural
    """What of the energy the grid could not carry: neither delivered nor paid."""
    bound_by: Text
    """Branch or bus whose limit took it; empty when nothing was curtailed."""


class SlotContracts(Wire, frozen=True):
    """A participant's contracts in one slot."""

    escrow_nano: Natural
    """Held for all of them until the slot is settled."""
    contracts: list[Contract]


class Reading(Wire, frozen=True):
    """Metered energy of one meter in one slot, net: one of the two is zero."""

    meter: Name
    sender: Name
    version: Natural
    quality: Quality
    import_wh: Quantity
    export_wh: Quantity


class SlotReadings(Wire, frozen=True):
    """A participant's readings in one slot."""

    readings: list[Reading]
    """The last version from each sender, by (meter, sender)."""
    settled: list[Reading]
    """Those that the settlement used, by meter, kept when a later version first arrives; empty
    while the readings are still those of the settlement."""


class LineKind(IntEnum):
    """What a bill line charges or credits."""

    PURCHASE = 1
    SALE = 2
    NETWORK_FEE = 3
    GRID_IMPORT = 4
    """metered less than contracted: the missing energy at the retail tariff."""
    GRID_EXPORT = 5
    """metered more than contracted: the surplus at the feed-in tariff."""
    UNDELIVERABLE = 6
    """what the grid could not carry of a trade; no money."""
    LOST_DEPOSIT = 7
    """of a sealed order that was not revealed."""
    TRANSFER = 8
    """what a bargain pays, or costs, whatever is delivered."""
    COMPENSATION = 9
    """for energy of a bargain that its seller did not deliver."""


class BillLine(Wire, frozen=True):
    """One amount of a bill with what it comes from: a trade or a reading, and a price."""

    slot_start_s: Natural
    kind: LineKind
    correction: Int64
    """0 in the first settlement; in the n-th correction -n for an entry that takes an earlier
    line back and +n for the one that replaces it."""
    reference: Text
    """Trade id, `<meter>/v<version>` of each reading used, `<trade id>@<branch or bus>` of what the
    grid could not carry, or `order/<nonce>`."""
    energy_wh: Natural
    price_sum_micro_per_kwh: Natural
    """Twice the price."""
    amount_nano: Int64
    """+ the participant gets it, - the participant pays it."""


class Bill(Wire, frozen=True):
    """A participant's bill of one day; its lines are kept beside it under `lines_root`."""

    total_nano: Int64
    """Sum of all lines, + in the participant's favour."""
    purchases_nano: Int64
    """Of a bargain: transfers paid, compensation received."""
    sales_nano: Int64
    """Of a bargain: transfers received, compensation paid."""
    fees_nano: Int64
    grid_import_nano: Int64
    grid_export_nano: Int64
    lost_deposits_nano: Int64
    bought_wh: Int64
    sold_wh: Int64
    grid_import_wh: Int64
    grid_export_wh: Int64
    lines: Natural
    frontier: list[Hash]
    """Subtree hashes of the RFC 6962 tree over the salted lines."""


class CreditNote(Wire, frozen=True):
    """What corrections changed after a bill was issued. The bill itself stays as it was."""

    bill: Hash
    """Content of the bill's entry: sha256(salt || bill), as the state map holds it."""
    billed_nano: Int64
    """Total of that bill; with the change it is what is owed now."""
    change: Bill
    """Lines that take amounts back and lines that replace them, added up."""


class Clock(Wire, frozen=True):
    """Market time: there is no other."""

    phase: Natural
    """Number of the last phase transaction."""
    closed_s: list[Natural]
    """Start of the latest slot whose gate has closed, by market in the order of the genesis file;
    transactions of a market expire against its own, others against the latest of all."""


class SlotTariff(Wire, frozen=True):
    """Prices that hold in one slot, and the bill that it is part of."""

    retail_micro_per_kwh: Quantity
    feed_in_micro_per_kwh: Quantity
    network_fee_micro_per_kwh: Quantity
    region: Name
    billing_day: Name


class SlotState(Wire, frozen=True):
    """Public state of one delivery slot: its phase and totals that name nobody."""

    phase: Phase
    opened_phase: Natural
    """Number of the phase transaction that opened it."""
    tariff: SlotTariff
    orders: Natural
    trades: Natural
    traded_wh: Natural
    curtailed_wh: Natural
    """Part of it that the grid could not carry."""
    second_stage_wh: Natural
    turnover_nano: Natural
    """Sum of what buyers pay for traded energy, without fees."""
    reference_price_micro_per_kwh: Int64
    """Mean trade price of the first stage; -1 when there was none."""
    grid_import_wh: Natural
    """Shortages bought from the grid in settlement."""
    grid_export_wh: Natural
    archive: bytes
    """At `final`: root over the commitments of what left the state; empty before."""


class Closure(Wire, frozen=True):
    """What stays in the state of a member that has left."""

    phase: Natural
    """Number of the barrier that closed the account."""
    archive: Hash
    """Root over the commitments of everything personal that left the state with it."""
