"""`lmcd explain`: why a prompt missed."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Sequence
from typing import IO

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import print_json
from lmcd.derivation import Prompt
from lmcd.explain import Explainer, Finding
from lmcd.keys import KEY_BYTES, Keys

_SHOWN_DIGITS = 16


@click.command("explain")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option(
    "--tokens",
    "tokens_file",
    type=click.Path(path_type=pathlib.Path, allow_dash=True),
    help="File of token ids, as JSON or one after the other; - is the standard input.",
)
@click.option("--text", "text_file", type=click.File(), help="File of the prompt's text.")
@click.option("--tokenizer", help="Folder or name of the tokenizer that makes tokens of --text.")
@click.option("--salt", default="", help="The request's cache_salt.")
@click.option("--adapter", nargs=2, metavar="NAME PATH", help="The request's adapter.")
@click.option("--namespace", "space", type=click.IntRange(0), help="Only this namespace.")
@with_context
def command(
    context: Context,
    keys: tuple[str, ...],
    tokens_file: pathlib.Path | None,
    text_file: IO[str] | None,
    tokenizer: str | None,
    salt: str,
    adapter: tuple[str, str] | None,
    space: int | None,
) -> int:
    """Say why a prompt missed, in each namespace.

    A prompt is the token ids of a file, a text and its tokenizer, or the keys of its chunks in
    their order (of vLLM: the hash of each chunk's last block). The exit status is 1 unless some
    namespace has all of it.
    """
    given = [bool(keys), tokens_file is not None, text_file is not None]
    if sum(given) != 1:
        raise click.UsageError("explain takes one of KEY..., --tokens and --text")
    if (text_file is None) != (tokenizer is None):
        raise click.UsageError("--text and --tokenizer go together")
    with context.session() as session:
        explainer = Explainer(session)
        if keys:
            findings = list(explainer.of_keys(_keys_of(keys), space))
        else:
            tokens = (
                _tokens_of(tokens_file)
                if tokens_file is not None
                else _tokenized(text_file, str(tokenizer))
            )
            findings = list(explainer.of_prompt(Prompt(tokens, salt, adapter), space))
    if space is not None and not findings:
        raise click.UsageError(f"--namespace {space}: the daemon knows no such namespace")
    if context.as_json:
        print_json({"findings": findings})
    else:
        _print(findings)
    return 0 if any(one.chunks and one.missing is None for one in findings) else 1


def _print(findings: Sequence[Finding]) -> None:
    if not findings:
        click.echo("the daemon knows no namespace: nothing was ever stored")
    for one in findings:
        line = f"namespace {one.space}: "
        if one.chunks:
            line += f"{one.chunks_there} of {one.chunks} chunks, {one.tokens} tokens; "
        if one.missing is not None:
            line += f"chunk {one.chunks_there} ({one.missing.hex()[:_SHOWN_DIGITS]}) is not: "
        click.echo(line + one.reason)


def _keys_of(texts: Sequence[str]) -> Keys:
    for text in texts:
        if not re.fullmatch(f"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", text):
            raise click.UsageError(f"key {text!r}: takes {2 * KEY_BYTES} hexadecimal digits")
    return Keys(bytes.fromhex("".join(texts)))


def _tokens_of(file: pathlib.Path) -> list[int]:
    with click.open_file(str(file)) as stream:
        text = stream.read()
    try:
        tokens = json.loads(text) if text.lstrip().startswith("[") else text.split()
        return [int(token) for token in tokens]
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"--tokens {file}: must be token ids: {error}") from None


def _tokenized(file: IO[str] | None, name: str) -> list[int]:
    assert file is not None
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise click.UsageError("--tokenizer takes the package transformers") from None
    tokens: list[int] = AutoTokenizer.from_pretrained(name)(file.read())["input_ids"]
    return tokens
