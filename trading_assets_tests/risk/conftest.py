import pytest

from trading_assets_tests.risk.limit_cases import LIMITED, project


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Compile the kernels before an example of a property is timed."""
    for limits in (LIMITED, LIMITED.box_and_gross()):
        project(limits)
