"""How a decimal is written."""

from decimal import Decimal


def decimal_text(value: Decimal) -> str:
    """Return `value` exactly, without exponent and without zeros at the end; -0 is 0."""
    # Decimal.normalize() would round to the 28 digits of its context.
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
