"""No circle among modules: imports inside of functions are counted, and worker.py, which import-linter cannot see."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
PACKAGES = ("holdfast", "service", "contracts", "activities", "workflows", "transport", "control", "starter")


def modules(root: Path) -> dict[str, Path]:
    """All modules of the product, by name."""
    paths = [root / "worker.py", *(path for package in PACKAGES for path in (root / package).rglob("*.py"))]
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
    assert {"worker", "starter.main", "holdfast.errors"} <= edges.keys()
    assert "starter.host.worker_process" in edges["worker"], "a late one"
    TopologicalSorter(edges).prepare()


def test_a_circle_that_a_late_import_closes_is_found(tmp_path: Path) -> None:
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast" / "a.py").write_text("from holdfast import b\n")
    (tmp_path / "holdfast" / "b.py").write_text("import worker\n")
    (tmp_path / "worker.py").write_text("def main():\n    from holdfast.a import b\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(tmp_path)).prepare()
