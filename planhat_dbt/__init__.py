"""Send the rows of dbt models to Planhat: only what changed, nothing lost, nothing sent twice."""

__version__ = "0.1.0"
