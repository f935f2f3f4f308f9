"""Consensus protocols as pure state machines; nothing here knows sockets, clocks or disks."""
