"""The admin server as a process: its listeners, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import pathlib
import signal
import socket
import stat
import sys

from aiohttp import web

from lmcd.admin.app import make_app
from lmcd.admin.calls_state import METRICS
from lmcd.admin.link import Link
from lmcd.admin.settings import Settings

_STOP_S = 5.0  # for calls under way, once told to stop
_KEEPALIVE_S = 75.0  # between two calls of one connection
_BACKLOG = 128


class CannotListen(Exception):
    """An address that the server was told to listen on is not to be had."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotListen."""
    # What is no HTTP is answered with 400; whoever sends it fills no log.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    link = Link(settings.daemon_socket)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(link.close)
        runner = await _run(stack, make_app(settings, link))
        port = await _listen(runner, settings.http_host, settings.http_port)
        if settings.http_socket:
            await _listen_unix(stack, runner, settings.http_socket)
        if settings.prometheus_port:
            metrics = await _run(stack, make_app(settings, link, (METRICS,)))
            await _listen(metrics, settings.http_host, settings.prometheus_port)
        print(
            f"lmcd: admin server on {_url(settings.http_host, port)}", file=sys.stderr, flush=True
        )
        await stopped.wait()


async def _run(stack: contextlib.AsyncExitStack, app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=_STOP_S, keepalive_timeout=_KEEPALIVE_S
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    """Listen, and return the port."""
    site = web.TCPSite(runner, host, port, backlog=_BACKLOG, reuse_address=True)
    try:
        await site.start()
    except OSError as error:
        raise CannotListen(f"{host} port {port}: {error.strerror or error}") from None
    return int(runner.addresses[0][1])


async def _listen_unix(stack: contextlib.AsyncExitStack, runner: web.AppRunner, path: str) -> None:
    """Listen at a path that only this user may open, in place of a server that died there."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise CannotListen(f"{path}: {error.strerror}") from None
    finally:
        os.umask(before)
    stack.callback(pathlib.Path(path).unlink, missing_ok=True)
    await web.SockSite(runner, listener, backlog=_BACKLOG).start()


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise CannotListen(f"{path}: is there, and no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        found = client.connect_ex(path)
    if found != errno.ECONNREFUSED:
        raise CannotListen(f"{path}: another server listens there")
    os.unlink(path)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
