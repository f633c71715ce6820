"""Figures as the text of table cells: signs, percentages, intervals and marks."""

import math
from html import escape

from trading_assets.backtest.figures import Comparison, PortfolioFigures

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
MARK = "\N{DAGGER}"


def number(value: float, digits: int = 2) -> str:
    """Return a number with a true minus sign, or a dash where there is none."""
    if not math.isfinite(value):
        return DASH
    text = f"{value:,.{digits}f}"
    # A rounded zero has no sign.
    is_zero = not any(digit in text for digit in "123456789")
    return text.lstrip("-") if is_zero else text.replace("-", MINUS)


def percent(value: float, digits: int = 1) -> str:
    """Return a fraction as a percentage."""
    return f"{number(100.0 * value, digits)} %" if math.isfinite(value) else DASH


def with_interval(value: str, low: str, high: str) -> str:
    """Return a figure with its interval in small print, as markup."""
    if DASH in (low, high):
        return value
    return f'{value}<span class="interval">{low} to {high}</span>'


def portfolio_row(name: str, figures: PortfolioFigures) -> list[str]:
    """Return a portfolio's cells of the table of figures, in the order of `METRIC_HEADER`."""
    growth = with_interval(
        percent(figures.cagr), percent(figures.cagr_low), percent(figures.cagr_high)
    )
    sharpe = with_interval(
        number(figures.sharpe_annual),
        number(figures.sharpe_annual_low),
        number(figures.sharpe_annual_high),
    )
    return [
        f"{escape(name)}{mark_of(figures)}",
        sharpe,
        growth,
        percent(figures.volatility_annual),
        percent(figures.max_drawdown),
        number(figures.max_drawdown_bars, 0),
        number(figures.sortino_annual),
        number(figures.calmar),
        _loss(figures.value_at_risk_95, figures.conditional_value_at_risk_95),
        _loss(figures.value_at_risk_99, figures.conditional_value_at_risk_99),
        number(figures.probabilistic_sharpe),
        number(figures.deflated_sharpe),
        number(figures.minimum_track_record_bars, 0),
    ]


def _loss(value_at_risk: float, conditional: float) -> str:
    """Return a loss that few bars exceed, with their mean loss in small print, as markup."""
    return f'{percent(value_at_risk, 2)}<span class="interval">{percent(conditional, 2)}</span>'


METRIC_HEADER = (
    "Portfolio",
    "Sharpe",
    "Growth a year",
    "Volatility",
    "Max draw\N{SOFT HYPHEN}down",
    "Longest, bars",
    "Sortino",
    "Calmar",
    "VaR, CVaR 95",
    "VaR, CVaR 99",
    "Proba\N{SOFT HYPHEN}bilistic",
    "Deflated",
    "Bars\N{NO-BREAK SPACE}to show\N{NO-BREAK SPACE}it",
)


def mark_of(*compared: PortfolioFigures) -> str:
    """Return the mark, as markup, of figures that leave a fold of any of these portfolios out."""
    is_complete = all(figures.is_complete for figures in compared)
    return "" if is_complete else f'<span class="mark">{MARK}</span>'


def comparison_row(portfolio: str, baseline: str, found: Comparison, mark: str = "") -> list[str]:
    """Return the cells of one paired comparison, in the order of `COMPARISON_HEADER`."""
    return [
        f"{escape(portfolio)} less {escape(baseline)}{mark}",
        number(found.sharpe_annual),
        number(found.benchmark_sharpe_annual),
        with_interval(number(found.difference), number(found.low), number(found.high)),
        number(found.p_value, 3),
        number(found.bars, 0),
    ]


COMPARISON_HEADER = ("Pair", "Sharpe", "Baseline", "Difference", "p, one-sided", "Bars")
