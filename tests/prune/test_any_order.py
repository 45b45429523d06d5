"""A model: backups, forgettings, holds and prunes in any order, killed at any write; and stock restic between them.

All that was not forgotten for good is there or in the bin, restores as it was stored, and stock restic reads it without
an error. What is in the bin can be taken back, unless a prune of stock restic, which does not know the bin, came since.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import ClassVar, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from holdfast.backup.run import BackupRun
from holdfast.errors import BlobMissingError, StorageUnavailableError, UsageError
from holdfast.ids import BlobId, from_hex, to_hex
from holdfast.prune.documents import PruneOrder
from holdfast.repository.kept_trees import is_whole
from holdfast.repository.layout import SNAPSHOTS, list_ids
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import find_snapshot
from holdfast.retention.bin import bin_roots, binned_snapshots, drop, empty_bin, take_back
from holdfast.retention.documents import ForgetOrder
from holdfast.retention.forget import ForgetRun, carry_out, open_forgetting
from holdfast.retention.holds import Proofs, hold, release
from holdfast.retention.policy import Policy
from holdfast.retention.rules import Rules
from holdfast.runs.opening import close_run
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from tests.prune.conftest import age_packs
from tests.support.comparison import restic
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import (
    KIB,
    PASSWORD,
    EngineRun,
    new_session,
    open_session,
    small_session,
)
from tests.support.pruning import Pruning, binned, everything, has_work
from tests.support.restore import restore

Model: TypeAlias = dict[str, bytes]
"""Path to content."""

_TRIES = 6
_WEEK_S = 7 * 86_400.0
_POOL = [Random(seed).randbytes(size * KIB) for seed, size in enumerate((1, 1, 3, 7, 20, 45, 90, 200))]
"""What files hold: contents come again after they were forgotten, and a pack holds several."""
NAMES = ("a", "b", "c", "d/a", "d/b", "d/c", "e/a", "e/b")
STOCK = [
    *("backup", "forget", "forget --prune --max-unused 0", "prune --max-unused 0"),
    *("rebuild-index", "unlock", "unlock --remove-all"),
]
RARE = ["two days", "the bin", "prune", "prune, closed", "backup"]
STEPS = [*["backup", "forget", "prune", "prune"] * 2, "unforget", "hold", "rarely", "stock", "stock"]


@dataclass(slots=True)
class Backup:
    """A run that is not over, and what its snapshot has to restore."""

    run: BackupRun
    engine: EngineRun
    source: Path
    model: Model


@dataclass(slots=True)
class Prune:
    """A prune that is not over. step: the next one."""

    run_id: str
    order: PruneOrder
    step: int = 0


@dataclass(slots=True)
class Forgetting:
    """A forgetting that is not over."""

    run_id: str
    order: ForgetOrder
    bin_s: float


class Lifetimes(RuleBasedStateMachine):
    """Each step is a process of its own, ours or stock restic's."""

    every = 6
    """After so many steps everything is read."""
    met: ClassVar[Counter[str]] = Counter()
    """What happened in all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.repository = self.folder / "repository"
        for name in ("one", "two"):
            (self.folder / name).mkdir()
        with new_session(self.repository, small=True):
            pass
        self.kept: dict[str, tuple[Path, Model]] = {}
        """What each snapshot that ever was has to restore, and where that came from."""
        self.safe: set[str] = set()
        """Snapshots that have to be there or in the bin."""
        self.fleeting: set[str] = set()
        """Those that may leave the bin at once, when they get there."""
        self.held: set[str] = set()
        self.hurt: set[str] = set()
        """Those that were in the bin while stock restic pruned."""
        self.backup: Backup | None = None
        self.forgetting: Forgetting | None = None
        self.prunes: dict[int, Prune] = {}
        self.runs = 0
        self.steps = 0
        for seed in range(3):
            self.store("one", seed, None)

    def teardown(self) -> None:
        try:
            self.look()
            self.read_all()
            self.take_all_back()
            self.read_all()
        finally:
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------------------------------------ sources

    def change(self, source: str, seed: int) -> None:
        """Change a third of a source's files, unless a run reads them: what it stores must be known."""
        random = Random(seed)
        for name in NAMES:
            path = self.folder / source / name
            if random.random() < 0.3 or not path.parent.exists():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(random.choice(_POOL) + random.choice(_POOL))
            elif random.random() < 0.1:
                path.unlink(missing_ok=True)

    @rule(what=st.sampled_from(STEPS), seed=st.integers(0, 1 << 32))
    def step(self, what: str, seed: int) -> None:
        """One rule, and not one for each kind: hypothesis would leave half of them out of an example."""
        random = Random(seed)
        source, number = random.choice(["one", "two"]), random.randrange(1000)
        death = (
            (random.randrange(random.choice([12, 40, 90])), random.random() < 0.5)
            if random.random() < 0.4
            else None
        )
        if what == "backup":
            self.store(source, number, death)
        elif what == "forget":
            self.forget(
                number,
                random.randint(1, 3),
                random.choice([-1.0, _WEEK_S]),
                death,
                by_id=random.random() < 0.5,
            )
        elif what == "unforget":
            self.unforget(number, death)
        elif what == "hold":
            self.hold_or_release(number)
        elif what == "prune":
            self.prune(
                random.randrange(2),
                random.choice([1, 2, 3, 5, 5]),
                random.choice(["0", "0", "5%", "unlimited"]),
                death,
                full_disk=random.random() < 0.2,
            )
        elif what == "rarely":
            self.rarely(random.choice(RARE))
        else:
            self.stock(random.choice(STOCK), source, number)

    # ------------------------------------------------------------------------------------------------ ours

    def store(self, source: str, seed: int | None, death: tuple[int, bool] | None) -> None:
        """Begin a backup of a source, changed by this seed if there is one, or go on with one that was killed."""
        if self.backup is None and seed is not None:
            self.change(source, seed)
        with self.process(death) as session:
            if self.backup is None:
                engine = EngineRun.of(
                    session, self.folder / source, run_id=self.new_run("backup"), allow_empty=True
                )
                self.backup = Backup(
                    engine.backup, engine, self.folder / source, _model(self.folder / source)
                )
            pending = self.backup
            pending.engine = EngineRun(replace(pending.run, session=session), pending.engine.order)
            snapshot = _run(pending.engine)
            assert self.kept.setdefault(snapshot, (pending.source, pending.model))[1] == pending.model
            self.backup = None
            self.met["backups"] += 1
            close_run(pending.engine.backup.workspace)
        self.look()

    def forget(
        self, number: int, last: int, bin_s: float, death: tuple[int, bool] | None, *, by_id: bool
    ) -> None:
        """Forget one snapshot, or by a policy; or go on with what was killed."""
        there = self.there()
        if self.forgetting is None and not there:
            return
        if self.forgetting is None:
            order = ForgetOrder(policy=Policy(last=last))
            if by_id:
                order = ForgetOrder(snapshots=(self.one_of(there, number),))
            self.forgetting = Forgetting(self.new_run("forget"), order, bin_s)
        one = self.forgetting
        if one.bin_s < 0:
            self.fleeting |= there
        with self.process(death) as session:
            run = ForgetRun(session=session, run_id=one.run_id)
            rules = Rules(sources={}, bin_s=one.bin_s)
            try:
                open_forgetting(run, one.order, rules, Proofs(), now_ns=time.time_ns(), by="Ann")
            except UsageError:
                assert self.held.intersection(one.order.snapshots)
                self.met["forgettings that a hold has refused"] += 1
            else:
                report = carry_out(run, now_ns=time.time_ns())
                self.met["forgotten"] += len(report.forgotten)
                assert not self.held.intersection(map(to_hex, report.forgotten))
            self.forgetting = None
            close_run(run.workspace)
        now = self.look()
        assert self.held & there <= now
        assert now or not there or one.order.snapshots, "a policy has left nothing"

    def unforget(self, number: int, death: tuple[int, bool] | None) -> None:
        with self.process(death) as session:
            found = {to_hex(one.stored.id) for one in binned_snapshots(session.repository)}
            if not found:
                return
            chosen = self.one_of(found, number)
            try:
                with session.hold() as held:
                    take_back(held, chosen)
            except BlobMissingError:
                assert chosen in self.hurt
                self.met["refused, because stock restic has pruned what was in the bin"] += 1
            else:
                self.met["taken out of the bin"] += 1
                self.safe.add(chosen)
                self.hurt.discard(chosen)
        self.look()

    def empty_the_bin(self) -> None:
        """Before its time, of what is not held."""
        with open_session(self.repository) as session:
            self.safe -= {to_hex(one.stored.id) for one in binned_snapshots(session.repository)} - self.held
        with open_session(self.repository) as session:
            drop(session.repository, (), time.time_ns())
        self.look()

    def hold_or_release(self, number: int) -> None:
        there = self.there() - self.held
        with open_session(self.repository) as session:
            if self.held and (number % 2 or not there):
                chosen = self.one_of(self.held, number)
                release(session.repository, chosen)
                self.held.remove(chosen)
            elif there:
                chosen = self.one_of(there, number)
                stored = find_snapshot(session.repository, chosen)
                hold(session.repository, stored, by="Ann", reason="audit", now_ns=time.time_ns())
                self.held.add(chosen)

    def prune(
        self, slot: int, steps: int, max_unused: str, death: tuple[int, bool] | None, *, full_disk: bool
    ) -> None:
        """Some steps of one of two prunes, which know nothing of each other."""
        with self.process(death) as session:
            if slot not in self.prunes:
                empty_bin(session.repository, time.time_ns())
                order = everything(max_unused=max_unused, full_disk=full_disk, roots=binned(session))
                self.prunes[slot] = Prune(self.new_run("prune"), order)
            one = self.prunes[slot]
            pruning = Pruning(session, one.run_id, one.order)
            while steps and slot in self.prunes:
                plan = pruning.plan()
                if one.step == 1:
                    pruning.repack(plan)
                elif one.step == 2 and has_work(plan):
                    pruning.switch()
                elif one.step == 3 and has_work(plan):
                    pruning.delete(pruning.switch())
                elif one.step == 4:
                    del self.prunes[slot]
                    report = pruning.finish()
                    self.met["prunes"] += 1
                    self.met["packs deleted"] += report.deleted_packs
                    self.met["packs copied"] += report.written_packs
                    self.met["packs taken back or spared"] += report.taken_back + report.spared
                one.step += 1
                steps -= 1
        self.look()

    def rarely(self, what: str) -> None:
        """Time passes, the bin is emptied, or a run that was begun does not come to its end."""
        if what == "two days":
            age_packs(self.repository)
        elif what == "the bin":
            self.empty_the_bin()
        elif what == "backup":
            self.backup = None
        elif self.prunes:
            _, one = self.prunes.popitem()
            if what == "prune, closed":
                with open_session(self.repository, small=True) as session:
                    close_run(Pruning(session, one.run_id).prune.workspace)

    # ------------------------------------------------------------------------------------------------ stock restic

    def stock(self, verb: str, source: str, number: int) -> None:
        before = self.there()
        if verb == "backup":
            if self.backup is None:
                self.change(source, number)
            self.restic("backup", "--host", "testhost", str(self.folder / source))
            (new,) = self.there() - before
            self.kept[new] = self.folder / source, _model(self.folder / source)
        elif verb.startswith("forget"):
            if before:
                chosen = self.one_of(before, number)
                self.safe.discard(chosen)
                self.restic("forget", chosen, *verb.split()[1:])
        else:
            self.restic(*verb.split())
        if "prune" in verb:
            self.hurt_the_bin()
        self.look()

    # ------------------------------------------------------------------------------------------------ what must be true

    def look(self) -> set[str]:
        """The snapshots that are there, all of them known; whatever must be there or in the bin is."""
        with open_session(self.repository) as session:
            there = _there(session)
            in_bin = {to_hex(stored.id) for stored in bin_roots(session.repository)}
            for new in there - self.kept.keys():
                assert self.backup is not None, "nobody has stored this snapshot"
                self.kept[new] = self.backup.source, self.backup.model
        self.fleeting -= there
        self.safe = (self.safe - self.fleeting) | there
        assert self.safe <= there | in_bin, "a snapshot is neither there nor in the bin"
        self.steps += 1
        if self.steps % self.every == 0:
            self.read_all()
        return there

    def read_all(self) -> None:
        """Stock restic reads all packs; each snapshot restores; what is in the bin is whole."""
        assert "no errors were found" in self.restic("check", "--read-data")
        with open_session(self.repository, small=True) as session:
            for snapshot in _there(session):
                source, model = self.kept[snapshot]
                target = self.folder / "target"
                restored = restore(session, target, snapshot=f"{snapshot}:{source}")
                assert not restored.failures
                assert _model(target) == model
                shutil.rmtree(target)
            with session.hold() as held:
                for one in binned_snapshots(session.repository):
                    if to_hex(one.stored.id) not in self.hurt:
                        assert is_whole(held, BlobId(from_hex(one.stored.snapshot.tree)))

    def take_all_back(self) -> None:
        with open_session(self.repository, small=True) as session:
            for one in binned_snapshots(session.repository):
                if to_hex(one.stored.id) not in self.hurt:
                    with session.hold() as held:
                        take_back(held, to_hex(one.stored.id))

    # ------------------------------------------------------------------------------------------------ helpers

    @contextmanager
    def process(self, death: tuple[int, bool] | None) -> Iterator[RepositorySession]:
        """A process of ours, which may be killed at a write; its lock goes as that of a process that is dead."""
        storage: Storage = LocalStorage(self.repository)
        if death is None:
            dying = None
        else:
            at, done = death
            storage = dying = DyingStorage(storage, at, done=done)
        try:
            session = small_session(storage)
            try:
                yield session
            finally:
                session.close()
        except (Killed, StorageUnavailableError):
            if dying is None or not dying.dead:
                raise
            self.met["kills"] += 1
        finally:
            if dying is not None and dying.dead:
                for lock in (self.repository / "locks").iterdir():
                    lock.unlink()

    def restic(self, *arguments: str) -> str:
        self.met[f"restic {arguments[0]}"] += 1
        return restic(self.repository, PASSWORD, *arguments)

    def one_of(self, snapshots: set[str], number: int) -> str:
        """Chosen by age, not by id: an example that is tried again does the same."""
        return [one for one in self.kept if one in snapshots][number % len(snapshots)]

    def there(self) -> set[str]:
        with open_session(self.repository) as session:
            return _there(session)

    def hurt_the_bin(self) -> None:
        with open_session(self.repository) as session:
            self.hurt |= {to_hex(one.stored.id) for one in binned_snapshots(session.repository)}

    def new_run(self, kind: str) -> str:
        self.runs += 1
        return f"{kind}-{self.runs}"


def _run(engine: EngineRun) -> str:
    """The whole run, work that has to be redone too; its snapshot."""
    engine.open()
    pages = engine.select()
    shards: tuple[int, ...] = tuple(range(sum(page.shards for page in pages)))
    for _ in range(_TRIES):
        for shard in shards:
            engine.store(shard)
        outcome = engine.commit(pages)
        if outcome.result is not None:
            return to_hex(outcome.result.snapshot)
        shards = outcome.missing_shards
        if outcome.rescan:
            engine.backup = engine.backup.of_generation(engine.backup.generation + 1)
            pages = engine.select()
            shards = tuple(range(sum(page.shards for page in pages)))
        for shard in () if outcome.rescan else shards:
            engine.backup.plan.do_again(shard)
    raise AssertionError("the run does not come to its end")


def _there(session: RepositorySession) -> set[str]:
    return {raw.hex() for raw, _ in list_ids(session.repository.storage, SNAPSHOTS)}


def _model(folder: Path) -> Model:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _explore(machine: type[Lifetimes], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=[Phase.reuse, Phase.generate],  # an example takes seconds: none is made smaller
            suppress_health_check=[*HealthCheck],
        ),
    )


def test_some_orders() -> None:
    _explore(Lifetimes, examples=3, steps=20)


def test_what_comes_back_between_the_plan_and_the_switch_is_kept() -> None:
    """Chance hardly ever has a backup find just then, in packs that go, what nothing else holds."""
    machine = Lifetimes()
    path = machine.folder / "one" / "a"
    lost = Random("comes back").randbytes(30 * KIB)
    for content in (lost, b"another"):
        path.write_bytes(content)
        machine.store("one", None, None)
    machine.forget(3, 1, -1.0, None, by_id=True)
    machine.prune(0, 2, "0", None, full_disk=False)
    path.write_bytes(lost)
    machine.store("one", None, None)
    machine.prune(0, 5, "0", None, full_disk=False)
    assert not machine.prunes
    machine.teardown()


class ReadOften(Lifetimes):
    every = 2
    met: ClassVar[Counter[str]] = Counter()


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_many_orders() -> None:
    _explore(ReadOften, examples=40, steps=50)
    print(f"met: {dict(ReadOften.met)}")  # noqa: T201 - what it measured
