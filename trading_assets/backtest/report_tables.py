"""The tables of the walk-forward report."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import polars as pl

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.cells import (
    COMPARISON_HEADER,
    DASH,
    MARK,
    METRIC_HEADER,
    comparison_row,
    mark_of,
    number,
    percent,
    portfolio_row,
)
from trading_assets.backtest.figures import Comparison, Judgement, PortfolioFigures
from trading_assets.backtest.page_parts import Table
from trading_assets.backtest.steady_groups import sum_groups
from trading_assets.backtest.track_record import FoldRecord, Scalar, TrackRecord
from trading_assets.policy.reference_names import REFERENCES

_LARGEST_HOLDINGS = 8
# Kinds of portfolios in the order of tables.
_ENSEMBLE, _REFERENCE, _BASELINE, _SEED = range(4)


def in_order(figures: Mapping[str, PortfolioFigures]) -> list[str]:
    """Return portfolios as tables list them: ensembles, references, baselines, then seeds.

    Baselines are in the order of their Sharpe ratios: cash counts as 0, and those without a ratio
    come last.
    """

    def place(name: str) -> tuple[int, float, str, int]:
        kind, agent, seed = _rank(name)
        if name not in BASELINES:
            return kind, 0.0, agent, seed
        ratio = 0.0 if name == "cash" else figures[name].sharpe_annual
        return kind, math.inf if math.isnan(ratio) else -ratio, agent, seed

    return sorted(figures, key=place)


def metrics_table(figures: Mapping[str, PortfolioFigures], judgement: Judgement) -> Table:
    """Return the figures of each portfolio in order, seeds paler."""
    names, muted = shown_order(figures)
    return Table(
        caption=(
            "After costs, annual on 252 bars, riskless rate 0; small print:"
            f" {100 * judgement.confidence:g} % intervals"
        ),
        header=METRIC_HEADER,
        rows=[portfolio_row(name, figures[name]) for name in names],
        muted=muted,
    )


def shown_order(figures: Mapping[str, PortfolioFigures]) -> tuple[list[str], frozenset[int]]:
    """Return portfolios in the order of tables, and the places of those printed paler."""
    ordered = in_order(figures)
    return ordered, frozenset(i for i, name in enumerate(ordered) if _rank(name)[0] == _SEED)


def comparison_table(
    comparisons: Mapping[str, Mapping[str, Comparison]],
    figures: Mapping[str, PortfolioFigures],
    judgement: Judgement,
) -> Table:
    """Return each ensemble's paired difference to each baseline, these in order."""
    baselines = [name for name in in_order(figures) if name in BASELINES]
    return Table(
        caption=(
            "Paired differences of annual Sharpe ratios, same sessions resampled together; small"
            f" print: {100 * judgement.confidence:g} % intervals"
        ),
        header=COMPARISON_HEADER,
        rows=[
            comparison_row(
                portfolio,
                baseline,
                by_baseline[baseline],
                mark_of(figures[portfolio], figures[baseline]),
            )
            for portfolio, by_baseline in comparisons.items()
            for baseline in baselines
        ],
    )


def holdings_table(
    folds: Sequence[FoldRecord], records: Mapping[str, TrackRecord], order: Sequence[str]
) -> Table:
    """Return how much each portfolio traded, what that cost, and its mean target weights."""
    shown = that_trade(order)
    trades = pl.concat([record.tables.trades for record in folds])
    weights = pl.concat([record.tables.weights for record in folds])
    own = weights.filter(pl.col("portfolio").is_in(shown)).with_columns(bars=1)
    sums = {"weight": pl.col("weight"), "bars": pl.col("bars")}
    held = sum_groups(own, ["portfolio", "symbol"], sums).select(
        "portfolio", "symbol", pl.col("weight") / pl.col("bars")
    )
    largest = sum_groups(held, ["symbol"], {"weight": pl.col("weight").abs()}).sort(
        "weight", "symbol", descending=[True, False]
    )
    symbols = sorted(largest["symbol"].head(_LARGEST_HOLDINGS).to_list())
    mean = {(name, symbol): weight for name, symbol, weight in held.iter_rows()}
    note = "" if largest.height <= _LARGEST_HOLDINGS else f" of the {_LARGEST_HOLDINGS} largest"
    return Table(
        caption=f"Trading over all folds, and mean target weights{note}",
        header=["Portfolio", "Trades", "Traded, million USD", "Cost, bps of it", *symbols],
        rows=[
            [
                escape(name) + (f'<span class="mark">{MARK}</span>' if records[name].gaps else ""),
                *_trading_cells(trades.filter(pl.col("portfolio") == name)),
                *(percent(mean.get((name, symbol), float("nan"))) for symbol in symbols),
            ]
            for name in shown
        ],
    )


def that_trade(order: Sequence[str]) -> list[str]:
    """Return the portfolios of an order but for cash and seeds."""
    return [name for name in order if _rank(name)[0] != _SEED and name != "cash"]


def training_table(folds: Sequence[FoldRecord]) -> Table:
    """Return what is known of each training, one row for each fold and model."""
    rows = [
        (f"{record.fold.key} {model}", facts)
        for record in sorted(folds, key=lambda record: record.fold.key)
        for model, facts in sorted(record.training.items())
    ]
    names = sorted({name for _, facts in rows for name in facts})
    return Table(
        caption="Training",
        header=["Fold and model", *(escape(name) for name in names)],
        rows=[
            [escape(label), *(_fact(facts.get(name)) for name in names)] for label, facts in rows
        ],
    )


def _rank(portfolio: str) -> tuple[int, str, int]:
    if portfolio in BASELINES:
        return _BASELINE, portfolio, 0
    if portfolio in REFERENCES:
        return _REFERENCE, portfolio, 0
    if portfolio == "ensemble":
        return _ENSEMBLE, "", 0
    agent, _, member = portfolio.partition("/")
    if member == "ensemble":
        return _ENSEMBLE, agent, 0
    return _SEED, agent, int(member.removeprefix("seed-"))


def _trading_cells(trades: pl.DataFrame) -> list[str]:
    traded = float((trades["quantity"].abs() * trades["price_usd"]).sum())
    cost = float(trades["cost_usd"].sum())
    rate = 1e4 * cost / traded if traded > 0 else float("nan")
    return [number(len(trades), 0), number(traded / 1e6, 1), number(rate, 2)]


def _fact(value: Scalar) -> str:
    if value is None:
        return DASH
    if isinstance(value, float):
        return f"{value:.6g}"
    return escape(str(value))
