"""The script comes from real text, and a conversation goes on from its replies alone."""

from pathlib import Path

import pytest

from lmcd.demo import tokenizer
from lmcd.demo.conversation import Conversation, Turn, read_script

DOCS = Path(__file__).parents[3] / "docs"
SCRIPT = [Turn("one", "what?"), Turn("two", "why?")]


def test_text_survives_the_tokenizer() -> None:
    text = "chunks, größer, 鍵"
    assert tokenizer.decode([tokenizer.BEGIN, *tokenizer.encode(text), tokenizer.USER]) == text


def test_bytes_that_are_no_text_are_shown_and_do_not_raise() -> None:
    assert tokenizer.decode([0x41, 0xFF]) == "A\ufffd"


def test_the_documents_of_the_project_make_a_script() -> None:
    script = read_script(DOCS)
    assert len(script) == 6
    assert len(Conversation(script).prompt(0)) > 3000


def test_a_folder_with_too_little_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("short")
    with pytest.raises(ValueError, match=r"has 5 bytes of \*\.md; the demo reads \d+"):
        read_script(tmp_path)


def test_a_prompt_begins_with_the_prompt_before_it_and_its_reply() -> None:
    talk = Conversation(SCRIPT)
    first = talk.prompt(0)
    talk.reply([1, 2, 3])
    second = talk.prompt(1)
    assert second[: len(first) + 3] == [*first, 1, 2, 3]
    assert second[len(first) + 3 :] == SCRIPT[1].tokens()


def test_another_process_goes_on_from_the_replies() -> None:
    talk = Conversation(SCRIPT)
    talk.reply([1, 2, 3])
    assert Conversation(SCRIPT, talk.replies).prompt(1) == talk.prompt(1)


def test_a_turn_out_of_order_is_refused() -> None:
    talk = Conversation(SCRIPT)
    with pytest.raises(IndexError, match="turn 1: 0 of 2 turns have their reply"):
        talk.prompt(1)
    talk.reply([1])
    talk.reply([2])
    assert talk.finished
    with pytest.raises(IndexError, match="turn 2: 2 of 2"):
        talk.prompt(2)
    with pytest.raises(IndexError, match="all 2 turns"):
        talk.reply([3])
    with pytest.raises(ValueError, match="3 replies to a script of 2"):
        Conversation(SCRIPT, [[1]] * 3)
