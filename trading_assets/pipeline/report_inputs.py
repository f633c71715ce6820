"""What a report reads beside backtested folds; what is absent or refused it does without."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trading_assets.lake.names import table_file
from trading_assets.lake.store import InputRef, Lake
from trading_assets.pipeline.declared import Declared

ABLATION, STRESS = "ablation", "stress"
PATH_RETURNS, PATH_FORECASTS = "cross_validated_returns", "cross_validated_forecasts"
PATH_FACTS_FILE = "cross_validation.json"


def read_quality(lake: Lake, asset: str, folds: Sequence[str]) -> dict[str, Any]:
    """Read what features were worth, by fold; folds stored without it or refused are left out.

    Parameters
    ----------
    lake : Lake
        Holds the forecasters.
    asset : str
        Asset key of the forecaster.
    folds : sequence of str
        Folds of the report.
    """
    from trading_assets.features.quality import FeatureQuality

    names = ("feature_quality", "feature_correlations")
    records = lake.records(asset)
    found: dict[str, Any] = {}
    for fold in folds:
        record = records.get(fold)
        if record is None or record.verdict != "passed":
            continue
        if {table_file(name) for name in names} <= {file.name for file in record.files}:
            found[fold] = FeatureQuality(*(lake.read_table(record, name) for name in names))
    return found


def ablation_keys(declared: Declared) -> dict[str, str]:
    """Return the asset key of each agent's ablation by the agent's name, where one is declared."""
    policy = declared.trading.policy
    agents = policy.agents if policy.ablation == "forecasts" else ()
    return {agent: declared.node(f"forecast_ablation/{agent}").key for agent in agents}


def read_ablations(
    lake: Lake, assets: Mapping[str, str], folds: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Read what agents earned with and without forecasts; what is absent or refused is left out.

    Parameters
    ----------
    lake : Lake
        Holds the ablations.
    assets : mapping of str to str
        Asset key of each agent's ablation.
    folds : sequence of str
        Folds of the report.

    Returns
    -------
    dict
        By fold a dictionary by agent.
    """
    from trading_assets.backtest.fold_ablation import CARD_FILE, FoldAblation

    found: dict[str, dict[str, Any]] = {fold: {} for fold in folds}
    for agent, asset in assets.items():
        for fold, record in lake.records(asset).items():
            if fold in found and record.verdict == "passed":
                card = lake.read_blobs(asset, fold)[CARD_FILE]
                table = lake.read_table(record, ABLATION)
                found[fold][agent] = FoldAblation.from_card(table, card)
    return found


def ablation_refs(
    lake: Lake, assets: Mapping[str, str], read: Mapping[str, Mapping[str, Any]]
) -> list[InputRef]:
    """Return the stored inputs of what `read_ablations` read, with their content digests."""
    return [
        ref
        for agent, asset in assets.items()
        for ref in lake.inputs_for(asset, [fold for fold, own in read.items() if agent in own])
    ]


def read_explanations(lake: Lake, asset: str, folds: Sequence[str]) -> dict[str, Any]:
    """Read what moved decisions and forecasts, by fold; what is absent or refused is left out.

    Parameters
    ----------
    lake : Lake
        Holds the explanations.
    asset : str
        Asset key of the explanation.
    folds : sequence of str
        Folds of the report.
    """
    from trading_assets.backtest.explanation.fold_explanation import (
        FACTS_FILE,
        TABLE_NAMES,
        FoldExplanation,
    )

    records = lake.records(asset)
    found: dict[str, Any] = {}
    for fold in folds:
        record = records.get(fold)
        if record is not None and record.verdict == "passed":
            tables = {name: lake.read_table(record, name) for name in TABLE_NAMES}
            card = lake.read_blobs(asset, fold)[FACTS_FILE]
            found[fold] = FoldExplanation.from_card(tables, card)
    return found


def read_stress(lake: Lake, asset: str, folds: Sequence[str]) -> dict[str, Any]:
    """Read what portfolios earned under stress, by fold; folds without it are left out.

    Parameters
    ----------
    lake : Lake
        Holds the stress tables.
    asset : str
        Asset key of the stress.
    folds : sequence of str
        Folds of the report.
    """
    records = lake.records(asset)
    return {
        fold: lake.read_table(records[fold], STRESS)
        for fold in folds
        if fold in records and records[fold].verdict == "passed"
    }


def read_cross_validation(lake: Lake, asset: str) -> Any:
    """Read a cross-validation as `ValidatedPaths`; None where there is none or it was refused.

    Parameters
    ----------
    lake : Lake
        Holds it.
    asset : str
        Asset key of the cross-validation.
    """
    from trading_assets.backtest.path_figures import ValidatedPaths

    record = lake.record(asset)
    if record is None or record.verdict != "passed":
        return None
    told = json.loads(lake.read_blobs(asset)[PATH_FACTS_FILE])
    return ValidatedPaths(
        returns=lake.read_table(record, PATH_RETURNS),
        forecasts=lake.read_table(record, PATH_FORECASTS),
        absences=told.pop("absences"),
        facts=told,
    )
