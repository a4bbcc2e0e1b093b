"""The verbs of the blocking client against a real daemon: what was committed comes back byte for
byte, what was not never does, and wrong arguments are named.
"""

import pytest

import lmcd
from lmcd import Outcome
from tests.python.daemon import Daemon, contents, fresh_keys, payload, store


def test_what_was_committed_comes_back(space: lmcd.Namespace) -> None:
    keys = fresh_keys(5)
    store(space, keys)
    with space.acquire(keys) as lease:
        assert lease.outcomes() == [Outcome.LEASED] * 5
        assert lease.hit_count == 5
        for index, buffer in lease.granted():
            assert bytes(buffer) == payload(index, 8192)


def test_a_posted_acquire_gives_the_same_bytes(space: lmcd.Namespace) -> None:
    keys = fresh_keys(3)
    store(space, keys)
    with space.acquire(keys, posted=True) as lease:
        assert contents(lease) == [payload(at, 8192) for at in range(3)]


def test_what_was_not_committed_is_a_miss(space: lmcd.Namespace) -> None:
    keys = fresh_keys(2)
    with space.reserve(keys, length=4096) as lease:
        lease[0].copy_from(bytes(4096))
    space.session.ping()
    assert space.lookup(keys)[0] == (0, 0, 0)
    with space.acquire(keys) as found:
        assert found.outcomes() == [Outcome.ABSENT] * 2
        assert list(found) == [None, None]


def test_an_exception_gives_the_extents_back(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    with pytest.raises(RuntimeError, match="engine"), space.reserve(keys, length=4096):
        raise RuntimeError("engine failed")
    assert space.reserve(keys, length=4096).outcomes() == [Outcome.RESERVED]


def test_items_may_be_committed_one_by_one(space: lmcd.Namespace) -> None:
    keys = fresh_keys(4)
    with space.reserve(keys, length=100) as lease:
        for index in (2, 0):
            lease[index].copy_from(payload(index, 100))
            lease.commit([index])
        with pytest.raises(lmcd.InvalidArgument, match="item 2 is not reserved"):
            lease.commit([2])
    space.session.ping()
    with space.acquire(keys) as found:
        assert [one is not None for one in found] == [True, False, True, False]
        assert bytes(found[2]) == payload(2, 100)


def test_ends_of_leases_are_told_once(space: lmcd.Namespace) -> None:
    keys = fresh_keys(2)
    store(space, keys)
    with space.acquire(keys) as lease:
        lease.release()
    with space.reserve(fresh_keys(1), length=64) as writing:
        writing.abort()
    with space.acquire(fresh_keys(1)), space.reserve(keys, length=64):
        pass
    space.session.ping()
    assert space.session.next_events() == []
    assert space.session.operator.stats()["metrics"]["posts_refused_total"] == 0


def test_a_second_writer_learns_what_is_there(space: lmcd.Namespace) -> None:
    keys = fresh_keys(3)
    store(space, keys[:1])
    with space.reserve(keys[1:2], length=64):
        lease = space.reserve(keys, length=64)
        assert lease.outcomes() == [Outcome.EXISTS, Outcome.PENDING, Outcome.RESERVED]
        assert [buffer is not None for buffer in lease] == [False, False, True]


def test_a_full_arena_says_so(space: lmcd.Namespace) -> None:
    keys = fresh_keys(5)
    store(space, keys, length=8 << 20)
    with space.acquire(keys), space.reserve(fresh_keys(5), length=8 << 20) as lease:
        assert lease.outcomes() == [Outcome.RESERVED] * 3 + [Outcome.NO_SPACE] * 2


def test_a_session_is_refused_past_its_limit(space: lmcd.Namespace) -> None:
    with space.reserve(fresh_keys(9), length=8 << 20) as lease:
        assert lease.outcomes()[-1] == Outcome.REFUSED


def test_lengths_may_differ(space: lmcd.Namespace) -> None:
    keys = fresh_keys(3)
    with space.reserve(keys, lengths=[1, 5000, 300]) as lease:
        assert [len(buffer) for _, buffer in lease.granted()] == [1, 5000, 300]
        for index, buffer in lease.granted():
            buffer.copy_from(payload(index, len(buffer)))
        lease.commit()
    space.session.ping()
    with space.acquire(keys) as found:
        assert contents(found) == [payload(i, n) for i, n in enumerate((1, 5000, 300))]


def test_a_lookup_tells_each_key_and_the_usable_prefix(space: lmcd.Namespace) -> None:
    keys = fresh_keys(6)
    store(space, keys[:2])
    store(space, keys[3:4])
    for presence in (space.lookup(keys), space.lookup_daemon(keys)):
        assert [one.hot for one in presence] == [1, 1, 0, 1, 0, 0]
        assert presence.usable_prefix() == 2
        assert presence.array()["hot"].tolist() == [1, 1, 0, 1, 0, 0]
    assert [one.hot for one in space.lookup(list(keys))] == [1, 1, 0, 1, 0, 0]
    assert len(space.lookup([])) == 0


def test_an_object_needs_all_of_its_parts(session: lmcd.Session) -> None:
    groups = [lmcd.Group(), lmcd.Group("window", 1)]
    space = session.namespace("parts", groups=groups, rank_count=2)
    keys = fresh_keys(1)
    parts = [(rank, group) for rank in range(2) for group in range(2)]
    with space.reserve(lmcd.Keys(keys.data * 4), length=64, parts=parts) as lease:
        for index, buffer in lease.granted():
            buffer.copy_from(payload(index, 64))
        lease.commit([0, 1, 2])
        session.ping()
        assert space.lookup(keys)[0].hot == 0b01
        lease.commit()
    session.ping()
    assert space.lookup(keys)[0].hot == 0b11
    with space.acquire(keys, part=(1, 0)) as found:
        assert bytes(found[0]) == payload(2, 64)


def test_keys_follow_from_tokens(space: lmcd.Namespace) -> None:
    keys = space.chain("tenant").extend(range(600))
    assert len(keys) == 2
    assert keys != space.chain("another").extend(range(600))


def test_grants_go_to_another_holder_as_bytes(space: lmcd.Namespace) -> None:
    keys = fresh_keys(2)
    store(space, keys)
    mapping = space.session.mapping()
    with space.acquire(keys) as lease:
        grants = lmcd.Grants.from_bytes(bytes(lease.grants))
        assert mapping.view(grants, 1).tobytes() == payload(1, 8192)
        assert mapping.valid(grants) == [True, True]
        assert grants.array()["length"].tolist() == [8192, 8192]
        assert [grant.length for grant in grants[1:]] == [8192]


def test_facts_of_a_session(session: lmcd.Session, daemon: Daemon) -> None:
    info = session.info()
    assert info.daemon_pid == daemon.pid
    assert info.arena_bytes == 64 << 20
    assert info.chunk_tokens == 256
    assert info.hash_algorithm == "blake3"
    assert info.verify == "cold"
    assert info.transfer_modes == ("engine_driven", "daemon_driven")
    assert info.daemon_version == lmcd.__version__
    assert info.admin


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda space: space.reserve([b"short"], length=1), "5 bytes are no whole number of keys"),
        (lambda space: space.reserve(fresh_keys(1)), "length"),
        (lambda space: space.reserve(fresh_keys(1), length=-1), "length is -1"),
        (lambda space: space.reserve(fresh_keys(1), lengths=[1, 2]), "2 lengths for 1 keys"),
        (lambda space: space.reserve(fresh_keys(1), length=1, parts=[]), "0 parts for 1 keys"),
        (lambda space: space.reserve(fresh_keys(1), length=1, part=(9, 0)), "part"),
        (lambda space: space.reserve(fresh_keys(1), length=1, parent=b""), "parent has 0 bytes"),
        (
            lambda space: space.reserve(fresh_keys(1), length=1, tenant="a\0"),
            "must not contain NUL",
        ),
        (lambda space: space.reserve([], length=1), "count"),
        (lambda space: space.acquire(fresh_keys(1), timeout_ms=-1), "timeout_ms is -1"),
        (lambda space: space.session.namespace(""), "description is empty"),
        (lambda space: space.session.namespace("x", groups=[lmcd.Group("odd")]), "must be full"),
        (lambda space: space.session.namespace("test", rank_count=2), "rank"),
    ],
)
def test_a_wrong_argument_is_named(act: object, text: str, space: lmcd.Namespace) -> None:
    with pytest.raises(ValueError, match=text):
        act(space)  # type: ignore[operator]


def test_a_buffer_of_another_length_is_refused(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    with space.reserve(keys, length=100) as lease:
        with pytest.raises(lmcd.InvalidArgument, match="99 bytes: must be 100"):
            lease[0].copy_from(bytes(99))
        with pytest.raises(lmcd.InvalidArgument, match="lease is one to write"):
            lease[0].copy_to(bytearray(100))
        lease.commit()
    space.session.ping()
    with space.acquire(keys) as found:
        with pytest.raises(lmcd.InvalidArgument, match="destination is read-only"):
            found[0].copy_to(bytes(100))
        with pytest.raises(lmcd.InvalidArgument, match="lease is one to read"):
            found[0].copy_from(bytes(100))


def test_without_a_daemon_the_socket_is_named(stopped_daemon: Daemon) -> None:
    with pytest.raises(lmcd.NoDaemon, match=r"lmcd\.sock"):
        stopped_daemon.session()


def test_a_closed_session_says_so(daemon: Daemon) -> None:
    session = daemon.session()
    space = session.namespace("test")
    session.close()
    session.close()
    for act in (session.ping, lambda: space.lookup(fresh_keys(1)), session.info):
        with pytest.raises(lmcd.Released):
            act()
