"""What ships with the program to try it on: a corpus with known verdicts, benchmarks, chats."""
