"""What the report says of where a portfolio's profit came from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from trading_assets.backtest.attribution.factor_regression import (
    ALPHA,
)
from trading_assets.backtest.attribution.profit_attribution import ProfitAttribution
from trading_assets.backtest.attribution.profit_parts import ProfitParts
from trading_assets.backtest.explanation.fold_explanation import deployed_portfolio
from trading_assets.backtest.explanation_chart import draw_bars
from trading_assets.backtest.page_parts import Drawing, Finding, Section
from trading_assets.backtest.report_attribution_tables import (
    factors_table,
    members_table,
    profit_table,
    regimes_table,
    sectors_table,
)
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.strategy import Strategy

_TITLE = "Where the profit came from"
# |t| above which an alpha is told from chance, at 5 %.
_LARGE_T = 1.96


def attribution_section(
    found: ProfitAttribution | None,
    folds: Sequence[FoldRecord],
    expected_folds: Sequence[str],
    strategy: Strategy,
) -> Section:
    """Return the section on profit; folds that lack a table are named.

    Parameters
    ----------
    found : ProfitAttribution, optional
        From `attribute_profit`.
    folds : sequence of FoldRecord
        In any order.
    expected_folds : sequence of str
        Keys of the folds that should exist.
    strategy : Strategy
        Its declaration.
    """
    portfolio = deployed_portfolio(strategy)
    expected = {*expected_folds, *(record.fold.key for record in folds)}
    if found is None:
        claim = f"Where {portfolio}'s profit came from cannot be said: no fold holds its tables."
        return Section(_TITLE, findings=[Finding("unknown", claim)])
    findings = [
        _profit_finding(found),
        *_alpha_findings(found),
        *_lacking(sorted(expected - {*found.folds}), "profit by symbol, side and cost"),
        *_lacking(
            sorted({*found.folds} - {*found.explained_folds}),
            "profit by member, regime, factor and sector",
        ),
    ]
    return Section(
        _TITLE,
        findings=findings,
        notes=_notes(found),
        tables=[
            profit_table(found.symbols, f"Profit of {portfolio} by symbol, USD"),
            profit_table(found.sides, "By side, USD"),
            *(regimes_table(name, *parts) for name, parts in found.regimes.items()),
            *([members_table(found.members)] if found.members else []),
            *([factors_table(found.factors)] if found.factors else []),
            *([sectors_table(found.active)] if found.active else []),
        ],
        drawings=[_drawing(found)],
    )


def attribution_figures(found: ProfitAttribution | None) -> dict[str, Any]:
    """Return every number of the section under machine names; empty where there is none."""
    if found is None:
        return {}
    return {
        "portfolio": found.portfolio,
        "folds": list(found.folds),
        "explained_folds": list(found.explained_folds),
        "net_usd": found.symbols.total_usd,
        "by_symbol": _net_by_name(found.symbols),
        "by_side": _net_by_name(found.sides),
        "by_cost": _net_by_name(found.costs),
        "by_regime": {name: _net_by_name(parts) for name, (parts, _) in found.regimes.items()},
        "by_member": dict(found.members),
        "factors": found.factors and _finite(asdict(found.factors)),
        "active_return": found.active and asdict(found.active),
    }


def _profit_finding(found: ProfitAttribution) -> Finding:
    parts = found.costs
    gained, net = parts.gain_usd[0], parts.total_usd
    cost = sum(parts.cost_usd)
    by_symbol = _net_by_name(found.symbols)
    best = max(by_symbol, key=lambda name: by_symbol[name])
    worst = min(by_symbol, key=lambda name: by_symbol[name])
    made = "made" if net >= 0.0 else "lost"
    return Finding(
        "none",
        f"{found.portfolio} {made} {abs(net):,.0f} USD over {len(found.folds)} folds.",
        f"Gains of {gained:,.0f} USD less costs of {cost:,.0f}; most from {best}"
        f" ({by_symbol[best]:,.0f}), least from {worst} ({by_symbol[worst]:,.0f}).",
    )


def _alpha_findings(found: ProfitAttribution) -> list[Finding]:
    fit = found.factors
    if fit is None:
        return []
    alpha, t = fit.coefficients[0], fit.t_values[0]
    names = ", ".join(name.replace("_", " ") for name in fit.names if name != ALPHA)
    evidence = (
        f"Alpha {round(1e4 * alpha, 2) + 0.0:.2f} bps a session, Newey-West t {t:.2f}, on"
        f" {fit.sessions} sessions; factors explain {100 * fit.r_squared:.0f} % of the variance."
    )
    if not abs(t) > _LARGE_T:
        claim = f"After {names} nothing is left that can be told from chance."
        return [Finding("undecided", claim, evidence)]
    if t > 0.0:
        return [Finding("beats", f"After {names} something is left.", evidence)]
    return [Finding("behind", f"After {names} a loss is left.", evidence)]


def _lacking(folds: Sequence[str], what: str) -> list[Finding]:
    if not folds:
        return []
    return [Finding("unknown", f"Folds without {what}: {', '.join(folds)}.")]


def _drawing(found: ProfitAttribution) -> Drawing:
    sides = dict(zip(found.sides.names, found.sides.gain_usd, strict=True))
    shown = {f"gains {name}": usd for name, usd in sides.items() if usd != 0.0}
    costs = zip(found.costs.names, found.costs.cost_usd, strict=True)
    shown |= {name: -usd for name, usd in costs if usd != 0.0}
    shown["net profit"] = found.costs.total_usd
    return Drawing(
        draw_bars(
            list(shown),
            list(shown.values()),
            "USD",
            f"Gains, costs and net profit of {found.portfolio}",
        ),
        "Gains of long and short shares, what each kind of cost took of them, and what was left.",
    )


def _notes(found: ProfitAttribution) -> list[str]:
    return [
        "Every table adds up to the net profit, or says of what it is a sum. Each fold starts from"
        " the same cash, so profits of folds are added, not compounded.",
        "A side is that of the shares that gained, before and after a fill. Regimes are told at the"
        " close before a session: volatility by its terciles in the fold's train window.",
        "A member's part is what the shares that it wished for gained; what limits, lots and fills"
        " changed of the wishes is a part of its own.",
        f"Factors are built from {found.portfolio}'s own universe at no cost: its mean, the third"
        " that rose most from twelve months to one before less the last third, and the third that"
        " moved least over three months less the third that did most.",
        *(
            [
                "By sector: Brinson and Fachler's effects against equal weights, linked by Carino's"
                " method to the compounded active return; selection has what was traded within a"
                " session."
            ]
            if found.active
            else []
        ),
    ]


def _net_by_name(parts: ProfitParts) -> dict[str, float]:
    return dict(zip(parts.names, parts.net_usd, strict=True))


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with None for numbers that do not exist."""

    def known(value: Any) -> Any:  # noqa: ANN401  any JSON value
        if isinstance(value, float):
            return value if np.isfinite(value) else None
        return [known(each) for each in value] if isinstance(value, tuple) else value

    return {name: known(value) for name, value in values.items()}
