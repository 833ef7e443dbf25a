"""Four of our routes in a common stack of today: FastAPI, SQLAlchemy 2, asyncpg, uvicorn.

The package runs in an environment of its own (requirements/baseline.in) and imports nothing of
the service.
"""
