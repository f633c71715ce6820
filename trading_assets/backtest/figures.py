"""Every number of the walk-forward report, from track records to one sorted dictionary."""

import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, is_dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest import metrics
from trading_assets.backtest.bootstrap import (
    cagr_interval,
    paired_sharpe_difference,
    sharpe_interval,
)
from trading_assets.backtest.statistics import (
    SharpeSample,
    deflated_sharpe,
    describe_sharpe,
    minimum_track_record_bars,
    probabilistic_sharpe,
)
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.bootstrap import optimal_block_bars, resampled_positions


@dataclass(frozen=True, slots=True)
class Judgement:
    """How figures are judged.

    Attributes
    ----------
    trials : int
        Configurations tried on this data, this one included; at least 1.
    trial_variance : float or None
        Variance over the clusters of trials of their Sharpe ratios of one bar, beyond what chance
        shows; None when it is not known.
    samples : int
        Bootstrap samples.
    confidence : float
        Coverage of intervals.
    seed : int
        Seed of the bootstrap.
    clusters : int or None
        Clusters of alike trials, at least 1; None counts each trial as one.
    """

    trials: int
    trial_variance: float | None
    samples: int
    confidence: float
    seed: int
    clusters: int | None = None

    def deflate(self, sample: SharpeSample) -> float:
        """Return the deflated Sharpe ratio of a series, N its clusters of trials.

        V is never below `1 / (T - 1)`, by which worthless trials of this length differ by luck
        alone: of a few clusters the sample variance may be near 0 although they are.
        """
        trials = self.trials if self.clusters is None else self.clusters
        if self.trial_variance is None or sample.bars < 2:
            return deflated_sharpe(sample, trials)
        return deflated_sharpe(sample, trials, self.trial_variance + 1.0 / (sample.bars - 1))


@dataclass(frozen=True, slots=True)
class PortfolioFigures:
    """Figures of one portfolio over all its folds; formulas in `metrics` and `statistics`.

    `nan` where the data define no number. Ratios and rates are annual on 252 bars, losses positive.
    """

    bars: int
    folds: int
    missing_folds: tuple[str, ...]
    growth_of_one_usd: float
    cagr: float
    cagr_low: float
    cagr_high: float
    volatility_annual: float
    sharpe_annual: float
    sharpe_annual_low: float
    sharpe_annual_high: float
    sortino_annual: float
    calmar: float
    max_drawdown: float
    max_drawdown_bars: float
    value_at_risk_95: float
    conditional_value_at_risk_95: float
    value_at_risk_99: float
    conditional_value_at_risk_99: float
    hit_rate: float
    turnover_annual: float
    exposure: float
    cost_share_of_gains: float
    costs_usd: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    minimum_track_record_bars: float

    @property
    def is_complete(self) -> bool:
        """Whether no fold is missing."""
        return not self.missing_folds


class Bootstrap:
    """One resampling scheme for all portfolios, so that their intervals can be compared.

    The mean block length is the longest that any portfolio's returns ask for.
    """

    def __init__(self, records: Mapping[str, TrackRecord], judgement: Judgement) -> None:
        lengths = [optimal_block_bars(record.returns) for record in records.values()]
        self.block_bars = max(lengths, default=1.0)
        self._judgement = judgement
        self._positions = lru_cache(maxsize=4)(self._draw)

    def positions(self, bars: int) -> NDArray[np.intp]:
        """Return the resampled positions of a series of `bars`, intp (samples, bars)."""
        return self._positions(bars)

    def _draw(self, bars: int) -> NDArray[np.intp]:
        rng = np.random.default_rng(self._judgement.seed)
        return resampled_positions(bars, self.block_bars, self._judgement.samples, rng)


def portfolio_figures(
    record: TrackRecord, bootstrap: Bootstrap, judgement: Judgement
) -> PortfolioFigures:
    """Return the figures of one portfolio.

    Parameters
    ----------
    record : TrackRecord
        Its chained returns; a record without bars gives `nan` throughout.
    bootstrap : Bootstrap
        Source of intervals.
    judgement : Judgement
        Trials and confidence.
    """
    returns, bars = record.returns, len(record.returns)
    sample = describe_sharpe(returns)
    positions = bootstrap.positions(bars) if bars else np.empty((0, 0), np.intp)
    growth = cagr_interval(returns, positions, judgement.confidence)
    sharpe = sharpe_interval(returns, positions, judgement.confidence)
    return PortfolioFigures(
        bars=bars,
        folds=len(set(record.folds.tolist())),
        missing_folds=tuple(gap.fold for gap in record.gaps),
        growth_of_one_usd=float(metrics.growth(returns)[-1]) if bars else math.nan,
        cagr=metrics.cagr(returns),
        cagr_low=growth.low,
        cagr_high=growth.high,
        volatility_annual=metrics.volatility_annual(returns),
        sharpe_annual=metrics.sharpe_annual(returns),
        sharpe_annual_low=sharpe.low,
        sharpe_annual_high=sharpe.high,
        sortino_annual=metrics.sortino_annual(returns),
        calmar=metrics.calmar(returns),
        max_drawdown=metrics.max_drawdown(returns),
        max_drawdown_bars=metrics.max_drawdown_bars(returns),
        value_at_risk_95=metrics.value_at_risk(returns),
        conditional_value_at_risk_95=metrics.conditional_value_at_risk(returns),
        value_at_risk_99=metrics.value_at_risk(returns, 0.99),
        conditional_value_at_risk_99=metrics.conditional_value_at_risk(returns, 0.99),
        hit_rate=metrics.hit_rate(returns),
        turnover_annual=metrics.turnover_annual(record.turnover),
        exposure=metrics.exposure(record.gross_weight),
        cost_share_of_gains=metrics.cost_share(record.gains_usd, record.costs_usd),
        costs_usd=float(record.costs_usd.sum()) if bars else math.nan,
        probabilistic_sharpe=probabilistic_sharpe(sample),
        deflated_sharpe=judgement.deflate(sample),
        minimum_track_record_bars=minimum_track_record_bars(
            sample, confidence=judgement.confidence
        ),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A portfolio against a benchmark over the sessions that both have.

    Attributes
    ----------
    bars : int
        Sessions compared.
    sharpe_annual, benchmark_sharpe_annual : float
        Ratios over these sessions; cash counts as 0.
    difference, low, high, p_value : float
        As in `PairedDifference`.
    """

    bars: int
    sharpe_annual: float
    benchmark_sharpe_annual: float
    difference: float
    low: float
    high: float
    p_value: float


def compare(
    record: TrackRecord, benchmark: TrackRecord, bootstrap: Bootstrap, judgement: Judgement
) -> Comparison:
    """Return how a portfolio's annual Sharpe ratio compares over the sessions that both have."""
    _, mine, other = np.intersect1d(record.sessions, benchmark.sessions, return_indices=True)
    bars = len(mine)
    if bars == 0:
        return Comparison(0, *[math.nan] * 6)
    returns = record.returns[mine]
    paired = paired_sharpe_difference(
        returns, benchmark.returns[other], bootstrap.positions(bars), judgement.confidence
    )
    sharpe = metrics.sharpe_annual(returns)
    return Comparison(bars, sharpe, sharpe - paired.difference, *astuple(paired))


def as_json_value(value: object) -> object:
    """Return `value` with dataclasses as dictionaries, tuples as lists, and no number as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): as_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json_value(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return as_json_value(asdict(value))
    return value
