"""Explanations of several folds put together: what moves decisions on average, and what for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from trading_assets.backtest.explanation.fold_explanation import FORECASTER, FoldExplanation
from trading_assets.backtest.steady_groups import sum_groups

# Half the width of a normal variable's 95 % interval, in deviations.
_HALF_WIDTH = 1.96


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost without an input: the mean over folds with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class ExplanationSummary:
    """What moved a portfolio and forecasts over the folds that are explained.

    Attributes
    ----------
    portfolio : str
        Whose decisions.
    folds : tuple of str
        Folds that are explained, ascending.
    moves : DataFrame
        Of each input (`kind`, `input`, `is_own`) the mean absolute weight `moved` that it adds to a
        target, largest first.
    forecast_moves : DataFrame
        Of each feature (`input`) the mean absolute `log_odds` and `scaled_return` that it adds.
    ages : DataFrame
        The same by `age_bars`.
    losses : mapping of (of, level, input, measure) to Loss
        What portfolio and forecaster lost without.
    reasons : DataFrame
        Rows of the table `reasons`, with their `fold`.
    """

    portfolio: str
    folds: tuple[str, ...]
    moves: pl.DataFrame
    forecast_moves: pl.DataFrame
    ages: pl.DataFrame
    losses: Mapping[tuple[str, str, str, str], Loss]
    reasons: pl.DataFrame


def summarise(
    portfolio: str, explanations: Mapping[str, FoldExplanation]
) -> ExplanationSummary | None:
    """Return the mean over folds of what moved a portfolio and forecasts; None without a fold.

    Parameters
    ----------
    portfolio : str
        Whose decisions.
    explanations : mapping of str to FoldExplanation
        By fold.
    """
    if not explanations:
        return None
    folds = tuple(sorted(explanations))
    tables = {
        name: [explanations[fold].tables[name].with_columns(fold=pl.lit(fold)) for fold in folds]
        for name in explanations[folds[0]].tables
    }
    forecasts = pl.concat(tables["forecast_attributions"])
    return ExplanationSummary(
        portfolio=portfolio,
        folds=folds,
        moves=_mean_moves(pl.concat(tables["action_attributions"]), portfolio),
        forecast_moves=_forecast_moves(forecasts, "feature").sort(
            "log_odds", "input", descending=[True, False]
        ),
        ages=_forecast_moves(forecasts, "age_bars")
        .with_columns(age_bars=pl.col("input").cast(pl.Int64))
        .sort("age_bars"),
        losses=_mean_losses(pl.concat(tables["importances"]), portfolio),
        reasons=pl.concat(tables["reasons"]),
    )


def _mean_moves(actions: pl.DataFrame, portfolio: str) -> pl.DataFrame:
    own = actions.filter(pl.col("portfolio") == portfolio)
    targets = ["fold", "session", "symbol"]
    n_targets = own.select(targets).n_unique()
    is_own = pl.col("of_symbol").is_in([""]) | (pl.col("of_symbol") == pl.col("symbol"))
    inputs, contribution = ["kind", "input", "is_own"], pl.col("contribution")
    by_target = sum_groups(
        own.with_columns(is_own=is_own), [*targets, *inputs], {"contribution": contribution}
    )
    moved = sum_groups(by_target, inputs, {"moved": contribution.abs() / max(n_targets, 1)})
    return moved.sort("moved", *inputs, descending=[True, False, False, True])


def _forecast_moves(forecasts: pl.DataFrame, grouping: str) -> pl.DataFrame:
    n_rows = forecasts.select("fold", "session", "symbol").n_unique()
    own = forecasts.filter(pl.col("grouping") == grouping)
    values = {n: pl.col(n).abs() / max(n_rows, 1) for n in ("log_odds", "scaled_return")}
    return sum_groups(own, ["input"], values)


def _mean_losses(
    importances: pl.DataFrame, portfolio: str
) -> dict[tuple[str, str, str, str], Loss]:
    own = importances.filter(pl.col("of").is_in([portfolio, FORECASTER]))
    keys = ("of", "level", "input", "measure")
    found: dict[tuple[str, str, str, str], Loss] = {}
    for key, rows in own.group_by(*keys, maintain_order=True):
        of, level, name, measure = (str(part) for part in key)
        # Test windows do not overlap: errors of folds are independent.
        error = math.sqrt(float((rows["error"] ** 2).sum())) / len(rows)
        mean = float(rows["mean"].to_numpy().mean())
        found[of, level, name, measure] = Loss(
            mean, mean - _HALF_WIDTH * error, mean + _HALF_WIDTH * error
        )
    return found
