"""A portfolio's track record over all folds, with every gap in it named.

Folds are chained: each starts again from cash, so returns are joined, equities are not. A fold that
a portfolio lacks, or has only part of, is left out and named; nothing is filled in.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.engine import BacktestTables
from trading_assets.backtest.explanation.fold_explanation import FoldExplanation
from trading_assets.backtest.fold_ablation import FoldAblation
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.metrics import Series
from trading_assets.backtest.trials import TrialSeries
from trading_assets.features.quality import FeatureQuality
from trading_assets.policy.reference_names import REFERENCES
from trading_assets.policy_specs import PolicySpec

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FoldRecord:
    """What one fold produced.

    Attributes
    ----------
    fold : Fold
        Its windows.
    tables : BacktestTables
        Tables of all portfolios of the fold.
    training : mapping of str to mapping of str to Scalar
        Facts about each training, by model or portfolio; shown as they are.
    features : FeatureQuality, optional
        What its features were worth on its training days.
    ablations : mapping of str to FoldAblation
        What agents earned with and without forecasts, by agent.
    absences : mapping of str to str
        Why portfolios were not traded, by name, as a clause.
    explanation : FoldExplanation, optional
        What moved its decisions and forecasts.
    stress : DataFrame, optional
        Table `stress`.
    """

    fold: Fold
    tables: BacktestTables
    training: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    features: FeatureQuality | None = None
    ablations: Mapping[str, FoldAblation] = field(default_factory=dict)
    absences: Mapping[str, str] = field(default_factory=dict)
    explanation: FoldExplanation | None = None
    stress: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A fold that a portfolio lacks, and why its figures do not cover it."""

    portfolio: str
    fold: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """Chained returns of one portfolio, one entry a session.

    Attributes
    ----------
    portfolio : str
        `agent/seed-n`, `agent/ensemble`, `ensemble` or the name of a baseline or reference.
    gaps : tuple of Gap
        Folds that are missing.
    sessions : datetime64[D] (T,)
        Sessions, ascending.
    folds : str (T,)
        Key of each session's fold.
    returns : float64 (T,)
        Net simple returns of equity.
    turnover, gross_weight : float64 (T,)
        As in table `equity`.
    gains_usd : float64 (T,)
        Price gains plus cash from corporate actions, before costs, USD.
    costs_usd : float64 (T,)
        Trading costs plus financing, USD.
    """

    portfolio: str
    gaps: tuple[Gap, ...]
    sessions: NDArray[np.datetime64]
    folds: NDArray[np.str_]
    returns: Series
    turnover: Series
    gross_weight: Series
    gains_usd: Series
    costs_usd: Series

    def of_fold(self, key: str) -> Series:
        """Return the returns of one fold; empty when it is missing."""
        return self.returns[self.folds == key]

    @property
    def series(self) -> TrialSeries:
        """Sessions and returns alone."""
        return TrialSeries(self.portfolio, self.sessions, self.returns)


def expected_portfolios(policy: PolicySpec) -> list[str]:
    """Return the portfolios that a complete fold holds: ensembles, seeds, baselines, references."""
    learned = ["ensemble"] if len(policy.agents) > 1 else []
    for agent, spec in sorted(policy.agents.items()):
        learned += [f"{agent}/ensemble", *(f"{agent}/seed-{seed}" for seed in range(spec.seeds))]
    return [*learned, *BASELINES, *REFERENCES]


def read_track_records(
    folds: Sequence[FoldRecord],
    expected_folds: Sequence[str],
    portfolios: Sequence[str],
    initial_equity_usd: float,
    left_out: Mapping[str, str] | None = None,
) -> dict[str, TrackRecord]:
    """Chain each portfolio's folds.

    Parameters
    ----------
    folds : sequence of FoldRecord
        What was produced, in any order.
    expected_folds : sequence of str
        Keys of the folds that should exist.
    portfolios : sequence of str
        Portfolios that each fold should hold.
    initial_equity_usd : float
        Equity before a fold's first session.
    left_out : mapping of str to str, optional
        Why folds are not among `folds`, by key; others were not backtested yet.

    Returns
    -------
    dict
        A record for every portfolio asked for, possibly empty.
    """
    gaps: dict[str, list[Gap]] = {portfolio: [] for portfolio in portfolios}
    parts: dict[str, list[pl.DataFrame]] = {portfolio: [] for portfolio in portfolios}
    produced = {record.fold.key: record for record in folds}
    for key in sorted({*expected_folds, *produced}):
        record = produced.get(key)
        sessions = None if record is None else _fold_sessions(record.tables.equity)
        for portfolio in portfolios:
            if record is None or sessions is None:
                reason = (left_out or {}).get(key, "the fold was not backtested")
                gaps[portfolio].append(Gap(portfolio, key, reason))
                continue
            part, reason = _read_fold(record, sessions, portfolio, initial_equity_usd)
            if reason:
                gaps[portfolio].append(Gap(portfolio, key, reason))
            else:
                parts[portfolio].append(part.with_columns(fold=pl.lit(key)))
    return {
        portfolio: _chain(portfolio, gaps[portfolio], parts[portfolio]) for portfolio in portfolios
    }


def describe_gaps(records: Mapping[str, TrackRecord]) -> list[str]:
    """Return one sentence for each fold and cause, naming the portfolios that lack it."""
    by_cause: dict[tuple[str, str], list[str]] = {}
    for record in records.values():
        for gap in record.gaps:
            by_cause.setdefault((gap.fold, gap.reason), []).append(record.portfolio)
    problems: list[str] = []
    for (fold, reason), portfolios in sorted(by_cause.items()):
        names = "every portfolio" if len(portfolios) == len(records) else ", ".join(portfolios)
        verb = "lack" if ", " in names else "lacks"
        problems.append(f"{names} {verb} fold {fold}: {reason}")
    return problems


def _read_fold(
    record: FoldRecord,
    sessions: pl.Series,
    portfolio: str,
    initial_equity_usd: float,
) -> tuple[pl.DataFrame, str]:
    equity = record.tables.equity
    mine = equity.filter(pl.col("portfolio") == portfolio).sort("session")
    if mine.is_empty():
        return mine, record.absences.get(portfolio, "the fold has no such portfolio")
    other = mine.filter(~pl.col("session").is_in(sessions.implode()))["session"]
    if len(other):
        shown = f"{len(other)} of its sessions are none of the fold's, {other[0]} the first"
        return mine, f"{shown}: its calendar is another one"
    if len(mine) != len(sessions):
        return mine, f"it has {len(mine)} of the fold's {len(sessions)} sessions"
    values = mine["equity_usd"]
    if values.null_count() or not bool((values.is_finite() & (values > 0)).all()):
        return mine, "its equity is not a positive number throughout"
    before = pl.col("equity_usd").shift(1).fill_null(initial_equity_usd)
    return (
        mine.select(
            "session",
            (pl.col("equity_usd") / before - 1).alias("return"),
            "turnover",
            "gross_weight",
            (pl.col("pnl_usd") + pl.col("dividends_usd")).alias("gains_usd"),
            (pl.col("costs_usd") + pl.col("financing_usd")).alias("costs_usd"),
        ),
        "",
    )


def _fold_sessions(equity: pl.DataFrame) -> pl.Series:
    """Return the sessions of a fold: those that most portfolios have, the longer of equal ones.

    One portfolio of another calendar is then the one that is left out.
    """
    by_portfolio = equity.group_by("portfolio").agg(pl.col("session").sort())
    calendars = by_portfolio["session"].to_list()
    commonest = Counter(tuple(own) for own in calendars)
    chosen = max(commonest, key=lambda own: (commonest[own], len(own), own))
    return pl.Series("session", list(chosen), dtype=pl.Date)


def _chain(portfolio: str, gaps: list[Gap], parts: list[pl.DataFrame]) -> TrackRecord:
    names = ("return", "turnover", "gross_weight", "gains_usd", "costs_usd")
    columns = {
        name: np.concatenate([np.empty(0), *(part[name].to_numpy() for part in parts)])
        for name in names
    }
    days = [np.empty(0, "datetime64[D]"), *(part["session"].to_numpy() for part in parts)]
    folds = [np.empty(0, np.str_), *(part["fold"].to_numpy().astype(np.str_) for part in parts)]
    return TrackRecord(
        portfolio=portfolio,
        gaps=tuple(gaps),
        sessions=np.concatenate(days).astype("datetime64[D]"),
        folds=np.concatenate(folds),
        returns=columns["return"],
        turnover=columns["turnover"],
        gross_weight=columns["gross_weight"],
        gains_usd=columns["gains_usd"],
        costs_usd=columns["costs_usd"],
    )
