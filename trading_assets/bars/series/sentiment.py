"""Scores of headlines: the protocol of a sentiment model and the one place that chooses.

The lexicon is this project's own short list of words and phrases, `finance_lexicon.csv`.
"""

import csv
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from trading_assets.bars.own_modules import import_own_module
from trading_assets.errors import DataError, UserError

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?]")
_NEGATION_REACH = 3
# A negated word says less than its opposite: "not good" is milder than "bad".
_NEGATED = -0.75
_INTENSITY_REACH = 2
_LONGEST_WORD = 30
# A batch's size must leave no trace, or the same headline would be stored as two revisions.
_SCORE_DECIMALS = 6


@runtime_checkable
class SentimentModel(Protocol):
    """Anything that scores texts, such as a transformer."""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return one score a text, -1 (bad news) to 1 (good news), the same at every call."""
        ...


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Values of words and of phrases of two words, by what they do to a text.

    Attributes
    ----------
    polarity : mapping
        -1 to 1, bad to good.
    negations : frozenset of str
        Expressions that turn the next words over.
    intensity : mapping
        Factors of the words beside an expression, above 1 to strengthen.
    """

    polarity: Mapping[str, float]
    negations: frozenset[str]
    intensity: Mapping[str, float]


class LexiconModel:
    """Scores by a list of words, with rules for negation and intensity.

    The score is ``tanh(sum of v_i)`` over the expressions found: v_i is the listed value, times
    -0.75 for each negation among the three words before it, times the factors of intensity words
    among the two before it and the one after it. Punctuation ends a rule's reach. Words match in
    their simple inflected forms too, such as `plunged` for `plunge`.
    """

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self._lexicon = lexicon or read_lexicon()

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the scores of `texts`; 0 for a text without a listed word."""
        return [math.tanh(math.fsum(self._values(text))) for text in texts]

    def _values(self, text: str) -> Iterator[float]:
        expressions = list(self._expressions(words(text)))
        for position, expression in enumerate(expressions):
            value = self._lexicon.polarity.get(expression)
            if value is None:
                continue
            earliest = max(0, position - _NEGATION_REACH)
            before = _until_punctuation(reversed(expressions[earliest:position]))
            after = _until_punctuation(iter(expressions[position + 1 : position + 2]))
            turned = sum(word in self._lexicon.negations for word in before)
            beside = [*before[:_INTENSITY_REACH], *after]
            factor = math.prod(self._lexicon.intensity.get(word, 1.0) for word in beside)
            yield value * factor * _NEGATED**turned

    def _expressions(self, tokens: Sequence[str]) -> Iterator[str]:
        """Join listed phrases and reduce words to their listed forms."""
        position = 0
        while position < len(tokens):
            pair = self._phrase(tokens[position : position + 2])
            yield pair or self._listed(tokens[position])
            position += 2 if pair else 1

    def _phrase(self, pair: Sequence[str]) -> str | None:
        if len(pair) < 2:
            return None
        forms = (f"{a} {b}" for a in _base_forms(pair[0]) for b in _base_forms(pair[1]))
        return next((phrase for phrase in forms if self._is_listed(phrase)), None)

    def _listed(self, token: str) -> str:
        if token.endswith("n't"):
            return "not"
        return next((form for form in _base_forms(token) if self._is_listed(form)), token)

    def _is_listed(self, expression: str) -> bool:
        lexicon = self._lexicon
        return (
            expression in lexicon.polarity
            or expression in lexicon.negations
            or expression in lexicon.intensity
        )


class VaderModel:
    """VADER's compound score, by the optional package `vaderSentiment`.

    Source: Hutto and Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
    Social Media Text, ICWSM 2014.
    """

    def __init__(self) -> None:
        if find_spec("vaderSentiment") is None:
            msg = (
                "the sentiment model vader needs the package vaderSentiment, which is not"
                " installed; install it with pip, or choose the model lexicon"
            )
            raise UserError(msg)
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self._analyzer = SentimentIntensityAnalyzer()

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the compound scores of `texts`."""
        return [float(self._analyzer.polarity_scores(text)["compound"]) for text in texts]


def build_sentiment_model(name: str) -> SentimentModel:
    """Return the model `lexicon`, `vader`, or what `package.module:callable` returns.

    Raises
    ------
    UserError
        If there is no such model or package, or the callable returns something without `score`.
    """
    if name == "lexicon":
        return LexiconModel()
    if name == "vader":
        return VaderModel()
    module_name, _, attribute = name.partition(":")
    module = import_own_module(module_name, "model's module")
    factory = getattr(module, attribute, None)
    model = factory() if callable(factory) else None
    if not isinstance(model, SentimentModel):
        msg = (
            f"model was {name!r}; expected a callable of {module_name} that returns an object with"
            " score(texts)"
        )
        raise UserError(msg)
    return model


def score_texts(model: SentimentModel, texts: Sequence[str]) -> dict[str, float]:
    """Return the score of each distinct text, rounded to six decimals.

    Raises
    ------
    DataError
        If the model answers with another count of scores, or with one outside -1 to 1.
    """
    distinct = sorted(set(texts))
    # A model of a user's own may return anything.
    scores = cast("Sequence[object]", model.score(distinct)) if distinct else []
    if len(scores) != len(distinct):
        msg = (
            f"the sentiment model returned {len(scores)} scores for {len(distinct)} texts; expected"
            " one each, so correct its score(texts)"
        )
        raise DataError(msg)
    checked: dict[str, float] = {}
    for text, score in zip(distinct, scores, strict=True):
        if not isinstance(score, int | float) or not -1 <= score <= 1:
            msg = (
                f"the sentiment model scored {text[:60]!r} with {score!r}; expected a number from"
                " -1 to 1, so correct its score(texts)"
            )
            raise DataError(msg)
        checked[text] = round(float(score), _SCORE_DECIMALS)
    return checked


def words(text: str) -> list[str]:
    """Return the words of `text`, in lower case and one Unicode form, and its punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold())


@lru_cache(maxsize=1)
def read_lexicon() -> Lexicon:
    """Return the words and phrases of `finance_lexicon.csv`."""
    kinds: dict[str, dict[str, float]] = {"polarity": {}, "negation": {}, "intensity": {}}
    table = Path(__file__).with_name("finance_lexicon.csv")
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            kinds[row["kind"]][row["expression"]] = float(row["value"] or 0)
    return Lexicon(kinds["polarity"], frozenset(kinds["negation"]), kinds["intensity"])


def _until_punctuation(expressions: Iterator[str]) -> list[str]:
    reached: list[str] = []
    for expression in expressions:
        if not expression[0].isalnum():
            break
        reached.append(expression)
    return reached


@lru_cache(maxsize=20_000)
def _base_forms(token: str) -> tuple[str, ...]:
    """Return a word and what it may be an inflected form of: plunged, plunging -> plunge."""
    forms = [token]
    if len(token) > _LONGEST_WORD:
        return (token,)
    for ending, repairs in (
        ("ies", ("y",)),
        ("ied", ("y",)),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ed", ("", "e")),
        ("ing", ("", "e")),
    ):
        stem = token.removesuffix(ending)
        if stem == token or len(stem) < 3:
            continue
        forms.extend(stem + repair for repair in repairs)
        if ending in {"ed", "ing"} and stem[-1] == stem[-2]:
            forms.append(stem[:-1])
    return tuple(dict.fromkeys(forms))
