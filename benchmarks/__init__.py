"""Benchmarks: the installed command and a hand-made script, side by side against one stub server."""
