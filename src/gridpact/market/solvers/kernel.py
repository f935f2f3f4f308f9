"""Interior points for chains of storage that meet in balances of trade, compiled.

Mehrotra's predictor and corrector on programmes of `Programme`'s shape. A step of Newton's method
is a linear system in the duals alone, A D A' dy = h with D > 0 diagonal, and its structure is used
to the end: in each period of each microgrid POWER is eliminated, then GREEN; what is left are M
tridiagonal systems in the duals of STORED and one dense T x T system in the duals of the balances.
All eliminations but that of the last add positive numbers only, so that no digit is lost when D
spans twenty decades, as it does near the optimum.

A step costs about M T^2 / 2 + T^3 / 3 multiplications beside a few dozen per column.

Columns and rows are those of `gridpact.model.microgrids`, by number. Known limits: numba's cache of
compiled code notices changes of this file only.

Source: S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM Journal
on Optimization 2(4), 1992. Ours: the elimination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Rooms: TypeAlias = tuple[Floats, Floats, Floats]
    """1 where a column can move, else 0; room below it; room above it."""
    Pair: TypeAlias = tuple[Floats, Floats]
    """What the lower bounds push back with, and the upper ones; or how that changes."""
    Factors: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats, Floats]

COLUMNS = 12
BUY, TURBINE, CHARGE, DISCHARGE, EXPORT, CURTAIL, DEMANDED, OTHER = range(8)
CONTENT, SELL, PURCHASE, MISSING = range(8, COLUMNS)
GREEN, POWER, STORED = range(3)

ITERATIONS_MAX = 60
BACK_OFF = 0.995
"""Of the way to the nearest bound."""
STEP_MIN = 1e-10
"""A shorter step gets nowhere."""
STALE_MAX = 6
"""Steps without a better point after which rounding is all that is left."""
SOLVES = 2
"""Of each linear system: the second mends what rounding left of the first, which is worth two
digits of the equations and a tenth of the time."""
IDLE_SHARE = 1e-3
"""As in `solution`: so that a microgrid that moves nothing has a turnover."""
PIVOT_MIN = 1e-15
"""Of the diagonal it was: a balance that nobody can move has no pivot, and its dual stays."""


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def columns_of(y: Floats, balance: Floats, kept: Floats, out: Floats) -> None:
    """A'y by column: `out` (M, T, 12) from duals (M, T, 3) and (T,)."""
    microgrids, periods = y.shape[0], y.shape[1]
    for i in range(microgrids):
        for t in range(periods):
            green, power, stored = y[i, t, GREEN], y[i, t, POWER], y[i, t, STORED]
            later = y[i, t + 1, STORED] if t + 1 < periods else 0.0
            cell = out[i, t]
            cell[BUY] = power
            cell[TURBINE] = power
            cell[CHARGE] = green - kept[i] * stored
            cell[DISCHARGE] = stored - green
            cell[EXPORT] = green
            cell[CURTAIL] = green
            cell[DEMANDED] = green + power
            cell[OTHER] = green + power
            cell[CONTENT] = stored - later
            cell[SELL] = green + balance[t]
            cell[PURCHASE] = -green - balance[t]
            cell[MISSING] = -stored


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def rows_of(x: Floats, kept: Floats, out: Floats, balance: Floats) -> None:
    """A x by row: `out` (M, T, 3) and `balance` (T,) from columns (M, T, 12)."""
    microgrids, periods = x.shape[0], x.shape[1]
    balance[:] = 0.0
    for i in range(microgrids):
        before = 0.0
        for t in range(periods):
            cell = x[i, t]
            green = cell[DEMANDED] + cell[OTHER]
            out[i, t, GREEN] = (
                cell[EXPORT] + cell[CURTAIL] + cell[SELL] + cell[CHARGE] + green
            ) - (cell[DISCHARGE] + cell[PURCHASE])
            out[i, t, POWER] = green + cell[TURBINE] + cell[BUY]
            out[i, t, STORED] = (
                (cell[CONTENT] - before)
                - kept[i] * cell[CHARGE]
                + (cell[DISCHARGE] - cell[MISSING])
            )
            before = cell[CONTENT]
            balance[t] += cell[SELL] - cell[PURCHASE]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def factor(weight: Floats, kept: Floats, factors: Factors) -> None:
    """Eliminate everything of A D A' that has a closed form.

    Args:
        weight: (M, T, 12), the diagonal of D; 0 where a column cannot move.
        kept: (M,).
        factors: filled here. (M, T) each: what GREEN passes to POWER, 1 / pivot of POWER and of
            GREEN, GREEN's tie to STORED and to the balance, 1 / pivot of STORED and its tie to the
            next period; (T, T): the Cholesky factor of the balances, lower.
    """
    to_power, power, green, to_stored, to_balance, stored, ahead, schur = factors
    microgrids, periods = power.shape
    base, tie = np.empty(periods), np.empty(periods)
    left, right = np.empty(periods), np.empty(periods)
    schur[:] = 0.0
    for i in range(microgrids):
        k = kept[i]
        for t in range(periods):
            d = weight[i, t]
            passed = d[DEMANDED] + d[OTHER]
            local = d[BUY] + d[TURBINE]
            pivot = passed + local
            power[i, t] = 1.0 / pivot if pivot > 0.0 else 0.0
            to_power[i, t] = passed * power[i, t]
            leak = d[EXPORT] + d[CURTAIL] + to_power[i, t] * local
            trade = d[SELL] + d[PURCHASE]
            moved = k * d[CHARGE] + d[DISCHARGE]
            pivot = leak + trade + d[CHARGE] + d[DISCHARGE]
            inverse = 1.0 / pivot if pivot > 0.0 else 0.0
            green[i, t] = inverse
            to_stored[i, t] = moved
            to_balance[i, t] = trade
            base[t] = (
                (k * k * d[CHARGE] + d[DISCHARGE]) * (leak + trade)
                + d[CHARGE] * d[DISCHARGE] * (1.0 - k) ** 2
            ) * inverse + d[MISSING]
            ahead[i, t] = d[CONTENT] if t + 1 < periods else 0.0
            if t + 1 == periods:
                base[t] += d[CONTENT]
            schur[t, t] += trade * (leak + d[CHARGE] + d[DISCHARGE]) * inverse
            tie[t] = moved * trade * inverse
        # A chain of conductances: to the left of a period, and to its right, in series with what
        # lies beyond.
        left[0] = 0.0
        for t in range(periods - 1):
            here = base[t] + left[t]
            whole = here + ahead[i, t]
            left[t + 1] = ahead[i, t] * here / whole if whole > 0.0 else 0.0
            stored[i, t] = 1.0 / whole if whole > 0.0 else 0.0
        whole = base[periods - 1] + left[periods - 1]
        stored[i, periods - 1] = 1.0 / whole if whole > 0.0 else 0.0
        right[periods - 1] = 0.0
        for t in range(periods - 1, 0, -1):
            here = base[t] + right[t]
            whole = here + ahead[i, t - 1]
            right[t - 1] = ahead[i, t - 1] * here / whole if whole > 0.0 else 0.0
        for t in range(periods):
            whole = base[t] + left[t] + right[t]
            if tie[t] == 0.0 or whole <= 0.0:
                continue
            entry = tie[t] / whole
            schur[t, t] -= entry * tie[t]
            for s in range(t - 1, -1, -1):
                entry *= ahead[i, s] * stored[i, s]
                schur[t, s] -= entry * tie[s]
    cholesky(schur)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def cholesky(matrix: Floats) -> None:
    """Lower factor in place, with 1 / pivot on the diagonal; 0 there where no pivot is left."""
    for t in range(matrix.shape[0]):
        diagonal = matrix[t, t]
        if diagonal <= 0.0:
            matrix[t, : t + 1] = 0.0
            continue
        for s in range(t):
            value = matrix[t, s]
            for r in range(s):
                value -= matrix[t, r] * matrix[s, r]
            value *= matrix[s, s]
            matrix[t, s] = value
        pivot = diagonal
        for s in range(t):
            pivot -= matrix[t, s] ** 2
        matrix[t, t] = 1.0 / np.sqrt(pivot) if pivot > PIVOT_MIN * diagonal else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def substitute(matrix: Floats, right: Floats) -> None:
    """Solve with the factor of `cholesky`, in place; an unknown without a pivot is 0."""
    count = right.size
    for t in range(count):
        value = right[t]
        if matrix[t, t] != 0.0:
            for s in range(t):
                value -= matrix[t, s] * right[s]
        right[t] = value * matrix[t, t]
    for t in range(count - 1, -1, -1):
        value = right[t]
        if matrix[t, t] != 0.0:
            for s in range(t + 1, count):
                value -= matrix[s, t] * right[s]
        right[t] = value * matrix[t, t]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def solve_duals(factors: Factors, rows: Floats, balance: Floats) -> None:
    """Solve A D A' y = h in place: `rows` (M, T, 3) and `balance` (T,) hold h, then y."""
    to_power, power, green, to_stored, to_balance, stored, ahead, schur = factors
    microgrids, periods = power.shape
    wave = np.empty(periods)
    for i in range(microgrids):
        for t in range(periods):
            rows[i, t, GREEN] -= to_power[i, t] * rows[i, t, POWER]
            rows[i, t, GREEN] *= green[i, t]
            rows[i, t, STORED] += to_stored[i, t] * rows[i, t, GREEN]
            balance[t] -= to_balance[i, t] * rows[i, t, GREEN]
        solve_chain(rows[i, :, STORED], stored[i], ahead[i], wave)
        for t in range(periods):
            tie = to_stored[i, t] * to_balance[i, t] * green[i, t]
            balance[t] -= tie * wave[t]
    substitute(schur, balance)
    for i in range(microgrids):
        for t in range(periods):
            tie = to_stored[i, t] * to_balance[i, t] * green[i, t]
            rows[i, t, STORED] -= tie * balance[t]
        solve_chain(rows[i, :, STORED], stored[i], ahead[i], wave)
        for t in range(periods):
            rows[i, t, STORED] = wave[t]
            rows[i, t, GREEN] += green[i, t] * (
                to_stored[i, t] * wave[t] - to_balance[i, t] * balance[t]
            )
            rows[i, t, POWER] = power[i, t] * rows[i, t, POWER] - to_power[i, t] * rows[i, t, GREEN]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def solve_chain(right: Floats, inverse: Floats, ahead: Floats, out: Floats) -> None:
    """Solve one tridiagonal system: pivots 1 / `inverse`, off-diagonal entries -`ahead`."""
    periods = right.size
    out[0] = right[0]
    for t in range(1, periods):
        out[t] = right[t] + ahead[t - 1] * inverse[t - 1] * out[t - 1]
    out[periods - 1] *= inverse[periods - 1]
    for t in range(periods - 2, -1, -1):
        out[t] = inverse[t] * (out[t] + ahead[t] * out[t + 1])


@numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "reassoc", "contract", "nsz"}
)
def step_length(dx: Floats, room: Rooms, force: Pair, change: Pair) -> float:
    """The largest step, at most 1, that keeps a plan within bounds and forces >= 0. All flat."""
    z, w = force
    dz, dw = change
    _, under, over = room
    speed = 1.0
    for j in range(dx.size):
        speed = max(speed, -dx[j] / under[j], dx[j] / over[j], -dz[j] / z[j], -dw[j] / w[j])
    return 1.0 / speed


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def newton(
    pull: Floats,
    weight: Floats,
    missing: Floats,
    balance_missing: Floats,
    kept: Floats,
    factors: Factors,
    spare: Floats,
) -> tuple[Floats, Floats, Floats]:
    """One Newton step: (dx flat, dy (M, T, 3), dy of the balances (T,)).

    Args:
        pull: flat, what draws each column, price; `weight` times it moves where nothing binds.
        weight: flat, the diagonal of D.
        missing: (M, T, 3), b - A x; `balance_missing` (T,) the same of the balances.
        kept: (M,).
        factors: of `factor`.
        spare: (M, T, 12), overwritten.
    """
    flat = spare.reshape(-1)
    dx = np.empty_like(flat)
    for j in range(flat.size):
        dx[j] = weight[j] * pull[j]
    dy, dbalance = np.zeros_like(missing), np.zeros_like(balance_missing)
    rows, balance = np.empty_like(missing), np.empty_like(balance_missing)
    for _ in range(SOLVES):
        rows_of(dx.reshape(spare.shape), kept, rows, balance)
        rows[:] = missing - rows
        balance[:] = balance_missing - balance
        solve_duals(factors, rows, balance)
        columns_of(rows, balance, kept, spare)
        for j in range(flat.size):
            dx[j] += weight[j] * flat[j]
        dy += rows
        dbalance += balance
    return dx, dy, dbalance


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def begin(
    c: Floats, q: Floats, low: Floats, high: Floats, x: Floats, room: Rooms, force: Pair
) -> tuple[float, float, int]:
    """Start in the middle of all bounds; the dearest price, the largest energy, what can move.

    Fills x, room and force. All flat. What cannot move has room 1, which keeps the arithmetic free
    of branches, and `free` 0.
    """
    z, w = force
    free, under, over = room
    price, energy, moving = 0.0, 0.0, 0
    for j in range(c.size):
        x[j] = 0.5 * (low[j] + high[j])
        free[j] = 1.0 if high[j] > low[j] else 0.0
        under[j] = over[j] = 0.5 * (high[j] - low[j]) if free[j] == 1.0 else 1.0
        if free[j] == 1.0:
            moving += 1
            price = max(price, abs(c[j]), q[j] * high[j])
            if j % COLUMNS != CONTENT:
                energy = max(energy, high[j])
    if energy == 0.0:
        # Only contents can move.
        energy = max(np.abs(low).max(), np.abs(high).max(), 1e-300)
    price = price if price > 0.0 else 1.0
    z[:] = price
    w[:] = price
    return price, energy, moving


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def look(
    c: Floats,
    q: Floats,
    x: Floats,
    room: Rooms,
    force: Pair,
    prices: Floats,
    weight: Floats,
    pull: Floats,
) -> tuple[float, float]:
    """How good a point is: (gap that the duals leave unproved, turnover).

    Fills `weight`, the diagonal of D, and `pull`, what Newton's method is drawn by without
    centring. All flat; `prices` is A'y.
    """
    z, w = force
    free, under, over = room
    gap, turnover = 0.0, 0.0
    for j in range(c.size):
        residual = free[j] * (c[j] + q[j] * x[j] - prices[j] - z[j] + w[j])
        weight[j] = free[j] / (q[j] + z[j] / under[j] + w[j] / over[j])
        pull[j] = w[j] - z[j] - residual
        gap += abs(residual) * (under[j] + over[j])
        gap += free[j] * (under[j] * z[j] + over[j] * w[j])
        turnover += abs(x[j] * (c[j] + 0.5 * q[j] * x[j]))
    return gap, turnover


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def centre(dx: Floats, room: Rooms, force: Pair, change: Pair, pull: Floats) -> None:
    """From the predictor's step to the corrector's pull.

    Fills `change` with the part that does not depend on the corrector's step, and adds to `pull`.
    All flat.
    """
    z, w = force
    dz, dw = change
    free, under, over = room
    before, after, moving = 0.0, 0.0, 0.0
    for j in range(dx.size):
        dz[j] = -free[j] * z[j] * (1.0 + dx[j] / under[j])
        dw[j] = -free[j] * w[j] * (1.0 - dx[j] / over[j])
    step = step_length(dx, room, force, change)
    for j in range(dx.size):
        moving += free[j]
        before += free[j] * (under[j] * z[j] + over[j] * w[j])
        after += free[j] * (
            (under[j] + step * dx[j]) * (z[j] + step * dz[j])
            + (over[j] - step * dx[j]) * (w[j] + step * dw[j])
        )
    aim = (after / before) ** 3 * before / (2.0 * moving)
    for j in range(dx.size):
        dz[j] = free[j] * (aim - dx[j] * dz[j]) / under[j]
        dw[j] = free[j] * (aim + dx[j] * dw[j]) / over[j]
        pull[j] += dz[j] - dw[j]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def move(
    dx: Floats,
    room: Rooms,
    force: Pair,
    change: Pair,
    x: Floats,
    low: Floats,
    high: Floats,
) -> float:
    """Take the corrector's step as far as bounds allow, and say how far. All flat."""
    z, w = force
    dz, dw = change
    free, under, over = room
    for j in range(dx.size):
        dz[j] -= free[j] * z[j] * (1.0 + dx[j] / under[j])
        dw[j] -= free[j] * w[j] * (1.0 - dx[j] / over[j])
    step = min(1.0, BACK_OFF * step_length(dx, room, force, change))
    for j in range(dx.size):
        under[j] += step * dx[j]
        over[j] -= step * dx[j]
        if free[j] == 1.0:
            x[j] = low[j] + under[j] if under[j] < over[j] else high[j] - over[j]
        z[j] += step * dz[j]
        w[j] += step * dw[j]
    return step


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def optimise(
    cost: Floats,
    curvature: Floats,
    lower: Floats,
    upper: Floats,
    constants: Floats,
    kept: Floats,
    gap_max: float,
    missing_max: float,
) -> tuple[Floats, Floats, Floats, int]:
    """Plan (M, T, 12), duals (M, T, 3) and (T,), and the iterations they took.

    Stops when the duals prove, by the bounds alone, that no plan is cheaper by more than `gap_max`
    of the turnover, and no equation misses by more than `missing_max` of the largest energy; or
    when no step helps any more: then the best point met comes back, for the caller to judge.

    Args:
        cost, curvature, lower, upper: (M, T, 12), finite.
        constants: (M, T, 3).
        kept: (M,).
        gap_max: relative, see above.
        missing_max: relative, see above.
    """
    shape = cost.shape
    c, q, low, high = cost.reshape(-1), curvature.reshape(-1), lower.reshape(-1), upper.reshape(-1)
    # Room below and above is kept beside x, as a difference it would round to 0 near a bound.
    x, weight, pull = np.empty(c.size), np.empty(c.size), np.empty(c.size)
    room = np.empty(c.size), np.empty(c.size), np.empty(c.size)
    force = np.empty(c.size), np.empty(c.size)
    change = np.empty(c.size), np.empty(c.size)
    y, balance = np.zeros(constants.shape), np.zeros(shape[1])
    rows, traded, spare = np.empty_like(y), np.empty_like(balance), np.empty(shape)
    cells = np.empty((7, shape[0], shape[1]))
    schur = np.empty((shape[1], shape[1]))
    factors = cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], schur
    price, energy, moving = begin(c, q, low, high, x, room, force)
    best, found, stale = np.inf, 0, 0
    best_x, best_y, best_balance = x.copy(), y.copy(), balance.copy()
    for iteration in range(ITERATIONS_MAX):
        columns_of(y, balance, kept, spare)
        gap, turnover = look(c, q, x, room, force, spare.reshape(-1), weight, pull)
        rows_of(x.reshape(shape), kept, rows, traded)
        rows[:] = constants - rows
        traded[:] = -traded
        missing = max(np.abs(rows).max(), np.abs(traded).max())
        whole = gap_max * (turnover + IDLE_SHARE * price * energy)
        excess = max(gap / whole, missing / (missing_max * energy)) if moving else 0.0
        if excess < best:
            best, found, stale = excess, iteration, 0
            best_x[:], best_y[:], best_balance[:] = x, y, balance
        else:
            stale += 1
        if not excess > 1.0 or stale == STALE_MAX:
            break
        factor(weight.reshape(shape), kept, factors)
        dx, dy, dbalance = newton(pull, weight, rows, traded, kept, factors, spare)
        centre(dx, room, force, change, pull)
        dx, dy, dbalance = newton(pull, weight, rows, traded, kept, factors, spare)
        step = move(dx, room, force, change, x, low, high)
        if not step > STEP_MIN:
            break
        y += step * dy
        balance += step * dbalance
    return best_x.reshape(shape), best_y, best_balance, found


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def optimise_each(
    cost: Floats,
    curvature: Floats,
    lower: Floats,
    upper: Floats,
    constants: Floats,
    kept: Floats,
    gap_max: float,
    missing_max: float,
) -> tuple[Floats, Floats, Floats, int]:
    """`optimise` for each microgrid by itself; the balances are zeros, iterations the most."""
    plan, y = np.empty(cost.shape), np.empty(constants.shape)
    most = 0
    for i in range(cost.shape[0]):
        part = slice(i, i + 1)
        x, duals, _, iterations = optimise(
            cost[part],
            curvature[part],
            lower[part],
            upper[part],
            constants[part],
            kept[part],
            gap_max,
            missing_max,
        )
        plan[i], y[i] = x[0], duals[0]
        most = max(most, iterations)
    return plan, y, np.zeros(cost.shape[1]), most
