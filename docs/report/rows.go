package main

import (
	"context"
	"time"
)

// A row is something that must be fast. Its first figure is the program's.
type row struct {
	name, title string
	must        string   // what it must be
	how         string   // what is measured
	needs       []string // programs to build first
	tests       string   // the package whose tests are built first
	root        bool     // it needs network namespaces
	repeat      string   // beside task bench:report ROWS=name
	more        bool     // more is better
	run         func(context.Context, *lab) ([]figure, error)
}

// longest bounds a row, without the builds before it.
const longest = 10 * time.Minute

var rows = []row{
	{
		name: "start", title: "Start", must: "at most croc's time", needs: []string{"an empty program", "croc", "weron", "webwormhole"},
		how: "From exec to exit of `p2pchat version`, and of the rivals' `--version` or `--help`, 40 turns.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			return turns(ctx, 40, "ms", starts(l, "p2pchat", "version"), starts(l, "croc", "--version"), starts(l, "weron", "--help"), starts(l, "webwormhole", "help"), starts(l, "an empty program"))
		},
	},
	{
		name: "size", title: "Size of the program", must: "at most 22 MB", needs: []string{"an empty program", "croc", "weron", "webwormhole"},
		how: "Stripped, linux/amd64, each built here with the same flags.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			return turns(ctx, 1, "MB", size(l, "p2pchat"), size(l, "croc"), size(l, "weron"), size(l, "webwormhole"), size(l, "an empty program"))
		},
	},
	{
		name: "connect", title: "Connect, two processes on loopback", must: "at most pion-to-pion's time, trust included", needs: []string{"pion answer", "pion offer", "weron"},
		how: "From the second program's exec until both can talk, 31 turns. p2pchat: until both have printed the other one's first line, with a code (verified) and without. " +
			"pion-to-pion, pion's own example: until the offering side's channel is open. weron: until the peer is connected.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			return turns(ctx, 31, "ms",
				contender{"p2pchat, with a code", func(ctx context.Context) (float64, error) { return l.connect(ctx, "417-amber-falcon") }},
				contender{"p2pchat, without", func(ctx context.Context) (float64, error) { return l.connect(ctx, "standup") }},
				contender{"pion answer", l.connectPion}, contender{"weron", l.connectWeron})
		},
	},
	{
		name: "connect-here", title: "Connect, in one process", tests: "peer", repeat: "go test -bench Connect ./peer",
		how: "Two sessions over a room in memory, verified, beside two PeerConnections that swap their descriptions in memory, with the same settings and with pion's own: medians of 40 turns, 3 times.",
		run: benched("peer", "^BenchmarkConnect$", []string{"-test.benchtime", "40x", "-test.count", "3"}, metric{printed: "ms/connect", name: "p2pchat", unit: "ms"},
			metric{printed: "same-settings-ms", name: "bare PeerConnections", unit: "ms"}, metric{printed: "pion-defaults-ms", name: "with pion's settings", unit: "ms"}),
	},
	{
		name: "connect-far", title: "Connect, cold, links of 100 ms", must: "at most 6.2 round trips without NATs; goal 5.2", tests: "cmd/p2pchat", root: true, repeat: "task bench:links",
		how: "From the answerer's exec until both have printed the other one's first line, with a code; caller, answerer and server are 100 ms from each other (there and back), in network namespaces, 10 times. " +
			"Without NATs, TCP, the offer, the answer, a check, DTLS and the last line take 6 round trips. Behind two NATs it is one more: the answerer's public address is known a round trip after the answer, and the caller's come sealed after it. Pion's parts by hand take 3.1 round trips after the offer.",
		run: benchedEach("cmd/p2pchat", "BenchmarkConnectFar", []string{"-test.benchtime", "1x", "-test.count", "10"}, metric{printed: "round-trips", unit: "round trips"},
			"without_NATs", "p2pchat, without NATs", "two_cones", "p2pchat, behind two NATs"),
	},
	{
		name: "round-trips", title: "Connect, warm, in round trips", must: "at most 4.5; goal 3.6", tests: "peer", repeat: "go test -run 'WhatACallCosts|RoundTrips' -v ./peer",
		how: "From the callee's start to each side's open pipe; the two sides and the server are a round trip from each other. Exact: in virtual time.",
		run: func(ctx context.Context, l *lab) ([]figure, error) { return l.roundTrips(ctx) },
	},
	{
		name: "nat", title: "Connect behind NATs", tests: "cmd/p2pchat", root: true, repeat: "task bench:nat",
		how: "From the callee's start, as a process, until it is connected; network namespaces without added delay, medians of 5, 3 times.",
		run: benchedEach("cmd/p2pchat", "BenchmarkNAT", []string{"-test.benchtime", "5x", "-test.count", "3"}, metric{printed: "ms/median", unit: "ms"},
			"two_cones", "p2pchat, two cones", "two_symmetric_NATs", "p2pchat, two symmetric NATs", "two_networks_without_UDP", "p2pchat, two networks without UDP"),
	},
	{
		name: "message", title: "A message, one way", must: "at most 1.1 × a bare DataChannel", tests: "peer", repeat: "go test -bench MessageLatency ./peer",
		how: "64 bytes on loopback, from the call that says them to the other side's reader: medians of 2,000 turns, 3 times.",
		run: benched("peer", "^BenchmarkMessageLatency$", []string{"-test.benchtime", "2000x", "-test.count", "3"},
			metric{printed: "p50-µs", name: "p2pchat", unit: "µs"}, metric{printed: "bare-p50-µs", name: "a bare DataChannel", unit: "µs"}),
	},
	{
		name: "round-trip", title: "Round trip of a message", must: "at most 1.1 × a bare DataChannel", needs: []string{"weron"}, repeat: "p2pchat bench message",
		how: "64 bytes there and back on loopback: medians of 3,000, 3 times. weron: what its `utility latency` prints as the average.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			figures := []figure{{Name: "p2pchat", Unit: "ms"}, {Name: "a bare DataChannel", Unit: "ms"}}
			for range 3 {
				c, err := l.compare(ctx, "message", 3000)
				if err != nil {
					return figures, err
				}
				figures[0].Values, figures[1].Values = append(figures[0].Values, c.Ours.P50), append(figures[1].Values, c.Bare.P50)
			}
			rival, _ := turns(ctx, 2, "ms", contender{"weron", func(ctx context.Context) (float64, error) { return l.weronUtility(ctx, "latency", `latency: (\S+) `) }})
			return append(figures, rival...), nil
		},
	},
	{
		name: "rate", title: "Messages a second, acknowledged", must: "at least 0.7 × a bare DataChannel, in rate and in processor time", tests: "peer", more: true, repeat: "go test -bench MessageRate ./peer",
		how: "51,200 messages of 64 bytes each turn, all read and acknowledged; the bare DataChannel's reader acknowledges every 64th. Medians of 3 turns, 3 times.",
		run: benched("peer", "^BenchmarkMessageRate$", []string{"-test.benchtime", "3x", "-test.count", "3"},
			metric{printed: "msgs/s", name: "p2pchat", unit: "messages/s"}, metric{printed: "bare-msgs/s", name: "a bare DataChannel", unit: "messages/s"},
			metric{printed: "cpu-µs/msg", name: "p2pchat, processor", unit: "µs/message"}, metric{printed: "bare-cpu-µs/msg", name: "a bare DataChannel, processor", unit: "µs/message"}),
	},
	{
		name: "during-file", title: "A message during a file", tests: "peer", repeat: "go test -bench DuringFile -benchtime 1000x ./peer",
		how: "From the call that says it until it is delivered, while a file flows at full speed on loopback: 1,000 times, 3 times over.",
		run: benched("peer", "^BenchmarkMessageDuringFile$", []string{"-test.benchtime", "1000x", "-test.count", "3"}, metric{printed: "p50-ms", name: "p2pchat, median", unit: "ms"}, metric{printed: "p99-ms", name: "p2pchat, 99 %", unit: "ms"}),
	},
	{
		name: "file", title: "A file on loopback", must: "at least 0.9 × a bare DataChannel, and above croc", needs: []string{"croc", "weron"}, more: true,
		how: "512 MiB in memory file systems, hash verified: its size by the time from the receiver's exec until both programs have ended, 3 turns. croc through a relay on loopback, weron: what its `utility throughput` prints as the average.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			return turns(ctx, 3, "MB/s",
				contender{"p2pchat", func(ctx context.Context) (float64, error) { return l.sendFile(ctx, 512<<20) }},
				contender{"a bare DataChannel", l.bareSpeed},
				contender{"croc", func(ctx context.Context) (float64, error) { return l.sendCroc(ctx, 512<<20) }},
				contender{"weron", func(ctx context.Context) (float64, error) {
					return l.weronUtility(ctx, "throughput", `throughput: (\S+) MB`)
				}})
		},
	},
	{
		name: "folder", title: "A folder of 10,000 small files", must: "at most 1 s", needs: []string{"croc"},
		how: "From the receiver's exec until both programs have ended, 100 bytes a file, 2 turns. tar: one tar that packs beside one that unpacks.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			return turns(ctx, 2, "s", contender{"p2pchat", l.sendFolder}, contender{"tar | tar", l.tarFolder}, contender{"croc", l.crocFolder})
		},
	},
	{
		name: "packet", title: "Sending a packet", tests: "peer/internal/pionnet", repeat: "go test -bench Packet ./peer/internal/pionnet",
		how: "1,200 bytes to a socket on loopback: in batches (Linux), and with a system call for each.",
		run: benchedEach("peer/internal/pionnet", "BenchmarkPacket", []string{"-test.count", "3"}, metric{printed: "ns/op", unit: "µs", scale: 1e-3}, "in_batches", "p2pchat, in batches", "one_by_one", "one by one"),
	},
	{
		name: "handshake", title: "The handshake", tests: "peer", repeat: "go test -bench Handshake ./peer",
		how: "Both sides on one core: key exchange, sealing, safety words.",
		run: benched("peer", "^BenchmarkHandshake$", []string{"-test.count", "3"}, metric{printed: "ns/op", name: "p2pchat", unit: "ms", scale: 1e-6}),
	},
	link("link", "0", "11"),
	link("link-loses-some", "0.1", "9"),
	link("link-loses-more", "1", "7"),
	signaling("signaling", "http", "Signaling, processor time of a request"),
	signaling("signaling-tls", "https", "Signaling over TLS, processor time of a request"),
	{
		name: "waiting", title: "Memory of a waiting read", must: "at most 4 KB live", tests: "signaling/server", repeat: "go test -bench ParkedReads ./signaling/server",
		how: "Of 10,000, over HTTP/1.1, live in the server; beside reads that wait in their handlers, as over HTTP/2 and TLS; 3 times.",
		run: benchedEach("signaling/server", "BenchmarkParkedReads", []string{"-test.benchtime", "1x", "-test.count", "3"}, metric{printed: "KB/read", unit: "KB"}, "parked", "p2pchat, parked", "in_their_handlers", "in a handler"),
	},
	{
		name: "room", title: "Memory of a room after a call", must: "at most 7 KB", tests: "signaling/memstore", repeat: "go test -bench RoomMemory ./signaling/memstore",
		how: "Of 10,000 in the store, beside the documents in them; 3 times.",
		run: benched("signaling/memstore", "^BenchmarkRoomMemory$", []string{"-test.benchtime", "10000x", "-test.count", "3"}, metric{printed: "KB/room", name: "p2pchat", unit: "KB"}, metric{printed: "KB-of-documents/room", name: "its documents", unit: "KB"}),
	},
	{
		name: "nats", title: "A write at one server, read at another", must: "at most 1 ms", tests: "signaling/natsstore", repeat: "go test -bench Seen ./signaling/natsstore",
		how: "Over three NATS nodes, all in one process: 1,000 times, 3 times over.",
		run: benched("signaling/natsstore", "^BenchmarkSeen$", []string{"-test.benchtime", "1000x", "-test.count", "3"}, metric{printed: "µs-p50", name: "p2pchat, median", unit: "ms", scale: 1e-3}, metric{printed: "µs-p99", name: "p2pchat, 99 %", unit: "ms", scale: 1e-3}),
	},
	{
		name: "idle-memory", title: "Memory of an idle connected program", must: "at most 18 MB in line mode, 22 MB in a terminal", needs: []string{"pion answer", "pion offer"},
		how: "Resident in a connected program that says nothing (Linux), both sides. pion-to-pion, pion's own example, says something every 5 s.",
		run: func(ctx context.Context, l *lab) ([]figure, error) { return l.idle(ctx, "MB", resident) },
	},
	{
		name: "idle-wake-ups", title: "Wake-ups of an idle connected program", must: "at most 10 a second", needs: []string{"pion answer", "pion offer"},
		how: "Voluntary context switches of all its threads, for 10 s (Linux), both sides. pion-to-pion, pion's own example, says something every 5 s.",
		run: func(ctx context.Context, l *lab) ([]figure, error) { return l.idle(ctx, "wake-ups/s", wakeUps) },
	},
}

// link is a row of a link that loses a share of the packets, in percent.
func link(name, loss, must string) row {
	return row{
		name: name, title: "A file over a link that loses " + loss + " %", must: "at least " + must + " MB/s; TCP beside it keeps a third", needs: []string{"croc"},
		tests: "cmd/p2pchat", root: true, more: true, repeat: "task bench:links",
		how: "100 Mbit/s, 50 ms there and back, network namespaces; 3 times. croc's sender and receiver are each at such a link from its relay. TCP: one flow with CUBIC, alone and at the same time as the file.",
		run: func(ctx context.Context, l *lab) ([]figure, error) {
			sub, thrice := "$/^that_loses_"+loss+"_%$", []string{"-test.benchtime", "1x", "-test.count", "3"}
			figures, err := l.benchmark(ctx, "cmd/p2pchat", "^BenchmarkLink"+sub, thrice,
				metric{printed: "MB/s", name: "p2pchat", unit: "MB/s"}, metric{printed: "TCP-MB/s", name: "TCP", unit: "MB/s"},
				metric{printed: "shared-MB/s", name: "p2pchat beside TCP", unit: "MB/s"}, metric{printed: "TCP-shared-MB/s", name: "TCP beside p2pchat", unit: "MB/s"})
			rival := []figure{{Name: "croc", Unit: "MB/s", Why: l.missing["croc"]}}
			if l.programs["croc"] != "" {
				rival, _ = l.benchmark(ctx, "cmd/p2pchat", "^BenchmarkLinkOfCroc"+sub, thrice, metric{printed: "MB/s", name: label("croc"), unit: "MB/s"})
			}
			return append(figures, rival...), err
		},
	}
}

// signaling is a row of the signaling server over a scheme.
func signaling(name, scheme, title string) row {
	return row{
		name: name, title: title, must: "at most 1.3 × an echo with a map and the same documents", tests: "cmd/p2pchat/internal/bench", repeat: "go test -bench Server ./cmd/p2pchat/internal/bench",
		how: "Whole calls of 16 requests, 64 at once: all middleware on, beside an echo that keeps the same documents in a map without looking at them, and one that answers 204. Each is a process; medians of 5 turns, 3 times.",
		run: benched("cmd/p2pchat/internal/bench", "^BenchmarkServer$/^"+scheme+"$", []string{"-test.benchtime", "5x", "-test.count", "3"},
			metric{printed: "µs/p2pchat", name: "p2pchat", unit: "µs"}, metric{printed: "µs/map", name: "echo with a map", unit: "µs"}, metric{printed: "µs/bare", name: "echo, 204", unit: "µs"}),
	}
}
