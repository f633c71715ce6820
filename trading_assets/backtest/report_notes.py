"""The sentences of the report: what was assumed, what is missing, how to read the figures."""

from trading_assets.backtest.figures import Judgement
from trading_assets.rebalance_specs import EveryBarSpec, NoTradeBandSpec, RebalanceSpec
from trading_assets.risk_specs import RiskSpec
from trading_assets.strategy import CostsSpec, FoldsSpec, Strategy


def assumption_notes(strategy: Strategy) -> list[str]:
    """Return what the backtest assumed, from the declaration."""
    policy, risk = strategy.policy, strategy.risk
    sizing = (
        "equity at the decision's close"
        if policy.sizing == "equity"
        else "a constant notional, the initial equity"
    )
    side = "Long only, without borrowing" if policy.position == "long_only" else "Long and short"
    return [
        _fill_note(strategy.costs),
        *_cost_notes(strategy.costs),
        f"{side}; weights are fractions of {sizing}, at most {risk.max_weight:g} in one symbol and"
        f" {risk.max_gross:g} in all, for baselines too.",
        *_sum_notes(risk),
        *_rebalance_notes(strategy.rebalance),
        f"Each fold starts from cash of {strategy.backtest.initial_equity_usd:,.0f} USD and trains"
        f" on {_train_window(strategy.folds)}, of which the last"
        f" {strategy.folds.validation_months} months only validate.",
        "Splits scale the shares; dividends are credited on the ex-date, untaxed. Cash earns"
        " nothing.",
    ]


def missing_notes(survivorship: str, judgement: Judgement, costs: CostsSpec) -> list[str]:
    """Return what the report does not know or does not contain."""
    variance = (
        "their spread is taken to be what worthless trials of this length show"
        if judgement.trial_variance is None
        else "their spread is that of clusters' Sharpe ratios, at least what worthless ones show"
    )
    partial = (
        "no partial execution but by the share of the bar's volume"
        if costs.max_participation
        else "no partial execution"
    )
    return [
        f"Survivorship: {survivorship}. A universe chosen with hindsight flatters every portfolio.",
        f"Trials: {judgement.trials} counted, on every data set of this lake that has a symbol of"
        f" this one's; {variance}. What was tried elsewhere is not counted.",
        f"Fills have no queue, {partial} and no reaction of the market to the order beyond the"
        " declared costs.",
    ]


def plot_note(judgement: Judgement) -> str:
    """Return how to read the plot of growth and drawdown."""
    return (
        "Growth of 1 USD after costs and the loss from its peak. Folds are chained: each starts"
        " from cash at a dotted line. Pale lines are single seeds, thin grey ones the other"
        f" baselines. A band holds, session by session, {100 * judgement.confidence:g} % of the"
        " paths that the ensemble's own returns take when drawn again in blocks, by the samples of"
        " its intervals."
    )


def reading_notes(block_bars: float, judgement: Judgement) -> list[str]:
    """Return how the figures are computed."""
    return [
        f"Intervals: {judgement.samples:,} stationary-bootstrap samples, mean block"
        f" {block_bars:.1f} bars, the same draws for all portfolios.",
        "Baseline of the verdict: the one with the highest Sharpe ratio; cash counts as 0. An agent"
        " beats it only if it passes every gate.",
        "p: chance of a difference at least this large if there were none, one-sided; a 95 %"
        " interval lies above 0 exactly where p is below 0.025.",
        "Probabilistic: probability that the true Sharpe ratio is above 0. Deflated: above the best"
        " that as many worthless trials as there are clusters would show. Bars to show it: least"
        " track record in which the ratio would be told from 0.",
        "VaR: historical loss of one bar at 95 and 99 %, CVaR in small print. Turnover: notional"
        " bought and sold a year over equity. Cost share: costs over gains before costs. Slippage:"
        " spread, impact and quadratic cost over notional.",
        "Baselines that are rules of past returns rebalance every 21 sessions. random is a control,"
        " not a strategy: it trades as much as the deployed ensemble, told so after the fact.",
        "Drawdown counts the start as a peak; its longest run of bars need not have recovered.",
    ]


def _fill_note(costs: CostsSpec) -> str:
    """Return when and how much of an order is filled."""
    at = "the next open" if costs.latency_bars == 1 else f"the open {costs.latency_bars} bars later"
    decided = f"Decided on what was known at a session's close, filled at {at}"
    lots = f", in whole lots of {_shares(costs.lot_shares)}" if costs.lot_shares else ""
    if costs.max_participation:
        return (
            f"{decided}{lots}, up to {100.0 * costs.max_participation:g} % of that bar's volume;"
            " the rest lapses and the next decision asks anew."
        )
    return f"{decided}{lots or ' in full'}."


def _shares(count: float) -> str:
    return f"{count:g} share{'' if count == 1.0 else 's'}"


def _train_window(folds: FoldsSpec) -> str:
    if folds.window == "rolling":
        return f"the {folds.train_months} months before it"
    return f"all months before it, from {folds.train_months} before the first fold on"


def _sum_notes(risk: RiskSpec) -> list[str]:
    """Return the limits on sums of weights beside that on all absolute ones."""
    limits = (
        (risk.min_net, "weights of at least {:g} net"),
        (risk.max_net, "weights of at most {:g} net"),
        (risk.max_sector_gross, "absolute weights of at most {:g} in a sector"),
        (risk.max_turnover, "changes of weight of at most {:g} a decision, if the others allow it"),
    )
    found = [text.format(value) for value, text in limits if value is not None]
    return [f"Further limits, for baselines too: {', '.join(found)}."] if found else []


def _rebalance_notes(rule: RebalanceSpec) -> list[str]:
    """Return which decided weights are traded, where it is not all of them."""
    if isinstance(rule, EveryBarSpec):
        return []
    told = "in the first session of a calendar week only"
    if isinstance(rule, NoTradeBandSpec):
        to = "the band's edge" if rule.trade_to == "edge" else "the decided one"
        told = f"where a held weight is more than {rule.band:g} from the decided one, to {to}"
    return [
        f"Decided weights are traded {told}; equal_weight keeps that rule, too. buy_and_hold,"
        " random and baselines of past returns have schedules of their own."
    ]


def _cost_notes(costs: CostsSpec) -> list[str]:
    linear = (
        f"Costs of a trade: fee {costs.fee_bps:g} bps, half spread {costs.half_spread_bps:g} bps"
    )
    if costs.impact_coefficient:
        linear += (
            f", square-root impact {costs.impact_coefficient:g} x daily volatility x root of the"
            " share of daily volume"
        )
    if costs.quadratic_lambda:
        linear += f", quadratic cost with lambda {costs.quadratic_lambda:g}"
    holding = (
        f"Financing of negative cash {costs.financing_bps_per_year:g} bps a year, short positions"
        f" {costs.borrow_bps_per_year:g} bps a year."
    )
    return [f"{linear}.", holding]
