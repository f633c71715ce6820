"""Deep-reinforcement-learning trading as a declarative pipeline of data assets.

Data flows one way, and one word names each stage everywhere:

    bars -> features -> forecast -> policy -> backtest -> paper -> governance

`strategy` holds the declarations a user writes in YAML, `schema` every table's columns, `lake` the
immutable files and the manifest that says what exists, `graph` which asset reads what, and `plan`
what is missing or stale. `pipeline` is the only room that knows Dagster.
"""
