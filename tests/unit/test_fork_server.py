"""What the fork server starts is a process like any other, and a child of the test."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import fork_server

SHOWS = """
import os, sys
text = sys.stdin.readline() if len(sys.argv) > 2 else ""
print(sys.argv[1], os.getcwd(), sorted(os.environ), text, __name__, flush=True)
print("beside", file=sys.stderr)
print([number for number in range(64) if os.path.exists(f"/proc/self/fd/{number}")])
sys.exit(7)
"""
ENVIRONMENT = {"PATH": os.defpath}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SHOWS)
    return path


def test_a_process_has_its_own_arguments_environment_folder_and_streams(script: Path) -> None:
    done = fork_server.run(
        [sys.executable, "script.py", "word"],
        cwd=script.parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7
    assert done.stderr == "beside\n"
    assert done.stdout == f"word {script.parent} ['PATH']  __main__\n[0, 1, 2]\n"


def test_it_takes_input_and_keeps_the_descriptors_that_it_is_given(script: Path, tmp_path: Path) -> None:
    with (tmp_path / "kept").open("wb") as kept:
        process = fork_server.Popen[str](
            [sys.executable, str(script), "word", "reads"],
            env=ENVIRONMENT,
            pass_fds=(kept.fileno(),),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        out, _ = process.communicate("a line\n", timeout=60)
        assert "a line" in out
        assert out.endswith(f"[0, 1, 2, {kept.fileno()}]\n")


def test_it_is_a_child_of_the_test_and_can_be_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os, sys; print(os.getppid(), flush=True); sys.stdin.read()")
    with fork_server.Popen[bytes](
        [sys.executable, str(script)], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == os.getpid()
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def test_a_module_is_run_as_python_would_run_it() -> None:
    command = [sys.executable, "-m", "holdfast.starter", "no-such-command"]
    forked = fork_server.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert forked.returncode == 1
    assert "No such command" in forked.stderr


def test_what_only_a_new_program_can_do_is_refused() -> None:
    with pytest.raises(ValueError, match="LANG"):
        fork_server.run([sys.executable, "-m", "holdfast.starter"], env={"LANG": "de_DE"})
