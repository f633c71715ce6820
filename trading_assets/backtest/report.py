"""The walk-forward report: folds in, verdict, page, plots and figures out.

The same inputs give the same bytes. Nothing here decides what is promoted; it states what is known,
what was assumed and what is missing.
"""

from collections.abc import Mapping

import numpy as np

from trading_assets.backtest.attribution.profit_attribution import attribute_profit
from trading_assets.backtest.bands import bands_of
from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.charts import curves_of
from trading_assets.backtest.evidence import Judged, judged_portfolios, weigh_evidence
from trading_assets.backtest.figures import (
    Bootstrap,
    Comparison,
    Judgement,
    compare,
    portfolio_figures,
)
from trading_assets.backtest.growth_chart import draw_png, draw_svg, draw_thumbnail
from trading_assets.backtest.page import Page, render_page
from trading_assets.backtest.page_parts import Section
from trading_assets.backtest.report_attribution import attribution_figures, attribution_section
from trading_assets.backtest.report_cross_validation import (
    cross_validation_figures,
    cross_validation_section,
)
from trading_assets.backtest.report_documents import WalkForwardInputs, WalkForwardReport
from trading_assets.backtest.report_evidence import (
    evidence_figures,
    evidence_headline,
    evidence_section,
)
from trading_assets.backtest.report_explanation import explanation_figures, explanation_section
from trading_assets.backtest.report_figures import figures_document, headline_figures
from trading_assets.backtest.report_folds import fold_tables
from trading_assets.backtest.report_forecasts import measure_effects
from trading_assets.backtest.report_notes import (
    assumption_notes,
    missing_notes,
    plot_note,
    reading_notes,
)
from trading_assets.backtest.report_prop_firm import (
    prop_firm_figures,
    prop_firm_outcomes,
    prop_firm_section,
)
from trading_assets.backtest.report_quality import feature_figures, feature_notes, fold_features
from trading_assets.backtest.report_references import compare_references
from trading_assets.backtest.report_stress import stress_figures, stress_section
from trading_assets.backtest.report_tables import (
    comparison_table,
    holdings_table,
    in_order,
    metrics_table,
    training_table,
)
from trading_assets.backtest.report_trading import trading_table
from trading_assets.backtest.track_record import (
    TrackRecord,
    describe_gaps,
    expected_portfolios,
    read_track_records,
)
from trading_assets.backtest.trading_figures import measure_trading
from trading_assets.backtest.trial_clusters import TrialClusters, cluster_trials
from trading_assets.backtest.verdict import judge_agent, strongest_baseline
from trading_assets.errors import DataError
from trading_assets.policy.reference_names import REFERENCES
from trading_assets.strategy import Strategy


def build_report(inputs: WalkForwardInputs) -> WalkForwardReport:
    """Judge a strategy over all its folds.

    Every interval comes from one stationary bootstrap of all portfolios; ratios are annual on 252
    bars at a riskless rate of 0. The ensemble of all agents, then each agent's, is held against the
    strongest baseline.

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
        inputs.left_out,
    )
    clusters = cluster_trials(inputs.trials)
    judgement = _judgement(inputs, clusters)
    bootstrap = Bootstrap(records, judgement)
    figures = {
        name: portfolio_figures(record, bootstrap, judgement) for name, record in records.items()
    }
    comparisons = _compare_ensembles(records, strategy, bootstrap, judgement)
    keys = sorted({*inputs.expected_folds, *(record.fold.key for record in inputs.folds)})
    judged = Judged(strategy, records, figures, comparisons, keys)
    evidence = weigh_evidence(judged, inputs.trials, clusters, judgement)
    verdicts = [
        judge_agent(name, own, evidence.gates[name], judgement)
        for name, own in evidence.by_agent.items()
    ]
    references = compare_references(records, sorted(strategy.policy.agents), bootstrap, judgement)
    trading = measure_trading(inputs.folds, records)
    profit = attribute_profit(inputs.folds, strategy)
    effects = measure_effects(inputs.folds, inputs.expected_folds, strategy, judgement)
    gaps = describe_gaps(records)
    # What gates nothing is told at the top as well, and fails nothing.
    problems = describe_gaps({n: own for n, own in records.items() if n not in REFERENCES})
    evaluated = prop_firm_outcomes(records, strategy, bootstrap)
    optional = (
        cross_validation_section(inputs.cross_validation, strategy),
        prop_firm_section(evaluated, strategy),
    )
    order = in_order(figures)
    shown = [record for record in records.values() if len(record.returns)]
    judged_records = [record for record in shown if record.portfolio in comparisons]
    bands = bands_of(judged_records, bootstrap, judgement.confidence)
    curves = curves_of(shown, strongest_baseline(figures), bands)
    page = Page(
        title=inputs.strategy_name,
        subtitle=_subtitle(inputs, records),
        verdicts=verdicts,
        gaps=gaps,
        svg=draw_svg(curves),
        plot_note=plot_note(judgement),
        metrics=metrics_table(figures, judgement),
        comparisons=comparison_table(comparisons, figures, judgement),
        folds=fold_tables(inputs.folds, records, order, strategy),
        holdings=holdings_table(inputs.folds, records, order),
        notes=[
            ("Costs and assumptions", assumption_notes(strategy)),
            (
                "What is missing",
                missing_notes(inputs.survivorship, judgement, strategy.costs),
            ),
            ("How to read it", reading_notes(bootstrap.block_bars, judgement)),
        ],
        training=training_table(inputs.folds),
        features=fold_features(inputs.folds),
        feature_notes=feature_notes(),
        sections=[
            evidence_section(evidence, judgement),
            references.section(figures, judgement),
            Section("Trading", tables=[trading_table(trading, figures)]),
            *([effects.section] if effects.section is not None else []),
            attribution_section(profit, inputs.folds, inputs.expected_folds, strategy),
            explanation_section(inputs.folds, inputs.expected_folds, strategy),
            stress_section(inputs.folds, inputs.expected_folds, strategy),
            *(section for section in optional if section is not None),
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
                "evidence": evidence_figures(evidence),
                "trading": trading,
                "forecasts_add": effects.figures,
                "beside_references": references.by_agent,
                "profit": attribution_figures(profit),
                "explanation": explanation_figures(inputs.folds, strategy),
                "stress": stress_figures(inputs.folds, strategy),
                "cross_validation": cross_validation_figures(inputs.cross_validation),
                "evaluation_accounts": prop_firm_figures(evaluated),
            },
            figures,
            comparisons,
            verdicts,
        ),
        headline={
            **headline_figures(figures, verdicts),
            **evidence_headline(evidence),
            **effects.headline,
        },
    )


def _require_evidence(inputs: WalkForwardInputs) -> None:
    if not inputs.folds:
        left_out = "".join(f"; fold {key}: {why}" for key, why in inputs.left_out.items())
        msg = (
            f"the report of {inputs.strategy_name} was given 0 folds; expected at least one:"
            f" backtest a fold first{left_out}"
        )
        raise DataError(msg)
    if not inputs.trials:
        msg = (
            f"the report of {inputs.strategy_name} was given 0 trials; expected at"
            " least the one it is about: register the backtest as a trial"
        )
        raise DataError(msg)


def _judgement(inputs: WalkForwardInputs, clusters: TrialClusters) -> Judgement:
    return Judgement(
        trials=len(inputs.trials),
        trial_variance=clusters.excess_variance,
        samples=inputs.strategy.backtest.bootstrap_samples,
        confidence=inputs.strategy.backtest.confidence,
        seed=inputs.bootstrap_seed,
        clusters=clusters.count,
    )


def _compare_ensembles(
    records: Mapping[str, TrackRecord],
    strategy: Strategy,
    bootstrap: Bootstrap,
    judgement: Judgement,
) -> dict[str, dict[str, Comparison]]:
    return {
        ensemble: {
            name: compare(records[ensemble], records[name], bootstrap, judgement)
            for name in BASELINES
        }
        for ensemble in judged_portfolios(sorted(strategy.policy.agents)).values()
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
        "trials": len(inputs.trials),
        "confidence": backtest.confidence,
        "bootstrap_samples": backtest.bootstrap_samples,
        "bootstrap_block_bars": block_bars,
        "initial_equity_usd": backtest.initial_equity_usd,
        "folds": sorted(record.fold.key for record in inputs.folds),
        "expected_folds": sorted(inputs.expected_folds),
        "features_on_training_days": feature_figures(inputs.folds),
    }
