"""What trading means: values, tables and verdicts. No I/O, no clock, no chance."""
