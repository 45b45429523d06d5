"""`holdfast storage` tries the place where a repository lies."""

from typing import Final

import typer

from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED
from holdfast.service.settings.credentials import open_place
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_json
from holdfast.starter.shell.registration import add_command
from holdfast.storage.probe import Finding, probe

app: Final = typer.Typer(help="Try the place where a repository lies.", no_args_is_help=False)

_WORDS: Final = {
    "written": "what is written is read back byte for byte",
    "ranges": "parts of files can be read",
    "listed": "what is written is listed at once",
    "clock": "its clock is right",
    "creates": "of two that create a file one wins",
    "replaces": "files can be replaced",
    "deletes": "files can be deleted",
}


def check(options: CommonOptions) -> int:
    """Try what a repository relies on there; with a few small files that are removed again."""
    invocation = Invocation.of(options)
    storage = open_place(invocation.repository(), invocation.environ, invocation.settings.state_dir)
    try:
        probed = probe(storage)
    finally:
        storage.close()
    if options.json:
        findings = [
            {"subject": found.subject, "well": found.well, "needed": found.needed, "what": found.what}
            for found in probed.findings
        ]
        say_json(
            {
                "message_type": "storage",
                "location": storage.location,
                "holds_a_repository": probed.holds_a_repository,
                "latency_ms": round(probed.latency_s * 1000, 1),
                "findings": findings,
            }
        )
    else:
        for found in probed.findings:
            say(_line(found))
        say(f"a small request took {probed.latency_s * 1000:.0f} ms")
    return EXIT_COMPLETE if probed.holds_a_repository else EXIT_FAILED


def _line(found: Finding) -> str:
    if found.well:
        return f"yes  {_WORDS[found.subject]}"
    return f"NO   {_WORDS[found.subject]}: {found.what}"


add_command(app, "check", check)
