"""Which models predict the train window: of the other parts, of earlier parts, or whichever."""

import copy
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.class_rules import TercileRule
from trading_assets.forecast.cross_fit import CrossFit, cross_fit
from trading_assets.forecast.flattery import PartLosses, compare_parts
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.predictions import CANDIDATES, CandidateName
from trading_assets.forecast.seen_rows import find_seen_rows
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_eras import make_eras
from trading_assets_tests.forecast.planted_market import NAMES, SPEC, PlantedMarket, make_market

KINDS = ("auto", "cross_fitted", "expanding")


def fit(
    market: PlantedMarket,
    kind: str,
    served: CandidateName = "logistic",
    threads: int = 1,
    **changes: object,
) -> CrossFit:
    spec = SPEC.model_copy(update={"train_forecasts": kind, "epochs": 1, **changes})
    days = market.train + market.validation
    return cross_fit(market.up_to_validation(), days, spec, NAMES, served, threads=threads)


def models(found: CrossFit) -> list[str]:
    return found.rows["model"].unique().sort().to_list()


def sessions_of(found: CrossFit, model: str) -> list[date]:
    rows = found.rows.filter(pl.col("model") == model)
    return rows["session"].unique().sort().to_list()


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


@pytest.fixture(scope="module")
def eras() -> PlantedMarket:
    return make_eras()


@pytest.fixture(scope="module")
def expanding(market: PlantedMarket) -> CrossFit:
    return fit(market, "expanding")


def test_each_kind_names_the_models_that_predict(market: PlantedMarket, expanding: CrossFit):
    crossed = fit(market, "cross_fitted")
    assert models(crossed) == ["part-0", "part-1", "part-2"]
    assert models(expanding) == ["earlier-1", "part-2"]
    for found, kind in ((crossed, "cross_fitted"), (expanding, "expanding")):
        assert list(found.card["parts"]) == models(found)
        assert found.card["train_forecasts"] == kind
        assert found.card["comparison"] is None
        assert set(found.rows["window"]) == {"train"}
        assert found.rows.select("symbol", "session").is_unique().all()
    days = (market.train + market.validation)[SPEC.window_bars - 1 :]
    blocks = [day.tolist() for day in np.array_split(np.array(days), 3)]
    assert [sessions_of(crossed, f"part-{k}") for k in range(3)] == blocks
    # Nothing is known before the first block, so it has no forecasts.
    assert sessions_of(expanding, "earlier-1") == blocks[1]
    assert sessions_of(expanding, "part-2") == blocks[2]


def test_the_last_block_is_the_same_either_way(market: PlantedMarket, expanding: CrossFit):
    crossed = fit(market, "cross_fitted")
    last = pl.col("model") == "part-2"
    assert crossed.rows.filter(last).equals(expanding.rows.filter(last))
    assert crossed.card["parts"]["part-2"] == expanding.card["parts"]["part-2"]


@pytest.mark.parametrize("parts", [2, 4])
def test_every_block_between_the_first_and_the_last_has_an_earlier_model(
    market: PlantedMarket, parts: int
):
    found = fit(market, "expanding", cross_fit_parts=parts)
    assert models(found) == [*(f"earlier-{k}" for k in range(1, parts - 1)), f"part-{parts - 1}"]
    assert find_seen_rows(found.rows, found.card) == []
    ends = [part["trained"][-1][1] for part in found.card["parts"].values()]
    starts = [part["predicted"][0] for part in found.card["parts"].values()]
    assert all(end < start for end, start in zip(ends, starts, strict=True))
    assert [part["seed"] for part in found.card["parts"].values()] == list(range(2, parts + 1))


@pytest.mark.parametrize("served", CANDIDATES)
def test_earlier_models_see_earlier_rows_only(market: PlantedMarket, served: CandidateName):
    before = fit(market, "expanding", served)
    start = sessions_of(before, "earlier-1")[0]
    end = sessions_of(before, "earlier-1")[-1]
    rng = np.random.default_rng(0)
    # What is later than the block, its labels' lives included, is another market.
    is_later = pl.col("session") > end
    features = market.features.with_columns(
        pl.when(is_later)
        .then(pl.Series(rng.normal(3.0, 9.0, market.features.height), dtype=pl.Float32))
        .otherwise(pl.col(name))
        .alias(name)
        for name in NAMES
    )
    factor = pl.Series(rng.uniform(0.5, 2.0, market.bars.height))
    bars = market.bars.with_columns(
        pl.when(is_later).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    after = fit(replace(market, features=features, bars=bars), "expanding", served)
    own = pl.col("model") == "earlier-1"
    assert after.rows.filter(own).equals(before.rows.filter(own))
    one, other = (found.card["parts"]["earlier-1"] for found in (before, after))
    assert one == other
    assert not after.rows.filter(~own).equals(before.rows.filter(~own))
    # A cross-fitted model of the same block does see them.
    weights = {
        fit(replace(market, features=f, bars=b), "cross_fitted", served).card["parts"]["part-1"][
            "weights_sha256"
        ]
        for f, b in ((features, bars), (market.features, market.bars))
    }
    assert len(weights) == 2
    assert str(start) == one["predicted"][0]


def test_models_that_saw_later_rows_flatter_where_eras_come_back(eras: PlantedMarket):
    found = fit(eras, "auto")
    compared = found.card["comparison"]
    assert found.card["train_forecasts"] == "expanding"
    assert models(found) == ["earlier-1", "part-2"]
    assert compared["p_value"] < 0.05
    assert compared["cross_fitted_gain"] > compared["later_gain"] + 0.1
    assert 0.0 < compared["low"] < compared["difference"] < compared["high"]
    # Whoever saw later rows knows an era that earlier rows do not tell of.
    crossed = fit(eras, "cross_fitted")
    assert find_seen_rows(found.rows, found.card) == []
    assert found.rows.equals(fit(eras, "expanding").rows)
    assert crossed.rows["p_up"].std() > 0.1


def test_the_comparison_is_that_of_the_forecasts_of_both_kinds(eras: PlantedMarket):
    compared = fit(eras, "auto").card["comparison"]
    crossed, expanded = fit(eras, "cross_fitted"), fit(eras, "expanding")
    labels = compute_labels(eras.up_to_validation().bars, NO_ACTIONS, SPEC.horizon_bars)

    def losses(found: CrossFit, model: str) -> np.ndarray:
        """Return log-loss under the forecast and under the part's class shares, (n, 2)."""
        card = found.card["parts"][model]
        rows = found.rows.filter(pl.col("model") == model).join(labels, on=["symbol", "session"])
        scaled = rows["forward_return"].to_numpy() / (0.01 * np.sqrt(SPEC.horizon_bars))
        classes = TercileRule(**card["class_rule"]).classify(scaled)
        said = rows.select("p_down", "p_flat", "p_up").to_numpy()[np.arange(len(rows)), classes]
        shares = np.array(card["metrics"]["train_class_shares"])[classes]
        return -np.log(np.column_stack([said, shares]))

    one = np.concatenate([losses(crossed, f"part-{k}") for k in (0, 1)])
    later = np.concatenate([losses(expanded, model) for model in ("earlier-1", "part-2")])
    assert compared["cross_fitted_log_loss"] == pytest.approx(one[:, 0].mean(), rel=1e-5)
    assert compared["later_log_loss"] == pytest.approx(later[:, 0].mean(), rel=1e-5)
    gains = [(each[:, 1] - each[:, 0]).mean() for each in (one, later)]
    assert compared["cross_fitted_gain"] == pytest.approx(gains[0], rel=1e-4)
    assert compared["later_gain"] == pytest.approx(gains[1], rel=1e-4)
    # Each session has three rows, so rows and sessions weigh the same.
    assert compared["difference"] == pytest.approx(gains[0] - gains[1], rel=1e-4)


def test_gains_are_on_the_class_shares_of_each_parts_own_train_rows(market: PlantedMarket):
    compared = fit(market, "auto", labels="triple_barrier").card["comparison"]
    for kind in ("cross_fitted", "later"):
        # Barriers leave the classes less alike than terciles do.
        shares_loss = compared[f"{kind}_gain"] + compared[f"{kind}_log_loss"]
        assert shares_loss != pytest.approx(np.log(3.0), abs=1e-5)
        assert shares_loss == pytest.approx(np.log(3.0), abs=0.02)


def test_noise_is_mostly_cross_fitted():
    kinds = [
        fit(make_market(0.0, seed=seed), "auto").card["train_forecasts"] for seed in range(20, 30)
    ]
    assert kinds.count("cross_fitted") >= 8


def test_a_prior_has_nothing_to_be_compared(market: PlantedMarket):
    found = fit(market, "auto", "prior")
    assert found.card["comparison"] is None
    assert found.card["train_forecasts"] == "cross_fitted"
    assert models(found) == ["part-0", "part-1", "part-2"]
    for model in models(found):
        rows = found.rows.filter(pl.col("model") == model)
        assert rows["p_up"].n_unique() == 1


@pytest.mark.parametrize("served", CANDIDATES)
def test_parts_are_predicted_by_the_kind_of_model_that_serves(
    market: PlantedMarket, served: CandidateName
):
    found = fit(market, "cross_fitted", served)
    assert {part["served"] for part in found.card["parts"].values()} == {served}
    for part in found.card["parts"].values():
        assert list(part["metrics"]["candidates"]) == [served]


def test_threads_change_no_row(market: PlantedMarket):
    one, two = (fit(market, "auto", "network", threads) for threads in (1, 2))
    assert one.rows.equals(two.rows)
    assert one.card == two.card


def test_intervals_of_the_train_window_learn_as_later_ones_do(
    market: PlantedMarket, expanding: CrossFit
):
    rows = expanding.rows
    assert (rows["interval_low"] < rows["expected_return"]).all()
    assert (rows["expected_return"] < rows["interval_high"]).all()
    ratio = (rows["interval_high"] - rows["interval_low"]) / rows["sigma_return"]
    assert ratio.round(4).n_unique() > 10
    # Bars after a session change nothing of its intervals.
    day = sessions_of(expanding, "part-2")[60]
    factor = pl.Series(np.random.default_rng(1).uniform(0.8, 1.25, market.bars.height))
    bars = market.bars.with_columns(
        pl.when(pl.col("session") > day).then(pl.col(name) * factor).otherwise(pl.col(name))
        for name in ("open", "high", "low", "close")
    )
    changed = fit(replace(market, bars=bars), "expanding").rows
    upto = pl.col("session") <= day
    assert changed.filter(upto).equals(rows.filter(upto))
    assert not changed.filter(~upto).equals(rows.filter(~upto))


def test_an_earlier_model_inside_its_own_training_is_found(expanding: CrossFit):
    assert find_seen_rows(expanding.rows, expanding.card) == []
    leaky: dict[str, Any] = copy.deepcopy(expanding.card)
    part = leaky["parts"]["earlier-1"]
    part["trained"][0][1] = part["predicted"][0]
    sentences = find_seen_rows(expanding.rows, leaky)
    assert len(sentences) == 1
    assert sentences[0].startswith("earlier-1 predicted 1 sessions that meet its own training,")
    assert part["predicted"][0] in sentences[0]
    # Rows of the first block, which every earlier model was trained on.
    first = expanding.card["parts"]["earlier-1"]["trained"][0][0]
    early = expanding.rows.head(1).with_columns(
        pl.lit(date.fromisoformat(first)).alias("session"), pl.lit("earlier-1").alias("model")
    )
    assert "earlier-1 predicted" in find_seen_rows(early, expanding.card)[0]


def test_an_earlier_model_without_a_card_is_found(expanding: CrossFit):
    renamed = expanding.rows.with_columns(pl.lit("earlier-2").alias("model"))
    sentence = find_seen_rows(renamed, expanding.card)[0]
    assert "name the model earlier-2, of which no card tells" in sentence
    assert "expected one of earlier-1, part-2" in sentence


def test_a_first_block_too_short_to_learn_from_is_refused(market: PlantedMarket):
    with pytest.raises(DataError, match="train windows have all their bars"):
        fit(market, "expanding", cross_fit_parts=16)


def test_a_window_that_cannot_be_compared_is_cross_fitted_and_says_so(market: PlantedMarket):
    found = fit(market, "auto", cross_fit_parts=16)
    assert found.card["train_forecasts"] == "cross_fitted"
    assert found.card["comparison"] is None
    assert found.card["not_compared"].startswith("earlier-1 could not be trained: ")
    assert "expected at least" in found.card["not_compared"]
    assert len(models(found)) == 16


def losses_of(gain: float, sessions: range, noise: float = 0.0, seed: int = 0) -> PartLosses:
    """Return losses of two rows a session that gain on the prior by `gain`."""
    rng = np.random.default_rng([seed, sessions.start])
    own = np.repeat(np.array(sessions), 2)
    prior = 1.1 + 0.1 * rng.normal(size=len(own))
    return PartLosses(prior - gain + noise * rng.normal(size=len(own)), prior, own)


def test_flattery_is_told_by_gains_and_not_by_losses():
    easy = losses_of(0.02, range(100), 0.05)
    hard = losses_of(0.02, range(100, 200), 0.05)
    hard = replace(hard, loss=hard.loss + 0.3, prior_loss=hard.prior_loss + 0.3)
    found = compare_parts([easy], [hard], 3, 0)
    assert found.later_log_loss > found.cross_fitted_log_loss + 0.2
    assert not found.is_flattered
    assert found.difference == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0.08, 0.0, True), (0.0, 0.08, False), (0.02, 0.019, False)]
)
def test_only_a_larger_gain_beyond_chance_is_flattery(first: float, second: float, expected: bool):
    crossed = [losses_of(first, range(50), 0.05), losses_of(first, range(50, 100), 0.05)]
    found = compare_parts(crossed, [losses_of(second, range(50, 150), 0.05)], 3, 0)
    assert found.is_flattered == expected
    assert found.cross_fitted_gain == pytest.approx(first, abs=0.02)
    assert found.later_gain == pytest.approx(second, abs=0.02)


def test_few_sessions_tell_nothing():
    found = compare_parts([losses_of(0.5, range(8))], [losses_of(0.0, range(8, 16))], 3, 0)
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert not found.is_flattered
    assert found.to_card()["p_value"] is None
