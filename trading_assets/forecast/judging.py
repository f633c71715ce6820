"""Judges candidates on rows that fit their temperature only, and says which of them serves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.calibration import fit_temperature, temper, wilson_interval
from trading_assets.forecast.card import CandidateCard, ComparisonCard
from trading_assets.forecast.comparison import LossDifference
from trading_assets.forecast.independent_rows import count_independent
from trading_assets.forecast.networks.strip_rows import LabelledRows
from trading_assets.forecast.predictions import CandidateName, Predictions
from trading_assets.forecast.scores import (
    brier,
    expected_calibration_error,
    log_loss,
    row_log_losses,
)
from trading_assets.forecast.selection import Selection, select_served
from trading_assets.forecast.skill import measure_skill

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JudgedCandidates:
    """How every candidate did, and which serves.

    Attributes
    ----------
    selection : Selection
        Which serves, and why.
    cards : mapping of str to CandidateCard
        Figures of each.
    served : Predictions
        Of the served one, with tempered probabilities, on the judging rows.
    """

    selection: Selection
    cards: Mapping[CandidateName, CandidateCard]
    served: Predictions

    @property
    def comparison(self) -> ComparisonCard | None:
        """The network against the logistic model, where both were candidates."""
        found = self.selection.comparison
        return None if found is None else _comparison_card(found)


def judge_candidates(
    said: Mapping[CandidateName, Predictions], judging: LabelledRows, horizon_bars: int, seed: int
) -> JudgedCandidates:
    """Measure each candidate and choose the one that serves.

    Parameters
    ----------
    said : mapping of str to Predictions
        Of the judging rows, untempered.
    judging : LabelledRows
        Rows and what came of them.
    horizon_bars : int
        Bars of a label.
    seed : int
        Of the resampling of sessions.
    """
    cards: dict[CandidateName, CandidateCard] = {
        name: measure_candidate(found, judging, horizon_bars) for name, found in said.items()
    }
    tempered: dict[CandidateName, Array] = {
        name: temper(found.probabilities, cards[name].temperature) for name, found in said.items()
    }
    losses: dict[CandidateName, Array] = {
        name: row_log_losses(found, judging.classes) for name, found in tempered.items()
    }
    selection = select_served(losses, judging.rows.session, horizon_bars, seed)
    served = selection.served
    return JudgedCandidates(selection, cards, said[served].with_probabilities(tempered[served]))


def measure_candidate(said: Predictions, judging: LabelledRows, horizon_bars: int) -> CandidateCard:
    """Return the figures of one candidate; all but the uncalibrated log-loss are tempered."""
    classes, rows = judging.classes, judging.rows
    temperature = fit_temperature(np.log(np.maximum(said.probabilities, 1e-12)), classes)
    tempered = temper(said.probabilities, temperature)
    is_right = (tempered.argmax(axis=1) == classes).astype(np.float64)
    accuracy = float(is_right.mean())
    independent = count_independent(is_right, rows.session, horizon_bars)
    skill = measure_skill(
        rows.symbol, rows.session, said.mean, judging.scaled_returns, horizon_bars
    )
    return CandidateCard(
        log_loss=log_loss(tempered, classes),
        uncalibrated_log_loss=log_loss(said.probabilities, classes),
        brier=brier(tempered, classes),
        calibration_error=expected_calibration_error(tempered, classes),
        accuracy=accuracy,
        accuracy_interval=wilson_interval(accuracy, independent),
        temperature=temperature,
        ic=_known(skill.ic.mean),
        ic_t=_known(skill.ic.t),
        rank_ic=_known(skill.rank_ic.mean),
        rank_ic_t=_known(skill.rank_ic.t),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _comparison_card(found: LossDifference) -> ComparisonCard:
    return ComparisonCard(
        difference=found.difference,
        low=_known(found.low),
        high=_known(found.high),
        p_value=_known(found.p_value),
        sessions=found.sessions,
    )
