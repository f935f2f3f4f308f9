"""The members of a scenario file: who they are, how they pay and quote, what they own.

Settings of [accounts], [agents] and [battery] hold for everybody; a [[participant]] may override
them by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.inputs import simbench
from gridpact.inputs.connections import no_supply, read_bus
from gridpact.inputs.home_tables import common_pattern, read_common_home, read_home
from gridpact.inputs.row_sources import missing_columns
from gridpact.inputs.tables import closest, shown
from gridpact.model import (
    METER_SUFFIX,
    METERING_OPERATOR,
    OPERATOR,
    PRICE_AUTHORITY,
    AccountMode,
    AccountPolicy,
    AgentPolicy,
    Forecasting,
    Member,
    Quoting,
)
from gridpact.units import INT64_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gridpact.inputs.connections import Connections
    from gridpact.inputs.home_tables import CommonHome
    from gridpact.inputs.homes import RunDays
    from gridpact.inputs.tables import TableReader

ID_MAX = 48 - len(METER_SUFFIX)
MONEY_MAX_MICRO = 10**15
"""A thousand million units of currency."""
DEPOSITS_MAX_MICRO = INT64_MAX // 1000
"""Sum of all deposits that still fits the ledger in nano-currency."""
SEASON_DAYS_MAX = 28
DEFAULT_ACCOUNT = AccountPolicy(AccountMode.PREPAID, limit_micro=0, deposit_micro=50_000_000)
DEFAULT_AGENT = AgentPolicy(season_days=7, quoting=Quoting.TRUTHFUL, shade_max_percent=0)
DEFAULT_SHADE_PERCENT = 25
"""Of shaded and adaptive quoting."""
MODES = {
    "prepaid": AccountMode.PREPAID,
    "credit_limit": AccountMode.CREDIT_LIMIT,
    "postpaid": AccountMode.POSTPAID,
}
QUOTINGS = {
    "truthful": Quoting.TRUTHFUL,
    "shaded": Quoting.SHADED,
    "random": Quoting.RANDOM,
    "adaptive": Quoting.ADAPTIVE,
}
SHADING = frozenset({Quoting.SHADED, Quoting.ADAPTIVE})
"""Ways to quote that keep a share of the band."""
FORECASTS = {
    "seasonal_naive": Forecasting.SEASONAL_NAIVE,
    "learned": Forecasting.LEARNED,
}


@dataclass(frozen=True, slots=True)
class Offered:
    """What participants can name: columns of a CSV file, or loads and plants of the grid."""

    of_grid: bool | None
    """Profiles are SimBench's: `load` and `pv` name units of the grid, not columns. None when the
    source is not known, so that names cannot be checked."""
    file: str
    """Name of the CSV file."""
    columns: list[str] | None
    """Its header; None when it is not known."""
    has_network: bool
    """Members are connected to buses."""
    connections: Connections | None
    """Its buses; None without a network, or when it could not be read."""


@dataclass(frozen=True, slots=True)
class _Assets:
    """What one participant owns."""

    load: str = ""
    pv: str = ""
    bus: str = ""
    load_nominal_w: int = 0
    pv_nominal_w: int = 0


@dataclass(frozen=True, slots=True)
class _Common:
    """What holds for every member that does not say otherwise."""

    account: AccountPolicy
    agent: AgentPolicy
    home: CommonHome


def read_members(
    top: TableReader, offered: Offered, run: RunDays
) -> tuple[tuple[Member, ...], Forecasting]:
    """All members, and where their forecasts come from; problems are noted in the reader.

    Without [[participant]] and with SimBench profiles every load of the grid is a member, in the
    order of ids, and owns the PV plant that `simbench.owner_of_generator` gives it.
    """
    accounts, agents = top.table("accounts"), top.table("agents")
    home = read_common_home(top, agents, run)
    common = _Common(_account(accounts, DEFAULT_ACCOUNT), _agent(agents, DEFAULT_AGENT), home)
    forecasting = agents.choice("forecast", FORECASTS, default="seasonal_naive")
    accounts.finish()
    agents.finish()
    rows = top.tables("participant")
    if offered.of_grid and not top.has("participant"):
        members = _all_of_grid(common)
        _check_all_connected(top, members, offered.connections)
    else:
        if not rows and offered.of_grid is not None and not top.faulty("participant"):
            top.problem("participant", "is missing; add a [[participant]] for every member")
        members = tuple(_member(row, offered, common) for row in rows)
        _check_shared(rows, ("id",), "is the id of", "ids are unique: rename one")
        owned = "one meter counts for one member only: correct the name"
        _check_shared(rows, ("load", "pv"), "is taken by", owned)
    if members and all(row.sound for row in rows):
        _check_homes_wanted(top, agents, members)
    deposits_micro = sum(member.account.deposit_micro for member in members)
    if deposits_micro > DEPOSITS_MAX_MICRO:
        top.problem(
            "accounts",
            f"all deposits together are {deposits_micro} micro-currency; allowed: up to "
            f"{DEPOSITS_MAX_MICRO}, what the ledger can hold; lower deposit_micro",
        )
    return members, forecasting


def _account(table: TableReader, inherited: AccountPolicy) -> AccountPolicy:
    """The account keys of a table, on top of what holds without them."""
    mode = table.choice("mode", MODES, default=_word(MODES, inherited.mode))
    limited = mode is AccountMode.CREDIT_LIMIT
    limit_micro = table.integer(
        "limit_micro",
        0,
        MONEY_MAX_MICRO,
        default=inherited.limit_micro if limited else 0,
        remedy="give micro-currency: a limit of 20 is 20000000",
    )
    if not table.faulty("mode", "limit_micro") and limited != (limit_micro > 0):
        table.problem(
            "limit_micro",
            f'{limit_micro} does not fit mode = "{_word(MODES, mode)}"; allowed: above 0 with '
            '"credit_limit", absent or 0 otherwise; change one of the two',
        )
    deposit_micro = table.integer(
        "deposit_micro",
        0,
        MONEY_MAX_MICRO,
        default=inherited.deposit_micro,
        remedy="give micro-currency: a deposit of 50 is 50000000",
    )
    return AccountPolicy(mode, limit_micro, deposit_micro)


def _agent(table: TableReader, inherited: AgentPolicy) -> AgentPolicy:
    """The agent keys of a table, on top of what holds without them."""
    quoting = table.choice("quoting", QUOTINGS, default=_word(QUOTINGS, inherited.quoting))
    shading = quoting in SHADING
    usual_percent = (
        inherited.shade_max_percent if inherited.quoting in SHADING else DEFAULT_SHADE_PERCENT
    )
    percent = table.integer("shade_max_percent", 0, 100, default=usual_percent if shading else 0)
    if percent and not shading and not table.faulty("quoting", "shade_max_percent"):
        table.problem(
            "shade_max_percent",
            f'{percent} has no meaning with quoting = "{_word(QUOTINGS, quoting)}"; allowed: '
            'absent or 0; remove it or set quoting = "shaded" or "adaptive"',
        )
    season_days = table.integer("season_days", 1, SEASON_DAYS_MAX, default=inherited.season_days)
    return AgentPolicy(season_days, quoting, percent)


def _word(choices: Mapping[str, int], wanted: int) -> str:
    return next(word for word, choice in choices.items() if choice == wanted)


def _all_of_grid(common: _Common) -> tuple[Member, ...]:
    plants = {
        owner: simbench.grid_generators()[plant]
        for plant, owner in simbench.owner_of_generator().items()
    }
    members = []
    for name, load in sorted(simbench.grid_loads().items()):
        plant = plants.get(name)
        members.append(
            Member(
                participant_id=name,
                bus=load.bus,
                load_column=load.profile,
                pv_column=plant.profile if plant else "",
                load_nominal_w=load.nominal_w,
                pv_nominal_w=plant.nominal_w if plant else 0,
                account=common.account,
                agent=common.agent,
                home=common_pattern(common.home) if plant else None,
            )
        )
    return tuple(members)


def _check_all_connected(
    top: TableReader, members: tuple[Member, ...], places: Connections | None
) -> None:
    """Whether a network in the place of SimBench's has the buses of all its loads."""
    if places is None:
        return
    absent = [member for member in members if member.bus not in places.buses]
    dark = sorted({member.bus for member in members} & places.buses - places.supplied)
    if absent:
        top.problem(
            "network.reference",
            f"{places.reference} has no {absent[0].bus} for {absent[0].participant_id}, nor the "
            f"buses of {len(absent) - 1} other members; allowed: a network with the buses of "
            f"{simbench.REFERENCE}; correct it, or list each [[participant]] with its bus",
        )
    for bus in dark:
        top.problem("network.reference", no_supply(bus, places))


def _check_homes_wanted(top: TableReader, agents: TableReader, members: tuple[Member, ...]) -> None:
    """Settings of homes that no member has."""
    homes = [member.home for member in members if member.home is not None]
    if top.has("battery") and all(home.battery is None for home in homes):
        top.problem(
            "battery",
            "no participant has it; allowed: with members that own generation or say own_battery "
            "= true; give one of them pv or own_battery, or remove [battery]",
        )
    if not homes:
        agents.refuse(("planning",), "no participant owns anything that can be planned")


def _member(row: TableReader, offered: Offered, common: _Common) -> Member:
    """One [[participant]]."""
    participant_id = row.name("id", longest=ID_MAX)
    if participant_id.endswith(METER_SUFFIX):
        row.problem(
            "id",
            f"{shown(participant_id)} is the name of a meter; allowed: ids that do not end in "
            f"'{METER_SUFFIX}'; rename it",
        )
    if participant_id in (OPERATOR, PRICE_AUTHORITY, METERING_OPERATOR):
        row.problem(
            "id",
            f"{shown(participant_id)} is the id of who runs the market or the meters; allowed: any "
            "other name; rename it",
        )
    assets = _grid_assets(row, offered) if offered.of_grid else _csv_assets(row, offered)
    member = Member(
        participant_id=participant_id,
        bus=assets.bus,
        load_column=assets.load,
        pv_column=assets.pv,
        load_nominal_w=assets.load_nominal_w,
        pv_nominal_w=assets.pv_nominal_w,
        account=_account(row, common.account),
        agent=_agent(row, common.agent),
        home=read_home(row, common.home, owns_generation=bool(assets.pv)),
    )
    row.finish()
    return member


def _grid_assets(row: TableReader, offered: Offered) -> _Assets:
    """Load and plant by their names in the grid; the bus follows from the load."""
    loads, plants = simbench.grid_loads(), simbench.grid_generators()
    load = loads.get(_known(row, "load", loads, "a load", required=True))
    plant = plants.get(_known(row, "pv", plants, "a PV plant", required=False))
    places = offered.connections
    if load is None:
        row.has("bus")
        return _Assets()
    if plant is not None and plant.bus != load.bus:
        row.problem(
            "pv",
            f"{plant.name} is at {plant.bus}, but {load.name} is at {load.bus}; allowed: a plant "
            "behind the member's own meter; choose one at the same bus",
        )
    bus = load.bus if places is None and not row.has("bus") else ""
    if places is not None:
        bus = read_bus(row, places, usual=load.bus)
        if places.reference == simbench.REFERENCE and bus not in {"", load.bus} and row.sound:
            row.problem(
                "bus",
                f"{bus} is not where {load.name} is connected; allowed: {load.bus}; remove bus",
            )
    return _Assets(
        load=load.profile,
        pv=plant.profile if plant else "",
        bus=bus,
        load_nominal_w=load.nominal_w,
        pv_nominal_w=plant.nominal_w if plant else 0,
    )


def _csv_assets(row: TableReader, offered: Offered) -> _Assets:
    """Load and generation by their columns, which are not checked when they are not known."""
    load = row.text("load", "the name of a column with the gross load")
    pv = row.text("pv", "the name of a column with the gross generation", default="")
    if offered.columns is not None:
        for key, column in (("load", load), ("pv", pv)):
            missing = missing_columns(offered.columns, offered.file, [column]) if column else {}
            for message in missing.values():
                row.problem(key, message)
    bus = ""
    if offered.connections is not None:
        bus = read_bus(row, offered.connections)
    elif offered.has_network or offered.of_grid is None:
        bus = row.text("bus", "a bus", default="")
    else:
        row.refuse(("bus",), "the scenario has no network.reference")
    return _Assets(load=load, pv=pv, bus=bus)


def _known(row: TableReader, key: str, names: Collection[str], kind: str, *, required: bool) -> str:
    """The name of a unit of SimBench's grid, or nothing."""
    allowed = f"{kind} of {simbench.REFERENCE}, such as {min(names)!r}"
    text = row.text(key, allowed, default=None if required else "")
    if text and text not in names:
        hint = closest(text, names)
        row.problem(key, f"{shown(text)} is not known; allowed: {allowed}{hint}")
        return ""
    return text


def _check_shared(rows: list[TableReader], keys: tuple[str, ...], fact: str, remedy: str) -> None:
    """Values that may occur once only, over all `keys` of all rows."""
    first: dict[str, str] = {}
    for row in rows:
        for key in keys:
            value = row.given(key)
            if not isinstance(value, str) or row.faulty(key):
                continue
            if value in first:
                row.problem(key, f"{shown(value)} {fact} {first[value]} already; {remedy}")
            else:
                first[value] = row.where(key)
