"""The composition root: with cli the only room that knows every other one."""
