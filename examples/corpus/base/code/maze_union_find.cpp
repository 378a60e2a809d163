// Carve a random maze: knock down walls unless both sides already connect.
#include <algorithm>
#include <iostream>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

class DisjointSets {
public:
    explicit DisjointSets(std::size_t n) : parent_(n), size_(n, 1) {
        std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    }

    std::size_t find(std::size_t x) {
        while (parent_[x] != x) {
            parent_[x] = parent_[parent_[x]];   // halve the path on the way up
            x = parent_[x];
        }
        return x;
    }

    // Returns false when both elements belonged together already.
    bool unite(std::size_t a, std::size_t b) {
        a = find(a);
        b = find(b);
        if (a == b) return false;
        if (size_[a] < size_[b]) std::swap(a, b);
        parent_[b] = a;
        size_[a] += size_[b];
        return true;
    }

private:
    std::vector<std::size_t> parent_, size_;
};

std::vector<std::string> carve(std::size_t rows, std::size_t cols, unsigned seed) {
    // Cell (r, c) sits at (2r+1, 2c+1) on the canvas; walls lie in between.
    std::vector<std::string> canvas(2 * rows + 1, std::string(2 * cols + 1, '#'));
    std::vector<std::pair<std::size_t, std::size_t>> walls;
    for (std::size_t y = 1; y < 2 * rows; ++y)
        for (std::size_t x = 1; x < 2 * cols; ++x) {
            if (y % 2 && x % 2) canvas[y][x] = ' ';
            else if (y % 2 || x % 2) walls.emplace_back(y, x);
        }

    std::mt19937 random(seed);
    std::shuffle(walls.begin(), walls.end(), random);
    DisjointSets rooms(rows * cols);
    const auto room = [cols](std::size_t y, std::size_t x) { return y / 2 * cols + x / 2; };
    for (const auto& [y, x] : walls) {
        // In an odd row the wall is upright and separates left from right.
        const bool upright = y % 2 == 1;
        const auto first = upright ? room(y, x - 1) : room(y - 1, x);
        const auto second = upright ? room(y, x + 1) : room(y + 1, x);
        if (rooms.unite(first, second)) canvas[y][x] = ' ';
    }
    canvas[1][0] = canvas[2 * rows - 1][2 * cols] = ' ';    // way in, way out
    return canvas;
}

int main() {
    for (const auto& line : carve(6, 14, 2024)) std::cout << line << '\n';
}
