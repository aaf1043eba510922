"""Databricks: our SQL and its session on a stand-in of the tests' own."""
