"""A real Chromium without a window, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from typing import Any

import aiohttp

from lmcd.closing import Closing
from tests.python.daemon import READY_S, Lines

PROGRAM = shutil.which("chromium")
_BOUND_S = 2 * READY_S
_LOOK_AGAIN_S = 0.1


class Browser(Closing):
    """One page of a browser of its own. Its calls wait."""

    def __init__(self) -> None:
        assert PROGRAM is not None
        self._profile = tempfile.mkdtemp(prefix="lmcd-chromium-")
        self._process = subprocess.Popen(
            [
                *(
                    PROGRAM,
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                ),
                *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
                *("--remote-debugging-port=0", f"--user-data-dir={self._profile}", "about:blank"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self._lines = Lines(self._process.stderr)
        address = self._lines.with_text("DevTools listening on").rpartition(" ")[2]
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self._faults: list[str] = []
        self._wait(self._attach(address))

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, _BOUND_S))

    async def _attach(self, address: str) -> None:
        self._http = aiohttp.ClientSession()
        base = address.replace("ws://", "http://").split("/devtools")[0]
        async with self._http.get(f"{base}/json/list") as reply:
            (page,) = (one for one in await reply.json() if one["type"] == "page")
        self._socket = await self._http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
        for domain in ("Page", "Runtime", "Log", "Performance"):
            await self._ask(f"{domain}.enable")

    async def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive()).data)
            self._note(message)
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        """Remember what the page complains about."""
        if message.get("method") == "Runtime.exceptionThrown":
            self._faults.append(json.dumps(message["params"]["exceptionDetails"]))
        if (
            message.get("method") == "Log.entryAdded"
            and message["params"]["entry"]["level"] == "error"
        ):
            self._faults.append(message["params"]["entry"]["text"])

    @property
    def faults(self) -> list[str]:
        """What the page complained about so far."""
        return list(self._faults)

    def look(self, width: int, height: int, scheme: str) -> None:
        """Take a size, and the light or the dark scheme."""
        phone = width < 600
        self._wait(
            self._ask(
                "Emulation.setDeviceMetricsOverride",
                **{"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1},
                mobile=phone,
            )
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._wait(self._ask("Emulation.setEmulatedMedia", features=[feature]))

    def open(self, url: str) -> None:
        """Open a page; what an earlier one complained about is forgotten."""
        self._wait(self._ask("Page.navigate", url=url))
        self._faults.clear()

    def value(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        result = self._wait(
            self._ask(
                "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
            )
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + _BOUND_S
        # A page that is being opened lacks its parts.
        guarded = f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        while not self.value(guarded):
            assert time.monotonic() < end, f"{expression}: {self.value('document.body.innerText')}"
            self._wait(self._listen())

    async def _listen(self) -> None:
        """Hear what the page says, a short while at most."""
        with contextlib.suppress(asyncio.TimeoutError):
            message = await asyncio.wait_for(self._socket.receive(), _LOOK_AGAIN_S)
            self._note(json.loads(message.data))

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self._wait(self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key))

    def metrics(self) -> dict[str, float]:
        """Return what the browser measured of the page."""
        found = self._wait(self._ask("Performance.getMetrics"))["metrics"]
        return {one["name"]: one["value"] for one in found}

    def picture(self, path: pathlib.Path) -> None:
        """Write a picture of the whole page."""
        shot = self._wait(self._ask("Page.captureScreenshot", captureBeyondViewport=True))
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        self._wait(self._socket.close())
        self._wait(self._http.close())
        self._loop.close()
        self._process.terminate()
        self._process.wait(timeout=READY_S)
        self._lines.close()
        shutil.rmtree(self._profile, ignore_errors=True)
