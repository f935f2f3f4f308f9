"""Raft across processes: hosts, logs, and the engine port on a validator."""

from gridpact.node.raft.homes import (
    RaftSettings,
    WeightChange,
    accept_rotation,
    read_settings,
    write_homes,
    write_settings,
)
from gridpact.node.raft.validator import RaftValidator, serve

__all__ = [
    "RaftSettings",
    "RaftValidator",
    "WeightChange",
    "accept_rotation",
    "read_settings",
    "serve",
    "write_homes",
    "write_settings",
]
