"""Plots as SVG text, light and dark, without a browser or a plotting library.

A study's figures must come out byte for byte alike on every machine and open anywhere, so they are
written by hand: lines or bars over one pair of axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 64, 52
CHARACTER = 7.0
"""Mean width of a letter at 13 pixels, for placing the legend."""

STYLE = """
svg{font:13px system-ui,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
svg{--paper:#fff;--ink:#191d22;--muted:#59626e;--line:#d9dde3;--grid:#6b7480;
--a:#0068a8;--b:#c8500a;--c:#007a5a;--d:#b07800;--e:#8a4a9a}
@media(prefers-color-scheme:dark){svg{--paper:#14171b;--ink:#e7eaee;--muted:#a0a9b5;--line:#343b45;
--grid:#98a2af;--a:#5ab4ea;--b:#f59a62;--c:#45cba0;--d:#f2c14e;--e:#d39be2}}
"""
"""Hues that people of all colour visions tell apart, as in the report of a run."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve. A value that is not finite leaves a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    dashed: bool = False
    steps: bool = False
    """Each value holds until the next one."""
    marks: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """One value for each label."""

    name: str
    values: Sequence[float]
    colour: str
    errors: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Axes:
    """Names and bounds."""

    x_title: str
    y_title: str
    y_low: float
    y_high: float
    log_y: bool = False
    notes: tuple[tuple[float, float, str], ...] = ()
    """(x, y, text) inside the plot."""


class Canvas:
    """Collects elements inside one pair of axes."""

    def __init__(self, axes: Axes, x_low: float, x_high: float) -> None:
        self.axes = axes
        self.parts: list[str] = []
        self._x = (x_low, x_high)
        self._y = (_log(axes.y_low), _log(axes.y_high)) if axes.log_y else (axes.y_low, axes.y_high)

    def x(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self._x
        share = (value - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self._y
        share = ((_log(value) if self.axes.log_y else value) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def text(self, x: float, y: float, text: str, anchor: str = "middle", ink: str = "ink") -> None:
        """A word."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{ink})">'
            f"{escape(text)}</text>"
        )

    def rule(self, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
        """A thin straight line."""
        self.parts.append(
            f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="var(--{colour})"/>'
        )

    def frame(self, x_labels: Sequence[tuple[float, str]]) -> None:
        """Grid, numbers and names of the axes; `x_labels` are (place in pixels, text)."""
        for value in _numbers(self.axes.y_low, self.axes.y_high, logarithmic=self.axes.log_y):
            height = self.y(value)
            zero = value == 0 and self.axes.y_low < 0
            self.rule(LEFT, height, WIDTH - RIGHT, height, "grid" if zero else "line")
            self.text(LEFT - 8, height + 4, _short(value), "end", "muted")
        for place, label in x_labels:
            self.text(place, HEIGHT - BOTTOM + 18, label, ink="muted")
        self.text(LEFT, TOP - 10, self.axes.y_title, "start", "muted")
        self.text(WIDTH - RIGHT, HEIGHT - 10, self.axes.x_title, "end", "muted")
        for x, y, note in self.axes.notes:
            self.text(self.x(x), self.y(y), note, "middle", "muted")

    def legend(self, names: Sequence[tuple[str, str, bool]]) -> None:
        """(name, colour, dashed) in rows on top."""
        x, y = float(LEFT), 16.0
        for name, colour, dashed in names:
            width = 34 + CHARACTER * len(name)
            if x + width > WIDTH - RIGHT and x > LEFT:
                x, y = float(LEFT), y + 18
            dash = ' stroke-dasharray="5 4"' if dashed else ""
            self.parts.append(
                f'<path d="M{x:.1f} {y - 4:.1f}h20" stroke="var(--{colour})" '
                f'stroke-width="3"{dash}/>'
            )
            self.text(x + 26, y, name, "start")
            x += width + 10

    def picture(self, label: str) -> str:
        """The finished SVG."""
        inside = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(label)}">\n'
            f"<style>{STYLE}</style>\n"
            f'<clipPath id="inside"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="var(--paper)"/>\n'
            f'<g fill="none">\n{inside}\n</g>\n</svg>\n'
        )


def draw_lines(label: str, axes: Axes, lines: Sequence[Line]) -> str:
    """Curves over numbers.

    Args:
        label: what the plot shows, for readers who cannot see it.
        axes: names and bounds.
        lines: drawn in this order.
    """
    xs = [x for line in lines for x in line.xs]
    canvas = Canvas(axes, min(xs), max(xs))
    numbers = _numbers(min(xs), max(xs), logarithmic=False)
    canvas.frame([(canvas.x(value), _short(value)) for value in numbers])
    for line in lines:
        canvas.parts.append(_curve(canvas, line))
        if line.marks:
            canvas.parts.extend(
                f'<circle cx="{canvas.x(x):.1f}" cy="{canvas.y(y):.1f}" r="3.5" '
                f'fill="var(--{line.colour})"/>'
                for x, y in zip(line.xs, line.ys, strict=True)
                if math.isfinite(y)
            )
    canvas.legend([(line.name, line.colour, line.dashed) for line in lines])
    return canvas.picture(label)


def _curve(canvas: Canvas, line: Line) -> str:
    path, pen_down = "", False
    for x, y in zip(line.xs, line.ys, strict=True):
        if not math.isfinite(y):
            pen_down = False
            continue
        place, height = f"{canvas.x(x):.1f}", f"{canvas.y(y):.1f}"
        if not pen_down:
            path += f"M{place} {height}"
        else:
            path += f"H{place}V{height}" if line.steps else f"L{place} {height}"
        pen_down = True
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    return (
        f'<path d="{path}" stroke="var(--{line.colour})" stroke-width="2"{dash} '
        'clip-path="url(#inside)"/>'
    )


def draw_bars(label: str, axes: Axes, labels: Sequence[str], bars: Sequence[Bars]) -> str:
    """Groups of bars over words; errors as whiskers.

    Args:
        label: what the plot shows, for readers who cannot see it.
        axes: names and bounds.
        labels: of the groups.
        bars: one in each group, side by side.
    """
    canvas = Canvas(axes, 0, len(labels))
    canvas.frame([(canvas.x(place + 0.5), text) for place, text in enumerate(labels)])
    room = 0.8 / len(bars)
    base = canvas.y(max(0, axes.y_low))
    for row, series in enumerate(bars):
        for place, value in enumerate(series.values):
            left = canvas.x(place + 0.1 + row * room)
            right = canvas.x(place + 0.1 + (row + 1) * room) - 1
            top, bottom = sorted((canvas.y(value), base))
            canvas.parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
                f'height="{bottom - top:.1f}" fill="var(--{series.colour})"/>'
            )
            if series.errors:
                middle, error = (left + right) / 2, series.errors[place]
                low, high = canvas.y(value - error), canvas.y(value + error)
                canvas.rule(middle, low, middle, high, "ink")
    canvas.legend([(series.name, series.colour, False) for series in bars])
    return canvas.picture(label)


def _log(value: float) -> float:
    return math.log10(value)


def _numbers(low: float, high: float, *, logarithmic: bool) -> list[float]:
    """Round numbers between two bounds, about six; on a logarithmic axis 1, 2, 5, 10, ..."""
    if logarithmic:
        decades = range(math.floor(_log(low)), math.ceil(_log(high)) + 1)
        found = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        return [value for value in found if low * 0.999 <= value <= high * 1.001]
    rough = (high - low) / 6
    unit = 10.0 ** math.floor(_log(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _short(value: float) -> str:
    return f"{value:,.10g}".replace("-", "\u2212")
