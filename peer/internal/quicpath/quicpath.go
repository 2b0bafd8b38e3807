// Package quicpath carries channels over QUIC between two programs that share keys.
//
//	opener                                                  other side
//	  | QUIC connection, both certificates compared ──────────▶ |
//	  | stream: the version, then messages ◀══════════════════▶ |
//
// Each channel is a QUIC connection of its own with one stream, so that it begins and ends by itself. Each side's
// certificate follows from the keys: no side has to be told the other's.
package quicpath

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// Limits of a channel.
const (
	handshakeLimit = time.Second     // to connect: a short path answers sooner, or not at all
	silence        = 5 * time.Second // without a packet
	keepAlive      = 2 * time.Second
	packetSize     = 1200    // bytes: the least that QUIC may take a path to carry (RFC 9000, section 14)
	window         = 3 << 20 // bytes that the other side may be ahead of its reader
)

const version = 1 // the first byte on a stream

// ErrImpostor says that the other side does not have the key that it should have.
var ErrImpostor = errors.New("the other side of the QUIC connection has another key")

var (
	errTooMany = errors.New("the other side has as many QUIC connections as it may")
	errVersion = errors.New("the other side speaks another version")
)

// quiet keeps quic-go from writing to stderr, which a screen may own, that it wants larger buffers than most systems allow.
var quiet = sync.OnceValue(func() error { return os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") })

// Keys are what two sides know of each other: the seeds of their keys.
type Keys struct{ Own, Theirs [ed25519.SeedSize]byte }

// A Path opens channels to one other side, and takes those that it opens.
type Path struct {
	transport *quic.Transport
	conn      net.PacketConn
	tls       *tls.Config
	accept    func(io.ReadWriteCloser)
	log       *slog.Logger
	most      int32
	theirs    atomic.Int32    // connections of the other side, from their first packet on
	ctx       context.Context // ends with Close
	stop      context.CancelFunc
	wg        sync.WaitGroup
	closing   sync.Once
}

// New returns a Path over conn, which it closes. It calls accept with each channel that the other side opens. The other
// side has at most most connections at a time, also before it has shown its key.
func New(conn net.PacketConn, keys Keys, most int32, accept func(io.ReadWriteCloser), log *slog.Logger) (*Path, error) {
	config, err := mutual(keys)
	if err = errors.Join(err, quiet()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p := &Path{conn: conn, tls: config, accept: accept, log: log, most: most}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.transport = &quic.Transport{Conn: conn, ConnContext: p.admit, DisableVersionNegotiationPackets: true}
	listener, err := p.transport.Listen(p.tls, settings(1))
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("listening for QUIC: %w", errors.Join(err, conn.Close()))
	}
	p.wg.Go(func() { p.listen(listener) })
	return p, nil
}

// mutual returns the settings of TLS with which two sides that have the keys know each other.
func mutual(keys Keys) (*tls.Config, error) {
	own := ed25519.NewKeyFromSeed(keys.Own[:])
	theirs := ed25519.NewKeyFromSeed(keys.Theirs[:]).Public().(ed25519.PublicKey) //nolint:forcetypeassert // its type
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, own.Public(), own)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for QUIC: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		NextProtos: []string{"p2pchat.v1"}, ServerName: "p2pchat", SessionTicketsDisabled: true,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: own}},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, //nolint:gosec // the key is compared below: there is no authority
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) != 1 || !theirs.Equal(s.PeerCertificates[0].PublicKey) {
				return ErrImpostor
			}
			return nil
		},
	}, nil
}

// settings returns those of a connection on which the other side may open that number of streams; -1 is none.
func settings(streams int64) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: handshakeLimit, MaxIdleTimeout: silence, KeepAlivePeriod: keepAlive,
		MaxIncomingStreams: streams, MaxIncomingUniStreams: -1,
		MaxStreamReceiveWindow: window, MaxConnectionReceiveWindow: window,
		InitialPacketSize: packetSize, DisablePathMTUDiscovery: true,
	}
}

// admit counts a connection of the other side until ctx ends, before its handshake. It returns an error, and the connection
// is refused, if there are too many.
func (p *Path) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if p.theirs.Add(1) > p.most {
		p.theirs.Add(-1)
		return nil, errTooMany
	}
	context.AfterFunc(ctx, func() { p.theirs.Add(-1) })
	return ctx, nil
}

// listen takes the connections of the other side that have proven its key.
func (p *Path) listen(l *quic.Listener) {
	for {
		conn, err := l.Accept(p.ctx)
		if err != nil {
			return
		}
		p.wg.Go(func() {
			c, err := p.greeted(conn)
			if err != nil {
				p.log.Debug("a QUIC connection of the other side is no channel", "error", err)
				_ = conn.CloseWithError(0, "") // it never fails
				return
			}
			p.accept(c)
		})
	}
}

// greeted waits for the stream of a channel, and its version.
func (p *Path) greeted(conn *quic.Conn) (*channel, error) {
	ctx, cancel := context.WithTimeout(p.ctx, handshakeLimit)
	defer cancel()
	s, err := conn.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.SetReadDeadline(time.Now().Add(handshakeLimit)); err != nil {
		return nil, err
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(s, b); err != nil {
		return nil, err
	}
	if b[0] != version {
		return nil, errVersion
	}
	return &channel{conn: conn, stream: s}, s.SetReadDeadline(time.Time{})
}

// Open opens a channel to an address of the other side. It returns ErrImpostor if another program answers there, or another
// error if the path does not work, after handshakeLimit at most.
func (p *Path) Open(ctx context.Context, to net.Addr) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	conn, err := p.transport.Dial(ctx, to, p.tls, settings(-1))
	if err != nil {
		return nil, fmt.Errorf("connecting over QUIC: %w", err)
	}
	s, err := conn.OpenStreamSync(ctx)
	if err == nil {
		_, err = s.Write([]byte{version})
	}
	if err != nil {
		_ = conn.CloseWithError(0, "") // it never fails
		return nil, fmt.Errorf("opening a stream over QUIC: %w", err)
	}
	return &channel{conn: conn, stream: s}, nil
}

// Close ends the path and all its channels.
func (p *Path) Close() error {
	var err error
	p.closing.Do(func() {
		p.stop()
		err = errors.Join(p.transport.Close(), p.conn.Close())
	})
	p.wg.Wait()
	return err
}

// A channel carries messages over a stream, each after its length (4 bytes, big-endian). One goroutine may
// write while another one reads.
type channel struct {
	conn   *quic.Conn
	stream *quic.Stream
	out    []byte  // owned by Write
	length [4]byte // owned by Read
}

// Write sends a message, and waits while earlier ones fill the path.
func (c *channel) Write(message []byte) (int, error) {
	c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(len(message))) //nolint:gosec // far below
	c.out = append(c.out, message...)
	if _, err := c.stream.Write(c.out); err != nil {
		return 0, ending(err)
	}
	return len(message), nil
}

// Read waits for a message. It returns io.EOF if the other side has closed the channel. A message that is longer than b ends
// the channel with io.ErrShortBuffer.
func (c *channel) Read(b []byte) (int, error) {
	if _, err := io.ReadFull(c.stream, c.length[:]); err != nil {
		return 0, ending(err)
	}
	n := binary.BigEndian.Uint32(c.length[:])
	if int64(n) > int64(len(b)) {
		_ = c.Close() // it never fails
		return 0, io.ErrShortBuffer
	}
	if _, err := io.ReadFull(c.stream, b[:n]); err != nil {
		return 0, ending(err)
	}
	return int(n), nil
}

// Close ends the channel on both sides, and a Read or Write that waits here. Messages that the other side has not read yet
// may be lost.
func (c *channel) Close() error { return c.conn.CloseWithError(0, "") }

// ending returns io.EOF if err says that the other side has closed the channel, and otherwise err.
func ending(err error) error {
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && e.Remote {
		return io.EOF
	}
	return err
}
