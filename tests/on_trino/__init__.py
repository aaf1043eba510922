"""Trino: its client and our SQL against a stand-in of the tests' own."""
