"""Questions in SQL: DuckDB in this process, a Spark Thrift Server beside it."""
