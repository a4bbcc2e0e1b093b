"""An engine in a process of its own, for the tests: a request on stdin, one reply a line.

The request is JSON: `shape`, `blocks`, `text` (a folder), `folder` (of the cache, or null),
`replies` (so far), `turns` (to answer) and `die_in_store` (the number of the store that the
process kills itself in, between write and commit; 0: none).
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from lmcd.demo.cache import NoCache
from lmcd.demo.conversation import Conversation, read_script
from lmcd.demo.engine import Engine
from lmcd.demo.model import Model, Shape
from tests.python.demo.folder_cache import FolderCache, chain

NEW_TOKENS = 12


def die_in(store: int) -> Callable[[], None]:
    """Return what kills this process when it is called for the `store`-th time."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == store:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def main() -> None:
    request = json.load(sys.stdin)
    shape = Shape(**request["shape"])
    paged = shape.paged(request["blocks"])
    cache = (
        FolderCache(Path(request["folder"]), paged, die_in(request["die_in_store"]))
        if request["folder"]
        else NoCache()
    )
    engine = Engine(Model(shape), paged, cache)
    conversation = Conversation(read_script(Path(request["text"])), request["replies"])
    for _ in range(request["turns"]):
        prompt = conversation.prompt(len(conversation.replies))
        answer = engine.answer(prompt, chain(prompt), NEW_TOKENS)
        conversation.reply(answer.tokens)
        told = {**asdict(answer), "digest": answer.digest}
        del told["logits"]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
