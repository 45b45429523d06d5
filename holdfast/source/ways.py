"""The ways from "/" to the roots of a source, and paths put together and taken apart. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Way:
    """A place on the way to roots, with the names below it that lead on to one. is_root: it is a root itself."""

    children: dict[bytes, "Way"] = field(default_factory=dict)
    is_root: bool = False

    def names(self) -> list[bytes]:
        """What leads on from here, descending."""
        return sorted(self.children, reverse=True)

    def lookup(self, path: bytes) -> "Way | None":
        """The place of a path, or None beside the ways and behind the last root of one."""
        way: Way | None = self
        for part in path.split(b"/"):
            if part:
                way = None if way is None else way.children.get(part)
        return way

    def roots(self, path: bytes) -> Iterator[bytes]:
        """The roots at and below this place, whose path is given."""
        if self.is_root:
            yield path
        for name, way in self.children.items():
            yield from way.roots(join(path, name))


def ways(roots: tuple[bytes, ...]) -> Way:
    """The tree of ways to the roots, also to those inside of others: filters do not hide what is named."""
    top = Way()
    for root in roots:
        way = top
        for part in root.split(b"/"):
            if part:
                way = way.children.setdefault(part, Way())
        way.is_root = True
    return top


def chain_of(path: bytes) -> list[bytes]:
    """The root, and each directory down to `path`."""
    chain = [b"/"]
    for part in path.split(b"/"):
        if part:
            chain.append(join(chain[-1], part))
    return chain


def join(directory: bytes, name: bytes) -> bytes:
    """The absolute path of `name` in an absolute directory."""
    return directory + name if directory.endswith(b"/") else directory + b"/" + name
