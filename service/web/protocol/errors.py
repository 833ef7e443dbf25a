"""Errors that only HTTP has, as subclasses of the domain's errors.

InvalidRequest
├── AmbiguousLength      other programs might see the request's end elsewhere
├── ExpectationFailed    an Expect header of another meaning than 100-continue
├── InvalidCursor        not one of our cursors
├── NotJson              a body of another content type
├── BodyTooLarge
└── BodyTooSlow
NotAllowed
├── NoCredentials        the request has no token
│   └── WrongToken       it has one that is not known here
├── TooManyTries         wrong tokens have locked the caller's address
├── WrongHost            the Host header names another site: DNS rebinding
└── CrossSite            another web site's page tries to change something here
ServiceError
└── Overloaded           too many requests at once
"""

from typing import Final

from service.domain.errors import InvalidRequest, NotAllowed, ServiceError


class AmbiguousLength(InvalidRequest):
    """Other programs might see the end of the request elsewhere."""


class ExpectationFailed(InvalidRequest):
    """The Expect header means something else than 100-continue."""


class InvalidCursor(InvalidRequest):
    """The cursor was not made by this service."""


class NotJson(InvalidRequest):
    """The body is not declared as application/json."""


class BodyTooLarge(InvalidRequest):
    """The body has more bytes than any of our requests needs."""


class BodyTooSlow(InvalidRequest):
    """The body did not arrive in time."""


class NoCredentials(NotAllowed):
    """The request has no token."""


class WrongToken(NoCredentials):
    """The request has a token that is not known here.

    Attributes:
        hold_s: seconds to hold the answer back, so that trying tokens is slow.
    """

    def __init__(self, message: str, *, hold_s: float) -> None:
        super().__init__(message)
        self.hold_s = hold_s


class TooManyTries(NotAllowed):
    """Wrong tokens have locked the caller's address; no token was compared.

    Attributes:
        retry_after_s: seconds until the lock ends.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class WrongHost(NotAllowed):
    """The Host header names a site that is not ours."""


class CrossSite(NotAllowed):
    """A page of another origin tries to change something here."""


class Overloaded(ServiceError):
    """The concurrency limit was reached and no place came free in time; nothing was begun."""

    retry_after_s: Final = 1.0
