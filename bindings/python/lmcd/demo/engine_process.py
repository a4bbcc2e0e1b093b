"""An engine in a process of its own: a request on stdin, one event a line on stdout.

The request is JSON: `socket` (of the daemon, or null for an engine without a cache), `text` (a
folder), `replies` (so far), `turns` (to answer), `new_tokens` (of a reply) and `halt_in_store`
(the number of the store in which the process stops and waits to be killed; 0: none).

Events are JSON objects with a `kind`: `ready`, `progress`, `answer`, `halted`.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lmcd
from lmcd.demo.cache import Cache, NoCache
from lmcd.demo.conversation import Conversation, read_script
from lmcd.demo.engine import Engine
from lmcd.demo.model import Model, Shape
from lmcd.demo.paged import BLOCK_TOKENS
from lmcd.demo.shared_cache import SharedCache

HALT_SECONDS = 60.0
"""How long a halted engine waits to be killed before it gives up."""


def tell(kind: str, **facts: Any) -> None:
    """Write one event."""
    print(json.dumps({"kind": kind, **facts}), flush=True)


def halt_in(store: int) -> Callable[[], None]:
    """Return what halts this process when it is called for the `store`-th time."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == store:
            tell("halted", store=store)
            time.sleep(HALT_SECONDS)
            raise SystemExit("nobody killed this engine")

    return count


def main() -> None:
    """Serve the one request on stdin."""
    request = json.load(sys.stdin)
    shape = Shape()
    paged = shape.paged(shape.max_tokens // BLOCK_TOKENS)
    model = Model(shape)
    description = Engine(model, paged, NoCache()).describe()
    conversation = Conversation(read_script(Path(request["text"])), request["replies"])
    cache: Cache = NoCache()
    shared = None
    session = None
    if request["socket"]:
        session = lmcd.Session(request["socket"], name="demo-engine")
        space = session.namespace(description)
        shared = SharedCache(space, paged, halt_in(request["halt_in_store"]))
        cache = shared
        session.mapping().populate()
    engine = Engine(model, paged, cache)
    tell("ready", replies=len(conversation.replies))
    for _ in range(request["turns"]):
        turn = len(conversation.replies)
        prompt = conversation.prompt(turn)
        keys = lmcd.KeyChain(lmcd.fingerprint(description)).extend(prompt)
        if shared is not None:
            shared.expect(keys)

        def progress(done: int, total: int, turn: int = turn) -> None:
            tell("progress", turn=turn, done=done, total=total)

        answer = engine.answer(prompt, keys, request["new_tokens"], progress)
        conversation.reply(answer.tokens)
        told = {**asdict(answer), "digest": answer.digest, "turn": turn}
        del told["logits"]
        if shared is not None:
            told["chunk_bytes"] = shared.chunk_bytes
        tell("answer", **told)
    if session is not None:
        session.close()


if __name__ == "__main__":
    main()
