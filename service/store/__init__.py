"""PostgreSQL: the server we bring, the gate before it, and one module for each table family.

The only room with SQL.
"""
