"""`lmcd purge` forgets a tenant and no other, and says what it removed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import lmcd
from lmcd import Selector
from tests.python.daemon import Daemon, fresh_keys


def purge(daemon: Daemon, tenant: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lmcd", "purge", tenant, "--socket", daemon.socket, *options],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def purged(daemon: Daemon, tenant: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(purge(daemon, tenant, "--yes", "--json").stdout)
    return facts


def give(space: lmcd.Namespace, tenant: str, count: int) -> lmcd.Keys:
    keys = fresh_keys(count)
    with space.reserve(keys, length=4096, tenant=tenant) as lease:
        lease.commit()
    space.session.ping()
    return keys


def test_a_tenant_goes_with_pins_and_quota_and_no_other(
    space: lmcd.Namespace, daemon: Daemon
) -> None:
    operator = space.session.operator
    operator.set_quota("a", 1 << 20)
    mine = give(space, "a", 3)
    others = give(space, "b", 2)
    operator.pin(Selector(tenant="a"))
    assert purged(daemon, "a") == {
        **{"tenant": "a", "objects": 3, "bytes": 3 * 4096},
        **{"quota_removed": True, "bytes_left": 0},
    }
    assert space.lookup(mine).usable_prefix() == 0
    assert space.lookup(others).usable_prefix() == 2
    assert [one.tenant for one in operator.quotas()] == ["b"]


def test_what_leases_still_hold_is_told(space: lmcd.Namespace, daemon: Daemon) -> None:
    keys = give(space, "a", 2)
    with space.acquire(keys[:1]):
        facts = purged(daemon, "a")
        assert (facts["objects"], facts["bytes_left"]) == (2, 4096)
    space.session.ping()
    assert purged(daemon, "a")["bytes_left"] == 0


def test_it_asks_before(space: lmcd.Namespace, daemon: Daemon) -> None:
    keys = give(space, "a", 1)
    assert purge(daemon, "a").returncode == 130
    assert space.lookup(keys).usable_prefix() == 1
