"""Programs that the tests call and a machine may lack, each with the Debian package that brings it.

Run as a script, it prints the packages of what is missing, one a line: of all programs, or of those that are named. In
a test, the lack of one is a skip that says what brings it; or the failure that it is, where HOLDFAST_TESTS_SKIP_NOTHING
is set, as `.ci/run` does.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PACKAGES: Final = {
    "restic": "restic",
    "rsync": "rsync",
    "strace": "strace",
    "setfacl": "acl",
    "getfacl": "acl",
    "setfattr": "attr",
    "getfattr": "attr",
    "initdb": "postgresql",
    "faketime": "faketime",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "systemd-analyze": "systemd",
}
SKIP_NOTHING: Final = "HOLDFAST_TESTS_SKIP_NOTHING"

_BESIDE_PATH: Final = "/usr/sbin:/sbin"
_POSTGRESQL: Final = Path("/usr/lib/postgresql")


def found(program: str) -> str | None:
    """Where a program is, also where Debian puts it beside PATH; None where it is missing."""
    if program == "initdb":
        versions = sorted(_POSTGRESQL.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if versions:
            return str(versions[-1])
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_BESIDE_PATH}")


def lacking(error: FileNotFoundError) -> str | None:
    """Why a test cannot be run, where the error is the lack of one of the programs; None where it is another."""
    program = os.path.basename(os.fsdecode(error.filename or b""))
    if program not in PACKAGES or found(program) is not None:
        return None
    return reason(program)


def reason(program: str) -> str:
    """The words of a skip for want of a program."""
    return f"{program} is not installed (Debian: apt-get install {PACKAGES[program]})"


def packages_missing(programs: Sequence[str]) -> list[str]:
    """The packages that bring what is missing of these programs."""
    return sorted({PACKAGES[program] for program in programs if found(program) is None})


if __name__ == "__main__":
    for package in packages_missing(sys.argv[1:] or list(PACKAGES)):
        print(package)  # noqa: T201 - for the Makefile
