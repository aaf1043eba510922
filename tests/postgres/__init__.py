"""What only PostgreSQL has: its types, names, rights, sessions and breaks. All else: `make test-postgres`."""
