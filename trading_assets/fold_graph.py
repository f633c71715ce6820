"""The assets of a walk-forward fold, from forecaster to stress, and those over all folds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from math import ceil
from typing import Any

from trading_assets.asset_nodes import AssetNode, Reads, values_of
from trading_assets.features.windows import LOOKBACK_MONTHS
from trading_assets.periods import Axis, Periods, add_months
from trading_assets.strategy import FoldsSpec, Strategy

# Months of bars before a test window: a year of returns for textbook portfolios, the close before
# the first of them, and holidays.
BASELINE_MONTHS = 13

# Fields of a strategy's policy that try or measure and change no trained or traded number.
MEASURES = ("search", "ablation")
# Fields of its backtest that only say what else is done with what was traded.
REPORTED = ("stress_paths", "prop_firm", "cross_validation")


def fold_nodes(name: str, strategy: Strategy, periods: Periods) -> Iterator[AssetNode]:
    """Return the assets of one fold, in the order data flows.

    Parameters
    ----------
    name : str
        The strategy's.
    strategy : Strategy
        What is declared.
    periods : Periods
        Its folds, and the months and sessions of its data set.
    """
    fold = _Fold(name, strategy, periods)
    yield from _forecast_nodes(fold)
    yield from _policy_nodes(fold)
    yield from _backtest_nodes(fold)


@dataclass(frozen=True, slots=True)
class _Fold:
    """A strategy's fold: what its assets read, and the declared values they share."""

    name: str
    strategy: Strategy
    periods: Periods

    def key(self, asset: str) -> str:
        return f"{self.name}/{asset}"

    @property
    def forecasts(self) -> Reads:
        return Reads(self.key("forecasts"))

    @property
    def policies(self) -> tuple[Reads, ...]:
        return tuple(Reads(self.key(f"policy/{agent}")) for agent in self.strategy.policy.agents)

    @property
    def train_window(self) -> tuple[Reads, ...]:
        """What is learnt from: nothing of the test window."""
        reach = _reach(self.strategy.folds, self.periods, self.strategy.folds.train_months)
        return (reach.reads(self.key("features"), -1), reach.reads(self._bars, -1), self.actions)

    def both_windows(self, at_least_months: int = 0) -> tuple[Reads, ...]:
        """Train and test window; of bars more months before the latter, where asked for."""
        train_months = self.strategy.folds.train_months
        reach = _reach(self.strategy.folds, self.periods, train_months)
        of_bars = _reach(self.strategy.folds, self.periods, max(train_months, at_least_months))
        return (reach.reads(self.key("features"), 0), of_bars.reads(self._bars, 0), self.actions)

    @property
    def test_window(self) -> tuple[Reads, ...]:
        """The test window, and before it what its first decision looks back on."""
        looked_back = -ceil(BASELINE_MONTHS / self.periods.fold_months)
        features = Reads(self.key("features"), -1, 0)
        return (features, Reads(self._bars, looked_back, 0), self.actions)

    @property
    def actions(self) -> Reads:
        return Reads(f"{self.strategy.market_data}/corporate_actions")

    @property
    def _bars(self) -> str:
        return f"{self.strategy.market_data}/validated_bars"

    @property
    def forecast_values(self) -> dict[str, Any]:
        return values_of(self.strategy, "market_data", "features", "forecast", "folds")

    @property
    def traded_values(self) -> dict[str, Any]:
        backtest = self.strategy.backtest.model_dump(mode="json", exclude=set(REPORTED))
        traded_by = values_of(self.strategy, "costs", "risk", "rebalance")
        return {**self.forecast_values, **traded_by, "backtest": backtest}

    def policy_values(self, *left_out: str) -> dict[str, Any]:
        return self.strategy.policy.model_dump(mode="json", exclude={*left_out, *MEASURES})


def _forecast_nodes(fold: _Fold) -> Iterator[AssetNode]:
    forecaster, values = fold.key("forecaster"), fold.forecast_values
    yield AssetNode(forecaster, "forecast", Axis.FOLD, fold.train_window, values)
    read = (Reads(forecaster), *fold.both_windows())
    yield AssetNode(fold.key("forecasts"), "forecast", Axis.FOLD, read, values)


def _policy_nodes(fold: _Fold) -> Iterator[AssetNode]:
    shared = {**fold.traded_values, "policy": fold.policy_values("agents", "ensemble")}
    trained_on = (fold.forecasts, *fold.train_window)
    for agent, spec in fold.strategy.policy.agents.items():
        key, values = fold.key(f"policy/{agent}"), {**shared, "agent": spec.model_dump(mode="json")}
        yield AssetNode(key, "policy", Axis.FOLD, trained_on, values)
        if fold.strategy.policy.ablation == "forecasts":
            yield AssetNode(
                fold.key(f"forecast_ablation/{agent}"),
                "policy",
                Axis.FOLD,
                (Reads(key), fold.forecasts, *fold.both_windows()),
                values,
                code="forecast_ablation",
            )
    yield AssetNode(
        fold.key("references"), "policy", Axis.FOLD, trained_on, shared, code="references"
    )


def _backtest_nodes(fold: _Fold) -> Iterator[AssetNode]:
    values = {**fold.traded_values, "policy": fold.policy_values()}
    traded, forecaster = Reads(fold.key("backtest")), Reads(fold.key("forecaster"))
    read = (*fold.policies, Reads(fold.key("references")), fold.forecasts, *fold.test_window)
    yield AssetNode(traded.asset, "backtest", Axis.FOLD, read, values)
    # Both look at the train window too: it says what is usual. Textbook portfolios, and features of
    # other prices, look back further where it is short.
    yield AssetNode(
        fold.key("explanation"),
        "backtest",
        Axis.FOLD,
        (
            traded,
            *fold.policies,
            fold.forecasts,
            forecaster,
            *fold.both_windows(at_least_months=BASELINE_MONTHS),
        ),
        values,
        code="explanation",
    )
    yield AssetNode(
        fold.key("stress"),
        "backtest",
        Axis.FOLD,
        (
            traded,
            *fold.policies,
            forecaster,
            fold.forecasts,
            *fold.both_windows(at_least_months=LOOKBACK_MONTHS),
        ),
        {**values, "stress_paths": fold.strategy.backtest.stress_paths},
        code="stress",
    )


def cross_validation_nodes(name: str, strategy: Strategy, periods: Periods) -> Iterator[AssetNode]:
    """Return the cross-validation of all folds, where one is declared.

    Parameters
    ----------
    name : str
        The strategy's.
    strategy : Strategy
        What is declared.
    periods : Periods
        Its folds, and the months and sessions of its data set.
    """
    spec = strategy.backtest.cross_validation
    if spec is None:
        return
    data = strategy.market_data
    train = -(strategy.folds.train_months // periods.fold_months)
    looked_back = train - ceil(BASELINE_MONTHS / periods.fold_months)
    # Months that are not stored yet are done without: the folds that they belong to are left out.
    covering = partial(Reads, covers_folds=True, is_optional=True)
    backtest = values_of(strategy.backtest, "initial_equity_usd", "cross_validation")
    left_out = {"agents", "ensemble", *MEASURES}
    yield AssetNode(
        f"{name}/cross_validation",
        "backtest",
        Axis.NONE,
        (
            # Rows of the first sessions look back too.
            covering(f"{name}/features", train - 1),
            covering(f"{data}/validated_bars", looked_back),
            Reads(f"{data}/corporate_actions"),
        ),
        {
            **values_of(strategy, "market_data", "features", "forecast", "folds"),
            **values_of(strategy, "costs", "risk", "rebalance"),
            "backtest": backtest,
            "policy": strategy.policy.model_dump(mode="json", exclude=left_out),
        },
        code="cross_validation",
    )


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far before its test window a fold reads: whole folds, and the day where all begin."""

    start_offset: int
    not_before: date | None

    def reads(self, asset: str, end_offset: int) -> Reads:
        return Reads(asset, self.start_offset, end_offset, not_before=self.not_before)


def _reach(folds: FoldsSpec, periods: Periods, months: int) -> _Reach:
    """Return how far `months` before a test window reach, of anchored folds before the first."""
    n_folds = ceil(months / periods.fold_months)
    if folds.window == "rolling":
        return _Reach(-n_folds, None)
    anchor = add_months(folds.first, -n_folds * periods.fold_months)
    # Offsets are the same for every partition: the last fold there can be reaches the anchor.
    ends = [folds.last, periods.market.end, periods.calendar.last_day]
    last = min(day for day in ends if day is not None)
    longest = (last.year - anchor.year) * 12 + last.month - anchor.month
    return _Reach(-max(longest // periods.fold_months, n_folds), anchor)
