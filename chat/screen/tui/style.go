package tui

import (
	"hash/fnv"
	"image/color"

	"charm.land/lipgloss/v2"
)

// A style is how things look on a light or a dark background, or without colours.
type style struct {
	dark, plain bool

	dim, strong, warn, bad, good, delivered lipgloss.Style
	mine                                    lipgloss.Style
	names                                   []lipgloss.Style
	bar                                     lipgloss.Style // of the status
	code                                    lipgloss.Style // the large one
	qr                                      lipgloss.Style
}

// newStyle returns the style for a background; plain is for a terminal without colours.
func newStyle(dark, plain bool) style {
	pick := lipgloss.LightDark(dark)
	c := func(light, dark string) color.Color { return pick(lipgloss.Color(light), lipgloss.Color(dark)) }
	of := func(light, dark string) lipgloss.Style { return lipgloss.NewStyle().Foreground(c(light, dark)) }
	s := style{
		dark: dark, plain: plain,
		dim:       of("#6b7280", "#8b93a1"),
		strong:    lipgloss.NewStyle().Bold(true),
		warn:      of("#9a5b00", "#e5b567"),
		bad:       of("#b42318", "#f28b82"),
		good:      of("#1a7f37", "#7ecb8f"),
		delivered: of("#1a7f37", "#7ecb8f"),
		mine:      of("#374151", "#c9d1d9").Bold(true),
		bar:       lipgloss.NewStyle().Foreground(c("#1f2937", "#d7dce2")).Background(c("#e5e7eb", "#2b3038")),
		code:      of("#1d4ed8", "#8ab4f8").Bold(true),
		qr:        lipgloss.NewStyle().Foreground(lipgloss.Color("#000000")).Background(lipgloss.Color("#ffffff")),
	}
	for _, n := range [][2]string{
		{"#1d4ed8", "#8ab4f8"}, {"#a21caf", "#e39df0"}, {"#0f766e", "#6fd3c7"}, {"#b45309", "#f0b26b"},
		{"#be123c", "#f7a1b1"}, {"#4d7c0f", "#b5d56a"}, {"#6d28d9", "#c3aef7"}, {"#0369a1", "#7cc9f2"},
	} {
		s.names = append(s.names, of(n[0], n[1]).Bold(true))
	}
	if plain { // without a colour, the bar is reversed
		s.bar = lipgloss.NewStyle().Reverse(true)
	}
	return s
}

// name returns the style of a name: always the same one.
func (s style) name(name string) lipgloss.Style {
	if name == you {
		return s.mine
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // it cannot fail
	return s.names[int(h.Sum32()>>1)%len(s.names)]
}
