"""Values, how DuckDB spells them, and what they mean in JSON: an oracle that shares nothing with the program.

Every type says which SQL literals make a value, in which other types and spellings the same value can be written, and
what a reader of the JSON must find. A value that no JSON can carry means `BAD`.
"""
