"""The kernel of durable runs: what a backup, a restore and a verification have in common, and what comes next will.

A run is a workspace of documents beside the repository (`workspace`). What it decides is a document that is created
only if absent, so each call may be made twice, at once, or by an attempt that wakes up late: what comes second takes
the first one's decision. The calls of a verb, and what of them is here:

    open       `opening`    decide once what the run is about; find it open; say that it is over
    select     `plan`       decide page after page of the plan: records in order, and shards of work
    execute    `attempts`   one attempt at a shard or another piece of work: its number, its checkpoints, its fence
               `plan`       each shard ends with one result
    finish     `read_ahead` read plan and results back in order, many documents at once where requests take time
               `parts`      long lists of records, in documents of limited length
    close      `opening`    remove the workspace

`run` is what these calls get. `progress` is how they tell how far they are and are told to stop. `janitor` takes away
what nobody goes on with. A verb adds the types of its documents, what a page is planned from, what is done with a
shard, and what its end is.
"""
