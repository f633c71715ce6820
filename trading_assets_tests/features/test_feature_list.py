"""What `trading-assets features list` says."""

import re
import subprocess
import sys

import pytest

from trading_assets.cli import main
from trading_assets.features.catalogue import (
    FAMILIES,
    FEATURES,
    GROUPS,
    STANDARD,
    feature_of,
)
from trading_assets.features.feature_list import list_features
from trading_assets.features.pandas_ta_table import OUTPUTS
from trading_assets_tests.features.test_explain import bounds_of


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--group", "pandas_ta"], ["explain", "rsi_9"]]
)
def test_the_list_and_the_explanation_import_no_array_library(words: list[str]) -> None:
    program = (
        "import sys; from trading_assets.cli import main\n"
        f"assert main({['features', *words]}) == 0\n"
        "print('IMPORTED', *{'numpy', 'polars', 'dagster', 'pandas', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "IMPORTED"


def test_the_list_names_every_feature_family_and_group_once() -> None:
    sections = {section.title: section for section in list_features()}
    listed = [row[0] for group in GROUPS for row in sections[group].rows]
    assert sorted(listed) == sorted([*FEATURES, *OUTPUTS, "series_<name>"])
    assert [row[0] for row in sections["families"].rows] == list(FAMILIES)
    assert [row[0] for row in sections["groups"].rows] == list(GROUPS)
    assert {len(row) - len(s.header) for s in sections.values() for row in s.rows} == {0}


def test_the_groups_count_what_all_stands_for() -> None:
    rows = list_features()[-1].rows
    assert sum(int(row[2]) for row in rows) == len(STANDARD)
    assert sum(int(row[1]) for row in rows) == len(FEATURES) + len(OUTPUTS)


def test_a_group_is_listed_with_its_families_only() -> None:
    group, families = list_features("oscillators")
    assert "rsi_14" in [row[0] for row in group.rows]
    assert {row[1] for row in families.rows} == {"oscillators"}
    row = next(row for row in families.rows if row[0] == "stochastic_k")
    assert row[2] == bounds_of("stochastic_k")
    assert len(row[2].split(", ")) == 2


def test_a_row_says_lookback_warm_up_and_whether_it_is_scaled() -> None:
    rows = {row[0]: row for section in list_features() for row in section.rows}
    assert rows["momentum_12_1"][2:6] == ("253", "315", "yes", "yes")
    assert rows["weekday_sin"][2:6] == ("1", "1", "no", "yes")
    assert rows["book_imbalance"][2:6] == ("1", "63", "yes", "no")


def test_what_is_piped_is_plain_lines_that_no_width_breaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["features", "list", "--group", "trend"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if line.startswith("macd_signal "))
    assert line.endswith(feature_of("macd_signal").formula)
    assert "\x1b" not in "".join(lines)


def test_in_a_terminal_no_line_is_wider_than_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "100"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    assert main(["features", "list", "--group", "trend"]) == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= 100
    assert "macd_signal" in shown


@pytest.mark.parametrize("width", [40, 80])
def test_in_a_narrow_terminal_a_formula_has_lines_of_its_own(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", str(width)), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    assert main(["features", "list"]) == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= width
    for name in ("macd_line", "log_return_21", "ta_kama"):
        entry = re.search(rf"^{name}\b.*\n((?:    .*\n)+)", shown, re.M)
        assert entry
        assert feature_of(name).formula in " ".join(entry[1].split())
    assert "" not in [line.strip() for line in shown.partition("families")[2].splitlines()[1:9]]
