"""What a walk-forward report is made from, and what it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trading_assets.backtest.path_figures import ValidatedPaths
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.backtest.trials import TrialSeries
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
    trials : sequence of TrialSeries
        Configurations tried on this data, this one included, with what is known of their returns.
    cross_validation : ValidatedPaths, optional
        Paths of the cross-validation, where it is declared and was made.
    survivorship : str
        How far the universe is free of survivorship bias.
    bootstrap_seed : int
        Seed of the intervals.
    left_out : mapping of str to str
        Why folds are not among `folds`, by key, where more is known than that they are not.
    """

    strategy_name: str
    strategy: Strategy
    declaration_digest: str
    folds: Sequence[FoldRecord]
    expected_folds: Sequence[str]
    trials: Sequence[TrialSeries]
    cross_validation: ValidatedPaths | None = None
    survivorship: str = "unknown"
    bootstrap_seed: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class WalkForwardReport:
    """A finished report.

    Attributes
    ----------
    verdict : str
        One sentence for each agent; of several agents first one on `ensemble`, all together, which
        is what is deployed.
    forecasts : str
        What forecasts add, one sentence for each agent; empty unless that is declared.
    problems : list of str
        What is incomplete, one sentence each; empty when every portfolio but references has every
        fold.
    html : str
        Self-contained page.
    png, thumbnail : bytes
        Plots of equity and drawdown, large and at most 60 kB.
    figures : dict
        Every number under a machine name with its unit; None where there is none.
    headline : dict of str to float
        The few defined figures of each verdict, `<agent>_<figure>` or `ensemble_<figure>`.
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
