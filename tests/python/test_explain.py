"""`lmcd explain` finds the reason for which a prompt misses: each is brought about, and named."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import pytest

import lmcd
from lmcd import Selector
from lmcd.cli import main
from lmcd.derivation import Prompt, Underivable, keys_of
from tests.python.daemon import Daemon, fresh_keys, store

TOKENS = [at * 7 % 500 for at in range(4 * 256 + 60)]


class Explain:
    """Runs the command on the prompt of the tests."""

    def __init__(
        self, daemon: Daemon, folder: pathlib.Path, capture: pytest.CaptureFixture[str]
    ) -> None:
        self._daemon = daemon
        self._capture = capture
        self._file = folder / "tokens.json"
        self._file.write_text(json.dumps(TOKENS))

    def __call__(self, *arguments: str, status: int = 1) -> list[dict[str, Any]]:
        """Return the findings."""
        command = ["explain", *arguments, "--json", "--socket", self._daemon.socket]
        if not any(len(one) == 64 for one in arguments):
            command += ["--tokens", str(self._file)]
        assert main(command) == status
        findings: list[dict[str, Any]] = json.loads(self._capture.readouterr().out)["findings"]
        return findings


@pytest.fixture
def explain(daemon: Daemon, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Explain:
    return Explain(daemon, tmp_path, capsys)


def store_prompt(space: lmcd.Namespace, salt: str = "", chunks: int = 4) -> lmcd.Keys:
    """Store the first chunks of the prompt; return the keys of all of them."""
    keys = space.chain(salt).extend(TOKENS)
    with space.reserve(keys[:chunks], length=4096, tenant=salt) as lease:
        lease.commit()
    space.session.ping()
    return keys


def test_a_prompt_that_is_there_is_found_by_tokens_and_by_keys(
    explain: Explain, space: lmcd.Namespace
) -> None:
    keys = store_prompt(space)
    for arguments in ([], keys.hex()):
        (one,) = explain(*arguments, status=0)
        assert (one["tokens"], one["chunks_there"], one["missing"]) == (1024, 4, None)


def test_what_was_never_stored_is_known_while_nothing_was_forgotten(
    explain: Explain, space: lmcd.Namespace
) -> None:
    keys = store_prompt(space, chunks=2)
    (one,) = explain()
    assert (one["tokens"], one["missing"]) == (512, keys[2].hex())
    assert one["reason"].startswith("never stored: ")
    other = fresh_keys(1)
    store(space, other)
    space.session.operator.clear(Selector(keys=other))
    (one,) = explain()
    assert one["reason"].startswith("never stored, or evicted: this daemon has forgotten 1 ")


def test_what_is_gone_before_chunks_that_are_there_was_evicted(
    explain: Explain, space: lmcd.Namespace
) -> None:
    keys = store_prompt(space)
    space.session.operator.clear(Selector(keys=keys[1:2]))
    (one,) = explain()
    assert one["tokens"] == 256
    assert one["reason"].startswith("evicted: 2 chunks behind it are there")


def test_another_salt_is_named(explain: Explain, space: lmcd.Namespace) -> None:
    store_prompt(space, "tenant-7")
    (one,) = explain("--salt", "tenant-8")
    assert one["reason"] == (
        "other salt: it is there for cache_salt 'tenant-7', not for 'tenant-8'"
    )
    explain("--salt", "tenant-7", status=0)


def vllm_text(**changed: str) -> str:
    """Return the text of a namespace of the connector for vLLM."""
    fields = {
        "engine": "vllm 0.32.0",
        "dtype": "torch.float32",
        "hash_tokens": "128",
        "chunk_tokens": "256",
        "hash": f"sha256 seed 7 pickle of Python {sys.version_info[0]}.{sys.version_info[1]}",
    }
    return "\n".join(f"{name}={value}" for name, value in {**fields, **changed}.items())


def test_another_fingerprint_is_named_by_the_fields_that_differ(
    explain: Explain, session: lmcd.Session
) -> None:
    here = session.namespace(vllm_text())
    there = session.namespace(vllm_text(dtype="torch.bfloat16"))
    keys = keys_of(there.description, Prompt(TOKENS), 0, "")
    assert len(keys) == 4
    store(there, keys)
    store(here, keys[:1])
    first, second = explain(status=0)
    assert first["tokens"] == 256
    assert first["reason"] == (
        f"other fingerprint: namespace {second['space']} has it, which differs in "
        "dtype (torch.float32 here, torch.bfloat16 there)"
    )
    assert second["missing"] is None
    (only,) = explain("--namespace", str(first["space"]))
    assert only == first


def test_an_object_of_which_a_rank_is_missing_is_partial(
    explain: Explain, session: lmcd.Session
) -> None:
    space = session.namespace("two ranks", rank_count=2)
    store_prompt(space)
    (one,) = explain()
    assert one["reason"] == "partial: 1 of 2 parts of it are stored"


def test_keys_that_cannot_be_made_here_are_not_guessed() -> None:
    for text in ("sha256 seed 7 pickle of Python 2.7", "sha256_cbor seed sha256:00", "md5 seed 1"):
        with pytest.raises(Underivable):
            keys_of(vllm_text(hash=text), Prompt(TOKENS), 256, "blake3")
    with pytest.raises(Underivable, match="with an adapter"):
        keys_of(vllm_text(adapter="x"), Prompt(TOKENS), 256, "blake3")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "explain takes one of KEY..., --tokens and --text"),
        (["00"], "takes 64 hexadecimal digits"),
        (["--tokens", "{file}"], "must be token ids"),
        (["--tokens", "{file}", "--tokenizer", "x"], "--text and --tokenizer go together"),
    ],
)
def test_a_wrong_question_is_told(
    daemon: Daemon,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    file = tmp_path / "words"
    file.write_text("one two")
    given = [one.format(file=file) for one in arguments]
    assert main(["explain", *given, "--socket", daemon.socket]) == 2
    assert said in capsys.readouterr().err
