"""What `make test` does on a machine that lacks programs: it installs them, or skips what calls them and says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import SKIP_NOTHING

PROJECT = Path(__file__).parent.parent.parent
TOOLS = ("sh", "env", "mktemp", "rm", "grep", "tail", "cat")
CALLS_RESTIC = (
    "tests/unit/backup/test_command_source.py::test_the_output_is_one_file_for_restic_and_goes_into_a_command"
)


def machine(folder: Path, **programs: str) -> Path:
    """A PATH with a few tools, and programs as shell scripts."""
    folder.mkdir()
    for name in TOOLS:
        for directory in ("/usr/bin", "/bin"):
            if Path(directory, name).exists() and not (folder / name).exists():
                (folder / name).symlink_to(Path(directory, name))
    for name, script in {"sleep": "exit 0", **programs}.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return folder


def install(path: Path, *packages: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", str(PROJECT / ".ci/install"), *packages],
        env={"PATH": str(path), "TOLD": str(path / "told")},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("sudo", [{}, {"sudo": "echo 'a password is required' >&2; exit 1"}])
def test_without_root_it_is_said_what_brings_the_packages(tmp_path: Path, sudo: dict[str, str]) -> None:
    path = machine(tmp_path / "bin", id="echo 1000", apt_get='echo "$@" >> "$TOLD"', **sudo)
    done = install(path, "restic", "rsync")
    assert done.returncode == 1
    assert "apt-get install restic rsync" in done.stderr
    assert not (path / "told").exists()


@pytest.mark.parametrize("user", [{"id": "echo 0"}, {"id": "echo 1000", "sudo": 'shift; "$@"'}])
def test_who_may_installs_after_an_update_that_waits_for_the_lock(
    tmp_path: Path, user: dict[str, str]
) -> None:
    apt_get = """
case "$*" in
*update*)
    [ -e "$TOLD" ] || { echo locked > "$TOLD"; echo 'E: Could not get lock /var/lib/apt/lists/lock.'; exit 100; } ;;
esac
echo "$DEBIAN_FRONTEND $@" >> "$TOLD"
"""
    path = machine(tmp_path / "bin", apt_get=apt_get, **({"true": "exit 0"} | user))
    done = install(path, "restic", "rsync")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Installing Debian packages: restic rsync" in done.stdout
    locked, update, installed = (path / "told").read_text().splitlines()
    assert locked == "locked"
    assert update.startswith("noninteractive")
    assert update.endswith("update")
    assert "DPkg::Lock::Timeout=" in installed
    assert installed.endswith("install --yes --no-install-recommends restic rsync")


def test_a_package_that_cannot_be_had_keeps_no_other_away(tmp_path: Path) -> None:
    apt_get = """
case "$*" in
*nosuch*) echo 'E: Unable to locate package nosuch'; exit 100 ;;
*install*) echo "$@" >> "$TOLD" ;;
esac
"""
    path = machine(tmp_path / "bin", id="echo 0", apt_get=apt_get)
    done = install(path, "nosuch", "rsync")
    assert done.returncode == 1
    assert "could not bring nosuch" in done.stderr
    assert "Unable to locate package nosuch" in done.stderr
    assert (path / "told").read_text().strip().endswith(" rsync")


@pytest.mark.parametrize("switch", [{}, {SKIP_NOTHING: "1"}])
def test_a_test_without_its_program_is_skipped_with_the_reason_but_never_where_nothing_may_be(
    tmp_path: Path, switch: dict[str, str]
) -> None:
    environment = {**os.environ, "PATH": str(machine(tmp_path / "bin"))}
    environment.pop(SKIP_NOTHING, None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CALLS_RESTIC],
        cwd=PROJECT,
        env=environment | switch,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == (1 if switch else 0), done.stdout
    assert ("1 tests call restic: apt-get install restic" in done.stdout) is not bool(switch)
