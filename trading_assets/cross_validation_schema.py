"""The tables of a combinatorial purged cross-validation, declared as those of `schema` are."""

import polars as pl

from trading_assets.columns import Column, Table

CROSS_VALIDATION_TABLES: dict[str, Table] = {
    "cross_validated_returns": Table(
        (
            Column("portfolio", pl.String, "Policy that was fitted a split, or a baseline's name"),
            Column("path", pl.Int32, "Path, from 1; 0 of baselines, which are the same on all"),
            Column("session", pl.Date, "Session at whose close it was earned"),
            Column("group", pl.Int32, "Group of the session, from 1; each starts from cash"),
            Column("split", pl.Int32, "Split whose fit was traded, from 1; 0 of baselines"),
            Column("net_return", pl.Float64, "Simple net return of the session, fraction"),
        ),
        key=("portfolio", "path", "session"),
    ),
    "cross_validated_forecasts": Table(
        (
            Column("path", pl.Int32, "Path, from 1"),
            Column("rows", pl.Int64, "Forecasts with a label on the path"),
            Column("log_loss", pl.Float64, "Mean log-loss of the forecaster, nats"),
            Column(
                "log_loss_of_shares", pl.Float64, "That of each split's train class shares, nats"
            ),
            Column("ic", pl.Float64, "Pearson's information coefficient, null where undefined"),
            Column("rank_ic", pl.Float64, "Spearman's, null where undefined"),
        ),
        key=("path",),
    ),
}
