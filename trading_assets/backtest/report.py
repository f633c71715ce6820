"""The walk-forward report: folds in, verdict, page, plots and figures out.

The same inputs give the same bytes. Nothing here decides what is promoted; it states what is known,
what was assumed and what is missing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.charts import curves_of, draw_png, draw_svg, draw_thumbnail
from trading_assets.backtest.figures import (
    Bootstrap,
    Comparison,
    Judgement,
    compare,
    portfolio_figures,
)
from trading_assets.backtest.metrics import BARS_PER_YEAR
from trading_assets.backtest.page import Page, render_page
from trading_assets.backtest.report_explanation import explanation_figures, explanation_section
from trading_assets.backtest.report_figures import figures_document, headline_figures
from trading_assets.backtest.report_forecasts import measure_effects
from trading_assets.backtest.report_notes import assumption_notes, missing_notes, reading_notes
from trading_assets.backtest.report_quality import feature_figures, feature_notes, fold_features
from trading_assets.backtest.report_tables import (
    comparison_table,
    fold_table,
    holdings_table,
    metrics_table,
    training_table,
)
from trading_assets.backtest.track_record import (
    FoldRecord,
    TrackRecord,
    describe_gaps,
    expected_portfolios,
    read_track_records,
)
from trading_assets.backtest.verdict import judge_agent
from trading_assets.errors import DataError
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class WalkForwardInputs:
    """What a report is about.

    Attributes
    ----------
    strategy_name : str
        Name of the declaration.
    strategy : Strategy
        The declaration.
    declaration_digest : str
        Digest of it, printed for identification.
    folds : sequence of FoldRecord
        Folds that were backtested.
    expected_folds : sequence of str
        Keys of the folds that should have been.
    trials : int
        Strategies tried on this data, this one included.
    survivorship : str
        How far the universe is free of survivorship bias.
    trial_sharpes_annual : sequence of float, optional
        Annual Sharpe ratios of the trials, for the deflated Sharpe ratio.
    bootstrap_seed : int
        Seed of the intervals.
    """

    strategy_name: str
    strategy: Strategy
    declaration_digest: str
    folds: Sequence[FoldRecord]
    expected_folds: Sequence[str]
    trials: int
    survivorship: str = "unknown"
    trial_sharpes_annual: Sequence[float] = ()
    bootstrap_seed: int = 0


@dataclass(frozen=True, slots=True)
class WalkForwardReport:
    """A finished report.

    Attributes
    ----------
    verdict : str
        One sentence for each agent.
    forecasts : str
        What forecasts add, one sentence for each agent; empty unless that is declared.
    problems : list of str
        What is incomplete, one sentence each; empty when every portfolio has every fold.
    html : str
        Self-contained page.
    png, thumbnail : bytes
        Plots of equity and drawdown, large and at most 60 kB.
    figures : dict
        Every number under a machine name with its unit; None where there is none.
    headline : dict of str to float
        The few defined figures that name an agent's standing, `<agent>_<figure>`.
    """

    verdict: str
    forecasts: str
    problems: list[str]
    html: str
    png: bytes
    thumbnail: bytes
    figures: dict[str, object]
    headline: dict[str, float]

    @property
    def figures_json(self) -> bytes:
        """The figures as JSON with sorted keys."""
        text = json.dumps(self.figures, sort_keys=True, indent=1, allow_nan=False)
        return f"{text}\n".encode()


def build_report(inputs: WalkForwardInputs) -> WalkForwardReport:
    """Judge a strategy over all its folds.

    Every interval comes from one stationary bootstrap of all portfolios; ratios are annual on 252
    bars at a riskless rate of 0. Each agent's ensemble is held against the strongest baseline.

    Parameters
    ----------
    inputs : WalkForwardInputs
        Folds, declaration and number of trials.

    Raises
    ------
    DataError
        If there is no fold, or no trial was counted.
    """
    _require_evidence(inputs)
    strategy = inputs.strategy
    records = read_track_records(
        inputs.folds,
        inputs.expected_folds,
        expected_portfolios(strategy.policy),
        strategy.backtest.initial_equity_usd,
    )
    judgement = _judgement(inputs)
    bootstrap = Bootstrap(records, judgement)
    figures = {
        name: portfolio_figures(record, bootstrap, judgement) for name, record in records.items()
    }
    comparisons = _compare_ensembles(records, strategy, bootstrap, judgement)
    verdicts = [
        judge_agent(agent, spec.seeds, figures, comparisons[f"{agent}/ensemble"], judgement)
        for agent, spec in sorted(strategy.policy.agents.items())
    ]
    effects = measure_effects(inputs.folds, inputs.expected_folds, strategy, judgement)
    problems = describe_gaps(records)
    curves = curves_of([record for record in records.values() if len(record.returns)])
    page = Page(
        title=inputs.strategy_name,
        subtitle=_subtitle(inputs, records),
        verdicts=verdicts,
        gaps=problems,
        svg=draw_svg(curves),
        plot_note=(
            "Growth of 1 USD after costs and the loss from its peak. Folds are chained: each starts"
            " from cash at a dotted line. Pale lines are single seeds."
        ),
        metrics=metrics_table(figures, judgement),
        comparisons=comparison_table(comparisons, judgement),
        folds=fold_table(inputs.folds, records, strategy),
        holdings=holdings_table(inputs.folds, records),
        notes=[
            ("Costs and assumptions", assumption_notes(strategy)),
            ("What is missing", missing_notes(inputs.survivorship, judgement)),
            ("How to read it", reading_notes(bootstrap.block_bars, judgement)),
        ],
        training=training_table(inputs.folds),
        features=fold_features(inputs.folds),
        feature_notes=feature_notes(),
        sections=[
            *([] if effects.section is None else [effects.section]),
            explanation_section(inputs.folds, inputs.expected_folds, strategy),
        ],
    )
    return WalkForwardReport(
        verdict=" ".join(verdict.sentence for verdict in verdicts),
        forecasts=" ".join(effects.sentences),
        problems=problems,
        html=render_page(page),
        png=draw_png(curves, inputs.strategy_name),
        thumbnail=draw_thumbnail(curves),
        figures=figures_document(
            {
                **_facts(inputs, bootstrap.block_bars),
                "forecasts_add": effects.figures,
                "explanation": explanation_figures(inputs.folds, strategy),
            },
            figures,
            comparisons,
            verdicts,
        ),
        headline={**headline_figures(figures, verdicts), **effects.headline},
    )


def _require_evidence(inputs: WalkForwardInputs) -> None:
    if not inputs.folds:
        msg = (
            f"the report of {inputs.strategy_name} was given 0 folds; expected at least one:"
            " backtest a fold first"
        )
        raise DataError(msg)
    if inputs.trials < 1:
        msg = (
            f"the report of {inputs.strategy_name} was given {inputs.trials} trials; expected at"
            " least the one it is about: register the backtest as a trial"
        )
        raise DataError(msg)


def _judgement(inputs: WalkForwardInputs) -> Judgement:
    sharpes = np.asarray(inputs.trial_sharpes_annual, dtype=np.float64)
    variance = float(sharpes.var(ddof=1)) / BARS_PER_YEAR if len(sharpes) >= 2 else None
    return Judgement(
        trials=inputs.trials,
        trial_variance=variance,
        samples=inputs.strategy.backtest.bootstrap_samples,
        confidence=inputs.strategy.backtest.confidence,
        seed=inputs.bootstrap_seed,
    )


def _compare_ensembles(
    records: Mapping[str, TrackRecord],
    strategy: Strategy,
    bootstrap: Bootstrap,
    judgement: Judgement,
) -> dict[str, dict[str, Comparison]]:
    names = [f"{agent}/ensemble" for agent in sorted(strategy.policy.agents)]
    return {
        ensemble: {
            name: compare(records[ensemble], records[name], bootstrap, judgement)
            for name in BASELINES
        }
        for ensemble in (*(["ensemble"] if "ensemble" in records else []), *names)
    }


def _subtitle(inputs: WalkForwardInputs, records: Mapping[str, TrackRecord]) -> str:
    sessions = np.concatenate([record.sessions for record in records.values()])
    period = f"{sessions.min()} to {sessions.max()}" if len(sessions) else "no session"
    return (
        f"Walk-forward report, tested {period} on {inputs.strategy.market_data};"
        f" declaration {inputs.declaration_digest[:12]}"
    )


def _facts(inputs: WalkForwardInputs, block_bars: float) -> dict[str, object]:
    backtest = inputs.strategy.backtest
    return {
        "strategy": inputs.strategy_name,
        "declaration_digest": inputs.declaration_digest,
        "survivorship": inputs.survivorship,
        "trials": inputs.trials,
        "confidence": backtest.confidence,
        "bootstrap_samples": backtest.bootstrap_samples,
        "bootstrap_block_bars": block_bars,
        "initial_equity_usd": backtest.initial_equity_usd,
        "folds": sorted(record.fold.key for record in inputs.folds),
        "expected_folds": sorted(inputs.expected_folds),
        "features_on_training_days": feature_figures(inputs.folds),
    }
