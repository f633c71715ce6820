from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import polars as pl

from trading_assets.features.newey_west import two_sided_p
from trading_assets.features.quality_plots import count_trials, draw_correlations, draw_quality


def quality_rows(t: Sequence[float | None], p_holm: Sequence[float | None]) -> pl.DataFrame:
    count = len(t)
    return pl.DataFrame(
        {
            "feature": [f"feature_{row}" for row in range(count)],
            "coverage": [1.0] * count,
            "rank_ic": [None if value is None else 0.01 * value for value in t],
            "t_newey_west": t,
            "ic_sessions": [751] * count,
            "lag_sessions": [10] * count,
            "p_value": [None if value is None else two_sided_p(value, 751, 10) for value in t],
            "p_holm": p_holm,
            "cluster": range(1, count + 1),
        },
        schema_overrides={
            **dict.fromkeys(("rank_ic", "t_newey_west", "p_value", "p_holm"), pl.Float64),
            "cluster": pl.Int64,
        },
        strict=False,
    )


def texts(svg: str) -> list[str]:
    namespace = "{http://www.w3.org/2000/svg}"
    return [
        "".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{namespace}text")
    ]


def test_the_sentence_says_how_many_features_look_good_by_chance():
    t = [4.5, -2.5, *[0.3] * 48, None]
    trials = count_trials(quality_rows(t, [0.002, 0.4, *[1.0] * 48, None]))
    assert trials.features == 51
    assert trials.judged == trials.clusters == 50
    assert "50 features in 50 clusters judged" in trials.sentence
    assert "2 with |t| > 2, where 2.4 are expected if all are worthless" in trials.sentence
    assert trials.sentence.endswith("1 significant at 5 %: feature_0.")


def test_the_sentence_names_the_strongest_few_of_many():
    t = [3.0 + row for row in range(9)]
    trials = count_trials(quality_rows(t, [0.01] * 9))
    assert trials.significant[0] == "feature_8"
    assert trials.sentence.endswith(
        "9 significant at 5 %: feature_8, feature_7, feature_6, feature_5, feature_4, feature_3"
        " and 3 more."
    )


def test_the_sentence_says_when_nothing_was_found_or_could_be_judged():
    nothing = count_trials(quality_rows([0.5], [0.6]))
    assert nothing.sentence.startswith("1 feature in 1 cluster judged")
    assert nothing.sentence.endswith("none significant at 5 %.")
    trials = count_trials(quality_rows([None, None], [None, None]))
    assert trials.sentence == "None of 2 features has enough labelled sessions for a t."
    assert (trials.large, trials.large_by_chance, trials.significant) == (0, 0, ())


def test_the_drawing_of_rank_ics_has_the_same_bytes_and_bears_features_without_one():
    table = quality_rows([3.0, 0.0, None, -1.0], [0.01, 1.0, None, 1.0])
    svg = draw_quality(table)
    assert draw_quality(table) == svg
    names = [text for text in texts(svg) if text.startswith("feature_")]
    assert names == ["feature_0", "feature_1", "feature_3", "feature_2"]
    assert texts(svg).count("no rank-IC") == 1


def test_a_feature_with_a_large_t_is_marked_whatever_its_sign():
    def marked(t: Sequence[float]) -> int:
        return draw_quality(quality_rows(t, [1.0] * len(t))).count("fill: #2f81d6")

    assert marked([0.5, 1.9]) == 0
    assert marked([2.1, -2.1, 1.9]) == 2


def test_drawings_take_the_text_colour_of_the_page_and_no_ground():
    correlations = np.eye(2)
    for svg in (
        draw_quality(quality_rows([1.0], [1.0])),
        draw_correlations(correlations, ["a", "b"], pl.Series([1, 2])),
    ):
        assert svg.startswith('<svg role="img" aria-label=')
        assert "currentColor" in svg
        assert "#010203" not in svg
        assert "fill: #ffffff" not in svg
        assert "<dc:date>" not in svg


def test_the_drawing_of_correlations_outlines_clusters_and_leaves_features_without_one_out():
    correlations = np.array([[1.0, 0.9, np.nan], [0.9, 1.0, np.nan], [np.nan] * 3])
    names = ["a", "b", "c"]
    together, apart = ([1, 1, None], [1, 2, None])
    svg = draw_correlations(correlations, names, pl.Series(together))
    assert draw_correlations(correlations, names, pl.Series(together)) == svg
    assert sorted(text for text in texts(svg) if text in names) == ["a", "a", "b", "b"]
    outline = "stroke-width: 1.2"
    assert svg.count(outline) == 1
    assert outline not in draw_correlations(correlations, names, pl.Series(apart))
    nothing = np.full((3, 3), np.nan)
    assert "<image" in svg
    assert "<image" not in draw_correlations(nothing, names, pl.Series([None] * 3))
