package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// median returns the middle value.
func (f figure) median() float64 {
	sorted := slices.Sorted(slices.Values(f.Values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// String returns the median and the spread, or why there is none.
func (f figure) String() string {
	switch len(f.Values) {
	case 0:
		return "– " + f.Why
	case 1:
		return number(f.Values[0]) + " " + f.Unit
	}
	return fmt.Sprintf("%s %s (%s)", number(f.median()), f.Unit, f.spread())
}

func (f figure) spread() string {
	if len(f.Values) < 2 {
		return ""
	}
	return fmt.Sprintf("%s to %s, %d times", number(slices.Min(f.Values)), number(slices.Max(f.Values)), len(f.Values))
}

// number returns v with three digits at least.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

const head = `# Performance

What must be fast, beside its limit and its rivals, measured on one machine. ` + "`task bench:report`" + ` writes this page. A figure counts as its ratio
to the others of its row, which take turns; the times are for a feeling only. [figures.md](figures.md) has other figures, and
[capacity.md](capacity.md) says what a large server needs.

`

// write writes the page, its charts and the results that it is made of.
func write(root, folder string, results map[string]result) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	b, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "results.json"), append(b, '\n'), 0o600); err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(head)
	summary(&page, results)
	for _, r := range rows {
		res, measured := results[r.name]
		fmt.Fprintf(&page, "## %s\n\n", r.title)
		page.WriteString(r.how + "\n")
		if r.must != "" {
			fmt.Fprintf(&page, "Must be %s.\n", r.must)
		}
		page.WriteByte('\n')
		if !measured {
			page.WriteString("Not measured yet.\n\n")
		} else if err := res.section(&page, r, folder); err != nil {
			return err
		}
		fmt.Fprintf(&page, "Repeat: `task bench:report ROWS=%s`", r.name)
		if r.repeat != "" {
			fmt.Fprintf(&page, ", or `%s`", r.repeat)
		}
		if r.root {
			page.WriteString(" (Linux, as root)")
		}
		page.WriteString("\n\n")
	}
	return os.WriteFile(filepath.Join(root, "docs", "performance.md"), []byte(strings.TrimRight(page.String(), "\n")+"\n"), 0o644) //nolint:gosec // others read it
}

// summary writes a line for each row: the program's figure, and beside it those of its limit and rivals.
func summary(page *strings.Builder, results map[string]result) {
	page.WriteString("| | p2pchat | beside it | must be |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		ours, others := "not measured", []string(nil)
		figures := results[r.name].Figures
		for i, f := range figures {
			switch {
			case len(f.Values) == 0:
			case i == 0:
				ours = number(f.median()) + " " + f.Unit
			case f.Unit == figures[0].Unit:
				others = append(others, f.Name+": "+number(f.median()))
			}
		}
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(r.title), "")
		fmt.Fprintf(page, "| [%s](#%s) | %s | %s | %s |\n", r.title, strings.ReplaceAll(anchor, " ", "-"), ours, cell(strings.Join(others, "; ")), r.must)
	}
	page.WriteByte('\n')
}

// section writes what was measured of a row.
func (res result) section(page *strings.Builder, r row, folder string) error {
	if res.Failed != "" {
		fmt.Fprintf(page, "**Not measured:** %s\n\n", cell(res.Failed))
	}
	if len(res.Figures) > 0 {
		page.WriteString("| | median | spread | p2pchat to it |\n| --- | --- | --- | --- |\n")
		for i, f := range res.Figures {
			if len(f.Values) == 0 {
				fmt.Fprintf(page, "| %s | – | %s | |\n", cell(f.Name), cell(f.Why))
				continue
			}
			fmt.Fprintf(page, "| %s | %s %s | %s | %s |\n", cell(f.Name), number(f.median()), cell(f.Unit), f.spread(), ratio(res.Figures, i))
		}
		page.WriteByte('\n')
	}
	drawn, err := chart(r, res.Figures, filepath.Join(folder, r.name+".svg"))
	if err != nil {
		return err
	}
	if drawn {
		fmt.Fprintf(page, "![%s](performance/%s.svg)\n\n", r.title, r.name)
	}
	fmt.Fprintf(page, "%s, commit %s; %s.\n\n", res.Date, res.Commit, res.Machine)
	return nil
}

// ratio compares the program's figure, the first one with that unit, with figure i, unless that is the program's, too.
func ratio(figures []figure, i int) string {
	ours := figures[slices.IndexFunc(figures, func(f figure) bool { return f.Unit == figures[i].Unit })]
	if strings.HasPrefix(figures[i].Name, "p2pchat") || len(ours.Values) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ×", ours.median()/figures[i].median())
}

// cell makes a text fit into a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

var (
	oursColor   = color.RGBA{R: 0x25, G: 0x63, B: 0xeb, A: 0xff}
	othersColor = color.RGBA{R: 0x94, G: 0xa3, B: 0xb8, A: 0xff}
)

// chart draws the medians of a row as bars, the first one at the top, of those with its unit. It draws nothing if there is
// nothing to compare.
func chart(r row, figures []figure, path string) (bool, error) {
	figures = slices.DeleteFunc(slices.Clone(figures), func(f figure) bool { return len(f.Values) == 0 || f.Unit != figures[0].Unit })
	if len(figures) < 2 {
		return false, os.RemoveAll(path)
	}
	plot.DefaultFont.Variant = "Sans"
	p := plot.New()
	p.BackgroundColor = color.White
	better := "less is better"
	if r.more {
		better = "more is better"
	}
	p.Title.Text = r.title
	p.X.Label.Text = figures[0].Unit + ", " + better
	p.X.Min = 0
	slices.Reverse(figures)
	var names []string
	var labels plotter.XYLabels
	for i, f := range figures {
		bar, err := plotter.NewBarChart(plotter.Values{f.median()}, vg.Points(14))
		if err != nil {
			return false, err
		}
		bar.Horizontal, bar.XMin, bar.LineStyle.Width, bar.Color = true, float64(i), 0, othersColor
		if strings.HasPrefix(f.Name, "p2pchat") {
			bar.Color = oursColor
		}
		p.Add(bar)
		names = append(names, f.Name)
		labels.XYs = append(labels.XYs, plotter.XY{X: f.median(), Y: float64(i)})
		labels.Labels = append(labels.Labels, " "+number(f.median()))
		p.X.Max = max(p.X.Max, f.median()*1.12)
	}
	text, err := plotter.NewLabels(labels)
	if err != nil {
		return false, err
	}
	for i := range text.TextStyle {
		text.TextStyle[i].YAlign = -0.5
	}
	p.Add(text)
	p.NominalY(names...)
	return true, p.Save(16*vg.Centimeter, vg.Length(len(figures))*vg.Centimeter+2*vg.Centimeter, path)
}
