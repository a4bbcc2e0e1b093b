"""`lmcd demo`: two engines share KV through the daemon, across kill -9 of both.

A conversation of six turns over the project's own documents. A reference engine without a cache
answers all of them. Beside it, engine A answers the first turns and is killed in the middle of
a store; engine B goes on from what A left in the daemon; the daemon is killed and comes back;
engine C finishes. Every turn's logits must have the very bits of the reference.
"""

import json
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from lmcd.demo.processes import DaemonProcess, DemoFailed, EngineProcess

NEW_TOKENS = 24
EVENT_SECONDS = 60.0  # the longest silence of a healthy engine
OPENING = """\
[bold]Two engines, one cache.[/] A conversation of six turns, whose prompts hold all that was said
before. Engine A answers the first turns and is killed in the middle of a store; engine B goes on
from what A left in the daemon; the daemon is killed; engine C finishes. Beside them a reference
without a cache computes everything, and every turn must have its very bits.
"""
TURNS_OF_A = 2
TURNS_OF_B = 2
STORE_OF_DEATH = 2  # of the first turn that A does not finish: its second new chunk


@dataclass
class Record:
    """What happened, turn by turn."""

    answers: dict[int, dict[str, Any]] = field(default_factory=dict)  # by turn
    engines: dict[int, str] = field(default_factory=dict)
    reference: dict[int, dict[str, Any]] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    lost_objects: int = 0

    def replies(self) -> list[list[int]]:
        """Return the replies so far."""
        return [self.answers[turn]["tokens"] for turn in sorted(self.answers)]


def find_text() -> Path:
    """Return the folder of the documents: the repository's, or the installed copy."""
    checkout = Path(__file__).resolve().parents[4] / "docs"
    return checkout if (checkout / "ARCHITECTURE.md").exists() else Path(__file__).parent / "docs"


class Demo:
    """One run in a folder of its own."""

    def __init__(self, program: str, folder: Path, progress: Progress) -> None:
        self._program = program
        self._folder = folder
        self._progress = progress
        self._text = find_text()
        self._record = Record()

    def run(self) -> Record:
        """Play all of it. Raises DemoFailed when a promise is broken."""
        reference = threading.Thread(target=self._refer, daemon=True)
        reference.start()
        with DaemonProcess(self._program, self._folder) as daemon, daemon.session() as session:
            assert isinstance(daemon, DaemonProcess)
            info = session.info()
            self._say(f"daemon {info.daemon_pid} is up, arena {info.arena_bytes >> 20} MiB")
            self._engine_a(daemon)
            self._wait_for_quiet(session)
            self._engine("B", daemon, TURNS_OF_B)
            before = session.operator.stats()["metrics"]["objects"]
            pid, seconds = daemon.kill_daemon(session)
            self._record.killed.append(f"the daemon, back as {pid} after {seconds:.2f} s")
            after = session.operator.stats()["metrics"]["objects"]
            self._record.lost_objects = before - after
            self._say(
                f"killed the daemon (SIGKILL); it came back after {seconds:.2f} s "
                f"with {after} of {before} objects"
            )
            self._engine("C", daemon, 6 - TURNS_OF_A - TURNS_OF_B)
        reference.join(timeout=120)
        if len(self._record.reference) < len(self._record.answers):
            raise DemoFailed("the reference engine did not finish")
        return self._record

    def _say(self, text: str) -> None:
        self._progress.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}")

    def _request(self, socket: str | None, turns: int, halt_in_store: int = 0) -> dict[str, Any]:
        return {
            "socket": socket,
            "text": str(self._text),
            "replies": self._record.replies() if socket else [],
            "turns": turns,
            "new_tokens": NEW_TOKENS,
            "halt_in_store": halt_in_store,
        }

    def _refer(self) -> None:
        task = self._progress.add_task("reference, no cache", total=6 * 100)
        request = self._request(None, 6)
        with EngineProcess("reference", request, self._folder / "reference.log") as engine:
            assert isinstance(engine, EngineProcess)
            for event in engine.events(EVENT_SECONDS):
                self._advance(task, event)
                if event["kind"] == "answer":
                    self._record.reference[event["turn"]] = event
                    self._say(
                        f"[dim]reference, turn {event['turn']}: "
                        f"all {event['prompt_tokens']} tokens computed"
                    )

    def _advance(self, task: TaskID, event: dict[str, Any], first: int = 0) -> None:
        if event["kind"] == "progress":
            done = (event["turn"] - first) * 100 + 95 * event["done"] // event["total"]
            self._progress.update(task, completed=done)
        elif event["kind"] == "answer":
            self._progress.update(task, completed=(event["turn"] - first + 1) * 100)

    def _take(self, event: dict[str, Any], name: str) -> None:
        self._record.answers[event["turn"]] = event
        self._record.engines[event["turn"]] = name

    def _engine(self, name: str, daemon: DaemonProcess, turns: int) -> None:
        first = len(self._record.answers)
        task = self._progress.add_task(f"engine {name}", total=turns * 100)
        request = self._request(daemon.socket, turns)
        with EngineProcess(name, request, self._folder / f"{name}.log") as engine:
            assert isinstance(engine, EngineProcess)
            for event in engine.events(EVENT_SECONDS):
                self._advance(task, event, first)
                if event["kind"] == "answer":
                    self._take(event, name)
                    reused, prompt = event["reused_tokens"], event["prompt_tokens"]
                    self._say(
                        f"engine {name}, turn {event['turn']}: {reused} of {prompt} tokens reused"
                    )
            engine.check_ended_well()

    def _engine_a(self, daemon: DaemonProcess) -> None:
        """Answer the first turns, then die between the copy and the commit of a store."""
        self._engine("A", daemon, TURNS_OF_A)
        request = self._request(daemon.socket, 1, STORE_OF_DEATH)
        with EngineProcess("A", request, self._folder / "A2.log") as engine:
            assert isinstance(engine, EngineProcess)
            for event in engine.events(EVENT_SECONDS):
                if event["kind"] == "halted":
                    engine.kill()
                    self._record.killed.append(f"engine A, in the middle of store {event['store']}")
                    self._say("killed engine A (SIGKILL) between a copy and its commit")
                    return
        raise DemoFailed("engine A ended before it could be killed in a store")

    def _wait_for_quiet(self, session: Any) -> None:
        """Wait until what the dead engine was writing is free again, as its death proves."""
        end = time.monotonic() + 20.0
        while session.operator.stats()["metrics"]["quarantined_parts"]:
            if time.monotonic() > end:
                raise DemoFailed("the dead engine's extents are still in quarantine after 20 s")
            time.sleep(0.05)


def print_table(record: Record, console: Console) -> bool:
    """Print what was reached; return whether every turn has the reference's bits."""
    table = Table(title="each turn, beside the reference", title_style="bold")
    for heading in (
        "turn",
        "engine",
        "prompt",
        "reused",
        "prefill s",
        "reference s",
        "load GB/s",
        "logits",
    ):
        table.add_column(heading, justify="right")
    equal = True
    for turn, answer in sorted(record.answers.items()):
        cold = record.reference[turn]
        same = answer["digest"] == cold["digest"]
        equal = equal and same
        loaded = answer["reused_tokens"] // 256 * answer["chunk_bytes"]
        rate = loaded / answer["seconds"]["load"] / 1e9 if loaded else 0.0
        table.add_row(
            str(turn),
            record.engines[turn],
            str(answer["prompt_tokens"]),
            str(answer["reused_tokens"]),
            f"{answer['seconds']['prefill']:.2f}",
            f"{cold['seconds']['prefill']:.2f}",
            f"{rate:.1f}" if loaded else "-",
            "[green]same" if same else "[red]DIFFERENT",
        )
    console.print(table)
    return equal


def print_summary(record: Record, console: Console) -> None:
    """Print the sums."""
    reused = sum(answer["reused_tokens"] for answer in record.answers.values())
    prompts = sum(answer["prompt_tokens"] for answer in record.answers.values())
    saved = sum(
        record.reference[turn]["seconds"]["prefill"] - answer["seconds"]["prefill"]
        for turn, answer in record.answers.items()
    )
    summary = Table(show_header=False)
    summary.add_row("tokens reused", f"{reused} of {prompts}")
    summary.add_row("prefill saved", f"{saved:.1f} s")
    summary.add_row("killed", "; ".join(record.killed))
    lost = f"{record.lost_objects} objects" if record.lost_objects else "nothing"
    summary.add_row("lost", lost)
    console.print(summary)


def as_document(record: Record, good: bool) -> dict[str, Any]:
    """Return what happened as JSON values."""
    return {
        "ok": good,
        "turns": [
            {
                "turn": turn,
                "engine": record.engines[turn],
                "prompt_tokens": answer["prompt_tokens"],
                "reused_tokens": answer["reused_tokens"],
                "seconds": answer["seconds"],
                "seconds_without": record.reference[turn]["seconds"],
                "same_logits": answer["digest"] == record.reference[turn]["digest"],
            }
            for turn, answer in sorted(record.answers.items())
        ],
        "killed": record.killed,
        "lost_objects": record.lost_objects,
    }


def run(program: str, *, as_json: bool = False) -> int:
    """Run the demo with the daemon `program`; return the exit code."""
    console = Console(stderr=as_json)
    columns = (TextColumn("{task.description:<20}"), BarColumn(), TimeElapsedColumn())
    document: dict[str, Any] = {"ok": False}
    console.print(OPENING, soft_wrap=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lmcd-demo-") as folder,
            Progress(*columns, console=console) as progress,
        ):
            record = Demo(program, Path(folder), progress).run()
        equal = print_table(record, console)
        print_summary(record, console)
        document = as_document(record, equal and record.lost_objects == 0)
    except DemoFailed as failure:
        console.print(f"[red]{failure}")
        document["reason"] = str(failure)
    verdict = "[bold green]demo: ok[/]" if document["ok"] else "[bold red]demo: FAILED[/]"
    console.print(verdict, highlight=False)
    if as_json:
        print(json.dumps(document))
    return 0 if document["ok"] else 1
