"""A market cut into groups of sessions, with what every split of it is fitted and traded on."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.combinatorial_splits import CombinatorialSplits, Gap, split_sessions
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.errors import DataError
from trading_assets.features.catalogue import feature_names
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.dataset import LabelGrid, Panel, build_panel
from trading_assets.forecast.purging import count_embargoed
from trading_assets.forecast.tables import ForecastTables
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.references import reference_strategy
from trading_assets.policy.rollout import build_task
from trading_assets.schema import TABLES
from trading_assets.simulation.market import Market
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class DividedMarket:
    """What all splits have in common; nothing of it is fitted.

    Attributes
    ----------
    strategy : Strategy
        The declaration.
    task : TradingTask
        What references trade and see: the declared features, no forecasts, as forecasts of a train
        session would have to be made without it in every split.
    tables : ForecastTables
        Features, bars and actions; each value was known at its session's close.
    panel, labels : Panel, LabelGrid
        Features and labels of all rows.
    splits : CombinatorialSplits
        Groups and splits of the sessions.
    gap : Gap
        What is left out around test groups.
    """

    strategy: Strategy
    task: TradingTask
    tables: ForecastTables
    panel: Panel
    labels: LabelGrid
    splits: CombinatorialSplits
    gap: Gap

    @property
    def market(self) -> Market:
        """The market that is traded."""
        return self.task.market

    def group_rows(self, group: int) -> range:
        """Return the market rows at whose close the sessions of a group are decided.

        One row for each session: the session before it.
        """
        first = int(np.searchsorted(self.market.sessions, as_day(self.splits.groups[group][0])))
        return range(first - 1, first - 1 + len(self.splits.groups[group]))

    def panel_block(self, group: int) -> NDArray[np.int64]:
        """Return the positions on the panel of a group's sessions."""
        days = np.array(self.splits.groups[group], dtype="datetime64[D]")
        return np.flatnonzero(np.isin(self.panel.sessions, days))


def divide_market(
    tables: TrainingTables,
    days: tuple[date, date],
    strategy: Strategy,
    market_data: MarketDataSpec,
    spec: CrossValidationSpec,
) -> DividedMarket:
    """Return the market of some days in groups.

    The first group begins with the second session that the market has from the first day on, as
    what is traded in a session is decided at the close before.

    Parameters
    ----------
    tables : TrainingTables
        Bars, actions and features of the days; earlier ones fill windows and volatilities, later
        ones and forecasts are not looked at.
    days : (date, date)
        First and last day, both included.
    strategy : Strategy
        Costs, limits, observed features and forecast.
    market_data : MarketDataSpec
        Universe and source.
    spec : CrossValidationSpec
        Groups, and how many are tested.

    Raises
    ------
    DataError
        If there are too few sessions, or features are missing or not finite.
    """
    tables = tables.between(date.min, days[1])
    market = market_of(tables, market_data)
    first, last = (as_day(day) for day in days)
    is_within = (market.sessions >= first) & (market.sessions <= last)
    sessions: list[date] = market.sessions[is_within].astype("datetime64[D]").tolist()
    if len(sessions) < 2:
        msg = (
            f"{len(sessions)} sessions with bars lie from {days[0]} to {days[1]}; expected a group"
            " of them and the one before: materialize validated_bars of these days"
        )
        raise DataError(msg)
    horizon = strategy.forecast.horizon_bars
    embargo = count_embargoed(horizon, strategy.forecast.embargo_share, len(sessions) - 1)
    gap = Gap(horizon, embargo)
    known = ForecastTables(tables.features, tables.bars, tables.actions)
    panel = build_panel(known.features, feature_names(strategy.features))
    return DividedMarket(
        strategy=strategy,
        task=build_task(market, tables.features, TABLES["forecasts"].empty(), _plain(strategy)),
        tables=known,
        panel=panel,
        labels=label_panel(panel, known.bars, known.actions, strategy.forecast),
        splits=split_sessions(sessions[1:], spec, gap),
        gap=gap,
    )


def as_day(day: date) -> np.datetime64:
    """Return a day as numpy counts it."""
    return np.datetime64(day, "D")


def _plain(strategy: Strategy) -> Strategy:
    plain = reference_strategy(strategy)
    unforecast = {"uses_forecasts": False, "confidence_sizing": "none"}
    return plain.model_copy(update={"policy": plain.policy.model_copy(update=unforecast)})
