package main

import (
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A networkBetween carries TCP and UDP between a page and its server. It can fall silent, like a network
// that loses all packets. Connections of that time stay dead.
type networkBetween struct {
	tcp  net.Listener
	udp  *net.UDPConn
	lost chan struct{} // has one for each connection that was tried in vain

	mu     sync.Mutex // guards what follows
	silent bool
	conns  map[net.Conn]bool // and whether they are dead
}

// between stands before the server at address, and before its relay.
func between(t *testing.T, address, relay string) *networkBetween {
	t.Helper()
	n := &networkBetween{lost: make(chan struct{}, 100), conns: map[net.Conn]bool{}}
	var err error
	if n.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { //nolint:noctx // it is closed by the test
		t.Fatal(err)
	}
	if n.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_, _ = n.tcp.Close(), n.udp.Close()
		n.mu.Lock()
		for c := range n.conns {
			_ = c.Close()
		}
		n.mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() { n.carryTCP(address, &wg) })
	wg.Go(func() { n.carryUDP(t, relay, &wg) })
	return n
}

// falls makes the network carry nothing, or carry again.
func (n *networkBetween) falls(silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = silent
	for c := range n.conns {
		n.conns[c] = true
	}
}

// dead tells whether nothing comes through.
func (n *networkBetween) dead(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silent || n.conns[c]
}

func (n *networkBetween) add(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c] = n.silent
}

func (n *networkBetween) carryTCP(address string, wg *sync.WaitGroup) {
	for {
		from, err := n.tcp.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", address) //nolint:noctx // on this machine
		if err != nil {
			_ = from.Close()
			continue
		}
		n.add(from)
		n.add(to)
		if n.silenced() {
			n.lost <- struct{}{}
		}
		for _, ends := range [][2]net.Conn{{from, to}, {to, from}} {
			wg.Go(func() {
				defer ends[1].Close()
				_, _ = io.Copy(writer(func(b []byte) (int, error) {
					if n.dead(from) {
						return len(b), nil
					}
					return ends[1].Write(b)
				}), ends[0])
			})
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (n *networkBetween) carryUDP(t *testing.T, relay string, wg *sync.WaitGroup) {
	behind := map[string]net.Conn{}
	for b := make([]byte, 1<<16); ; {
		size, from, err := n.udp.ReadFromUDP(b)
		if err != nil {
			return
		}
		to := behind[from.String()]
		if to == nil {
			if to, err = net.Dial("udp", relay); err != nil { //nolint:noctx // on this machine
				t.Error(err)
				return
			}
			n.add(to)
			behind[from.String()] = to
			wg.Go(func() {
				for b := make([]byte, 1<<16); ; {
					size, err := to.Read(b)
					if err != nil {
						return
					}
					if !n.silenced() {
						_, _ = n.udp.WriteToUDP(b[:size], from)
					}
				}
			})
		}
		if !n.silenced() {
			_, _ = to.Write(b[:size])
		}
	}
}

func (n *networkBetween) silenced() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silent
}

// tick is the unit in which a page counts its time.
const tick = 50 * time.Millisecond

// A page whose network loses every packet notices, and is back soon after that is.
func TestPageNoticesSilence(t *testing.T) {
	b := sharedBrowser(t)
	server := launch(t, "serve", "--listen", "127.0.0.1:0", "--relay", "--relay-listen", "127.0.0.1:0")
	address := server.notes(t, `listening on (\S+)`)[1]
	relay := server.notes(t, `relaying at .*?(127\.0\.0\.1:\d+)`)[1]
	n := between(t, strings.TrimPrefix(address, "http://"), relay)
	var noticed, back []time.Duration // in the page's own time: a busy machine slows it down, too
	lose := func(t *testing.T, meet func(page *tab), command string) {
		t.Helper()
		page := b.open(t, "http://"+n.tcp.Addr().String())
		eval[bool](page, `(() => { // all that it sends goes through the network
			globalThis.RTCPeerConnection = class extends RTCPeerConnection {
				constructor(c) {
					c.iceServers.forEach((s) => (s.urls = ["turn:`+n.udp.LocalAddr().String()+`"]));
					super({ ...c, iceTransportPolicy: "relay" });
				}
			};
			globalThis.ticks = 0;
			setInterval(() => ticks++, `+strconv.Itoa(int(tick.Milliseconds()))+`);
			return true;
		})()`)
		within := func(text string, what func()) time.Duration { // what it takes until the page shows text
			eval[bool](page, `(() => {
				const since = ticks;
				globalThis.took = new Promise((resolve) => new MutationObserver(() => {
					if (document.getElementById("talk").innerText.includes(`+js(text)+`)) resolve(ticks - since);
				}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true }));
				return true;
			})()`)
			what()
			return tick * time.Duration(eval[int](page, `took`))
		}
		meet(page)
		program := launch(t, command, command+"-falcon-zebra", "--server", address)
		verified(t, page)
		converseWith(t, page, program)
		noticed = append(noticed, within("The connection to the other side was lost.", func() {
			n.falls(true)
			page.say("kept until then")
		}))
		page.sees("The server does not answer.")
		page.sees("waiting") // and no longer: sending
		for range 5 {        // about one a second
			select {
			case <-n.lost:
			case <-time.After(pagePatience):
				t.Fatal("the page does not look whether its server is back")
			}
		}
		back = append(back, within("Connected again.", func() { n.falls(false) }))
		program.hears(t, "kept until then")
	}
	t.Run("as the caller", func(t *testing.T) { lose(t, func(p *tab) { p.call("answer-falcon-zebra") }, "answer") })
	t.Run("as the callee", func(t *testing.T) {
		inFull(t)
		lose(t, func(p *tab) { p.answer("call-falcon-zebra") }, "call")
	})
	t.Logf("noticed after %v, back after %v", noticed, back)
	// Other load on the machine may slow one of the two down.
	if quickest := slices.Min(noticed); quickest > 3*time.Second {
		t.Errorf("the page notices after %v that nothing comes", quickest)
	}
	if quickest := slices.Min(back); quickest > 2*time.Second {
		t.Errorf("the page is back %v after its network", quickest)
	}
}
