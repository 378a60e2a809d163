import java.util.ArrayDeque;
import java.util.Deque;

/** 带撤销与重做的文本缓冲区；连续输入会合并成一步。 */
class UndoHistory {

    /** 一次修改：把 offset 处的 removed 换成 inserted。 */
    private record Edit(int offset, String removed, String inserted) {

        Edit inverse() {
            return new Edit(offset, inserted, removed);
        }

        /** 只有两次纯插入首尾相接，并且没有跨越空格时才允许合并。 */
        boolean canAbsorb(Edit next) {
            return removed.isEmpty() && next.removed.isEmpty()
                    && offset + inserted.length() == next.offset
                    && !inserted.endsWith(" ");
        }
    }

    private final StringBuilder text = new StringBuilder();
    private final Deque<Edit> done = new ArrayDeque<>();
    private final Deque<Edit> undone = new ArrayDeque<>();

    void replace(int from, int to, String with) {
        Edit edit = new Edit(from, text.substring(from, to), with);
        apply(edit);
        undone.clear(); // 有了新的修改，原来的“重做”分支就作废了
        Edit last = done.peek();
        if (last != null && last.canAbsorb(edit)) {
            done.pop();
            edit = new Edit(last.offset(), "", last.inserted() + with);
        }
        done.push(edit);
    }

    void type(String letters) {
        for (char c : letters.toCharArray()) {
            replace(text.length(), text.length(), String.valueOf(c));
        }
    }

    boolean undo() { return move(done, undone, true); }

    boolean redo() { return move(undone, done, false); }

    private boolean move(Deque<Edit> source, Deque<Edit> target, boolean backwards) {
        Edit edit = source.poll();
        if (edit == null) {
            return false; // 没有可以撤销或重做的内容
        }
        apply(backwards ? edit.inverse() : edit);
        target.push(edit);
        return true;
    }

    private void apply(Edit edit) {
        text.replace(edit.offset(), edit.offset() + edit.removed().length(), edit.inserted());
    }

    public static void main(String[] args) {
        UndoHistory page = new UndoHistory();
        page.type("red boat");
        page.replace(0, 3, "green");
        System.out.println(page.text);
        while (page.undo()) System.out.println("<- '" + page.text + "'");
        while (page.redo()) System.out.println("-> '" + page.text + "'");
    }
}
