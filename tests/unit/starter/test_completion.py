"""What a shell is told at a press of Tab: the grammar's words, values that this host knows, and never an error."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.starter import completion
from holdfast.starter.completion import grammar
from holdfast.starter.completion.answer import lines, split
from holdfast.starter.manual.__main__ import made
from holdfast.terms import RunKind, RunStatus

SETTINGS = """
host = "mars"
[repositories.home]
location = "/srv/home"
[repositories.vault]
location = "s3:https://example/vault"
[sources.documents]
repository = "home"
paths = ["/home/me/documents"]
tags = ["nightly", "audit"]
schedules = [{ strategy = "full", every = "1d" }]
[sources.mail]
repository = "vault"
no_such_key = 1
[systems.shop]
sources = ["documents"]
[drills.monthly]
source = "documents"
[[schedules]]
kind = "drill"
drill = "monthly"
every = "30d"
"""
PROGRAM = Path(sys.executable).parent / "holdfast"
SNAPSHOTS = ("ab" * 32, "cd" * 32)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "holdfast.toml").write_text(SETTINGS)
    return {"HOME": str(tmp_path), "HOLDFAST_CONFIG": str(tmp_path / "holdfast.toml")}


def told(environ: Mapping[str, str], line: str) -> list[str]:
    """The words of the answer for bash."""
    return [one.partition("\t")[0] for one in lines(["bash", line], environ).splitlines()[1:]]


def kind(environ: Mapping[str, str], line: str) -> str:
    return lines(["bash", line], environ).splitlines()[0]


def test_what_is_made_from_the_commands_is_as_the_commands_are() -> None:
    stale = [path.name for path, text in made().items() if path.read_text("utf-8") != text]
    assert not stale, "run `make manual`"


def test_the_grammar_is_read_as_it_was_written() -> None:
    text = Path(completion.__file__).parent.joinpath(grammar.FILE).read_text("utf-8")
    assert grammar.write(grammar.load()) == text


def test_commands_and_options(environ: dict[str, str]) -> None:
    assert {"backup", "restore", "completion"} <= {*told(environ, "holdfast ")}
    assert told(environ, "holdfast restor") == ["restore"]
    assert told(environ, "holdfast --json run sh") == ["show"]
    options = told(environ, "holdfast backup --")
    assert options.index("--exclude") < options.index("--repo"), "a command's own come first"
    assert "--version" not in options
    assert "--version" in told(environ, "holdfast --")
    assert "--force" not in told(environ, "holdfast backup --force --")
    assert "--exclude" in told(environ, "holdfast backup --exclude x --"), "it is repeatable"
    assert told(environ, "holdfast backup -- --") == []
    assert "--json" in told(environ, "holdfast up "), "where nothing else may stand"


def test_values_of_options_and_arguments(environ: dict[str, str]) -> None:
    assert told(environ, "holdfast backup --strategy ") == ["auto", "full", "differential", "incremental"]
    assert told(environ, "holdfast backup --strategy=f") == ["full"], "bash puts it behind the equals sign"
    assert told(environ, "holdfast -r ") == ["home", "vault"]
    assert told(environ, "holdfast backup d") == ["documents"]
    assert told(environ, "holdfast backup documents m") == ["mail"], "an argument that is repeatable"
    assert told(environ, "holdfast guard documents m") == [], "and one that is not"
    assert told(environ, "holdfast system backup ") == ["shop"]
    assert told(environ, "holdfast drill ") == ["monthly", "documents", "mail"]
    assert told(environ, "holdfast schedule pause ") == ["documents.full", "documents.drill"]
    assert told(environ, "holdfast snapshots --tag a") == ["audit"]
    assert kind(environ, "holdfast backup ./") == "files"
    assert kind(environ, "holdfast restore latest --target ") == "folders"
    assert kind(environ, "holdfast cancel ") == "words"


def test_other_shells_give_words_and_keep_the_option(environ: dict[str, str]) -> None:
    answer = lines(["zsh", "holdfast", "backup", "--strategy=f"], environ)
    assert answer == "words\n--strategy=full\n"
    named = lines(["fish", "holdfast", "--config", environ.pop("HOLDFAST_CONFIG"), "-r", "v"], environ)
    assert named == "folders\nvault\ts3:https://example/vault\n"


def test_runs_and_snapshots_of_the_journal_and_the_cache(environ: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / ".local" / "state" / "holdfast"
    state.mkdir(parents=True)
    cached = tmp_path / ".cache" / "holdfast" / ("0" * 64) / "snapshots" / ("ef" * 32)
    cached.parent.mkdir(parents=True)
    cached.touch()
    journal = Journal.at(state / "journal.db")
    for number, snapshot in enumerate(SNAPSHOTS):
        journal.record(
            RunRecord(
                run_id=f"backup:mars:home:documents/1111222{number}",
                kind=RunKind.BACKUP,
                status=RunStatus.RUNNING if number else RunStatus.COMPLETE,
                repository="vault" if number else "home",
                source="documents",
                host="mars",
                snapshot_id=snapshot,
                started_ns=number,
            )
        )
    assert told(environ, "holdfast restore ") == ["latest", "cdcdcdcd", "abababab", "efefefef"]
    assert told(environ, "holdfast -r home ls ") == ["latest", "abababab", "efefefef"]
    assert told(environ, "holdfast run show ")[:2] == ["11112221", "11112220"]
    assert told(environ, "holdfast cancel ")[:2] == ["11112221", "documents"]
    assert told(environ, "holdfast snapshots --host ") == ["mars"]


@pytest.mark.parametrize(
    "settings", ["[repositories", "repositories = 3", "[journal]\nurl = 1", "state_dir = 7"]
)
def test_settings_that_are_no_use_tell_nothing(
    environ: dict[str, str], tmp_path: Path, settings: str
) -> None:
    (tmp_path / "holdfast.toml").write_text(settings)
    assert told(environ, "holdfast -r ") == []
    assert told(environ, "holdfast run show ") == []
    assert told(environ, "holdfast restore ") == ["latest"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("holdfast ", ["holdfast", ""]),
        ("holdfast back", ["holdfast", "back"]),
        ("holdfast 'a b' c\\ d", ["holdfast", "a b", "c d"]),
        ("holdfast 'a b", ["holdfast", "a b"]),
        ("holdfast #1", ["holdfast", "#1"]),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_the_command_answers_without_what_commands_need_and_is_silent_when_it_fails() -> None:
    code = (
        "import sys; from holdfast.starter.__main__ import main; sys.argv[1:] = ['__complete', 'bash', 'holdfast ini'];"
        "main(); print(sorted({'typer', 'msgspec', 'temporalio', 'sqlalchemy'} & sys.modules.keys()));"
        "sys.argv[1:] = ['__complete', 'no-such-shell']; sys.exit(main())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "words\ninit\tCreate a repository.\n[]\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_the_answer(environ: dict[str, str], tmp_path: Path) -> None:
    script = Path(completion.__file__).parent / "scripts" / "holdfast.bash"
    code = f"""
source {script}
compopt() {{ echo "$*"; }}
COMP_LINE="holdfast restore --overwrite=if" COMP_POINT=${{#COMP_LINE}}
COMP_WORDS=(holdfast restore --overwrite = if) COMP_CWORD=4
_holdfast {PROGRAM}; echo "${{COMPREPLY[@]}}"
COMP_LINE="holdfast -p " COMP_POINT=12 COMP_WORDS=(holdfast -p '') COMP_CWORD=2
_holdfast {PROGRAM}; echo "${{COMPREPLY[@]}}"
COMP_LINE="holdfast backup doc" COMP_POINT=19 COMP_WORDS=(holdfast backup doc) COMP_CWORD=2
_holdfast {PROGRAM}; echo "${{COMPREPLY[@]}}"
"""
    (tmp_path / "documents").mkdir()
    (tmp_path / "doc 1").touch()
    ended = subprocess.run(
        ["bash", "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | environ,
        cwd=tmp_path,
    )
    first, directive, none, *files = ended.stdout.splitlines()
    assert (first, directive, none) == ("if-changed if-newer", "-o default", "")
    source, *rest = files[0].split(" ", 1)
    assert source == "documents"
    assert sorted(rest[0].replace("\\ ", "_").split(" ")) == ["doc_1", "documents/"], (
        "a folder is another thing"
    )
