"""Texts with a form: what a type in a body says to a generated client."""

from typing import Annotated, Final

from pydantic import Field, GetPydanticSchema, WithJsonSchema

#: Exact decimals, e.g. "0.00198765": no exponent, no zeros at the end.
DECIMAL: Final = r"^-?[0-9]+(\.[0-9]+)?$"

DecimalText = Annotated[str, Field(pattern=DECIMAL)]
#: RFC 3339, in UTC.
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
#: A calendar day in Korea.
Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]


def Made(kind: object) -> GetPydanticSchema:  # noqa: N802 - stands where a type does
    """Return the mark of a field whose JSON is made already, and has the form of `kind`."""
    return GetPydanticSchema(lambda _source, handler: handler(kind))
