// Polynomials with integer coefficients: products, printing, integer roots.
#include <cassert>
#include <cstdlib>
#include <iostream>
#include <initializer_list>
#include <utility>
#include <vector>

class Polynomial {
public:
    // Coefficients are given from the constant term upwards.
    Polynomial(std::initializer_list<long> c) : c_(c) { trim(); }
    explicit Polynomial(std::vector<long> c) : c_(std::move(c)) { trim(); }

    int degree() const { return static_cast<int>(c_.size()) - 1; }  // zero: -1

    long operator()(long x) const {
        long sum = 0;
        for (auto it = c_.rbegin(); it != c_.rend(); ++it) sum = sum * x + *it;
        return sum;
    }

    friend Polynomial operator*(const Polynomial& a, const Polynomial& b) {
        if (a.c_.empty() || b.c_.empty()) return {};
        std::vector<long> product(a.c_.size() + b.c_.size() - 1, 0);
        for (std::size_t i = 0; i < a.c_.size(); ++i)
            for (std::size_t j = 0; j < b.c_.size(); ++j)
                product[i + j] += a.c_[i] * b.c_[j];
        return Polynomial(std::move(product));
    }

    // An integer root must divide the constant term, so few need be tried.
    std::vector<long> integer_roots() const {
        std::vector<long> roots;
        if (c_.empty()) return roots;
        std::size_t low = 0;
        while (c_[low] == 0) ++low;             // factor out powers of x first
        if (low > 0) roots.push_back(0);
        for (long k = 1; k <= std::labs(c_[low]); ++k)
            for (long x : {k, -k})
                if (c_[low] % k == 0 && (*this)(x) == 0) roots.push_back(x);
        return roots;
    }

    friend std::ostream& operator<<(std::ostream& out, const Polynomial& p) {
        if (p.c_.empty()) return out << 0;
        for (int i = p.degree(); i >= 0; --i) {
            const long k = p.c_[i];
            if (k == 0) continue;
            out << (k < 0 ? "-" : i < p.degree() ? "+" : "");
            if (std::labs(k) != 1 || i == 0) out << std::labs(k);
            if (i > 0) out << 'x';
            if (i > 1) out << '^' << i;
        }
        return out;
    }

private:
    void trim() { while (!c_.empty() && c_.back() == 0) c_.pop_back(); }
    std::vector<long> c_;
};

int main() {
    const Polynomial p = Polynomial{-2, 1} * Polynomial{3, 1} * Polynomial{0, 5};
    assert(p.degree() == 3 && p(1) == -20);
    std::cout << p << ", roots";
    for (long x : p.integer_roots()) std::cout << ' ' << x;
    std::cout << '\n';
}
