"""`holdfast config`: every mistake at once with its line, and what counts with where it comes from."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from holdfast.service.settings.check import Problem, check
from holdfast.service.settings.effective import HIDDEN, effective
from holdfast.service.settings.lines import dotted, line_of, parts_of
from holdfast.service.settings.load import load_settings
from holdfast.starter.commands.config import _as_file
from holdfast.starter.main import main

ENVIRON: Final = {"HOME": "/home/me"}
EXAMPLE: Final = Path(__file__).parents[3] / "holdfast.example.toml"
WRONG: Final = """\
state_dir = 7
nonsense = 1

[repositories.home]
location = "/srv/home"
password = "secret"

[repositories.vault]
compression = "best"

[sources.documents]
repository = "hom"
paths = [
  "/a",
  "$HOME/b",
  "/c",
  "$X/d",
]
before = ["nope", "neither"]
schedules = [{ cron = "99 3 * * *" }, { every = "1h", jitter = "a while" }]
[sources.documents.watch]
files = 0
[sources.photos]
repository = "vault"
[sources."with.dot"]
repository = "vault"
paths = 3

[worker]
heartbeat_timeout = "1s"
[systems.shop]
sources = ["documents", "photo"]
[notices]
on = ["failed", "overdu"]
"""


def problems(tmp_path: Path, text: str) -> Sequence[Problem]:
    file = tmp_path / "holdfast.toml"
    file.write_text(text)
    return check(file, ENVIRON).problems


def test_all_is_said_at_once_with_lines_and_nothing_that_only_follows(tmp_path: Path) -> None:
    found = problems(tmp_path, WRONG)
    assert [(one.line, one.key) for one in found] == [
        (1, "state_dir"),
        (2, "nonsense"),
        (6, "repositories.home.password"),
        (8, "repositories.vault.location"),
        (9, "repositories.vault.compression"),
        (12, "sources.documents.repository"),
        (13, "sources.documents.paths[1]"),
        (13, "sources.documents.paths[3]"),
        (19, "sources.documents.before[0]"),
        (19, "sources.documents.before[1]"),
        (20, "sources.documents.schedules[0].cron"),
        (20, "sources.documents.schedules[1].jitter"),
        (20, "sources.documents.schedules[1].name"),
        (22, "sources.documents.watch.files"),
        (23, "sources.photos.paths"),
        (27, 'sources."with.dot".paths'),
        (29, "worker.heartbeat_throttle"),
        (32, "systems.shop.sources[1]"),
        (34, "notices.on[1]"),
    ]
    assert all(one.message and one.hint for one in found)
    assert "secret" not in str(found)


def test_each_mistake_that_is_corrected_leaves_the_others(tmp_path: Path) -> None:
    corrected = WRONG.replace("state_dir = 7\n", "\n").replace("files = 0", "files = 1")
    assert len(problems(tmp_path, corrected)) == len(problems(tmp_path, WRONG)) - 2


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = \n", 2), ("[x\n", 1), ('a = "x"\nserver = 3\n', 1), ("server = 3", 1)]
)
def test_what_is_no_toml_or_no_table(tmp_path: Path, text: str, line: int) -> None:
    assert problems(tmp_path, text)[0].line == line


def test_files_that_are_named_have_to_be_there(tmp_path: Path) -> None:
    text = '[repositories.home]\nlocation = "/srv"\npassword_file = "no-such"\n'
    (found,) = problems(tmp_path, text)
    assert (found.line, found.key) == (3, "repositories.home.password_file")
    assert str(tmp_path / "no-such") in found.message
    (tmp_path / "no-such").touch()
    assert not problems(tmp_path, text)


def test_lines_are_of_the_keys_as_toml_reads_them() -> None:
    text = '# a.b\n[a]\n"x.y" = """\nb = 1\n"""\nb = 2\n[[s]]\n[[s]]\nc = 3\n'
    document = tomllib.loads(text)
    lines = {
        key: line_of(text, parts_of(key, document)) for key in ("a", "a.x.y", "a.b", "s[1].c", "a.z", "z")
    }
    assert lines == {"a": 2, "a.x.y": 3, "a.b": 6, "s[1].c": 9, "a.z": 2, "z": 0}
    assert dotted(parts_of("a.x.y", document)) == 'a."x.y"'


def test_what_is_shown_is_a_settings_file_that_means_the_same(tmp_path: Path) -> None:
    shown = tmp_path / "shown.toml"
    shown.write_text("\n".join(_as_file(effective(EXAMPLE, ENVIRON))))
    before, after = load_settings(EXAMPLE, ENVIRON), load_settings(shown, ENVIRON)
    worker = replace(after.worker, task_queue=None, scratch_dir=None)
    assert after.scratch_dir == before.scratch_dir
    assert replace(after, path=before.path, journal=before.journal, worker=worker) == before


def test_origins_and_secrets(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(
        '[repositories.home]\nlocation = "./repo"\npassword_command = "echo hunter2"\n'
        '[sources.docs]\nrepository = "home"\npaths = ["./docs"]\nping_url = "https://ping/hunter2"\n'
        '[notices]\nurls = ["mailto://user:hunter2@mail"]\n[cache]\ndir = "/from/file"\n'
    )
    environ = {
        "HOME": "/home/me",
        "HOLDFAST_STATE_DIR": str(tmp_path / "s"),
        "HOLDFAST_CACHE_DIR": "/from/environ",
    }
    found = effective(file, environ)
    values = {dotted((*steps, one.key)): one for steps, table in found.tables.items() for one in table}
    told = {key: (one.value, one.origin, one.line) for key, one in values.items()}
    assert told["state_dir"] == (str(tmp_path / "s"), "HOLDFAST_STATE_DIR", 0)
    assert told["cache.dir"] == ("/from/environ", "HOLDFAST_CACHE_DIR", 0)
    assert told["repositories.home.location"] == (str(tmp_path / "repo"), "file", 2)
    assert told["sources.docs.paths"] == ([str(tmp_path / "docs")], "file", 6)
    assert told["sources.docs.verify"] == ("structure", "default", 0)
    assert told["repositories.home.password_command"][0] == f"echo {HIDDEN}"
    assert told["notices.urls"][0] == [HIDDEN]
    assert "hunter2" not in "\n".join(_as_file(found))


def test_the_command_and_its_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.toml").write_text("nonsense = 1\n")
    (tmp_path / "good.toml").write_text('host = "mars"\n')
    assert main(["config", "check", "--config", str(tmp_path / "wrong.toml")]) == 1
    assert "line 1: nonsense: this key is not known\n" in capsys.readouterr().out
    assert main(["config", "check", "--config", str(tmp_path / "wrong.toml"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["line"] == 1
    assert main(["config", "check", "--config", str(tmp_path / "good.toml")]) == 0
    assert main(["config", "check", "--config", str(tmp_path / "gone.toml")]) == 1
    capsys.readouterr()
    assert main(["config", "example"]) == 0
    assert capsys.readouterr().out == EXAMPLE.read_text()
    assert main(["config", "show", "--json", "--config", str(tmp_path / "good.toml")]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert {"key": "host", "value": "mars", "origin": "file", "line": 1} in values
