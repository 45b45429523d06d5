"""No circle among modules, worker.py and imports inside of functions counted; one name for all that is installed."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent


def modules(root: Path) -> dict[str, Path]:
    """All modules of the product, by name: those of `holdfast`, and of what it links to."""
    engine = root / "holdfast"
    roots = [engine, *(path for path in engine.iterdir() if path.is_symlink())]
    paths = [path for place in roots for path in ([place] if place.suffix else place.rglob("*.py"))]
    names = (".".join(path.relative_to(root).with_suffix("").parts) for path in paths)
    return {name.removesuffix(".__init__"): path for name, path in zip(names, paths, strict=True)}


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the product that a module imports, early or late; not what only a type checker reads."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert not node.level, f"{path}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield from (name for name in (whole if whole in known else node.module,) if name in known)


def graph(root: Path) -> dict[str, set[str]]:
    known = modules(root)
    return {name: set(imports(path, known)) - {name} for name, path in known.items()}


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = graph(PROJECT)
    assert {"holdfast.worker", "holdfast.starter.main", "holdfast.errors"} <= edges.keys()
    assert "holdfast.starter.host.worker_process" in edges["holdfast.worker"], "a late one"
    TopologicalSorter(edges).prepare()


def test_every_folder_of_the_product_is_installed_below_one_name() -> None:
    """A top-level module called `workflows` or `worker` would be in the way of every other Temporal project."""
    linked = {path.name for path in (PROJECT / "holdfast").iterdir() if path.is_symlink()}
    others = {"benchmarks", "demo", "holdfast", "tests"}
    folders = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - others
    assert linked == folders | {"worker.py"}
    for name in linked:
        assert (PROJECT / "holdfast" / name).readlink() == Path("..") / name


def test_a_circle_that_a_late_import_closes_is_found(tmp_path: Path) -> None:
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast" / "a.py").write_text("from holdfast import b\n")
    (tmp_path / "holdfast" / "b.py").write_text("from holdfast import worker\n")
    (tmp_path / "worker.py").write_text("def main():\n    from holdfast.a import b\n")
    (tmp_path / "holdfast" / "worker.py").symlink_to("../worker.py")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(tmp_path)).prepare()
