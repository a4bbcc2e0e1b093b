"""What `lmcd doctor` looks at. Each check reads, changes nothing, and gives one finding."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from lmcd import __version__, errors
from lmcd.session import Session

_GIB = 1 << 30
_KERNEL_WANTED = (5, 14)  # MADV_POPULATE_WRITE, madvise(2)
_FILES_WANTED = 4096
_ASK_S = 10


class State(str, Enum):
    """How a check came out."""

    GOOD = "good"
    NOTE = "note"  # works, could be better
    WRONG = "wrong"

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)


@dataclass(frozen=True)
class Finding:
    """What one check found; `mend` says what to do about it."""

    subject: str
    state: State
    text: str
    mend: str = ""


def examine(program: str, program_found: bool, socket: str) -> list[Finding]:
    """Make all checks. `program` is the daemon's path, or why there is none."""
    return list(_examine(program, program_found, socket))


def _examine(program: str, program_found: bool, socket: str) -> Iterator[Finding]:
    yield check_versions(program, program_found)
    yield check_kernel(platform.release())
    yield check_shared_memory("/dev/shm")
    yield check_memlock(resource.getrlimit(resource.RLIMIT_MEMLOCK)[1])
    yield check_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield check_huge_pages(
        pathlib.Path("/proc/meminfo"),
        pathlib.Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
    )
    yield check_cgroup(pathlib.Path("/sys/fs/cgroup/memory.max"))
    yield check_gpu()
    yield check_torch()
    yield check_socket_folder(pathlib.Path(socket).parent)
    yield check_daemon(socket)


def check_versions(program: str, program_found: bool) -> Finding:
    """Check that the daemon is there, and of the library's version."""
    if not program_found:
        return Finding("versions", State.WRONG, program, "install lmcd again, or set LMCD_DAEMON")
    answer = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=False
    )
    daemon = answer.stdout.strip()
    text = f"library {__version__}, daemon {daemon} ({program}), Python {platform.python_version()}"
    if daemon == __version__:
        return Finding("versions", State.GOOD, text)
    return Finding("versions", State.NOTE, text, "install both from one build")


def check_kernel(release: str) -> Finding:
    """Check that the kernel can populate memory in one call."""
    found = re.match(r"(\d+)\.(\d+)", release)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version >= _KERNEL_WANTED:
        return Finding("kernel", State.GOOD, release)
    wanted = ".".join(map(str, _KERNEL_WANTED))
    return Finding(
        "kernel",
        State.NOTE,
        f"{release}: memory is populated page by page before {wanted}",
        f"use Linux {wanted} or later",
    )


def check_shared_memory(path: str) -> Finding:
    """Check the size of the file system behind the default backing."""
    try:
        status = os.statvfs(path)
    except OSError as error:
        return Finding(
            "shared memory",
            State.WRONG,
            f"{path}: {error.strerror}",
            f"mount -t tmpfs tmpfs {path}, or use --l1-backing memfd",
        )
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    text = f"{path} has {free / _GIB:.1f} of {size / _GIB:.1f} GiB free"
    if free >= _GIB:
        return Finding("shared memory", State.GOOD, text)
    return Finding(
        "shared memory",
        State.NOTE,
        text,
        f"mount -o remount,size=... {path} (a container: --shm-size), or use "
        "--l1-backing memfd, which it does not bound",
    )


def check_memlock(limit: int) -> Finding:
    """Check how much memory may be pinned for a GPU."""
    if limit == resource.RLIM_INFINITY:
        return Finding("memlock", State.GOOD, "unlimited")
    return Finding(
        "memlock",
        State.NOTE,
        f"{limit / (1 << 20):.0f} MiB: matters only to pin the arena for a GPU",
        "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
    )


def check_files(limit: int) -> Finding:
    """Check how many sessions the descriptors are enough for."""
    if limit == resource.RLIM_INFINITY or limit >= _FILES_WANTED:
        return Finding("open files", State.GOOD, f"up to {limit}")
    return Finding(
        "open files",
        State.NOTE,
        f"up to {limit}: not enough for 1024 sessions",
        f"ulimit -n {_FILES_WANTED}, or LimitNOFILE={_FILES_WANTED} in the unit",
    )


def check_huge_pages(meminfo: pathlib.Path, shmem: pathlib.Path) -> Finding:
    """Check whether huge pages can be had, and how."""
    reserved = re.search(r"HugePages_Free:\s+(\d+)", _text(meminfo))
    if reserved and int(reserved[1]):
        return Finding("huge pages", State.GOOD, f"{reserved[1]} of 2 MiB are free")
    chosen = re.search(r"\[(\w+)\]", _text(shmem))
    if chosen and chosen[1] in ("always", "advise", "within_size", "force"):
        return Finding("huge pages", State.GOOD, f"transparent ones for shared memory: {chosen[1]}")
    return Finding(
        "huge pages",
        State.NOTE,
        "none (worth up to 5 % of a copy, and much of a start)",
        f"echo advise > {shmem}",
    )


def check_cgroup(path: pathlib.Path) -> Finding:
    """Check the memory limit of this control group, which the arena counts against."""
    limit = _text(path).strip()
    if limit.isdigit():
        return Finding(
            "memory limit",
            State.NOTE,
            f"{int(limit) / _GIB:.1f} GiB in this control group, arena included",
            "keep --l1-size-gb well below it",
        )
    return Finding("memory limit", State.GOOD, "none in this control group")


def check_gpu() -> Finding:
    """Tell which GPUs there are."""
    if not shutil.which("nvidia-smi"):
        return Finding("GPU", State.GOOD, "none; everything works without")
    answer = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=_ASK_S,
        check=False,
    )
    if answer.returncode:
        return Finding("GPU", State.NOTE, "the driver does not answer", "see nvidia-smi")
    return Finding("GPU", State.GOOD, "; ".join(answer.stdout.strip().splitlines()))


def check_torch() -> Finding:
    """Tell which torch there is, for views as tensors."""
    try:
        return Finding("torch", State.GOOD, importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return Finding("torch", State.GOOD, "not installed; numpy is enough for all but tensors")


def check_socket_folder(folder: pathlib.Path) -> Finding:
    """Check that a daemon of this user could make its socket."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if os.access(existing, os.W_OK | os.X_OK):
        return Finding("socket", State.GOOD, f"{folder} can be written")
    return Finding(
        "socket",
        State.NOTE,
        f"{folder} cannot be written by this user",
        "lmcd serve --socket PATH with a path that can, or XDG_RUNTIME_DIR",
    )


def check_daemon(socket: str) -> Finding:
    """Check whether a daemon answers."""
    try:
        with Session(socket, name="lmcd doctor") as session:
            session.ping()
            info = session.info()
    except errors.NoDaemon as error:
        return Finding("daemon", State.NOTE, str(error), "lmcd serve --l1-size-gb N")
    except errors.LmcdError as error:
        return Finding("daemon", State.WRONG, str(error), "see the daemon's log")
    return Finding(
        "daemon",
        State.GOOD,
        f"{info.daemon_version} answers, pid {info.daemon_pid}, "
        f"arena {info.arena_bytes / _GIB:.1f} GiB",
    )


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
