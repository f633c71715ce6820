"""The Ed25519 key that signs an account's checkpoints: made on first use, readable by its owner."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from trading_assets.errors import DataError

_OWNER_ONLY = 0o600


class Signer:
    """Signs with a private key that it never shows.

    Parameters
    ----------
    key : Ed25519PrivateKey
        The key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"Signer(public_key={self.public_key!r})"

    @property
    def public_key(self) -> str:
        """The public key, 64 hexadecimal digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, text: str) -> str:
        """Return the signature of a text's UTF-8 bytes, 128 hexadecimal digits."""
        return self._key.sign(text.encode()).hex()


def is_signed_by(public_key: str, signature: str, text: str) -> bool:
    """Return whether a signature of a text was made with the key that belongs to a public key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def signer_of(pem: bytes, source: str) -> Signer:
    """Return the signer of a private key.

    Parameters
    ----------
    pem : bytes
        Unencrypted Ed25519 key as PEM (PKCS 8).
    source : str
        What messages call its place, such as a path or a variable's name.

    Raises
    ------
    DataError
        If it is no such key; the message does not show it.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        msg = (
            f"signing key in {source} was not readable; expected an unencrypted Ed25519 private key"
            " as PEM, so restore it, or move it away for a new one to be made"
        )
        # Without its cause, which might quote the key.
        raise DataError(msg) from None
    return Signer(key)


def load_signer(path: Path) -> Signer:
    """Return the signer of a key file, which is made if absent.

    Raises
    ------
    DataError
        If others than its owner may read the file, or it holds no Ed25519 key.
    """
    if not path.exists():
        _make_key(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~_OWNER_ONLY:
        msg = (
            f"signing key {path} had mode {mode:04o}; expected 0600, for its owner alone, so run"
            f" chmod 600 {path}"
        )
        raise DataError(msg)
    return signer_of(path.read_bytes(), str(path))


def _make_key(path: Path) -> None:
    """Write a new key under its name, unless another process is first."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".writing-{os.getpid()}-{path.name}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        aside.unlink()
