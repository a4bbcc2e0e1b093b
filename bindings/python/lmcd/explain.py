"""Why a prompt missed, in each namespace that the daemon knows.

What there is of a prompt is compared with what there would be if something were different: another
salt, another namespace, which then differs in named fields. Where nothing of that explains it, the
chunk was never stored here or has been forgotten; chunks that are there behind it prove the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmcd.derivation import Prompt, Underivable, chunk_tokens_of, fields_of, keys_of
from lmcd.keys import Keys
from lmcd.operate import Listed, Operator, Selector
from lmcd.session import Session

_BATCH = 512
_SHOWN = 60  # of a value that differs


@dataclass(frozen=True)
class Finding:
    """What of a prompt can be read in one namespace, and why not more.

    `missing` is the first key that is not whole; None where nothing is missing. **Units**: tokens.
    """

    space: int
    tokens: int
    chunk_tokens: int
    chunks_there: int
    chunks: int
    missing: bytes | None
    reason: str


@dataclass(frozen=True)
class _Space:
    """A namespace, and what is there of the prompt in it."""

    number: int
    description: str
    part_count: int  # of an object that is whole
    chunk_tokens: int
    keys: Keys
    present: dict[bytes, Listed]

    @property
    def whole_count(self) -> int:
        """How many of the leading chunks are whole."""
        for at, key in enumerate(self.keys):
            if not self.has(key):
                return at
        return len(self.keys)

    def has(self, key: bytes) -> bool:
        """Tell whether a chunk is there with all of its parts."""
        return key in self.present and self.present[key].part_count >= self.part_count


class Explainer:
    """Asks one daemon. Its verbs are an operator's: they raise Denied unless this user may."""

    def __init__(self, session: Session) -> None:
        self._operator: Operator = session.operator
        info = session.info()
        self._chunk_tokens, self._algorithm = info.chunk_tokens, info.hash_algorithm
        self._facts: dict[str, Any] = self._operator.stats()

    def of_prompt(self, prompt: Prompt, number: int | None = None) -> Iterator[Finding]:
        """Yield a finding for each namespace, or for one."""
        spaces: list[_Space] = []
        underivable: list[Finding] = []
        for facts in self._facts["namespaces"]:
            try:
                keys = self._keys(str(facts["description"]), prompt)
            except Underivable as error:
                text = f"its keys cannot be derived: {error}"
                underivable.append(Finding(facts["space"], 0, 0, 0, 0, None, text))
            else:
                spaces.append(self._space(facts, keys))
        for space in spaces:
            if number in (None, space.number):
                yield self._finding(space, spaces, prompt)
        yield from (one for one in underivable if number in (None, one.space))

    def of_keys(self, keys: Keys, number: int | None = None) -> Iterator[Finding]:
        """Yield the same for keys in the order of their prompt. Salts cannot be compared."""
        spaces = [self._space(facts, keys) for facts in self._facts["namespaces"]]
        for space in spaces:
            if number in (None, space.number):
                yield self._finding(space, spaces, None)

    def _finding(self, space: _Space, spaces: Sequence[_Space], prompt: Prompt | None) -> Finding:
        there, chunks = space.whole_count, len(space.keys)
        missing = space.keys[there] if there < chunks else None
        if missing is not None:
            reason = self._reason(space, spaces, prompt, there)
        elif chunks:
            reason = "all of its whole chunks are there"
        else:
            reason = f"it has no whole chunk of {space.chunk_tokens} tokens"
        return Finding(
            space.number,
            there * space.chunk_tokens,
            space.chunk_tokens,
            there,
            chunks,
            missing,
            reason,
        )

    def _reason(
        self, space: _Space, spaces: Sequence[_Space], prompt: Prompt | None, at: int
    ) -> str:
        """Say why a chunk is not there; the surest reason first."""
        key = space.keys[at]
        if key in space.present:
            count = space.present[key].part_count
            return f"partial: {count} of {space.part_count} parts of it are stored"
        behind = sum(1 for later in space.keys[at + 1 :] if later in space.present)
        if behind:
            return f"evicted: {behind} chunks behind it are there, so it was stored once"
        if prompt is not None:
            for salt in self._salts_with(space, prompt, at):
                return f"other salt: it is there for cache_salt {salt!r}, not for {prompt.salt!r}"
        for other in spaces:
            if other is not space and at < len(other.keys) and other.whole_count > at:
                return (
                    f"other fingerprint: namespace {other.number} has it, which differs in "
                    f"{_difference(space.description, other.description)}"
                )
        metrics = self._facts["metrics"]
        forgotten = metrics["evicted_objects_total"] + metrics["cleared_objects_total"]
        if forgotten == 0:
            return "never stored: this daemon has forgotten nothing since its start"
        return (
            f"never stored, or evicted: this daemon has forgotten {forgotten} objects since its "
            "start"
        )

    def _salts_with(self, space: _Space, prompt: Prompt, at: int) -> Iterator[str]:
        """Yield other tenants' salts under which this chunk is there."""
        for facts in self._facts["tenants"]:
            salt = str(facts["tenant"])
            if salt == prompt.salt:
                continue
            other = Prompt(prompt.tokens, salt, prompt.adapter)
            key = self._keys(space.description, other)[at]
            if self._present(space.number, Keys(key)):
                yield salt

    def _keys(self, description: str, prompt: Prompt) -> Keys:
        return keys_of(description, prompt, self._chunk_tokens, self._algorithm)

    def _space(self, facts: dict[str, Any], keys: Keys) -> _Space:
        description = str(facts["description"])
        # Of several groups a window's parts may be gone while the rest is of use.
        return _Space(
            number=int(facts["space"]),
            description=description,
            part_count=int(facts["ranks"]),
            chunk_tokens=chunk_tokens_of(description, self._chunk_tokens),
            keys=keys,
            present=self._present(int(facts["space"]), keys),
        )

    def _present(self, number: int, keys: Keys) -> dict[bytes, Listed]:
        return {
            one.key: one
            for first in range(0, len(keys), _BATCH)
            for one in self._operator.list(
                Selector(space=number, keys=keys[first : first + _BATCH])
            )
        }


def _difference(here: str, there: str) -> str:
    """Name the fields that two namespaces' texts differ in."""
    mine, other = fields_of(here), fields_of(there)
    names = [name for name in {**mine, **other} if mine.get(name) != other.get(name)]
    if not names:
        return f"its text: {_short(there)!r}"
    return ", ".join(
        f"{name} ({_short(mine.get(name, 'none'))} here, {_short(other.get(name, 'none'))} there)"
        for name in names
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
