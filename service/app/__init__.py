"""The composition root: with cli.py the only room that knows every other one."""
