"""The rules of trading: values, tables and verdicts. No I/O, no clock, no randomness."""
