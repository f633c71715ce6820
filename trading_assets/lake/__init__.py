"""Immutable, content-addressed files and the manifest that says which of them exist.

`store.Lake` is the way in and `reader.LakeReader` its reading half. `records` says what is written
and remembered, `drafting` and `files` make files durable, `manifest` holds the transaction that is
the commit, `catalog` answers SQL. Nothing here knows what a bar or a policy is.
"""
