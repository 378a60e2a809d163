// A double-entry ledger: money is only ever moved, never created.
package main

import (
	"errors"
	"fmt"
)

// Cents avoids the rounding surprises of floating-point amounts.
type Cents int64

func (c Cents) String() string {
	if c < 0 {
		return "-" + (-c).String()
	}
	return fmt.Sprintf("%d.%02d", c/100, c%100)
}

type posting struct {
	account string
	amount  Cents // positive for money coming in
}

type Ledger struct {
	journal   [][]posting
	balances  map[string]Cents
	overdraft map[string]Cents // how far below zero an account may go
}

var ErrUnbalanced = errors.New("postings do not add up to zero")

func NewLedger() *Ledger {
	return &Ledger{balances: map[string]Cents{}, overdraft: map[string]Cents{}}
}

// Post checks the whole entry first, so a refusal leaves no trace behind.
func (l *Ledger) Post(entry ...posting) error {
	var sum Cents
	change := map[string]Cents{}
	for _, p := range entry {
		sum += p.amount
		change[p.account] += p.amount
	}
	if sum != 0 {
		return fmt.Errorf("%w: off by %v", ErrUnbalanced, sum)
	}
	for account, delta := range change {
		if after := l.balances[account] + delta; delta < 0 && after < -l.overdraft[account] {
			return fmt.Errorf("%s would fall to %v", account, after)
		}
	}
	for account, delta := range change {
		l.balances[account] += delta
	}
	l.journal = append(l.journal, entry)
	return nil
}

func main() {
	books := NewLedger()
	books.overdraft["founders"] = 1_000_000
	fmt.Println(books.Post(posting{"founders", -50_000}, posting{"till", 50_000}))
	fmt.Println(books.Post(posting{"till", -12_345}, posting{"flour", 11_000}, posting{"tax", 1_345}))
	fmt.Println(books.Post(posting{"till", -99_999}, posting{"oven", 99_999}))
	fmt.Println(books.Post(posting{"till", -10}, posting{"tax", 9}))
	for _, name := range []string{"founders", "till", "flour", "tax", "oven"} {
		fmt.Printf("%-9s %10v\n", name, books.balances[name])
	}
}
