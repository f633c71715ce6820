"""The base of all declarations, and the types they share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-/]{0,15}$")]
Profile = Literal["development", "production"]


class Declared(BaseModel):
    """A frozen part of a declaration that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Overlays(Declared):
    """Values that replace declared ones when the named profile is chosen."""

    development: dict[str, Any] = Field(default_factory=dict)
    production: dict[str, Any] = Field(default_factory=dict)
