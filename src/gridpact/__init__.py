"""gridpact: a shared, tamper-evident market for distributed electricity."""

__version__ = "0.1.0"
