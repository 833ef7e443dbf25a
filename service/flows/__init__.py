"""The story, one module a step: collect, propose, decide, execute, reconcile."""
