"""What a terminal gets to see, whatever the locale, and whatever names, tags and errors hold; and who sits at it."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.paths import PathRules
from holdfast.starter.shell.output import json_line
from holdfast.starter.shell.table import table
from holdfast.starter.shell.text import harmless
from tests.triggers.site import PASSWORD, Site

EVIL = "\x1b]0;evil\x07\x9b31m\u202e"
LATIN_1 = {"PYTHONIOENCODING": "iso-8859-1"}
NOBODY_KNOWN = 54_321


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(folder=tmp_path)


def run(site: Site, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """A command whose locale has few letters."""
    return subprocess.run(
        site.command(*arguments),
        cwd=site.project,
        env=site.environment | LATIN_1,
        capture_output=True,
        check=False,
    )


def test_a_good_run_ends_well_in_any_locale_and_no_name_moves_the_cursor(site: Site) -> None:
    (site.source / f"\u65e5{EVIL}").write_bytes(b"content")
    (site.source / "two\nlines").symlink_to(f"to{EVIL}")
    with open(os.fsencode(site.source) + b"/\xff", "wb"):
        pass
    commands = (
        ("backup", "docs", "-v"),
        ("snapshots", "--repo", "home"),
        ("ls", "latest", "-l", "--repo", "home"),
        ("runs",),
        ("status",),
        ("run", "show", "docs"),
        ("run", "files", "docs"),
    )
    others = {"RESTIC_PASSWORD": os.fsdecode(PASSWORD), "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    restic = ["restic", "--no-cache", "-r", str(site.repository), "backup", "--tag", EVIL, "--host", EVIL]
    subprocess.run([*restic, str(site.source)], check=True, capture_output=True, env=others)
    said = b""
    for command in commands:
        done = run(site, *command)
        assert done.returncode == 0, (command, done.stderr)
        said += done.stdout + done.stderr
    for wrong in (
        ("ls", f"no{EVIL}", "--repo", "home"),
        ("snapshots", "--repo", f"/no/{EVIL}"),
        (f"x{EVIL}",),
    ):
        done = run(site, *wrong)
        assert done.returncode != 0
        assert b"internal" not in done.stderr
        said += done.stdout + done.stderr
    assert b"\\u65e5\\x1b]0;evil\\x07\\x9b31m\\u202e" in said
    assert b"\\xff" in said
    assert not {letter for letter in said if letter < 0x20 or letter >= 0x7F} - {ord("\n")}


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert harmless("a line\n日本 é →") == "a line\n日本 é →"
    assert harmless(EVIL + "\r\t\udcff") == "\\x1b]0;evil\\x07\\x9b31m\\u202e\\r\\t\\xff"
    assert table(("Name",), [("a\x1b[2J",)])[2] == "a\\x1b[2J"
    assert json_line({"name": "é\x9b31m\x7f"}) == '{"name":"é\\u009b31m\\u007f"}'


def test_settings_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b'host = "mars"\n')
    assert load_settings(file, {"HOME": str(tmp_path)}).host == "mars"


def test_a_user_whom_nobody_knows_gets_what_works_or_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: NOBODY_KNOWN)
    state = {"HOLDFAST_STATE_DIR": str(tmp_path / "state")}
    assert load_settings(None, state).state_dir == tmp_path / "state"
    with pytest.raises(SettingsError) as told:
        load_settings(None, {})
    assert "HOME is not set" in told.value.message
    assert "HOLDFAST_STATE_DIR" in told.value.hint
    with pytest.raises(ValueError, match="HOME is not set"):
        PathRules.of(tmp_path, {}).text("~/documents")


def test_options_beside_a_service_that_does_as_the_settings_say_are_refused_with_that_reason(
    site: Site,
) -> None:
    (site.source / "file").write_bytes(b"content")
    with site.serving():
        while "serving the task queues" not in (site.folder / "service.log").read_text():
            time.sleep(0.1)
        refused = site.holdfast("backup", "docs", "--compression", "max", code=1)
        by_place = site.holdfast(
            "backup",
            str(site.source),
            "--repo",
            str(site.repository),
            "--password-file",
            str(site.folder / "password"),
            code=1,
        )
    assert "what the settings do not say" in refused
    assert "password" not in refused
    assert "by its name in the settings" in by_place
