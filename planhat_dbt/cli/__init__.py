"""The commands of `planhat-dbt`."""
