"""Writes the seeds of frames_fuzz: for every message that a client sends, one frame that does
something. Run it after a message was added; the files belong into the repository.
"""

from __future__ import annotations

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "frames_fuzz"

Field = int | bytes | tuple[int, bytes]  # a number, a text, or an array with its count
KEY_1, KEY_2 = bytes(range(32)), bytes(range(32, 64))
KEYS = (2, KEY_1 + KEY_2)
NO_KEYS = (0, b"")
ALL = (0, 0, 0, b"", NO_KEYS)  # a selector that matches everything
SIGHTING = (1, struct.pack("<IIQ", 0, 0, 0x102))


def frame(opcode: int, request: int, *fields: Field) -> bytes:
    """Encode one frame as lib/wire/codec.h does."""
    payload = b""
    for field in fields:
        if isinstance(field, int):
            payload += struct.pack("<Q", field)
            continue
        count, run = field if isinstance(field, tuple) else (len(field), field)
        payload += struct.pack("<Q", count) + run + bytes(-len(run) % 8)
    return struct.pack("<IHHQ", 16 + len(payload), opcode, 0, request) + payload


def reserve(lease: int, part: int = 0) -> bytes:
    """Encode a Reserve of both keys."""
    return frame(
        16, 10 + lease, lease, 0, part, 5000, 1, (1, bytes(32)), b"salt", KEYS, NO_KEYS, NO_KEYS
    )


def commit(lease: int) -> bytes:
    """Encode a Commit of all of a lease, with checksums."""
    return frame(18, 0, lease, NO_KEYS, (2, struct.pack("<II", 1, 2)))


STORED = reserve(1) + commit(1)

SEEDS: dict[str, bytes] = {
    "hello_again": frame(1, 9, 1, 1, 0, 0, 0, 0, b"again"),
    "alive": frame(3, 0, 0),
    "ping": frame(6, 9, 0),
    "namespace_open": frame(7, 9, 1, (1, struct.pack("<II", 0, 0)), b"other"),
    "reserve": reserve(1) + reserve(2),
    "commit": STORED + reserve(3) + commit(3),
    "commit_item": reserve(1) + frame(18, 0, 1, (1, struct.pack("<I", 1)), NO_KEYS),
    "abort": reserve(1) + frame(19, 0, 1),
    "lookup": STORED + frame(20, 9, 0, KEYS),
    "acquire": STORED + frame(22, 9, 7, 0, 0, 0, KEYS, NO_KEYS),
    "acquire_waits": reserve(1) + frame(22, 9, 7, 0, 0, 1000, KEYS, NO_KEYS) + commit(1),
    "acquire_posted": STORED + frame(23, 0, 8, SIGHTING) + frame(24, 0, 8),
    "release": STORED + frame(22, 9, 7, 0, 0, 0, KEYS, NO_KEYS) + frame(24, 0, 7),
    "touch": STORED + frame(25, 0, SIGHTING),
    "renew": frame(26, 0, (2, struct.pack("<QQ", 7, 8))),
    "stopped": frame(27, 0, 1, (1, struct.pack("<Q", 1))),
    "segment_open": frame(32, 9, 4096, 0, NO_KEYS, NO_KEYS, b"kv"),
    "segment_close": frame(34, 9, 1),
    "store": frame(
        35, 9, 1, 0, 0, 0, 1, NO_KEYS, b"", KEYS, NO_KEYS, (2, struct.pack("<II", 0, 1))
    ),
    "load": frame(36, 9, 1, 0, 0, 1, KEYS, NO_KEYS, (2, struct.pack("<II", 0, 1))),
    "cancel": frame(38, 9, 8),
    "stats": STORED + frame(48, 9, 0),
    "config": frame(49, 9, 0),
    "list": STORED + frame(51, 9, *ALL, 0, 16),
    "list_keys": STORED + frame(51, 9, 0, 0, 1, b"salt", KEYS, 0, 1),
    "clear": STORED + frame(53, 9, *ALL, 0),
    "clear_force": reserve(1) + frame(53, 9, *ALL, 1) + commit(1),
    "pin": STORED + frame(55, 9, *ALL, 1) + frame(55, 10, *ALL, 0),
    "quota_set": frame(56, 9, b"salt", 1, 1000) + reserve(1) + frame(56, 10, b"salt", 0, 0),
    "quota_list": STORED + frame(57, 9, 0, 16),
    "drain": frame(59, 9, 0),
    "reload": frame(60, 9, 0),
    "events_subscribe": frame(64, 9, 0) + STORED + frame(53, 10, *ALL, 1),
}


def main() -> None:
    """Write one file a seed."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, content in SEEDS.items():
        (CORPUS / name).write_bytes(content)


if __name__ == "__main__":
    main()
