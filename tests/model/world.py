"""A small model of a repository is explored: all that actors can do, in every order, with crashes and lapsed locks.

A pack is its name and what it holds: "P1=ab" holds the blobs a and b. Requests are atomic, as the storage promises;
between any two of them all others may do anything. A lapse takes away the lock of one of our processes, as a person
does who thinks that it is dead; the process goes on, with what it was about to do.

The property: no snapshot that was acknowledged ever needs a blob that is gone. And an index names each: whenever nobody
has the exclusive lock, or where locks lapse or packs are marked, when all are done.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Blobs = frozenset[str]
Files = frozenset[tuple[str, frozenset[str]]]
NONE: frozenset[str] = frozenset()


class World(NamedTuple):
    """What is stored. index_files: each with the packs that it names; locks: their files, and whether exclusive.

    condemned: a list for each prune, by its name. binned: snapshots in the bin. asleep: owners that are frozen, whose
    locks have got old.
    """

    packs: frozenset[str]
    index_files: Files
    snapshots: frozenset[tuple[str, Blobs]] = frozenset()
    acknowledged: frozenset[str] = NONE
    locks: frozenset[tuple[str, bool]] = frozenset()
    condemned: Files = frozenset()
    binned: frozenset[tuple[str, Blobs]] = frozenset()
    asleep: frozenset[str] = NONE
    lapses: int = 0
    crashes: int = 0

    def holds(self, owner: str) -> bool:
        """Whether the owner's lock is there."""
        return any(owner_of(name) == owner for name, _ in self.locks)

    def locked(self, owner: str, *, exclusive: bool = False) -> "World | None":
        """With the owner's lock; None where others exclude it."""
        others = [lock for lock in self.locks if owner_of(lock[0]) != owner]
        if any(other_exclusive or exclusive for _, other_exclusive in others):
            return None
        return self._replace(locks=frozenset([*others, (owner, exclusive)]))

    def unlocked(self, owner: str) -> "World":
        """Without it."""
        return self._replace(locks=frozenset(lock for lock in self.locks if owner_of(lock[0]) != owner))

    def without_locks(self, files: frozenset[str]) -> "World":
        """Without these files of locks."""
        return self._replace(locks=frozenset(lock for lock in self.locks if lock[0] not in files))

    def with_file(self, name: str, packs: frozenset[str]) -> "World":
        """With one more index file; one that names nothing is not written."""
        return self._replace(index_files=self.index_files | {(name, packs)}) if packs else self

    def without_files(self, *names: str) -> "World":
        """Without index files."""
        return self._replace(index_files=frozenset(file for file in self.index_files if file[0] not in names))

    def acknowledging(self, name: str) -> "World":
        """With a snapshot whose client was told that it stands."""
        return self._replace(acknowledged=self.acknowledged | {name})


class Actor(Protocol):
    """A client of the repository. State: a hashable value; one that is `done` has no step left to do."""

    name: str
    start: Any

    def steps(self, world: World, state: Any) -> Iterator[tuple[World, Any]]:
        """All that it can do next."""
        ...

    def done(self, state: Any) -> bool:
        """Whether it has ended."""
        ...


def owner_of(lock: str) -> str:
    """Whose a lock's file is; that of one which was refreshed has a dash more."""
    return lock.rstrip("'")


def content(pack: str) -> Blobs:
    """What a pack holds."""
    return frozenset(pack.partition("=")[2])


def holding(packs: frozenset[str]) -> Blobs:
    """What packs hold."""
    return frozenset().union(*map(content, packs))


def named(index: Files) -> frozenset[str]:
    """The packs that index files name."""
    return frozenset().union(*(packs for _, packs in index))


def names(index: Files) -> frozenset[str]:
    """The names of the files themselves."""
    return frozenset(name for name, _ in index)


class Explored(NamedTuple):
    """How many states there were; the worst that was found, and the way to it, for people."""

    states: int
    problem: str
    trace: tuple[str, ...]


def explore(
    start: World, actors: Sequence[Actor], *, named_at_the_end: bool = False, most_states: int = 2_000_000
) -> Explored:
    """Visit every state that can be reached. Stops at the first one that breaks the property.

    named_at_the_end: only then an index has to name each blob.
    """
    first = (start, tuple(actor.start for actor in actors))
    before: dict[Any, tuple[Any, int] | None] = {first: None}
    frontier = [first]
    while frontier:
        following: list[Any] = []
        for state in frontier:
            world, states = state
            ended = all(actor.done(its) for actor, its in zip(actors, states, strict=True))
            alone = any(exclusive for _, exclusive in world.locks)
            problem = _problem(world, look_at_index=ended or not (alone or named_at_the_end))
            if problem:
                return Explored(len(before), problem, _trace(before, state, actors))
            for number, actor in enumerate(actors):
                for after, new in actor.steps(world, states[number]):
                    reached = (after, (*states[:number], new, *states[number + 1 :]))
                    if reached not in before:
                        before[reached] = (state, number)
                        following.append(reached)
        if len(before) > most_states:
            raise AssertionError(f"more than {most_states} states: make the case smaller")
        frontier = following
    return Explored(len(before), "", ())


def _problem(world: World, *, look_at_index: bool) -> str:
    needed = frozenset().union(*(blobs for name, blobs in world.snapshots if name in world.acknowledged))
    gone = needed - holding(world.packs)
    if gone:
        return f"gone: {sorted(gone)}"
    hidden = needed - holding(named(world.index_files) & world.packs) if look_at_index else NONE
    return f"in no index: {sorted(hidden)}" if hidden else ""


def _trace(
    before: Mapping[Any, tuple[Any, int] | None], state: Any, actors: Sequence[Actor]
) -> tuple[str, ...]:
    steps: list[str] = [str(state)]
    at = before[state]
    while at is not None:
        earlier, number = at
        steps.append(f"{actors[number].name}: {earlier[1][number]}")
        at = before[earlier]
    return tuple(reversed(steps))


def crashed(world: World, owner: str) -> World | None:
    """The world after a crash of the owner's, if one is left to happen; its lock is seen to be dead and removed."""
    if not world.crashes:
        return None
    return world.unlocked(owner)._replace(crashes=world.crashes - 1)


def lapsed(world: World, owner: str) -> World | None:
    """The world after the owner's lock was removed by another, if that is left to happen."""
    if not world.lapses or not world.holds(owner):
        return None
    return world.unlocked(owner)._replace(lapses=world.lapses - 1)
