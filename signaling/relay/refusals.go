package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"syscall"

	"p2pchat/signaling/internal/refused"
)

// A Refusal is a reason for refusing a client's request or connection.
type Refusal int

// The reasons: what is refused, and why.
const (
	RefusedQuota      Refusal = iota // an allocation: a quota is used up
	RefusedPermission                // a permission: the allocation has maxPermissions
	RefusedChannel                   // a channel: the allocation has maxChannels
	RefusedPeer                      // a permission or a channel: the relay does not send to that address
	RefusedRequest                   // a request: the client sends too many
	RefusedGuest                     // an allocation: the caller has not accepted the guest's answer
	RefusedConnection                // a TCP connection: the client, or all clients, have too many
	RefusedHeld                      // an allocation: too many requests of guests are held
	RefusedFiles                     // a connection or an allocation: the process has too many open files
	refusalKinds
)

// Refusals lists all reasons.
var Refusals = []Refusal{RefusedQuota, RefusedPermission, RefusedChannel, RefusedPeer, RefusedRequest, RefusedGuest, RefusedConnection, RefusedHeld, RefusedFiles}

// reasons has the label of each reason in metrics, and its explanation in the log.
var reasons = [refusalKinds]struct{ label, why string }{
	RefusedQuota:      {"quota", "a user has as many allocations as --relay-quota user allows, or all have as many as --relay-quota all allows"},
	RefusedPermission: {"permissions", "a client asks for more than 32 permissions of one allocation"},
	RefusedChannel:    {"channels", "a client asks for more than 32 channels of one allocation"},
	RefusedPeer:       {"peer", "a client asks to relay to a private or reserved address: --relay-allow-private allows private ones"},
	RefusedRequest:    {"requests", "a client sends more requests than the relay answers"},
	RefusedGuest:      {"guests", "a guest asks to relay, and no caller has accepted its answer: it may have guessed a room"},
	RefusedConnection: {"connections", "a client opens more than 64 TCP connections, or all open more than 4096"},
	RefusedFiles:      {"open_files", "the system lets the server open no more files: raise its limit (ulimit -n, LimitNOFILE)"},
	RefusedHeld:       {"held", "a client has more requests wait for a caller than the relay holds"},
}

// String returns the reason's label in metrics.
func (r Refusal) String() string { return reasons[r].label }

// refuse counts a refusal, and logs it: see refused.Log. about are attributes for the log. The
// caller must not hold r.mu.
func (r *Relay) refuse(reason Refusal, about ...any) {
	r.refusals[reason].Add(1)
	r.refused.Add(reason.String(), about...)
}

// countSocketError counts a failure to open a connection or a port if the cause is that the process
// has too many open files, and reports whether that is so.
func (r *Relay) countSocketError(err error) bool {
	full := errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
	if full {
		r.refuse(RefusedFiles)
	} else {
		r.config.Log.Debug("the relay cannot open a socket", "error", err)
	}
	return full
}

// logRefusals logs count refusals in one line. last are the attributes of the last one.
func (r *Relay) logRefusals(reason string, count int, last []any) {
	why := ""
	for _, one := range reasons {
		if one.label == reason {
			why = one.why
		}
	}
	attributes := []any{"reason", reason, "why", why, "count", count}
	for _, one := range last {
		if a, ok := one.(netip.Addr); ok && !r.config.LogAddresses {
			one = refused.Network(a)
		}
		attributes = append(attributes, one)
	}
	r.config.Log.Log(context.Background(), slog.LevelWarn, "the relay refuses requests", attributes...)
}
