"""What a run is about: days, market, tariff, accounts, members. The file format is TOML.

The table of keys is `docs/scenario.md`; `inputs` reads it, nothing here knows about files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gridpact.model.allotments import CarbonRules
from gridpact.model.assets import Battery, DailyWindow, FlexibleLoad, Planning
from gridpact.model.grid import CurtailmentRule, GridLimits
from gridpact.model.market import Quality

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    ByteArray = NDArray[np.uint8]


OPERATOR = "operator"
"""Party id of the operator in simulated runs."""
PRICE_AUTHORITY = "price-authority"
"""Party id of who sets tariffs in simulated runs."""
METERING_OPERATOR = "metering-operator"
"""Party id of who operates the meters in simulated runs."""
METER_SUFFIX = ".meter"


class AccountMode(IntEnum):
    """How far an account may go below zero: one rule, available >= -limit, three limits."""

    PREPAID = 1
    """limit 0: what is escrowed must have been paid in."""
    CREDIT_LIMIT = 2
    """limit n, agreed at registration."""
    POSTPAID = 3
    """no limit: a negative balance is a receivable that the next deposit pays."""


class TieRule(IntEnum):
    """Who is served first among orders of one price when there is not enough for all."""

    PRO_RATA = 1
    """each in proportion to its energy, by largest remainder, so no member is always first."""
    TIME = 2
    """the earlier signed submission, then the smaller id: the queue of [WANG24]."""


@dataclass(frozen=True, slots=True)
class TariffWindow:
    """A time of day with its own prices; the last window that matches wins."""

    days: frozenset[int]
    """Weekdays it holds on, Monday 0 to Sunday 6, in the scenario's time zone."""
    from_minute: int
    """First minute of the day, 0..1439."""
    to_minute: int
    """First minute after it, 1..1440; not above from_minute: the window passes midnight."""
    retail_micro_per_kwh: int
    feed_in_micro_per_kwh: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices outside the market: what the grid pays and takes, and the fee for using lines."""

    region: str
    """The fee is booked to this region's network account."""
    retail_micro_per_kwh: int
    """Paid for import, network included; holds outside all windows."""
    feed_in_micro_per_kwh: int
    """Paid for export; holds outside all windows."""
    network_fee_micro_per_kwh: int
    """Paid by the buyer on traded energy."""
    windows: tuple[TariffWindow, ...]


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """How a member pays."""

    mode: AccountMode
    limit_micro: int
    """Credit limit in micro-currency; 0 unless the mode is `credit_limit`."""
    deposit_micro: int
    """Paid in before the first slot, in micro-currency."""


class Quoting(IntEnum):
    """How a member turns its private limit into a quote."""

    TRUTHFUL = 1
    """the quote is the limit."""
    SHADED = 2
    """the quote keeps a random share of the room between the limit and the other side's best."""
    RANDOM = 3
    """any price between the two limits, all equally likely."""
    ADAPTIVE = 4
    """the quote keeps a share that grows when its orders trade and shrinks when they do not."""


class Forecasting(IntEnum):
    """Where a run's forecasts come from."""

    SEASONAL_NAIVE = 1
    """what was metered a day or a week before."""
    LEARNED = 2
    """boosted trees on the history."""


@dataclass(frozen=True, slots=True)
class AgentPolicy:
    """How a member forecasts and quotes."""

    season_days: int
    """The forecast for a slot is the metered value this many days before."""
    quoting: Quoting
    shade_max_percent: int
    """Largest share of the price band that a shaded or an adaptive quote keeps, 0..100; 0 with
    the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferrablePattern:
    """A load that is due once in each window of the wall clock."""

    name: str
    energy_wh: int
    power_w: int
    interruptible: bool
    window: DailyWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class VehiclePattern:
    """A vehicle that is at home at certain hours of the wall clock."""

    name: str
    capacity_wh: int
    charge_w: int
    charge_permille: int
    discharge_w: int
    discharge_permille: int
    at_home: DailyWindow
    arrival_wh: int
    needed_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePattern:
    """What a member can move, with times by the wall clock; `Home` has them as instants."""

    planning: Planning
    battery: Battery | None = None
    deferrable: tuple[DeferrablePattern, ...] = ()
    flexible: tuple[FlexibleLoad, ...] = ()
    vehicles: tuple[VehiclePattern, ...] = ()
    export_max_w: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One household or other customer: trades and is metered net."""

    participant_id: str
    """Permanent; also names its meter, `<id>.meter`."""
    bus: str
    """Connection point in the network; empty when the scenario has no network."""
    load_column: str
    """Column of the profiles with the gross load."""
    pv_column: str
    """Column of the profiles with the gross generation; empty without generation."""
    load_nominal_w: int
    """What a profile value of one means, for relative profiles; 0 for profiles in units."""
    pv_nominal_w: int
    account: AccountPolicy
    agent: AgentPolicy
    home: HomePattern | None = None
    """Battery, loads that can wait or bend, vehicles; None: only what the profiles say."""

    @property
    def meter_id(self) -> str:
        """Party id of the member's meter."""
        return self.participant_id + METER_SUFFIX


class ProfileUnit(IntEnum):
    """What a number in the profile file means."""

    WH = 1
    KWH = 2
    W = 3
    """mean power of the interval."""
    KW = 4
    RELATIVE = 5
    """share of the member's nominal power, as SimBench gives it."""


class ProfileLayout(IntEnum):
    """How a profile file is arranged."""

    WIDE = 1
    """one row per interval, one column per meter."""
    LONG = 2
    """one row per meter and interval."""
    UCI = 3
    """`LD2011_2014.txt` of the UCI repository: wide, days of 96 rows whatever the clocks do."""
    AUSGRID = 4
    """Ausgrid's solar homes: one row per meter and day, days of 48 columns."""


class IntervalLabel(IntEnum):
    """Which end of its interval a time in a file names."""

    START = 1
    END = 2


class Repeats(IntEnum):
    """What becomes of readings that a file has twice."""

    REFUSE = 1
    FIRST = 2
    """the first one counts."""
    LAST = 3
    """the last one counts, as when a file is corrected by appending."""


@dataclass(frozen=True, slots=True)
class LongColumns:
    """Columns of a long file besides the time."""

    meter: str
    values: tuple[tuple[str, str], ...]
    """Suffix and column of each value: nothing, or `/import` and `/export`. Meter plus suffix is
    what members name."""
    quality: str
    """Column with `measured`, `estimated` or `substituted`; empty without one."""


@dataclass(frozen=True, slots=True)
class DataPolicy:
    """What is done about faults of a file; the default is to refuse it, line by line."""

    substitute_gaps: bool = False
    """A slot without a reading takes the energy of the week or day before, marked as such."""
    substitute_absurd: bool = False
    """Values that cannot be are treated as gaps are."""
    highest_w: int | None = None
    """Highest mean power of a meter that is not absurd, W; None: whatever the ledger can hold."""
    repeats: Repeats = Repeats.REFUSE
    split_evenly: bool = False
    """Intervals longer than a slot are divided into equal parts, marked as estimated."""


@dataclass(frozen=True, slots=True)
class ProfileSource:
    """Where load and generation come from."""

    file: Path | None
    """The user's file; None for the SimBench extract that ships with the package."""
    time_column: str
    time_zone: str
    """Of the time column, when its values carry no offset."""
    unit: ProfileUnit
    parquet: bool = False
    """Parquet rather than text."""
    layout: ProfileLayout = ProfileLayout.WIDE
    long: LongColumns | None = None
    """Only of the long layout."""
    label: IntervalLabel = IntervalLabel.START
    delimiter: str = ","
    decimal: str = "."
    """Decimal point of text: `.` or `,`."""
    policy: DataPolicy = DataPolicy()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """The lines between the members, and who gives way when they cannot carry all trades."""

    reference: str
    """As in `docs/grid.md`."""
    folder: Path
    """What a path in the reference is relative to."""
    rule: CurtailmentRule = CurtailmentRule.PRO_RATA
    limits: GridLimits = field(default_factory=GridLimits)
    power_factor_permille: int = 930
    """Of all loads, inductive; generation feeds in active power only."""


@dataclass(frozen=True, slots=True)
class CarbonPolicy:
    """What energy emits, mg/kWh."""

    rules: CarbonRules
    """As the genesis file has them."""
    import_mg_per_kwh: int
    """Of what the external grids supply; used where no file says more."""
    imports: Path | None = None
    """CSV of the same over time."""


class Reporting(IntEnum):
    """Who sends the readings."""

    METER = 1
    """each meter its own, slot by slot."""
    METERING_OPERATOR = 2
    """who operates the meters, a day of each meter in one transaction."""


@dataclass(frozen=True, slots=True)
class MeteringPolicy:
    """How readings reach the ledger."""

    reporting: Reporting = Reporting.METER
    late_permille: int = 0
    """Share of readings that miss the settlement, drawn by the seed: the metering operator
    substitutes them by profile, and the meter's own follow before the slot is final."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a run needs besides the numbers in its profile file."""

    name: str
    seed: int
    """Root of all chance: keys of the simulated members, salts, quotes."""
    currency: str
    """ISO 4217 code, one per ledger."""
    time_zone: str
    """Of days, bills and tariff windows: an IANA name or an offset such as `+01:00`."""
    first_day: date
    days: int
    slot_length_s: int
    market_id: str
    tie: TieRule
    orders_per_slot: int
    """Most open orders of one participant in one slot."""
    network: NetworkPolicy | None
    tariff: Tariff
    profiles: ProfileSource
    members: tuple[Member, ...]
    forecasting: Forecasting = Forecasting.SEASONAL_NAIVE
    metering: MeteringPolicy = MeteringPolicy()
    sealed_deposit_micro: int = 0
    """Held for each order, which stays sealed until gate closure; 0: orders are open."""
    carbon: CarbonPolicy | None = None
    """None: no carbon is traced."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A delivery slot: half-open interval of UTC time."""

    start_s: int
    length_s: int

    @property
    def end_s(self) -> int:
        """First second after the slot."""
        return self.start_s + self.length_s


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """The tariff as it holds in one slot."""

    retail_micro_per_kwh: int
    feed_in_micro_per_kwh: int
    network_fee_micro_per_kwh: int


@dataclass(frozen=True, slots=True)
class Profiles:
    """Gross energy of all members, slot by slot, with the history that forecasts need.

    Columns: `history` slots before the first traded one, then the traded ones.
    """

    slots: tuple[Slot, ...]
    """The traded slots, in time order, N of them."""
    days: tuple[tuple[int, int], ...]
    """For each traded day its first slot and the one after its last, as indices into `slots`.
    A day of 23 or 25 hours has fewer or more slots."""
    history: int
    """H, the number of slots before the first traded one."""
    load_wh: IntArray
    """Shape (members, H + N), Wh, >= 0."""
    pv_wh: IntArray
    """Shape (members, H + N), Wh, >= 0."""
    sources: tuple[str, ...]
    """Name and SHA-256 of each file read, for the manifest."""
    stated_quality: ByteArray | None = None
    """What `quality` says; None when all readings are measured."""
    remarks: tuple[str, ...] = ()
    """What was mended in the files, in words and numbers."""

    @property
    def quality(self) -> ByteArray:
        """`Quality` of what a member's meter reports for a slot, the worse of load and generation.

        Shape (members, H + N).
        """
        if self.stated_quality is not None:
            return self.stated_quality
        import numpy as np

        return np.full(self.load_wh.shape, Quality.MEASURED, dtype=np.uint8)
