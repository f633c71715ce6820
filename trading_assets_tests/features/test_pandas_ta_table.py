import subprocess
import sys

import pytest

from trading_assets.errors import UserError
from trading_assets.features import pandas_ta_adapter as adapter
from trading_assets.features import pandas_ta_table as table
from trading_assets.features.adjustment import adjust_forward
from trading_assets.features.pandas_ta_rows import REFUSED
from trading_assets.features.pandas_ta_table import OUTPUTS, output_of
from trading_assets_tests.features.synthetic_bars import make_bars

_, LIBRARY = adapter._libraries()


def library_names() -> set[str]:
    patterns = {f"cdl_{name}" for name in LIBRARY.ALL_PATTERNS}
    return patterns.union(*LIBRARY.Category.values())


def test_every_indicator_of_the_library_is_either_offered_or_refused():
    offered = {output.indicator for output in OUTPUTS.values()}
    refused = set(REFUSED) & library_names()
    assert offered | refused == library_names()
    assert not offered & refused


def test_every_column_of_an_offered_indicator_is_offered_or_refused():
    bars = adjust_forward(make_bars(("AAA",), 500), ())
    known: dict[str, list[str]] = {}
    for output in OUTPUTS.values():
        known.setdefault(output.indicator, []).extend(output.columns or ("",))
    for name in set(REFUSED) - library_names() - {"ichimoku_chikou"}:
        known[name.rpartition("_")[0]].append(name)
    for indicator, names in known.items():
        output = next(o for o in OUTPUTS.values() if o.indicator == indicator)
        columns = adapter._call_library(output, bars)
        arrays = {id(column) for column in columns.values()}
        assert len(arrays) == len(names) == len(set(names)), indicator


def test_names_are_unique_and_say_their_indicator():
    names = [output.name for output in (*table._outputs_of_rows(), *table._outputs_of_patterns())]
    assert len(names) == len(set(names)) == len(OUTPUTS)
    for name, output in OUTPUTS.items():
        assert name == f"ta_{output.indicator}" or name.startswith(f"ta_{output.indicator}_")
        assert name == name.lower()
        assert 1 <= output.lookback_bars <= 442
        assert output.description
        assert output.unit
        assert set(output.inputs) <= {"open", "high", "low", "close", "volume"}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_name_says_why(name: str):
    with pytest.raises(UserError) as refusal:
        output_of(f"ta_{name}")
    assert str(refusal.value).startswith(f"feature ta_{name} {REFUSED[name]}; expected")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ta_rsii", "did you mean ta_rsi?"),
        ("ta_adx", "did you mean ta_adx_adx or ta_adx_plus or ta_adx_minus?"),
        ("ta_kvo_signal", "remembers more bars"),
        ("qqqqqqqqq", "choose another"),
    ],
)
def test_an_unknown_name_is_refused_with_what_may_be_meant(name: str, hint: str):
    with pytest.raises(UserError) as refusal:
        output_of(name)
    assert hint in str(refusal.value)


def test_the_table_loads_no_array_library():
    heavy = "{'numpy', 'pandas', 'polars', 'pandas_ta_classic'} & set(sys.modules)"
    code = f"import sys, trading_assets.features.pandas_ta_table; print({heavy} or 'none')"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "none"
