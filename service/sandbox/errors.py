"""The exchange's refusals as Upbit writes them: HTTP status, name, message."""

from typing import Final


class RequestRefused(Exception):
    """The request is answered with an error body and has no effect.

    `name` is a string in the Exchange API and the HTTP status in the Quotation API.
    """

    def __init__(self, status: int, name: str | int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message

    @property
    def body(self) -> dict[str, dict[str, str | int]]:
        return {"error": {"name": self.name, "message": self.message}}


_MESSAGES: Final = {
    "create_ask_error": "주문 요청 정보가 올바르지 않습니다.",
    "create_bid_error": "주문 요청 정보가 올바르지 않습니다.",
    "duplicated_identifier": "이미 요청한 identifier입니다.",
    "insufficient_funds_ask": "주문가능한 금액이 부족합니다.",
    "insufficient_funds_bid": "주문가능한 금액이 부족합니다.",
    "invalid_access_key": "잘못된 엑세스 키입니다.",
    "invalid_parameter": "잘못된 파라미터입니다.",
    "invalid_post_only": "post_only 주문 조건이 올바르지 않습니다.",
    "invalid_price_ask": "주문가격 단위를 잘못 입력하셨습니다. 확인 후 시도해주세요.",
    "invalid_price_bid": "주문가격 단위를 잘못 입력하셨습니다. 확인 후 시도해주세요.",
    "invalid_query_payload": "Jwt의 query를 검증하는데 실패하였습니다.",
    "invalid_time_in_force": "주문 체결 조건이 올바르지 않습니다.",
    "invalid_volume_ask": "주문수량을 잘못 입력하셨습니다.",
    "invalid_volume_bid": "주문수량을 잘못 입력하셨습니다.",
    "jwt_verification": "Jwt 토큰 검증에 실패했습니다.",
    "no_authorization_token": "인증 토큰이 없습니다.",
    "nonce_used": "이미 요청한 nonce값이 다시 사용되었습니다.",
    "notfoundmarket": "다음 마켓에 없는 종목입니다.",
    "order_not_found": "주문을 찾지 못했습니다.",
    "over_krw_funds_ask": "최대 매도 금액은 1000000000 KRW 입니다.",
    "over_krw_funds_bid": "최대 매수 금액은 1000000000 KRW 입니다.",
    "over_max_total_market_ask": "최대 시장가 매도 금액을 초과했습니다.",
    "too_many_requests": "요청 수 제한을 초과했습니다.",
    "under_min_total_ask": "최소주문금액 이상으로 주문해주세요.",
    "under_min_total_bid": "최소주문금액 이상으로 주문해주세요.",
    "validation_error": "잘못된 API 요청입니다. 누락된 파라미터가 없는지 확인해주세요.",
}
_STATUS: Final = {
    "invalid_access_key": 401,
    "invalid_query_payload": 401,
    "jwt_verification": 401,
    "no_authorization_token": 401,
    "nonce_used": 401,
    "order_not_found": 404,
    "too_many_requests": 429,
}


def refused(name: str, *, about: str = "") -> RequestRefused:
    """Return the Exchange API's error called `name`; `about` is added to its message."""
    message = f"{_MESSAGES[name]} {about}".strip()
    return RequestRefused(_STATUS.get(name, 400), name, message)


def quotation_error(status: int, message: str) -> RequestRefused:
    """Return the Quotation API's form of an error: its name is the status."""
    return RequestRefused(status, status, message)
