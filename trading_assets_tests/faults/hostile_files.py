"""Contents that are put in a model file's place: pickles that run code, archives, odd headers."""

import io
import json
import pickle
import pickletools
import struct
import tarfile
import zipfile
from pathlib import Path


class Payload:
    """Leaves a canary where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (exec, (f"open({str(self.canary)!r}, 'w').close()",))


def pickled(canary: Path, protocol: int = 4) -> bytes:
    return pickle.dumps(Payload(canary), protocol)


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _tensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def hostile_files(canary: Path) -> dict[str, bytes]:
    """Return hostile contents by what they are; a payload in them would write `canary`."""
    bomb = pickled(canary)
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    huge = {**entry, "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}
    return {
        "empty": b"",
        "a pickle": bomb,
        "an old pickle": pickled(canary, 0),
        "a pickle, optimised": pickletools.optimize(bomb),
        # As torch and stable-baselines3 write their files.
        "a torch archive with a pickle": zipped(
            **{"archive/data.pkl": bomb, "archive/version": b"3"}
        ),
        "an agent's archive with a pickle": zipped(**{"data": bomb, "policy.pth": bomb}),
        "an archive that climbs": zipped(**{"../../canary": b"x", "/canary": b"x"}),
        "an archive of 64 MB of zeros": zipped(zeros=bytes(2**26)),
        "a tar that climbs": _tar("../../canary", b"x"),
        "an array file with objects": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': (1,)}"
        + bomb,
        "a header longer than the file": struct.pack("<Q", 2**60) + b"{}",
        "a header of 99 MB": struct.pack("<Q", 99_000_000) + b"{}",
        "a header that is no JSON": struct.pack("<Q", 8) + b"not json",
        "a header that is a list": _tensors([1, 2]),
        "tensors of 2^60 numbers": _tensors({"action.bias": huge}, bytes(8)),
        "tensors that overlap": _tensors({"a": entry, "b": entry}, bytes(8)),
        "tensors that end early": _tensors({"a": {**entry, "data_offsets": [0, 4]}}, bytes(8)),
        "JSON 100,000 deep": b"[" * 100_000,
        "objects 100,000 deep": b'{"a":' * 100_000,
        "a number of 10,000 digits": b'{"format": ' + b"9" * 10_000 + b"}",
        "a number that is none": b'{"format": NaN}',
        "a list": b"[1]",
        "an empty object": b"{}",
        "text of another encoding": '{"format": 1}'.encode("utf-16"),
        "half a character": b'{"format": "\xc3',
    }
