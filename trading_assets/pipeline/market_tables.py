"""What a strategy reads of its data set: bars and actions, by company."""

import polars as pl

from trading_assets.pipeline.task import Task


def read_market(task: Task) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read validated bars and corporate actions as an execution needs them, by company.

    The one place where stored actions, which are under the ticker of the day, are put beside stored
    bars, which are not.

    Returns
    -------
    bars, actions : DataFrame
        Tables `validated_bars` and `corporate_actions`.

    Raises
    ------
    DataError
        If a partition is missing or refused, or was stored before a rename was known.
    """
    from trading_assets.bars.actions.companies import actions_by_company, require_by_company

    data = task.declared.trading.market_data
    bars, actions = task.read(f"{data}/validated_bars"), task.read(f"{data}/corporate_actions")
    require_by_company(bars, actions)
    return bars, actions_by_company(actions)
