"""Every table's columns, types and units, declared once.

The lake refuses a table whose columns differ; the Dagster column schema and the column dictionary
in `data/README.md` are derived from here. A table has further columns only where `is_open` says
so.
"""

import polars as pl

from trading_assets.columns import (
    COMPANY,
    EVENT_TIME,
    FEED,
    INGEST_TIME,
    KNOWLEDGE_TIME,
    PORTFOLIO,
    PRICES,
    REVISION,
    SESSION,
    SYMBOL,
    UTC_TIME,
    Column,
    Table,
)
from trading_assets.cross_validation_schema import CROSS_VALIDATION_TABLES
from trading_assets.errors import DataError
from trading_assets.explanation_schema import EXPLANATION_TABLES
from trading_assets.paper_schema import PAPER_TABLES
from trading_assets.replay_schema import REPLAY_TABLES


class SchemaError(DataError):
    """A table whose columns are not those declared."""


TABLES: dict[str, Table] = {
    "raw_bars": Table(
        (
            SYMBOL,
            SESSION,
            EVENT_TIME,
            KNOWLEDGE_TIME,
            INGEST_TIME,
            REVISION,
            FEED,
            Column("adjustment", pl.String, "`raw`: prices as traded"),
            Column("bar_length", pl.String, "Length of the bar"),
            *PRICES,
            Column(
                "vendor_adjusted_close", pl.Float64, "Vendor's adjusted close, USD, null if none"
            ),
        ),
        key=("symbol", "bar_length", "event_time", "feed", "adjustment", "revision"),
    ),
    "series": Table(
        (
            Column("series", pl.String, "Name of the declared series"),
            Column("symbol", pl.String, "Ticker, `*` where it is about no single one"),
            Column("session", pl.Date, "First session at whose close the value was published"),
            Column("event_time", UTC_TIME, "End of the period that the value is about, UTC"),
            KNOWLEDGE_TIME,
            INGEST_TIME,
            Column("revision", pl.Int32, "0 for a period's first vintage, then counting up"),
            Column("value", pl.Float64, "Value in the series' own unit"),
        ),
        key=("series", "symbol", "event_time", "session", "revision"),
    ),
    "corporate_actions": Table(
        (
            SYMBOL,
            Column("ex_date", pl.Date, "First session that trades without the entitlement"),
            Column("kind", pl.String, "`split`, `dividend`, `spin_off` or `rename`"),
            Column("split_ratio", pl.Float64, "New shares for one old share, 1 for a dividend"),
            Column("cash_usd", pl.Float64, "Cash, or worth spun off, for one old share, USD"),
            Column("new_symbol", pl.String, "Ticker from the ex date on, null unless renamed"),
            KNOWLEDGE_TIME,
            Column("origin", pl.String, "How the action became known"),
        ),
        key=("symbol", "ex_date", "kind", "knowledge_time"),
    ),
    "validated_bars": Table(
        (COMPANY, SESSION, EVENT_TIME, KNOWLEDGE_TIME, REVISION, FEED, *PRICES),
        key=("symbol", "event_time"),
    ),
    "quarantine": Table(
        (
            SYMBOL,
            SESSION,
            EVENT_TIME,
            REVISION,
            Column("rule", pl.String, "Rule that the row broke"),
            Column("value", pl.String, "Value that broke it"),
            Column("reason", pl.String, "One sentence for a person"),
        ),
        key=("symbol", "event_time", "revision", "rule"),
    ),
    "features": Table(
        (COMPANY, SESSION, EVENT_TIME, KNOWLEDGE_TIME),
        key=("symbol", "session"),
        is_open=True,
    ),
    "forecasts": Table(
        (
            SYMBOL,
            SESSION,
            KNOWLEDGE_TIME,
            Column("window", pl.String, "`train` (cross-fitted) or `test` (out of sample)"),
            Column("model", pl.String, "Part that predicted: `part-k` or `forecaster`"),
            Column("p_down", pl.Float32, "Probability of the lower class"),
            Column("p_flat", pl.Float32, "Probability of the middle class"),
            Column("p_up", pl.Float32, "Probability of the upper class"),
            Column("expected_return", pl.Float32, "Mean return over the horizon, fraction"),
            Column(
                "sigma_return", pl.Float32, "Standard deviation of that return, noise and error"
            ),
            Column("sigma_noise", pl.Float32, "Aleatoric part: of the return around its mean"),
            Column("sigma_expected_return", pl.Float32, "Epistemic part: error of that mean"),
            Column("interval_low", pl.Float32, "Lower end of the return's adaptive interval"),
            Column("interval_high", pl.Float32, "Upper end of the return's adaptive interval"),
            Column("prediction_set", pl.Int8, "Likely classes: 1 down + 2 flat + 4 up"),
            Column("abstains", pl.Boolean, "Whether that set does not settle on one class"),
        ),
        key=("symbol", "session"),
    ),
    "feature_quality": Table(
        (
            Column("feature", pl.String, "Feature judged, on the training days of a fold"),
            Column("coverage", pl.Float64, "Share of rows with a value"),
            Column("clipped_share", pl.Float64, "Share of values at +-5, null unless scaled"),
            Column("autocorrelation_1", pl.Float64, "Correlation with the session before"),
            Column("autocorrelation_horizon", pl.Float64, "Correlation a label's horizon before"),
            Column("ic_form", pl.String, "`cross_section`, or `time_series` for few symbols"),
            Column("rank_ic", pl.Float64, "Mean rank correlation with the label's return"),
            Column("t_newey_west", pl.Float64, "Rank-IC over its Newey-West standard error"),
            Column("ic_sessions", pl.Int64, "Sessions that the rank-IC is the mean of"),
            Column("lag_sessions", pl.Int64, "Lag of the Newey-West error, sessions"),
            Column("p_value", pl.Float64, "Probability that noise shows a larger |t|"),
            Column("p_holm", pl.Float64, "The same, corrected for all features judged (Holm)"),
            Column("cluster", pl.Int64, "Cluster of alike features, null without correlations"),
            Column("representative", pl.String, "Feature of its cluster with the largest |t|"),
        ),
        key=("feature",),
    ),
    "feature_correlations": Table(
        (
            Column("feature", pl.String, "Feature, in the order of `feature_quality`"),
            Column("other", pl.String, "The same feature or one after it"),
            Column("correlation", pl.Float64, "Spearman's, on the training days; may be null"),
        ),
        key=("feature", "other"),
    ),
    "weights": Table(
        (
            PORTFOLIO,
            SESSION,
            SYMBOL,
            Column("weight", pl.Float64, "Target decided at this session's close, after limits"),
        ),
        key=("portfolio", "session", "symbol"),
    ),
    "trades": Table(
        (
            PORTFOLIO,
            SESSION,
            SYMBOL,
            Column("quantity", pl.Float64, "Shares bought (+) or sold (-) at this session's open"),
            Column("price_usd", pl.Float64, "Price before costs, USD"),
            Column("cost_usd", pl.Float64, "Sum of the four costs of the trade, USD"),
            Column("fee_usd", pl.Float64, "Commission, USD"),
            Column("spread_usd", pl.Float64, "Half spread, USD"),
            Column("impact_usd", pl.Float64, "Square-root impact, USD"),
            Column("quadratic_usd", pl.Float64, "Quadratic cost of the change of weight, USD"),
        ),
        key=("portfolio", "session", "symbol"),
    ),
    "holdings": Table(
        (
            PORTFOLIO,
            SESSION,
            SYMBOL,
            Column("quantity", pl.Float64, "Shares held at this session's close"),
            Column("close_usd", pl.Float64, "Last known close, USD a share"),
            Column("value_usd", pl.Float64, "Quantity times close, USD"),
            Column(
                "gain_usd", pl.Float64, "Price gains and corporate cash of the session, no costs"
            ),
        ),
        key=("portfolio", "session", "symbol"),
    ),
    "equity": Table(
        (
            PORTFOLIO,
            SESSION,
            Column("equity_usd", pl.Float64, "Cash and positions at this session's close, USD"),
            Column("cash_usd", pl.Float64, "Cash at this session's close, USD"),
            Column("pnl_usd", pl.Float64, "Price gains and losses of the session, USD"),
            Column("dividends_usd", pl.Float64, "Cash from corporate actions, USD"),
            Column("costs_usd", pl.Float64, "Trading costs, USD"),
            Column("financing_usd", pl.Float64, "Sum of interest and borrow fees, USD"),
            Column("interest_usd", pl.Float64, "Interest on negative cash, USD"),
            Column("borrow_usd", pl.Float64, "Fees on short positions, USD"),
            Column("gross_weight", pl.Float64, "Sum of absolute position values over equity"),
            Column("turnover", pl.Float64, "Notional traded over equity before the trade"),
        ),
        key=("portfolio", "session"),
    ),
    "counted_trials": Table(
        (
            Column("place", pl.Int64, "Order in which trials were counted, from 0"),
            Column("strategy", pl.String, "Strategy that was tried"),
            Column("agent", pl.String, "Agent that was tried, or `ensemble`"),
            Column("declaration_digest", pl.String, "Digest of the values that it depends on"),
            Column("seeds", pl.Int64, "Independent trainings behind it"),
            Column("window", pl.String, "Window of its returns; null where none are known"),
            Column("session", pl.Date, "Exchange session of a return, or null"),
            Column("net_return", pl.Float64, "Net simple return, or null"),
        ),
        key=("place", "window", "session"),
    ),
    "ablation": Table(
        (
            Column("agent", pl.String, "Agent whose arms are compared"),
            Column("arm", pl.String, "`with` or `without` forecasts"),
            Column("seed", pl.Int64, "Seed of the training, the same in both arms"),
            SESSION,
            Column("net_return", pl.Float64, "Change of equity after costs, fraction of equity"),
        ),
        key=("agent", "arm", "seed", "session"),
    ),
    "stress": Table(
        (
            Column("scenario", pl.String, "What was other than recorded, or which bars are meant"),
            Column("level", pl.Float64, "How much of it, in the scenario's unit; 0 without one"),
            PORTFOLIO,
            Column("bars", pl.Int64, "Bars that count"),
            Column("sum_return", pl.Float64, "Sum of their net simple returns"),
            Column("sum_squared_return", pl.Float64, "Sum of the squares of these"),
            Column(
                "worst_drawdown", pl.Float64, "Largest loss from a peak, null of bars picked out"
            ),
            Column("gains_usd", pl.Float64, "Price gains and corporate cash before costs, USD"),
            Column("costs_usd", pl.Float64, "Trading costs and financing, USD"),
            Column("traded_usd", pl.Float64, "Notional bought and sold, USD"),
        ),
        key=("scenario", "level", "portfolio"),
    ),
    "drift": Table(
        (
            Column("feature", pl.String, "Feature compared"),
            Column("psi", pl.Float64, "Population stability index against the reference"),
            Column("ks", pl.Float64, "Kolmogorov-Smirnov distance"),
            Column("threshold_psi", pl.Float64, "Alarm level, calibrated on blocks"),
            Column("is_drifted", pl.Boolean, "Whether the index exceeds its alarm level"),
        ),
        key=("feature",),
    ),
    **EXPLANATION_TABLES,
    **CROSS_VALIDATION_TABLES,
    **PAPER_TABLES,
    **REPLAY_TABLES,
}


def column_problems(table: str, frame: pl.DataFrame) -> list[str]:
    """Return one sentence for each column that is missing, undeclared or of another type."""
    declared = TABLES[table]
    types = frame.schema
    missing = [column.name for column in declared.columns if column.name not in types]
    problems = [
        f"column {column.name} of table {table} was {types[column.name]}; expected {column.dtype}"
        for column in declared.columns
        if column.name in types and types[column.name] != column.dtype
    ]
    extra = [name for name in types if name not in declared.names]
    if missing:
        expected = ", ".join(declared.names)
        problems.append(f"table {table} lacks {', '.join(missing)}; expected {expected}")
    if extra and not declared.is_open:
        problems.append(f"table {table} has undeclared columns {', '.join(extra)}; expected none")
    return problems


def conform(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the declared column order, or refuse it.

    Parameters
    ----------
    table : str
        Name in `TABLES`.
    frame : DataFrame
        Rows whose declared columns have exactly the declared types.

    Raises
    ------
    SchemaError
        If a column is missing, unknown or of another type.
    """
    problems = column_problems(table, frame)
    if problems:
        raise SchemaError("; ".join(problems))
    names = TABLES[table].names
    ordered = [*names, *(name for name in frame.columns if name not in names)]
    return frame if ordered == frame.columns else frame.select(ordered)
