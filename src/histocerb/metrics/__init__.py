"""Quality of results against a truth: pure functions of arrays with named results."""
