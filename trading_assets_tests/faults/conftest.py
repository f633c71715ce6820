"""Reasons why a sweep cannot run on a machine."""

import pytest

from trading_assets_tests.faults.system_calls import why_not


@pytest.fixture(scope="session")
def strace() -> None:
    """Skip where no fault can be put at a system call."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
