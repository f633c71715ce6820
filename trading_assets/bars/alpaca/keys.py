"""The key pair of an Alpaca account, as its interfaces want it."""

from collections.abc import Mapping

from trading_assets.errors import MissingKeyError, UserError

KEY_NAMES = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")


def read_keys(
    credentials: Mapping[str, str], needed_by: str = "the alpaca source"
) -> tuple[str, str]:
    """Return the two halves of the key pair among `credentials`.

    Parameters
    ----------
    credentials : mapping of str to str
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY`.
    needed_by : str
        What the message names if one is missing.

    Raises
    ------
    MissingKeyError
        If one is absent or empty.
    UserError
        If one cannot be a key, which the network would answer with a riddle.
    """
    missing = [name for name in KEY_NAMES if not credentials.get(name)]
    if missing:
        msg = (
            f"{needed_by} needs {' and '.join(missing)}, not set in the environment;"
            " set it to a key of your Alpaca paper account"
        )
        raise MissingKeyError(msg)
    api_key, secret_key = (credentials[name] for name in KEY_NAMES)
    for name, key in zip(KEY_NAMES, (api_key, secret_key), strict=True):
        if not key.isascii() or not key.isprintable() or " " in key:
            msg = f"{name} holds a space, line end or other sign no key has; set it anew"
            raise UserError(msg)
    return api_key, secret_key
