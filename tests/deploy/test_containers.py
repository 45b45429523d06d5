"""The containers' files: what can be held without a Docker engine. docs/deployment.md says what could not."""

import os
import re
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import urllib3
from ruamel.yaml import YAML

from holdfast.errors import StorageDeniedError
from holdfast.service.settings.credentials import parse
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.passwords import read_password_file
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from holdfast.storage.probe import probe
from holdfast.transport.keyring import Keyring
from tests.support.postgres import PASSWORD, running_postgres
from tests.support.seaweed import running_seaweed

PROJECT: Final = Path(__file__).parents[2]
COMPOSE: Final = PROJECT / "docker-compose.yml"
DEPLOY: Final = PROJECT / "deploy"
SCRIPTS: Final = ("make-secrets", "temporal/schema.sh", "temporal/namespace.sh")
PATIENCE_S: Final = 60.0
ONE_SHOT: Final = {"temporal-schema", "temporal-namespace"}
OURS: Final = ("worker", "codec-server")
_PINNED: Final = re.compile(r"[a-z/-]+:(\d+(\.\d+)+(-\w+)*)")

Table = Mapping[str, object]


def table(value: object) -> Table:
    assert isinstance(value, Mapping)
    return value


def texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]


@pytest.fixture(scope="module")
def compose() -> Table:
    return table(YAML(typ="safe").load(COMPOSE))


@pytest.fixture(scope="module")
def services(compose: Table) -> dict[str, Table]:
    return {name: table(service) for name, service in table(compose["services"]).items()}


def test_it_keeps_to_the_specification_of_compose() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_everything_that_the_arrangement_needs_is_there(services: dict[str, Table]) -> None:
    assert services.keys() == {"postgresql", "temporal", "temporal-ui", "object-store", *ONE_SHOT, *OURS}
    assert {name for name, service in services.items() if "profiles" in service} == {"object-store"}
    assert "auto-setup" not in COMPOSE.read_text()


def test_images_are_pinned(services: dict[str, Table]) -> None:
    images = {name: str(service["image"]) for name, service in services.items()}
    assert {images.pop(name) for name in OURS} == {"holdfast:local"}
    assert all(_PINNED.fullmatch(image) for image in images.values())
    assert images["temporal"].partition(":")[2] == images["temporal-schema"].partition(":")[2]
    bases = re.findall(r"^FROM (\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(_PINNED.fullmatch(base) for base in bases)


def test_nothing_listens_but_on_the_loopback(services: dict[str, Table]) -> None:
    published = {name: texts(service["ports"]) for name, service in services.items() if "ports" in service}
    assert published.keys() == {"temporal", "temporal-ui", "codec-server", "object-store"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not any("network_mode" in service or "privileged" in service for service in services.values())
    others = [service.get("networks", ["default"]) for name, service in services.items() if name != OURS[1]]
    assert all(networks == ["default"] for networks in others)
    assert services["codec-server"]["networks"] == ["codec"]


def test_what_stays_has_a_health_check_and_comes_back(services: dict[str, Table]) -> None:
    for name, service in services.items():
        if name in ONE_SHOT:
            assert str(service["restart"]).startswith("on-failure")
        else:
            assert table(service["healthcheck"])["test"]
            assert service["restart"] == "unless-stopped"


def test_each_waits_for_what_it_needs(services: dict[str, Table]) -> None:
    for name, service in services.items():
        for other, how in table(service.get("depends_on", {})).items():
            ended = other in ONE_SHOT
            wanted = "service_completed_successfully" if ended else "service_healthy"
            assert table(how)["condition"] == wanted, name


def test_secrets_are_files_and_go_only_where_they_are_needed(
    compose: Table, services: dict[str, Table]
) -> None:
    secrets = table(compose["secrets"])
    assert all(str(table(secret)["file"]).startswith("deploy/secrets/") for secret in secrets.values())
    for service in services.values():
        assert "env_file" not in service
        for key, value in table(service.get("environment", {})).items():
            assert not re.search("PASS|PWD|SECRET|TOKEN|KEY", key) or str(value).startswith("/run/secrets/")
    given = {name: set(texts(service.get("secrets", []))) for name, service in services.items()}
    assert given["temporal-ui"] == given["temporal-namespace"] == set()
    assert given["temporal"] == given["temporal-schema"] == {"temporal_password"}
    assert given["codec-server"] == {"payload_keys"}
    assert given["worker"] == {"repository_password", "journal_password", "payload_keys", "s3_credentials"}
    assert given["object-store"] == {"s3_identities"}


def test_what_must_last_lies_in_named_volumes_and_the_source_cannot_be_written(
    compose: Table, services: dict[str, Table]
) -> None:
    mounts = [mount for service in services.values() for mount in texts(service.get("volumes", []))]
    named = [mount.partition(":")[0] for mount in mounts if not mount.startswith((".", "$"))]
    assert sorted(named) == sorted(table(compose["volumes"]))
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith((".", "$")))
    for mount in mounts:
        if mount.startswith("./"):
            assert (PROJECT / mount.partition(":")[0]).is_file()


def test_our_containers_have_no_privileges(services: dict[str, Table]) -> None:
    for name in OURS:
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    stages = (PROJECT / "Dockerfile").read_text().split("\nFROM ")
    assert re.findall(r"^USER (.*)", stages[-1], re.MULTILINE) == ["holdfast"]
    assert "--require-hashes -r requirements/build.txt -r requirements/run.txt" in stages[1]


def test_the_image_gets_every_package_and_nothing_else() -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    taken = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    wanted = {"holdfast"} | {path.name for path in (PROJECT / "holdfast").iterdir() if path.is_symlink()}
    files = {"pyproject.toml", "README.md", "LICENSE", "holdfast.example.toml"}
    tables = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    beside = {file for names in tables.values() for file in names if file.partition("/")[0] not in wanted}
    assert taken == wanted | files | beside | {"requirements/build.txt", "requirements/run.txt"}


def test_the_containers_settings_are_valid(services: dict[str, Table]) -> None:
    settings = load_settings(DEPLOY / "holdfast.toml", {"HOME": "/"})
    assert settings.server.encryption is not None
    assert settings.journal.url is not None
    main, bucket = settings.repository("main"), settings.repository("bucket")
    sources = [settings.server.encryption, settings.journal.password, main.password, bucket.credentials]
    named = {source.file.name for source in sources if source is not None and source.file is not None}
    assert named == set(texts(services["worker"]["secrets"]))
    mounted = [mount.split(":")[1] for mount in texts(services["worker"]["volumes"]) if ":/" in mount]
    assert str(settings.state_dir) in mounted
    assert settings.repository("main").location in mounted
    namespace = table(services["temporal-namespace"]["environment"])["TEMPORAL_NAMESPACE"]
    assert settings.server.namespace == namespace


def test_the_servers_settings_are_yaml_once_filled_in(services: dict[str, Table]) -> None:
    template = (DEPLOY / "temporal" / "server.yaml").read_text()
    assert "# enable-template" in template[:1024]
    filled = re.sub(r"\{\{ env \"[A-Z_]+\" \}\}", "10.0.0.2", template)
    assert "{{" not in filled
    settings = table(YAML(typ="safe").load(filled))
    assert table(settings["services"]).keys() == {"frontend", "history", "matching", "worker"}
    assert "password:" not in template
    mounted = texts(services["temporal"]["volumes"])
    for path in (
        str(table(services["temporal"]["environment"])["TEMPORAL_SERVER_CONFIG_FILE_PATH"]),
        str(table(settings["dynamicConfigClient"])["filepath"]),
    ):
        assert any(mount.split(":")[1] == path for mount in mounted)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_ones(script: str) -> None:
    path = DEPLOY / script
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(path)], check=True)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `make-secrets` has filled."""
    folder = tmp_path_factory.mktemp("deploy")
    script = folder / "make-secrets"
    script.write_bytes((DEPLOY / "make-secrets").read_bytes())
    subprocess.run(["sh", str(script)], check=True)
    return folder / "secrets"


def test_secrets_are_made_once(secrets: Path, compose: Table) -> None:
    assert {path.name for path in secrets.iterdir()} == table(compose["secrets"]).keys()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    before = {path: path.read_bytes() for path in secrets.iterdir()}
    subprocess.run(["sh", str(secrets.parent / "make-secrets")], check=True)
    assert before == {path: path.read_bytes() for path in secrets.iterdir()}
    assert Keyring.parse((secrets / "payload_keys").read_bytes()).current
    passwords = [read_password_file(path) for path in secrets.glob("*_password")]
    assert all(len(password) == 32 for password in passwords)
    assert len(set(passwords)) == len(passwords)


def _wait_for_bucket(storage: Storage) -> None:
    """The server answers before it has made its bucket."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            storage.size_or_none("config")
        except StorageDeniedError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return


def test_the_bucket_takes_what_the_worker_shows(
    secrets: Path, services: dict[str, Table], tmp_path: Path
) -> None:
    """The store of the profile, started by hand: the same words, but for where it listens and keeps its files."""
    written = [
        word for word in texts(services["object-store"]["command"]) if not word.startswith(("-dir=", "-ip."))
    ]
    words = [word.replace("/run/secrets", str(secrets)) for word in written]
    settings = load_settings(DEPLOY / "holdfast.toml", {"HOME": "/"}).repository("bucket")
    credentials = parse((secrets / "s3_credentials").read_text(), "credentials")
    with running_seaweed(words) as server:
        assert urllib3.request("GET", f"{server.endpoint}/healthz", retries=False).status == 200
        location = settings.location.replace("http://object-store:8333", server.endpoint)
        storage = open_storage(location, fixed(credentials))
        _wait_for_bucket(storage)
        assert probe(storage).holds_a_repository
        storage.close()
        stranger = open_storage(location, fixed({**credentials, "AWS_SECRET_ACCESS_KEY": "another"}))
        with pytest.raises(StorageDeniedError):
            stranger.put("config", b"")
        stranger.close()
        elsewhere = open_storage(location.replace("/holdfast/", "/other/"), fixed(credentials))
        with pytest.raises(StorageDeniedError):
            elsewhere.put("config", b"")
        elsewhere.close()


def test_roles_and_databases_are_made_with_their_passwords(secrets: Path, tmp_path: Path) -> None:
    script = tmp_path / "init.sql"
    script.write_text((DEPLOY / "postgresql" / "init.sql").read_text().replace("/run/secrets", str(secrets)))
    with running_postgres() as cluster:

        def psql(role: str, database: str, password: str, *arguments: str) -> int:
            where = [str(cluster.programs / "psql"), "-h", str(cluster.folder), "-U", role, "-d", database]
            environment = {"PGPASSWORD": password, "PATH": os.defpath}
            done = subprocess.run([*where, *arguments], check=False, env=environment, capture_output=True)
            return done.returncode

        assert psql("keeper", "postgres", PASSWORD, "-v", "ON_ERROR_STOP=1", "-f", str(script)) == 0
        for role, secret, own in (
            ("temporal", "temporal_password", ["temporal", "temporal_visibility"]),
            ("holdfast", "journal_password", ["holdfast"]),
        ):
            password = (secrets / secret).read_text()
            for database in ("temporal", "temporal_visibility", "holdfast", "postgres"):
                # What the schema of the visibility database begins with.
                made = psql(role, database, password, "-c", "CREATE EXTENSION btree_gin")
                assert (made == 0) is (database in own)
        assert psql("holdfast", "holdfast", "another", "-c", "SELECT 1") != 0
