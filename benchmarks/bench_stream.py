"""How soon a message of the stream is queryable, and what a change of drains costs: real client, loopback broker.

    python -m benchmarks.bench_stream [--seconds 60] [--rate 5]      one drain
    python -m benchmarks.bench_stream --daemon [--drain 20]          the sensor's drains under the real daemon

Lag is from a message's enqueue to the commit of its rows. Rate 5 a second is about nine times the average of the real
stream (50,000 messages a day, MELS and MILS among them). Not here: rows a second of the loader.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path

from dagster import RunsFilter

from gbpm_dagster.demo.broker import Broker
from gbpm_dagster.orchestration import services
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.stream import Drain
from gbpm_dagster.orchestration.stream_job import JOB
from gbpm_dagster.settings import Settings

FIRST = datetime(2026, 7, 2, tzinfo=UTC)
FUELS = ("BIOMASS", "CCGT", "COAL", "INTFR", "NPSHYD", "NUCLEAR", "OTHER", "PS", "WIND")


@contextlib.contextmanager
def publishing(broker: Broker, rate: float) -> Iterator[None]:
    """Messages of FREQ (8 rows), FUELINST (a row a fuel) and MID in turn, `rate` a second, until the block ends."""
    ended = threading.Event()

    def publish() -> None:
        for number in count():
            if ended.wait(1 / rate):
                return
            code, rows = message(number)
            broker.publish(json.dumps(json.dumps(rows)).encode(), subject=code, message_id=f"{code}_{number}.json")

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def message(number: int) -> tuple[str, list[dict[str, object]]]:
    at = FIRST + timedelta(minutes=2 * number)
    if number % 3 == 0:
        stamps = [f"{at + timedelta(seconds=15 * n):%Y-%m-%dT%H:%M:%S.000Z}" for n in range(8)]
        return "FREQ", [{"dataset": "FREQ", "measurementTime": s, "frequency": 50.0} for s in stamps]
    told = {"publishTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "startTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    told |= {"settlementDate": f"{at:%Y-%m-%d}", "settlementPeriod": 1}
    if number % 3 == 1:
        return "FUELINST", [{"dataset": "FUELINST", **told, "fuelType": f, "generation": 100} for f in FUELS]
    del told["publishTime"]
    return "MID", [{"dataset": "MID", **told, "dataProvider": "APXMIDP", "price": 80.0, "volume": 1.0}]


def lags(runtime: Runtime) -> str:
    messages = runtime.lake.ledger.messages()
    lag = (messages["loaded_at"] - messages["enqueued_at"]).dt.total_milliseconds().sort() / 1000
    at = {f"p{q}": lag.quantile(q / 100, "higher") for q in (50, 95, 99)}
    shown = ", ".join(f"{name} {value:.1f} s" for name, value in at.items())
    return f"{messages.height} messages, {messages['written'].sum()} rows; lag {shown}, longest {lag.max():.1f} s"


def one_drain(environ: dict[str, str], broker: Broker, seconds: float, rate: float) -> None:
    runtime = Runtime(Settings.load(environ))
    used = time.process_time()
    with publishing(broker, rate):
        Drain(runtime, "benchmark").run(seconds)
    used = time.process_time() - used
    print(
        f"one drain of {seconds:.0f} s at {rate:g} messages a second: {lags(runtime)}; {used / seconds:.0%} of a core"
    )


def drains(environ: dict[str, str], broker: Broker, seconds: float, rate: float) -> None:
    settings = Settings.load(environ)
    runtime = Runtime(settings)
    with services.running(settings, environ), open_instance(settings) as instance, publishing(broker, rate):
        time.sleep(seconds)
        found = [r for r in instance.get_run_records(filters=RunsFilter(job_name=JOB)) if r.start_time]
    found.sort(key=lambda r: r.start_time or 0.0)
    gaps = [b.start_time - a.end_time for a, b in pairwise(found) if a.end_time and b.start_time]
    between = f"{min(gaps):.1f} to {max(gaps):.1f} s" if gaps else "no change"
    print(
        f"{len(found)} drains of {settings.iris_drain_s} s under the daemon: {lags(runtime)}; between two: {between}"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--daemon", action="store_true")
    parser.add_argument("--drain", type=int, default=20, help="IRIS_DRAIN_SECONDS, with --daemon")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, Broker() as broker:
        environ = {
            **{name: value for name, value in os.environ.items() if name == "PATH"},
            "GBPM_HOME": str(Path(folder) / "home"),
            "GBPM_STATE_DIR": str(Path(folder) / "state"),
            "GBPM_DATASETS": "bmrs_freq",
            "GBPM_HEAL": "false",
            "GBPM_PORT": "0",
            "IRIS_QUEUE": "iris",
            "IRIS_CONNECTION_STRING": broker.connection_string,
            "IRIS_DRAIN_SECONDS": str(asked.drain),
            "IRIS_MIN_FREE_GIB": "0",
        }
        (drains if asked.daemon else one_drain)(environ, broker, asked.seconds, asked.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
