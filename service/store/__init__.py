"""PostgreSQL: the embedded server, the connection pool, and one module for each table family.

The only room with SQL.
"""
