"""A daemon for tests of the supervisor: speaks sd_notify, keeps a diary, does one thing.

Usage: fake_daemon.py DIARY BEHAVIOUR [STATUS]
"""

from __future__ import annotations

import array
import os
import pathlib
import signal
import socket
import sys


def notify(message: str, descriptor: int | None = None) -> None:
    address = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        rights = [] if descriptor is None else [array.array("i", [descriptor])]
        out.sendmsg(
            [message.encode()],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, one) for one in rights],
            0,
            address,
        )


def inherited() -> list[str]:
    """Return name and content of what was handed over."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    names = os.environ["LISTEN_FDNAMES"].split(":")
    assert len(names) == int(os.environ["LISTEN_FDS"])
    return [f"{name}={os.pread(place, 100, 0).decode()}" for place, name in enumerate(names, 3)]


def main() -> None:
    diary, behaviour = pathlib.Path(sys.argv[1]), sys.argv[2]

    def write(line: str) -> None:
        with diary.open("a") as out:
            out.write(line + "\n")

    def stop() -> None:
        write("told to stop")
        sys.exit(0)

    life = len([line for line in diary.read_text().splitlines() if line.startswith("life")])
    write(f"life {os.getpid()} {' '.join(inherited())}".rstrip())
    signal.signal(signal.SIGHUP, lambda *_: write("hangup"))
    signal.signal(signal.SIGTERM, lambda *_: stop())
    if behaviour == "fail" or (behaviour == "fail again" and life > 0):
        sys.exit(int(sys.argv[3]))
    if behaviour == "store" and life == 0:
        for name in ("ledger", "arena", "gone"):
            memory = os.memfd_create(name)
            os.pwrite(memory, f"{name} bytes".encode(), 0)
            notify(f"FDSTORE=1\nFDNAME={name}", memory)
        notify("FDSTOREREMOVE=1\nFDNAME=gone")
    notify("READY=1")
    if behaviour == "fail again":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "end":
        sys.exit(int(sys.argv[3]))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
