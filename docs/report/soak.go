package main

import (
	"encoding/json"
	"errors"
	"image/color"
	"maps"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// soakColors are of the processes of a soak, in the order of their names.
var soakColors = []color.Color{color.RGBA{0x25, 0x63, 0xeb, 0xff}, color.RGBA{0xd9, 0x77, 0x06, 0xff}, color.RGBA{0x05, 0x96, 0x69, 0xff}, color.RGBA{0xbe, 0x18, 0x5d, 0xff}}

// drawSoak draws what each process of a soak held, from the samples that TestSoak wrote: memory, goroutines and descriptors, one below
// the other.
func drawSoak(samples, picture string) error {
	b, err := os.ReadFile(samples) //nolint:gosec // the path is of the person who runs it
	if err != nil {
		return err
	}
	var all map[string][]map[string]float64
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	plot.DefaultFont.Variant = "Sans"
	const width, height = 18 * vg.Centimeter, 18 * vg.Centimeter
	canvas := vgsvg.New(width, height)
	tiles := draw.Tiles{Rows: 3, Cols: 1, PadY: 4 * vg.Millimeter, PadTop: 2 * vg.Millimeter, PadRight: 2 * vg.Millimeter}
	for row, what := range []struct{ field, title string }{{"mib", "MiB resident"}, {"goroutines", "goroutines"}, {"descriptors", "descriptors"}} {
		p := plot.New()
		p.BackgroundColor, p.Y.Min, p.Y.Label.Text, p.Legend.Top, p.Legend.Left = color.White, 0, what.title, true, true
		if row == 2 {
			p.X.Label.Text = "minutes"
		}
		for i, name := range slices.Sorted(maps.Keys(all)) {
			var line plotter.XYs
			for _, s := range all[name] {
				line = append(line, plotter.XY{X: s["seconds"] / 60, Y: s[what.field]})
				p.Y.Max = max(p.Y.Max, s[what.field]*1.4) // space for the names
			}
			l, err := plotter.NewLine(line)
			if err != nil {
				return err
			}
			l.Color = soakColors[i%len(soakColors)]
			p.Add(l)
			if row == 0 {
				p.Legend.Add(name, l)
			}
		}
		p.Draw(tiles.At(draw.New(canvas), 0, row))
	}
	f, err := os.Create(picture) //nolint:gosec // of this repository
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	return errors.Join(err, f.Close())
}
