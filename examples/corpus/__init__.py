"""The example corpus: our own texts in real containers, with the verdict that each record must get."""
