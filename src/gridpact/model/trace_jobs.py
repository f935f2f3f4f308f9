"""Nouns of traces that are handed out to providers, as they stand on the ledger.

Integers, names and hashes only: what was traced, packaged and answered stays with those who made
it. Source: [SUN23], sections 3.1 and 4.3. Ours: the states and their deadlines.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from gridpact.codec import Hash, Int64, Name, Natural, PositiveQuantity, Wire

SUBSTATIONS_MAX = 32
"""Most that one job asks for packages; what fits an envelope with room to spare."""
PROVIDERS_MAX = 16

Digest = Annotated[bytes, Meta(max_length=32)]
"""A SHA-256 digest, or empty while there is none."""
Fee = Annotated[int, Meta(ge=0, le=2**50)]


class TraceMode(IntEnum):
    """How answers are checked."""

    DOUBLE = 1
    """two are compared, [SUN23]."""
    RESIDUAL = 2
    """each is put into the equations; ours."""


class TraceState(IntEnum):
    """Where a job stands. Those from DONE on are ends."""

    REQUESTED = 1
    """substations package what they know."""
    FIRST = 2
    """all packages are there, condition a; the first providers work."""
    AGAIN = 3
    """two differed, and both work once more on fresh masks."""
    THIRD = 4
    CENTRE = 5
    """the grid company's own data centre computes in the clear."""
    ACCEPTED = 6
    """a result stands, money has moved; rates and shares are still to come."""
    DONE = 7
    NO_PACKAGES = 8
    """a substation did not package in time; nobody paid anything."""
    NO_RESULT = 9
    """nor did the data centre answer in time; no fee was paid."""
    NOT_JUDGED = 10
    """the grid company did not say in time what its check found; it paid everybody who answered and
    had not been struck."""
    NOT_PUBLISHED = 11
    """a result stands and is paid, and its rates did not come in time."""


class TraceNeed(IntEnum):
    """What a job waits for; set at barriers only, so being early in a phase gains nothing."""

    PACKAGES = 1
    RESULTS = 2
    JUDGEMENT = 3
    RATES = 4
    NOTHING = 5
    """it has ended."""


class TraceTerms(Wire, frozen=True):
    """What a grid company offers: what is traced, by whom, for how much, until when."""

    first_start_s: Natural
    slots: PositiveQuantity
    """The range of slots that is traced."""
    substations: Annotated[list[Name], Meta(min_length=1, max_length=SUBSTATIONS_MAX)]
    """Who must package, each once; shares are in this order."""
    providers: Annotated[list[Name], Meta(min_length=1, max_length=PROVIDERS_MAX)]
    """Who may be hired, the first ones first, each once."""
    mode: TraceMode
    fee_nano: Fee
    """Of one right result."""
    centre_cost_nano: Fee
    """Of the grid company's own data centre."""
    packages_by_s: Natural
    """Start of a slot; packages are late once the gate of a later one has closed."""
    results_by_s: Natural
    """The same for the first results. The time between the two is what each later stage has."""


class TraceRun(Wire, frozen=True):
    """One hire, and what came of it."""

    provider: Name
    """`data-centre` for the grid company's own."""
    task: Digest
    """Hash of what the provider says it was given."""
    result: Digest
    """Hash of what it gave back."""
    absent: Annotated[int, Meta(ge=0, le=1)]
    """1 when nothing came in time, or when it was on the blacklist by the time of its turn."""


class TraceSame(Wire, frozen=True):
    """What the double check said of two runs, by their places in the job."""

    one: Natural
    other: Natural
    """Above `one`."""
    same: Annotated[int, Meta(ge=0, le=1)]


class TraceRight(Wire, frozen=True):
    """What the residual check said of a run."""

    run: Natural
    right: Annotated[int, Meta(ge=0, le=1)]


class TracePayment(Wire, frozen=True):
    """Money that the arbitration moved; names as there: `grid`, `data-centre`, or a provider."""

    payer: Name
    payee: Name
    amount_nano: Natural


class TraceJob(Wire, frozen=True):
    """One job; its id is (grid company, nonce of the request)."""

    market: Name
    terms: TraceTerms
    requested_phase: Natural
    packaged_phase: Natural
    """Number of the barrier that found all packages; 0 before."""
    ended_phase: Natural
    state: TraceState
    need: TraceNeed
    due_s: Natural
    """What is needed is late once a gate of a slot after this one has closed."""
    escrow_nano: Natural
    """What the grid company's account still holds for it."""
    packages: list[Digest]
    """By substation."""
    runs: list[TraceRun]
    """In the order of hiring."""
    same: list[TraceSame]
    right: list[TraceRight]
    steps: Natural
    """How many effects of the arbitration have been carried out."""
    payments: list[TracePayment]
    strikes: list[Name]
    """A provider for each of its wrong results."""
    stands: Int64
    """The run whose result stands; -1 while there is none."""
    rates: Digest
    """Hash of the carbon rates, [SUN23] (37)-(39)."""
    shares: list[Hash]
    """Hash of the own share, by substation; empty before."""


class ProviderStanding(Wire, frozen=True):
    """A provider's wrong results, from job to job. A cycle is a UTC day of market time."""

    strikes: Natural
    back_in_cycle: Natural
    """Not hired before; 0 when it never was on the blacklist."""
