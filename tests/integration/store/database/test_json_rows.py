"""Many rows in one parameter."""

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.store.database.json_rows import recordset
from service.store.database.pool import Pool
from tests.integration.store.seeds import rows

#: What a column may hold: up to 28 digits, of which eight or more behind the point, any spelling.
AMOUNTS = st.builds(
    Decimal.scaleb,
    st.integers(-(10**28), 10**28).map(Decimal),
    st.integers(-30, 20),
)
AS_TEXT = """
    SELECT amount::text
      FROM json_to_recordset(%(rows)s::json) AS given (n integer, amount numeric)
     ORDER BY n
"""


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=50))
# One database for all of them: nothing is stored.
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_decimals_arrive_digit_by_digit(pool: Pool, amounts: list[Decimal]) -> None:
    given_rows = [{"n": n, "amount": amount} for n, amount in enumerate(amounts)]

    seen = await rows(pool, AS_TEXT, {"rows": recordset(given_rows)})

    assert [Decimal(text).as_tuple() for (text,) in seen] == [
        Decimal(format(amount, "f")).as_tuple() for amount in amounts
    ]
