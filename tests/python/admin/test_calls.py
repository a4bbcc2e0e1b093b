"""The calls of the admin server against a real daemon: each does what it says, and what does not
fit is refused with a reason.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lmcd
from lmcd.admin.health import ill_tier
from tests.python.admin.server import AdminServer
from tests.python.daemon import Daemon, fresh_keys, store

GIB = 1 << 30


def test_a_daemon_that_stores_and_reads_is_healthy(daemon: Daemon, admin: AdminServer) -> None:
    reply = admin.get("/healthcheck")
    assert (reply.status, reply.json) == (200, {"status": "healthy"})
    assert admin.get("/healthz").json == {"status": "alive"}
    assert admin.get("/readyz").json == {"status": "ready"}
    with daemon.session() as session:
        counted = session.operator.stats()["metrics"]
    assert (counted["committed_parts_total"], counted["hit_parts_total"]) == (1, 1)
    assert counted["objects"] == 0, "the probe leaves nothing behind"


def test_a_daemon_that_cannot_store_is_not_healthy(
    stopped_daemon: Daemon, admin: AdminServer
) -> None:
    stopped_daemon.start("--eviction-policy", "IsolatedLRU")
    reply = admin.get("/healthcheck")
    assert reply.status == 503
    assert "needs one" in reply.json["reason"]
    assert admin.get("/healthz").status == 200
    assert admin.call("PUT", "/quota/_default", {"limit_gb": 0.01}).status == 200


def test_a_tier_that_is_down_is_not_healthy() -> None:
    up = {"tier": 0, "type": "fs", "health": "up", "reason": ""}
    down = {"tier": 1, "type": "s3", "health": "down", "reason": "no route to host"}
    assert ill_tier({"tiers": []}) is None
    assert ill_tier({"tiers": [up, up | {"health": "degraded"}, up | {"health": "paused"}]}) is None
    assert ill_tier({"tiers": [up, down]}) == "tier 1 (s3) is down: no route to host"


def test_a_real_tier_is_healthy_everywhere(stopped_daemon: Daemon, admin: AdminServer) -> None:
    stopped_daemon.start(
        "--l2-adapter", json.dumps({"type": "mock", "max_size_gb": 1, "mock_bandwidth_gb": 1})
    )
    reply = admin.get("/healthcheck")
    assert (reply.status, reply.json) == (200, {"status": "healthy"})
    assert admin.get("/readyz").status == 200
    shown = subprocess.run(
        [sys.executable, "-m", "lmcd", "top", "--socket", stopped_daemon.socket, "--count", "1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "0 mock" in shown.stdout


@pytest.mark.parametrize("name", ["Origin", "Host"])
def test_a_header_that_is_no_address_is_refused(
    daemon: Daemon, admin: AdminServer, name: str
) -> None:
    value = "http://[::1" if name == "Origin" else "[::1"
    assert admin.call("POST", "/cache/clear", {}, headers={name: value}).status in (400, 403)


def test_what_is_no_number_is_no_quota(daemon: Daemon, admin: AdminServer) -> None:
    assert admin.call("PUT", "/quota/x", {"limit_gb": float("nan")}).status == 400


def test_without_a_daemon_every_call_says_so(stopped_daemon: Daemon, admin: AdminServer) -> None:
    for path in ("/healthcheck", "/healthz", "/readyz", "/status", "/config", "/quota"):
        reply = admin.get(path)
        assert reply.status == 503, path
        assert stopped_daemon.socket in reply.json["reason"]
    assert admin.get("/version").json["daemon"] is None
    assert "lmcd_up 0.0" in admin.get("/metrics").text
    assert admin.get("/").status == 200


def test_server_and_daemon_outlive_each_other(daemon: Daemon, admin: AdminServer) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        keys = fresh_keys(2)
        store(space, keys)
        assert admin.get("/status").json["metrics"]["objects"] == 2
        daemon.kill()
        assert admin.get("/healthz").status == 503
        daemon.start()
        assert admin.get("/status").json["metrics"]["objects"] == 2
        admin.end(9)
        assert space.lookup(keys).usable_prefix() == 2


def test_status_tells_namespaces_sessions_and_l1(daemon: Daemon, admin: AdminServer) -> None:
    with daemon.session("engine 1") as session:
        store(session.namespace("model=x"), fresh_keys(3), length=4096)
        status = admin.get("/status").json
    assert status["status"] == "ok"
    assert status["l1"]["objects"] == 3
    assert status["controllers"]["eviction"]["policy"] == "ARC"
    assert {one["name"] for one in status["sessions"]} == {"engine 1", "lmcd admin"}
    (space,) = (one for one in status["namespaces"] if one["description"] == "model=x")
    assert (space["hot_bytes"], space["parts"]) == (3 * 4096, 3)
    assert (status["tiers"], status["segments"], status["devices"]) == ([], [], [])


def test_config_and_version_are_the_daemons(daemon: Daemon, admin: AdminServer) -> None:
    assert admin.get("/config").json["socket"]["value"] == daemon.socket
    version = admin.get("/version").json
    assert version["version"] == version["daemon"]["version"] == lmcd.__version__


def test_objects_are_listed_a_page_at_a_time_and_forgotten(
    space: lmcd.Namespace, admin: AdminServer
) -> None:
    keys = fresh_keys(5)
    store(space, keys, length=64)
    first = admin.get("/cache/objects?limit=3").json
    rest = admin.get(f"/cache/objects?limit=3&cursor={first['cursor']}").json
    assert rest["cursor"] is None
    listed = [one["key"] for one in first["objects"] + rest["objects"]]
    assert sorted(listed) == sorted(key.hex() for key in keys)
    one = keys[0].hex()
    (found,) = admin.get(f"/cache/objects?key={one}").json["objects"]
    assert (found["tenant"], found["depth"], found["bytes"]) == ("", 0, 64)
    reply = admin.call("DELETE", f"/cache/objects?key={one}")
    assert reply.json == {"status": "ok", "objects": 1, "bytes": 64, "kept": 0}
    assert admin.call("DELETE", "/cache/objects").status == 400, "not everything by mistake"


def test_a_pinned_object_goes_by_force_alone(space: lmcd.Namespace, admin: AdminServer) -> None:
    keys = fresh_keys(2)
    store(space, keys, length=64)
    body = {"keys": [keys[0].hex()]}
    assert admin.call("POST", "/cache/pins", body).json == {"status": "ok", "changed": 1}
    assert admin.call("POST", "/cache/clear", {"tier": "l1"}).json["kept"] == 1
    assert admin.call("DELETE", f"/cache/pins?key={keys[0].hex()}").json["changed"] == 1
    assert admin.call("POST", "/cache/pins", body).json["changed"] == 1
    assert admin.call("POST", "/clear-cache").json == {
        **{"status": "ok", "objects": 1, "bytes": 64},
        "kept": 0,
    }
    assert space.lookup(keys).usable_prefix() == 0


def test_quotas_are_set_told_and_removed(daemon: Daemon, admin: AdminServer) -> None:
    assert admin.call("PUT", "/quota/somebody", {"limit_bytes": 4096}).status == 200
    assert admin.call("PUT", "/quota/_default", {"limit_gb": 0.5}).status == 200
    assert admin.get("/quota/somebody").json == {
        **{"cache_salt": "somebody", "limit_bytes": 4096},
        "used_bytes": 0,
    }
    assert {
        one["cache_salt"]: one["limit_bytes"] for one in admin.get("/quota").json["quotas"]
    } == {
        "somebody": 4096,
        "_default": GIB // 2,
    }
    assert admin.call("DELETE", "/quota/somebody").status == 200
    assert admin.call("DELETE", "/quota/somebody").status == 404
    assert admin.get("/quota/somebody").status == 404


def test_what_needs_a_tier_says_that_there_is_none(daemon: Daemon, admin: AdminServer) -> None:
    assert admin.call("POST", "/cache/clear", {"tier": "l2"}).status == 409
    keys = [fresh_keys(1)[0].hex()]
    assert admin.call("POST", "/cache/prefetches", {"keys": keys}).json["code"] == "no_tier"
    assert admin.get("/cache/prefetches/7").status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("PUT", "/quota/a", {"limit_bytes": -1}, "body.limit_bytes is -1: takes 0 to"),
        ("PUT", "/quota/a", {"limit_bytes": True}, "body.limit_bytes must be of type integer"),
        ("PUT", "/quota/a", {"limit": 1}, "body has no property 'limit'"),
        ("PUT", "/quota/a", {}, "takes either limit_bytes or limit_gb"),
        ("PUT", "/quota/a", None, "a JSON object is missing"),
        ("PUT", "/quota/a", "{", "the body is no JSON"),
        ("POST", "/cache/clear", {"tier": "l3"}, "must be one of l1, l2, all"),
        ("POST", "/cache/pins", {"keys": ["ab"]}, "body.keys[0] must match"),
        ("POST", "/cache/pins", {}, "needs keys, a namespace or a tenant"),
        ("POST", "/clear-cache", {"force": True}, "this call takes no body"),
        ("GET", "/cache/objects?limit=0", None, "limit is 0: takes 1 to 4096"),
        ("GET", "/cache/objects?limit=x", None, "limit 'x' is no whole number"),
        ("GET", "/cache/objects?limit=1&limit=2", None, "parameter 'limit' is given twice"),
        ("GET", "/cache/objects?colour=red", None, "no parameter 'colour'; it takes: key"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(
    daemon: Daemon, admin: AdminServer, method: str, path: str, body: object, reason: str
) -> None:
    reply = admin.call(method, path, body)
    assert reply.status == 400
    assert reason in reply.json["reason"]


def test_unknown_paths_and_methods_are_refused_as_json(admin: AdminServer) -> None:
    assert admin.get("/nowhere").json == {"code": "not_found", "reason": "Not Found"}
    reply = admin.get("/clear-cache")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
