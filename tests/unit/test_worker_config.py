"""The document that a supervisor hands to a worker process."""

import json

import pytest

from holdfast.contracts.identity import copy_queue, task_queue
from holdfast.contracts.worker import WorkerConfig, WorkerConfigError

CONFIG = WorkerConfig(
    address="127.0.0.1:7233",
    state_dir="/var/lib/holdfast",
    cache_dir="/var/cache/holdfast",
    queues=("holdfast.host", "holdfast.host.0123456789ab"),
    namespace="vault",
    settings="/etc/holdfast.toml",
    process=3,
    supervisor_pid=77,
    passwords={"/repo": b"\xff\x00secret", "/other": b""},
    variables={"AWS_SECRET_ACCESS_KEY": "secret"},
    claims_fd=9,
    keys_fd=10,
)


def test_round_trip() -> None:
    assert WorkerConfig.from_json(CONFIG.to_json()) == CONFIG


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(CONFIG)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("variables", ["a"]),
        ("variables", {"a": 1}),
        ("address", None),
        ("queues", "one"),
        ("queues", [1]),
        ("process", True),
        ("supervisor_pid", "1"),
        ("claims_fd", "1"),
        ("keys_fd", None),
        ("passwords", []),
        ("passwords", {"/repo": 5}),
        ("passwords", {"/repo": "*"}),
    ],
)
def test_garbage_is_refused_by_key_and_without_the_passwords(key: str, value: object) -> None:
    document = json.loads(CONFIG.to_json())
    document[key] = value
    with pytest.raises(WorkerConfigError, match=f"^{key}: ") as refused:
        WorkerConfig.from_json(json.dumps(document).encode())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_object_is_refused(document: bytes) -> None:
    with pytest.raises(WorkerConfigError):
        WorkerConfig.from_json(document)


def test_queues() -> None:
    assert task_queue("box", "vault") == "holdfast.box"
    assert task_queue("box", "@0123456789abcdef") == "holdfast.box.0123456789ab"
    assert copy_queue(task_queue("box", "vault")) == "holdfast.box-copy"
