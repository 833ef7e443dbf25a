"""A value that a table refuses, as an error of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2.errors

from service.domain.errors import DomainError


@contextmanager
def refusals_about(subject: str) -> Iterator[None]:
    """Translate the refusal of a value into a DomainError about `subject`.

    Without its cause: PostgreSQL's text shows the whole row, amounts included. psycopg2 itself
    refuses a NUL with ValueError. UniqueViolation is left to the caller: it is about another row.
    """
    try:
        yield
    except psycopg2.errors.UniqueViolation:
        raise
    except (psycopg2.DataError, psycopg2.IntegrityError, ValueError) as exc:
        if isinstance(exc, DomainError):
            raise
        diag = getattr(exc, "diag", None)
        constraint = getattr(diag, "constraint_name", None) or type(exc).__name__
        raise DomainError(
            f"{subject}: a table cannot hold what the exchange says ({constraint});"
            " nothing was stored"
        ) from None
