"""A user's mistake as Dagster's own commands report it: one sentence and exit code 2."""

import click

from trading_assets.errors import UserError


class Refusal(UserError, click.ClickException):
    """What a user asked for or declared cannot be done; no traceback is printed for it."""

    exit_code = 2
