"""The front door: every declaration found becomes part of one Dagster code location."""

from functools import cache
from pathlib import Path

import dagster as dg
from dagster.components import load_defs

import trading_assets.defs
from trading_assets.errors import UserError
from trading_assets.pipeline.component import market_data_definitions, strategy_definitions
from trading_assets.pipeline.refusal import Refusal
from trading_assets.pipeline.resources import resources
from trading_assets.pipeline.settings import Settings, read_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Return the packaged declarations and those of the user's own folders."""
    try:
        settings = read_settings()
        settings.declarations()
    except UserError as error:
        # Dagster's loader would bury the sentence under two hundred lines.
        raise Refusal(str(error)) from None
    return _definitions(settings)


@cache
def _definitions(settings: Settings) -> dg.Definitions:
    # One command of Dagster's asks for the definitions six times.
    packaged = load_defs(trading_assets.defs, project_root=Path(__file__).parent)
    return dg.Definitions.merge(
        packaged,
        *_own_definitions(settings),
        dg.Definitions(resources=resources(), executor=dg.in_process_executor),
    )


def _own_definitions(settings: Settings) -> list[dg.Definitions]:
    declarations = settings.declarations()
    own = [
        name
        for name, path in declarations.files.items()
        if path.parent.parent != Path(trading_assets.defs.__file__).parent
    ]
    return [
        market_data_definitions(name)
        if name in declarations.market_data
        else strategy_definitions(name)
        for name in own
    ]
