"""Pages for people: the data card of a run. Reads `stats/`, computes nothing anew."""
