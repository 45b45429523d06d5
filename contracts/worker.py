"""A supervisor hands this one document to a worker process, over a pipe.

It carries passwords, so it never stands in argv, in the environment or in a file: `worker.py --config-fd N`
reads it to its end from the inherited descriptor N and closes that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

ENCRYPTION_KEYS: Final = "[encryption]"
"""Among the passwords: the keys of payload encryption, where the settings name a variable for them."""
SIGNING_KEYS: Final = "[signing]"
"""The same for the keys that sign."""

_VERSION: Final = 4


class WorkerConfigError(ValueError):
    """The document is not one that this worker understands; the message names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Tells one worker process how to run.

    settings: path of the settings file, empty when there is none. queues: base names; each stands for itself
    and for the copy queue beside it. process: number among its siblings, from 0. supervisor_pid: the worker ends
    when this process, its parent, does; 0 when nobody supervises it. passwords: by repository location. variables: what
    storages ask of an environment, which may be credentials. cache_dir: of this host's cache, empty for none.
    claims_fd, keys_fd, index_fd: inherited descriptors of the memory in which the processes tell each other what they
    are storing (holdfast/backup/store/claims.py), share keys (holdfast/repository/shared_keys.py) and what indexes say
    (holdfast/repository/index/shared.py); -1 when there is none.
    """

    address: str
    state_dir: str
    queues: tuple[str, ...]
    cache_dir: str = ""
    namespace: str = "default"
    settings: str = ""
    process: int = 0
    supervisor_pid: int = 0
    claims_fd: int = -1
    keys_fd: int = -1
    index_fd: int = -1
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    version: int = _VERSION

    def to_json(self) -> bytes:
        """The document as bytes for the pipe."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, document: bytes) -> "WorkerConfig":
        """Parse what `to_json` wrote.

        Raises:
            WorkerConfigError: a value has the wrong type, or the version is another one.
        """
        try:
            if msgspec.json.decode(document, type=_Versioned).version != _VERSION:
                raise WorkerConfigError(
                    "version: written by another release; start supervisor and worker from one"
                )
            return msgspec.json.decode(document, type=cls)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            key = where.rstrip("`").partition("[")[0]
            raise WorkerConfigError(f"{key or 'the configuration'}: {what}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise WorkerConfigError("the worker's configuration is not JSON") from None  # it holds passwords


class _Versioned(msgspec.Struct, frozen=True, kw_only=True):
    version: int
