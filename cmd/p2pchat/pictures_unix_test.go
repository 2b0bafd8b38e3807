//go:build unix

package main

import (
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hinshun/vt10x"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// TestPictures draws docs/pictures from a real session: 'task pictures' runs it. Without a folder to draw into it goes
// through the session once, so that the pictures can be drawn again after any change.
func TestPictures(t *testing.T) {
	type look struct {
		name          string
		columns, rows uint16
		env           string
	}
	looks := []look{
		{"80x24-dark", 80, 24, "LIGHT=0"}, {"80x24-light", 80, 24, "LIGHT=1"},
		{"120x40-dark", 120, 40, "LIGHT=0"}, {"120x40-light", 120, 40, "LIGHT=1"},
	}
	dir := os.Getenv("P2PCHATTEST_PICTURES")
	if dir == "" {
		inFull(t)
		t.Parallel()
		looks = looks[:1]
	}
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			c := camera{t, "", look.env == "LIGHT=1"}
			if dir != "" {
				c.dir = filepath.Join(dir, look.name)
			}
			proxy := serving(t, "--public-url", elsewhere) // behind the name that the pictures show
			session(t, c, func(name string, args ...string) *window {
				env := []string{"P2PCHAT_NAME=" + name, "P2PCHAT_SERVER=" + elsewhere, "HTTP_PROXY=" + proxy, look.env}
				return openWindow(t, look.columns, look.rows, env, args...)
			})
		})
	}
}

// session is what the pictures show.
func session(t *testing.T, c camera, sit func(name string, args ...string) *window) {
	ann := sit("ann", "call", "417-falcon-zebra", "--qr")
	ann.shows("waiting for the other side")
	c.take(ann, "waiting")
	ben := sit("ben", "answer", "417-falcon-zebra")
	ann.shows("● ben")
	ben.shows("● ann")
	ben.types("Are you there?\r")
	ann.shows("Are you there")
	ann.types("Yes. Nobody else is.\r")
	ann.shows("✓✓")
	ben.types("Then I can tell you: the boat leaves at six, from the old harbour, and there is room for one more.\r")
	ann.shows("room for one more")
	ann.types("\x1b[200~func main() {\r\tfmt.Println(\"on my way\")\r}\x1b[201~\r")
	ann.shows(`} +✓✓`)
	ann.shows("· .* ms · [▁▂▃▄▅▆▇█]{2}")
	ann.types("Shall I bring")
	ann.shows("> Shall I bring")
	c.take(ann, "chatting")
	ann.types("\x15")
	for name, w := range map[string]*window{"holiday.mkv": ann, "harbour.jpg": ben} {
		if err := errors.Join(os.WriteFile(w.cmd.Dir+"/"+name, nil, 0o600), os.Truncate(w.cmd.Dir+"/"+name, 150e6)); err != nil {
			t.Fatal(err)
		}
		w.types("/send " + name + "\r")
	}
	ben.shows(`ann offers "holiday`)
	ann.shows(`ben offers "harbour`)
	ben.types("/accept\r")
	ann.types("/accept\r")
	if c.dir != "" { // for the looks: on a busy machine, it takes longer than other tests may
		ann.shows("[3-9][0-9] %.* left\n.*[2-9][0-9] %.* left|[2-9][0-9] %.* left\n.*[3-9][0-9] %.* left")
	} else {
		ann.shows("% .* left\n.* %.* left")
	}
	ben.types("It is a big one, and we can go on talking.\r")
	ann.shows("go on talking")
	c.take(ann, "files")
	ann.types("/cancel all\r")
	ann.shows(`(?s)You cancelled "holiday.mkv".*You cancelled "harbour.jpg"|You cancelled "harbour.jpg".*You cancelled "holiday.mkv"`)
	if err := ben.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ann.shows("disconnected")
	ann.types("are you still there?\r")
	ann.shows("still there. +○")
	c.take(ann, "reconnecting")
	if err := ben.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ann.shows("Reconnected")
	ann.types("/help\r")
	ann.shows("○ ✉ ✓ ✓✓")
	c.take(ann, "help")
}

// A camera draws windows.
type camera struct {
	*testing.T
	dir   string // with the look's name at its end; "": it draws nothing
	light bool
}

// The size of a cell, in pixels.
const (
	cellWidth, cellHeight = 8, 17
	margin                = 8
	fontSize              = 13
)

func (c camera) take(w *window, name string) {
	c.Helper()
	if c.dir == "" {
		return
	}
	time.Sleep(300 * time.Millisecond) // for the looks only: what was waited for is on the screen
	w.mu.Lock()
	defer w.mu.Unlock()
	picture := c.draw(w.screen)
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o750); err != nil {
		c.Fatal(err)
	}
	file, err := os.Create(c.dir + "-" + name + ".png") //nolint:gosec // the person who runs the test names the folder
	if err != nil {
		c.Fatal(err)
	}
	defer file.Close()
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(file, picture); err != nil {
		c.Fatal(err)
	}
}

func (c camera) draw(screen vt10x.Terminal) image.Image {
	columns, rows := screen.Size()
	ink, paper := color.RGBA{0xd7, 0xdc, 0xe2, 0xff}, color.RGBA{0x10, 0x12, 0x16, 0xff}
	if c.light {
		ink, paper = color.RGBA{0x1f, 0x29, 0x37, 0xff}, color.RGBA{0xff, 0xff, 0xff, 0xff}
	}
	canvas := image.NewRGBA(image.Rect(0, 0, columns*cellWidth+2*margin, rows*cellHeight+2*margin))
	draw.Draw(canvas, canvas.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	regular, bold := c.face(gomono.TTF), c.face(gomonobold.TTF)
	pick := func(v vt10x.Color, otherwise color.RGBA) color.RGBA {
		if v >= vt10x.DefaultFG {
			return otherwise
		}
		return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 0xff} //nolint:gosec // a part of a colour
	}
	const modeBold = 4 // of the emulator, which keeps the name to itself
	cursor := screen.Cursor()
	for y := range rows {
		for x := range columns {
			glyph := screen.Cell(x, y)
			front, back := pick(glyph.FG, ink), pick(glyph.BG, paper)
			if screen.CursorVisible() && cursor.X == x && cursor.Y == y {
				front, back = paper, ink
			}
			cell := image.Rect(0, 0, cellWidth, cellHeight).Add(image.Pt(margin+x*cellWidth, margin+y*cellHeight))
			draw.Draw(canvas, cell, image.NewUniform(back), image.Point{}, draw.Src)
			face := regular
			if glyph.Mode&modeBold != 0 {
				face = bold
			}
			drawGlyph(canvas, cell, glyph.Char, front, face)
		}
	}
	return paletted(canvas)
}

func (c camera) face(ttf []byte) font.Face {
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		c.Fatal(err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		c.Fatal(err)
	}
	return face
}

// drawGlyph draws a letter; those that the font lacks, and those that have to fill their
// cell, it makes of rectangles.
func drawGlyph(canvas *image.RGBA, cell image.Rectangle, r rune, ink color.RGBA, face font.Face) {
	box := func(x0, y0, x1, y1 float64) { // parts of the cell
		part := image.Rect(
			cell.Min.X+int(x0*cellWidth+0.5), cell.Min.Y+int(y0*cellHeight+0.5),
			cell.Min.X+int(x1*cellWidth+0.5), cell.Min.Y+int(y1*cellHeight+0.5))
		draw.Draw(canvas, part, image.NewUniform(ink), image.Point{}, draw.Over)
	}
	switch {
	case r == ' ' || r == 0:
	case '▁' <= r && r <= '█':
		box(0, 1-float64(r-'▁'+1)/8, 1, 1)
	case r == '▀':
		box(0, 0, 1, 0.5)
	case r == '─':
		box(0, 0.48, 1, 0.53)
	case r == '░':
		ink = color.RGBA{ink.R / 3, ink.G / 3, ink.B / 3, 0x55}
		box(0, 0, 1, 1)
	case r == '✓':
		for i := range 3 {
			box(float64(1+i)/8, float64(9+i)/17, float64(2.5+float64(i))/8, float64(11+i)/17)
		}
		for i := range 4 {
			box(float64(3+i)/8, float64(11-2*i)/17, float64(4.5+float64(i))/8, float64(13-2*i)/17)
		}
	default:
		d := font.Drawer{Dst: canvas, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(cell.Min.X, cell.Min.Y+13)}
		d.DrawString(string(r))
	}
}

// paletted is the picture in 256 colours, which takes a third of the room.
func paletted(of *image.RGBA) image.Image {
	count := map[color.RGBA]int{}
	for i := 0; i < len(of.Pix); i += 4 {
		count[color.RGBA{of.Pix[i] & 0xf8, of.Pix[i+1] & 0xf8, of.Pix[i+2] & 0xf8, 0xff}]++
	}
	var palette color.Palette
	for len(palette) < 256 && len(count) > 0 {
		var best color.RGBA
		for c, n := range count {
			if n > count[best] {
				best = c
			}
		}
		delete(count, best)
		palette = append(palette, color.RGBA{best.R | best.R>>5, best.G | best.G>>5, best.B | best.B>>5, 0xff})
	}
	to := image.NewPaletted(of.Bounds(), palette)
	draw.Draw(to, to.Bounds(), of, image.Point{}, draw.Src)
	return to
}
