"""A source of the settings as its snapshots tell it: by its name, or by its host and paths."""

from holdfast.format.names import quote_path
from holdfast.repository.choice import OfSource
from holdfast.service.settings.model import Settings, SourceProfile


def of_source(settings: Settings, profile: SourceProfile, hosts: tuple[str, ...] = ()) -> OfSource:
    """Its snapshots: those of the host that its backups name. hosts: those that a person names instead."""
    return OfSource(
        name=profile.name,
        hosts=hosts or (profile.host or settings.host,),
        paths=tuple(map(quote_path, profile.spec.roots)),
    )
