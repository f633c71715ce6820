"""Addresses to which keys are sent: what a declaration may name in place of a vendor's own."""

from urllib.parse import urlsplit

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def keep_keys_secret(field: str, address: str, encrypted: str, plain: str) -> str:
    """Return `address` without a slash at its end, or refuse one that would give keys away.

    Parameters
    ----------
    field : str
        Name of the declared field.
    address : str
        What was declared.
    encrypted, plain : str
        Scheme that is expected, such as `https`, and the one that is for this machine only.

    Raises
    ------
    ValueError
        If it is no address of one of the schemes, holds more than an address, or is not encrypted
        and leads to another machine.
    """
    # `urlsplit` passes over line ends, and what it reads is not what is sent.
    if not address.isascii() or not address.isprintable() or " " in address or "\\" in address:
        msg = f"{field} holds a space, line end or other sign that no address has; write it anew"
        raise ValueError(msg)
    parts = urlsplit(address)
    if not parts.hostname or parts.port == 0 or parts.scheme not in (encrypted, plain):
        msg = f"{field} is no address; expected {encrypted}:// and a host"
        raise ValueError(msg)
    if parts.username is not None or parts.query or parts.fragment:
        msg = f"{field} holds more than an address; expected no user, password or query in it"
        raise ValueError(msg)
    if parts.scheme == plain and parts.hostname not in _LOOPBACK:
        msg = (
            f"{field} was {plain} to {parts.hostname}; expected {encrypted}, as keys travel to that"
            f" address ({plain} is for this machine only)"
        )
        raise ValueError(msg)
    return address.rstrip("/")
