"""A sample of hostile input for each entry, the same on every machine; the whole takes minutes."""

from pathlib import Path

import pytest

from trading_assets_tests.fuzz.harness import Target, run_target
from trading_assets_tests.fuzz.targets import TARGETS, run_all

FEWEST_TRIED = 100_000


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hostile_input_is_refused_in_a_sentence_and_good_input_taken_unchanged(
    target: Target, tmp_path: Path
) -> None:
    outcome = run_target(target, target.quick, tmp_path / "folder", number=0)
    assert not outcome.failures, "\n".join([outcome.describe(), *outcome.failures])


@pytest.mark.slow
def test_a_hundred_thousand_hostile_inputs_do_no_harm(tmp_path: Path) -> None:
    outcomes = run_all(tmp_path, number=1)
    failures = [f"{each.name}: {text}" for each in outcomes for text in each.failures]
    assert not failures, "\n".join(failures)
    assert sum(each.counts.tried for each in outcomes) >= FEWEST_TRIED
