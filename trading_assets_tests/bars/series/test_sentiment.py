import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.series import sentiment
from trading_assets.bars.series.sentiment import (
    LexiconModel,
    SentimentModel,
    build_sentiment_model,
    read_lexicon,
    score_texts,
)
from trading_assets.errors import DataError, UserError

MODEL = LexiconModel()


def score(text: str) -> float:
    return MODEL.score([text])[0]


@pytest.mark.parametrize(
    "text",
    [
        "Apple beats estimates as iPhone sales surge",
        "IBM raises guidance",
        "Regulators approve the merger",
        "Company cuts costs",
        "Profits RISING",
        "Shares hit a record high",
        "The outlook isn't bad",
        "Bank won't default",
        "Nothing wrong, no fraud",
    ],
)
def test_good_news_scores_above_zero(text: str) -> None:
    assert score(text) > 0.05


@pytest.mark.parametrize(
    "text",
    [
        "Apple misses estimates",
        "IBM cut its dividend after heavy losses",
        "Lender files for bankruptcy",
        "Shares plunged on fraud allegations",
        "Profit warning",
        "Not good",
        "Chipmaker fails to beat expectations",
        "Revenue didn't grow",
        "A quarter without growth or recovery",
        "Demand is slowing",
    ],
)
def test_bad_news_scores_below_zero(text: str) -> None:
    assert score(text) < -0.05


@pytest.mark.parametrize("text", ["", " \n\t", "Apple opens a store", "2020", "...", "😀 株式 \0"])
def test_a_text_without_a_listed_word_scores_zero(text: str) -> None:
    assert score(text) == 0.0


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        ("profits rise slightly", "profits rise"),
        ("profits rise", "profits rise sharply"),
        ("not good", "good"),
        ("good", "very good"),
        ("very bad", "bad"),
        ("bad", "not bad"),
        ("not good at all for the bank", "bad, good"),
    ],
)
def test_intensity_and_negation_order_texts(weaker: str, stronger: str) -> None:
    assert score(weaker) < score(stronger)


def test_a_rule_does_not_reach_over_punctuation() -> None:
    assert score("no, growth") == score("growth")
    assert score("growth. sharply") == score("growth")
    assert score("no growth") < 0


def test_a_rule_does_not_reach_further_than_three_words() -> None:
    assert score("not one two growth") < 0
    assert score("not one two three growth") == score("growth")


def test_writing_does_not_matter() -> None:
    plain = score("isn't strong")
    assert plain < 0
    assert score("ISN\u2019T STRONG") == score("\uff49\uff53\uff4e't strong") == plain


def test_a_long_text_is_scored_within_bounds_and_quickly() -> None:
    begin = time.perf_counter()
    for text in ("surge " * 1700, "plunge " * 1500, "x" * 10_000, "n't" * 3400, "very " * 2000):
        assert -1 <= score(text) <= 1
    assert time.perf_counter() - begin < 2
    assert score("surge " * 1700) == pytest.approx(1)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_has_one_score_within_bounds(text: str) -> None:
    assert -1 <= score(text) <= 1
    assert LexiconModel().score([text, text]) == [score(text)] * 2


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_others_in_a_batch_do_not_matter(seed: int) -> None:
    texts = ["profits soar", "no profits", "loss", "a fine day", "record profits"]
    alone = {text: score(text) for text in texts}
    random.Random(seed).shuffle(texts)
    assert dict(zip(texts, MODEL.score(texts), strict=True)) == alone


def test_the_lexicon_is_consistent() -> None:
    lexicon = read_lexicon()
    assert len(lexicon.polarity) > 150
    assert all(0 < abs(value) <= 1 for value in lexicon.polarity.values())
    assert all(0 < factor < 2 for factor in lexicon.intensity.values())
    listed = [*lexicon.polarity, *lexicon.negations, *lexicon.intensity]
    assert len(set(listed)) == len(listed)
    assert all(len(expression.split()) <= 2 for expression in listed)


def test_every_listed_polarity_is_found_in_its_own_text() -> None:
    for expression, value in read_lexicon().polarity.items():
        assert score(expression) * value > 0, expression


def test_vader_scores_when_it_is_installed() -> None:
    pytest.importorskip("vaderSentiment", reason="vaderSentiment is not installed")
    good, bad = build_sentiment_model("vader").score(["great success", "horrible disaster"])
    assert -1 <= bad < 0 < good <= 1


def test_vader_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentiment, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package vaderSentiment"):
        build_sentiment_model("vader")


class Constant:
    def __init__(self, *scores: object) -> None:
        self.scores = scores

    def score(self, texts: Sequence[str]) -> list[object]:
        return list(self.scores)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("own_sentiment_model")
    module.build = lambda: Constant(0.5)  # type: ignore[attr-defined]
    module.number = lambda: 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_sentiment_model", module)
    return "own_sentiment_model"


def test_a_model_of_ones_own_is_built_by_its_callable(own_module: str) -> None:
    model = build_sentiment_model(f"{own_module}:build")
    assert isinstance(model, SentimentModel)
    assert score_texts(model, ["x", "x"]) == {"x": 0.5}


@pytest.mark.parametrize("name", ["absent", "number"])
def test_a_callable_that_gives_no_model_is_refused(own_module: str, name: str) -> None:
    with pytest.raises(UserError, match="expected a callable of own_sentiment_model"):
        build_sentiment_model(f"{own_module}:{name}")


def test_a_module_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(UserError, match=r"no_such_package\.model cannot be imported"):
        build_sentiment_model("no_such_package.model:build")


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ((), "returned 0 scores for 1 texts"),
        ((0.1, 0.2), "returned 2 scores for 1 texts"),
        ((1.01,), r"with 1\.01; expected a number from -1 to 1"),
        ((float("nan"),), "with nan"),
        (("good",), "with 'good'"),
        ((None,), "with None"),
    ],
)
def test_a_model_that_answers_with_no_score_is_refused(
    scores: tuple[object, ...], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        score_texts(Constant(*scores), ["x"])  # type: ignore[arg-type]
