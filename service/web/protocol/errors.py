"""Errors that only HTTP has, as subclasses of the domain's errors.

InvalidRequest
├── InvalidCursor        not one of our cursors
├── NotJson              a body of another content type
├── BodyTooLarge
└── BodyTooSlow
NotAllowed
├── NoCredentials        the request has no token, or a wrong one
├── WrongHost            the Host header names another site: DNS rebinding
└── CrossSite            another web site's page tries to change something here
ServiceError
└── Overloaded           too many requests at once
"""

from typing import Final

from service.domain.errors import InvalidRequest, NotAllowed, ServiceError


class InvalidCursor(InvalidRequest):
    """The cursor was not made by this service."""


class NotJson(InvalidRequest):
    """The body is not declared as application/json."""


class BodyTooLarge(InvalidRequest):
    """The body has more bytes than any of our requests needs."""


class BodyTooSlow(InvalidRequest):
    """The body did not arrive in time."""


class NoCredentials(NotAllowed):
    """The request has no token, or a wrong one."""


class WrongHost(NotAllowed):
    """The Host header names a site that is not ours."""


class CrossSite(NotAllowed):
    """A page of another origin tries to change something here."""


class Overloaded(ServiceError):
    """The concurrency limit was reached and no place came free in time; nothing was begun."""

    retry_after_s: Final = 1.0
