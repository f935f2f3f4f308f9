"""The two-stage auction in compiled code: check, sort, sweep, split, pair.

Everything is an int64 array in and out. numba neither checks bounds nor notices overflow, so
`clear` refuses what does not keep prices and energies below 2^31 and totals of a side below 2^52.
Mixing int64 with uint64 would silently give floats; the one place that needs the 64th bit,
`share`, converts by hand. Large memory comes from the caller, because numpy asks the system for
huge pages and numba does not: at 500,000 + 500,000 orders that was 45 of 120 ms.

Known limits: numba's cache of compiled code notices changes of this file only. Who changes a bound
that is imported here changes this file with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numba
import numpy as np

from gridpact.market.integer.auction import ENERGY_TOTAL_MAX
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]
    Columns: TypeAlias = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]
    Queue: TypeAlias = tuple[IntArray, IntArray, IntArray, IntArray]
    """Rows in turn; their prices and energies, in the order of the queue; what is left of every
    order of the side, by row."""

NO_PRICE = np.int64(-1)
"""Stands for no reference price; prices are never negative."""

REFUSED = np.int64(-1)
"""Stands for the number of trades of a book that breaks a rule."""

OFFERS, BIDS = np.int64(1), np.int64(-1)
"""Which way a side queues by price, as a factor. A typed number, like those around it, because
numba compiles a function again for every literal."""

FIRST, SECOND = np.int64(1), np.int64(2)
"""The stages."""

NONE_YET = np.int64(0)
"""The number of trades before the first stage."""

STAGE, OFFER, BID, ENERGY, PRICE_SUM = range(5)
"""Rows of the table of trades."""

WORK_FACTOR = 10
"""Work space in lengths of the larger side: two to sort in, four for each side's queue."""

SORT_BITS = 11
"""Width of a digit of the radix sort: 2,048 counters stay in the first-level cache. Measured from
100 to 1,000,000 keys: never more than a fifth slower than the best width, where 16 bits cost 16
times as much on small books."""

SELECT_BITS = 10
"""Width of a digit when the k-th largest remainder is sought."""


@numba.njit(nogil=True)
def within_bounds(orders: Columns, factor: np.int64) -> bool:
    """Whether one side keeps the rules of `Orders`, apart from the uniqueness of ranks.

    The same rules in words: `auction.checked_books`.
    """
    price, energy, limit, submitted, rank = orders
    sound = True
    total = 0
    for i in range(price.size):
        # All ones up to 2^31 - 1: the union of bits exceeds it, or is negative, iff one number is.
        sound &= 0 <= (price[i] | energy[i] | limit[i] | rank[i]) <= QUANTITY_MAX
        sound &= energy[i] > 0
        sound &= submitted[i] >= 0
        sound &= factor * limit[i] <= factor * price[i]
        total += energy[i] & QUANTITY_MAX
    return sound and total <= ENERGY_TOTAL_MAX


@numba.njit(nogil=True)
def sort_stably(order: IntArray, keys: IntArray, factor: np.int64, space: IntArray) -> None:
    """Rearrange the rows in `order` so that factor x key ascends; equal keys stay as they are.

    Least-significant-digit radix sort over the bits in which the keys differ at all, so a narrow
    band of prices needs two passes. Key and row travel in one word: no gathers inside a pass.
    """
    count = order.size
    if count == 0:
        return
    words, spare = space[:count], space[count : 2 * count]
    low = high = last = factor * keys[order[0]]
    ascending = True
    for i in range(count):
        key = factor * keys[order[i]]
        words[i] = key
        ascending &= last <= key
        last = key
        low = min(low, key)
        high = max(high, key)
    if ascending:
        return
    span = high - low
    start = np.empty(1 << SORT_BITS, np.int64)
    shift = 0
    while span >> shift > 0:
        # At most 31 bits of key above 32 bits of row number: the word stays positive.
        bits = 0
        while bits < 31 and span >> (shift + bits) > 0:
            bits += 1
        key_mask = (1 << bits) - 1
        for i in range(count):
            key = words[i] if shift == 0 else factor * keys[order[i]]
            words[i] = ((key - low) >> shift & key_mask) << 32 | order[i]
        passes = (bits + SORT_BITS - 1) // SORT_BITS
        width = (bits + passes - 1) // passes
        mask = (1 << width) - 1
        for step in range(passes):
            position = 32 + step * width
            start[: mask + 1] = 0
            for word in words:
                start[word >> position & mask] += 1
            below = 0
            for digit in range(mask + 1):
                here = start[digit]
                start[digit] = below
                below += here
            for word in words:
                digit = word >> position & mask
                spare[start[digit]] = word
                start[digit] += 1
            words, spare = spare, words
        for i in range(count):
            order[i] = words[i] & 0xFFFFFFFF
        shift += bits


@numba.njit(nogil=True)
def sort_by_rank(order: IntArray, rank: IntArray, space: IntArray) -> bool:
    """Put all rows into `order` by ascending rank; returns whether no rank occurs twice.

    Ranks are nearly dense, so each row goes straight to the pigeonhole of its rank. Radix sort is
    five times slower on them: equally full buckets a power of two apart share one cache set.
    """
    count = rank.size
    for i in range(count):
        order[i] = i
    if count == 0:
        return True
    low = high = rank[0]
    for number in rank:
        low = min(low, number)
        high = max(high, number)
    if high - low < space.size:
        holes = space[: high - low + 1]
        holes[:] = -1
        for i in range(count):
            holes[rank[i] - low] = i
        found = 0
        for row in holes:
            if row >= 0:
                order[found] = row
                found += 1
        return found == count
    sort_stably(order, rank, OFFERS, space)
    unique = True
    for i in range(1, count):
        unique &= rank[order[i - 1]] < rank[order[i]]
    return unique


@numba.njit(nogil=True)
def share(volume: int, energy: int, total: int) -> tuple[np.int64, np.int64]:
    """Quotient and remainder of volume x energy / total, where the product has up to 83 bits.

    Long division in base 2^11 over the three digits of `energy` < 2^31. With volume and total
    below 2^52 the running remainder is below 2^52, so remainder x 2^11 + volume x digit is below
    2^64: one unsigned word.
    """
    factor = np.uint64(volume)
    divisor = np.uint64(total)
    base = np.uint64(2048)
    quotient = np.uint64(0)
    remainder = np.uint64(0)
    for shift in (22, 11, 0):
        partial = remainder * base + factor * np.uint64(energy >> shift & 2047)
        quotient = quotient * base + partial // divisor
        remainder = partial % divisor
    return np.int64(quotient), np.int64(remainder)


@numba.njit(nogil=True)
def kth_largest(values: IntArray, k: int) -> tuple[int, int]:
    """The k-th largest of some numbers >= 0, and how many equal to it are among the first k.

    Radix selection from the top digit in use down to the last: counting passes and no sort.
    """
    wanted = k
    prefix = 0
    counts = np.empty(1 << SELECT_BITS, np.int64)
    high = 0
    for value in values:
        high = max(high, value)
    shift = 0
    while high >> shift >= counts.size:
        shift += SELECT_BITS
    while shift >= 0:
        counts[:] = 0
        for value in values:
            if value >> (shift + SELECT_BITS) == prefix:
                counts[value >> shift & (counts.size - 1)] += 1
        digit = counts.size - 1
        while counts[digit] < wanted:
            wanted -= counts[digit]
            digit -= 1
        prefix = prefix << SELECT_BITS | digit
        shift -= SELECT_BITS
    return prefix, wanted


@numba.njit(nogil=True)
def split(energy: IntArray, volume: int, total: int, remainders: IntArray) -> None:
    """Cut one price level down to `volume` < `total`, the sum of `energy`, in proportion to it.

    Everybody gets the floor of the exact share; the Wh left over go to the largest remainders,
    equal ones in queue order. A share with a remainder has room for one more Wh because
    volume < total, and there are more such shares than Wh left over.
    """
    left = volume
    for i in range(energy.size):
        energy[i], remainders[i] = share(volume, energy[i], total)
        left -= energy[i]
    if left == 0:
        return
    threshold, at_threshold = kth_largest(remainders[: energy.size], left)
    for i in range(energy.size):
        if remainders[i] > threshold:
            energy[i] += 1
        elif remainders[i] == threshold and at_threshold > 0:
            energy[i] += 1
            at_threshold -= 1


@numba.njit(nogil=True)
def serve(queue: Queue, volume: int, pro_rata: bool, remainders: IntArray) -> None:
    """Hand `volume` to the head of a queue: its energies become what is filled of each order."""
    rows, price, energy, left = queue
    unserved = volume
    first = 0
    while unserved > 0:
        total = energy[first]
        end = first + 1
        while end < energy.size and price[end] == price[first]:
            total += energy[end]
            end += 1
        if unserved < total and pro_rata:
            split(energy[first:end], unserved, total, remainders)
            unserved = 0
        else:
            for i in range(first, end):
                energy[i] = min(energy[i], unserved)
                unserved -= energy[i]
        first = end
    for i in range(first):
        left[rows[i]] -= energy[i]


@numba.njit(nogil=True)
def crossing_volume(offers: Queue, bids: Queue) -> int:
    """Energy that changes hands while the cheapest offer asks no more than the best bid pays."""
    _, offer_price, offer_energy, _ = offers
    _, bid_price, bid_energy, _ = bids
    volume = 0
    i = j = 0
    offer_used = bid_used = 0
    while i < offer_price.size and j < bid_price.size and offer_price[i] <= bid_price[j]:
        offer_left = offer_energy[i] - offer_used
        bid_left = bid_energy[j] - bid_used
        traded = min(offer_left, bid_left)
        volume += traded
        offer_used += traded
        bid_used += traded
        if traded == offer_left:
            i += 1
            offer_used = 0
        if traded == bid_left:
            j += 1
            bid_used = 0
    return volume


@numba.njit(nogil=True)
def match(
    offers: Queue,
    bids: Queue,
    pro_rata: bool,
    stage: np.int64,
    table: IntArray,
    count: np.int64,
    remainders: IntArray,
) -> np.int64:
    """One stage: how much crosses, who gets how much of it, who trades with whom.

    At most one side's last price level is filled in part: were both, their heads would still
    cross. Pairing what is filled in queue order therefore never pairs an offer with a bid below
    it, whatever the tie rule moved inside a level.

    Returns:
        the number of trades in `table` now; `count` of them were there before.
    """
    volume = crossing_volume(offers, bids)
    serve(offers, volume, pro_rata, remainders)
    serve(bids, volume, pro_rata, remainders)
    offer_rows, offer_price, offer_filled, _ = offers
    bid_rows, bid_price, bid_filled, _ = bids
    i = j = 0
    offer_used = bid_used = 0
    while volume > 0:
        offer_left = offer_filled[i] - offer_used
        bid_left = bid_filled[j] - bid_used
        traded = min(offer_left, bid_left)
        if traded > 0:  # pro rata may leave an order of the level with nothing
            table[STAGE, count] = stage
            table[OFFER, count] = offer_rows[i]
            table[BID, count] = bid_rows[j]
            table[ENERGY, count] = traded
            table[PRICE_SUM, count] = offer_price[i] + bid_price[j]
            count += 1
            volume -= traded
            offer_used += traded
            bid_used += traded
        if traded == offer_left:
            i += 1
            offer_used = 0
        if traded == bid_left:
            j += 1
            bid_used = 0
    return count


@numba.njit(nogil=True)
def line_up(
    orders: Columns,
    left: IntArray,
    factor: np.int64,
    pro_rata: bool,
    space: IntArray,
    own: IntArray,
) -> tuple[bool, IntArray, Queue]:
    """One side before stage 1.

    Returns:
        whether the ranks are unique, the rows in their order within one price, the queue by price.
    """
    price, energy, _, submitted, rank = orders
    count = rank.size
    turn, rows = own[:count], own[count : 2 * count]
    quote, offered = own[2 * count : 3 * count], own[3 * count : 4 * count]
    unique = sort_by_rank(turn, rank, space)
    if not pro_rata:
        sort_stably(turn, submitted, OFFERS, space)
    for i in range(count):
        rows[i] = turn[i]
    sort_stably(rows, price, factor, space)
    for i in range(count):
        quote[i] = price[rows[i]]
        offered[i] = energy[rows[i]]
        left[i] = energy[i]
    return unique, turn, (rows, quote, offered, left)


@numba.njit(nogil=True)
def requote(
    turn: IntArray, limit: IntArray, factor: np.int64, reference: np.int64, queue: Queue
) -> Queue:
    """One side before stage 2: who has something left and accepts the reference price quotes it."""
    rows, quote, offered, left = queue
    count = 0
    for row in turn:
        # Written in any case and kept by counting: a branch here would be mispredicted too often.
        rows[count] = row
        quote[count] = reference
        offered[count] = left[row]
        count += (left[row] > 0) & (factor * limit[row] <= factor * reference)
    return rows[:count], quote[:count], offered[:count], left


# The signature says read-only for what is only read, so that writable and read-only arrays of the
# caller share one compiled version.
@numba.njit(
    "UniTuple(int64, 2)(UniTuple(Array(int64, 1, 'C', readonly=True), 5),"
    " UniTuple(Array(int64, 1, 'C', readonly=True), 5), boolean,"
    " int64[:, ::1], int64[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def clear(
    bids: Columns,
    offers: Columns,
    pro_rata: bool,
    table: IntArray,
    bid_left: IntArray,
    offer_left: IntArray,
    work: IntArray,
) -> tuple[np.int64, np.int64]:
    """Both stages.

    Args:
        table: is filled with the trades, rows as named above. Every trade of a stage uses up what
            is filled of at least one order, so twice the number of orders is room enough.
        bid_left, offer_left: become what is left of each order, by row.
        work: room to work in, `WORK_FACTOR` times the length of the larger side.
    Returns:
        the number of trades, or REFUSED when a side breaks a rule; the reference price, or
        NO_PRICE.
    """
    if not (within_bounds(bids, BIDS) and within_bounds(offers, OFFERS)):
        return REFUSED, NO_PRICE
    longer = max(bid_left.size, offer_left.size)
    space = work[: 2 * longer]
    bids_unique, bid_turn, bid_queue = line_up(
        bids, bid_left, BIDS, pro_rata, space, work[2 * longer : 6 * longer]
    )
    offers_unique, offer_turn, offer_queue = line_up(
        offers, offer_left, OFFERS, pro_rata, space, work[6 * longer :]
    )
    if not (bids_unique and offers_unique):
        return REFUSED, NO_PRICE
    count = match(offer_queue, bid_queue, pro_rata, FIRST, table, NONE_YET, space)
    if count == 0:
        return NONE_YET, NO_PRICE
    price_sums = 0
    for i in range(count):
        price_sums += table[PRICE_SUM, i]
    reference = price_sums // (2 * count)
    offer_queue = requote(offer_turn, offers[2], OFFERS, reference, offer_queue)
    bid_queue = requote(bid_turn, bids[2], BIDS, reference, bid_queue)
    return match(offer_queue, bid_queue, pro_rata, SECOND, table, count, space), reference
