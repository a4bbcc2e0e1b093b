"""How a command names objects: keys, a namespace, a tenant."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from lmcd.cli.output import DEFAULT_TENANT
from lmcd.keys import KEY_BYTES
from lmcd.operate import Operator, Selector

_LEAST_DIGITS = 8


def with_selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command KEY..., --namespace and --tenant, as a function that makes a Selector."""

    @click.argument("keys", nargs=-1, metavar="[KEY]...")
    @click.option("--namespace", "space", type=click.IntRange(0), help="Number of a namespace.")
    @click.option("--tenant", help=f"A tenant's cache_salt; {DEFAULT_TENANT} is the empty one.")
    @functools.wraps(function)
    def command(
        *arguments: Any,
        keys: tuple[str, ...],
        space: int | None,
        tenant: str | None,
        **options: Any,
    ) -> Any:
        def selector(operator: Operator) -> Selector:
            wanted = Selector(space, tenant_of(tenant))
            return Selector(space, tenant_of(tenant), find_keys(operator, wanted, keys) or None)

        return function(*arguments, selector=selector, **options)

    return command


def tenant_of(text: str | None) -> str | None:
    """Return the salt that an operator means."""
    return "" if text == DEFAULT_TENANT else text


def find_keys(operator: Operator, selector: Selector, texts: Sequence[str]) -> list[bytes]:
    """Return the keys that hexadecimal texts name, each in full or by its first digits.

    Raises UsageError for a text that is none, or names no object or several.
    """
    wanted = [_digits(text) for text in texts]
    whole = [text for text in wanted if len(text) == 2 * KEY_BYTES]
    if len(whole) < len(wanted):
        names = [one.key.hex() for one in operator.list(selector)]
        wanted = [text if text in whole else _only(text, names) for text in wanted]
    return [bytes.fromhex(text) for text in wanted]


def _digits(text: str) -> str:
    digits = text.lower()
    good = all(digit in "0123456789abcdef" for digit in digits)
    if not good or not _LEAST_DIGITS <= len(digits) <= 2 * KEY_BYTES:
        raise click.UsageError(
            f"key {text!r}: takes {_LEAST_DIGITS} to {2 * KEY_BYTES} hexadecimal digits"
        )
    return digits


def _only(start: str, names: Sequence[str]) -> str:
    found = {name for name in names if name.startswith(start)}
    if len(found) != 1:
        raise click.UsageError(f"key {start!r}: {len(found)} objects begin with it, must be one")
    return found.pop()
