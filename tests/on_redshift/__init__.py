"""What only Redshift has, on a stand-in: PostgreSQL that takes Redshift's SQL, and refuses what Redshift lacks."""
