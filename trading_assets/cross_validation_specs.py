"""The declaration of a combinatorial purged cross-validation."""

from math import comb
from typing import Literal, Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared

# What is fitted within seconds, so that every split can have its own.
CheapPolicy = Literal["garleanu_pedersen", "logistic_rule"]
# Each split fits everything anew.
MOST_SPLITS = 45


class CrossValidationSpec(Declared):
    """Groups of consecutive sessions, tested by models fitted on the other groups."""

    groups: int = Field(
        default=6, ge=2, le=MOST_SPLITS, description="Groups that the sessions are cut into."
    )
    test_groups: int = Field(
        default=2, ge=1, description="Groups that a split tests; it is fitted on the others."
    )
    policies: tuple[CheapPolicy, ...] = Field(
        default=("garleanu_pedersen", "logistic_rule"),
        min_length=1,
        description="References that are fitted and traded, beside the logistic forecaster.",
    )

    @model_validator(mode="after")
    def _splits_can_be_fitted(self) -> Self:
        if self.test_groups >= self.groups:
            msg = (
                f"test_groups was {self.test_groups} with groups {self.groups}; expected fewer, as"
                " a split is fitted on the groups that it does not test"
            )
            raise ValueError(msg)
        splits = comb(self.groups, self.test_groups)
        if splits > MOST_SPLITS:
            msg = (
                f"test_groups was {self.test_groups} with groups {self.groups}, {splits} splits;"
                f" expected at most {MOST_SPLITS}, as each is fitted: lower one of them"
            )
            raise ValueError(msg)
        if len({*self.policies}) < len(self.policies):
            msg = f"policies were {', '.join(self.policies)}; expected each of them once"
            raise ValueError(msg)
        return self
