package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"syscall"

	"p2pchat/signaling/internal/refused"
)

// A Refusal is a reason for which the relay does not do what a client asks for.
type Refusal int

// What a relay refuses.
const (
	RefusedQuota      Refusal = iota // an allocation: the user has as many as it may, or all have
	RefusedPermission                // a permission: the allocation has as many as it may
	RefusedChannel                   // a channel, likewise
	RefusedPeer                      // a permission or a channel for an address that the relay does not carry to
	RefusedRequest                   // a request: they come too often
	RefusedGuest                     // an allocation: the caller has not accepted the guest's answer
	RefusedConnection                // a TCP connection: the client has as many as it may, or all have
	RefusedHeld                      // an allocation: as many requests of guests wait for a caller as may
	RefusedFiles                     // a connection or an allocation: the system lets the process open no more files
	refusalKinds
)

// Refusals are all reasons.
var Refusals = []Refusal{RefusedQuota, RefusedPermission, RefusedChannel, RefusedPeer, RefusedRequest, RefusedGuest, RefusedConnection, RefusedHeld, RefusedFiles}

// reasons have each refusal as a metric's label has it, and as the log explains it.
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

// String is the reason as a metric's label has it.
func (r Refusal) String() string { return reasons[r].label }

// refuse counts a refusal. The log hears of it at the default level: see refused.Log. The caller
// must not hold r.mu.
func (r *Relay) refuse(reason Refusal, about ...any) {
	r.refusals[reason].Add(1)
	r.refused.Add(reason.String(), about...)
}

// failed counts a failure to open a connection or a port, and reports whether the system
// lets the process open no more files.
func (r *Relay) failed(err error) bool {
	full := errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
	if full {
		r.refuse(RefusedFiles)
	} else {
		r.config.Log.Debug("the relay cannot open a socket", "error", err)
	}
	return full
}

// tellRefused writes a line about count refusals.
func (r *Relay) tellRefused(reason string, count int, last []any) {
	why := ""
	for _, one := range reasons {
		if one.label == reason {
			why = one.why
		}
	}
	said := []any{"reason", reason, "why", why, "count", count}
	for _, one := range last {
		if a, ok := one.(netip.Addr); ok && !r.config.LogAddresses {
			one = refused.Network(a)
		}
		said = append(said, one)
	}
	r.config.Log.Log(context.Background(), slog.LevelWarn, "the relay refuses requests", said...)
}
