"""What `gbpm iris load` and `gbpm iris replay` do, and the stream's part of the nightly upkeep.

Belongs here: joining a home with archives, the loader and the drain's lock. Not here: the archives (iris), the order
of replaying (ingest.replay), printing (console).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from gbpm_dagster.catalogue.streams import STREAMED, code_of
from gbpm_dagster.console.args import UsageError, check_range, parse_day
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.stream import AlreadyDraining, Drain, Told
from gbpm_dagster.orchestration.stream_job import materialised, told_of
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.home import open_home


def load_once(log: Callable[[str], None]) -> dict[str, Any]:
    """`gbpm iris load`: load what has landed, and what lies in IRIS_FOLDER; the queue is not asked.

    Returns the shape of `gbpm iris drain`. Raises AlreadyDraining, CannotWork.
    """
    return told_of(_drain(Runtime(Settings.load()), "gbpm iris load", log))


def replay(
    first: str | None, last: str | None, codes: Sequence[str], *, raw: bool, log: Callable[[str], None]
) -> dict[str, Any]:
    """`gbpm iris replay`: messages of these UTC days once more, from the public archive or (raw) from our own.

    Without codes those of IRIS_CODES. Returns from, to, codes, source, messages, rows (the account), tables (rows
    written), seconds, loaded_by (who loads what was landed, if it is somebody else). Raises UsageError, CannotWork.
    """
    from gbpm_dagster.ingest.replay import from_packs, from_public
    from gbpm_dagster.iris.landing import Landing, LandingError
    from gbpm_dagster.iris.packs import Packs
    from gbpm_dagster.iris.public import ArchiveError, PublicArchive

    settings = Settings.load()
    begin, end = _range(first, last, settings)
    wanted = _codes(codes) or settings.iris_wanted
    runtime = Runtime(settings.model_copy(update={"iris_codes": tuple({*settings.iris_wanted, *wanted})}))
    landing = Landing(open_home(settings.home).landing)
    began, rows, tables, by = time.monotonic(), Counter[str](), Counter[str](), ""

    def load() -> None:
        nonlocal by
        try:
            done = _drain(runtime, "gbpm iris replay", log)
        except AlreadyDraining as error:
            by = str(error)
            return
        rows.update(done.rows)
        tables.update(done.tables)

    try:
        if raw:
            many = from_packs(Packs(landing), begin, end, wanted, load)
        else:
            archive = PublicArchive(settings.iris_archive_url)
            every = set(wanted) == set(settings.iris_wanted) and not codes
            many = from_public(archive, landing, begin, end, wanted, load, all_codes=every)
    except (ArchiveError, LandingError) as error:
        raise CannotWork(str(error)) from None
    return {
        "from": begin.isoformat(), "to": end.isoformat(), "codes": list(wanted),
        "source": "landing" if raw else settings.iris_archive_url, "messages": many, "rows": dict(rows),
        "tables": dict(tables), "seconds": round(time.monotonic() - began, 1), "loaded_by": by,
        "waiting": landing.backlog().files,
    }  # fmt: skip


def _drain(runtime: Runtime, what: str, log: Callable[[str], None]) -> Any:
    with open_instance(runtime.settings) as instance:

        def tell(told: Sequence[Told]) -> None:
            for one in told:
                instance.report_runless_asset_event(materialised(one))

        return Drain(runtime, what=what, tell=tell, log=log, receiving=False).run(None)


def _range(first: str | None, last: str | None, settings: Settings) -> tuple[date, date]:
    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    if begin is None:
        raise UsageError("which days? Give --from (and --to), UTC days of upload as yyyy-mm-dd")
    check_range(begin, end, settings.today())
    return begin, end or settings.today()


def _codes(names: Sequence[str]) -> tuple[str, ...]:
    found = [code_of(name) for name in names]
    for name, code in zip(names, found, strict=True):
        if not code:
            raise UsageError(f"the stream has no code {name!r}: it carries {', '.join(STREAMED)}")
    return tuple(dict.fromkeys(found))


def tidy_stream(runtime: Runtime) -> Iterator[str]:
    """The nightly upkeep of the stream, told in lines: packs, days that left the raw archive, days forgotten."""
    from gbpm_dagster.ingest.stream_upkeep import upkeep
    from gbpm_dagster.iris.landing import Landing

    settings = runtime.settings
    done = upkeep(
        runtime.lake,
        Landing(open_home(settings.home).landing),
        settings.clock(),
        keep=timedelta(hours=settings.iris_keep_h),
        raw_days=settings.iris_raw_days,
    )
    if done.packed or done.expired:
        old = f"{done.expired} days of a code, older than {settings.iris_raw_days} days, removed"
        yield f"{done.packed} raw messages of the stream packed, {old}"
    for table, days in done.forgotten.items():
        yield f"{table}: {len(days)} days forgotten that history has whole, the last {days[-1]}"
