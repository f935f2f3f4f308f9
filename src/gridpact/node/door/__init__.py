"""The door of a node: programs on its machine use its engine over a Unix socket."""

from gridpact.node.door.messages import NodeStatus
from gridpact.node.door.remote import RemoteEngine
from gridpact.node.door.server import Door, door_path

__all__ = ["Door", "NodeStatus", "RemoteEngine", "door_path"]
