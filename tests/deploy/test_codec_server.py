"""The codec server: who may ask, what it answers, and Temporal's own command line behind it."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.json_format import MessageToJson, Parse, ParseDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import Client
from temporalio.runtime import Runtime

from holdfast.contracts import names
from holdfast.contracts.warrant import Warrant
from holdfast.errors import UsageError
from holdfast.service.settings.load import load_settings
from holdfast.starter.commands.codec_server import CodecServerOptions, codec_server
from holdfast.transport.client import open_client, read_credentials
from holdfast.transport.codec import Protection, TrustCodec
from holdfast.transport.codec_server import Access, CodecServer
from holdfast.transport.converter import WARRANT
from holdfast.transport.keyring import Keyring, new_key_line
from holdfast.transport.places import workflow_place
from holdfast.transport.sealing import Sealer
from holdfast.transport.signing import Signer
from holdfast.workflows.registration import ensure_search_attributes
from tests.support import fork_server
from tests.support.answering import answering
from tests.support.temporal_server import temporal_binary
from tests.unit.transport.signed import Keys, workers
from tests.unit.workflows.scripted import ScriptedBackup

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = "http://localhost:8233"
SEALER: Final = Sealer(keyring=Keyring.parse(new_key_line("one").encode()))
OTHER: Final = Sealer(keyring=Keyring.parse(new_key_line("two").encode()))
SIGNER: Final = Signer.parse(new_key_line("three").encode())
HERE: Final = workflow_place("default", "backup:h:r:s")
PLAIN: Final = Payload(metadata={"encoding": b"json/plain"}, data=b'"canary"')


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of a server whose token is the fixture's parameter, if it has one."""
    access = Access(origins=frozenset({PAGE}), token=getattr(request, "param", None))
    with codec_server_with(SEALER, access) as port:
        yield port


@contextlib.contextmanager
def codec_server_with(protection: Protection, access: Access) -> Iterator[int]:
    codec = TrustCodec(protection=protection, namespace="default")
    with CodecServer(("127.0.0.1", 0), codec, access) as server, answering(server):
        yield server.server_port


def ask(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def payloads(*items: Payload) -> bytes:
    return MessageToJson(Payloads(payloads=items)).encode()


def test_it_decodes_for_its_page(port: int) -> None:
    asked = {"Origin": PAGE, "X-Namespace": "default", "Content-Type": "application/json"}
    answer, body = ask(port, "POST", "/decode", payloads(SEALER.close(PLAIN, HERE), PLAIN), asked)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Cache-Control"] == "no-store"
    assert list(Parse(body, Payloads()).payloads) == [PLAIN, PLAIN]


@pytest.mark.parametrize("protection", [SEALER, SIGNER], ids=["seals", "signs"])
@pytest.mark.parametrize(
    ("path", "purposes", "run"),
    [
        ("/start/Backup/backup:h:r:s", ["start Backup"], ""),
        ("/start/Backup/backup%3Ah%3Ar%3As", ["start Backup"], ""),
        ("/signal/pause/backup:h:r:s", ["signal pause"], ""),
        ("/update/pause/backup:h:r:s/the-run", ["update pause"], "the-run"),
        ("/update-with-start/changes/SourceWatch/backup:h:r:s", ["start SourceWatch", "update changes"], ""),
    ],
)
def test_it_says_what_a_value_is_for(
    path: str, purposes: list[str], run: str, protection: Protection
) -> None:
    bearer = {"Authorization": "Bearer the-token"}
    with codec_server_with(protection, Access(origins=frozenset(), token="the-token")) as port:
        before = time.time()
        answer, body = ask(port, "POST", f"{path}/encode", payloads(PLAIN, PLAIN), bearer)
        assert answer.status == 200
        closed = list(Parse(body, Payloads()).payloads)
        warrants = [Warrant.from_json(protection.open(one, HERE).metadata[WARRANT]) for one in closed]
        assert warrants[0].once != warrants[1].once
        for warrant in warrants:
            assert list(warrant.purposes) == purposes
            assert warrant.run == run
            assert before + 590 < warrant.until_s < before + 660
        answer, body = ask(port, "POST", f"{path}/decode", payloads(closed[0]), bearer)
        assert Parse(body, Payloads()).payloads[0].data == PLAIN.data
        for elsewhere in ("/start/Backup/backup:h:r:t", "/update/pause/watch:h:r:s"):
            answer, body = ask(port, "POST", f"{elsewhere}/decode", payloads(closed[0]), bearer)
            assert answer.status == 400
            assert b"not believed" in body


@pytest.mark.parametrize(
    ("path", "purposes", "status"),
    [
        ("/result/backup:h:r:s", ("result",), 200),
        ("/result/backup:h:r:s/the-run", ("result",), 200),
        ("/result/backup:h:r:s/another-run", ("result",), 400),
        ("/result/backup:h:r:t", ("result",), 400),
        ("/result/backup:h:r:s", ("answer progress",), 400),
        ("/query/progress/backup:h:r:s", ("answer progress",), 200),
    ],
)
def test_a_result_is_that_of_the_run_that_is_meant(path: str, purposes: tuple[str, ...], status: int) -> None:
    said = Payload(metadata={**PLAIN.metadata, WARRANT: Warrant(purposes=purposes, run="the-run").to_json()})
    with codec_server_with(SIGNER, Access(origins=frozenset())) as port:
        answer, body = ask(port, "POST", f"{path}/decode", payloads(SIGNER.close(said, HERE)))
        assert answer.status == status, body
        assert b"holdfast-" not in body
        assert ask(port, "POST", f"{path}/encode", payloads(PLAIN))[0].status == 403


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/encode", "the-token", 400),
        ("/result/backup:h:r:s/encode", "the-token", 400),
        ("/start/Backup/backup:h:r:s/encode", None, 403),
        ("/start/Backup/encode", "the-token", 404),
        ("/restart/Backup/backup:h:r:s/encode", "the-token", 404),
        ("/start/Backup/backup:h:r:s/sign", "the-token", 404),
        ("/update/a/b/c/d/encode", "the-token", 404),
    ],
)
def test_it_signs_nothing_without_a_token_or_without_a_purpose(
    path: str, token: str | None, status: int
) -> None:
    with codec_server_with(SIGNER, Access(origins=frozenset(), token=token)) as port:
        answer, body = ask(port, "POST", path, payloads(PLAIN), {"Authorization": "Bearer the-token"})
        assert answer.status == status
        assert b"holdfast-signature" not in body


def test_a_browser_is_told_beforehand(port: int) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer, _ = ask(port, "OPTIONS", "/decode", headers=asked)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "X-Namespace" in answer.headers["Access-Control-Allow-Headers"]
    answer, _ = ask(port, "OPTIONS", "/decode", headers={**asked, "Origin": "http://evil.example"})
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("origin", ["http://evil.example", "null", PAGE + ".evil.example"])
def test_other_pages_are_refused_even_what_they_could_not_read(port: int, origin: str) -> None:
    answer, body = ask(port, "POST", "/decode", payloads(SEALER.close(PLAIN, HERE)), {"Origin": origin})
    assert answer.status == 403
    assert b"canary" not in body


@pytest.mark.parametrize("port", ["the-token"], indirect=True)
@pytest.mark.parametrize(
    ("given", "status"),
    [("", 401), ("the-token", 401), ("Bearer other", 401), ("Bearer th\xe9", 401), ("Bearer the-token", 200)],
)
def test_a_token_is_asked_for_where_one_is_set(port: int, given: str, status: int) -> None:
    headers = {"Authorization": given} if given else {}
    answer, body = ask(port, "POST", "/decode", payloads(SEALER.close(PLAIN, HERE)), headers)
    assert answer.status == status
    assert (
        (PLAIN.data in Parse(body, Payloads()).SerializeToString())
        if status == 200
        else b"canary" not in body
    )
    assert ask(port, "GET", "/health")[0].status == 200


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/", payloads(PLAIN), {}, 404),
        ("/decode", b"nonsense", {}, 400),
        ("/decode", b"\xff\xfe", {}, 400),
        ("/decode", b'{"payloads": [{"data": 7}]}', {}, 400),
        ("/decode", b"[" * 100_000, {}, 400),
        ("/decode", payloads(OTHER.close(PLAIN, HERE)), {}, 400),
        ("/decode", payloads(SEALER.close(PLAIN, HERE)), {"X-Namespace": "other"}, 400),
        ("/decode", b"x", {"Content-Length": "99999999999"}, 413),
        ("/decode", b"x", {"Content-Length": "-1"}, 411),
    ],
)
def test_nonsense_is_refused_and_the_server_goes_on(
    port: int, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert ask(port, "POST", path, body, headers)[0].status == status
    assert ask(port, "POST", "/decode", payloads(SEALER.close(PLAIN, HERE)))[0].status == 200


def test_nobody_else_hears_it_unless_a_token_protects_it(tmp_path: Path) -> None:
    settings = site(tmp_path)
    for options, said in [
        (CodecServerOptions(config=settings, bind="0.0.0.0"), "others could read"),  # noqa: S104
        (CodecServerOptions(config=settings, bind="localhost"), "not an IP address"),
        (CodecServerOptions(config=settings, origin=("*",)), "not the origin"),
        (CodecServerOptions(config=settings, origin=("http://a/page",)), "not the origin"),
    ]:
        with pytest.raises(UsageError, match=said):
            codec_server(options)


async def test_temporals_own_command_line_reads_through_the_command(
    server_address: str, tmp_path: Path
) -> None:
    settings = site(tmp_path)
    (tmp_path / "token").write_text("the-token\n")
    server = load_settings(settings, {"HOME": str(tmp_path)}).server
    client = await open_client(server, server_address, read_credentials(server, {}), Runtime.default())
    with serving(settings, "--token-file", str(tmp_path / "token")) as url:
        workflow_id = await start(client)
        command = [temporal_binary(), "workflow", "show", "--address", server_address, "-w", workflow_id]
        [hidden] = await history(command)
        assert b"canary" not in hidden.data
        [shown] = await history([*command, "--codec-endpoint", url, "--codec-auth", "Bearer the-token"])
        assert shown.data == PLAIN.data


async def test_temporals_own_command_line_asks_and_is_answered(server_address: str, tmp_path: Path) -> None:
    """The whole way in for other programs: start, signal, update, query and result, with a token and no key."""
    keys, script, w = Keys(), ScriptedBackup(shards_of_pages=(1,)), f"backup:h:r:{uuid.uuid4()}"
    held = asyncio.Event()
    script.before[names.STORE_SHARD] = lambda _shard: held.wait()  # type: ignore[assignment,return-value]
    client = await keys.client(server_address)
    await ensure_search_attributes(client)
    token = Access(origins=frozenset(), token="the-token")
    with codec_server_with(keys.protection, token) as port:
        async with workers(client, script, tmp_path) as queue:

            async def temporal(path: str, *command: str, codec: bool = True) -> tuple[int, str]:
                way = ("--codec-endpoint", f"http://127.0.0.1:{port}{path}") if codec else ()
                process = await asyncio.create_subprocess_exec(
                    temporal_binary(),
                    "workflow",
                    *command,
                    *("--address", server_address, *way),
                    env={
                        "PATH": os.defpath,
                        "HOME": str(tmp_path),
                        "TEMPORAL_CODEC_AUTH": "Bearer the-token",
                    },
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                said, _ = await process.communicate()
                return process.returncode or 0, said.decode()

            asked = '{"repository": "vault", "source": "home"}'
            started = await temporal(
                f"/start/Backup/{w}", "start", "--type", "Backup", "-t", queue, "-w", w, "-i", asked
            )
            assert started[0] == 0, started
            by = '{"by": "router"}'
            paused = await temporal(
                f"/update/pause/{w}", "update", "execute", "-w", w, "--name", "pause", "-i", by
            )
            assert paused[0] == 0, paused
            assert "router" in paused[1]
            twice = await temporal(
                f"/update/pause/{w}", "update", "execute", "-w", w, "--name", "pause", "-i", by
            )
            assert twice[0] != 0
            assert "paused already" in twice[1]
            wrong = await temporal(
                f"/update/resume/{w}", "update", "execute", "-w", w, "--name", "pause", "-i", by
            )
            assert wrong[0] != 0
            assert "not meant for the update pause" in wrong[1]
            bare = await temporal("", "update", "execute", "-w", w, "--name", "resume", "-i", by, codec=False)
            assert bare[0] != 0
            resumed = await temporal(f"/signal/resume/{w}", "signal", "-w", w, "--name", "resume", "-i", by)
            assert resumed[0] == 0, resumed
            held.set()
            ended = await temporal(f"/result/{w}", "result", "-w", w)
            assert ended[0] == 0, ended
            assert '"status":"complete"' in ended[1].replace(" ", "")
            shown = await temporal(f"/query/progress/{w}", "query", "-w", w, "--type", "progress")
            assert '"phase"' in shown[1], shown
    assert script.stored[(0, 0)] >= 1


async def history(command: list[str]) -> list[Payload]:
    """The arguments of a workflow, as `temporal` shows them."""
    process = await asyncio.create_subprocess_exec(*command, "-o", "json", stdout=subprocess.PIPE)
    shown, _ = await process.communicate()
    started = json.loads(shown)["events"][0]["workflowExecutionStartedEventAttributes"]
    return list(ParseDict(started["input"], Payloads()).payloads)


async def start(client: Client) -> str:
    workflow_id = f"test-{uuid.uuid4()}"
    await client.start_workflow("Nothing", "canary", id=workflow_id, task_queue="nobody")
    return workflow_id


def site(folder: Path) -> Path:
    """Settings with a key."""
    (folder / "keys").write_text(new_key_line())
    settings = folder / "holdfast.toml"
    settings.write_text('state_dir = "state"\n[encryption]\nkey_file = "keys"\n')
    return settings


@contextlib.contextmanager
def serving(settings: Path, *options: str) -> Iterator[str]:
    """`holdfast codec-server` while the context lasts; its URL."""
    process = fork_server.Popen[str](
        [
            sys.executable,
            "-m",
            "holdfast.starter",
            "codec-server",
            "--port",
            "0",
            "--config",
            str(settings),
            *options,
        ],
        cwd=settings.parent,
        env={"PATH": os.defpath, "HOME": str(settings.parent), "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "codec server: http://127.0.0.1:" in line
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
