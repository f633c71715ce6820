"""Names of the references, which reports list without importing what trains them."""

REFERENCES = ("direct", "garleanu_pedersen", "logistic_rule")
