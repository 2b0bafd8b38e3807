package chat

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
)

// A bundle is several frames in one message of the pipe. A pipe sends the next message once the one before it has
// gone out, and SCTP gives each a chunk, mostly in a datagram of its own. The frames that wait for that go out
// together, with an acknowledgement or a name that is due; a frame that finds the pipe free goes out at once.

// maxBundle is the size of a bundle, in bytes, from which on no frame is added. With one it stays
// below the 16 KiB that a peer.Pipe reads without a larger buffer.
const maxBundle = 15 << 10

// lengthSize is the size of the length before each frame of a bundle, in bytes, big-endian.
const lengthSize = 4

// write sends f and, to a side that understands bundles, the frames that wait behind it.
func (c *Conversation) write(ctx context.Context, link Link, f frame) error {
	b, err := c.translate(f).encode()
	if err == nil && c.bundles(f) {
		b, err = c.bundle(b)
	}
	if err != nil {
		return err
	}
	return link.Send(ctx, b)
}

// bundles reports whether frames may go out with f. A hello comes first, alone; nothing follows a goodbye.
func (c *Conversation) bundles(f frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.greeted && c.peer.Bundles && !c.config.unbundled && f.kind != kindHello && f.kind != kindGoodbye
}

// bundle returns the bundle of first and the frames that wait, or first if none do.
func (c *Conversation) bundle(first []byte) ([]byte, error) {
	var b []byte
	for size := 1 + lengthSize + len(first); size < maxBundle; size = len(b) {
		f, todo := c.nextQueued(false, maxBundle-size-lengthSize-1-seqSize)
		if !todo {
			break
		}
		if b == nil {
			b = appendFrame(append(make([]byte, 0, 2*size), byte(kindBundle)), first)
		}
		next, err := c.translate(f).encode()
		if err != nil {
			return nil, err
		}
		b = appendFrame(b, next)
	}
	if b == nil {
		return first, nil
	}
	return b, nil
}

func appendFrame(b, f []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(f))) //nolint:gosec // less than maxBundle
	return append(b, f...)
}

// frames yields the frame that a stranger's message is, or those of a bundle. It yields errFrame for one that makes no
// sense, such as a bundle in a bundle.
func frames(b []byte) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		if len(b) == 0 || kind(b[0]) != kindBundle {
			yield(decode(b))
			return
		}
		for rest := b[1:]; ; {
			if len(rest) < lengthSize || int64(binary.BigEndian.Uint32(rest)) > int64(len(rest)-lengthSize) {
				yield(frame{}, fmt.Errorf("%w: a bundle that ends with %d bytes", errFrame, len(rest)))
				return
			}
			end := lengthSize + int(binary.BigEndian.Uint32(rest))
			if !yield(decode(rest[lengthSize:end])) || end == len(rest) {
				return
			}
			rest = rest[end:]
		}
	}
}
