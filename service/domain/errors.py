"""Every error the service raises on purpose.

ServiceError
├── StartError                   the process cannot start: one sentence, with the remedy
│   └── ConfigError                a value given from outside is wrong
├── DomainError                  the request makes no sense here
│   ├── DepositDetected            the account has shown a deposit of this amount already
│   ├── DuplicateOrder             this decision has an order already
│   ├── InvalidTransition
│   ├── InvalidRequest             the request itself is malformed
│   ├── InvalidOrder               the market takes no such price or volume
│   ├── InvalidSetting             the value is of the wrong type or out of bounds
│   ├── KeyReused                  the idempotency key is another order's
│   ├── NotFound                   no such order, signal, route …
│   ├── UnknownMarket
│   ├── UnknownSetting
│   ├── NotAllowed                 the caller's role may not do this
│   ├── NotLeader                  this process may not trade now
│   ├── OrderRefused               a limit or the trading state refuses the order as it is written
│   │   └── AbsenceRefused           an order may be at the exchange: it is not declared absent
│   ├── SendRefused                the last check before an order's bytes leave forbids it
│   ├── TradingStopped             the trading state does not permit this order
│   └── TooSoon                    it was done a moment ago: wait, then ask again
└── BoundaryError                the exchange, the model or PostgreSQL failed us
    ├── ExchangeUnavailable        safe to try again
    ├── ExchangeRefused            understood, and the answer is no
    ├── OutcomeUnknown             a write may have happened: reconcile, never resend
    ├── ModelUnavailable           safe to try again
    ├── ModelRefused               key or request: asking again changes nothing
    │   ├── ModelQuotaUsedUp         the day's quota: no call before it returns
    │   ├── ModelBudgetUsedUp        our own budget of the day does not cover another call
    │   └── ModelUnpriced            no price is known, so a budget cannot be kept
    ├── StoreBusy                  every connection is taken and the queue is full
    ├── StoreDown                  PostgreSQL does not answer
    │   └── OrderUnwritten           a rule's sale got no row in time: nothing was sent
    ├── StoreTimeout               PostgreSQL cancelled the statement
    └── JournalDown                the file of halts, or that of exits, cannot be used
"""

from typing import ClassVar


class ServiceError(Exception):
    """Root of the tree; its text is one sentence without secrets."""


class StartError(ServiceError):
    """The process cannot start; the text names the remedy."""


class ConfigError(StartError):
    """A variable, option or file given at start is wrong."""


class DomainError(ServiceError):
    """The request makes no sense here."""


class DepositDetected(DomainError):
    """The account has shown a deposit of this amount already: told again it would count twice."""


class DuplicateOrder(DomainError):
    """The decision has an order that did not fail, or the identifier was used before."""


class InvalidTransition(DomainError):
    """An order cannot go from the one status to the other."""


class InvalidRequest(DomainError):
    """The request is malformed: body, query or cursor."""


class InvalidOrder(DomainError):
    """An order's price or volume is none that the market takes; nothing is rounded."""


class KeyReused(DomainError):
    """The idempotency key belongs to an order of another body."""


class InvalidSetting(DomainError):
    """A setting's new value has the wrong type or is out of bounds."""


class NotFound(DomainError):
    """Nothing has this id or name."""


class UnknownMarket(DomainError):
    """No such market is traded here."""


class UnknownSetting(DomainError):
    """No setting has this key."""


class NotAllowed(DomainError):
    """The caller's role may not do this."""


class NotLeader(DomainError):
    """This process has no trading lease, or has not reconciled open orders: it sends none."""


class OrderRefused(DomainError):
    """Nothing was written or sent: the rules refuse the order at the moment of its insert.

    Attributes:
        rule: the name of the rule that refused, as in a verdict.
    """

    def __init__(self, message: str = "", *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class AbsenceRefused(OrderRefused):
    """An operator says that an order was never placed, and a rule does not let that count."""


class SendRefused(DomainError):
    """The last check before the bytes of a stored order leave forbids it: nothing was sent.

    Attributes:
        reason: a short stable word for the order's row.
    """

    def __init__(self, message: str = "", *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TradingStopped(DomainError):
    """A halt or the switch does not permit this order; nothing was sent."""


class TooSoon(DomainError):
    """It was done a moment ago.

    Attributes:
        retry_after_s: seconds until the request may be repeated.
    """

    def __init__(self, message: str = "", *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BoundaryError(ServiceError):
    """A call to the exchange, the model or PostgreSQL failed.

    Attributes:
        retryable: whether the same call may be made again without harm.
        retry_after_s: real seconds that the other side asked us to wait.
        code: a short stable word for logs and tables, e.g. the exchange's error name.
        sent: whether the request left this process. False when a hold, a ban or an open circuit
            refused it here: such an error says nothing new about the other side.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str = "",
        *,
        retry_after_s: float | None = None,
        code: str | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code
        self.sent = sent


class ExchangeUnavailable(BoundaryError):
    """The exchange did not answer, or asked us to slow down; nothing has happened."""

    retryable = True


class ExchangeRefused(BoundaryError):
    """The exchange understood and said no; `code` is its own error name.

    Attributes:
        of_account: whether key, address or rights were refused, or everybody's requests are: then
            no other request would be answered either.
    """

    def __init__(
        self,
        message: str = "",
        *,
        of_account: bool = False,
        retry_after_s: float | None = None,
        code: str | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, code=code, sent=sent)
        self.of_account = of_account


class OutcomeUnknown(BoundaryError):
    """An order may be on the book: find it by identifier, never send it again."""


class ModelUnavailable(BoundaryError):
    """The model did not answer in time or is overloaded."""

    retryable = True


class ModelRefused(BoundaryError):
    """Key or request refused: asking again changes nothing."""


class ModelQuotaUsedUp(ModelRefused):
    """The model's quota of the day is used up; `retry_after_s` says when it returns."""


class ModelBudgetUsedUp(ModelRefused):
    """The operator's budget of the day does not cover the call; `retry_after_s` says when it ends.

    Nothing was sent.
    """


class ModelUnpriced(ModelRefused):
    """A budget is set and the model has no row in the price table; nothing was sent."""


class StoreBusy(BoundaryError):
    """No database connection within the bounded wait, or the queue is full."""

    retryable = True


class StoreDown(BoundaryError):
    """PostgreSQL cannot be reached or dropped the connection."""

    retryable = True


class OrderUnwritten(StoreDown):
    """A rule's sale has no row, or it is not known whether it has; nothing was sent."""


class StoreTimeout(BoundaryError):
    """PostgreSQL cancelled the statement (statement_timeout, lock_timeout)."""

    retryable = True


class JournalDown(BoundaryError):
    """A local file that stands in for the database, of halts or of exits, cannot be used."""

    retryable = True
