"""`holdfast forget` forgets snapshots, by their ids or by a policy: they go into the bin first."""

import time
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

import typer

from holdfast.errors import EXIT_COMPLETE, EXIT_PARTIAL, UsageError
from holdfast.repository.snapshots import list_snapshots
from holdfast.retention.bin import binned_snapshots, drop
from holdfast.retention.documents import ForgetOrder
from holdfast.retention.groups import BY_SOURCE, parse_group_by
from holdfast.retention.policy import COUNTS, SPANS, Policy
from holdfast.retention.spans import NO_SPAN, SPAN_EXAMPLES, Span, parse_span
from holdfast.service.settings.retention import parse_count, parse_tags
from holdfast.starter.host.early_start import EarlyStart, early_start
from holdfast.starter.requests.choice import refuse_unknown
from holdfast.starter.requests.record import record_act
from holdfast.starter.requests.repositories import open_for_reading, open_repository, repository_session
from holdfast.starter.requests.retention import decided, proofs_of, repository_and_source
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import WHICH_SNAPSHOTS, CommonOptions, Detach, Groups, Texts
from holdfast.starter.shell.output import tell, tell_done
from holdfast.starter.shell.person import triggered
from holdfast.starter.view.retention import bin_document, bin_lines, decision_documents, decision_lines
from holdfast.units import SIZE_EXAMPLES, counted, parse_size


def _keep(word: str, letter: str, what: str) -> Any:
    """The option of a rule that counts; the letters are restic's."""
    return typer.Option(
        f"--keep-{word}", f"-{letter}", metavar="N", help=f"Keep the last N{what}.", show_default=False
    )


SpanText = Annotated[
    str,
    typer.Option(
        metavar="SPAN", help="Keep those of a span before the newest: 1y5m7d2h.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOptions(CommonOptions):
    """Options of `forget`; -H is restic's, of --keep-hourly."""

    GROUPS: ClassVar[Groups] = {
        "What is kept": (
            *(f"keep_{word}" for word in COUNTS),
            *(f"keep_{word}" for word in SPANS),
            "keep_tag",
            "keep_within_size",
            "group_by",
        ),
        WHICH_SNAPSHOTS: ("source", "host", "path", "tag", "unsafe_allow_remove_all"),
        "The bin": ("list_bin", "empty_bin"),
        "The run": ("dry_run", "prune", "detach"),
    }

    snapshots: Annotated[
        Texts,
        typer.Argument(metavar="[SNAPSHOT…]", help="Just these; no policy is asked.", show_default=False),
    ] = ()
    keep_last: Annotated[str, _keep("last", "l", "; or unlimited")] = ""
    keep_hourly: Annotated[str, _keep("hourly", "H", " hourly ones")] = ""
    keep_daily: Annotated[str, _keep("daily", "d", " daily ones")] = ""
    keep_weekly: Annotated[str, _keep("weekly", "w", " weekly ones")] = ""
    keep_monthly: Annotated[str, _keep("monthly", "m", " monthly ones")] = ""
    keep_yearly: Annotated[str, _keep("yearly", "y", " yearly ones")] = ""
    keep_within: SpanText = ""
    keep_within_hourly: SpanText = ""
    keep_within_daily: SpanText = ""
    keep_within_weekly: SpanText = ""
    keep_within_monthly: SpanText = ""
    keep_within_yearly: SpanText = ""
    keep_tag: Annotated[
        Texts, typer.Option(metavar="TAG[,TAG…]", help="Keep those with all of these tags; repeatable.")
    ] = ()
    keep_within_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="Keep the newest that fit into so much (500GiB).", show_default=False
        ),
    ] = ""
    host: Annotated[Texts, typer.Option(metavar="HOST", help="Only snapshots of this host; repeatable.")] = ()
    tag: Annotated[
        Texts, typer.Option(metavar="TAG[,TAG…]", help="Only those with all of these tags; repeatable.")
    ] = ()
    path: Annotated[
        Texts, typer.Option(metavar="PATH", help="Only those that hold this path; repeatable.")
    ] = ()
    source: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only those of this source of the settings.", show_default=False),
    ] = ""
    group_by: Annotated[
        str,
        typer.Option(
            "--group-by", "-g", metavar="WORDS", help="source; or of host, paths and tags; or nothing."
        ),
    ] = BY_SOURCE
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would go, and why.")] = (
        False
    )
    prune: Annotated[
        bool, typer.Option("--prune", help="Run `holdfast prune` afterwards; the bin keeps its data.")
    ] = False
    list_bin: Annotated[bool, typer.Option("--bin", help="List what can be taken back.")] = False
    empty_bin: Annotated[
        bool,
        typer.Option("--empty-bin", help="Let the bin go of these, or of all: they cannot be taken back."),
    ] = False
    unsafe_allow_remove_all: Annotated[
        bool,
        typer.Option("--unsafe-allow-remove-all", help="Without a policy: forget all that the filters mean."),
    ] = False
    detach: Detach = False


def forget(options: ForgetOptions) -> int:
    """Forget snapshots by their ids, or by a policy: of the options, or else of the settings."""
    order = _order(options)
    invocation = Invocation.of(options)
    if options.list_bin:
        return list_bin(invocation)
    if options.empty_bin:
        return _empty_bin(invocation, options, order)
    if options.dry_run:
        return _show(invocation, order)
    if options.prune and options.detach:
        raise UsageError("--prune waits for the end, and --detach does not", hint="Leave one of them out.")
    with early_start(invocation.settings, invocation.environ) as begun:
        code = _forget(invocation, options, order, begun)
    if options.prune and code in {EXIT_COMPLETE, EXIT_PARTIAL}:
        return max(code, _prune(options))
    return code


def list_bin(invocation: Invocation) -> int:
    """List what is in the bin of the repository."""
    binned = binned_snapshots(open_repository(invocation))
    return tell(invocation.options, [bin_document(one) for one in binned], bin_lines(binned))


def _empty_bin(invocation: Invocation, options: ForgetOptions, order: ForgetOrder) -> int:
    if options.dry_run:
        raise UsageError("--empty-bin has no dry run", hint="`holdfast forget --bin` lists what would go.")
    if options.prune or order != ForgetOrder(snapshots=options.snapshots):
        raise UsageError(
            "--empty-bin lets go of snapshots by their ids, or of all: it goes with no filter, no rule and no --prune",
            hint="Name the ids that `holdfast forget --bin` lists. Nothing was removed.",
        )
    profile, now_ns = invocation.repository(), time.time_ns()
    repository = open_repository(invocation)
    with repository_session(repository) as session:
        session.lease.acquire()
        gone = drop(repository, options.snapshots, now_ns)
    for one in gone:
        record_act(
            invocation, profile, "empty-bin", by=triggered().by, reason=one.reason, snapshot=one.stored.id
        )
    words = f"{counted(len(gone), 'snapshot has', 'snapshots have')} left the bin; `holdfast prune` frees the space"
    return tell_done(options, [bin_document(one) for one in gone], words)


def _show(invocation: Invocation, order: ForgetOrder) -> int:
    profile, _ = repository_and_source(invocation, order.source)
    repository = open_for_reading(invocation, no_lock=False, fallback=profile.name)
    with repository_session(repository) as session, session.hold() as held:
        if order.which:
            refuse_unknown(order.which, list_snapshots(session.repository))
        decision = decided(invocation, held, profile, order, proofs_of(invocation, profile), time.time_ns())
    return tell(invocation.options, decision_documents(decision), decision_lines(decision))


def _forget(
    invocation: Invocation, options: ForgetOptions, order: ForgetOrder, begun: EarlyStart | None
) -> int:
    from holdfast.contracts.forget import ForgetRequest  # noqa: PLC0415 - the server starts while this loads
    from holdfast.control import requests  # noqa: PLC0415 - as above
    from holdfast.control.repositories import check_repository  # noqa: PLC0415 - as above
    from holdfast.starter.runs.entry import run  # noqa: PLC0415 - as above
    from holdfast.starter.runs.order import Order  # noqa: PLC0415 - as above

    settings = invocation.settings
    repository, source = repository_and_source(invocation, options.source)
    check_repository(repository)
    by_settings = order == ForgetOrder(source=source)
    asked = ForgetRequest(
        repository=requests.repository_name(settings, repository),
        source=source,
        selection="" if by_settings else requests.store_once(settings, order),
        trigger=triggered(),
        policy=requests.run_policy(settings),
    )
    order_of_run = Order(
        request=asked,
        repository=repository,
        workflow_id=requests.workflow_id_of(settings, asked),
        detach=options.detach,
    )
    return run(invocation, order_of_run, begun)


def _prune(options: ForgetOptions) -> int:
    from holdfast.starter.commands.prune import PruneOptions, prune  # noqa: PLC0415 - only where it is wanted

    common = {field.name: getattr(options, field.name) for field in fields(CommonOptions)}
    if common["repo"] is None and options.source:
        common["repo"] = Invocation.of(options).settings.source(options.source).repository
    return prune(PruneOptions(**common))


def _order(options: ForgetOptions) -> ForgetOrder:
    parse_group_by(options.group_by)
    return ForgetOrder(
        snapshots=options.snapshots,
        hosts=options.host,
        paths=Invocation.of(options).listed(options.path),
        tags=options.tag,
        group_by=options.group_by,
        policy=_policy(options),
        source=options.source,
        remove_all=options.unsafe_allow_remove_all,
    )


def _policy(options: ForgetOptions) -> Policy:
    size = options.keep_within_size
    try:
        size_bytes = parse_size(size) if size else None
    except ValueError:
        raise UsageError(
            f"--keep-within-size: {size!r} is no size", hint=f"Write one like {SIZE_EXAMPLES}."
        ) from None
    return Policy.of(
        {word: _count(word, getattr(options, f"keep_{word}")) for word in COUNTS},
        {word: _span(word, getattr(options, f"keep_{word}")) for word in SPANS},
        tags=tuple(parse_tags(text) for text in options.keep_tag),
        size_bytes=size_bytes,
    )


def _count(word: str, text: str) -> int:
    try:
        return parse_count(text) if text else 0
    except ValueError:
        raise UsageError(
            f"--keep-{word}: {text!r} is no number of snapshots", hint='Write a number, or "unlimited".'
        ) from None


def _span(word: str, text: str) -> Span:
    try:
        return parse_span(text) if text else NO_SPAN
    except ValueError:
        option = word.replace("_", "-")
        raise UsageError(
            f"--keep-{option}: {text!r} is no span of time",
            hint=f"Write one like {SPAN_EXAMPLES}; m is a month.",
        ) from None
