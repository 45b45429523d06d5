"""Snapshots are chosen by one function, whatever command asks: by host, path, tag, and by a source of the settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.format.snapshot import Snapshot
from holdfast.format.tags import SOURCE_TAG
from holdfast.repository.choice import ALL, Choice, OfSource
from holdfast.starter.main import main
from tests.support.engine import PASSWORD, EngineRun, make_repository, open_session

DOCS = OfSource(name="docs", hosts=("mars",), paths=("/data/docs",))


def snapshot(*tags: str, host: str = "mars", paths: tuple[str, ...] = ("/data/docs",)) -> Snapshot:
    return Snapshot(
        time="2026-01-31T12:00:00Z", tree="0" * 64, hostname=host, paths=list(paths), tags=list(tags)
    )


@pytest.mark.parametrize(
    ("of", "is_of_docs"),
    [
        (snapshot(f"{SOURCE_TAG}docs", paths=("/where/it/was",)), True),
        (snapshot(), True),  # of restic, say
        (snapshot(paths=("/data/docs", "/more")), False),
        (snapshot(f"{SOURCE_TAG}mail"), False),
        (snapshot(f"{SOURCE_TAG}docs", host="venus"), False),
        (snapshot(host="venus"), False),
    ],
)
def test_a_source_has_what_bears_its_name_and_what_has_its_host_and_paths(
    of: Snapshot, *, is_of_docs: bool
) -> None:
    assert Choice(source=DOCS).takes(of) is is_of_docs


def test_filters_are_restics() -> None:
    tagged = snapshot("a", "b")
    assert ALL.takes(tagged)
    assert not ALL
    assert Choice(hosts=("venus", "mars"), paths=("/data/docs",), tags=("x", "a,b")).takes(tagged)
    assert not Choice(tags=("a,x",)).takes(tagged)
    assert not Choice(tags=("",)).takes(tagged)
    assert Choice(tags=("",)).takes(snapshot())
    assert not Choice(paths=("/data",)).takes(tagged)
    assert str(Choice(hosts=("a", "b"), source=DOCS)) == "source docs, host a or b"


def test_commands_take_a_source_and_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_repository(tmp_path / "repository")
    for name, source in (("docs", "docs"), ("other", "")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text(name)
        with open_session(tmp_path / "repository") as session:
            run = EngineRun.of(session, folder, run_id=name)
            run.order = replace(run.order, source=source)
            run.run()
    (tmp_path / "password").write_bytes(PASSWORD)
    (tmp_path / "holdfast.toml").write_text(
        f"""
        host = "testhost"
        [repositories.main]
        location = "{tmp_path}/repository"
        password_file = "password"
        [repositories.unused]
        location = "{tmp_path}/unused"
        [sources.docs]
        repository = "main"
        paths = ["{tmp_path}/elsewhere"]
        [sources.moved]
        repository = "main"
        paths = ["{tmp_path}/other"]
        """
    )
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path / "holdfast.toml"))
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))

    def told(*arguments: str) -> str:
        assert main([*arguments, "--json"]) == 0
        return capsys.readouterr().out

    def paths(source: str) -> list[str]:
        listed = json.loads(told("snapshots", "--source", source))
        return [path for one in listed for path in one["paths"]]

    assert paths("docs") == [f"{tmp_path}/docs"]
    assert paths("moved") == [f"{tmp_path}/other"]
    assert f'"{tmp_path}/docs/file"' in told("ls", "latest", "--source", "docs")
    assert json.loads(told("stats", "--source", "docs"))["snapshots_count"] == 1
    assert main(["ls", "--source", "docs", "--host", "venus"]) == 1
    assert "no snapshot has 'venus'" in capsys.readouterr().err
    assert main(["snapshots", "--source", "dogs"]) == 1
    assert "did you mean" in capsys.readouterr().err.lower()
