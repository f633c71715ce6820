"""What the report says of the cross-validation: cheap policies and forecasts on every path."""

from dataclasses import asdict
from html import escape

from trading_assets.backtest.cells import DASH, number, percent
from trading_assets.backtest.page_parts import Finding, Section, Table
from trading_assets.backtest.path_figures import (
    ForecastPaths,
    PathFigures,
    PolicyPaths,
    Spread,
    ValidatedPaths,
    measure_paths,
)
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.strategy import Strategy

TITLE = "Combinatorial purged cross-validation"

_READING = (
    "All paths are the same sessions, traded by fits on other groups: their scatter shows how much"
    " a figure hangs on the years that were fitted on, not how sure it is."
)


def cross_validation_section(
    validated: ValidatedPaths | None, strategy: Strategy
) -> Section | None:
    """Return the section; None where no cross-validation is declared.

    Parameters
    ----------
    validated : ValidatedPaths or None
        What is stored; None where it is missing or was refused.
    strategy : Strategy
        What is declared.
    """
    spec = strategy.backtest.cross_validation
    if spec is None:
        return None
    if validated is None:
        claim = "Nothing is cross-validated: the asset cross_validation is missing or was refused."
        return Section(TITLE, findings=[Finding("unknown", claim)])
    found = measure_paths(validated)
    forecasts = [] if found.forecasts is None else [_forecast_table(found.forecasts)]
    return Section(
        TITLE,
        findings=[
            *(_policy_finding(name, found, validated) for name in spec.policies),
            _forecast_finding(found, validated),
        ],
        notes=_notes(validated, spec, strategy),
        tables=[_policy_table(found), *forecasts],
    )


def cross_validation_figures(validated: ValidatedPaths | None) -> dict[str, object]:
    """Return what the section shows under machine names; empty where nothing is stored."""
    if validated is None:
        return {}
    return {
        **validated.facts,
        "absences": dict(validated.absences),
        **asdict(measure_paths(validated)),
    }


def _policy_finding(name: str, found: PathFigures, validated: ValidatedPaths) -> Finding:
    own = found.policies.get(name)
    if own is None:
        why = validated.absences.get(name, "")
        return Finding("unknown", f"{name} is on no path.", f"{why}." if why else "")
    count = len(own.sharpe_annual.paths)
    ratios = _range(own.sharpe_annual, 2)
    if ratios == DASH:
        held = sum(ratio == ratio for ratio in own.sharpe_annual.paths)
        claim = f"{name} holds something on {held} of {count} paths; it has no range of ratios."
        return Finding("unknown", claim)
    evidence = f"Annual Sharpe ratio after costs {ratios}."
    if not found.best_baseline:
        return Finding("unknown", f"{name} cannot be held against a baseline.", evidence)
    level = number(found.baselines[found.best_baseline])
    return Finding(
        "unknown",
        f"{name} does better than the best naive baseline on {own.paths_above_baseline} of"
        f" {count} paths.",
        f"{evidence} {found.best_baseline} over the same sessions {level}.",
    )


def _forecast_finding(found: PathFigures, validated: ValidatedPaths) -> Finding:
    own = found.forecasts
    if own is None:
        why = validated.absences.get("forecaster", "")
        return Finding("unknown", "The forecaster is on no path.", f"{why}." if why else "")
    better = sum(gain > 0.0 for gain in own.log_loss_gain.paths)
    return Finding(
        "unknown",
        "The logistic forecaster knows more than class frequencies on"
        f" {better} of {len(own.log_loss_gain.paths)} paths.",
        f"Log-loss gained a forecast, nats: {_range(own.log_loss_gain, 4)}; information"
        f" coefficient {_range(own.ic, 3)}.",
    )


def _range(spread: Spread, digits: int) -> str:
    middle, low, high = (
        number(value, digits) for value in (spread.median, spread.minimum, spread.maximum)
    )
    return DASH if middle == DASH else f"{middle} in the median ({low} to {high})"


def _policy_table(found: PathFigures) -> Table:
    count = max((len(own.sharpe_annual.paths) for own in found.policies.values()), default=0)
    baselines = sorted({found.best_baseline, "equal_weight"} & {*found.baselines})
    return Table(
        caption="Annual Sharpe ratio after costs on each path, and the largest drawdown",
        header=[
            "Portfolio",
            *(f"Path {path + 1}" for path in range(count)),
            "Median",
            "Above the best baseline",
            "Worst drawdown",
        ],
        rows=[
            *(_policy_row(name, own) for name, own in found.policies.items()),
            *(
                [escape(name), *[number(found.baselines[name])] * (count + 1), DASH, DASH]
                for name in baselines
            ),
        ],
    )


def _policy_row(name: str, own: PolicyPaths) -> list[str]:
    return [
        escape(name),
        *(number(ratio) for ratio in own.sharpe_annual.paths),
        number(own.sharpe_annual.median),
        percent(own.share_above_baseline, 0),
        percent(own.max_drawdown.maximum),
    ]


def _forecast_table(own: ForecastPaths) -> Table:
    lines = {
        "Log-loss gained on class frequencies, nats": (own.log_loss_gain, 4),
        "Information coefficient": (own.ic, 3),
        "Rank information coefficient": (own.rank_ic, 3),
    }
    return Table(
        caption="The logistic forecaster on each path",
        header=[
            "Figure",
            *(f"Path {path + 1}" for path in range(len(own.ic.paths))),
            "Median",
        ],
        rows=[
            [
                name,
                *(number(value, digits) for value in spread.paths),
                number(spread.median, digits),
            ]
            for name, (spread, digits) in lines.items()
        ],
    )


def _notes(validated: ValidatedPaths, spec: CrossValidationSpec, strategy: Strategy) -> list[str]:
    facts = validated.facts
    groups, horizon = facts["groups"], strategy.forecast.horizon_bars
    absent: dict[str, list[str]] = {}
    for name, why in sorted(validated.absences.items()):
        if name not in (*spec.policies, "forecaster"):
            absent.setdefault(why, []).append(name)
    return [
        _READING,
        f"Sessions from {groups[0]['first']} to {groups[-1]['last']} in {len(groups)} groups;"
        f" each of {len(facts['splits'])} splits is tested on {spec.test_groups} of them and fitted"
        f" on the others, without {2 * horizon} sessions before and"
        f" {horizon + facts['embargo_sessions']} after a test group. Each test of a group starts"
        " from cash; unlike walk-forward, fits know sessions after the test.",
        "The forecaster is the logistic one, whichever the folds serve, and garleanu_pedersen sees"
        " the observed features without forecasts: both are cheap enough to fit in every split."
        " The agents are not fitted here. Nothing is promoted by these figures.",
        *(
            f"Not among the baselines: {', '.join(names)}, as {why}."
            for why, names in absent.items()
        ),
    ]
