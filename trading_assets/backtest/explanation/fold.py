"""Explains one fold: what moved decisions and forecasts of its test window, and what for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from trading_assets.backtest.explanation.explanation_tables import (
    action_table,
    forecast_table,
    importance_table,
)
from trading_assets.backtest.explanation.input_importance import (
    InputImportance,
    measure_inputs,
    shuffled_inputs,
)
from trading_assets.backtest.explanation.trade_reasons import trade_reasons
from trading_assets.backtest.explanation.watched_decisions import (
    WatchedDecisions,
    watch_decisions,
)
from trading_assets.backtest.folds import Fold
from trading_assets.block_permutation import BLOCK_BARS, Importance, can_be_shuffled
from trading_assets.features.catalogue import feature_of
from trading_assets.forecast.forecast_attribution import (
    ForecastAttributions,
    attribute_forecasts,
)
from trading_assets.forecast.forecast_importance import measure_features
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.fractional import FRACTIONAL_COLUMN
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast.tables import ForecastTables
from trading_assets.integrated_gradients import COMPLETENESS_TOLERANCE
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.action_attribution import (
    ActionAttributions,
    attribute_actions,
    baseline_observation,
)
from trading_assets.policy.differentiable_policy import FORM_TOLERANCE
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.rollout import build_task
from trading_assets.schema import TABLES
from trading_assets.simulation.core import Floats
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy

FACTS_FILE = "explanation.json"
_RECORD_TOLERANCE = 1e-9
# Features whose log-loss is measured one by one, of those that move forecasts most.
_MOST_FEATURES = 12
