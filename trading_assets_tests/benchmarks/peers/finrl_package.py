"""FinRL without what it loads when it is imported: trading and training, Alpaca, WRDS and torch.

Yahoo's client, which the features import, is left empty.
"""

import importlib.util
import sys
from types import ModuleType


def enter_package() -> None:
    """Make FinRL's modules importable without running its package's own imports."""
    found = importlib.util.find_spec("finrl")
    if found is None:
        msg = "FinRL is not installed; install requirements.txt"
        raise RuntimeError(msg)
    sys.modules["finrl"] = importlib.util.module_from_spec(found)
    sys.modules["yfinance"] = ModuleType("yfinance")
