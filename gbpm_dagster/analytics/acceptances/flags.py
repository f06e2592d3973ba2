"""What is said of a priced row: is it paid, why has it no full price, and the label that old queries filter by.

Belongs here: the rules of domain.md 4.7 and 4.8 as expressions. Not here: the volumes they judge (pricing).

The thresholds are conventions of the legacy system, kept for its users' queries; no industry rule is known for them.
"""

from __future__ import annotations

import polars as pl

SMALL_MWH = 0.001
OUTLIER_GBP_PER_MWH = 1000.0
PRICED_SHARE = 0.99

SO_TEST, UNMATCHED, LOW_VOLUME, PRICE_OUTLIER, VALID = "SO_Test", "Unmatched", "Low_Volume", "Price_Outlier", "Valid"
FLAGS = (SO_TEST, UNMATCHED, LOW_VOLUME, PRICE_OUTLIER, VALID)

NO_PN, NO_BOD, OUTSIDE_STACK = "no_pn", "no_bod", "outside_stack"
REASONS = (NO_PN, NO_BOD, OUTSIDE_STACK)


def unmatched_reason(has_pn: pl.Expr, has_bod: pl.Expr, gross_mwh: pl.Expr, residual_mwh: pl.Expr) -> pl.Expr:
    """Why the row is not fully priced, null if it is. gross_mwh: sum of |volume| over pairs and both sides."""
    asked = gross_mwh + residual_mwh
    return (
        pl.when(~has_pn)
        .then(pl.lit(NO_PN))
        .when(~has_bod)
        .then(pl.lit(NO_BOD))
        .when((asked >= SMALL_MWH) & (gross_mwh / asked < PRICED_SHARE))
        .then(pl.lit(OUTSIDE_STACK))
    )


def validation_flag(so_flag: pl.Expr, reason: pl.Expr, volume_mwh: pl.Expr, price: pl.Expr) -> pl.Expr:
    """The first rule that holds (domain.md 4.8).

    SO_Test is the legacy name of what was taken for system reasons: such actions are paid, and `reason` still says
    whether they are fully priced.
    """
    return (
        pl.when(so_flag.fill_null(value=False))
        .then(pl.lit(SO_TEST))
        .when(reason.is_not_null())
        .then(pl.lit(UNMATCHED))
        .when(volume_mwh.abs() < SMALL_MWH)
        .then(pl.lit(LOW_VOLUME))
        .when(price.abs() > OUTLIER_GBP_PER_MWH)
        .then(pl.lit(PRICE_OUTLIER))
        .otherwise(pl.lit(VALID))
    )


def is_payable(has_pn: pl.Expr, has_bod: pl.Expr, volume_mwh: pl.Expr) -> pl.Expr:
    """Has PN and BOD and a volume that counts; what revenue is summed over, whatever the label says."""
    return has_pn & has_bod & (volume_mwh.abs() >= SMALL_MWH).fill_null(value=False)
