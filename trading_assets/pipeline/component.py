"""The two component types: a declaration becomes assets, checks, schedules and sensors."""

from typing import Any, Self

import dagster as dg
from pydantic import model_validator

from trading_assets.market_data import MarketDataSpec
from trading_assets.pipeline.ablation import ablation_assets
from trading_assets.pipeline.account_asset import account_control_assets, account_control_job
from trading_assets.pipeline.backtest import backtest_asset
from trading_assets.pipeline.bars import bars_assets
from trading_assets.pipeline.cross_validation import cross_validation_assets
from trading_assets.pipeline.declared import declared_market_data, declared_strategy
from trading_assets.pipeline.explanation import explanation_assets
from trading_assets.pipeline.features import features_assets
from trading_assets.pipeline.forecast import forecast_assets
from trading_assets.pipeline.governance import governance_assets
from trading_assets.pipeline.paper import paper_assets
from trading_assets.pipeline.policy import policy_assets
from trading_assets.pipeline.references import reference_assets
from trading_assets.pipeline.schedules import strategy_schedules
from trading_assets.pipeline.sensors import strategy_sensors
from trading_assets.pipeline.session_replay import session_replay_assets
from trading_assets.pipeline.settings import read_settings
from trading_assets.pipeline.shadow_session import shadow_session_assets
from trading_assets.pipeline.stress import stress_assets
from trading_assets.pipeline.walk_forward_report import walk_forward_report_asset
from trading_assets.strategy import Strategy


class MarketDataAttributes(MarketDataSpec):
    """What the YAML of a data set may say: also a universe that stands in a file."""

    @model_validator(mode="before")
    @classmethod
    def _a_named_file_is_read_elsewhere(cls, values: Any) -> Any:
        # `trading_assets.declarations` reads it, refuses what is wrong with it and knows the line.
        if isinstance(values, dict) and isinstance(values.get("universe"), str):
            return {**values, "universe": ["LISTED"]}
        return values


class MarketData(dg.Component):
    """A data set: bars fetched, stored and validated once, however many strategies use them."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def get_model_cls(cls) -> type[MarketDataAttributes]:
        """Return the model that the YAML's attributes follow."""
        return MarketDataAttributes

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> Self:
        """Take the folder's name; the values are read in the chosen profile."""
        return cls(context.path.name)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the data set's assets with their checks."""
        return market_data_definitions(self.name)


class TradingPipeline(dg.Component):
    """A strategy: everything from features to paper trading, over a named data set."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def get_model_cls(cls) -> type[Strategy]:
        """Return the model that the YAML's attributes follow."""
        return Strategy

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> Self:
        """Take the folder's name; the values are read in the chosen profile."""
        return cls(context.path.name)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the strategy's assets, checks, schedules and sensors."""
        return strategy_definitions(self.name)


def market_data_definitions(name: str) -> dg.Definitions:
    """Return the definitions of one declared data set."""
    declarations = read_settings().declarations()
    if name not in declarations.market_data:
        return dg.Definitions()
    return dg.Definitions(assets=bars_assets(declared_market_data(name, declarations)))


def strategy_definitions(name: str) -> dg.Definitions:
    """Return the definitions of one declared strategy."""
    declarations = read_settings().declarations()
    if name not in declarations.strategies:
        return dg.Definitions()
    declared = declared_strategy(name, declarations)
    return dg.Definitions(
        assets=[
            *features_assets(declared),
            *forecast_assets(declared),
            *policy_assets(declared),
            *ablation_assets(declared),
            *reference_assets(declared),
            backtest_asset(declared),
            *cross_validation_assets(declared),
            walk_forward_report_asset(declared),
            *explanation_assets(declared),
            *stress_assets(declared),
            *governance_assets(declared),
            *paper_assets(declared),
            *session_replay_assets(declared),
            *shadow_session_assets(declared),
            *account_control_assets(declared),
        ],
        jobs=[account_control_job(declared)],
        schedules=strategy_schedules(declared),
        sensors=strategy_sensors(declared),
    )
