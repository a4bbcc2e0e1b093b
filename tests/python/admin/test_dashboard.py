"""The dashboard in a real Chromium: it shows what is there, nothing runs over the edge of a phone,
it can be used without a mouse, and it stays small with a thousand namespaces.

Pictures go to build/dashboard/, for people to look at.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

import lmcd
from tests.python.admin.browser import PROGRAM, Browser
from tests.python.admin.server import AdminServer
from tests.python.daemon import Daemon, fresh_keys, store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed"),
]
PICTURES = pathlib.Path(__file__).resolve().parents[3] / "build" / "dashboard"
DESK, PHONE = (1280, 900), (390, 844)
FOCUSED = "document.activeElement"
LIVE = "document.getElementById('state').innerText === 'live'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        yield browser


def text_of(browser: Browser, part: str) -> str:
    return str(browser.value(f"document.getElementById('{part}').innerText"))


def pictures(browser: Browser, name: str) -> None:
    """Take it in every form, and check that nothing runs over the edge."""
    for form, size in (("desk", DESK), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            browser.look(*size, scheme)
            browser.picture(PICTURES / f"{name}-{form}-{scheme}.png")
        wide = browser.value("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{name}: {wide} pixels on a {form}"
        cut = browser.value(
            "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > "
            "one.clientWidth).map((one) => one.getAttribute('aria-label'))"
        )
        assert cut == [], f"{name}: tables are cut on a {form}"
    browser.look(*DESK, "light")


def test_an_empty_daemon(daemon: Daemon, admin: AdminServer, browser: Browser) -> None:
    browser.look(*DESK, "light")
    browser.open(admin.url)
    browser.until(LIVE)
    assert "Nobody has opened a namespace yet" in text_of(browser, "namespaces")
    assert "No tenant has bytes" in text_of(browser, "tenants")
    assert "None. What is evicted" in text_of(browser, "tiers")
    pictures(browser, "empty")
    assert browser.faults == []


def test_a_daemon_at_work(daemon: Daemon, admin: AdminServer, browser: Browser) -> None:
    operator_of = daemon.session("operator").operator
    operator_of.set_quota("research", 24 << 20)
    operator_of.set_quota("batch", 2 << 20)
    with daemon.session("vllm worker 0") as one, daemon.session("vllm worker 1") as two:
        spaces = [
            one.namespace("model=meta-llama/Llama-3.1-8B\ndtype=bfloat16\nrevision=a1"),
            two.namespace("model=Qwen/Qwen3-30B-A3B\ndtype=bfloat16\nlora=none"),
        ]
        work(spaces[0], "research")
        browser.open(admin.url)
        browser.until(LIVE)
        seen = int(browser.value("window.lmcdCost.frames"))
        for turn in range(24):
            work(spaces[turn % 2], ("research", "batch", "")[turn % 3])
            browser.until(f"window.lmcdCost.frames > {seen + turn // 2}")
        assert "Llama-3.1-8B" in text_of(browser, "namespaces")
        assert "research" in text_of(browser, "tenants")
        assert "24.0 MiB" in text_of(browser, "tenants")
        assert "vllm worker 1" in text_of(browser, "sessions")
        assert "Reserve" in text_of(browser, "verbs")
        assert browser.value("document.querySelector('#stored-spark .line').getAttribute('d')")
        pictures(browser, "work")
    assert browser.faults == []


def work(space: lmcd.Namespace, tenant: str) -> None:
    """Store sixteen objects and read them twice, and ask for some that are not there."""
    keys = fresh_keys(16)
    with space.reserve(keys, length=96 << 10, tenant=tenant) as lease:
        lease.commit()
    space.session.ping()
    for asked in (keys, keys, fresh_keys(8)):
        with space.acquire(asked) as lease:
            lease.outcomes()


def test_a_thousand_namespaces(daemon: Daemon, admin: AdminServer, browser: Browser) -> None:
    for worker in range(4):
        with daemon.session(f"worker {worker}") as session:
            for number in range(250):
                space = session.namespace(f"model=model-{worker}-{number}")
                with space.reserve(fresh_keys(1), length=4096 * (1 + number % 5)) as lease:
                    lease.commit()
            session.ping()
    browser.open(admin.url)
    browser.until(LIVE)
    browser.until("window.lmcdCost.frames >= 5")
    assert text_of(browser, "namespaces-count") == "the largest 200 of 1000"
    assert browser.value("document.getElementById('namespaces').tBodies[0].rows.length") == 200
    cost = browser.value("window.lmcdCost")
    metrics = browser.metrics()
    print(f"drawn in {cost['ms'] / cost['frames']:.1f} ms, at most {cost['most']:.1f} ms;", end=" ")
    print(f"heap {metrics['JSHeapUsedSize'] / 1e6:.1f} MB, {metrics['Nodes']:.0f} nodes")
    # Ten times what it takes on a quiet machine.
    assert cost["ms"] / cost["frames"] < 100
    assert metrics["JSHeapUsedSize"] < 64e6
    pictures(browser, "thousand")
    assert browser.faults == []


def test_tiers_are_shown_with_their_health(
    daemon: Daemon, admin: AdminServer, browser: Browser
) -> None:
    browser.open(admin.url)
    browser.until(LIVE)
    tiers = [
        tier(0, "fs", "up", used_bytes=3 << 30, spilled_bytes=5 << 30, prefetched_bytes=1 << 30),
        tier(1, "s3", "degraded", reason="503 Slow Down", used_bytes=700 << 30, faults=17),
        tier(2, "redis", "down", reason="Connection refused", faults=204),
    ]
    # As a frame brings them; the source is closed, so that none takes them away again.
    browser.value(f"source.close(), showTiers({json.dumps(tiers)})")
    shown = text_of(browser, "tiers")
    for text in ("0 fs", "3.00 GiB", "1 s3", "degraded", "2 redis", "down", "204"):
        assert text in shown, text
    assert browser.value("document.querySelector('#tiers .alarm').title") == "503 Slow Down"
    pictures(browser, "tiers")
    assert browser.faults == []


def tier(number: int, kind: str, state: str, **more: object) -> dict[str, object]:
    """Return a tier as the snapshot has it."""
    numbers = dict.fromkeys(("used_bytes", "spilled_bytes", "prefetched_bytes", "faults"), 0)
    return {
        **{"tier": number, "type": kind, "health": state, "reason": ""},
        **{"capacity_bytes": 1 << 40, **numbers, **more},
    }


def test_a_daemon_that_goes_and_comes(daemon: Daemon, admin: AdminServer, browser: Browser) -> None:
    with daemon.session() as session:
        store(session.namespace("test"), fresh_keys(3))
    browser.open(admin.url)
    browser.until(LIVE)
    daemon.kill()
    browser.until("document.getElementById('state').innerText === 'daemon unreachable'")
    browser.until(f"document.getElementById('notice').innerText.includes('{daemon.socket}')")
    pictures(browser, "unreachable")
    daemon.start()
    browser.until(LIVE)
    assert browser.value("document.getElementById('notice').hidden")


def test_without_a_server_the_page_says_so(
    daemon: Daemon, admin: AdminServer, browser: Browser
) -> None:
    browser.open(admin.url)
    browser.until(LIVE)
    admin.end()
    browser.until("document.getElementById('state').innerText === 'reconnecting'")


def test_everything_is_reached_by_keyboard(
    daemon: Daemon, admin: AdminServer, browser: Browser
) -> None:
    browser.open(admin.url)
    browser.until(LIVE)
    reached = []
    for _ in range(10):
        browser.press("Tab")
        reached.append(
            browser.value(f"{FOCUSED}.getAttribute('aria-label') || {FOCUSED}.innerText")
        )
    assert reached == [
        *("To the figures", "namespaces", "tenants", "sessions", "time by message", "tiers"),
        *("status", "metrics", "config", "API"),
    ]


def test_a_name_is_text_and_never_markup(
    daemon: Daemon, admin: AdminServer, browser: Browser
) -> None:
    with daemon.session("<img src=x onerror=alert(1)>") as session:
        session.namespace("<script>document.title='taken'</script>")
        browser.open(admin.url)
        browser.until("document.getElementById('sessions').innerText.includes('<img')")
        assert browser.value("document.images.length") == 0
        assert browser.value("document.title") == "lmcd"
