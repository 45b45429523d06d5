"""Cores: whether one of them has nothing to do."""

import subprocess
import sys
import time

from holdfast.cores import has_idle_core, usable_cores


def test_no_core_is_idle_while_all_are_kept_busy() -> None:
    spinning = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(usable_cores() + 1)
    ]
    try:
        until = time.monotonic() + 30
        while has_idle_core():
            assert time.monotonic() < until
    finally:
        for process in spinning:
            process.kill()
            process.wait()
