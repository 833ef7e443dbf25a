"""Statistics of jobs, requests and model calls: JSON that PostgreSQL makes (store/queries/)."""

from typing_extensions import TypedDict

from service.web.contract.scalars import Day, DecimalText, Instant


class LastPassBody(TypedDict):
    started_at: Instant
    finished_at: Instant
    duration_ms: float
    attempts: int
    success: bool
    error: str | None
    code: str | None


class JobStatisticsBody(TypedDict):
    job: str
    count: int
    successes: int
    failures: int
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    mean_ms: float | None
    last: LastPassBody


class JobsStatisticsBody(TypedDict):
    since: Instant
    until: Instant
    items: list[JobStatisticsBody]


class RouteStatisticsBody(TypedDict):
    route: str
    method: str
    count: int
    client_errors: int
    errors: int
    error_rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float


class RequestStatisticsBody(TypedDict):
    since: Instant
    until: Instant
    items: list[RouteStatisticsBody]


class ModelCallsBody(TypedDict):
    calls: int
    ok: int
    unusable: int
    error: int
    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    cached_tokens: int
    total_tokens: int
    cost_usd: DecimalText | None
    calls_without_cost: int
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None


class ModelDayBody(ModelCallsBody):
    day: Day
    model: str


class ModelBudgetBody(TypedDict):
    day: Day
    budget_usd: DecimalText | None
    used_usd: DecimalText
    reserved_usd: DecimalText
    left_usd: DecimalText | None


class ModelStatisticsBody(TypedDict):
    since: Instant
    until: Instant
    time_zone: str
    budget: ModelBudgetBody
    items: list[ModelDayBody]
    total: ModelCallsBody | None
