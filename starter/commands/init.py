"""`holdfast init` creates a repository."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.repository.repository import Repository
from holdfast.service.settings.credentials import open_place
from holdfast.service.settings.suggestions import one_of
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_json
from holdfast.storage.probe import refuse_unfit

_VERSIONS = {"1": 1, "2": 2, "stable": 2, "latest": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions(CommonOptions):
    """Options of `init`."""

    repository_version: Annotated[
        str, typer.Option(metavar="VERSION", help="Format version: 1, 2, stable or latest.")
    ] = "stable"


def init(options: InitOptions) -> int:
    """Create a repository."""
    version = _VERSIONS.get(options.repository_version)
    if version is None:
        raise UsageError(
            f"{options.repository_version!r} is no format version",
            hint=one_of(options.repository_version, _VERSIONS, "--repository-version"),
        )
    invocation = Invocation.of(options)
    profile = invocation.repository()
    storage = open_place(profile, invocation.environ, invocation.settings.state_dir)
    password = invocation.password(profile, confirm=True)
    if storage.traits.latency_s:
        refuse_unfit(storage, has_companion=bool(profile.companion))
    repository = Repository.init(storage, password, version=version)
    if options.json:
        say_json(
            {"message_type": "initialized", "id": repository.id, "repository": repository.storage.location}
        )
    elif not options.quiet:
        say(f"created repository {repository.id[:10]} at {repository.storage.location}")
        say("The password is the only way into it: keep it safe, and not only on this host.")
    return EXIT_COMPLETE
