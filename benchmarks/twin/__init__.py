"""Four routes of ours as most would write them today: FastAPI, SQLAlchemy 2, asyncpg, uvicorn.

It stands in an environment of its own (requirements/twin.in) and imports nothing of the service.
"""
