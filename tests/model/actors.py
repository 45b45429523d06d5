"""The actors of the model: our prune and our backup as the documents say (docs/retention.md), and stock restic's verbs.

An actor's state says what it does next. What takes two steps, a look at the lock and then the request, stands as two.
`without` names what a broken protocol leaves out.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from tests.model.world import (
    NONE,
    Files,
    World,
    content,
    crashed,
    holding,
    lapsed,
    named,
    names,
    owner_of,
)


class PruneState(NamedTuple):
    """A prune. Durable are `used` to `switched`; the rest is lost in a crash."""

    at: str = "begin"
    used: frozenset[str] = NONE
    walked: frozenset[str] = NONE
    plan: frozenset[str] | None = None
    orphans: frozenset[str] = NONE
    repacked: bool = False
    switched: frozenset[str] | None = None
    fence: frozenset[str] | None = None
    attempt: int = 0
    files: frozenset[str] = NONE
    """The index files that it goes by."""
    going: frozenset[str] = NONE
    seen: frozenset[str] = NONE
    """Blobs that snapshots use which marking did not walk, as the look has listed them."""
    listed: frozenset[str] = NONE
    old: frozenset[str] = NONE
    gone: frozenset[str] = NONE
    """Packs that the index names and that are not there, as the look has found."""
    locks: frozenset[str] = NONE
    """The files of locks that a listing has shown."""
    standing: frozenset[str] = NONE
    """Whose locks are there."""
    refused: bool = False
    pack: str = ""


class BackupState(NamedTuple):
    """A backup. pending: a pack that its checkpoint names, and no index may."""

    at: str = "begin"
    pending: str = ""
    bad: frozenset[str] = NONE
    loaded: Files = frozenset()
    own: str = ""
    uses: str = ""
    stored: int = 0


StateT = TypeVar("StateT", PruneState, BackupState)


class _Ours(ABC, Generic[StateT]):
    """A process of ours: a method for each value of `at`; it may crash, and lose its lock, between any two steps."""

    name: str

    def done(self, state: StateT) -> bool:
        return state.at == "end"

    def steps(self, world: World, state: StateT) -> Iterator[tuple[World, StateT]]:
        if state.at == "end":
            return
        after_crash = crashed(world, self.name)
        if after_crash is not None and state.at != "begin":
            yield after_crash, self._again(state)
        after_lapse = lapsed(world, self.name)
        if after_lapse is not None:
            yield after_lapse, state
        yield from getattr(self, "_" + state.at.replace("-", "_"))(world, state)

    @abstractmethod
    def _again(self, state: StateT) -> StateT:
        """What the next attempt begins with."""

    def _checked(self, world: World, state: StateT, then: str) -> Iterator[tuple[World, StateT]]:
        """A look at the lock; the request is a step of its own."""
        yield world, state._replace(at=then) if world.holds(self.name) else self._again(state)


class Prune(_Ours[PruneState]):
    """Our prune. marks: the way without an exclusive moment. young: packs that no index names are too young to go."""

    def __init__(
        self, *, marks: bool = False, without: str = "", name: str = "prune", young: bool = False
    ) -> None:
        self.start = PruneState()
        self.name = name
        self._marks = marks
        self._young = young
        self._without = without

    def _again(self, state: PruneState) -> PruneState:
        at = "begin"
        if state.switched is not None:
            at = "delete"
        elif state.fence is not None:
            at = "watch"
        elif state.plan is not None:
            at = "look" if state.repacked else "repack"
        return PruneState(
            at,
            state.used,
            state.walked,
            state.plan,
            state.orphans,
            state.repacked,
            state.switched,
            state.fence,
            state.attempt + 1,
        )

    def _take(self, world: World, state: PruneState, then: str) -> Iterator[tuple[World, PruneState]]:
        taken = world.locked(self.name)
        if taken is not None:
            yield taken, state._replace(at=then)

    # ----------------------------------------------------------------------------------------- the long part

    def _begin(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield from self._take(world, state, "mark")

    def _mark(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        used = frozenset().union(*(blobs for _, blobs in world.snapshots | world.binned))
        yield (
            world,
            state._replace(
                at="plan", used=used, walked=frozenset(snapshot for snapshot, _ in world.snapshots)
            ),
        )

    def _plan(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if not world.holds(self.name):
            yield world, PruneState(attempt=state.attempt + 1)
            return
        known = named(world.index_files)
        if not state.used <= holding(known):
            yield world.unlocked(self.name), state._replace(at="end")  # refused: something is missing
            return
        going = frozenset(pack for pack in known if not content(pack) <= state.used)
        yield (
            world,
            state._replace(
                at="repack",
                plan=going,
                going=going,
                orphans=NONE if self._young else world.packs - known,
                files=names(world.index_files),
            ),
        )

    def _repack(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        going = state.plan or NONE
        if not world.holds(self.name):
            yield from self._take(world, state, "repack")
            return
        moved = (state.used & holding(going)) - holding(named(world.index_files) - going)
        if not moved:
            yield world, state._replace(at="look", repacked=True)
        elif moved <= holding(world.packs):
            pack = f"N{state.attempt}{self.name}={''.join(sorted(moved))}"
            yield world._replace(packs=world.packs | {pack}), state._replace(at="index", pack=pack)
        else:  # another program has pruned
            yield world.unlocked(self.name), state._replace(at="end")

    def _index(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if state.pack not in world.packs:
            yield world, state._replace(at="repack", attempt=state.attempt + 1)
        else:
            yield from self._checked(world, state, "index-now")

    def _index_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        file = f"FN{state.attempt}{self.name}"
        written = world.with_file(file, frozenset({state.pack}))
        yield written, state._replace(at="index-after", old=frozenset({file}))

    def _index_after(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if not world.holds(self.name) and state.pack not in world.packs:
            yield world.without_files(*state.old), self._again(state)
        else:
            yield world, state._replace(at="look", repacked=True, files=state.files | state.old)

    # ----------------------------------------------------------------------------------------- the look

    def _look(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if not world.holds(self.name):
            yield from self._take(world, state, "look")
        else:
            yield world, self._listing(world, state, "look-index")

    def _listing(self, world: World, state: PruneState, then: str) -> PruneState:
        new = {name: blobs for name, blobs in world.snapshots if name not in state.walked}
        if self._without == "second look" and then == "alone-index":
            new = {}
        return state._replace(at=then, seen=frozenset().union(*new.values()), listed=frozenset(new))

    def _look_index(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        looked = self._taken_back(world, state, full=self._without != "full look")
        if self._hidden(world, looked):
            yield world, looked._replace(at="name", pack="look")
        elif looked.refused:
            yield world.unlocked(self.name), state._replace(at="end")
        elif self._marks:
            yield world, looked._replace(at="condemn")
        else:
            yield world.unlocked(self.name), looked._replace(at="alone")

    def _taken_back(self, world: World, state: PruneState, *, full: bool) -> PruneState:
        """The going packs without those that hold alone what is used; `refused` where something is missing."""
        going = (state.plan or NONE) if full else state.going
        gone = (
            named(world.index_files) - world.packs
            if full and self._without != "look at packs"
            else state.gone
        )
        known = (named(world.index_files) | ((state.plan or NONE) - going) & world.packs) - gone
        wanted = state.seen | state.used if full else state.seen
        refused = False
        for blob in sorted(wanted):
            if blob in holding(known - going):
                continue
            back = sorted(pack for pack in going & world.packs if blob in content(pack))
            refused = refused or not back
            going -= frozenset(back[:1])
            known |= frozenset(back[:1])
        files = names(world.index_files) if full else state.files
        return state._replace(going=going, files=files, gone=gone, refused=refused)

    def _hidden(self, world: World, state: PruneState) -> frozenset[str]:
        """Packs that were taken back and that no index names."""
        return ((state.plan or NONE) - state.going - named(world.index_files)) & world.packs

    def _name(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield from self._checked(world, state, "name-now")

    def _name_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        hidden = self._hidden(world, state)
        written = world.with_file(f"H{self.name}" + "".join(sorted(hidden)), hidden)
        yield written, state._replace(at=state.pack, pack="")

    # ----------------------------------------------------------------------------------------- the short part

    def _alone(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        taken = world.locked(self.name, exclusive=self._without != "exclusive lock")
        if taken is not None:
            yield taken, state._replace(at="alone-look")

    def _alone_look(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield world, self._listing(world, state, "alone-index")

    def _alone_index(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if not world.holds(self.name):
            yield world, self._again(state)
        elif self._without != "full look" and not state.files <= names(world.index_files):
            yield world.unlocked(self.name), state._replace(at="look")  # others have removed packs since
        else:
            looked = self._taken_back(world, state, full=False)
            if self._hidden(world, looked):
                yield world, looked._replace(at="name", pack="alone-look")
            elif looked.refused:
                yield world.unlocked(self.name), state._replace(at="end")
            else:
                yield world, looked._replace(at="orphans")

    def _orphans(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield from self._checked(world, state, "orphans-now")

    def _orphans_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        gone = state.orphans - named(world.index_files)
        yield world._replace(packs=world.packs - gone), state._replace(at="condemn")

    def _condemn(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        going = NONE if self._without == "condemned list" else state.going
        others = frozenset(lists for lists in world.condemned if self._marks and lists[0] != self.name)
        yield world._replace(condemned=others | {(self.name, going)}), state._replace(at="write")

    def _write(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield from self._checked(world, state, "write-now")

    def _write_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        old = frozenset(file for file, packs in world.index_files if packs & state.going)
        kept = named(frozenset(file for file in world.index_files if file[0] in old)) - state.going
        if self._without == "new files first":
            # the old files go, and what is kept of them is written afterwards
            yield world, state._replace(at="remove", old=old, seen=kept)
        else:
            written = world.with_file(f"G{state.attempt}{self.name}", kept)
            yield written, state._replace(at="remove", old=old)

    def _remove(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if state.old:
            yield from self._checked(world, state, "remove-now")
        elif self._without == "new files first":
            yield world.with_file(f"G{state.attempt}{self.name}", state.seen), state._replace(at="last-look")
        else:
            yield world, state._replace(at="last-look")

    def _remove_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        first = min(state.old)
        yield world.without_files(first), state._replace(at="remove", old=state.old - {first})

    def _last_look(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if self._without == "last look":
            yield world, state._replace(at="switched")
        else:
            yield from self._checked(world, state, "fence" if self._marks else "switched")

    def _switched(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield world.unlocked(self.name), state._replace(at="delete", switched=state.going)

    # ----------------------------------------------------------------------------------------- the marked way

    def _fence(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield world, self._first_look(world, state, "fence-now")

    def _fence_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        fence = NONE if self._without == "fence" else state.standing
        yield (
            world.unlocked(self.name),
            self._again(state._replace(fence=fence))._replace(attempt=state.attempt),
        )

    def _first_look(self, world: World, state: PruneState, then: str) -> PruneState:
        """The first look at the locks: they are listed, and then read."""
        return state._replace(at="locks-read", locks=self._others(world), pack=then, standing=NONE)

    def _locks_read(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        there = state.locks & self._others(world)
        old = frozenset(lock for lock in there if lock in world.asleep)
        seen = state._replace(standing=frozenset(map(owner_of, there - old)))
        if old and self._without != "old locks go":
            yield world, seen._replace(at="locks-old", locks=old)
        else:
            yield world, self._after_first_look(seen)

    def _locks_old(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield world.without_locks(state.locks), self._after_first_look(state)

    def _after_first_look(self, state: PruneState) -> PruneState:
        then = state.pack if self._without == "second look at locks" else "locks-again"
        return state._replace(at=then, locks=NONE)

    def _locks_again(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        """The second one: a lock that was refreshed between the listing and the reading is seen now."""
        yield world, state._replace(at="locks-again-read", locks=self._others(world))

    def _locks_again_read(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        there = state.locks & self._others(world)
        if self._without == "old locks go":
            there = frozenset(lock for lock in there if lock not in world.asleep)
        standing = state.standing | frozenset(map(owner_of, there))
        yield world, state._replace(at=state.pack, pack="", locks=NONE, standing=standing)

    def _others(self, world: World) -> frozenset[str]:
        return frozenset(lock for lock, _ in world.locks if owner_of(lock) != self.name)

    def _watch(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        taken = world.locked(self.name)
        if taken is not None:
            looking = self._first_look(taken, state, "watch-list")
            yield taken, looking._replace(going=state.plan or NONE)

    def _watch_list(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        left = (state.fence or NONE) & state.standing
        listed = self._listing(world, state, "watch-bin")
        yield world, listed._replace(fence=left, standing=NONE)

    def _watch_bin(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        binned = frozenset().union(*(blobs for _, blobs in world.binned))
        yield world, state._replace(at="watch-index", seen=state.seen | binned)

    def _watch_index(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        looked = self._taken_back(world, state, full=True)
        if self._hidden(world, looked):
            yield world, looked._replace(at="name", pack="watch-list", standing=state.fence or NONE)
        elif looked.refused:
            yield world.unlocked(self.name), state._replace(at="end")
        elif not state.fence:
            yield world.unlocked(self.name), looked._replace(at="delete", switched=looked.going)
        else:
            yield world.unlocked(self.name), self._again(state)._replace(attempt=state.attempt)

    # ----------------------------------------------------------------------------------------- deletion

    def _delete(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        """One batch: the list and the index are looked at once, for all packs."""
        if not world.holds(self.name):
            yield from self._take(world, state, "delete")
        elif self._without != "list of its own" and self.name not in names(world.condemned):
            yield world.unlocked(self.name), state._replace(at="end")  # another prune was alone since
        else:
            going = (state.switched or NONE) & world.packs
            if self._without != "look at the index":
                going -= named(world.index_files)
            yield world, state._replace(at="delete-next", going=going)

    def _delete_next(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        if state.going:
            pack = min(state.going)
            yield from self._checked(
                world, state._replace(pack=pack, going=state.going - {pack}), "delete-now"
            )
        else:
            yield world.unlocked(self.name), state._replace(at="end")

    def _delete_now(self, world: World, state: PruneState) -> Iterator[tuple[World, PruneState]]:
        yield world._replace(packs=world.packs - {state.pack}), state._replace(at="delete-next", pack="")


class Backup(_Ours[BackupState]):
    """Our backup of one blob, which may go on from a checkpoint."""

    def __init__(self, wants: str, *, checkpoint: str = "", without: str = "") -> None:
        self.name = f"ours-{wants}"
        self.start = BackupState(pending=checkpoint)
        self._wants = wants
        self._without = without

    def steps(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        if world.holds(self.name) and state.at in ("load", "look", "store", "index", "commit"):
            yield world.unlocked(self.name), self._again(state)  # hands the lock over
        yield from super().steps(world, state)

    def _again(self, state: BackupState) -> BackupState:
        """Under another lock, with the index read again."""
        if self._without == "new generation" and state.loaded:
            return state._replace(at="begin")
        return BackupState(pending=state.pending, bad=state.bad, stored=state.stored)

    def _begin(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        taken = world.locked(self.name)
        if taken is not None:
            kept = self._without == "new generation" and bool(state.loaded)
            yield taken, state._replace(at="look" if kept else "load")

    def _load(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        mine = [blobs for name, blobs in world.snapshots if name == self.name]
        if mine and mine[0] <= holding(named(world.index_files) & world.packs):
            yield world.acknowledging(self.name).unlocked(self.name), state._replace(at="end")
        else:
            yield (
                world,
                state._replace(at="checkpoint" if state.pending else "look", loaded=world.index_files),
            )

    def _checkpoint(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        """Is the checkpoint's pack there, and is it not condemned?"""
        condemned = NONE if self._without == "condemned list" else named(world.condemned)
        if state.pending in world.packs and state.pending not in condemned:
            yield world, state._replace(at="index", own=state.pending)
        else:
            yield world, state._replace(at="look", pending="")

    def _look(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        known = [pack for pack in named(state.loaded) - state.bad if self._wants in content(pack)]
        for pack in known:
            yield world, state._replace(at="commit", uses=pack)
        if not known:
            yield from self._checked(world, state, "store")

    def _store(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        pack = f"K{state.stored}{self.name}={self._wants}"
        stored = world._replace(packs=world.packs | {pack})
        yield stored, state._replace(at="index", own=pack, pending=pack, stored=state.stored + 1)

    def _index(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        if state.own not in world.packs:
            yield world.unlocked(self.name), self._again(state)
        else:
            yield from self._checked(world, state, "index-now")

    def _index_now(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        file = (f"E{state.own}", frozenset({state.own}))
        yield (
            world.with_file(*file),
            state._replace(at="index-after", loaded=state.loaded | {file}),
        )

    def _index_after(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        if world.holds(self.name):
            yield world, state._replace(at="commit", uses=state.own)
        elif state.own not in world.packs or (
            self._without != "list afterwards" and state.own in named(world.condemned)
        ):
            yield world.without_files(f"E{state.own}"), self._again(state)
        else:
            yield world, self._again(state)

    def _commit(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        if state.uses in world.packs:
            yield world, state._replace(at="confirm")
        else:
            again = self._again(state)
            yield world.unlocked(self.name), again._replace(bad=state.bad | {state.uses}, loaded=frozenset())

    def _confirm(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        if self._without == "new generation" or names(state.loaded) <= names(world.index_files):
            yield from self._checked(world, state, "snapshot")
        else:
            yield world.unlocked(self.name), self._again(state)

    def _snapshot(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        snapshot = (self.name, frozenset({self._wants}))
        yield world._replace(snapshots=world.snapshots | {snapshot}), state._replace(at="acknowledge")

    def _acknowledge(self, world: World, state: BackupState) -> Iterator[tuple[World, BackupState]]:
        if world.holds(self.name):
            yield world.acknowledging(self.name).unlocked(self.name), state._replace(at="end")
        else:
            yield world, self._again(state)


class ResticBackup:
    """`restic backup` of one blob. It ends when its lock has gone; what one does that goes on, nobody can say."""

    def __init__(self, wants: str) -> None:
        self.name = f"restic-{wants}"
        self.start = "begin"
        self._wants = wants

    def done(self, state: str) -> bool:
        return state == "end"

    def steps(self, world: World, state: str) -> Iterator[tuple[World, str]]:
        pack = f"R={self._wants}"
        if self.name in world.asleep or state == "end":
            return
        if state == "begin":
            taken = world.locked(self.name)
            if taken is not None:
                yield taken, "load"
        elif not world.holds(self.name):
            yield world, "end"
        elif state == "load":
            yield world, "snapshot" if self._wants in holding(named(world.index_files)) else "store"
        elif state == "store":
            yield world._replace(packs=world.packs | {pack}), "index"
        elif state == "index":
            yield world.with_file("FR", frozenset({pack})), "snapshot"
        elif state == "snapshot":
            snapshot = (self.name, frozenset({self._wants}))
            stored = world._replace(snapshots=world.snapshots | {snapshot})
            yield stored.acknowledging(self.name).unlocked(self.name), "end"


class Refresh:
    """Another client's lock is refreshed: the new file is written, then the old one is removed."""

    start = "begin"

    def __init__(self, owner: str) -> None:
        self.name = f"refresh of {owner}"
        self._owner = owner

    def done(self, _state: str) -> bool:
        return True

    def steps(self, world: World, state: str) -> Iterator[tuple[World, str]]:
        if state == "begin" and world.holds(self._owner):
            yield world._replace(locks=world.locks | {(f"{self._owner}'", False)}), "remove"
        elif state == "remove":
            yield world.without_locks(frozenset({self._owner})), "end"


class Sleep:
    """Another client is frozen until its lock has got old, and goes on as restic does (0.15 and later): only if the
    lock's file is there, before and after a new one is written."""

    start = "begin"

    def __init__(self, owner: str) -> None:
        self.name = f"sleep of {owner}"
        self._owner = owner

    def done(self, state: str) -> bool:
        return state in ("begin", "end")

    def steps(self, world: World, state: str) -> Iterator[tuple[World, str]]:
        awake = world._replace(asleep=world.asleep - {self._owner})
        is_there = (self._owner, False) in world.locks
        if state == "begin" and is_there:
            yield world._replace(asleep=world.asleep | {self._owner}), "asleep"
        elif state == "asleep" and is_there:
            yield world._replace(locks=world.locks | {(f"{self._owner}'", False)}), "written"
        elif state == "written" and is_there:
            yield awake, "remove"
        elif state == "remove":
            yield world.without_locks(frozenset({self._owner})), "end"
        elif state in ("asleep", "written"):
            yield awake.unlocked(self._owner), "end"


class Binning:
    """A snapshot is forgotten, taken back, and its document leaves the bin; ours, under the shared lock."""

    start = "begin"

    def __init__(self, snapshot: str) -> None:
        self.name = f"bin of {snapshot}"
        self._snapshot = snapshot

    def done(self, state: str) -> bool:
        return state in ("begin", "end")

    def steps(self, world: World, state: str) -> Iterator[tuple[World, str]]:
        mine = frozenset(one for one in world.snapshots | world.binned if one[0] == self._snapshot)
        taken = world.locked(self.name)
        if state == "begin" and mine and taken is not None:
            yield taken._replace(binned=world.binned | mine), "forget"
        elif state == "forget":
            yield world._replace(snapshots=world.snapshots - mine), "take back"
        elif state == "take back":
            blobs = frozenset().union(*(blobs for _, blobs in mine))
            if blobs <= holding(named(world.index_files) & world.packs):
                yield world._replace(snapshots=world.snapshots | mine), "empty"
            else:
                yield world.unlocked(self.name), "end"
        elif state == "empty":
            yield world._replace(binned=world.binned - mine).unlocked(self.name), "end"


class ResticForget:
    """`restic forget`: it removes one snapshot."""

    def __init__(self, snapshot: str) -> None:
        self.name = "restic-forget"
        self.start = "begin"
        self._snapshot = snapshot

    def done(self, state: str) -> bool:
        return state == "end"

    def steps(self, world: World, state: str) -> Iterator[tuple[World, str]]:
        if state == "begin" and world.locked(self.name, exclusive=True) is not None:
            left = frozenset(snapshot for snapshot in world.snapshots if snapshot[0] != self._snapshot)
            yield world._replace(snapshots=left), "end"


class ResticPruneState(NamedTuple):
    """A stock prune: the packs that go, and the index files that name them."""

    at: str = "begin"
    going: frozenset[str] = NONE
    old: frozenset[str] = NONE


class ResticPrune:
    """`restic prune` with all that it may choose: of two packs with one blob, either may go."""

    name = "restic-prune"
    start = ResticPruneState()

    def done(self, state: ResticPruneState) -> bool:
        return state.at == "end"

    def steps(self, world: World, state: ResticPruneState) -> Iterator[tuple[World, ResticPruneState]]:
        if state.at == "begin":
            taken = world.locked(self.name, exclusive=True)
            if taken is not None:
                yield taken, state._replace(at="plan")
        elif state.at == "plan":
            yield from self._plan(world, state)
        elif state.at == "write":
            kept = named(frozenset(file for file in world.index_files if file[0] in state.old)) - state.going
            yield world.with_file("FP", kept), state._replace(at="remove")
        elif state.at == "remove":
            yield world.without_files(*state.old), state._replace(at="delete")
        elif state.at == "delete":
            left = world._replace(packs=world.packs - state.going)
            yield left.unlocked(self.name), state._replace(at="end")

    def _plan(self, world: World, state: ResticPruneState) -> Iterator[tuple[World, ResticPruneState]]:
        used = frozenset().union(*(blobs for _, blobs in world.snapshots))
        known = named(world.index_files)
        if not used <= holding(known & world.packs):
            yield world.unlocked(self.name), state._replace(at="end")  # refused
            return
        unused = frozenset(pack for pack in known if not content(pack) & used)
        choices = {unused}
        for pack in known - unused:
            if used & content(pack) <= holding((known - unused - {pack}) & world.packs):
                choices.add(unused | {pack})
        for going in choices:
            old = frozenset(file for file, packs in world.index_files if packs & going)
            yield world, ResticPruneState("write", going | (world.packs - known), old)


class ResticRepairIndex:
    """`restic repair index`: it names every pack that is there."""

    name = "restic-repair"
    start = "begin"

    def done(self, state: str) -> bool:
        return state == "end"

    def steps(self, world: World, state: str) -> Iterator[tuple[World, str]]:
        if state == "begin":
            taken = world.locked(self.name, exclusive=True)
            if taken is not None:
                yield taken, "write"
        elif state == "write":
            unnamed = world.packs - named(world.index_files)
            yield world.with_file("FI", unnamed).unlocked(self.name), "end"
