"""Two strategies held against each other over the sessions that both were tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.figures import Bootstrap, Comparison, Judgement, compare
from trading_assets.backtest.metrics import (
    cagr,
    max_drawdown,
    sharpe_annual,
    turnover_annual,
    volatility_annual,
)
from trading_assets.backtest.track_record import FoldRecord, TrackRecord, read_track_records
from trading_assets.errors import DataError
from trading_assets.strategy import Strategy

TRIALS = (
    "The comparison counts no trials: the more strategies were tried before these two, the likelier"
    " chance alone shows such a difference."
)
FIGURES = ("cagr", "volatility_annual", "sharpe_annual", "max_drawdown", "turnover_annual")


@dataclass(frozen=True, slots=True)
class StrategyRecord:
    """A strategy with its backtested folds."""

    name: str
    strategy: Strategy
    folds: Sequence[FoldRecord]

    @property
    def portfolio(self) -> str:
        """The portfolio that is deployed: all agents together, or the only one's ensemble."""
        agents = sorted(self.strategy.policy.agents)
        return "ensemble" if len(agents) > 1 else f"{agents[0]}/ensemble"


@dataclass(frozen=True, eq=False, slots=True)
class StrategyComparison:
    """Deployed portfolios of two strategies over common sessions.

    Attributes
    ----------
    names : tuple of str
        Strategy and deployed portfolio of each, `strategy (portfolio)`.
    figures : tuple of mapping of str to float
        `FIGURES` of each over the common sessions.
    found : Comparison
        The first against the second.
    correlation : float
        Of their returns over these sessions.
    records : tuple of TrackRecord
        Chained returns of each over the common sessions.
    left_out : tuple of str
        One sentence for each fold that one of them has and the other lacks, or has in part, and for
        each fold of its own that a portfolio lacks.
    """

    names: tuple[str, str]
    figures: tuple[Mapping[str, float], Mapping[str, float]]
    found: Comparison
    correlation: float
    records: tuple[TrackRecord, TrackRecord]
    left_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        one, other = self.names
        own = self.found
        evidence = (
            f"annual Sharpe {own.sharpe_annual:.2f} against {own.benchmark_sharpe_annual:.2f},"
            f" difference {own.difference:.2f} ({own.low:.2f} to {own.high:.2f},"
            f" p {own.p_value:.3f}), {own.bars} common sessions, correlation"
            f" {self.correlation:.2f}"
        )
        if own.low > 0:
            return f"{one} does better than {other}: {evidence}."
        if own.high < 0:
            return f"{one} does worse than {other}: {evidence}."
        return f"{one} and {other} cannot be told apart: {evidence}."


def compare_strategies(one: StrategyRecord, other: StrategyRecord) -> StrategyComparison:
    """Return how the deployed portfolios of two strategies compare.

    Parameters
    ----------
    one, other : StrategyRecord
        Strategies; intervals are by the first one's samples and confidence.

    Raises
    ------
    DataError
        If they have no session in common.
    """
    records = [_record_of(own) for own in (one, other)]
    common = np.intersect1d(records[0].sessions, records[1].sessions)
    if len(common) < 2:
        msg = (
            f"{one.name} and {other.name} have {len(common)} tested sessions in common; expected"
            " at least 2: backtest the same folds"
        )
        raise DataError(msg)
    first, second = (_over(record, common) for record in records)
    backtest = one.strategy.backtest
    judgement = Judgement(1, None, backtest.bootstrap_samples, backtest.confidence, 0)
    bootstrap = Bootstrap({"one": first, "other": second}, judgement)
    pair = np.array([first.returns, second.returns])
    varies = bool((np.ptp(pair, axis=1) > 0.0).all())
    return StrategyComparison(
        names=(f"{one.name} ({one.portfolio})", f"{other.name} ({other.portfolio})"),
        figures=(_figures(first), _figures(second)),
        found=compare(first, second, bootstrap, judgement),
        correlation=float(np.corrcoef(first.returns, second.returns).ravel()[1])
        if varies
        else float("nan"),
        records=(first, second),
        left_out=tuple(_left_out(one.name, other.name, records, common)),
    )


def _left_out(
    one: str, other: str, records: Sequence[TrackRecord], common: NDArray[np.datetime64]
) -> list[str]:
    """Return what is not compared; by sessions, as folds of two strategies may be cut otherwise."""
    first, second = records
    sentences: list[str] = []
    for name, record, lacking in ((one, first, other), (other, second, one)):
        sentences += [f"{name} lacks fold {gap.fold}: {gap.reason}." for gap in record.gaps]
        for fold in dict.fromkeys(record.folds.tolist()):
            sessions = record.sessions[record.folds == fold]
            shared = int(np.isin(sessions, common).sum())
            if not shared:
                sentences.append(f"{lacking} lacks fold {fold} of {name}, which is left out.")
            elif shared < len(sessions):
                sentences.append(
                    f"{lacking} has {shared} of the {len(sessions)} sessions of fold {fold} of"
                    f" {name}; the others are left out."
                )
    return sentences


def _record_of(own: StrategyRecord) -> TrackRecord:
    keys = [record.fold.key for record in own.folds]
    initial = own.strategy.backtest.initial_equity_usd
    name = own.portfolio
    return read_track_records(own.folds, keys, [name], initial)[name]


def _over(record: TrackRecord, sessions: Any) -> TrackRecord:  # noqa: ANN401
    at = np.searchsorted(record.sessions, sessions)
    names = ("sessions", "folds", "returns", "turnover", "gross_weight", "gains_usd", "costs_usd")
    return TrackRecord(record.portfolio, (), **{name: getattr(record, name)[at] for name in names})


def _figures(record: TrackRecord) -> dict[str, float]:
    returns = record.returns
    values = (
        cagr(returns),
        volatility_annual(returns),
        sharpe_annual(returns),
        max_drawdown(returns),
        turnover_annual(record.turnover),
    )
    return dict(zip(FIGURES, values, strict=True))
