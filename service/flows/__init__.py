"""The trading steps, one module each: collect, propose, decide, execute, reconcile."""
