"""The ways to bring days of a table from the server to readable files: ours, a plain loop, dlt, and the bare cost.

Belongs here: the ways, each timed in a fresh process of its own (`python -m benchmarks.ways`, see `measure`). Not
here: how often, what is compared.

Each way is warmed by one day of MID, so that imports and thread pools are in nobody's time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as parquet

from benchmarks import made
from benchmarks.server import ROOT, targets
from gbpm_dagster.catalogue import get
from gbpm_dagster.catalogue.model import Kind
from gbpm_dagster.market.calendar import days

CONNECTIONS = 6
WARM_DAY = date(2023, 6, 1)
BARE_TYPE = {Kind.INTEGER: pl.Int64, Kind.NUMBER: pl.Float64, Kind.BOOLEAN: pl.Boolean}
BARE_CONVERSION: dict[Kind, Callable[[pl.Expr], pl.Expr]] = {
    Kind.DATE: lambda text: text.str.to_date("%Y-%m-%d"),
    Kind.INSTANT: lambda text: text.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC"),
}


@dataclass(frozen=True)
class Job:
    """Days of a table, the server that has them, and an empty folder to leave them in."""

    table: str
    first: date
    last: date
    url: str
    folder: Path

    @property
    def urls(self) -> list[str]:
        """The requests every way sends: the planner's."""
        asked = {"table": self.table, "first": str(self.first), "last": str(self.last)}
        return [self.url + target for target in targets(asked)]


Way = Callable[[Job], Callable[[], None]]
"""Prepares what is not to be timed and returns the work that is."""


def ours(job: Job) -> Callable[[], None]:
    """ElexonSource -> ingest -> Lake: windows checked, keys, vintages, evidence, one commit a month."""
    from gbpm_dagster.elexon.source import ElexonSource
    from gbpm_dagster.ingest.caps import CapStore
    from gbpm_dagster.ingest.run import ingest
    from gbpm_dagster.warehouse.lake import Lake

    def source() -> ElexonSource:
        return ElexonSource(
            base_url=job.url,
            max_requests_per_second=10_000,
            max_concurrency=CONNECTIONS,
            state_dir=job.folder / "state",
        )

    def work() -> None:
        lake = Lake(job.folder / "lake")
        report = ingest(
            get(job.table),
            days(job.first, job.last),
            source=source,
            warehouse=lake,
            caps=CapStore(job.folder / "caps.json"),
            concurrency=CONNECTIONS,
        )
        assert not report.failed, report.failed[0]

    return work


def plain(job: Job, connections: int = 1) -> Callable[[], None]:
    """requests + json + pandas.to_parquet, one request after the other; no check, no type, no key.

    A file for each request; for BOD, whose requests are hours, one for the day.
    """
    import pandas as pd
    import requests

    session, urls = requests.Session(), job.urls

    def page(url: str) -> pd.DataFrame:
        response = session.get(url)
        response.raise_for_status()
        return pd.DataFrame(json.loads(response.content)["data"])

    def work() -> None:
        with ThreadPoolExecutor(connections) as pool:
            pages: Iterator[pd.DataFrame] = map(page, urls) if connections == 1 else pool.map(page, urls)
            if job.table == "bmrs_bod":
                pages = iter([pd.concat(list(pages), ignore_index=True)])
            for i, frame in enumerate(pages):
                frame.to_parquet(job.folder / f"{i}.parquet")

    return work


def threads(job: Job) -> Callable[[], None]:
    """The plain loop with as many threads as we have connections."""
    return plain(job, CONNECTIONS)


def _dlt_pipeline(job: Job) -> Any:
    import dlt

    for name, value in (
        ("RUNTIME__LOG_LEVEL", "CRITICAL"),
        ("RUNTIME__DLTHUB_TELEMETRY", "false"),
        ("NORMALIZE__LOADER_FILE_FORMAT", "parquet"),
    ):
        os.environ[name] = value
    return dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(job.folder / "dlt"),
        destination=dlt.destinations.filesystem(bucket_url=str(job.folder)),
        dataset_name="lake",
    )


def dlt_pages(job: Job) -> Callable[[], None]:
    """dlt as its manual shows it: a resource that yields the pages as they come, to Parquet on the file system."""
    import dlt
    import requests

    pipeline, session, urls = _dlt_pipeline(job), requests.Session(), job.urls

    @dlt.resource(name=job.table, write_disposition="append")
    def pages() -> Iterator[Any]:
        for url in urls:
            response = session.get(url)
            response.raise_for_status()
            yield response.json()["data"]

    def work() -> None:
        pipeline.run(pages(), loader_file_format="parquet")

    return work


def dlt_arrow(job: Job) -> Callable[[], None]:
    """dlt fed with Arrow tables parsed by polars, so that it does not look at each row."""
    import dlt
    import requests

    from gbpm_dagster.warehouse.protocol import frame_schema

    pipeline, session, urls = _dlt_pipeline(job), requests.Session(), job.urls
    schema = frame_schema(get(job.table))

    @dlt.resource(name=job.table, write_disposition="append")
    def pages() -> Iterator[Any]:
        for url in urls:
            text = session.get(url).content
            yield pl.read_json(io.BytesIO(text[len(b'{"data":') : -1]), schema=schema).to_arrow()

    def work() -> None:
        pipeline.run(pages(), loader_file_format="parquet")

    return work


def bare(job: Job, workers: int = 1) -> Callable[[], None]:
    """Decision 22: the same JSON in memory, the fastest parser known -> Arrow -> zstd Parquet, and no checks.

    polars with a schema in which instants and dates are texts, converted afterwards: faster than with their types.
    """
    import requests

    dataset, session = get(job.table), requests.Session()
    bodies = [session.get(url).content for url in job.urls]
    schema = {c.name: BARE_TYPE.get(c.kind, pl.String) for c in dataset.columns}
    typed = [BARE_CONVERSION[c.kind](pl.col(c.name)) for c in dataset.columns if c.kind in BARE_CONVERSION]

    def parse(body: bytes) -> pl.DataFrame:
        return pl.read_json(io.BytesIO(body[len(b'{"data":') : -1]), schema=schema).with_columns(typed)

    def work() -> None:
        with ThreadPoolExecutor(workers) as pool:
            frames = list(map(parse, bodies) if workers == 1 else pool.map(parse, bodies))
        pl.concat(frames).write_parquet(job.folder / "bare.parquet", compression="zstd", compression_level=3)

    return work


def bare_threads(job: Job) -> Callable[[], None]:
    """The bare cost with a thread a processor."""
    return bare(job, os.cpu_count() or 1)


WAYS: dict[str, Way] = {
    "ours": ours,
    "plain loop": plain,
    "plain loop, 6 threads": threads,
    "dlt": dlt_pages,
    "dlt fed with Arrow": dlt_arrow,
    "bare": bare,
    "bare, a thread a processor": bare_threads,
}


@dataclass(frozen=True)
class Taken:
    """What one run took: wall and processor seconds, and the most memory the process ever held."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(way: str, job: Job) -> Taken:
    """Run that way once in a fresh process, in an empty folder under `job.folder`; raises if it failed."""
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        command = [sys.executable, "-m", "benchmarks.ways", way, job.table, str(job.first), str(job.last), job.url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": folder}
        done = subprocess.run(
            [*command, folder], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{way}, {job.table}: {done.stderr[-2000:]}")
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def _stored(folder: Path) -> int:
    """Rows of the Parquet files of the data left in that folder (Delta's and dlt's own tables left out)."""
    files = [
        file
        for file in folder.rglob("*.parquet")
        if not any(part.startswith(("_dlt", "_delta", "gbpm_", "dlt")) for part in file.relative_to(folder).parts)
    ]
    return sum(parquet.read_metadata(file).num_rows for file in files)


def _once(way: Way, job: Job) -> Taken:
    for name, first, last in (("warm", WARM_DAY, WARM_DAY), (job.table, job.first, job.last)):
        table = "bmrs_mid" if name == "warm" else job.table
        own = Job(table, first, last, job.url, job.folder / name)
        own.folder.mkdir()
        work = way(own)
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        # FREQ's answers repeat the sample on their edge; only we leave it out.
        least, found = made.rows_of(table, first, last), _stored(own.folder)
        assert least <= found <= least + len(own.urls), f"{found} rows are there, not {least}"
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(seconds, cpu, after.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("table", choices=made.TABLES)
    parser.add_argument("first", type=date.fromisoformat)
    parser.add_argument("last", type=date.fromisoformat)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        taken = _once(WAYS[given.way], Job(given.table, given.first, given.last, given.url, given.folder))
    print(json.dumps({name: getattr(taken, name) for name in Taken.__dataclass_fields__}))


if __name__ == "__main__":
    main()
