"""Each check of `lmcd doctor`: what it says of a machine that is well, and of one that is not."""

import pathlib
import resource

from lmcd.cli import checks
from lmcd.cli.checks import State


def test_an_old_kernel_is_noted() -> None:
    assert checks.check_kernel("6.1.0-17-amd64").state == State.GOOD
    assert checks.check_kernel("5.14.0").state == State.GOOD
    old = checks.check_kernel("5.10.0-28")
    assert (old.state, old.mend) == (State.NOTE, "use Linux 5.14 or later")
    assert checks.check_kernel("strange").state == State.NOTE


def test_shared_memory_that_is_not_there_is_wrong(tmp_path: pathlib.Path) -> None:
    missing = checks.check_shared_memory(str(tmp_path / "none"))
    assert missing.state == State.WRONG
    assert "memfd" in missing.mend
    assert "free" in checks.check_shared_memory(str(tmp_path)).text


def test_limits_are_judged() -> None:
    assert checks.check_memlock(resource.RLIM_INFINITY).state == State.GOOD
    assert checks.check_memlock(8 << 20).text.startswith("8 MiB")
    assert checks.check_files(1024).state == State.NOTE
    assert checks.check_files(1 << 20).state == State.GOOD


def test_huge_pages_are_found_either_way(tmp_path: pathlib.Path) -> None:
    meminfo, shmem = tmp_path / "meminfo", tmp_path / "shmem"
    assert checks.check_huge_pages(meminfo, shmem).state == State.NOTE
    meminfo.write_text("HugePages_Total: 8\nHugePages_Free:        8\n")
    assert checks.check_huge_pages(meminfo, shmem).text == "8 of 2 MiB are free"
    meminfo.write_text("HugePages_Free:        0\n")
    shmem.write_text("always within_size [advise] never deny force\n")
    assert checks.check_huge_pages(meminfo, shmem).state == State.GOOD
    shmem.write_text("always within_size advise [never] deny force\n")
    assert "shmem" in checks.check_huge_pages(meminfo, shmem).mend


def test_a_memory_limit_is_shown(tmp_path: pathlib.Path) -> None:
    limit = tmp_path / "memory.max"
    assert checks.check_cgroup(limit).state == State.GOOD
    limit.write_text("max\n")
    assert checks.check_cgroup(limit).state == State.GOOD
    limit.write_text(f"{3 << 30}\n")
    assert checks.check_cgroup(limit).text.startswith("3.0 GiB")


def test_a_missing_daemon_is_named(tmp_path: pathlib.Path) -> None:
    assert checks.check_versions("lmcd-daemon is nowhere", False).state == State.WRONG
    nobody = checks.check_daemon(str(tmp_path / "lmcd.sock"))
    assert (nobody.state, nobody.mend) == (State.NOTE, "lmcd serve --l1-size-gb N")


def test_a_folder_for_the_socket_may_be_made(tmp_path: pathlib.Path) -> None:
    assert checks.check_socket_folder(tmp_path / "not" / "yet").state == State.GOOD
