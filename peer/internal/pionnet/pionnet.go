// Package pionnet holds everything that is done to pion from outside, because pion has no option for it.
// Its settings that are options are in package peer (connection.go). Each file says what pion lacks, what the
// file does about it, and which change of pion would retire the file:
//
//	net.go              sockets, look-ups and connections that end with a context
//	batch_linux.go      many UDP packets in one system call
//	quietudp_linux.go   packets that do not wake Go's monitor thread
//	sockets.go          sockets that QUIC shares with ICE; beside.go is QUIC's side of them
//	packets.go          when the last packet came, and when none has for a while
//	alarm.go            a timer that is set later each time, and wakes nothing
//	interfaces.go       which of the machine's addresses are gathered
//	routes.go           sockets of bridges that keep to the machine's routes
//	elsewhere.go        sockets that do not follow the routes: of a network without one address, or until a connection has moved
//	deadlink.go         sockets that leave a link without a carrier
//	watch.go            when links, addresses or routes have changed; what the system tells is in watch_socket.go (watch_linux.go,
//	                    watch_bsd.go) and watch_windows.go
//	icetcp.go           ICE over TCP with a bound on the connections of strangers
//	turnnet.go          permissions of a TURN server that cost no round trip
//	turnconn.go         the connections on which they are answered
//	turnfilter.go       private addresses that no TURN server learns
//	turnrefusal.go      that a TURN server no longer keeps an allocation
//	sources.go          a bound on the addresses that checks come from
//	names.go            addresses that browsers hide behind names
//	firstcheck.go       a pair that is used as soon as its first check arrives
//	checks.go           checks of all pairs at once, when the program wants them
//	close.go            closing without pion's waits
//	log.go              pion's log, a level down
//
// It knows pion and the network, and nothing of calls, rooms or codes.
package pionnet
