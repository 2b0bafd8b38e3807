package screen

import (
	"strings"

	qr "github.com/skip2/go-qrcode"
)

// QR draws text as rows of a QR code (ISO/IEC 18004), two of its rows in each, for black on
// white. It returns nil if the text does not fit into a QR code.
func QR(text string) []string {
	code, err := qr.New(text, qr.Low)
	if err != nil {
		return nil
	}
	code.DisableBorder = true
	modules := code.Bitmap()
	const border = 2 // the standard has 4; readers do with less, and terminals are small
	size := len(modules)
	dark := func(x, y int) bool {
		return 0 <= x && x < size && 0 <= y && y < size && modules[y][x]
	}
	var rows []string
	for y := -border; y < size+border; y += 2 {
		var row strings.Builder
		for x := -border; x < size+border; x++ {
			switch upper, lower := dark(x, y), dark(x, y+1); {
			case upper && lower:
				row.WriteRune('█')
			case upper:
				row.WriteRune('▀')
			case lower:
				row.WriteRune('▄')
			default:
				row.WriteByte(' ')
			}
		}
		rows = append(rows, row.String())
	}
	return rows
}
