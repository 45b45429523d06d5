"""Log lines: text and JSON, to standard error and to a file, with the run and source that they are about."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from holdfast.activities.calls import engine_call
from holdfast.activities.log_context import LogContext
from holdfast.contracts.common import RunRef
from holdfast.contracts.log_context import RUN, SOURCE, working_for
from holdfast.errors import StorageDeniedError
from holdfast.service.settings.model import LogSettings
from holdfast.starter.shell.logging import configure_logging

LOG = logging.getLogger("holdfast.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [handler for handler in root.handlers if handler.name == "holdfast"]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_text_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(), label="worker 0", level=logging.WARNING)
    LOG.info("not this")
    with working_for(run="backup:mars:home:documents/1", source="documents"):
        LOG.warning("%d of %d", 1, 2)
    LOG.warning("nobody's")
    configure_logging(LogSettings(level="info"), label="holdfast", level=logging.ERROR, names=False)
    LOG.info("in its own words")
    assert capsys.readouterr().err.splitlines() == [
        "worker 0: WARNING holdfast.test: 1 of 2 [source=documents run=backup:mars:home:documents/1]",
        "worker 0: WARNING holdfast.test: nobody's",
        "holdfast: in its own words",
    ]


def test_json_in_a_file_that_is_moved_away_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "holdfast.log"
    settings = LogSettings(format="json", file=file, level="info")
    configure_logging(settings, label="worker 1", level=logging.WARNING)
    with working_for(run="r/1", source="documents"):
        try:
            raise ValueError("é and a\nline")
        except ValueError:
            LOG.exception("it failed")
    moved = file.rename(tmp_path / "holdfast.log.1")
    LOG.info("after that", extra={"temporal_workflow": {"workflow_id": "backup:mars:home:etc"}})
    (line,) = map(json.loads, moved.read_text().splitlines())
    assert (line["level"], line["process"], line["source"], line["run"]) == (
        "error",
        "worker 1",
        "documents",
        "r/1",
    )
    assert "ValueError" in line["error"]
    assert line["time"].endswith("Z")
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["source"], line["run"]) == ("etc", "backup:mars:home:etc")
    assert file.stat().st_mode & 0o777 == 0o600


def test_text_in_a_file_has_the_time(tmp_path: Path) -> None:
    configure_logging(LogSettings(file=tmp_path / "log"), label="100%", level=logging.INFO)
    LOG.info("now")
    line = (tmp_path / "log").read_text()
    assert line.partition(" ")[0].endswith("Z")
    assert line.endswith(" 100%: INFO holdfast.test: now\n")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageDeniedError, match="log file"):
        configure_logging(LogSettings(file=tmp_path), label="x", level=logging.INFO)


@dataclass(frozen=True, kw_only=True)
class Message:
    run: RunRef


async def test_an_activity_and_its_threads_work_for_the_run_of_their_message() -> None:
    async def work(_message: Message) -> list[str]:
        with ThreadPoolExecutor(1) as executor:
            async with engine_call(executor) as call:
                return [RUN.get(), *await call.in_thread(lambda: [RUN.get(), SOURCE.get()])]

    class Innermost(ActivityInboundInterceptor):
        def __init__(self) -> None:
            """The end of the chain."""

        async def execute_activity(self, input: ExecuteActivityInput) -> list[str]:  # noqa: A002
            return await work(*input.args)

    inbound = LogContext().intercept_activity(Innermost())
    message = Message(run=RunRef(run_id="r/1", repository="home", source="documents"))
    asked = ExecuteActivityInput(fn=work, args=[message], executor=None, headers={})
    assert await ActivityEnvironment().run(inbound.execute_activity, asked) == ["r/1", "r/1", "documents"]
    assert RUN.get() == ""


def test_a_command_logs_as_the_settings_say(tmp_path: Path) -> None:
    """It has nothing to say here; what counts is that the file is there, and private."""
    settings = tmp_path / "holdfast.toml"
    settings.write_text(f'state_dir = "{tmp_path}/state"\n[log]\nfile = "{tmp_path}/log/holdfast.log"\n')
    command = [sys.executable, "-m", "holdfast.starter", "runs", "--config", str(settings)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    assert (tmp_path / "log" / "holdfast.log").stat().st_mode & 0o777 == 0o600
