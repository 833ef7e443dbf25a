"""What an answer of the exchange says about our key, this machine's address and their rights."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """One answer to a signed request.

    Attributes:
        endpoint: method and path.
        refusal: the exchange's error name, or `http_401`; None: the key was accepted.
        is_of_key: whether it concerns the key or the address, so every request; else this endpoint.
    """

    endpoint: str
    refusal: str | None = None
    is_of_key: bool = True
