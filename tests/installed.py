"""`python -m tests.installed`: what is built is whole, and works where it is installed, on each Python that is here.

1. A source distribution is built, a wheel from it, and a wheel from what the image's build gets to see: they hold the
   same files, all below one name, with what belongs to a program beside its code.
2. For each Python that Holdfast is for and that is found here: an environment of its own, the pinned packages with
   their hashes, the wheel. Then `holdfast` does from there, in a folder that has nothing to do with this one, what
   people do first: init, backup, restore; and `up` serves, and ends when it is told to.

Pythons are looked for on PATH, and where pyenv keeps them. Prints a line for each; what fails ends all with its words.
"""

import filecmp
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parent.parent
VERSIONS: Final = ("3.11", "3.12", "3.13")
"""As the classifiers in pyproject.toml say."""
PINS: Final = PROJECT / "requirements" / "run.txt"
BELONGS: Final = (
    "holdfast/py.typed",
    "holdfast/service/settings/holdfast.example.toml",
    "holdfast/worker.py",
    "holdfast/workflows/backup.py",
    "data/share/man/man1/holdfast.1",
    "licenses/LICENSE",
)
_READY_S: Final = 120.0
_PASSWORD: Final = "installed"
_BUILD: Final = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


def main() -> int:
    """See the module."""
    with tempfile.TemporaryDirectory(prefix="holdfast-installed-") as folder:
        work = Path(folder)
        wheel = build(work)
        say(f"built {wheel.name}: {wheel.stat().st_size >> 10} KiB")
        found = dict(pythons())
        for version in VERSIONS:
            if version not in found:
                say(f"Python {version}: not here")
                continue
            begun = time.monotonic()
            try_on(found[version], wheel, work / version)
            shutil.rmtree(work / version)
            say(
                f"Python {version}: installed, backed up, restored, served ({time.monotonic() - begun:.0f} s)"
            )
    return 0


def say(words: str) -> None:
    """A line, at once."""
    print(words, flush=True)  # noqa: T201 - a program


def build(work: Path) -> Path:
    """The wheel, once it is seen to be whole.

    Raises:
        RuntimeError: something is missing, or too much.
    """
    run([sys.executable, "-c", _BUILD, str(work)], PROJECT)
    (source,) = work.glob("*.tar.gz")
    contents: list[Mapping[str, int]] = []
    wheels: list[Path] = []
    for name, what in (("of-image", of_image(work / "context")), ("from-source", source)):
        target = work / name
        run(
            [
                *pip(sys.executable),
                "wheel",
                "--no-deps",
                "--no-build-isolation",
                "-w",
                str(target),
                str(what),
            ],
            work,
        )
        (wheel,) = target.glob("*.whl")
        wheels.append(wheel)
        with zipfile.ZipFile(wheel) as archive:
            contents.append(
                {entry.filename: entry.CRC for entry in archive.infolist() if "RECORD" not in entry.filename}
            )
    if contents[0] != contents[1]:
        raise RuntimeError(f"the two wheels differ: {contents[0].items() ^ contents[1].items()}")
    missing = [end for end in BELONGS if not any(name.endswith(end) for name in contents[0])]
    names = {name.partition("/")[0].partition("-")[0] for name in contents[0]}
    if missing or names != {"holdfast"}:
        raise RuntimeError(f"the wheel lacks {missing}, and its names are {names}")
    return wheels[1]


def of_image(context: Path) -> Path:
    """A copy of what .dockerignore lets into the build of the image."""
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            here, there = PROJECT / line[1:], context / line[1:]
            there.parent.mkdir(parents=True, exist_ok=True)
            if here.is_dir():
                shutil.copytree(here, there, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(here, there)
    return context


def pythons() -> Iterator[tuple[str, str]]:
    """The Pythons that are here and can make environments: version and path."""
    for version in VERSIONS:
        named = shutil.which(f"python{version}")
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        for python in [*([named] if named else []), *map(str, kept)]:
            if (
                subprocess.run(
                    [python, "-c", "import ensurepip"], check=False, capture_output=True
                ).returncode
                == 0
            ):
                yield version, python
                break


def try_on(python: str, wheel: Path, folder: Path) -> None:
    """Install it there, and do with it what people do first.

    Raises:
        RuntimeError: something of it failed.
    """
    folder.mkdir()
    run([python, "-m", "venv", str(folder / "venv")], folder)
    own = str(folder / "venv" / "bin" / "python")
    run([*pip(own), "install", "-qq", "--require-hashes", "-r", str(PINS)], folder)
    run([*pip(own), "install", "-qq", "--no-deps", str(wheel)], folder)
    run([*pip(own), "check"], folder)
    holdfast = str(folder / "venv" / "bin" / "holdfast")
    repository, source, target = folder / "repository", folder / "source", folder / "target"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.txt").write_text(f"file {number}\n" * 1000)
    run([holdfast, "--repo", str(repository), "init"], folder)
    run([holdfast, "--repo", str(repository), "backup", "--verify", "full", str(source)], folder)
    run([holdfast, "--repo", str(repository), "restore", f"latest:{source}", "--target", str(target)], folder)
    different = filecmp.cmpfiles(source, target, [path.name for path in source.iterdir()], shallow=False)[1:]
    if different != ([], []):
        raise RuntimeError(f"what was restored differs: {different}")
    serve(holdfast, folder)


def serve(holdfast: str, folder: Path) -> None:
    """Have it serve, as systemd would, and end.

    Raises:
        RuntimeError: it does not say that it serves, or ends badly.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(_READY_S)
        environment = {**clean(folder), "NOTIFY_SOCKET": str(folder / "notify")}
        with subprocess.Popen([holdfast, "up"], cwd=folder, env=environment, stderr=subprocess.DEVNULL) as up:
            try:
                told = listening.recv(4096)
            finally:
                up.send_signal(signal.SIGTERM)
            if up.wait(_READY_S) or not told.startswith(b"READY=1"):
                raise RuntimeError(f"`holdfast up` said {told!r}, and ended with {up.returncode}")


def pip(python: str) -> list[str]:
    """The words that call it."""
    return [python, "-m", "pip", "--disable-pip-version-check"]


def run(command: list[str], folder: Path) -> None:
    """Run a command there to its good end.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean(folder),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")


def clean(folder: Path) -> dict[str, str]:
    """An environment without anything of this project; pip's own settings stay."""
    kept = (
        "PATH",
        "LANG",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
    )
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    state = str(folder / "state")
    return {
        **environment,
        "HOME": str(Path.home()),
        "HOLDFAST_STATE_DIR": state,
        "RESTIC_PASSWORD": _PASSWORD,
    }


if __name__ == "__main__":
    sys.exit(main())
