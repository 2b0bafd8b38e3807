package bench

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A Phase is a part of a call, as one side has logged it.
type Phase struct {
	Side  signaling.Side
	Name  string
	Begin time.Duration // since the callee began
	Took  time.Duration
}

// A recorder is a slog.Handler that keeps the phases in one side's log (signaling.LogPhase).
type recorder struct {
	side  signaling.Side
	began time.Time

	mu     *sync.Mutex // guards what follows
	phases *[]Phase
}

// Enabled implements slog.Handler.
func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	p := Phase{Side: r.side}
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case signaling.PhaseKey:
			p.Name = a.Value.String()
		case signaling.TookKey:
			p.Took = a.Value.Duration()
		}
		return true
	})
	if p.Begin = record.Time.Sub(r.began) - p.Took; p.Name != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		*r.phases = append(*r.phases, p)
	}
	return nil
}

// WithAttrs implements slog.Handler. No phase has attributes of its logger.
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *recorder) WithGroup(string) slog.Handler { return r }

// Timeline returns the phases of one call over a server on loopback, in the order in which they began, until each side has
// a message of the other one.
func Timeline(ctx context.Context) ([]Phase, error) {
	p, err := newPair(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var mu sync.Mutex
	var phases []Phase
	began := time.Now()
	begin := func(side signaling.Side, meet func(signaling.Store, peer.Code, peer.Config) *peer.Session) error {
		log := slog.New(&recorder{side: side, began: began, mu: &mu, phases: &phases})
		at, err := signaling.NewClient(p.address, signaling.Config{Log: log})
		if err == nil {
			p.sessions = append(p.sessions, meet(at, peer.Code{Room: "100", Secret: "amber-falcon"}, peer.Config{Log: log}))
		}
		return err
	}
	if err := errors.Join(begin(signaling.Caller, peer.Call), begin(signaling.Callee, peer.Answer)); err != nil {
		return nil, err
	}
	if p.near, err = p.sessions[0].Pipe(ctx); err == nil {
		p.far, err = p.sessions[1].Pipe(ctx)
	}
	for _, one := range [][2]*peer.Pipe{{p.near, p.far}, {p.far, p.near}} {
		if err == nil {
			err = one[0].Send(ctx, []byte("hello"))
		}
		if err == nil {
			_, err = one[1].Recv(ctx)
		}
	}
	p.disconnect() // no side logs any more
	slices.SortStableFunc(phases, func(a, b Phase) int { return int(a.Begin - b.Begin) })
	return phases, err
}

// Sizes of a timeline, in pixels.
const (
	chartWidth = 640
	labelWidth = 330
	rowHeight  = 20
	chartTop   = 46
)

// WriteTimeline draws phases as an SVG, one row each.
func WriteTimeline(to io.Writer, phases []Phase) error {
	var b strings.Builder
	end := time.Millisecond
	for _, p := range phases {
		end = max(end, p.Begin+p.Took)
	}
	x := func(d time.Duration) float64 { return labelWidth + chartWidth*float64(d)/float64(end) }
	height := chartTop + rowHeight*len(phases) + 10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", labelWidth+chartWidth+90, height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="10" y="18">A call on loopback: <tspan fill="#1f77b4">the caller</tspan>, <tspan fill="#d95f02">the callee</tspan>; times in ms</text>`+"\n")
	for i := range 6 {
		at := end * time.Duration(i) / 5
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(at), x(at), chartTop-4, height-10, x(at), chartTop-8, inMS(at))
	}
	for i, p := range phases {
		y := chartTop + rowHeight*i
		color := map[signaling.Side]string{signaling.Caller: "#1f77b4", signaling.Callee: "#d95f02"}[p.Side]
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="%s">%s</text>`, labelWidth-8, y+14, color, escaped(p.Name))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, x(p.Begin), y+3, max(1, x(p.Took)-x(0)), rowHeight-6, color)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", x(p.Begin+p.Took)+4, y+14, inMS(p.Took))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(to, b.String())
	return err
}

func inMS(d time.Duration) string { return fmt.Sprintf("%.2f", inMilliseconds(d)) }

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes all
	return b.String()
}
