package relay

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// An attacker sends requests of TURN that no client sends.
type attacker struct {
	t        *testing.T
	conn     net.Conn
	user     string
	password string
	nonce    stun.Nonce
}

// attack connects to the relay over udp or tcp, with the credentials of user.
func attack(t *testing.T, r *Relay, user, over string) *attacker {
	t.Helper()
	s := r.Credentials(user, nil)[1]
	for _, u := range s.URLs {
		if at, ok := strings.CutSuffix(strings.TrimPrefix(u, "turn:"), "?transport="+over); ok {
			conn, err := net.Dial(over, at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() }) // the test may have
			return &attacker{t: t, conn: conn, user: s.Username, password: s.Credential}
		}
	}
	t.Fatal("the relay does not listen for ", over)
	return nil
}

// message builds a request. It has credentials if there is a nonce.
func (a *attacker) message(method stun.Method, attributes ...stun.Setter) []byte {
	list := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	if a.nonce != nil {
		list = append(list, stun.NewUsername(a.user), stun.NewRealm(realm), a.nonce, stun.NewLongTermIntegrity(a.user, realm, a.password))
	}
	m, err := stun.Build(list...)
	if err != nil {
		a.t.Fatal(err)
	}
	return m.Raw
}

// asks sends a request, and returns the response, or nil if there is none within patience.
func (a *attacker) asks(patience time.Duration, method stun.Method, attributes ...stun.Setter) *stun.Message {
	a.t.Helper()
	request := a.message(method, attributes...)
	if _, err := a.conn.Write(request); err != nil {
		a.t.Fatal(err)
	}
	return a.answerTo(request, patience)
}

func (a *attacker) answerTo(request []byte, patience time.Duration) *stun.Message {
	a.t.Helper()
	_ = a.conn.SetReadDeadline(time.Now().Add(patience)) // it is open
	b := make([]byte, 2000)
	for {
		n, err := a.conn.Read(b)
		if err != nil {
			return nil
		}
		m := &stun.Message{Raw: append([]byte(nil), b[:n]...)}
		if m.Decode() == nil && string(m.TransactionID[:]) == string(request[8:20]) {
			return m
		}
	}
}

// allocates makes an allocation. code is 0 if it succeeds.
func (a *attacker) allocates(attributes ...stun.Setter) (m *stun.Message, code stun.ErrorCode) {
	a.t.Helper()
	all := append([]stun.Setter{raw{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}}, attributes...)
	for {
		m := a.asks(10*time.Second, stun.MethodAllocate, all...)
		if m == nil {
			a.t.Fatal("the relay does not answer")
		}
		code := codeOf(m)
		if a.nonce != nil || code != stun.CodeUnauthorized {
			return m, code
		}
		if err := a.nonce.GetFrom(m); err != nil {
			a.t.Fatal(err)
		}
	}
}

func codeOf(m *stun.Message) stun.ErrorCode {
	var e stun.ErrorCodeAttribute
	if m == nil || e.GetFrom(m) != nil {
		return 0
	}
	return e.Code
}

type raw struct {
	kind  stun.AttrType
	value []byte
}

func (r raw) AddTo(m *stun.Message) error {
	m.Add(r.kind, r.value)
	return nil
}

// peers returns n addresses of the Internet, from the i-th on.
func peers(i, n int) (list []stun.Setter) {
	for ; n > 0; i, n = i+1, n-1 {
		list = append(list, peerAt(i, 9))
	}
	return list
}

type peerAddress struct{ stun.XORMappedAddress }

func (p peerAddress) AddTo(m *stun.Message) error { return p.AddToAs(m, stun.AttrXORPeerAddress) }

func peerAt(i, port int) stun.Setter {
	ip := make(net.IP, 4)
	binary.BigEndian.PutUint32(ip, 0x08000000+uint32(i)) //nolint:gosec // a test's
	return peerAddress{stun.XORMappedAddress{IP: ip, Port: port}}
}

func channel(n int) stun.Setter {
	return raw{stun.AttrChannelNumber, []byte{byte(n >> 8), byte(n), 0, 0}} //nolint:gosec // two bytes of a number
}

// heap returns how many bytes are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) //nolint:gosec // fits
}

func TestAttacks(t *testing.T) {
	for _, over := range []string{"udp", "tcp"} {
		t.Run("permissions without end, over "+over+", use no memory", func(t *testing.T) {
			r := serving(t, Config{})
			a, pace := attack(t, r, "a", over), attack(t, r, "b", over)
			if _, code := a.allocates(); code != 0 {
				t.Fatal(code)
			}
			const requests, each = 1000, 100
			before := heap()
			for i := range requests {
				if _, err := a.conn.Write(a.message(stun.MethodCreatePermission, peers(i*each, each)...)); err != nil {
					t.Fatal(err)
				}
				// Another client's request is answered once the relay has read those before it, so
				// the buffer of the relay's UDP socket does not overflow.
				if i%20 == 0 && pace.asks(10*time.Second, stun.MethodBinding) == nil {
					t.Fatal("the relay does not answer")
				}
			}
			eventually(t, "the relay refuses", func() bool { return r.Stats().Refused[RefusedRequest] > requests/2 })
			if grown := heap() - before; grown > 1<<20 {
				t.Errorf("%d permissions use %d kB", requests*each, grown>>10)
			}
			if n := r.Stats().Refused[RefusedPermission]; n == 0 {
				t.Error("no permission was refused")
			}
			a.leaves()
		})

		t.Run("an allocation has a limited number of permissions and channels, over "+over+", and can refresh them", func(t *testing.T) {
			r := serving(t, Config{})
			a := attack(t, r, "a", over)
			if _, code := a.allocates(); code != 0 {
				t.Fatal(code)
			}
			for i := range maxChannels { // to one address: one permission
				if m := a.asks(10*time.Second, stun.MethodChannelBind, channel(0x4000+i), peerAt(0, 1000+i)); codeOf(m) != 0 {
					t.Fatalf("channel %d: %v", i, codeOf(m))
				}
			}
			if m := a.asks(10*time.Second, stun.MethodChannelBind, channel(0x4000+maxChannels), peerAt(0, 999)); codeOf(m) == 0 {
				t.Error("there is one channel more")
			}
			if m := a.asks(10*time.Second, stun.MethodChannelBind, channel(0x4001), peerAt(0, 1001)); codeOf(m) != 0 {
				t.Errorf("a channel cannot be refreshed: %v", codeOf(m))
			}
			if m := a.asks(10*time.Second, stun.MethodCreatePermission, peers(1, maxPermissions-1)...); codeOf(m) != 0 {
				t.Fatal(codeOf(m))
			}
			if m := a.asks(10*time.Second, stun.MethodCreatePermission, peers(maxPermissions, 1)...); codeOf(m) != stun.CodeForbidden {
				t.Errorf("one permission more: %v", codeOf(m))
			}
			if m := a.asks(10*time.Second, stun.MethodCreatePermission, peers(0, maxPermissions)...); codeOf(m) != 0 {
				t.Errorf("permissions cannot be refreshed: %v", codeOf(m))
			}
			if s := r.Stats().Refused; s[RefusedChannel] != 1 || s[RefusedPermission] != 1 || s[RefusedRequest] != 0 {
				t.Errorf("it counts %v", s)
			}
			a.leaves()
		})
	}

	t.Run("the requests of a client without an allocation are limited, too", func(t *testing.T) {
		r := serving(t, Config{})
		a := attack(t, r, "a", "udp")
		for r.Stats().Refused[RefusedRequest] == 0 {
			if a.nonce = nil; a.asks(time.Second, stun.MethodAllocate) == nil {
				break
			}
		}
		if r.Stats().Refused[RefusedRequest] == 0 {
			t.Error("no request was refused")
		}
	})

	t.Run("a refusal is logged once, and then counted", func(t *testing.T) {
		var text strings.Builder
		var mu sync.Mutex
		r, err := New(Config{Addresses: []netip.Addr{loopback}, Log: slog.New(slog.NewTextHandler(locked{&mu, &text}, nil))})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			r.refuse(RefusedChannel, "last_user", "a")
		}
		if got := text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="the relay refuses requests" reason=channels why="a client asks for more than 32 channels of one allocation" count=1 last_user=a`) {
			t.Error(got)
		}
		text.Reset()
		r.refuse(RefusedConnection, "last_client", netip.MustParseAddr("192.0.2.77"))
		if got := text.String(); !strings.Contains(got, "last_client=192.0.2.0/24") {
			t.Error(got)
		}
		for _, reason := range Refusals {
			if reason.String() == "" || reasons[reason].why == "" {
				t.Errorf("refusal %d has no text", reason)
			}
		}
		if len(Refusals) != int(refusalKinds) {
			t.Errorf("%d of %d reasons are listed", len(Refusals), refusalKinds)
		}
	})
}

type locked struct {
	mu *sync.Mutex
	to *strings.Builder
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

// leaves ends the allocation.
func (a *attacker) leaves() {
	a.t.Helper()
	if a.conn.LocalAddr().Network() == "tcp" {
		_ = a.conn.Close() // which ends the allocation
		return
	}
	for a.asks(time.Second, stun.MethodRefresh, raw{stun.AttrLifetime, make([]byte, 4)}) == nil { // unless the limit of requests is reached
	}
}

func TestFullRelay(t *testing.T) {
	const allocations = 40
	r := serving(t, Config{Quota: Quota{User: allocations}})
	before := heap()
	var all []*attacker
	for range allocations {
		a := attack(t, r, "a", "udp")
		if _, code := a.allocates(); code != 0 {
			t.Fatal(code)
		}
		for i := range maxChannels {
			if m := a.asks(10*time.Second, stun.MethodChannelBind, channel(0x4000+i), peerAt(i, 9)); codeOf(m) != 0 {
				t.Fatal(codeOf(m))
			}
		}
		all = append(all, a)
	}
	each := (heap() - before) / allocations
	t.Logf("an allocation with %d permissions and channels takes %d kB", maxChannels, each>>10)
	if each > 64<<10 { // docs/operating.md says so
		t.Errorf("a full allocation takes %d kB", each>>10)
	}
	for _, a := range all {
		a.leaves()
	}
}

func TestEvenPort(t *testing.T) {
	even := func(reserve byte) stun.Setter { return raw{stun.AttrEvenPort, []byte{reserve}} }
	for _, reserve := range []byte{0, 0x80} {
		t.Run(fmt.Sprintf("the port is even, with %#x", reserve), func(t *testing.T) {
			r := serving(t, Config{FirstPort: 61001, LastPort: 61400})
			a := attack(t, r, "a", "udp")
			m, code := a.allocates(even(reserve))
			if code != 0 {
				t.Fatal(code)
			}
			var at stun.XORMappedAddress
			if err := at.GetFromAs(m, stun.AttrXORRelayedAddress); err != nil || at.Port%2 != 0 {
				t.Fatal(at, err)
			}
			token, err := m.Get(stun.AttrReservationToken)
			if err != nil {
				t.Fatal(err)
			}
			// The next port is reserved, though it is not open.
			r.mu.Lock()
			_, reserved := r.reserved[uint16(at.Port+1)] //nolint:gosec // a port
			r.mu.Unlock()
			if !reserved {
				t.Error("the next port is not reserved")
			}
			b := attack(t, r, "a", "udp")
			m, code = b.allocates(raw{stun.AttrReservationToken, token})
			if code != 0 {
				t.Fatal(code)
			}
			var next stun.XORMappedAddress
			if err := next.GetFromAs(m, stun.AttrXORRelayedAddress); err != nil || next.Port != at.Port+1 {
				t.Errorf("the reserved port is %d after %d, %v", next.Port, at.Port, err)
			}
			c := attack(t, r, "a", "udp")
			if _, code = c.allocates(raw{stun.AttrReservationToken, token}); code != stun.CodeInsufficientCapacity {
				t.Errorf("the same port again: %v", code)
			}
			a.leaves()
			b.leaves()
		})
	}

	t.Run("reservations are bounded", func(t *testing.T) {
		r, err := New(Config{Addresses: []netip.Addr{loopback}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for port := uint16(2); r.reserve(port); port += 2 {
			n += 2
		}
		if n != maxReserved {
			t.Errorf("there are %d", n)
		}
	})
}
