"""Shows every listing on terminals of several widths: `python -m tests.support.captures FOLDER`.

Each command runs under a pseudo-terminal that is 40, 80 and 120 columns wide, on a host made by `listings.py`.
FOLDER gets a text file for each width, of the lines as the terminal gets them; what is too wide is marked.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.cells import cell_len

from tests.support.listings import LISTINGS, SERVED, environment, make

WIDTHS: Final = (40, 80, 120)
_ESCAPES: Final = re.compile("\x1b\\[[0-9;?]*[A-Za-z]|\x1b\\]8;[^\x1b]*\x1b\\\\")
_SERVED_WITHIN_S: Final = 120.0


def shown(command: Sequence[str], environ: Mapping[str, str], width: int) -> str:
    """What a terminal of that width gets from a command."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=dict(environ),
        close_fds=True,
        start_new_session=True,
    )
    os.close(slave)
    said = b""
    while True:
        try:
            part = os.read(master, 1 << 16)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(master)
    process.wait()
    return said.decode(errors="replace").replace("\r\n", "\n")


def main() -> None:
    """Make the host, run the commands, write the captures; say how many lines were too wide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--served", action="store_true", help="also what asks a server, beside a service")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        host = Path(temporary)
        make(host)
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path.cwd()),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
        }
        environ |= environment(host)
        service = _served(environ) if wanted.served else None
        try:
            for width in WIDTHS:
                _capture(
                    wanted.folder / f"{width}.txt", environ, width, (*LISTINGS, *(SERVED if service else ()))
                )
        finally:
            if service is not None:
                service.terminate()
                service.wait()


def _served(environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    holdfast = [sys.executable, "-m", "holdfast.starter"]
    service = subprocess.Popen(
        [*holdfast, "up"], env=dict(environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ends = time.monotonic() + _SERVED_WITHIN_S
    while time.monotonic() < ends:
        done = subprocess.run(
            [*holdfast, "schedule", "apply", "--yes"], env=dict(environ), capture_output=True, check=False
        )
        if done.returncode == 0:
            return service
        time.sleep(1)
    service.terminate()
    raise TimeoutError("the service does not answer")


def _capture(file: Path, environ: Mapping[str, str], width: int, commands: Sequence[Sequence[str]]) -> None:
    lines: list[str] = []
    wide = 0
    for command in commands:
        lines += ["", f"$ holdfast {' '.join(command)}"]
        text = shown([sys.executable, "-m", "holdfast.starter", *command], environ, width)
        for line in text.splitlines():
            plain = _ESCAPES.sub("", line)
            too_wide = cell_len(plain) > width
            wide += too_wide
            lines.append(f"{plain}   <== {cell_len(plain)}" if too_wide else plain)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{file}: {wide} lines are wider than {width} columns\n")


if __name__ == "__main__":
    main()
