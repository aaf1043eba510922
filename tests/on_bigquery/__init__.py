"""What only Snowflake has, on an emulator (`make unit-snowflake`); its SQL as text is checked everywhere."""
