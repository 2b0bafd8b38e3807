package screen

import "strings"

// Closest returns the one of names that a mistyped name probably means, or "". If only one of names begins
// with it, that is the one.
func Closest(name string, names []string) string {
	best, least := "", max(1, len(name)/3)
	begins := ""
	for _, n := range names {
		if strings.HasPrefix(n, name) && len(name) > 1 {
			if begins != "" {
				return "" // it could be several
			}
			begins = n
		}
		if d := distance(name, n); d <= least {
			best, least = n, d-1
		}
	}
	if begins != "" {
		return begins
	}
	return best
}

// distance returns how many letters have to be added, left out, changed, or swapped with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 2*len(y) { // too far in any case, and possibly very long
		return len(x)
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
				continue
			case x[i-1] == y[j-1]:
				rows[i][j] = rows[i-1][j-1]
				continue
			}
			rows[i][j] = 1 + min(rows[i-1][j], rows[i][j-1], rows[i-1][j-1])
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], 1+rows[i-2][j-2])
			}
		}
	}
	return rows[len(x)][len(y)]
}
