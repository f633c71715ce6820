"""A mutant that is caught and one that survives are told apart, and each is one of this code."""

from dataclasses import replace
from pathlib import Path

import pytest

from trading_assets_tests.benchmarks.figures import REPOSITORY
from trading_assets_tests.faults.mutant_list import MUTANTS
from trading_assets_tests.faults.mutants import apply, sweep_mutants

CAUGHT = next(mutant for mutant in MUTANTS if mutant.name == "a status moves back")


def test_every_mutant_changes_code_that_is_there_once_and_names_tests_that_are() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
    for mutant in MUTANTS:
        assert (REPOSITORY / mutant.file).read_text().count(mutant.old) == 1, mutant.name
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert f"def {name}(" in (REPOSITORY / file).read_text(), test


def test_a_mutant_that_changes_nothing_survives_and_another_is_caught(tmp_path: Path) -> None:
    harmless = replace(CAUGHT, name="nothing is broken", new=CAUGHT.old)
    tally = sweep_mutants(tmp_path, [CAUGHT, harmless])
    assert tally.tried == 2
    assert list(tally.harmed) == ["nothing is broken"]


def test_code_that_is_gone_cannot_be_broken(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("a = 1\n")
    with pytest.raises(ValueError, match="0 times"):
        apply(tmp_path, replace(CAUGHT, file="one.py"))


@pytest.mark.slow
def test_every_mutant_turns_a_test_red(tmp_path: Path) -> None:
    tally = sweep_mutants(tmp_path)
    assert not tally.harmed, tally.describe()
