"""The stage bars: as fetched, corporate actions, and bars that passed every rule."""

import dagster as dg

from trading_assets.pipeline.bars.corporate_actions import corporate_actions_asset
from trading_assets.pipeline.bars.raw_bars import raw_bars_asset
from trading_assets.pipeline.bars.validated_bars import validated_bars_asset
from trading_assets.pipeline.declared import Declared


def bars_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the assets of a data set."""
    return [
        raw_bars_asset(declared),
        corporate_actions_asset(declared),
        validated_bars_asset(declared),
    ]
