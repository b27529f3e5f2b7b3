"""Parse in separate processes that may die: pool, queues, protocol, and the worker itself."""
