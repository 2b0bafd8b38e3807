package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat"
	"p2pchat/signaling/server"
)

// checks has the check of each flag whose values have a form of their own, by its name. A command checks with the same code what it is
// given: what 'config set' saves is what a command takes. Whether a file or the name of a host is there is not checked here, because it may
// come later.
var checks = map[string]func(values []string) error{
	"connections":     first(func(text string) error { _, err := readConnections(text); return err }),
	"cors-origin":     checkOrigins,
	"ice-server":      func(list []string) error { _, _, err := chosenICEServers(list, ""); return err },
	"keep":            first(checkKeep),
	"listen":          first(func(text string) error { return checkAddressForm("--listen", text) }),
	"mail-quota":      first(func(text string) error { _, _, err := mailQuota(text); return err }),
	"mail-ttl":        first(func(text string) error { _, err := mailLife(text); return err }),
	"metrics-listen":  first(func(text string) error { return checkAddressForm("--metrics-listen", text) }),
	"proxy":           first(func(text string) error { _, err := namedProxy(text, ""); return err }),
	"public-url":      first(checkPublicURL),
	"rate":            first(func(text string) error { _, err := readRates(text); return err }),
	"relay-ip":        func(list []string) error { _, err := publicAddresses(list); return err },
	"relay-listen":    first(func(text string) error { return checkAddressForm("--relay-listen", text) }),
	"relay-ports":     first(func(text string) error { _, _, err := portRange(text); return err }),
	"relay-quota":     first(func(text string) error { _, err := relayQuota(text); return err }),
	"server":          first(func(text string) error { _, err := serverURL(text); return err }),
	"store":           first(checkStore),
	"tls-auto":        first(func(text string) error { _, err := certificateHost(text); return err }),
	"tls-auto-server": first(checkAuthority),
	"trusted-proxy":   func(list []string) error { _, err := readProxies(list); return err },
	"wait":            first(func(text string) error { return checkWait(time.Duration(number(text))) }),
}

// first returns the check of a flag that takes one value.
func first(check func(string) error) func([]string) error {
	return func(values []string) error { return check(values[0]) }
}

// checkForm returns a usageError that names the origin if a command with the flag would refuse the values, of which there is at least one
// and which the flag's type can take.
func checkForm(f *pflag.Flag, values []string, origin string) (err error) {
	if check := checks[f.Name]; check != nil {
		err = check(values)
	} else if _, bounded := leasts[f.Name]; bounded {
		err = checkLimit(f.Name, number(values[0]))
	}
	if u := (*usageError)(nil); errors.As(err, &u) {
		return &usageError{
			err:  errors.New(strings.ReplaceAll(u.Error(), "--"+f.Name, origin)),
			hint: strings.ReplaceAll(u.hint, "--"+f.Name, "p2pchat config set "+f.Name),
		}
	}
	return err
}

// checkAddressForm checks the form of an address to listen on.
func checkAddressForm(flag, text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return badAddress(flag, text)
	}
	return nil
}

// missingFile returns the first of the values that names a file or a program which must be there when a command uses it, and is not yet:
// a container may get it later.
func missingFile(f *pflag.Flag, values []string) string {
	find := func(path string) error { _, err := os.Stat(path); return err } //nolint:gosec // the person's own
	switch kind := argumentOf(f); {
	case kind == "PROGRAM":
		find = func(name string) error { _, err := exec.LookPath(name); return err }
	case kind != "FILE", f.Name == "log-file", f.Name == "outbox": // a command makes these
		return ""
	}
	if i := slices.IndexFunc(values, func(v string) bool { return find(v) != nil }); i >= 0 {
		return values[i]
	}
	return ""
}

// number returns the number that the text of a flag means; of a duration, its nanoseconds.
func number(text string) int64 {
	if d, err := time.ParseDuration(text); err == nil {
		return int64(d)
	}
	n, _ := strconv.ParseInt(text, 0, 64) // the flag's type takes it
	return n
}

// leasts has the least values of limits.
var leasts = map[string]int64{
	"max-body": 1, "max-candidates": 1, "max-client-rooms": 0, "max-client-waiting": 0, "max-rooms": 1, "max-waiting": 1, "room-ttl": 1, "shutdown-grace": 0,
}

// checkLimit returns a usageError for a limit that is too small or too large.
func checkLimit(flag string, value int64) error {
	switch least := leasts[flag]; {
	case value < least:
		return &usageError{err: fmt.Errorf("--%s must be %s", flag, map[int64]string{0: "0 or more", 1: "greater than 0"}[least])}
	case flag == "max-body" && value > server.MostBody:
		return cannotRead("--max-body", strconv.FormatInt(value, 10), fmt.Sprintf("65536, and %d at most: clients read no more", server.MostBody))
	}
	return nil
}

// checkWait checks the value of --wait.
func checkWait(d time.Duration) error {
	if d < 0 {
		return &usageError{err: errors.New("--wait must not be negative")}
	}
	return nil
}

// Who has set a flag, in the order in which they win.
const (
	setByNone = iota
	setByFile
	setByVariable
	setByPerson // on the command line
)

// setBy returns who has set the flag of c.
func setBy(c *cobra.Command, name string) int {
	switch f := c.Flags().Lookup(name); {
	case f == nil || !f.Changed:
		return setByNone
	case f.Annotations[fromFile] != nil:
		return setByFile
	case f.Annotations[fromVariable] != nil:
		return setByVariable
	}
	return setByPerson
}

// chooseName takes the login name if the person gives no name, and warns of a name that the other side will not see.
func (o *talkOptions) chooseName() {
	called := "name"
	if o.name == "" {
		o.name, called = loginName(), "login name"
	}
	if err := chat.CheckName(o.name); err != nil && o.name != "" {
		o.warn("The other side sees you as %s: your %s is %q, and %v. To choose a name: --name NAME", chat.Stranger, called, o.name, err)
	}
}

// checkPairs returns a usageError if two flags contradict each other. What a person types wins over a variable, and that over the settings.
func (o *talkOptions) checkPairs(c *cobra.Command) error {
	if o.outboxPath != "" && o.noOutbox {
		switch file, none := setBy(c, "outbox"), setBy(c, "no-outbox"); {
		case file == none:
			return &usageError{err: errors.New("--outbox keeps undelivered messages in a file, and --no-outbox keeps none"), hint: "leave --no-outbox out, or name no file"}
		case file > none:
			o.noOutbox = false
		default:
			o.outboxPath = ""
		}
	}
	if o.relayOnly && o.stripes == always && setBy(c, "relay-only") == setBy(c, "stripes") {
		return &usageError{err: errors.New("--stripes always needs a direct path, and --relay-only allows none"), hint: "leave --stripes out"}
	}
	return nil
}
