// A Bloom filter: it may say "perhaps" wrongly, but it never says "no" wrongly.
package main

import (
	"fmt"
	"hash/fnv"
	"math"
)

type Bloom struct {
	words  []uint64
	size   uint64 // number of usable bits
	rounds uint64 // bits set per item
}

// NewBloom sizes the filter for a number of items and a tolerated error rate.
func NewBloom(items int, rate float64) *Bloom {
	n := float64(items)
	m := math.Ceil(-n * math.Log(rate) / (math.Ln2 * math.Ln2))
	k := math.Max(1, math.Round(m/n*math.Ln2))
	return &Bloom{make([]uint64, (uint64(m)+63)/64), uint64(m), uint64(k)}
}

// positions derives all bit positions from the two halves of a single hash,
// which is much cheaper than computing independent hash functions.
func (b *Bloom) positions(item string, visit func(uint64) bool) {
	h := fnv.New64a()
	h.Write([]byte(item))
	full := h.Sum64()
	step := (full >> 32) | 1 // odd, hence never zero
	at := full & math.MaxUint32
	for i := uint64(0); i < b.rounds; i++ {
		if !visit(at % b.size) {
			return
		}
		at += step
	}
}

func (b *Bloom) Add(item string) {
	b.positions(item, func(p uint64) bool {
		b.words[p/64] |= 1 << (p % 64)
		return true
	})
}

func (b *Bloom) MayContain(item string) bool {
	present := true
	b.positions(item, func(p uint64) bool {
		present = b.words[p/64]&(1<<(p%64)) != 0
		return present // stop at the first bit that is clear
	})
	return present
}

func main() {
	seen := NewBloom(5000, 0.01)
	for i := 0; i < 5000; i++ {
		seen.Add(fmt.Sprintf("parcel-%d", i))
	}
	wrong := 0
	for i := 5000; i < 15000; i++ {
		if seen.MayContain(fmt.Sprintf("parcel-%d", i)) {
			wrong++
		}
	}
	fmt.Println(seen.MayContain("parcel-42"), seen.size, seen.rounds)
	fmt.Printf("false alarms %.2f %%\n", float64(wrong)/100)
}
