//! 山间小路的最短步行时间：用二叉堆实现的 Dijkstra 算法。

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

#[derive(Default)]
struct Trails {
    // 邻接表；用 BTreeMap 是为了让输出顺序固定，方便对照。
    edges: BTreeMap<&'static str, Vec<(&'static str, u32)>>,
}

impl Trails {
    /// 上山和下山耗时不同，所以一条小路要登记两个方向。
    fn connect(&mut self, a: &'static str, b: &'static str, there: u32, back: u32) {
        self.edges.entry(a).or_default().push((b, there));
        self.edges.entry(b).or_default().push((a, back));
    }

    /// 返回每个可到达地点的（最短分钟数，前一站）。
    fn from(&self, start: &'static str) -> BTreeMap<&'static str, (u32, &'static str)> {
        let mut settled = BTreeMap::new();
        // 标准库的堆是大顶堆，套上 Reverse 之后先弹出最小的。
        let mut heap = BinaryHeap::from([Reverse((0, start, start))]);
        while let Some(Reverse((minutes, here, previous))) = heap.pop() {
            // 同一地点可能多次入堆，只有第一次弹出的才是最短的。
            if settled.contains_key(here) {
                continue;
            }
            settled.insert(here, (minutes, previous));
            for &(next, cost) in self.edges.get(here).into_iter().flatten() {
                if !settled.contains_key(next) {
                    heap.push(Reverse((minutes + cost, next, here)));
                }
            }
        }
        settled
    }
}

/// 从终点顺着“前一站”往回走，再把顺序颠倒过来。
fn route(table: &BTreeMap<&'static str, (u32, &'static str)>, goal: &'static str) -> Option<Vec<&'static str>> {
    let mut path = vec![goal];
    loop {
        let here = path[path.len() - 1];
        let (_, previous) = *table.get(here)?;
        if previous == here {
            path.reverse();
            return Some(path);
        }
        path.push(previous);
    }
}

fn main() {
    let mut map = Trails::default();
    map.connect("渡口", "茶亭", 25, 20);
    map.connect("渡口", "石桥", 15, 15);
    map.connect("石桥", "茶亭", 8, 6);
    map.connect("茶亭", "山寺", 50, 30);
    map.connect("石桥", "山寺", 62, 40);

    let table = map.from("渡口");
    for (place, (minutes, _)) in &table {
        println!("{place}：{minutes} 分钟");
    }
    println!("{:?}", route(&table, "山寺"));
    println!("{:?}", route(&table, "灯塔")); // 没有路可走，得到 None
}
