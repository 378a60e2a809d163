import java.time.LocalDate;
import java.util.*;

/** Stock of perishable goods: whatever expires first must leave first. */
class WarehouseStock {

    static final class ShortageException extends Exception {
        ShortageException(String article, int missing) {
            super(missing + " more of '" + article + "' would be needed");
        }
    }

    private static final class Batch {
        final LocalDate bestBefore;
        int units;
        Batch(LocalDate bestBefore, int units) {
            this.bestBefore = bestBefore;
            this.units = units;
        }
    }

    record Pick(LocalDate bestBefore, int units) { }

    private final Map<String, PriorityQueue<Batch>> shelves = new TreeMap<>();

    void receive(String article, LocalDate bestBefore, int units) {
        if (units <= 0) throw new IllegalArgumentException("units must be positive");
        shelves.computeIfAbsent(article,
                key -> new PriorityQueue<>(Comparator.comparing((Batch b) -> b.bestBefore)))
               .add(new Batch(bestBefore, units));
    }

    /** Picks nothing at all unless the complete order can be filled. */
    List<Pick> ship(String article, int wanted, LocalDate today) throws ShortageException {
        PriorityQueue<Batch> queue = shelves.getOrDefault(article, new PriorityQueue<>());
        queue.removeIf(batch -> batch.bestBefore.isBefore(today));
        int available = queue.stream().mapToInt(batch -> batch.units).sum();
        if (available < wanted) throw new ShortageException(article, wanted - available);

        List<Pick> picks = new ArrayList<>();
        while (wanted > 0) {
            Batch oldest = queue.peek();
            int taken = Math.min(wanted, oldest.units);
            picks.add(new Pick(oldest.bestBefore, taken));
            oldest.units -= taken;
            wanted -= taken;
            if (oldest.units == 0) queue.remove();
        }
        return picks;
    }

    public static void main(String[] args) throws ShortageException {
        WarehouseStock depot = new WarehouseStock();
        LocalDate today = LocalDate.of(2031, 5, 10);
        depot.receive("goat cheese", today.plusDays(12), 30);
        depot.receive("goat cheese", today.plusDays(4), 10);
        depot.receive("goat cheese", today.minusDays(1), 99);
        depot.ship("goat cheese", 18, today).forEach(System.out::println);
        try {
            depot.ship("goat cheese", 25, today);
        } catch (ShortageException shortage) {
            System.out.println(shortage.getMessage());
        }
    }
}
