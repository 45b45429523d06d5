"""Several sources with one command, and what is told at the terminal of a root that gave nothing or is a link."""

import json
from pathlib import Path

import pytest

from tests.starter.test_cli_runs import PASSWORD, Host
from tests.support.engine import make_repository


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(folder=tmp_path)
    made.prepare()
    sources = {
        "documents": [tmp_path / "documents"],
        "gone": [tmp_path / "no-such-folder"],
        "linked": [tmp_path / "documents", tmp_path / "to-documents"],
        "unmounted": [tmp_path / "documents", tmp_path / "disk"],
    }
    with (tmp_path / "holdfast.toml").open("a") as file:
        for name, paths in sources.items():
            listed = json.dumps(list(map(str, paths)))
            file.write(f'\n[sources.{name}]\nrepository = "main"\npaths = {listed}\n')
    for folder in ("documents", "disk", "elsewhere/documents"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "documents" / "file").write_text("mine")
    (tmp_path / "elsewhere" / "documents" / "other").write_text("not mine")
    (tmp_path / "to-documents").symlink_to("documents")
    assert PASSWORD in (tmp_path / "password").read_text()
    make_repository(made.repository, PASSWORD.encode())
    return made


def test_all_of_them_whatever_becomes_of_one(host: Host) -> None:
    done = host.run("backup", "--all", "--verify", "none")
    assert done.returncode == 1, done.stderr
    assert f"nothing to back up: {host.folder / 'no-such-folder'} does not exist" in done.stderr
    (failed,) = json.loads(host.run("runs", "--status", "failed", "--json").stdout)
    assert str(host.folder / "no-such-folder") in failed["failure_message"]
    told = host.folder / "to-documents"
    assert f"warning: {told}: a symbolic link: the link was stored" in done.stderr
    assert f"unreadable: {host.folder / 'disk'}: nothing in it was stored" in done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("source ", "Warning", "snapshot "))]
    assert [line for line in said if line.startswith("source ")] == [
        f"source {name}:" for name in ("home", "documents", "gone", "linked", "unmounted")
    ]
    assert [line for line in said if line.startswith("Warning")] == [
        "Warning: 1 path could not be read, or not as a whole; the snapshot is partial"
    ]
    listed = json.loads(host.run("snapshots", "--json").stdout)
    assert len(listed) == 4
    assert len(json.loads(host.run("snapshots", "--json", "--path", "./disk/.").stdout)) == 1


def test_two_by_their_names_wherever_one_stands(host: Host) -> None:
    """A folder of a source's name is not meant by the bare name."""
    here = Host(folder=host.folder)
    process = here.start("backup", "-q", "--verify", "none", "documents", "unmounted")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (3, "")
    assert "unreadable" in err
    only = host.run("backup", "-q", "--verify", "none", "--repo", "main", "./elsewhere/documents")
    assert only.returncode == 0, only.stderr
    listed = {tuple(found["paths"]) for found in json.loads(host.run("snapshots", "--json").stdout)}
    assert listed == {
        (str(host.folder / "documents"),),
        (str(host.folder / "documents"), str(host.folder / "disk")),
        (str(host.folder / "elsewhere" / "documents"),),
    }


def test_directories_alone_are_no_backup(host: Host) -> None:
    (host.folder / "hollow" / "inside").mkdir(parents=True)
    done = host.run("backup", "hollow")
    assert done.returncode == 1
    assert "nothing to back up" in done.stderr
    assert json.loads(host.run("snapshots", "--json").stdout) == []
    assert host.run("backup", "hollow", "--allow-empty").returncode == 0
