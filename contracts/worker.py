"""The one document that a supervisor hands to a worker process, over a pipe.

It carries passwords, so it never stands in argv, in the environment or in a file: `worker.py --config-fd N`
reads it to its end from the inherited descriptor N and closes that.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ENCRYPTION_KEYS: Final = "[encryption]"
"""Among the passwords: the keys of payload encryption, where the settings name a variable for them."""
SIGNING_KEYS: Final = "[signing]"
"""The same for the keys that sign."""

_VERSION: Final = 3


class WorkerConfigError(ValueError):
    """The document is not one that this worker understands; the message names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Tells one worker process how to run.

    settings: path of the settings file, empty when there is none. queues: base names; each stands for itself
    and for the copy queue beside it. process: number among its siblings, from 0. supervisor_pid: the worker ends
    when this process, its parent, does; 0 when nobody supervises it. passwords: by repository location. variables: what
    storages ask of an environment, which may be credentials.
    claims_fd, keys_fd, index_fd: inherited descriptors of the memory in which the processes tell each other what they
    are storing (holdfast/backup/store/claims.py), share keys (holdfast/repository/shared_keys.py) and what indexes say
    (holdfast/repository/index/shared.py); -1 when there is none.
    """

    address: str
    state_dir: str
    queues: tuple[str, ...]
    namespace: str = "default"
    settings: str = ""
    process: int = 0
    supervisor_pid: int = 0
    claims_fd: int = -1
    keys_fd: int = -1
    index_fd: int = -1
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_json(self) -> bytes:
        """The document as bytes for the pipe."""
        return json.dumps(
            {
                "version": _VERSION,
                "address": self.address,
                "namespace": self.namespace,
                "settings": self.settings,
                "state_dir": self.state_dir,
                "queues": list(self.queues),
                "process": self.process,
                "supervisor_pid": self.supervisor_pid,
                "claims_fd": self.claims_fd,
                "keys_fd": self.keys_fd,
                "index_fd": self.index_fd,
                "passwords": _encoded(self.passwords),
                "variables": dict(self.variables),
            }
        ).encode()

    @classmethod
    def from_json(cls, document: bytes) -> "WorkerConfig":
        """Parse what `to_json` wrote.

        Raises:
            WorkerConfigError: a key is missing or has the wrong type, or the version is another one.
        """
        try:
            parsed: object = json.loads(document)
        except ValueError:
            raise WorkerConfigError(
                "the worker's configuration is not JSON"
            ) from None  # the text holds passwords
        if not isinstance(parsed, dict):
            raise WorkerConfigError("the worker's configuration is not a JSON object")
        if parsed.get("version") != _VERSION:
            raise WorkerConfigError(
                "version: written by another release; start supervisor and worker from one"
            )
        return cls(
            address=_text(parsed, "address"),
            namespace=_text(parsed, "namespace"),
            settings=_text(parsed, "settings"),
            state_dir=_text(parsed, "state_dir"),
            queues=_texts(parsed, "queues"),
            process=_number(parsed, "process"),
            supervisor_pid=_number(parsed, "supervisor_pid"),
            claims_fd=_number(parsed, "claims_fd"),
            keys_fd=_number(parsed, "keys_fd"),
            index_fd=_number(parsed, "index_fd"),
            passwords=_secrets(parsed, "passwords"),
            variables=_text_map(parsed, "variables"),
        )


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise WorkerConfigError(f"{key}: text is expected")
    return value


def _texts(document: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = document.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WorkerConfigError(f"{key}: a list of texts is expected")
    return tuple(value)


def _text_map(document: Mapping[str, object], key: str) -> dict[str, str]:
    value = document.get(key)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise WorkerConfigError(f"{key}: an object of texts is expected")
    return value


def _number(document: Mapping[str, object], key: str) -> int:
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WorkerConfigError(f"{key}: a whole number is expected")
    return value


def _encoded(secrets: Mapping[str, bytes]) -> dict[str, str]:
    return {location: base64.b64encode(secret).decode() for location, secret in secrets.items()}


def _secrets(document: Mapping[str, object], key: str) -> dict[str, bytes]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise WorkerConfigError(f"{key}: an object is expected")
    secrets: dict[str, bytes] = {}
    for location, encoded in value.items():
        if not isinstance(encoded, str):
            raise WorkerConfigError(f"{key}: base64 text is expected")
        try:
            secrets[location] = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise WorkerConfigError(f"{key}: base64 text is expected") from None
    return secrets
