//! A fixed-size ring buffer that overwrites its oldest element when full.

pub struct Ring<T, const N: usize> {
    slots: [Option<T>; N],
    head: usize, // position of the oldest element
    len: usize,
}

impl<T, const N: usize> Ring<T, N> {
    pub fn new() -> Self {
        assert!(N > 0, "a ring needs at least one slot");
        Ring { slots: std::array::from_fn(|_| None), head: 0, len: 0 }
    }

    /// Append a value; the displaced oldest one, if any, is handed back.
    pub fn push(&mut self, value: T) -> Option<T> {
        let tail = (self.head + self.len) % N;
        let displaced = self.slots[tail].replace(value);
        if self.len == N {
            self.head = (self.head + 1) % N;
        } else {
            self.len += 1;
        }
        displaced
    }

    pub fn pop(&mut self) -> Option<T> {
        let value = self.slots[self.head].take()?;
        self.head = (self.head + 1) % N;
        self.len -= 1;
        Some(value)
    }

    /// Walk from the oldest element to the newest without removing anything.
    pub fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        (0..self.len).filter_map(move |i| self.slots[(self.head + i) % N].as_ref())
    }
}

/// A moving average over the last N readings, built on the ring.
fn smooth<const N: usize>(readings: &[f64]) -> Vec<f64> {
    let mut window: Ring<f64, N> = Ring::new();
    readings
        .iter()
        .map(|&r| {
            window.push(r);
            window.iter().sum::<f64>() / window.len as f64
        })
        .collect()
}

fn main() {
    println!("{:?}", smooth::<3>(&[3.0, 6.0, 9.0, 0.0, 0.0]));

    let mut log: Ring<String, 2> = Ring::new();
    for word in ["anchor", "buoy", "cleat"] {
        if let Some(lost) = log.push(word.to_uppercase()) {
            println!("dropped {lost}");
        }
    }
    while let Some(entry) = log.pop() {
        println!("kept {entry}");
    }
    assert_eq!(log.iter().count(), 0);
}
