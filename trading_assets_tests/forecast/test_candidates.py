from collections.abc import Collection

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast import train as training
from trading_assets.forecast.candidates import (
    FittedCandidates,
    fit_candidates,
    require_candidates,
    require_finite,
)
from trading_assets.forecast.networks.fit import EnsembleTask
from trading_assets.forecast.predictions import CANDIDATES, CandidateName, Predictions
from trading_assets_tests.forecast.planted_market import PlantedMarket, make_market, train


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


class Broken:
    """A candidate with one forecast that is not finite."""

    def __init__(self, model: object, column: str, value: float) -> None:
        self._model, self._column, self._value = model, column, value

    def predict(self, *where: object) -> Predictions:
        said = self._model.predict(*where)  # type: ignore[attr-defined]
        getattr(said, self._column).flat[5] = self._value
        return said

    def tensors(self) -> dict[str, object]:
        return self._model.tensors()  # type: ignore[attr-defined]


@pytest.mark.parametrize("column", ["probabilities", "mean", "noise", "error"])
@pytest.mark.parametrize("broken", CANDIDATES)
def test_a_candidate_that_is_not_finite_is_refused_even_if_another_would_serve(
    market: PlantedMarket, monkeypatch: pytest.MonkeyPatch, broken: CandidateName, column: str
):
    value = float("inf") if column == "mean" else float("nan")

    def fit(task: EnsembleTask, names: Collection[CandidateName]) -> FittedCandidates:
        fitted = fit_candidates(task, [name for name in names if name != "network"])
        models = {**fitted.models, broken: Broken(fitted.models["logistic"], column, value)}
        return FittedCandidates(models, ())

    monkeypatch.setattr(training, "fit_candidates", fit)
    sentence = f"{broken} of forecaster gives 1 of .* judging rows forecasts that are not finite"
    with pytest.raises(DataError, match=sentence):
        train(market)


def test_a_network_that_lost_its_way_is_refused(market: PlantedMarket):
    with pytest.raises(DataError, match=r"member 0 of the network .* of nan after epoch 1; .*rate"):
        train(market, learning_rate=1e10)


def test_finite_candidates_pass():
    said = Predictions(np.full((4, 3), 1 / 3), *(np.ones(4) for _ in range(4)))
    require_finite("it", [[1.0, 1.1], [1.2]], {"logistic": said})
    require_finite("it", [], {"network": said})


@pytest.mark.parametrize("names", [["network", "prior"], ["boosting", "network"], []])
def test_a_network_that_nothing_judges_is_refused(
    market: PlantedMarket, names: list[CandidateName]
):
    with pytest.raises(DataError, match=r"expected at least one, and logistic beside the network"):
        train(market, names)


@pytest.mark.parametrize("names", [["network"], ["network", "logistic"], ["boosting", "prior"]])
def test_candidates_that_can_be_told_apart_pass(names: list[CandidateName]):
    require_candidates(names)
