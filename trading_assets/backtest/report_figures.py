"""The report's figures as dictionaries of machine names, for JSON, tracking and the UI."""

import math
from collections.abc import Mapping, Sequence

from trading_assets.backtest.figures import Comparison, PortfolioFigures, as_json_value
from trading_assets.backtest.metrics import BARS_PER_YEAR
from trading_assets.backtest.verdict import Verdict


def figures_document(
    facts: Mapping[str, object],
    figures: Mapping[str, PortfolioFigures],
    comparisons: Mapping[str, Mapping[str, Comparison]],
    verdicts: Sequence[Verdict],
) -> dict[str, object]:
    """Return every number under a machine name with its unit, None where there is none.

    Parameters
    ----------
    facts : mapping of str to object
        What the figures rest on, such as the number of trials; JSON values.
    figures : mapping of str to PortfolioFigures
        By portfolio.
    comparisons : mapping of str to mapping of str to Comparison
        By ensemble and baseline.
    verdicts : sequence of Verdict
        Of several agents together, then of each.
    """
    content = {
        **facts,
        "bars_per_year": BARS_PER_YEAR,
        "portfolios": figures,
        "sharpe_annual_differences": comparisons,
        "verdicts": {
            verdict.agent: {
                "portfolio": verdict.portfolio,
                "benchmark": verdict.benchmark,
                "standing": verdict.standing,
                "is_complete": verdict.is_complete,
                "sentence": verdict.sentence,
            }
            for verdict in verdicts
        },
    }
    return {key: as_json_value(value) for key, value in sorted(content.items())}


def headline_figures(
    figures: Mapping[str, PortfolioFigures], verdicts: Sequence[Verdict]
) -> dict[str, float]:
    """Return the few defined figures of each verdict, `<agent>_<figure>` or `ensemble_<figure>`."""
    headline: dict[str, float] = {}
    for verdict in verdicts:
        mine = figures[verdict.portfolio]
        values = {
            "sharpe_annual": mine.sharpe_annual,
            "sharpe_annual_difference": verdict.comparison.difference,
            "difference_p_value": verdict.comparison.p_value,
            "deflated_sharpe": mine.deflated_sharpe,
            "cagr": mine.cagr,
            "max_drawdown": mine.max_drawdown,
        }
        for name, value in values.items():
            if math.isfinite(value):
                headline[f"{verdict.agent}_{name}"] = value
    return headline
