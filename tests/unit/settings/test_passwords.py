"""A password that a command prints, whatever the command leaves behind."""

import sys
import time
from pathlib import Path

import pytest

from holdfast.errors import PasswordMissingError, SettingsError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import PasswordSource
from holdfast.service.settings.passwords import resolve_password

LIMIT_S = 60.0


def printed(code: str, timeout_s: float = LIMIT_S) -> bytes:
    source = PasswordSource(command=f'{sys.executable} -c "{code}"')
    return resolve_password(source, {}, timeout_s=timeout_s)


@pytest.mark.parametrize("closed", [1, 2])
def test_a_child_with_an_open_stream_holds_nothing_up(closed: int) -> None:
    """An agent that the command has started, say."""
    began = time.monotonic()
    code = f"import os, time; os.write(1, b'secret'); os.fork() and os._exit(0); os.close({closed}); time.sleep(300)"
    assert printed(code) == b"secret"
    assert time.monotonic() - began < LIMIT_S


def test_what_a_child_prints_soon_after_still_counts() -> None:
    code = (
        "import os, time; os.fork() and os._exit(0); time.sleep(0.3); os.write(1, b'secret'); time.sleep(300)"
    )
    assert printed(code) == b"secret"


def test_a_command_that_ends_with_an_error_or_never_is_told() -> None:
    with pytest.raises(PasswordMissingError, match="failed with exit code 3: locked"):
        printed("import os; os.write(2, b'locked'); os._exit(3)")
    with pytest.raises(PasswordMissingError, match="did not end within 1 s"):
        printed("import time; time.sleep(300)", timeout_s=1)
    with pytest.raises(PasswordMissingError, match="did not end within 1 s"):
        printed("import os, time; os.close(1); os.close(2); time.sleep(300)", timeout_s=1)


@pytest.mark.parametrize("what", ["password", "credentials", "check"])
@pytest.mark.parametrize(("value", "told"), [('"cat it', "cannot be split into words"), ("", "is empty")])
def test_a_command_that_has_no_words_is_told_by_its_own_name(
    tmp_path: Path, what: str, value: str, told: str
) -> None:
    text = '[sources.s]\npaths = ["/etc"]\nrepository = "r"\n[repositories.r]\nlocation = "/r"\n'
    text += (
        f"[drills.d]\nsource = \"s\"\ncheck = '{value}'\n"
        if what == "check"
        else f"{what}_command = '{value}'\n"
    )
    file = tmp_path / "holdfast.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=f"the {what} command {told}"):
        load_settings(file, {})
