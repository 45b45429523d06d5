"""`holdfast env` prints what makes the `temporal` command speak to the server that Holdfast uses."""

import os
import shlex
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holdfast.errors import ServerUnavailableError
from holdfast.service.settings.model import ServerSettings, Settings
from holdfast.starter.host.ownership import read_server_note, running_codecs
from holdfast.starter.host.temporal_server import HOST, temporal_binary
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell
from holdfast.starter.shell.text import Drawn, harmless

_WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """What `temporal` reads. plain: variables as they are. secret: variables whose value is in a file, behind a word.

    folder: where `temporal` is, if it is not on PATH.
    """

    plain: dict[str, str] = field(default_factory=dict)
    secret: dict[str, tuple[str, str]] = field(default_factory=dict)
    folder: str = ""


def env(options: CommonOptions) -> int:
    """Print what the `temporal` command needs to reach this server, for a shell: eval "$(holdfast env)".

    Address and namespace, TLS, and the codec server of this state directory, if one runs: without it, `temporal` shows
    what there is, and can ask for nothing. Secrets stay in their files: the shell reads them.
    """
    invocation = Invocation.of(options)
    found = _surroundings(invocation.settings, invocation.environ)
    document = {
        "message_type": "env",
        "variables": found.plain,
        "in_files": {name: {"before": word, "file": file} for name, (word, file) in found.secret.items()},
        "temporal_in": found.folder,
    }
    return tell(options, document, (Drawn(harmless(line)) for line in _lines(found)))


def _lines(found: _Surroundings) -> Iterator[str]:
    for name, value in found.plain.items():
        yield f"export {name}={shlex.quote(value)}"
    for name, (word, file) in found.secret.items():
        yield f'export {name}="{word}$(cat {shlex.quote(file)})"'
    if found.folder:
        yield f'export PATH="$PATH":{shlex.quote(found.folder)}'


def _surroundings(settings: Settings, environ: Mapping[str, str]) -> _Surroundings:
    server = settings.server
    found = _Surroundings(folder=_folder(environ))
    found.plain["TEMPORAL_ADDRESS"] = server.address or _embedded(settings)
    found.plain["TEMPORAL_NAMESPACE"] = server.namespace
    found.plain.update(_tls(server))
    if server.api_key_file is not None:
        found.secret["TEMPORAL_API_KEY"] = ("", str(server.api_key_file))
    for codec in running_codecs(settings.state_dir)[:1]:
        found.plain["TEMPORAL_CODEC_ENDPOINT"] = codec.url
        if codec.token_file is not None:
            found.secret["TEMPORAL_CODEC_AUTH"] = ("Bearer ", codec.token_file)
    return found


def _tls(server: ServerSettings) -> Iterator[tuple[str, str]]:
    if server.tls is None:
        return
    yield "TEMPORAL_TLS", "true"
    for name, value in (
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", server.tls.ca_file),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", server.tls.cert_file),
        ("TEMPORAL_TLS_CLIENT_KEY_PATH", server.tls.key_file),
        ("TEMPORAL_TLS_SERVER_NAME", server.tls.server_name),
    ):
        if value is not None:
            yield name, str(value)


def _embedded(settings: Settings) -> str:
    """Where the embedded server listens.

    Raises:
        ServerUnavailableError: it does not run.
    """
    note = read_server_note(settings.state_dir)
    try:
        if note is not None:
            socket.create_connection((HOST, note.port), timeout=_WAIT_S).close()
            return f"{HOST}:{note.port}"
    except OSError:
        pass
    raise ServerUnavailableError(
        f"the server of {settings.state_dir} does not run", hint="Start it with `holdfast up`, and ask again."
    )


def _folder(environ: Mapping[str, str]) -> str:
    """Where the program `temporal` is that came with Holdfast, if PATH leads to none."""
    if shutil.which("temporal", path=environ.get("PATH", os.defpath)) is not None:
        return ""
    try:
        return str(Path(temporal_binary(environ)).parent)
    except ServerUnavailableError:
        return ""
