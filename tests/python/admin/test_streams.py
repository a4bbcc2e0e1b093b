"""The streams of the admin server: events with a cursor that outlives a connection, and the frames
of the dashboard; and the server's end, which ends them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import lmcd
from tests.python.admin.server import AdminServer
from tests.python.daemon import Daemon, fresh_keys, store


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield cursor and content of each event."""
    cursor = ""
    for line in lines:
        if line.startswith("id: "):
            cursor = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield cursor, json.loads(line.removeprefix("data: "))


def subscribed(admin: AdminServer) -> bool:
    """Whether the daemon has the server's subscription by now."""
    sessions = admin.get("/status").json["sessions"]
    return any(one["subscribed"] for one in sessions)


def wait_until_subscribed(admin: AdminServer) -> None:
    while not subscribed(admin):
        continue


def test_events_come_as_they_happen_and_go_on_at_a_cursor(
    space: lmcd.Namespace, admin: AdminServer
) -> None:
    first, second = fresh_keys(2), fresh_keys(1)
    with admin.stream("/events") as lines:
        wait_until_subscribed(admin)
        store(space, first, length=64)
        seen = events(lines)
        cursor, event = next(seen)
        assert (event["kind"], event["bytes"]) == ("committed", 64)
    store(space, second, length=64)
    with admin.stream(f"/events?cursor={cursor}&limit=2") as lines:
        after = [event["key"] for _, event in events(lines)]
    assert [event["key"], *after] == [key.hex() for key in (*reversed(first), *second)]


def test_who_comes_with_an_old_cursor_is_told_that_events_were_missed(
    space: lmcd.Namespace, admin: AdminServer
) -> None:
    with admin.stream("/events?cursor=00000000-17&limit=2") as lines:
        wait_until_subscribed(admin)
        store(space, fresh_keys(1), length=64)
        kinds = [event["kind"] for _, event in events(lines)]
    assert kinds == ["missed", "committed"]


def test_a_restarted_daemon_is_followed_and_the_gap_is_told(
    daemon: Daemon, space: lmcd.Namespace, admin: AdminServer
) -> None:
    with admin.stream("/events") as lines:
        seen = events(lines)
        wait_until_subscribed(admin)
        store(space, fresh_keys(1), length=64)
        assert next(seen)[1]["kind"] == "committed"
        daemon.kill()
        daemon.start()
        wait_until_subscribed(admin)
        with daemon.session() as session:
            store(session.namespace("test"), fresh_keys(1), length=64)
        assert [next(seen)[1]["kind"] for _ in range(2)] == ["missed", "committed"]


def test_a_frame_a_second_after_the_past(space: lmcd.Namespace, admin: AdminServer) -> None:
    store(space, fresh_keys(3), length=4096)
    with admin.stream("/live") as lines:
        texts = (line.removeprefix("data: ") for line in lines if line)
        past = json.loads(next(texts))
        frames = [json.loads(next(texts)) for _ in range(2)]
    assert past["past"] == []
    assert [one["reachable"] for one in frames] == [True, True]
    assert frames[1]["metrics"]["objects"] == 3
    assert 500 < frames[1]["moment_ms"] - frames[0]["moment_ms"] < 20_000


def test_a_stop_ends_the_streams(daemon: Daemon, admin: AdminServer) -> None:
    with admin.stream("/live") as lines, admin.stream("/events"):
        next(lines)
        assert admin.end() == 0
