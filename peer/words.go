package peer

import (
	"slices"
	"strings"
	"sync"

	"github.com/sethvargo/go-diceware/diceware"
)

// words returns the EFF's second short word list (CC BY 3.0 US), in alphabetical order and
// without the word that has a dash: 1,295 words of a to z, no two of which begin with
// the same three letters. Safety words are numbers in it, so it is part of the protocol.
var words = sync.OnceValue(func() []string {
	var list []string
	eff := diceware.WordListEffSmall()
	for roll := range 10_000 { // four dice
		if w := eff.WordAt(roll); w != "" && !strings.Contains(w, "-") {
			list = append(list, w)
		}
	}
	slices.Sort(list)
	return list
})
