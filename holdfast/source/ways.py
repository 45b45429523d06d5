"""The ways from "/" to the roots of a source, and paths put together and taken apart. Pure."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Way:
    """A directory above the roots, with those below it that lead to one. is_root: the walk begins here."""

    children: dict[bytes, "Way"] = field(default_factory=dict)
    is_root: bool = False

    def names(self) -> list[bytes]:
        """What leads on from here, descending."""
        return sorted(self.children, reverse=True)

    def lookup(self, path: bytes) -> "Way | None":
        """The place of a path on the way to the roots, or None below and beside them."""
        way: Way | None = self
        for part in path.split(b"/"):
            if part:
                way = None if way is None or way.is_root else way.children.get(part)
        return way


def ways(roots: tuple[bytes, ...]) -> Way:
    """The tree of ways to the roots. A root inside another one is part of it."""
    top = Way()
    for root in sorted(roots, key=len):
        way = top
        for part in root.split(b"/"):
            if part and not way.is_root:
                way = way.children.setdefault(part, Way())
        if not way.is_root:
            way.is_root = True
            way.children.clear()
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
