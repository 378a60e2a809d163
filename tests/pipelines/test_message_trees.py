"""OpenAssistant's trees: which replies make the conversation, and which the pairs."""

from typing import Any

from ctllm.pipelines.message_trees import conversation_of, is_tree, is_tree_message, pairs_of, tree_of


def node(text: str, *replies: Any, role: str = "assistant", rank: int | None = None, **more: Any) -> dict[str, Any]:
    """A message with its replies."""
    return {"text": text, "role": role, "rank": rank, "replies": list(replies), **more}


def ask(text: str, *replies: Any, **more: Any) -> dict[str, Any]:
    """A prompter's message."""
    return node(text, *replies, role="prompter", **more)


TREE = {
    "message_tree_id": "t",
    "prompt": ask(
        "问",
        node("没有名次"),
        node("次", ask("追问次", node("答次", rank=0)), rank=1),
        node("最好", ask("追问", node("删了", rank=0, deleted=True), node("答", rank=1), node("", rank=2)), rank=0),
        node("末", rank=2),
    ),
}


def said(path: list[dict[str, Any]]) -> list[str]:
    """Texts of a path."""
    return [each["text"] for each in path]


def test_the_conversation_follows_the_best_replies() -> None:
    """Rank 0 goes before rank 1 and before no rank; deleted and empty messages are passed over."""
    assert is_tree(TREE)
    assert said(conversation_of(TREE)) == ["问", "最好", "追问", "答"]


def test_a_question_without_an_answer_is_left_off() -> None:
    """A conversation ends with the assistant; without one there is none; a reply out of turn ends it."""
    assert said(conversation_of({"prompt": ask("问", node("答", ask("追问")))})) == ["问", "答"]
    assert conversation_of({"prompt": ask("问")}) == []
    assert said(conversation_of({"prompt": ask("问", node("答", node("又答", node("再答"))))})) == ["问", "答"]
    assert conversation_of({"prompt": {}}) == []


def test_pairs_are_the_best_beside_each_lower() -> None:
    """Every group of ranked answers gives its pairs, deeper ones too; an answer without a rank or alone gives none."""
    pairs = [(said(path), best["text"], lower["text"]) for path, best, lower in pairs_of(TREE)]
    assert pairs == [(["问"], "最好", "次"), (["问"], "最好", "末")]
    deeper = {"prompt": ask("问", node("答", ask("追问", node("好", rank=0), node("差", rank=3)), rank=0))}
    assert [(said(path), lower["text"]) for path, _, lower in pairs_of(deeper)] == [(["问", "答", "追问"], "差")]
    equal = {"prompt": ask("问", node("甲", rank=0), node("乙", rank=0))}
    assert not list(pairs_of(equal))


def test_messages_make_their_tree() -> None:
    """Messages in any order are put together; those without their parent, or twice there, are counted."""
    flat = [
        {"message_id": "2", "parent_id": "1", "message_tree_id": "1", "text": "答", "role": "assistant", "rank": 0},
        {"message_id": "1", "parent_id": None, "message_tree_id": "1", "text": "问", "role": "prompter", "lang": "zh"},
    ]
    assert all(map(is_tree_message, flat))
    tree = tree_of(flat)
    assert (said(conversation_of(tree)), tree["orphans"]) == (["问", "答"], 0)
    lost = {**flat[0], "message_id": "3", "parent_id": "9"}
    assert tree_of([*flat, lost, flat[0]])["orphans"] == 2
    assert tree_of([lost])["prompt"] == {}
    assert not is_tree_message({"text": "x", "role": "prompter"})
