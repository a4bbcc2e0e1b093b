"""A conversation of several turns over real text.

The user shows a piece of the documents and asks a question, turn after turn; each prompt holds
all that was said before. The whole state is the script and the replies so far, so a process
that is given both goes on where another one died.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmcd.demo.tokenizer import ASSISTANT, BEGIN, DOCUMENT, USER, encode

QUESTIONS = (
    "Who owns the memory, and what happens to it when an engine dies?",
    "Which thread may change the index, and how do workers report back?",
    "When does a reader know that the bytes it copied are whole?",
    "What is given back by a timer, and what never is?",
    "How does a daemon that was killed find its objects again?",
    "What would you check before you trusted a cache with your tokens?",
)
OPENING_BYTES = 3072  # of the first excerpt: a long context that all turns share
EXCERPT_BYTES = 448  # of each later one


@dataclass(frozen=True)
class Turn:
    """What the user says: an excerpt of the documents, and a question."""

    excerpt: str
    question: str

    def tokens(self) -> list[int]:
        """Return the turn as the engine reads it, up to where the reply begins."""
        return [DOCUMENT, *encode(self.excerpt), USER, *encode(self.question), ASSISTANT]


def read_script(folder: Path) -> list[Turn]:
    """Cut the Markdown files of `folder` into the turns of a conversation.

    Raises ValueError if the folder has too little text.
    """
    text = b"\n".join(path.read_bytes() for path in sorted(folder.glob("*.md")))
    needed = OPENING_BYTES + EXCERPT_BYTES * (len(QUESTIONS) - 1)
    if len(text) < needed:
        raise ValueError(f"{folder} has {len(text)} bytes of *.md; the demo reads {needed}")
    return [
        Turn(excerpt.decode(errors="ignore"), question)
        for excerpt, question in zip(_excerpts(text), QUESTIONS, strict=True)
    ]


def _excerpts(text: bytes) -> Iterator[bytes]:
    at = 0
    for index in range(len(QUESTIONS)):
        length = EXCERPT_BYTES if index else OPENING_BYTES
        yield text[at : at + length]
        at += length


class Conversation:
    """A script, and the replies to its first turns.

    **Thread safety**: one thread.
    """

    def __init__(self, script: Sequence[Turn], replies: Sequence[Sequence[int]] = ()) -> None:
        if len(replies) > len(script):
            raise ValueError(f"{len(replies)} replies to a script of {len(script)} turns")
        self._turns = [turn.tokens() for turn in script]
        self.replies = [list(reply) for reply in replies]

    @property
    def finished(self) -> bool:
        """Whether every turn has its reply."""
        return len(self.replies) == len(self._turns)

    def prompt(self, turn: int) -> list[int]:
        """Return the tokens of everything before the reply to `turn`.

        Raises IndexError when an earlier turn has no reply yet, or there is no such turn.
        """
        if not 0 <= turn <= min(len(self.replies), len(self._turns) - 1):
            raise IndexError(
                f"turn {turn}: {len(self.replies)} of {len(self._turns)} turns have their reply"
            )
        tokens = [BEGIN]
        for said, reply in zip(self._turns[:turn], self.replies[:turn], strict=True):
            tokens += said + reply
        return tokens + self._turns[turn]

    def reply(self, tokens: Sequence[int]) -> None:
        """Take the reply to the first turn that has none."""
        if self.finished:
            raise IndexError(f"all {len(self._turns)} turns have their reply")
        self.replies.append(list(tokens))
