"""The syncs in the lineage graphs of others: exposures for dbt's, events for OpenLineage's."""
