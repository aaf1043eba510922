"""What Spark itself makes of our SQL (`make unit-spark`)."""
