"""OpenAssistant's trees of messages: an answer may have several replies, ranked by people.

A tree is one record `{message_tree_id, prompt: {text, role, replies: […]}}` (the export of trees), or one record for
each message with `message_id`, `parent_id` and `message_tree_id`, neighbours in the file (the data sets on the hub). A
conversation follows the best-ranked reply at every turn; pairs are the best answer and each lower one to one prompt.
Messages that were deleted are left out with what answers them.
"""

from collections.abc import Iterator
from typing import Any

ROLES = {"prompter": "user", "assistant": "assistant"}

Node = dict[str, Any]
Path = list[Node]


def is_tree_message(record: object) -> bool:
    """Whether `record` is one message of a tree."""
    return isinstance(record, dict) and {"message_tree_id", "message_id", "parent_id", "text", "role"} <= record.keys()


def is_tree(record: dict[str, Any]) -> bool:
    """Whether `record` is a whole tree."""
    return isinstance(record.get("prompt"), dict) and "message_tree_id" in record


def tree_of(messages: list[Node]) -> dict[str, Any]:
    """The tree that neighbouring messages make. `orphans` counts those whose parent is not among them."""
    nodes = {message["message_id"]: {**message, "replies": []} for message in messages}
    roots = [node for node in nodes.values() if not node.get("parent_id")]
    orphans = len(messages) - len(nodes)  # two messages of one id
    for node in nodes.values():
        if node.get("parent_id") in nodes:
            nodes[node["parent_id"]]["replies"].append(node)
        elif node not in roots:
            orphans += 1
    first = messages[0]
    return {
        "message_tree_id": first["message_tree_id"],
        "lang": first.get("lang"),
        "prompt": roots[0] if roots else {},
        "orphans": orphans + max(0, len(roots) - 1),
    }


def conversation_of(tree: dict[str, Any]) -> Path:
    """The nodes of the best conversation, from the root to its last assistant message; [] without one."""
    path: Path = []
    replies = _alive([tree["prompt"]])
    while replies and _is_next(replies[0], path):
        path.append(replies[0])
        replies = _alive(replies[0].get("replies"))
    while path and path[-1].get("role") != "assistant":
        path.pop()
    return path


def pairs_of(tree: dict[str, Any]) -> Iterator[tuple[Path, Node, Node]]:
    """(path to the prompt, best answer, lower one) for every group of ranked answers."""
    waiting: list[Path] = [[root] for root in _alive([tree["prompt"]])]
    while waiting:
        path = waiting.pop(0)
        replies = _alive(path[-1].get("replies"))
        ranked = [reply for reply in replies if reply.get("role") == "assistant" and _rank(reply) is not None]
        for lower in ranked[1:]:
            if _rank(lower) != _rank(ranked[0]):
                yield path, ranked[0], lower
        waiting += [[*path, reply] for reply in replies]


def _rank(node: Node) -> int | None:
    rank = node.get("rank")
    return int(rank) if isinstance(rank, int | float) else None


def _alive(replies: object) -> list[Node]:
    """Replies that are there, best first; those without a rank last, in their order."""
    nodes = [node for node in replies if isinstance(node, dict)] if isinstance(replies, list) else []
    kept = [node for node in nodes if node.get("text") and not node.get("deleted")]
    return sorted(kept, key=lambda node: (_rank(node) is None, _rank(node) or 0))


def _is_next(node: Node, path: Path) -> bool:
    """Whether the node's role is the next turn's."""
    return node.get("role") == ("prompter" if len(path) % 2 == 0 else "assistant")
