"""The warehouse: the port the steps use (`port`), DuckDB behind it, and the dbt profile that names it."""
