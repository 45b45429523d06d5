"""`holdfast migrate` brings a repository to a newer version of the format."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import EXIT_COMPLETE
from holdfast.repair.upgrade import UPGRADE, can_upgrade, upgrade
from holdfast.starter.requests.repositories import open_repository, repository_session
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, one_word
from holdfast.starter.shell.output import say, say_json


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOptions(CommonOptions):
    """Options of `migrate`."""

    name: Annotated[
        str, typer.Argument(metavar="[MIGRATION]", help="Which; without one, those that apply are listed.")
    ] = ""


def migrate(options: MigrateOptions) -> int:
    """List the migrations that apply to a repository, or apply one. Its structure is verified before."""
    if options.name:
        one_word("migrate", options.name, (UPGRADE,))
    repository = open_repository(Invocation.of(options))
    if not options.name:
        _list(options, [UPGRADE] if can_upgrade(repository) else [])
        return EXIT_COMPLETE
    with repository_session(repository) as session:
        upgrade(session)
    if options.json:
        say_json({"message_type": "done", "migration": UPGRADE})
    elif not options.quiet:
        say(f"migration {UPGRADE}: success")
    return EXIT_COMPLETE


def _list(options: MigrateOptions, names: list[str]) -> None:
    if options.json:
        say_json(names)
        return
    say("available migrations:")
    for name in names:
        say(f"  {name}  upgrade a repository to version 2")
    if not names:
        say("no migrations found")
