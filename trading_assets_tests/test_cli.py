"""The command line towards the shell it runs in."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["list"], ["explain", "rsi_14"]])
def test_a_reader_that_has_gone_ends_a_command_without_a_complaint(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = (
        f"import sys; from trading_assets.cli import main; sys.exit(main({['features', *words]}))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
