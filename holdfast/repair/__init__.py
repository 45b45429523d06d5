"""Repair mends the index, packs and snapshots: what is sound is saved, what is lost is said, nothing goes before that.

One verb with three kinds, on the kernel of durable runs (holdfast/runs/):

    index       what packs say in their headers comes into the index, in place of what is wrong there
    packs       what is sound in a damaged pack comes into new packs; then the damaged one goes
    snapshots   a snapshot that lacks something is stored again without that; the broken one goes only if asked

The long part looks, under the shared lock and in shards: it reads headers, reads damaged packs, walks trees. It changes
nothing that others rely on. The short part at the end changes, under the exclusive lock, which restic takes for the
whole of it. It looks again at what may have changed in between, and its steps may be done twice.
"""
