"""The scorecard as a picture: a heat map of tables and days in SVG, made by hand, without a library.

Belongs here: geometry and colours. Not here: the scores (`scorecard`), where the picture is shown.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import date
from xml.sax.saxutils import escape, quoteattr

COLOURS = {"A": "#2e9e5b", "B": "#9bcf53", "C": "#f2b134", "D": "#d9483b"}
UNKNOWN = "#e4e4e4"
NAMES, CELL, ROW, TOP = 230, 14, 16, 44
"""Pixels: the column of names, a day, a table, the heading."""

Cells = Mapping[str, Mapping[date, tuple[float | None, str | None]]]
"""table -> day -> (score, grade)."""


def heat_map(title: str, cells: Cells, days: Sequence[date]) -> str:
    """An SVG: a row a table in the order given, a square a day, with its score as a tooltip; grey where none is."""
    width, height = NAMES + CELL * len(days) + 60, TOP + ROW * len(cells) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11" role="img" aria-label={quoteattr(title)}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(8, 18, title, size=14),
    ]
    for i, day in enumerate(days):
        if i % 7 == 0:
            parts.append(_text(NAMES + CELL * i, TOP - 8, f"{day:%d %b}"))
    for row, (table, by_day) in enumerate(cells.items()):
        y = TOP + ROW * row
        parts.append(_text(8, y + 11, table))
        parts += [_cell(NAMES + CELL * i, y, day, *by_day.get(day, (None, None))) for i, day in enumerate(days)]
    parts += _legend(TOP + ROW * len(cells) + 12)
    return "".join([*parts, "</svg>"])


def markdown(svg: str, alt: str) -> str:
    """The picture within Markdown, whole: it needs no file and no address."""
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _cell(x: int, y: int, day: date, points: float | None, letter: str | None) -> str:
    said = "no score" if points is None else f"{points:.1f} {letter}"
    colour = COLOURS.get(letter or "", UNKNOWN)
    return (
        f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{ROW - 3}" fill="{colour}">'
        f"<title>{day.isoformat()}: {said}</title></rect>"
    )


def _legend(y: int) -> list[str]:
    meaning = {"A": "A from 98", "B": "B from 95", "C": "C from 90", "D": "D below", "": "no score"}
    parts = []
    for i, (letter, said) in enumerate(meaning.items()):
        x = 8 + 84 * i
        parts.append(f'<rect x="{x}" y="{y}" width="11" height="11" fill="{COLOURS.get(letter, UNKNOWN)}"/>')
        parts.append(_text(x + 16, y + 10, said))
    return parts


def _text(x: int, y: int, words: str, size: int = 11) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}">{escape(words)}</text>'
