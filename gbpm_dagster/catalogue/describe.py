"""What a table is, in words: the text that the Dagster UI and the pages of docs/catalogue share.

Belongs here: sentences in Markdown made from an entry alone, without links. Not here: the layout of a page
(scripts/docs_catalogue.py), anything of Dagster (orchestration.describe).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from gbpm_dagster.catalogue.model import DOUBT, PERIOD_START, Column, Dataset, Endpoint, Freshness, Grain, Rule, Style

LICENCE = "Contains BMRS data © Elexon Limited copyright and database right"
DOUBTED = f"`{DOUBT}` marks what is inferred: it holds until evidence settles it."
"""The line that explains the mark, wherever one is shown."""

_TWO_HOURS, _THREE_DAYS = timedelta(hours=2), timedelta(days=3)
_HALF_HOUR, _DAY = timedelta(minutes=30), timedelta(days=1)
_STREAM = "/stream"

_CAP_SOURCES = {
    "spec": "Elexon's document",
    "API 400 body": "the API's own refusal",
    "spec and API 400 body": "Elexon's document and the API's own refusal",
}
_WORDS = {
    "nationalGridBmUnit": "unit",
    "nationalGridBmUnitId": "unit",
    "elexonBmUnit": "unit",
    "publishTime": "publication",
    "psrType": "production type",
    "bidOffer": "side (bid or offer)",
    "pairId": "bid-offer pair",
    "bidOfferPairId": "bid-offer pair",
    "mrid": "message",
    "mRID": "message",
    "fuelType": "fuel type",
    "dataProvider": "provider",
    "documentId": "document",
    "acceptanceId": "acceptance number",
    "timeFrom": "start of validity",
}
"""Names of keys that read better in other words."""


def duration(length: timedelta) -> str:
    """45 min, 1 h, 36 h, 10.5 days: minutes below two hours that are not whole, days from the third on."""
    if length >= _THREE_DAYS:
        return f"{length / timedelta(days=1):g} days"
    if length >= _TWO_HOURS or length == timedelta(hours=1):
        return f"{length / timedelta(hours=1):g} h"
    return f"{length / timedelta(minutes=1):g} min"


def doubtful(dataset: Dataset, fact: str) -> str:
    """The mark behind one of model.INFERABLE where the entry says it is inferred, else nothing."""
    return f" {DOUBT}" if fact in dataset.inferred else ""


def facts(dataset: Dataset) -> dict[str, str]:
    """What there is to know of a table, by label, in the order in which it is shown."""
    found = {
        "one row a": a_row_is(dataset),
        "source": source(dataset),
        "asked": asked(dataset),
        "longest window": longest_window(dataset.endpoint),
        "published": published(dataset),
        "due": due(dataset),
        "rows a day": rows_a_day(dataset),
        "partition": partition(dataset),
        "natural key": natural_key(dataset),
        "vintages": vintages(dataset),
        "complete": complete(dataset),
        "fresh": fresh(dataset.freshness, dataset.lag.lag),
        "begins": begins(dataset),
    }
    return {label: text for label, text in found.items() if text}


def a_row_is(dataset: Dataset) -> str:
    """What one row stands for: the natural key in plain words."""
    key = list(dataset.key)
    words = []
    if {"settlementDate", "settlementPeriod"} <= set(key):
        words.append("settlement period")
        key = [k for k in key if k not in ("settlementDate", "settlementPeriod")]
    words += [_WORDS.get(k, _plain(k)) for k in key]
    return ", ".join(dict.fromkeys(words))


def source(dataset: Dataset) -> str:
    """Path and codes."""
    codes = []
    if dataset.code:
        codes.append(f"code {dataset.code}")
    if dataset.iris_code:
        codes.append(f"{dataset.iris_code} on the stream" if dataset.iris_code != dataset.code else "also streamed")
    return f"`{dataset.endpoint.path}`" + (f" ({'; '.join(codes)})" if codes else "")


def asked(dataset: Dataset) -> str:
    """How the path is asked: what one call takes, and what else it is given."""
    endpoint = dataset.endpoint
    parts = [_window(endpoint), *_besides(endpoint)]
    if endpoint.path.endswith(_STREAM):
        parts.append("the stream form of the path, which takes longer windows in a call")
    return "; ".join(parts)


def _window(endpoint: Endpoint) -> str:
    names = [f"`{p}`" for p in endpoint.params]
    by = "the start of the settlement period" if endpoint.selects == PERIOD_START else f"`{endpoint.selects}`"
    match endpoint.style:
        case Style.RANGE:
            return f"two instants ({' and '.join(names)}), both included, select by {by}"
        case Style.DATES:
            return f"two dates ({' and '.join(names)}), both included, select by {by}"
        case Style.SPAN:
            return f"from a date and period to a date and period ({', '.join(names)}), all included"
        case Style.DATE:
            return f"one settlement date a call ({names[0]}{_in_path(endpoint)})"
        case Style.PERIOD:
            return f"one settlement period a call ({' and '.join(names)}{_in_path(endpoint)})"
        case Style.INSTANT:
            often = "at the end of a day" if endpoint.step >= _DAY else f"every {duration(endpoint.step)} of a day"
            return f"the publication in force at an instant ({names[0]}), {often}"
        case Style.SEASON:
            return f"one Triad season a call ({names[0]}), 1 November to the end of February"
        case Style.IDS:
            assert endpoint.ids is not None
            many = f"{endpoint.ids.at_once} a call" if endpoint.ids.at_once > 1 else "one a call"
            return f"by ids ({names[0]}), {many}: column `{endpoint.ids.column}` of {endpoint.ids.table} for that day"
        case Style.NONE:
            return "no window: the list as it is now"


def _in_path(endpoint: Endpoint) -> str:
    return ", in the path" if any(f"{{{p}}}" in endpoint.path for p in endpoint.params) else ""


def _besides(endpoint: Endpoint) -> list[str]:
    found = []
    if endpoint.each:
        text = f"once with each `{endpoint.each.param}`: {', '.join(endpoint.each.values)}"
        found.append(text + (f" (it becomes column `{endpoint.each.column}`)" if endpoint.each.column else ""))
    found += [f"always with `{name}={value}`" for name, value in endpoint.fixed]
    if endpoint.rows_at:
        found.append(f"rows are the elements of the list `{endpoint.rows_at}` in each answered row")
    if endpoint.single:
        found.append("the answer is one object, the row")
    if endpoint.omits_nulls:
        found.append("fields that are null are left out")
    if endpoint.earlier:
        found.append("rows that belong to an earlier day come along and are left to that day")
    if endpoint.margin:
        found.append(f"{duration(endpoint.margin)} beyond both ends, and rows of other days left out")
    if endpoint.empty_is_404:
        found.append("404 means no rows here, not a wrong request")
    if endpoint.per_minute:
        found.append(f"at most {endpoint.per_minute} requests a minute on this path")
    return found


def longest_window(endpoint: Endpoint) -> str:
    """The longest window of one call and where that is known from; nothing where a call has no length to choose."""
    if endpoint.cap is None or endpoint.style not in (Style.RANGE, Style.DATES, Style.SPAN):
        return ""
    cap, stated = duration(endpoint.cap), endpoint.cap_source
    if stated in _CAP_SOURCES:
        return f"{cap} ({_CAP_SOURCES[stated]})"
    if stated.startswith("ours: "):
        return f"{cap} (ours: {stated.removeprefix('ours: ')})"
    if stated.startswith("inferred"):
        why = stated.removeprefix("inferred").strip(" :?")
        return f"{cap} {DOUBT} (inferred{f' {why}' if why.startswith('from') else f': {why}' if why else ''})"
    return f"not known {DOUBT}: begins with {cap}, and a refusal that names a shorter one is learnt from"


def published(dataset: Dataset) -> str:
    """When rows appear at the source."""
    return f"{dataset.published}{doubtful(dataset, 'published')}" if dataset.published else ""


def due(dataset: Dataset) -> str:
    """When a period, day, window or list is due, late and missing (domain.md 2.3)."""
    lag, rule = dataset.lag, dataset.completeness.rule
    end = {
        Rule.PERIODS: "the period's end",
        Rule.DAILY: "the day's end",
        Rule.EVENTS: "the day's end",
        Rule.SNAPSHOT: "the newest list",
    }[rule]
    first = f"{duration(lag.lag)} after {end}" if lag.lag else f"from {end} on"
    return f"{first}; late {duration(lag.grace)} and missing {duration(lag.missing)} after that"


def rows_a_day(dataset: Dataset) -> str:
    """A typical day; of a snapshot the length of its list."""
    if not dataset.rows_per_day:
        return f"not known{doubtful(dataset, 'rows_per_day')}"
    return f"about {dataset.rows_per_day:,}{doubtful(dataset, 'rows_per_day')}"


def partition(dataset: Dataset) -> str:
    """By what the rows are kept, and so fetched and replaced."""
    if dataset.grain is Grain.SNAPSHOT:
        return "none: a snapshot, each day's list kept"
    field = dataset.partition_field
    return f"the London day of `{field}`" if field != "settlementDate" else "the settlement date (a London day)"


def natural_key(dataset: Dataset) -> str:
    fallback = dict(dataset.unit_fallback)
    names = [f"`{k}`" + (f" (else `{fallback[k]}`)" if k in fallback else "") for k in dataset.key]
    nullable = [k for k in dataset.nullable_key if k in dataset.key]
    many = "may be null: nulls count as equal"
    return ", ".join(names) + (f"; {_listed(nullable)} {many}" if nullable else "")


def vintages(dataset: Dataset) -> str:
    """What says which of two rows of one key is the newer, and where the older one goes."""
    newest = "the row received last"
    if dataset.version:
        ranks = f" ({' < '.join(dataset.version_order)}, which removes it)" if dataset.version_order else ""
        newest = f"the row with the greatest {', then '.join(f'`{v}`' for v in dataset.version)}{ranks}"
    text = f"current is {newest}; what it supersedes goes to {dataset.table}_vintages"
    if "publishTime" in dataset.key:
        return f"every publication is kept, as publishTime is in the key; of repeats {text}"
    if dataset.settlement:
        return f"{text}; each settlement run makes a new one, and the source serves the latest only"
    return text


def complete(dataset: Dataset) -> str:
    """The rule that calls a day complete (domain.md 2.1)."""
    rule = dataset.completeness
    if rule.rule is Rule.DAILY:
        return f"at least one row each London day, asked when it has ended; {_doubtful(dataset)} make it doubtful"
    if rule.rule is Rule.SNAPSHOT:
        return "one list a day; one with less than 95 % of the rows of the one before is held until confirmed"
    if rule.rule is Rule.EVENTS:
        text = "every window of the day was answered, even with no rows"
        if rule.floor:
            text += f"; fewer than {rule.floor:,} {_count_noun(rule.floor)} a day is reported as suspicious"
        if dataset.fills_periods:
            text += "; a period without rows among periods with rows makes the day doubtful"
        return text + _counted(dataset)
    many = f"{rule.rows_per_period} rows" if rule.rows_per_period > 1 else "a row"
    text = f"each settlement period (46, 48 or 50 a day) has {many}"
    if rule.members:
        text += f" of every `{rule.member_column}` then in service ({len(rule.members)} known)"
    return text + (f", with {_listed(rule.values)} not null" if rule.values else "") + _counted(dataset)


def _doubtful(dataset: Dataset) -> str:
    """What makes a day of publications doubtful."""
    rule, found = dataset.completeness, ["fewer than the days around it"]
    if dataset.counts_publications and rule.publications > 1:
        found.append(f"fewer publications than those and the {rule.publications} a day that are declared")
    if dataset.counts_publications and rule.horizon:
        found.append(f"a publication of fewer than {rule.horizon} rows")
    if dataset.covers_periods:
        each = f" of every `{rule.member_column}` ({len(rule.members)} known)" if rule.members else ""
        found.append(f"a settlement period without its rows{each} on any day")
    return ", ".join(found[:-1]) + (" or " if found[1:] else "") + found[-1]


def _counted(dataset: Dataset) -> str:
    if not dataset.counted_elsewhere:
        return ""
    return f"; rows other than Elexon's own count of a period (`/data-status/{dataset.oracle}`) make the day doubtful"


def complete_in_short(dataset: Dataset) -> str:
    """`complete` in a few words, for lists of many tables."""
    rule = dataset.completeness
    if rule.rule is Rule.PERIODS:
        each = f" and {_WORDS.get(rule.member_column, _plain(rule.member_column))}" if rule.members else ""
        return f"{rule.rows_per_period} a period{each}"
    return {Rule.DAILY: "1 a day", Rule.EVENTS: "all windows answered", Rule.SNAPSHOT: "1 list a day"}[rule.rule]


def fresh(limits: Freshness, lag: timedelta) -> str:
    """The age limits of the newest value (domain.md 8.3)."""
    if not limits.judged:
        return "not judged: nothing says when the next value is due"
    warn, fail = duration(limits.warn), duration(limits.fail)
    if not limits.column:
        return f"the last answer, with rows or without, is at most {warn} old (warning), {fail} (failure)"
    if limits.column == "startTime":  # the period's start: its row can only come after its end and the lag
        wait = duration(_HALF_HOUR + lag)
        return f"a new `startTime` comes within {wait}, and is at most {warn} late (warning), {fail} (failure)"
    return f"the newest `{limits.column}` is at most {warn} old (warning), {fail} (failure)"


def begins(dataset: Dataset) -> str:
    """The first day the source is known to have."""
    if dataset.grain is Grain.SNAPSHOT:
        return "the first day this home takes the list"
    return f"{dataset.first_day}{doubtful(dataset, 'first_day')}"


def meaning(column: Column) -> str:
    """Meaning and unit of a column, with its mark where they are inferred."""
    return f"{column.meaning} ({column.unit})" if column.unit else column.meaning


UI_FACTS = ("one row a", "source", "published", "rows a day", "partition", "natural key", "vintages", "complete")


def description(dataset: Dataset) -> str:
    """What the UI says of a table, Markdown: the columns are structured metadata beside it."""
    every = facts(dataset)
    lines = [f"* {label}: {every[label]}" for label in UI_FACTS if label in every]
    lines += [f"* {note}" for note in dataset.notes]
    if any(DOUBT in line for line in lines) or any(c.inferred for c in dataset.columns):
        lines += ["", DOUBTED]
    return "\n".join([dataset.description, "", *lines, "", LICENCE])


def _plain(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def _listed(names: Iterable[str]) -> str:
    marked = [f"`{n}`" for n in names]
    return " and ".join([", ".join(marked[:-1]), marked[-1]] if len(marked) > 1 else marked)


def _count_noun(n: int) -> str:
    return "row" if n == 1 else "rows"
