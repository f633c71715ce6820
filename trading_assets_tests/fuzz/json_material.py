"""JSON as servers that err or attack send it: wrong types, extremes, and text that is none."""

from typing import Any

from hypothesis import strategies as st

from trading_assets_tests.fuzz.material import HOSTILE_INTEGERS, floats, names, texts

GOOD_TIMES = ("2024-05-01T14:30:00Z", "2024-05-01T14:30:00.123456789Z", "2024-05-01T09:30:00-05:00",
              "2024-11-03T05:59:00+00:00")  # fmt: skip
BAD_TIMES = ("2024-05-01T14:30:00", "2024-05-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
             "2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z", "1714573800", "now", "2024-05-01T14:30:00+99:99",
             "2024-W18-3T14:30:00Z", "0000-01-01T00:00:00Z")  # fmt: skip


def wrong_values() -> st.SearchStrategy[Any]:
    """Return values of any type that JSON has, most of them wrong wherever they stand."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(HOSTILE_INTEGERS),
        floats(),
        names(),
        texts(),
        st.sampled_from(GOOD_TIMES + BAD_TIMES),
    )
    return st.one_of(
        leaves,
        leaves,
        st.lists(leaves, max_size=2),
        st.dictionaries(st.sampled_from(("T", "S", "t", "x")), leaves, max_size=2),
    )


def altered(values: dict[str, Any], changes: list[tuple[int, str, Any]]) -> dict[str, Any]:
    """Return an object after fields of it, counted round, were replaced, removed or added."""
    found = dict(values)
    for place, act, value in changes:
        keys = sorted(found)
        if not keys:
            break
        key = keys[place % len(keys)]
        if act == "remove":
            del found[key]
        elif act == "add":
            found[f"{key}x"] = value
        else:
            found[key] = value
    return found


def changes(most: int = 2) -> st.SearchStrategy[list[tuple[int, str, Any]]]:
    """Return what `altered` takes; often nothing."""
    change = st.tuples(
        st.integers(0, 12), st.sampled_from(("replace", "replace", "remove", "add")), wrong_values()
    )
    return st.one_of(st.just([]), st.lists(change, max_size=most))


def apt(values: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return the object with one field replaced by a hostile value of that field's own type."""
    extremes = (
        10**400,
        -(10**400),
        2**63,
        -1,
        0,
        5e-324,
        1.8e308,
        float("nan"),
        float("inf"),
        True,
    )
    numbers = st.one_of(
        st.sampled_from(extremes),
        st.sampled_from(extremes),
        st.sampled_from(HOSTILE_INTEGERS),
        floats(),
    )
    times = st.sampled_from(GOOD_TIMES + BAD_TIMES)
    days = st.sampled_from(
        ("0001-01-01", "9999-12-31", "2024-02-30", "1989-12-31", "2036-01-01", "20240501")
    )
    pools = {
        name: numbers
        if isinstance(value, int | float)
        else times
        if str(value).startswith("2024") and "T" in str(value)
        else days
        if str(value).startswith("2024")
        else names()
        for name, value in values.items()
    }
    return st.sampled_from(sorted(values)).flatmap(
        lambda name: pools[name].map(lambda value: {**values, name: value})
    )
