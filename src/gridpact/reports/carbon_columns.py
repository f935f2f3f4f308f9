"""The tables of carbon: slots, statements, and the lines of statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gridpact.model import CarbonLine, CarbonStatementResult, RunResult, SlotCarbon, SlotResult
from gridpact.reports.table_shapes import Table, real, text, time, whole


@dataclass(frozen=True, slots=True)
class TracedSlot:
    """A slot with its carbon."""

    slot: SlotResult
    carbon: SlotCarbon


def traced_slots(result: RunResult) -> Iterator[TracedSlot]:
    """All slots that have carbon, in time order."""
    if result.carbon is not None:
        for slot, carbon in zip(result.slots, result.carbon.slots, strict=True):
            if carbon is not None:
                yield TracedSlot(slot, carbon)


CARBON_SLOTS: Table[TracedSlot] = Table(
    "carbon_slots",
    "one row per slot with carbon, in time order; what goes in comes out, in Wh and in ug",
    traced_slots,
    (
        time("start_utc", lambda each: each.slot.slot.start_s, "start of the slot"),
        whole(
            "import_mg_per_kwh",
            lambda each: each.carbon.import_mg_per_kwh,
            "what the external grids emitted",
        ),
        whole("imported_wh", lambda each: each.carbon.imported_wh, "from external grids"),
        whole("generated_wh", lambda each: each.carbon.generated_wh, "by members"),
        whole("discharged_wh", lambda each: each.carbon.discharged_wh, "out of storages"),
        whole("load_wh", lambda each: each.carbon.load_wh, "used by members"),
        whole("charged_wh", lambda each: each.carbon.charged_wh, "into storages"),
        whole("lost_wh", lambda each: each.carbon.lost_wh, "in the network"),
        whole("exported_wh", lambda each: each.carbon.exported_wh, "into external grids"),
        whole("imported_ug", lambda each: each.carbon.imported_ug, "carbon of imports"),
        whole("generated_ug", lambda each: each.carbon.generated_ug, "carbon of generation"),
        whole("discharged_ug", lambda each: each.carbon.discharged_ug, "carbon given back"),
        whole("load_ug", lambda each: each.carbon.load_ug, "carbon of what members used"),
        whole("charged_ug", lambda each: each.carbon.charged_ug, "carbon stored"),
        whole("lost_ug", lambda each: each.carbon.lost_ug, "carbon of losses"),
        whole("exported_ug", lambda each: each.carbon.exported_ug, "carbon of exports"),
    ),
)

CARBON_STATEMENTS: Table[CarbonStatementResult] = Table(
    "carbon_statements",
    "one row per billing day and participant",
    lambda result: result.carbon.statements if result.carbon is not None else (),
    (
        text("billing_day", lambda each: each.day, "day of the statement"),
        text("participant", lambda each: each.participant_id, "whose statement it is"),
        whole("load_wh", lambda each: each.statement.load_wh, "used"),
        whole("generated_wh", lambda each: each.statement.generated_wh, "generated, not spilled"),
        whole("charged_wh", lambda each: each.statement.charged_wh, "into the battery"),
        whole("discharged_wh", lambda each: each.statement.discharged_wh, "out of it"),
        whole("load_ug", lambda each: each.statement.load_ug, "physical: of what was used"),
        whole("charged_ug", lambda each: each.statement.charged_ug, "physical: stored"),
        whole("discharged_ug", lambda each: each.statement.discharged_ug, "physical: given back"),
        whole("bought_wh", lambda each: each.statement.bought_wh, "bought of members and used"),
        whole("bought_ug", lambda each: each.statement.bought_ug, "contractual: of that"),
        whole("supplied_wh", lambda each: each.statement.supplied_wh, "bought from outside"),
        whole("supplied_ug", lambda each: each.statement.supplied_ug, "contractual: of that"),
        whole("lines", lambda each: each.statement.lines, "number of lines"),
    ),
)


@dataclass(frozen=True, slots=True)
class StatedLine:
    """A line with the statement that it stands on."""

    day: str
    participant_id: str
    line: CarbonLine


def _stated_lines(result: RunResult) -> Iterator[StatedLine]:
    for each in result.carbon.statements if result.carbon is not None else ():
        for line in each.lines:
            yield StatedLine(each.day, each.participant_id, line)


@dataclass(frozen=True, slots=True)
class MemberMix:
    """Where what a member used in a slot was from."""

    start_s: int
    participant_id: str
    import_share: float
    storage_share: float


def _mixes(result: RunResult) -> Iterator[MemberMix]:
    if result.carbon is None:
        return
    mix, members = result.carbon.mix, result.scenario.members
    for place, slot in enumerate(result.slots):
        imported, stored = mix.import_share[:, place].tolist(), mix.storage_share[:, place].tolist()
        for member, share, kept in zip(members, imported, stored, strict=True):
            yield MemberMix(slot.slot.start_s, member.participant_id, share, kept)


CARBON_MIX: Table[MemberMix] = Table(
    "carbon_mix",
    "one row per slot and member: shares of what it used, as traced, not on the ledger",
    _mixes,
    (
        time("start_utc", lambda each: each.start_s, "start of the slot"),
        text("participant", lambda each: each.participant_id, "member"),
        real("import_share", lambda each: each.import_share, "from external grids"),
        real("storage_share", lambda each: each.storage_share, "from members' storages"),
        real(
            "generation_share",
            lambda each: 1.0 - each.import_share - each.storage_share,
            "from members' plants",
        ),
    ),
)

CARBON_LINES: Table[StatedLine] = Table(
    "carbon_lines",
    "one row per slot of a statement, in the order of the statements",
    _stated_lines,
    (
        text("billing_day", lambda each: each.day, "day of the statement"),
        text("participant", lambda each: each.participant_id, "whose statement it is"),
        time("start_utc", lambda each: each.line.slot_start_s, "start of the slot"),
        whole("load_wh", lambda each: each.line.physical.load_wh, "used"),
        whole("generated_wh", lambda each: each.line.physical.generated_wh, "generated"),
        whole("charged_wh", lambda each: each.line.physical.charged_wh, "into the battery"),
        whole("discharged_wh", lambda each: each.line.physical.discharged_wh, "out of it"),
        whole("load_ug", lambda each: each.line.physical.load_ug, "physical: of what was used"),
        whole("charged_ug", lambda each: each.line.physical.charged_ug, "physical: stored"),
        whole(
            "discharged_ug", lambda each: each.line.physical.discharged_ug, "physical: given back"
        ),
        whole("bought_wh", lambda each: each.line.bought_wh, "bought of members and used"),
        whole("bought_ug", lambda each: each.line.bought_ug, "contractual: of that"),
        whole("supplied_wh", lambda each: each.line.supplied_wh, "bought from outside"),
        whole("supplied_ug", lambda each: each.line.supplied_ug, "contractual: of that"),
    ),
)
