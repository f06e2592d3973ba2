"""Our volumes and cash against Elexon's own, row by row and as the verdict of a day (domain.md 4.9).

Belongs here: joining, tolerances, outcomes, verdicts. Not here: reading tables (day), how a check is shown.

Rules of 4.9; what they leave open is a choice and stands beside its constant. Both sides are the newest vintages that
are stored: Elexon publishes the latest settlement calculation only.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gbpm_dagster.analytics.acceptances.segments import UNIT, with_unit
from gbpm_dagster.analytics.acceptances.stack import PAIRS

MATCH, MISMATCH, MISSING_OURS, MISSING_THEIRS = "match", "mismatch", "missing_ours", "missing_theirs"
OUTCOMES = (MATCH, MISMATCH, MISSING_OURS, MISSING_THEIRS)

TOLERANCE_MWH, TOLERANCE_SHARE = 0.01, 0.005
TOLERANCE_GBP = 1.0
RATIO = (0.90, 1.10)
ROWS_SHARE, SIZE_SHARE = 0.95, 0.98
MEDIAN_RATIO = (0.95, 1.05)

PAIR_FIELDS = {f"{'negative' if n < 0 else 'positive'}{abs(n)}": n for n in PAIRS}
_DAY_KEY = ("settlementDate", "settlementPeriod", UNIT, "side")
VOLUME_KEY = (*_DAY_KEY, "acceptanceNumber")
PAIR_KEY = (*VOLUME_KEY, "pair_id")
CASH_KEY = _DAY_KEY


@dataclass(frozen=True, slots=True)
class Verdict:
    """One day's comparison. sizes in MWh or GBP.

    rows: that either side has; outcomes: rows by outcome; published: rows of theirs; rows_share, size_share: matched
    share of rows and of |size| (theirs, where they have none ours), None without rows. median_ratio: of cash only.
    """

    rows: int
    published: int
    outcomes: dict[str, int]
    ours: float
    theirs: float
    rows_share: float | None
    size_share: float | None
    median_ratio: float | None = None

    @property
    def passed(self) -> bool:
        """Enough of rows and size match, and cash is not off by a common factor. Nothing published never passes."""
        if not self.published or self.rows_share is None or self.size_share is None:
            return False
        low, high = MEDIAN_RATIO
        steady = self.median_ratio is None or low <= self.median_ratio <= high
        return self.rows_share >= ROWS_SHARE and self.size_share >= SIZE_SHARE and steady


def volume_outcome(ours: pl.Expr, theirs: pl.Expr) -> pl.Expr:
    """match where they differ by at most 0.01 MWh or 0.5 % of theirs. A row that one side lacks is missing, unless
    the other's is within the tolerance of nothing (choice)."""
    allowed = pl.max_horizontal(pl.lit(TOLERANCE_MWH), TOLERANCE_SHARE * theirs.abs())
    return _outcome(ours, theirs, (ours - theirs).abs() <= allowed, TOLERANCE_MWH)


def cash_ratio(ours: pl.Expr, theirs: pl.Expr) -> pl.Expr:
    """theirs / ours, the loss multiplier that is implied; null where either is below one pound."""
    small = (ours.abs() < TOLERANCE_GBP) | (theirs.abs() < TOLERANCE_GBP)
    return pl.when(~small).then(theirs / ours)


def cash_outcome(ours: pl.Expr, theirs: pl.Expr) -> pl.Expr:
    """match where the ratio is within 0.90 to 1.10, of small amounts where they differ by at most one pound."""
    ratio = cash_ratio(ours, theirs)
    near = pl.when(ratio.is_null()).then((ours - theirs).abs() <= TOLERANCE_GBP).otherwise(ratio.is_between(*RATIO))
    return _outcome(ours, theirs, near, TOLERANCE_GBP)


def _outcome(ours: pl.Expr, theirs: pl.Expr, near: pl.Expr, nothing: float) -> pl.Expr:
    return (
        pl.when(ours.is_null())
        .then(pl.when(theirs.abs() <= nothing).then(pl.lit(MATCH)).otherwise(pl.lit(MISSING_OURS)))
        .when(theirs.is_null())
        .then(pl.when(ours.abs() <= nothing).then(pl.lit(MATCH)).otherwise(pl.lit(MISSING_THEIRS)))
        .when(near)
        .then(pl.lit(MATCH))
        .otherwise(pl.lit(MISMATCH))
    )


def volumes(rows: pl.DataFrame, boav: pl.DataFrame) -> pl.DataFrame:
    """VOLUME_KEY, ours, theirs (MWh), outcome, unmatched_reason: one row an acceptance, period and side.

    rows: bmrs_boalf_complete; boav: bmrs_boav, both of the same days. unmatched_reason is what our table says of the
    acceptance in that period, where it has a reason.
    """
    ours = with_unit(rows).filter(pl.col("side") != "NONE").group_by(VOLUME_KEY).agg(ours=pl.col("volume_mwh").sum())
    theirs = _theirs(boav, "totalVolumeAccepted").group_by(VOLUME_KEY).agg(theirs=pl.col("size").sum())
    found = _joined(ours, theirs, VOLUME_KEY, volume_outcome(pl.col("ours"), pl.col("theirs")))
    key = ["settlementDate", "settlementPeriod", UNIT, "acceptanceNumber"]
    why = with_unit(rows).drop_nulls("unmatched_reason").group_by(key).agg(pl.col("unmatched_reason").first())
    return found.join(why, on=key, how="left")


def pair_volumes(pairs: pl.DataFrame, boav: pl.DataFrame) -> pl.DataFrame:
    """PAIR_KEY, ours, theirs (MWh), outcome: the same by bid-offer pair. pairs: bmrs_boalf_complete_pairs."""
    ours = with_unit(pairs).group_by(PAIR_KEY).agg(ours=pl.col("volume_mwh").sum())
    columns = {f"pairVolumes.{name}": n for name, n in PAIR_FIELDS.items()}
    listed = pl.concat(
        [_theirs(boav, c).with_columns(pl.lit(n, pl.Int64).alias("pair_id")) for c, n in columns.items()]
    )
    theirs = listed.drop_nulls("size").group_by(PAIR_KEY).agg(theirs=pl.col("size").sum())
    return _joined(ours, theirs, PAIR_KEY, volume_outcome(pl.col("ours"), pl.col("theirs")))


def cashflows(rows: pl.DataFrame, ebocf: pl.DataFrame) -> pl.DataFrame:
    """CASH_KEY, ours (loss multiplier 1), theirs (GBP), outcome, ratio: one row a unit, period and side."""
    paid = with_unit(rows).filter(pl.col("side") != "NONE")
    ours = paid.group_by(CASH_KEY).agg(ours=(pl.col("cashflow_gbp") / pl.col("loss_multiplier")).sum())
    theirs = _theirs(ebocf, "totalCashflow").group_by(CASH_KEY).agg(theirs=pl.col("size").sum())
    found = _joined(ours, theirs, CASH_KEY, cash_outcome(pl.col("ours"), pl.col("theirs")))
    return found.with_columns(cash_ratio(pl.col("ours"), pl.col("theirs")).alias("ratio"))


def _theirs(published: pl.DataFrame, column: str) -> pl.DataFrame:
    found = with_unit(published).with_columns(
        pl.col("bidOffer").str.to_uppercase().alias("side"), pl.col(column).cast(pl.Float64).alias("size")
    )
    if "acceptanceId" in published.columns:
        found = found.with_columns(pl.col("acceptanceId").cast(pl.Int64).alias("acceptanceNumber"))
    return found


def _joined(ours: pl.DataFrame, theirs: pl.DataFrame, key: tuple[str, ...], outcome: pl.Expr) -> pl.DataFrame:
    return (
        ours.join(theirs, on=list(key), how="full", coalesce=True)
        .with_columns(outcome.alias("outcome"))
        .sort(key)
        .select(*key, "ours", "theirs", "outcome")
    )


def verdict(compared: pl.DataFrame, published: int) -> Verdict:
    """The day's verdict on a frame of `volumes`, `pair_volumes` or `cashflows`; published: rows of theirs."""
    counts = dict(compared.group_by("outcome").len().iter_rows())
    size = pl.coalesce(pl.col("theirs").abs(), pl.col("ours").abs()).fill_null(0.0)
    matched = pl.col("outcome") == MATCH
    total, good, ours, theirs = compared.select(
        size.sum().alias("total"),
        size.filter(matched).sum().alias("good"),
        pl.col("ours").sum(),
        pl.col("theirs").sum(),
    ).row(0)
    rows = compared.height
    ratio = compared.get_column("ratio").median() if "ratio" in compared.columns else None
    return Verdict(
        rows,
        published,
        {name: counts.get(name, 0) for name in OUTCOMES},
        ours,
        theirs,
        counts.get(MATCH, 0) / rows if rows else None,
        (good / total if total else 1.0) if rows else None,
        float(ratio) if isinstance(ratio, int | float) else None,
    )


def differences(compared: pl.DataFrame) -> pl.DataFrame:
    """Per unit: rows, rows that do not match, ours, theirs, difference; those with any first, the largest at the
    top."""
    return (
        compared.group_by(UNIT)
        .agg(
            pl.len().alias("rows"),
            (pl.col("outcome") != MATCH).sum().alias("unmatched"),
            pl.col("ours", "theirs").sum(),
        )
        .with_columns((pl.col("ours") - pl.col("theirs")).alias("difference"))
        .sort(pl.col("unmatched") > 0, pl.col("difference").abs(), UNIT, descending=[True, True, False])
    )
