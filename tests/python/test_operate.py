"""The operator's verbs from Python: what they report is what was done."""

import pytest

import lmcd
from lmcd import Selector
from tests.python.daemon import Daemon, fresh_keys, store


def test_a_snapshot_counts_what_is_there(space: lmcd.Namespace) -> None:
    store(space, fresh_keys(3), length=4096)
    stats = space.session.operator.stats()
    assert stats["metrics"]["objects"] == 3
    assert stats["metrics"]["hot_bytes"] == 3 * 4096
    assert [one["name"] for one in stats["sessions"]] == ["test"]
    assert [one["description"] for one in stats["namespaces"]] == ["test"]


def test_objects_are_listed_by_key_namespace_and_tenant(session: lmcd.Session) -> None:
    first, second = session.namespace("first"), session.namespace("second")
    keys = fresh_keys(3)
    store(first, keys[:2])
    with second.reserve(keys[2:], length=64, tenant="größe") as lease:
        lease.commit()
    session.ping()
    operator = session.operator
    listed = list(operator.list())
    assert {one.key for one in listed} == set(keys)
    assert [one.tenant for one in operator.list(Selector(keys=keys[2:]))] == ["größe"]
    assert [one.key for one in operator.list(Selector(tenant="größe"))] == list(keys[2:])
    assert {one.key for one in operator.list(Selector(tenant=""))} == set(keys[:2])
    child = next(iter(operator.list(Selector(keys=keys[1:2]))))
    assert (child.parent, child.depth, child.part_count) == (keys[0], 1, 1)
    assert len(list(operator.list(Selector(space=child.space)))) == 2


def test_many_objects_are_listed_once_each(space: lmcd.Namespace) -> None:
    keys = fresh_keys(3000)
    with space.reserve(keys, length=64) as lease:
        lease.commit()
    space.session.ping()
    listed = [one.key for one in space.session.operator.list()]
    assert len(listed) == 3000
    assert set(listed) == set(keys)


def test_a_clear_keeps_what_is_leased_or_pinned(space: lmcd.Namespace) -> None:
    keys = fresh_keys(4)
    store(space, keys, length=4096)
    operator = space.session.operator
    assert operator.pin(Selector(keys=keys[:1])) == 1
    assert operator.pin(Selector(keys=keys[:1])) == 0
    with space.acquire(keys[1:2]):
        assert operator.clear() == lmcd.Cleared(objects=2, bytes=2 * 4096, kept=2)
        assert operator.clear(force=True) == lmcd.Cleared(objects=2, bytes=2 * 4096, kept=0)
    assert space.lookup(keys).usable_prefix() == 0


def test_quotas_are_kept_across_restarts(daemon: Daemon) -> None:
    with daemon.session() as session:
        session.operator.set_quota("tenant", 1 << 20)
        session.operator.set_quota("other", 5)
        session.operator.set_quota("other", None)
        with pytest.raises(lmcd.NotFound, match='no quota for tenant "other"'):
            session.operator.set_quota("other", None)
    daemon.end()
    daemon.start()
    with daemon.session() as session:
        quotas = {one.tenant: one.limit_bytes for one in session.operator.quotas()}
        assert quotas["tenant"] == 1 << 20
        assert quotas.get("other") is None
        space = session.namespace("test")
        lease = space.reserve(fresh_keys(2), length=1 << 20, tenant="tenant")
        assert lease.outcomes() == [lmcd.Outcome.RESERVED, lmcd.Outcome.REFUSED]


def test_a_tenant_of_too_many_bytes_is_refused(session: lmcd.Session) -> None:
    with pytest.raises(ValueError, match="must be at most 255"):
        session.operator.set_quota("x" * 256, 1)


def test_the_effective_options_name_their_source(session: lmcd.Session) -> None:
    options = session.operator.config()
    assert options["l1-size-gb"] == {"value": 0.0625, "source": "flag"}
    assert options["chunk-size"] == {"value": 256, "source": "default"}


def test_events_tell_what_happens(daemon: Daemon, session: lmcd.Session) -> None:
    with daemon.session("watcher") as watcher:
        watcher.subscribe()
        space = session.namespace("test")
        keys = fresh_keys(2)
        store(space, keys)
        session.operator.clear(Selector(keys=keys[1:]))
        seen: list[lmcd.Event] = []
        while len(seen) < 3:
            seen += watcher.next_events(5000)
    assert [one.kind for one in seen] == [
        lmcd.EventKind.COMMITTED,
        lmcd.EventKind.COMMITTED,
        lmcd.EventKind.CLEARED,
    ]
    # A commit goes from the last chunk to the first, so no prefix is seen before its end is there.
    assert [one.key for one in seen] == [keys[1], keys[0], keys[1]]
    assert [one.parent for one in seen[:2]] == [keys[0], None]
    assert seen[0].bytes == 8192
    assert seen[0].sequence < seen[1].sequence < seen[2].sequence
