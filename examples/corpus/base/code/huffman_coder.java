import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;

/** Build a Huffman code for a message, then encode and decode it as bits. */
class HuffmanCoder {

    private sealed interface Tree permits Leaf, Fork {
        int weight();
        int order(); // breaks ties, so that the code is the same on every run
    }

    private record Leaf(char symbol, int weight, int order) implements Tree { }

    private record Fork(Tree zero, Tree one, int order) implements Tree {
        public int weight() { return zero.weight() + one.weight(); }
    }

    private final Tree root;
    private final Map<Character, String> codes = new TreeMap<>();

    HuffmanCoder(String sample) {
        if (sample.isEmpty()) throw new IllegalArgumentException("nothing to count");
        Map<Character, Integer> counts = new TreeMap<>();
        for (char c : sample.toCharArray()) counts.merge(c, 1, Integer::sum);

        PriorityQueue<Tree> forest = new PriorityQueue<>((a, b) -> a.weight() != b.weight()
                ? Integer.compare(a.weight(), b.weight())
                : Integer.compare(a.order(), b.order()));
        counts.forEach((symbol, n) -> forest.add(new Leaf(symbol, n, forest.size())));
        int serial = forest.size();
        while (forest.size() > 1) {
            forest.add(new Fork(forest.poll(), forest.poll(), serial++));
        }
        root = forest.poll();
        assign(root, "");
    }

    private void assign(Tree tree, String prefix) {
        if (tree instanceof Fork fork) {
            assign(fork.zero(), prefix + '0');
            assign(fork.one(), prefix + '1');
        } else if (tree instanceof Leaf leaf) {
            // A message made of one repeated letter still needs one bit each.
            codes.put(leaf.symbol(), prefix.isEmpty() ? "0" : prefix);
        }
    }

    String encode(String message) {
        StringBuilder bits = new StringBuilder();
        for (char c : message.toCharArray()) {
            if (!codes.containsKey(c)) throw new IllegalArgumentException("no code for " + c);
            bits.append(codes.get(c));
        }
        return bits.toString();
    }

    String decode(String bits) {
        StringBuilder out = new StringBuilder();
        Tree here = root;
        for (char bit : bits.toCharArray()) {
            if (here instanceof Fork fork) here = bit == '0' ? fork.zero() : fork.one();
            if (here instanceof Leaf leaf) {
                out.append(leaf.symbol());
                here = root;
            }
        }
        return out.toString();
    }
}
