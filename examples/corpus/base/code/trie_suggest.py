"""Prefix suggestions for a search box, ranked by how often a word was chosen."""

import heapq


class Node:
    __slots__ = ("children", "count", "best")

    def __init__(self):
        self.children = {}
        self.count = 0    # times the word ending here was recorded
        self.best = 0     # highest count anywhere below, used to prune the search


class Suggester:
    def __init__(self):
        self._root = Node()

    def record(self, word):
        path = [self._root]
        for letter in word:
            path.append(path[-1].children.setdefault(letter, Node()))
        path[-1].count += 1
        for node in path:
            node.best = max(node.best, path[-1].count)

    def suggest(self, prefix, limit=3):
        """Best-first walk: subtrees are opened in order of their best count."""
        node = self._root
        for letter in prefix:
            node = node.children.get(letter)
            if node is None:
                return []

        found = []
        # Entries are (-score, text, node); a node of None marks a finished word.
        frontier = [(-node.best, prefix, node)]
        while frontier and len(found) < limit:
            _, text, node = heapq.heappop(frontier)
            if node is None:
                found.append(text)
                continue
            if node.count:
                # The trailing blank keeps a word apart from its own subtree.
                heapq.heappush(frontier, (-node.count, text + " ", None))
            for letter, child in node.children.items():
                heapq.heappush(frontier, (-child.best, text + letter, child))
        return [text.rstrip() for text in found]


if __name__ == "__main__":
    box = Suggester()
    history = ["marble"] * 4 + ["market"] * 6 + ["marsh"] * 2 + ["mark"] * 3 + ["moss"]
    for chosen in history:
        box.record(chosen)
    for typed in ("m", "mark", "mars", "x"):
        print(f"{typed!r:8} -> {box.suggest(typed)}")
