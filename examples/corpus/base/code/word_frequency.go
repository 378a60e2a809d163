// 并发统计多段文字里的字词频次：英文按单词，汉字按相邻两字。
package main

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

// split 扫描一段文字，把切出的每个单位交给 emit。
func split(text string, emit func(string)) {
	var word strings.Builder
	var previous rune // 前一个汉字；遇到其他字符就清零
	for _, r := range text + "\n" {
		han := unicode.Is(unicode.Han, r)
		if !han && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			word.WriteRune(unicode.ToLower(r))
			previous = 0
			continue
		}
		if word.Len() > 0 { // 单词到此为止
			emit(word.String())
			word.Reset()
		}
		if !han {
			r = 0
		} else if previous != 0 {
			emit(string([]rune{previous, r}))
		}
		previous = r
	}
}

// count 为每段文字开一个协程，各自记账，最后才合并，因此不需要加锁。
func count(texts []string) map[string]int {
	partial := make(chan map[string]int, len(texts))
	for _, text := range texts {
		go func(text string) {
			mine := map[string]int{}
			split(text, func(unit string) { mine[unit]++ })
			partial <- mine
		}(text)
	}
	total := map[string]int{}
	for range texts {
		for unit, n := range <-partial {
			total[unit] += n
		}
	}
	return total
}

func main() {
	total := count([]string{"渔船靠岸，渔船卸鱼。", "The tide turned; the boats, 渔船, waited."})
	var units []string
	for unit := range total {
		units = append(units, unit)
	}
	// 次数相同时按字典序排列，保证每次运行的输出一致。
	sort.Slice(units, func(a, b int) bool {
		x, y := total[units[a]], total[units[b]]
		return x > y || x == y && units[a] < units[b]
	})
	for _, unit := range units[:4] {
		fmt.Println(unit, total[unit])
	}
}
