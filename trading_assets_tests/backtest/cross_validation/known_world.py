"""World W1 on a real exchange calendar, with the tables that a cross-validation reads."""

from datetime import UTC, date, datetime

import polars as pl

from trading_assets.backtest.cross_validation.cross_validate import CrossValidation, cross_validate
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.world import WorldBars
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables
from trading_assets.schema import TABLES
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import Strategy

START = date(2018, 1, 2)
VOLATILITY = 0.01


def world_of(information_coefficient: float, seed: int = 7) -> MarketDataSpec:
    """Return the declaration of W1; without information it is W0."""
    return MarketDataSpec.model_validate(
        {
            "source": {
                "kind": "world",
                "seed": seed,
                "information_coefficient": information_coefficient,
                "volatility": VOLATILITY,
            },
            "universe": ["W1"],
            "calendar": "XNYS",
            "start": START,
        }
    )


def world_tables(market_data: MarketDataSpec, last: date) -> TrainingTables:
    """Return bars to a day, and features with the signal and the newest return."""
    source = market_data.source
    assert isinstance(source, WorldSource)
    later = datetime(last.year + 1, 12, 31, tzinfo=UTC)
    fetched = WorldBars(market_data, source, get_calendar("XNYS")).fetch(START, last, later)
    bars = fetched.rows.select(TABLES["validated_bars"].names)
    signal = fetched.series.select("symbol", "session", signal=pl.col("value").cast(pl.Float32))
    features = (
        bars.select("symbol", "session", "event_time", "knowledge_time")
        .join(signal, on=("symbol", "session"))
        .with_columns(
            pl.lit(VOLATILITY, pl.Float32).alias(VOLATILITY_COLUMN),
            log_return_1=(bars["close"] / bars["close"].shift(1)).log().cast(pl.Float32),
        )
    )
    return TrainingTables(bars, fetched.actions, features, TABLES["forecasts"].empty())


def world_strategy(**changes: object) -> Strategy:
    """Return a strategy that sees the signal, with the costs and aversion of `known_optimum`."""
    return Strategy.model_validate(
        {
            "market_data": "w1",
            "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 250},
            "features": {"names": ["signal", "log_return_1"]},
            "forecast": {"horizon_bars": 1, "window_bars": 8, "members": 1},
            "policy": {
                "agents": {"ppo": {"total_steps": 1_000}},
                "position": "long_short",
                "sizing": "constant_notional",
                "observed_features": ["signal"],
                "uses_forecasts": False,
                "risk_aversion": 25,
            },
            "folds": {"first": date(2020, 1, 1)},
            "risk": {"max_weight": 1.0, "max_gross": 1.0},
            **changes,
        }
    )


def validate_world(
    market_data: MarketDataSpec,
    last: date,
    spec: CrossValidationSpec | None = None,
    tables: TrainingTables | None = None,
    **changes: object,
) -> CrossValidation:
    """Return the cross-validation of a world from its start to a day."""
    return cross_validate(
        world_tables(market_data, last) if tables is None else tables,
        (START, last),
        world_strategy(**changes),
        market_data,
        spec or CrossValidationSpec(),
    )
