"""A byte-level tokenizer: a token is a byte of UTF-8, or one of a few marks between texts."""

from collections.abc import Iterable

BEGIN = 256
DOCUMENT = 257
USER = 258
ASSISTANT = 259
BYTES = 256  # tokens below this are bytes
VOCABULARY = 260


def encode(text: str) -> list[int]:
    """Return the tokens of `text`."""
    return list(text.encode())


def decode(tokens: Iterable[int]) -> str:
    """Return the text of `tokens`, without the marks; bytes that are no UTF-8 show as U+FFFD."""
    return bytes(token for token in tokens if token < BYTES).decode(errors="replace")
