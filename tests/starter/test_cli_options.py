"""What the command line understands, and how it tells mistakes: no server, no worker, mostly no repository."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.contracts import identity
from holdfast.control import requests
from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import PasswordMissingError, SettingsError, SourceMissingError, UsageError
from holdfast.repository.repository import Repository
from holdfast.restore.request import RestoreOptions
from holdfast.starter.commands.backup import BackupOptions
from holdfast.starter.commands.restore import RestoreCommandOptions, wanted
from holdfast.starter.commands.snapshots import SnapshotsOptions
from holdfast.starter.main import COMMANDS, main
from holdfast.starter.requests.sources import ChosenSource, SourceOptions, chosen_sources
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.storage.local import LocalStorage
from holdfast.terms import RunKind

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("RESTIC_", "HOLDFAST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text("from the profile\n")
    path = tmp_path / "holdfast.toml"
    path.write_text(
        f"""
        [repositories.main]
        location = "{tmp_path}/main"
        password_file = "password"
        [repositories.open]
        location = "{tmp_path}/open"
        [sources.home]
        repository = "main"
        paths = ["{tmp_path}/home"]
        """
    )
    return path


def loaded_modules(arguments: list[str], cwd: Path) -> set[str]:
    """What a command has imported when it is done."""
    modules = modules_after(f"from holdfast.starter.main import main; main({arguments!r})", cwd)
    return {module.partition(".")[0] for module in modules}


def modules_after(statements: str, cwd: Path) -> set[str]:
    """What a new process has imported after these statements."""
    code = f"import sys; {statements}; print(*sys.modules, file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_names_every_command_and_loads_nothing_heavy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert not loaded_modules(["--help"], tmp_path) & {"temporalio", "rich", "sqlalchemy", "cryptography"}


def test_listing_snapshots_loads_neither_client_nor_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Repository.init(LocalStorage(tmp_path / "repo"), b"secret", kdf=ScryptParameters.for_tests())
    monkeypatch.setenv("RESTIC_PASSWORD", "secret")
    loaded = loaded_modules(["snapshots", "-r", "repo"], tmp_path)
    assert "cryptography" in loaded
    assert not loaded & {"temporalio", "rich", "sqlalchemy"}


def test_workers_do_without_what_they_do_not_need(tmp_path: Path) -> None:
    """They share what the command has loaded, so each of these would make every run wait."""
    loaded = modules_after("import holdfast.starter.host.worker_process", tmp_path)
    assert {"sqlalchemy.dialects.sqlite.base", "temporalio.worker"} <= loaded
    assert not loaded & {"sqlalchemy.orm", "typer", "rich"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"Usage: holdfast {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backup", "--nope"], "No such option"),
        (["restore"], "Missing argument"),
        (["frobnicate"], "No such command"),
        (["backup"], "nothing is named"),
        (["snapshots"], "no repository is named"),
        (["snapshots", "-r", "nowhere"], "there is no repository"),
        (["backup", "-r", "nowhere", "missing"], "there is no such path"),
        (["restore", "latest", "-r", "nowhere"], "where to restore to"),
        (["restore", "latest", "-r", "nowhere", "-t", "x", "--overwrite", "newer"], "--overwrite"),
        (["backup", "-r", "swift:container:/", "."], "not supported"),
        (["backup", "-r", "nowhere", ".", "--tag", "red\x1b[31m"], "--tag"),
        (["backup", "-r", "nowhere", ".", "--host", "two\nlines"], "--host"),
        (["snapshots", "--config", "missing.toml"], "cannot be read"),
    ],
)
def test_mistakes_take_two_lines_and_say_what_to_do(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    assert main(arguments) in {1, 10}
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0].startswith("Error: ")
    assert said in lines[0]
    assert len(lines) == 2


def test_with_json_a_mistake_is_one_exit_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["snapshots", "-r", "nowhere", "--json"]) == 10
    message = json.loads(capsys.readouterr().err)
    assert (message["message_type"], message["code"]) == ("exit_error", 10)


def test_common_options_may_stand_on_either_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Repository.init(LocalStorage(tmp_path / "repo"), b"secret", kdf=ScryptParameters.for_tests())
    (tmp_path / "password").write_bytes(b"secret\n")
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["-r", "repo", "-p", "password", "snapshots", "--json"],
        ["snapshots", "-r", "repo", "-p", "password", "--json"],
        ["--json", "-r", "elsewhere", "snapshots", "-r", "repo", "-p", "password"],
    ):
        assert main(arguments) == 0
        assert json.loads(capsys.readouterr().out) == []


def test_a_name_is_a_profile_and_all_else_a_location(settings_file: Path, tmp_path: Path) -> None:
    named = Invocation.of(CommonOptions(config=settings_file, repo="main")).repository()
    assert named.location == str(tmp_path / "main")
    placed = Invocation.of(CommonOptions(config=settings_file, repo="elsewhere")).repository()
    assert placed.location == str(Path.cwd() / "elsewhere")


def test_where_the_repository_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("/from/variable-file\n")
    (tmp_path / "b").write_text("/from/option-file\n")
    monkeypatch.setenv("RESTIC_REPOSITORY_FILE", str(tmp_path / "a"))
    assert Invocation.of(CommonOptions()).repository().location == "/from/variable-file"
    monkeypatch.setenv("RESTIC_REPOSITORY", "/from/variable")
    assert Invocation.of(CommonOptions()).repository().location == "/from/variable"
    from_file = CommonOptions(repository_file=tmp_path / "b")
    assert Invocation.of(from_file).repository().location == "/from/option-file"
    assert Invocation.of(CommonOptions(repo="/from/option")).repository().location == "/from/option"


def test_where_the_password_comes_from(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "typed").write_text("from the option\n")

    def password(repo: str, **given: object) -> bytes:
        invocation = Invocation.of(CommonOptions(config=settings_file, repo=repo, **given))  # type: ignore[arg-type]
        return invocation.password(invocation.repository())

    with pytest.raises(PasswordMissingError):
        password("open")
    monkeypatch.setenv("RESTIC_PASSWORD", "from the variable")
    assert password("open") == b"from the variable"
    assert password("main") == b"from the profile"
    monkeypatch.setenv("RESTIC_PASSWORD_COMMAND", "echo from the command")
    assert password("open") == b"from the command"
    assert password("main", password_file=tmp_path / "typed") == b"from the option"
    assert password("main", password_command="echo printed") == b"printed"
    with pytest.raises(UsageError):
        password("main", password_command="echo printed", password_file=tmp_path / "typed")


def test_workers_are_told_only_what_they_cannot_read_themselves(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "typed")
    invocation = Invocation.of(CommonOptions(config=settings_file))
    assert invocation.worker_passwords(invocation.settings.repository("main")) == {}
    told = invocation.worker_passwords(invocation.settings.repository("open"))
    assert told == {str(tmp_path / "open"): b"typed"}
    assert "typed" not in repr(invocation)


def _chosen(invocation: Invocation, options: SourceOptions) -> ChosenSource:
    """The one source that is meant."""
    (source,) = chosen_sources(invocation, options)
    return source


def test_a_name_means_the_source_and_a_path_the_folder(
    settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    invocation = Invocation.of(CommonOptions(config=settings_file))
    assert _chosen(invocation, BackupOptions(paths=("home",))).name == "home"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").touch()
    assert _chosen(invocation, BackupOptions(paths=("home",))).name == "home"
    typed = _chosen(invocation, BackupOptions(paths=("./home",))).order
    assert typed is not None
    assert typed.spec.roots == (bytes(tmp_path / "home"),)
    assert _chosen(invocation, BackupOptions(source="home")).name == "home"
    with pytest.raises(SettingsError):
        _chosen(invocation, BackupOptions(source="hme"))
    with pytest.raises(UsageError, match="is a source of the settings"):
        _chosen(invocation, BackupOptions(paths=("home", str(tmp_path))))
    with pytest.raises(UsageError, match="exclude"):
        _chosen(invocation, BackupOptions(source="home", exclude=("*.o",)))


def test_an_empty_directory_is_taken_for_a_mount_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    invocation = Invocation.of(CommonOptions())
    with pytest.raises(SourceMissingError, match="holds nothing"):
        _chosen(invocation, BackupOptions(paths=(str(tmp_path / "mnt"),)))
    allowed = _chosen(invocation, BackupOptions(paths=(str(tmp_path / "mnt"),), allow_empty=True)).order
    assert allowed is not None
    assert allowed.spec.allow_empty


def test_workflow_ids_name_profiles_and_never_a_path(settings_file: Path, tmp_path: Path) -> None:
    (tmp_path / "canary-folder").mkdir()
    (tmp_path / "canary-folder" / "file").touch()
    invocation = Invocation.of(CommonOptions(config=settings_file, repo=str(tmp_path / "canary-repo")))
    source = _chosen(invocation, BackupOptions(paths=(str(tmp_path / "canary-folder"),)))
    assert source.order is not None

    def identify() -> str:
        assert source.order is not None
        name = requests.repository_name(invocation.settings, invocation.repository())
        return identity.workflow_id(
            RunKind.BACKUP, invocation.settings.host, name, requests.store(invocation.settings, source.order)
        )

    assert identify() == identify()
    assert "canary" not in identify()
    main_profile = invocation.settings.repository("main")
    name = requests.repository_name(invocation.settings, main_profile)
    host = invocation.settings.host
    assert (
        identity.workflow_id(RunKind.BACKUP, invocation.settings.host, name, "home")
        == f"backup:{host}:main:home"
    )


def test_lists_of_files_are_exact_paths_whatever_bytes_they_hold(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"# a comment\n/a b\r\n\nc/d\n")
    (tmp_path / "raw").write_bytes(b"/line\nfeed\0/\xff\0")
    options = RestoreCommandOptions(
        snapshot="latest:/home",
        only=("/first",),
        target=str(tmp_path / "out"),
        files_from=(str(tmp_path / "lines"),),
        files_from_raw=(str(tmp_path / "raw"),),
        include=(os.fsdecode(b"*.\xfe"),),
    )
    invocation = Invocation.of(CommonOptions())
    order = wanted(invocation, options)
    assert order.exact_paths == (b"/first", b"/a b", b"/c/d", b"/line\nfeed", b"/\xff")
    assert order.includes == (b"*.\xfe",)
    assert order.subfolder == b"/home"
    (tmp_path / "lines").write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        wanted(
            invocation,
            RestoreCommandOptions(snapshot="latest", in_place=True, files_from=(str(tmp_path / "lines"),)),
        )


def test_patterns_of_a_restore_are_those_of_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("KIND", "txt")
    monkeypatch.delenv("NOPE", raising=False)
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "list").write_text("./here\n*.$KIND\n")
    (folder / "wrong").write_text("$NOPE/*\n")
    invocation = Invocation.of(CommonOptions())

    def given(**options: tuple[str, ...]) -> RestoreOptions:
        order = RestoreCommandOptions(snapshot="latest", target="out", **options)  # type: ignore[arg-type]
        return wanted(invocation, order)

    assert given(include=("~/x", "*.c")).includes == (b"/home/me/x", b"*.c")
    assert given(iexclude=("./x", "$$x")).iexcludes == (f"{tmp_path}/x".encode(), b"$x")
    assert given(exclude_file=("lists/list",)).excludes == (f"{folder}/here".encode(), b"*.txt")
    assert given(path=("~/docs",)).which.paths == ("/home/me/docs",)
    for refused in ({"exclude": ("$HOME/x",)}, {"include": ("[",)}):
        with pytest.raises(UsageError):
            given(**refused)
    below = RestoreCommandOptions(snapshot="latest:/home", target="out", exclude_file=("lists/list",))
    with pytest.raises(UsageError, match="names a place"):
        wanted(invocation, below)
    with pytest.raises(SettingsError, match="NOPE"):
        given(include_file=("lists/wrong",))


def test_snapshot_filters_are_parsed_as_tuples() -> None:
    assert SnapshotsOptions(tag=("a,b", "c")).tag == ("a,b", "c")


def test_several_sources_and_all(settings_file: Path, tmp_path: Path) -> None:
    with settings_file.open("a") as file:
        file.write(f'\n[sources.more]\nrepository = "main"\npaths = ["{tmp_path}"]\n')
    invocation = Invocation.of(CommonOptions(config=settings_file))

    def names(**options: Any) -> list[str]:
        return [source.name for source in chosen_sources(invocation, BackupOptions(**options))]

    assert names(paths=("more", "home", "more")) == ["more", "home"]
    assert names(all=True) == list(invocation.settings.sources)
    for contradictory in ({"paths": ("home",)}, {"source": "home"}):
        with pytest.raises(UsageError, match="--all"):
            names(all=True, **contradictory)
    with pytest.raises(UsageError, match="--exclude does not go"):
        names(paths=("more", "home"), exclude=("x",))


def test_paths_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("home", "~x", "d$ollar"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    invocation = Invocation.of(CommonOptions())
    spellings = ("home", "./home", "home/", "home/.", f"/{tmp_path}/home", "~", "~/", "~x", "d$ollar")
    order = _chosen(invocation, BackupOptions(paths=spellings, exclude=("~/.cache", "./b", "x"))).order
    assert order is not None
    assert order.spec.roots == tuple(bytes(tmp_path / name) for name in ("home", "~x", "d$ollar"))
    assert order.spec.filters.excludes == (f"{tmp_path}/home/.cache", f"{tmp_path}/b", "x")
    assert invocation.listed(("home", f"/{tmp_path}/home/.")) == (str(tmp_path / "home"),) * 2
    with pytest.raises(UsageError, match="exclude files only"):
        _chosen(invocation, BackupOptions(paths=("home",), exclude=("$HOME/x",)))


def test_exclude_files_are_read_before_a_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").touch()
    (tmp_path / "excludes").write_text("$NO_SUCH_VARIABLE/*\n$MINE\n")
    monkeypatch.setenv("MINE", "/mine")
    options = BackupOptions(paths=(str(tmp_path / "source"),), exclude_file=(str(tmp_path / "excludes"),))
    with pytest.raises(SettingsError, match="NO_SUCH_VARIABLE"):
        _chosen(Invocation.of(CommonOptions()), options)
    (tmp_path / "excludes").write_text("$MINE\n")
    order = _chosen(Invocation.of(CommonOptions()), options).order
    assert order is not None
    assert order.variables == {"MINE": "/mine"}
