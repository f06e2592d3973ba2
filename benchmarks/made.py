"""Bodies of the size and form of Elexon's answers, made up: what the benchmarks' server answers with.

Belongs here: the text of a window's JSON. Not here: HTTP. Nothing of this can reach a user's home: the package does
not import benchmarks.

A table is made of 48 fragments of JSON text, one a half hour of the UTC day, with places for the dates; so a day
costs a few replacements, and two days differ in their times only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache

from gbpm_dagster.catalogue import get
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, days, sp_of

BOD_UNITS, BOD_PAIRS = 1125, (1, -1, 2, -2, 3)
"""1,125 units x 5 pairs = 5,625 rows a half hour, 270,000 a day of 48 periods."""

FUELS = sorted(m.name for m in get("bmrs_fuelinst").completeness.members)

# Places in a fragment: settlement date, period, start and end of the half hour, UTC date of the start.
_S, _P, _F, _T, _U = b"$S", b'"$P"', b"$F", b"$T", b"$U"


def _bod(half: int, draw: random.Random) -> Iterator[str]:
    for unit in range(BOD_UNITS):
        level = draw.randint(0, 600)
        for pair in BOD_PAIRS:
            offer = 9999.0 if pair == 3 else round(draw.uniform(20, 400), 2)
            own, elexon = f'"UNIT{unit:04}-1"', f'"T_UNIT{unit:04}-1"'
            yield (
                '{"dataset":"BOD","settlementDate":"$S","settlementPeriod":"$P","timeFrom":"$F",'
                f'"levelFrom":{level if pair > 0 else -level},"timeTo":"$T",'
                f'"levelTo":{level if pair > 0 else -level},"pairId":{pair},"offer":{offer},'
                f'"bid":{round(offer - draw.uniform(1, 60), 2)},"nationalGridBmUnit":{own},'
                f'"bmUnit":{"null" if unit % 9 == 0 else elexon}}}'
            )


def _mid(half: int, draw: random.Random) -> Iterator[str]:
    for provider, price, volume in (
        ("APXMIDP", round(draw.uniform(20, 200), 2), round(draw.uniform(200, 3000), 2)),
        ("N2EXMIDP", 0.0, 0.0),
    ):
        yield (
            f'{{"dataset":"MID","startTime":"$F","dataProvider":"{provider}","settlementDate":"$S",'
            f'"settlementPeriod":"$P","price":{price},"volume":{volume}}}'
        )


def _freq(half: int, draw: random.Random) -> Iterator[str]:
    for sample in range(120):
        second = half * 1800 + sample * 15
        at = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        yield f'{{"dataset":"FREQ","measurementTime":"$UT{at}Z","frequency":{round(draw.gauss(50, 0.06), 3)}}}'


def _fuelinst(half: int, draw: random.Random) -> Iterator[str]:
    for step in range(6):
        minute = half * 30 + step * 5
        start = f"{minute // 60:02}:{minute % 60:02}"
        for fuel in FUELS:
            yield (
                f'{{"dataset":"FUELINST","publishTime":"$UT{start}:30Z","startTime":"$UT{start}:00Z",'
                f'"settlementDate":"$S","settlementPeriod":"$P","fuelType":"{fuel}",'
                f'"generation":{draw.randint(-1400, 14000)}}}'
            )


def _costs(half: int, draw: random.Random) -> Iterator[str]:
    price = round(draw.uniform(-20, 300), 5)
    named = "".join(
        f',"{c.name}":{round(draw.uniform(0, 900), 6)}'
        for c in get("bmrs_costs").columns
        if c.name.startswith(("total", "replacement", "netImb"))
    )
    yield (
        '{"settlementDate":"$S","settlementPeriod":"$P","startTime":"$F","createdDateTime":"$T",'
        f'"systemSellPrice":{price},"systemBuyPrice":{price},"bsadDefaulted":false,"priceDerivationCode":"P",'
        f'"reserveScarcityPrice":0.0,"sellPriceAdjustment":0.0,"buyPriceAdjustment":0.0{named}}}'
    )


_ROWS: dict[str, Callable[[int, random.Random], Iterator[str]]] = {
    "bmrs_bod": _bod,
    "bmrs_mid": _mid,
    "bmrs_freq": _freq,
    "bmrs_fuelinst": _fuelinst,
    "bmrs_costs": _costs,
}
TABLES = tuple(_ROWS)


@cache
def _fragment(table: str, half: int) -> bytes:
    """The rows of the half hour that begins at `half` x 30 min UTC, joined by commas, with places for dates."""
    return ",".join(_ROWS[table](half, random.Random(f"{table} {half}"))).encode()


def half_hour(table: str, start: datetime) -> bytes:
    """The rows of one half hour, JSON objects joined by commas."""
    day, period = sp_of(start)
    text = _fragment(table, (start.hour * 60 + start.minute) // 30)
    for place, value in (
        (_S, day.isoformat()),
        (_P, str(period)),
        (_F, f"{start:%Y-%m-%dT%H:%M:%SZ}"),
        (_T, f"{start + HALF_HOUR:%Y-%m-%dT%H:%M:%SZ}"),
        (_U, f"{start:%Y-%m-%d}"),
    ):
        text = text.replace(place, value.encode())
    return text


def body(table: str, start: datetime, end: datetime) -> bytes:
    """`{"data": [...]}` with the rows of `[start, end)`; FREQ with its first sample at `end` too, as live."""
    halves = [start + i * HALF_HOUR for i in range((end - start) // HALF_HOUR)]
    parts = [half_hour(table, at) for at in halves]
    if table == "bmrs_freq":
        parts.append(half_hour(table, end).partition(b"},")[0] + b"}")
    return b'{"data":[' + b",".join(parts) + b"]}"


def answer(path: str, params: dict[str, str]) -> bytes | None:
    """The body for a request of the planner, None for a path that is not made here."""
    for table in TABLES:
        endpoint = get(table).endpoint
        head, _, place = endpoint.path.partition("{")
        if not (path.startswith(head) if place else path == head):
            continue
        given = [path[len(head) :]] if place else [params[name] for name in endpoint.params]
        return body(table, *_span(given))
    return None


def _span(given: list[str]) -> tuple[datetime, datetime]:
    if all(len(text) == 10 for text in given):
        bounds = [day_bounds(date.fromisoformat(text)) for text in (given[0], given[-1])]
        return bounds[0][0], bounds[1][1]
    first, last = (datetime.fromisoformat(text).astimezone(UTC) for text in given)
    return first, last


def rows_of(table: str, first: date, last: date) -> int:
    """How many rows those London days hold."""
    each = {half: _fragment(table, half).count(b"},") + 1 for half in range(48)}
    starts = (
        start + i * HALF_HOUR
        for start, end in map(day_bounds, days(first, last))
        for i in range((end - start) // timedelta(minutes=30))
    )
    return sum(each[(at.hour * 60 + at.minute) // 30] for at in starts)
