package screen

import (
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// photograph is what a camera sees of a drawn code, black on white.
func photograph(rows []string) image.Image {
	const pixels = 4 // of a module
	photo := image.NewGray(image.Rect(0, 0, len([]rune(rows[0]))*pixels, 2*len(rows)*pixels))
	for y, row := range rows {
		for x, r := range []rune(row) {
			for half, dark := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				for i := range pixels * pixels {
					shade := color.Gray{0xff}
					if dark {
						shade.Y = 0
					}
					photo.SetGray(x*pixels+i%pixels, (2*y+half)*pixels+i/pixels, shade)
				}
			}
		}
	}
	return photo
}

func TestQR(t *testing.T) {
	const link = "https://chat.example.org/#417-falcon-zebra"
	photo, err := gozxing.NewBinaryBitmapFromImage(photograph(QR(link)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := qrcode.NewQRCodeReader().Decode(photo, nil); err != nil || got.GetText() != link {
		t.Errorf("it is read as %q (%v)", got, err)
	}
	if rows := QR(strings.Repeat("x", 10_000)); rows != nil {
		t.Errorf("what is too long becomes %d rows", len(rows))
	}

	t.Run("in line mode it is a note, and none is made unasked", func(t *testing.T) {
		for _, asked := range []bool{true, false} {
			var notes strings.Builder
			if err := Lines(Streams{Notes: &notes, QR: asked})(Waiting{Code: "1-a-b", Link: link}); err != nil {
				t.Error(err)
			}
			if got := strings.Contains(notes.String(), "█"); got != asked {
				t.Errorf("asked: %v, drawn: %v", asked, got)
			}
		}
	})

	t.Run("it has colours on a terminal alone", func(t *testing.T) {
		for _, terminal := range []bool{true, false} {
			var notes strings.Builder
			if err := Lines(Streams{Notes: &notes, QR: true, Watched: terminal})(Waiting{Code: "1-a-b", Link: link}); err != nil {
				t.Error(err)
			}
			if got := strings.Contains(notes.String(), "\x1b"); got != terminal {
				t.Errorf("terminal: %v, colours: %v", terminal, got)
			}
		}
	})
}
