"""Refusals that only HTTP knows, hung below the domain's errors.

InvalidRequest
├── InvalidCursor        not one of our cursors
├── NotJson              a body of another content type
├── BodyTooLarge
└── BodyTooSlow
NotAllowed
├── NoCredentials        nobody said who is asking, or the token is wrong
├── WrongHost            the Host header names another site: DNS rebinding
└── CrossSite            another web site's page tries to change something here
ServiceError
└── Overloaded           too many ask at once
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
    """Nobody said who is asking, or the token is wrong."""


class WrongHost(NotAllowed):
    """The Host header names a site that is not ours."""


class CrossSite(NotAllowed):
    """A page of another origin tries to change something here."""


class Overloaded(ServiceError):
    """No place came free in time; nothing was begun."""

    retry_after_s: Final = 1.0
