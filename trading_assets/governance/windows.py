"""Which sessions drift is measured between."""

from datetime import date

import polars as pl

from trading_assets.errors import DataError
from trading_assets.features.catalogue import feature_names
from trading_assets.governance.drift import DriftReport, measure_drift
from trading_assets.strategy import Strategy


def measure_recent_drift(features: pl.DataFrame, session: date, strategy: Strategy) -> DriftReport:
    """Compare the sessions before a session with the window a challenger would be trained on.

    Parameters
    ----------
    features : DataFrame
        Table features; rows of `session` and later are ignored.
    session : date
        Session that the report prepares.
    strategy : Strategy
        Features and window lengths.

    Raises
    ------
    DataError
        If there are fewer sessions than reference and recent window need.
    """
    spec = strategy.governance
    known = features.filter(pl.col("session") < session)
    days = known["session"].unique().sort().to_list()[-spec.challenger_sessions :]
    if len(days) < spec.challenger_sessions:
        msg = (
            f"drift before {session} has {len(days)} sessions; expected challenger_sessions"
            f" {spec.challenger_sessions}, so choose a later session"
        )
        raise DataError(msg)
    first, cut = days[0], days[-spec.drift_sessions]
    reference = known.filter((pl.col("session") >= first) & (pl.col("session") < cut))
    recent = known.filter(pl.col("session") >= cut)
    return measure_drift(reference, recent, feature_names(strategy.features), spec)
