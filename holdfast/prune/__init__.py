"""Space comes back: what no snapshot needs is removed, beside backups of any client (docs/retention.md, "Prune").

The calls of a prune, in the order in which a workflow makes them. Each may be made twice, at once, or late:

    open_prune      opening     which snapshots are walked, in which shards; what was refused before it began
    mark_shard      mark        what the snapshots of a shard use                        (as many as the opening says)
    plan_prune      plan        which packs go, which are copied first, which stay: a value that can be printed
    repack_shard    repack      copies of what is used, out of packs that will go        (as many as the plan says)
    switch          switch      the only step under the exclusive lock: the index names the packs no more
    delete_batch    delete      their files go, in batches                               (as many as `switch` says)

Where no exclusive moment comes, `mark_packs` and `watch_marked` (marked) take the place of `switch`.

`cut` makes the shards of marking; `used` walks trees and marks what they name, `kept` keeps that for the next prune;
`decide` chooses packs; `look` finds out what is used again; `refusals` holds the reasons not to go on.
"""
