"""`holdfast tag` changes the tags of snapshots."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.errors import EXIT_COMPLETE
from holdfast.ids import short, to_hex
from holdfast.repository.snapshot_tags import TagChange, change_tags
from holdfast.repository.snapshots import chosen_snapshots, list_snapshots
from holdfast.starter.requests.choice import choice_of, place_of, refuse_unknown
from holdfast.starter.requests.repositories import open_repository
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import ChoiceOptions, Texts, tags_in
from holdfast.starter.shell.output import say, say_json
from holdfast.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOptions(ChoiceOptions):
    """Options of `tag`."""

    snapshots: Annotated[
        Texts,
        typer.Argument(
            metavar="[SNAPSHOT…]", help="Only these; else all that pass the filters.", show_default=False
        ),
    ] = ()
    add: Annotated[Texts, typer.Option(metavar="TAG[,TAG…]", help="Add these; repeatable.")] = ()
    remove: Annotated[Texts, typer.Option(metavar="TAG[,TAG…]", help="Remove these; repeatable.")] = ()
    set: Annotated[
        Texts,
        typer.Option(metavar="TAG[,TAG…]", help='These in place of all others; "" for none; repeatable.'),
    ] = ()


def tag(options: TagOptions) -> int:
    """Change the tags of snapshots. Each that is changed gets another id; its field "original" has the first one."""
    change = TagChange(
        replaced=tags_in("--set", options.set) if options.set else None,
        added=tags_in("--add", options.add),
        removed=tags_in("--remove", options.remove),
    )
    change.check()
    invocation = Invocation.of(options)
    choice = choice_of(invocation, options)
    repository = open_repository(invocation, place_of(invocation, options))
    if choice and not options.snapshots:
        refuse_unknown(choice, list_snapshots(repository))
    changed = 0
    changes = change_tags(
        repository,
        change,
        lambda: chosen_snapshots(repository, options.snapshots, choice),
    )
    for old, new in changes:
        changed += 1
        if options.json:
            message = {
                "message_type": "changed",
                "old_snapshot_id": to_hex(old),
                "new_snapshot_id": to_hex(new),
            }
            say_json(message)
        elif options.verbose:
            say(f"snapshot {short(old)} is {short(new)} now")
    if options.json:
        say_json({"message_type": "summary", "changed_snapshots": changed})
    elif not options.quiet:
        say(f"modified {counted(changed, 'snapshot')}" if changed else "no snapshots were modified")
    return EXIT_COMPLETE
