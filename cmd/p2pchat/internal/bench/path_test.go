package bench

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"p2pchat/peer"
)

// against measures with path at the near end of a connection, whose far end does what stranger does.
func against(t *testing.T, path Path, stranger func(ctx context.Context, far *peer.Pipe)) (PathResult, error) {
	t.Helper()
	p, err := newPair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.connect(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stranger(ctx, p.far)
	}()
	r, err := path.Run(t.Context(), p.near)
	cancel()
	<-ended
	return r, err
}

// greeting returns a hello.
func greeting(t *testing.T, h hello) []byte {
	t.Helper()
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{kindHello}, b...)
}

func TestPath(t *testing.T) {
	t.Parallel()
	message := Path{Kind: "message", Caller: true, Duration: time.Hour}
	transfer := Path{Kind: "transfer", Caller: false, Duration: time.Hour, MaxBytes: 1 << 20}

	t.Run("a side that measures nothing, or something else, ends it at once", func(t *testing.T) {
		for what, want := range map[string]error{"": ErrConversation, "bench transfer": ErrOther, "bench \x1b[2J": ErrOther} {
			_, err := against(t, message, func(ctx context.Context, far *peer.Pipe) {
				_ = far.Send(ctx, greeting(t, hello{Purpose: what}))
			})
			if !errors.Is(err, want) {
				t.Errorf("%q: it ends with %v", what, err)
			}
		}
		_, err := against(t, message, func(ctx context.Context, far *peer.Pipe) { _ = far.Send(ctx, []byte("hello")) })
		if !errors.Is(err, ErrSilent) {
			t.Errorf("a text instead of a hello: it ends with %v", err)
		}
	})

	t.Run("a side that sends more than was agreed on is hung up on", func(t *testing.T) {
		_, err := against(t, transfer, func(ctx context.Context, far *peer.Pipe) {
			_ = far.Send(ctx, greeting(t, hello{"bench transfer", 3600, 1 << 40}))
			for open := true; open; { // it answers pings until data is expected
				b, err := far.Recv(ctx)
				open = err == nil && b[0] != kindPing
			}
			c, err := far.Open(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			for chunk := make([]byte, chunkSize); err == nil; {
				_, err = c.Write(chunk)
			}
		})
		if !errors.Is(err, ErrGreedy) {
			t.Errorf("it ends with %v", err)
		}
	})

	t.Run("a side that asks for less gets less, and for nothing sensible, nothing", func(t *testing.T) {
		for asked, want := range map[float64]time.Duration{1.5: 1500 * time.Millisecond, 7200: time.Hour, -1: 0, 1e300: 0} {
			var got time.Duration
			_, _ = against(t, message, func(ctx context.Context, far *peer.Pipe) {
				m := &run{Path: message, link: far}
				m.Duration = seconds(asked)
				if err := m.greet(ctx); err != nil {
					t.Error(err)
				}
				got = m.Duration
				_ = far.Send(ctx, []byte{kindEnd})
			})
			if got != want {
				t.Errorf("%v s: it measures for %v", asked, got)
			}
		}
	})

	t.Run("reports and pings that make no sense change nothing", func(t *testing.T) {
		shown := 0
		path := Path{Kind: "message", Caller: true, Duration: time.Hour, Progress: func(string) { shown++ }}
		r, err := against(t, path, func(ctx context.Context, far *peer.Pipe) {
			_ = far.Send(ctx, greeting(t, hello{Purpose: "bench message", Seconds: 3600}))
			for range 100 {
				for _, b := range [][]byte{{}, {kindPing}, {kindPong}, {kindPong, 1, 2}, {kindReport}, []byte(`"{"last":true}`), slices.Repeat([]byte{kindReport}, 1<<16), {99}} {
					_ = far.Send(ctx, b)
				}
				for _, report := range []string{`{"bytes":-1,"last":true}`, `{"bytes":-1}`} {
					_ = far.Send(ctx, append([]byte{kindReport}, report...))
				}
			}
			_ = far.Send(ctx, []byte{kindEnd})
		})
		if err != nil || r.Sent != nil || r.Received != nil || shown != 0 {
			t.Errorf("it ends with %v, %+v, %d lines", err, r, shown)
		}
	})
}

func TestPings(t *testing.T) {
	var p pings
	for i := range 100 {
		p.add(time.Duration(i+1) * time.Millisecond)
	}
	want := RoundTrip{Pings: 100, Min: 1, P50: 50, P99: 99, Most: 100}
	if got := p.sum(); got != want {
		t.Errorf("it is %+v", got)
	}
	p.add(151 * time.Millisecond) // the median is 52 ms in the end, and a pause begins after 154 ms
	p.add(155 * time.Millisecond)
	p.add(2 * time.Second)
	if got := p.sum(); got.Pauses != 2 || got.Longest != 2000 {
		t.Errorf("it is %+v", got)
	}
	if got := (&pings{}).sum(); got != (RoundTrip{}) {
		t.Errorf("without pings it is %+v", got)
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "no pause", 1: "1 pause of 80 ms", 2: "2 pauses, the longest 80 ms"} {
		if got := pauses(n, 80); got != want {
			t.Errorf("%d pauses are %q, want %q", n, got, want)
		}
	}
}
