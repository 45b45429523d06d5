"""Reads which snapshots a person means: the options that all commands share which choose some."""

from holdfast.repository.choice import Choice
from holdfast.service.settings.choice import of_source
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import ChoiceOptions


def choice_of(invocation: Invocation, options: ChoiceOptions) -> Choice:
    """What is meant. With a source, hosts say whose backups of it: of other hosts that call one so.

    Raises:
        SettingsError: the settings have no such source.
        UsageError: a path is none.
    """
    settings = invocation.settings
    source = settings.source(options.source) if options.source else None
    return Choice(
        hosts=options.host,
        paths=invocation.listed(options.path),
        tags=options.tag,
        source=None if source is None else of_source(settings, source, options.host),
    )


def place_of(invocation: Invocation, options: ChoiceOptions) -> str:
    """The repository that the source is backed up to, where nothing else names one; empty without a source.

    Raises:
        SettingsError: the settings have no such source.
    """
    return invocation.settings.source(options.source).repository if options.source else ""
