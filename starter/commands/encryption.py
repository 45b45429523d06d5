"""`holdfast encryption` makes and shows the keys that seal what is sent to the Temporal server."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE, SettingsError, UsageError
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_json, tell_done
from holdfast.starter.shell.registration import add_command
from holdfast.storage.durable import flush_directory

app: Final = typer.Typer(help="Make keys for payload encryption, and show which there are.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeyOptions(CommonOptions):
    """Options of `encryption new-key`."""

    id: Annotated[str, typer.Option(metavar="ID", help="The key's id; else made of the date.")] = ""
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the key to this file, behind those that it holds."),
    ] = None


def new_key(options: NewKeyOptions) -> int:
    """Make a key: print its line, or add it to a file that only its owner can read."""
    from holdfast.transport.keyring import new_key_line  # noqa: PLC0415 (brings cryptography)

    line = new_key_line(options.id)
    if options.file is None:
        say(line)
        return EXIT_COMPLETE
    _append(options.file, line)
    key_id = line.partition(":")[0]
    return tell_done(options, {"message_type": "key_added", "id": key_id}, f"added key {key_id}")


def list_keys(options: CommonOptions) -> int:
    """List the ids of the keys in the settings; a star marks the one that encrypts."""
    from holdfast.transport.client import trust_codec  # noqa: PLC0415 (brings Temporal's client)
    from holdfast.transport.sealing import Sealer  # noqa: PLC0415 (likewise)

    codec = trust_codec(Invocation.of(options).settings.server, os.environ)
    keyring = codec.protection.keyring if codec is not None and isinstance(codec.protection, Sealer) else None
    if keyring is None:
        raise SettingsError(
            "the settings name no keys of encryption: what is sent to the server can be read",
            hint="Add [encryption] with key_file to holdfast.toml.",
        )
    for key_id in keyring.keys:
        is_current = key_id == keyring.current
        if options.json:
            say_json({"id": key_id, "current": is_current})
        else:
            say(f"{'*' if is_current else ' '}{key_id}")
    return EXIT_COMPLETE


add_command(app, "new-key", new_key)
add_command(app, "list", list_keys)


def _append(path: Path, line: str) -> None:
    """Durable before the key is used: what it encrypts could not be read again without it."""
    from holdfast.transport.keyring import Keyring  # noqa: PLC0415 (brings cryptography)

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "r+b") as file:
        before = file.read()
        if before and not before.endswith(b"\n"):
            line = f"\n{line}"
        try:
            Keyring.parse(before + f"{line}\n".encode())
        except SettingsError as error:
            raise UsageError(f"{path}: {error.message}", hint="The file was left as it is.") from error
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    flush_directory(str(path.parent))
