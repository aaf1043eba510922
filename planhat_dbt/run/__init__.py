"""The order of the steps, and nothing else: compare, guard, deliver, record, for every sync of a run."""
