"""Prunes go on beside ten runs of ours, stock restic and a drill; nothing is lost, and nobody waits long.

Seeded. HOLDFAST_PRUNE_BESIDE_S says for how long (an hour without it), HOLDFAST_PRUNE_BESIDE_SEED with which seed.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from temporalio.client import Client, WorkflowHandle

from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, RESTORE_WORKFLOW
from holdfast.contracts.control import STAND_ASIDE
from holdfast.contracts.drill import DrillRequest, DrillResult
from holdfast.contracts.prune import PruneRequest, PruneResult, Switched
from holdfast.contracts.restore import RestoreRequest, RestoreResult
from holdfast.contracts.verbs import DRILL_WORKFLOW, PRUNE_WORKFLOW, VERIFY_WORKFLOW
from holdfast.contracts.verify import VerifyRequest, VerifyResult
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.requests import write_request
from holdfast.terms import RunStatus, VerifyLevel
from holdfast.workflows.registration import ensure_search_attributes
from tests.support.hosts import PASSWORD, Host, Hosts
from tests.support.service import FAST

pytestmark = pytest.mark.faults

LENGTH_S: Final = float(os.environ.get("HOLDFAST_PRUNE_BESIDE_S", "3600"))
SEED: Final = int(os.environ.get("HOLDFAST_PRUNE_BESIDE_SEED", "0")) or secrets.randbelow(10**9)
SOURCES: Final = 6
RESTORES: Final = 3
FILES: Final = 24
KEPT: Final = 2
"""Of each source the newest are never forgotten."""
SLACK_MS: Final = 3_000
"""Between two moments of which one is the server's: tasks wait for workers that are busy."""
PATIENCE_S: Final = 60.0
Tree = dict[str, str]


@dataclass(kw_only=True)
class Known:
    """What was acknowledged: of each snapshot the content; which are gone, which are in use; how long runs stood."""

    trees: dict[str, Tree] = field(default_factory=dict)
    of_source: dict[str, list[str]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    in_use: Counter[str] = field(default_factory=Counter)
    short_parts: list[Switched] = field(default_factory=list)
    stands_ms: list[int] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def using(self, snapshot: str) -> Iterator[None]:
        self.in_use[snapshot] += 1
        try:
            yield
        finally:
            self.in_use[snapshot] -= 1

    def standing(self) -> list[str]:
        return [snapshot for snapshot in self.trees if snapshot not in self.forgotten]


class Beside:
    """The actors, each a loop until the time is over."""

    def __init__(self, client: Client, hosts: Hosts, seed: int) -> None:
        self.client, self.hosts = client, hosts
        self.random = Random(seed)
        self.known = Known()
        self.stock_running = 0
        self.repository = hosts.folder / "repository"
        self.over = time.monotonic() + LENGTH_S

    async def loop(self, step: Callable[[], Awaitable[None]]) -> None:
        while time.monotonic() < self.over:
            await step()
            await asyncio.sleep(self.random.uniform(0.5, 4))

    async def run(self, host: Host, workflow: str, request: Any, result: type[Any], name: str) -> Any:
        handle = await self.client.start_workflow(
            workflow,
            request,
            id=f"{name}:{host.name}:home:{uuid.uuid4()}",
            task_queue=host.queue,
            result_type=result,
        )
        ended = await handle.result()
        self.known.stands_ms += await stands_of(handle)
        self.known.done[name] += 1
        return ended

    async def back_up(self, source: str) -> None:
        folder = self.hosts.one.folder / source
        change(folder, self.random)
        tree = content(folder)
        request = BackupRequest(repository="home", source=source, verify=VerifyLevel.STRUCTURE, policy=FAST)
        result: BackupResult = await self.run(
            self.hosts.one, BACKUP_WORKFLOW, request, BackupResult, "backup"
        )
        assert result.status is RunStatus.COMPLETE
        self.known.trees[result.snapshot_id] = tree
        self.known.of_source.setdefault(source, []).append(result.snapshot_id)

    async def restore(self) -> None:
        snapshot = self.choose()
        if snapshot is None:
            return
        target = self.hosts.folder / f"back-{uuid.uuid4()}"
        options = RestoreOptions(snapshot=snapshot, target=os.fsencode(target))
        token = write_request(self.hosts.one.folder / "state", options, once=uuid.uuid4().hex)
        request = RestoreRequest(repository="home", selection=token, policy=FAST)
        with self.known.using(snapshot):
            result: RestoreResult = await self.run(
                self.hosts.one, RESTORE_WORKFLOW, request, RestoreResult, "restore"
            )
        assert result.status is RunStatus.COMPLETE
        assert self.known.trees[snapshot] == restored(target)
        shutil.rmtree(target)

    async def verify(self) -> None:
        request = VerifyRequest(repository="home", share="20%", policy=FAST)
        result: VerifyResult = await self.run(
            self.hosts.one, VERIFY_WORKFLOW, request, VerifyResult, "verify"
        )
        assert result.verdict is not None
        assert result.verdict.ok, result.verdict.first_problem_kind

    async def drill(self) -> None:
        source = f"s{self.random.randrange(SOURCES)}"
        if not self.known.of_source.get(source):
            return
        request = DrillRequest(repository="home", source=source, sample="all", policy=FAST)
        result: DrillResult = await self.run(self.hosts.one, DRILL_WORKFLOW, request, DrillResult, "drill")
        assert result.findings.proven, result.restore_failure

    async def stock_backup(self) -> None:
        folder = self.hosts.folder / "foreign"
        change(folder, self.random)
        tree = content(folder)
        said = await self.restic("backup", "--json", str(folder))
        begins = json.loads(said.strip().splitlines()[-1])["snapshot_id"]
        [snapshot] = (path.name for path in (self.repository / "snapshots").glob(f"{begins}*"))
        self.known.trees[snapshot] = tree
        self.known.of_source.setdefault("foreign", []).append(snapshot)
        self.known.done["restic backup"] += 1

    async def stock_restore(self) -> None:
        snapshot = self.choose()
        if snapshot is None:
            return
        target = self.hosts.folder / f"back-{uuid.uuid4()}"
        with self.known.using(snapshot):
            await self.restic("restore", snapshot, "--target", str(target))
        assert self.known.trees[snapshot] == restored(target)
        shutil.rmtree(target)
        self.known.done["restic restore"] += 1

    async def forget_and_prune(self) -> None:
        """Forget as `restic forget` does, by removing the file while no restic lists snapshots; and prune."""
        give_up_at = time.monotonic() + PATIENCE_S
        while self.stock_running and time.monotonic() < give_up_at:
            await asyncio.sleep(0.05)
        if not self.stock_running:
            self.forget()
        two = self.hosts.two
        request = PruneRequest(repository="home", max_unused="0", policy=FAST)
        pruned: PruneResult = await self.run(two, PRUNE_WORKFLOW, request, PruneResult, "prune")
        assert pruned.status is RunStatus.COMPLETE
        if pruned.switched is not None:
            self.known.short_parts.append(pruned.switched)

    def forget(self) -> None:
        """About half of what nobody uses, but the newest."""
        for snapshots in self.known.of_source.values():
            for snapshot in snapshots[:-KEPT]:
                free = not self.known.in_use[snapshot] and snapshot not in self.known.forgotten
                if free and self.random.random() < 0.5:
                    self.known.forgotten.add(snapshot)
                    (self.repository / "snapshots" / snapshot).unlink()

    def choose(self) -> str | None:
        standing = self.known.standing()
        return self.random.choice(standing) if standing else None

    async def restic(self, *arguments: str) -> str:
        """What it prints. It ends at once where the exclusive lock is held, and is tried again then, as people do."""
        began = time.monotonic()
        while True:
            self.stock_running += 1
            process = await asyncio.create_subprocess_exec(
                "restic", "--no-cache", "-r", str(self.repository), *arguments,
                env={
                    "RESTIC_PASSWORD": os.fsdecode(PASSWORD),
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": "/nonexistent",
                    "TMPDIR": str(self.hosts.folder),
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            said, wrong = await process.communicate()
            self.stock_running -= 1
            if b"already locked" not in wrong:
                assert process.returncode == 0, wrong.decode()
                return said.decode()
            self.known.done["restic met a lock"] += 1
            assert time.monotonic() - began < PATIENCE_S
            await asyncio.sleep(0.2)


def change(folder: Path, random: Random) -> None:
    """Some files get other content, and a part of what they had."""
    folder.mkdir(exist_ok=True)
    for number in random.sample(range(FILES), 6 if any(folder.iterdir()) else FILES):
        path = folder / f"file-{number}"
        kept = path.read_bytes()[: random.randrange(1 << 17)] if path.exists() else b""
        path.write_bytes(kept + random.randbytes(random.randrange(1 << 18)))


def content(folder: Path) -> Tree:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def restored(target: Path) -> Tree:
    """The files below, wherever: ours and restic restore with the whole path."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in target.rglob("file-*")
        if path.is_file()
    }


async def stands_of(handle: WorkflowHandle[Any, Any]) -> list[int]:
    """For how long the run stood each time, in milliseconds: from the signal to the one that lets it go on."""
    stands: list[int] = []
    since_ms: int | None = None
    async for event in handle.fetch_history_events():
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name != STAND_ASIDE:
            continue
        asked = json.loads(signal.input.payloads[0].data)
        now_ms = event.event_time.ToMilliseconds()
        if asked["until_ns"] and since_ms is None:
            since_ms = now_ms
        elif not asked["until_ns"] and since_ms is not None:
            stands.append(now_ms - since_ms)
            since_ms = None
    return stands


@pytest.mark.timeout(LENGTH_S + 1_800)
async def test_prunes_beside_everybody(tmp_path: Path, server_address: str) -> None:
    print(f"seed {SEED}, {LENGTH_S:.0f} s")  # noqa: T201 - for `pytest -rP`
    client = await Client.connect(server_address)
    await ensure_search_attributes(client)
    hosts = Hosts(folder=tmp_path, address=server_address)
    hosts.one.settings = "".join(
        f'[sources.s{number}]\nrepository = "home"\npaths = ["{hosts.one.folder}/s{number}"]\n'
        for number in range(SOURCES)
    )
    hosts.two.settings = "[prune]\napprove_over = 1.0\n"
    hosts.one.write()
    hosts.two.write()
    beside = Beside(client, hosts, SEED)
    with hosts.one.serving(), hosts.two.serving():
        whole = VerifyRequest(repository="home", policy=FAST)
        await beside.run(hosts.two, VERIFY_WORKFLOW, whole, VerifyResult, "verify")
        steps: list[Callable[[], Awaitable[None]]] = [
            *(lambda source=f"s{number}": beside.back_up(source) for number in range(SOURCES)),
            *[beside.restore] * RESTORES,
            beside.verify,
            beside.drill,
            beside.stock_backup,
            beside.stock_restore,
            beside.forget_and_prune,
        ]
        await asyncio.gather(*(beside.loop(step) for step in steps))
        known = beside.known
        await beside.restic("check", "--read-data")
        for snapshot in known.standing():
            target = tmp_path / "last"
            await beside.restic("restore", snapshot, "--target", str(target))
            assert restored(target) == known.trees[snapshot], snapshot
            shutil.rmtree(target)
    stood = sorted(part.stood_ms for part in known.short_parts)
    locked = sorted(part.locked_ms for part in known.short_parts)
    print(f"done: {dict(known.done)}; {len(known.forgotten)} of {len(known.trees)} snapshots forgotten")  # noqa: T201
    print(f"short parts {len(stood)}: stood {stood} ms, alone {locked} ms")  # noqa: T201
    print(f"stands of runs: {len(known.stands_ms)}, longest {max(known.stands_ms, default=0)} ms")  # noqa: T201
    assert known.done["prune"] >= 2
    assert stood
    assert known.stands_ms
    assert max(known.stands_ms) <= max(stood) + SLACK_MS
