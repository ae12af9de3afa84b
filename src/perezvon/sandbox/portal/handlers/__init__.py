"""The REST methods, one room per family. Every module here is imported by `registry.registered()`."""
