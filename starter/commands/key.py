"""`holdfast key` lists, adds and removes the passwords that open a repository."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from holdfast.ids import short
from holdfast.repository import keys
from holdfast.repository.repository import Repository
from holdfast.service.settings.passwords import read_password_file
from holdfast.starter.requests.repositories import open_repository, repository_session
from holdfast.starter.shell.invocation import Invocation, ask_password
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell, tell_done
from holdfast.starter.shell.registration import add_command
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time

app: Final = typer.Typer(help="List, add and remove passwords.", no_args_is_help=False)

_COLUMNS: Final = (
    Column(" ID"),
    Column("User", 2, Kind.PATH),
    Column("Host", 3, Kind.PATH),
    Column("Created", 1, Kind.TIME),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPasswordOptions(CommonOptions):
    """Where a new password comes from."""

    new_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that holds the new password.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions(NewPasswordOptions):
    """Options of `key add`."""

    host: Annotated[str, typer.Option(metavar="NAME", help="The host that the key names.")] = ""
    user: Annotated[str, typer.Option(metavar="NAME", help="The user that the key names.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOptions(CommonOptions):
    """Options of `key remove`."""

    key: Annotated[str, typer.Argument(metavar="ID", help="The beginning of the key's id.")]


def list_keys(options: CommonOptions) -> int:
    """List the keys; a star marks the one in use."""
    found = keys.list_keys(open_repository(Invocation.of(options)))
    documents = [
        {
            "current": key.current,
            "id": short(key.id),
            "userName": key.username,
            "hostName": key.hostname,
            "created": local_time(key.created_ns) if key.created_ns else "",
        }
        for key in found
    ]
    rows = [
        (
            f"{'*' if key.current else ' '}{short(key.id)}",
            key.username,
            key.hostname,
            local_time(key.created_ns) if key.created_ns else "cannot be read",
        )
        for key in found
    ]
    return tell(options, documents, table(_COLUMNS, rows))


def add(options: AddOptions) -> int:
    """Let a further password open the repository."""
    with _locked(options) as repository:
        key = keys.add_key(repository, _new_password(options), host=options.host, user=options.user)
        return _done(options, f"added key {short(key)}")


def remove(options: RemoveOptions) -> int:
    """Remove a key; its password no longer opens the repository."""
    with _locked(options) as repository:
        return _done(options, f"removed key {short(keys.remove_key(repository, options.key))}")


def passwd(options: NewPasswordOptions) -> int:
    """Change the password: replace the key in use by a new one."""
    with _locked(options) as repository:
        key = keys.change_password(repository, _new_password(options))
        return _done(options, f"saved the new password as key {short(key)}")


add_command(app, "list", list_keys)
add_command(app, "add", add)
add_command(app, "remove", remove)
add_command(app, "passwd", passwd)


@contextmanager
def _locked(options: CommonOptions) -> Iterator[Repository]:
    """The repository under the shared lock, as restic changes keys."""
    with repository_session(open_repository(Invocation.of(options))) as session:
        session.lease.acquire()
        yield session.repository


def _new_password(options: NewPasswordOptions) -> bytes:
    if options.new_password_file is not None:
        return read_password_file(Path(os.path.abspath(options.new_password_file)))
    return ask_password("enter new password: ", confirm=True)


def _done(options: CommonOptions, text: str) -> int:
    return tell_done(options, {"message_type": "done", "message": text}, text)
