"""Writes the seeds of the fuzz targets. Run it after a message was added or a layout changed; the
files belong into the repository.

frames_fuzz has, for every message that a client sends, a frame that does something; answers_fuzz
the answers of a whole conversation, each once wrong; ledger_fuzz a patch of each field that
matters.
"""

from __future__ import annotations

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"

Field = int | bytes | tuple[int, bytes]  # a number, a text, or an array with its count
KEY_1, KEY_2 = bytes(range(32)), bytes(range(32, 64))
KEYS = (2, KEY_1 + KEY_2)
NO_KEYS = (0, b"")
ALL = (0, 0, 0, b"", NO_KEYS)  # a selector that matches everything
SIGHTING = (1, struct.pack("<IIQ", 0, 0, 0x102))


def payload_of(*fields: Field) -> bytes:
    """Encode fields as lib/wire/codec.h does."""
    payload = b""
    for field in fields:
        if isinstance(field, int):
            payload += struct.pack("<Q", field)
            continue
        count, run = field if isinstance(field, tuple) else (len(field), field)
        payload += struct.pack("<Q", count) + run + bytes(-len(run) % 8)
    return payload


def frame(opcode: int, request: int, *fields: Field) -> bytes:
    """Encode one frame."""
    payload = payload_of(*fields)
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

FRAMES: dict[str, bytes] = {
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


PUSHED, MORE, CUT_OFF = 1, 2, 4
FAULT, DONE = 4, 5


def answer(opcode: int, *fields: Field, flags: int = 0) -> bytes:
    """Encode one answer as answers_fuzz reads it."""
    payload = payload_of(*fields)
    return struct.pack("<BBHI", flags, 0, opcode, len(payload)) + payload


def grants(outcome: int, offset: int = 0) -> bytes:
    """Encode a Granted of four items."""
    items = [
        struct.pack("<IIQQIIII", outcome, n, 257, offset + n * 4096, 4096, 0, 0, 0)
        for n in range(4)
    ]
    return answer(17, (4, b"".join(items)))


EVENT = answer(
    65,
    (1, struct.pack("<QQIiIIQQQII", 1, 2, 1, 0, 0, 0, 3, 0, 0, 0, 0) + bytes(64)),
    flags=PUSHED | MORE,
)
FOUND = answer(21, (4, struct.pack("<IIII", 1, 0, 0, 0) * 4))
TEXT = answer(50, b'{"objects": 1}')
LISTED = answer(
    52, 0, (1, KEY_1 + KEY_2 + struct.pack("<6I2Q", 0, 0, 1, 0, 0, 1, 5, 6) + bytes(64))
)
QUOTAS = answer(58, 0, (1, b"salt".ljust(256, b"\0") + struct.pack("<QQII", 9, 8, 1, 0)))
# The answers to what the client asks, in its order.
CONVERSATION = [
    *(answer(DONE, 0), answer(8, 0), FOUND, grants(1), grants(6, 16384)),
    *(TEXT, LISTED, QUOTAS, answer(54, 1, 2, 3), answer(DONE, 1), EVENT + answer(DONE, 0)),
]
WHOLE = b"".join(CONVERSATION)


def with_answer(place: int, other: bytes) -> bytes:
    """Return the conversation with one answer replaced."""
    return b"".join([*CONVERSATION[:place], other, *CONVERSATION[place + 1 :]])


ANSWERS: dict[str, bytes] = {
    "whole": WHOLE,
    "refused": answer(FAULT, (1 << 64) - 8, b"because"),
    "fault_without_code": answer(DONE, 0) + answer(FAULT, 7, b"?"),
    "other_opcode": answer(8, 0),
    "too_few_found": with_answer(2, answer(21, (1, bytes(16)))),
    "too_many_grants": with_answer(3, answer(17, (5, bytes(200)))),
    "grants_outside": with_answer(3, grants(1, 1 << 20)),
    "grants_far_outside": with_answer(4, grants(6, (1 << 64) - 16384)),
    "count_without_bytes": with_answer(3, answer(17, (1 << 61, b""))),
    "text_with_nul": with_answer(5, answer(50, b"a\0b")),
    "more_listed_than_asked": with_answer(6, answer(52, 0, (9, bytes(9 * 168)))),
    "quota_without_end": with_answer(7, answer(58, 0, (1, b"x" * 280))),
    "cut_off": answer(DONE, 0, flags=CUT_OFF),
}

HEADER, SPACES, TENANTS, INDEX, RECORDS = range(5)
RECORD_BYTES = 192


def patch(table: int, offset: int, value: int, width: int = 4) -> bytes:
    """Encode one patch as ledger_fuzz reads it; `offset` in bytes from the table on."""
    return struct.pack("<BBHQ", table, {1: 0, 4: 1, 8: 2}[width], offset // 4, value)


def record(number: int, field: int, value: int, width: int = 4) -> bytes:
    """Patch a field of a record (lib/ledger/layout.h)."""
    return patch(RECORDS, number * RECORD_BYTES + field, value, width)


LEDGERS: dict[str, bytes] = {
    "magic": patch(HEADER, 0, 1, 8),
    "version": patch(HEADER, 8, 0xFFFF),
    "arena_bytes": patch(HEADER, 48, 1 << 60, 8),
    "record_offset": patch(HEADER, 96, (1 << 64) - 64, 8),
    "bucket_count": patch(HEADER, 112, 3),
    "ranks": patch(SPACES, 4, 1 << 31),
    "groups": patch(SPACES, 8, 17),
    "salt": patch(TENANTS, 324, 1 << 20),
    "bucket": patch(INDEX, 0, (1 << 64) - 1, 8) + patch(INDEX, 8, 63, 8),
    "state": record(2, 0, 0x1FF, 8),
    "space": record(1, 56, 0x7FFF << 16),
    "circle": record(1, 60, 1) + record(2, 60, 1),
    "offset_past_the_end": record(3, 40, 1 << 40, 8),
    "two_owners": record(4, 40, 0, 8) + record(5, 40, 0, 8),
    "no_length": record(6, 48, 0),
    "all_the_arena": record(7, 48, (1 << 32) - 1),
    "part": record(8, 56, 0xFFFF),
    "tenant": record(9, 72, 16384),
    "forgotten": record(10, 140, 1),
    "record_high": patch(HEADER, 140, (1 << 32) - 1),
}


def main() -> None:
    """Write one file a seed."""
    corpora = {"frames_fuzz": FRAMES, "answers_fuzz": ANSWERS, "ledger_fuzz": LEDGERS}
    for target, seeds in corpora.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            (CORPUS / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
