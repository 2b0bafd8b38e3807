package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
	"p2pchat/peer"
)

// A usageError is the error of a command line that makes no sense, with a hint for the person.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// cannotRead returns the usageError of a flag whose value has a wrong form.
func cannotRead(flag, value, example string) error {
	return &usageError{err: fmt.Errorf("%s: cannot read %q (example: %s)", flag, value, example)}
}

// badAddress returns the usageError of a flag whose value is no address to listen on.
func badAddress(flag, value string) error {
	e := &usageError{err: fmt.Errorf("%s: cannot read %q (example: 127.0.0.1:3000, or :3000 for every address of this machine)", flag, value)}
	if _, err := strconv.ParseUint(value, 10, 16); err == nil {
		e.hint = fmt.Sprintf("did you mean %s :%s?", flag, value)
	}
	return e
}

// seeHelp returns the hint that names the help of c.
func seeHelp(c *cobra.Command) string { return fmt.Sprintf("see '%s --help'", c.CommandPath()) }

// either joins a few names: "a, b or c".
func either(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// checkArguments makes c and its subcommands return a usageError for arguments that they cannot use.
func checkArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		checkArguments(sub)
	}
	switch args := c.Args; {
	case c.Name() == "help":
		c.Args = func(c *cobra.Command, topic []string) error {
			at, rest, err := c.Root().Find(topic)
			if err != nil || len(rest) == 0 {
				return err
			}
			return unknownCommand(at, rest[0])
		}
	case c.HasParent() && c.HasSubCommands() && !c.Runnable(): // such as bench, which does nothing without a subcommand
		c.RunE = func(*cobra.Command, []string) error { return nil }
		c.Args = func(c *cobra.Command, given []string) error {
			if len(given) > 0 {
				return unknownCommand(c, given[0])
			}
			return &usageError{err: fmt.Errorf("'%s' needs a command after it", c.CommandPath()), hint: listCommands(c)}
		}
	case args == nil: // the root and cobra's own commands
		c.Args = rejectArguments
	default:
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return rejectArguments(c, given)
			}
			return nil
		}
	}
}

// rejectArguments returns a usageError if there are arguments.
func rejectArguments(c *cobra.Command, given []string) error {
	switch {
	case len(given) == 0:
		return nil
	case c.HasSubCommands():
		return unknownCommand(c, given[0])
	}
	hint := seeHelp(c)
	if strings.HasPrefix(given[0], contactMark) {
		hint = fmt.Sprintf("to meet one contact: p2pchat answer %[1]s, or p2pchat call %[1]s", quoted(given[0]))
	}
	return &usageError{err: fmt.Errorf("'%s' takes no argument, but %q was given", c.CommandPath(), given[0]), hint: hint}
}

// subcommands returns the names of the subcommands of c that a person may type.
func subcommands(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, sub.Name())
		}
	}
	return names
}

// listCommands returns the hint that lists the subcommands of c.
func listCommands(c *cobra.Command) string {
	return fmt.Sprintf("the commands of '%s' are: %s", c.CommandPath(), strings.Join(subcommands(c), ", "))
}

// unknownCommand returns the usageError of a subcommand that c does not have.
func unknownCommand(c *cobra.Command, name string) error {
	hint := cmp.Or(meantCommand(c, strings.ToLower(name)), meantCall(c, name))
	switch {
	case hint != "":
	case c.HasSubCommands():
		hint = listCommands(c)
	default:
		hint = seeHelp(c)
	}
	return &usageError{err: fmt.Errorf("there is no command '%s %s'", c.CommandPath(), screen.Clean(name)), hint: hint}
}

// elsewhereHints has what people look for in a subcommand that is to be had in another way.
var elsewhereHints = map[string]string{
	"p2pchat send":         "to send files: p2pchat call --send FILE, or /send FILE in a call",
	"p2pchat receive":      "to receive files: p2pchat answer, or p2pchat call; --accept-files takes all",
	"p2pchat contacts add": "both of you keep each other: meet in a call with a code (p2pchat call), and both type /keep there",
}

// showing are words for what a command does without a subcommand, such as contacts.
var showing = []string{"list", "ls", "show", "get", "view", "print"}

// meantCommand returns the hint which command was meant by a subcommand that c does not have, or "".
func meantCommand(c *cobra.Command, name string) string {
	if hint := elsewhereHints[c.CommandPath()+" "+name]; hint != "" {
		return hint
	}
	if c.HasParent() && c.Runnable() && slices.Contains(showing, name) {
		return fmt.Sprintf("did you mean '%s'?", c.CommandPath())
	}
	for _, sub := range c.Commands() {
		if slices.Contains(sub.SuggestFor, name) {
			return fmt.Sprintf("did you mean '%s'?", sub.CommandPath())
		}
	}
	if meant := screen.Closest(name, subcommands(c)); meant != "" {
		return fmt.Sprintf("did you mean '%s %s'?", c.CommandPath(), meant)
	}
	return ""
}

// meantCall returns the hint how to call with what is no command but a contact, a link or a code, or "".
func meantCall(c *cobra.Command, name string) string {
	text, server := pasted(name, "")
	code, err := peer.ParseCode(text)
	switch isContact := strings.HasPrefix(name, contactMark) || slices.Contains(contactNames(name), contactMark+name); {
	case isContact && c.Name() == "contacts":
		name = quoted(contactMark + strings.TrimPrefix(name, contactMark))
		return fmt.Sprintf("to call this contact: p2pchat call %[1]s; to change it: p2pchat contacts rename %[1]s @NEW, or forget or ring; to list all: p2pchat contacts", name)
	case c.HasParent():
	case isContact:
		return "to call this contact: p2pchat call " + quoted(contactMark+strings.TrimPrefix(name, contactMark))
	case err == nil && server != "":
		return "to answer the call of this link: p2pchat answer " + quoted(name)
	case err == nil && code.Secret != "" && strings.Trim(code.Room, "0123456789") == "":
		return fmt.Sprintf("to answer a call with this code, type: p2pchat answer %s", code)
	}
	return ""
}

// flagError returns the usageError of a flag that pflag refused.
func flagError(c *cobra.Command, err error) error {
	if given := c.Flags().Args(); c.HasSubCommands() && len(given) > 0 { // the flag belongs to a mistyped command
		return unknownCommand(c, given[0])
	}
	hint := seeHelp(c)
	unknown, invalid, missing := (*pflag.NotExistError)(nil), (*pflag.InvalidValueError)(nil), (*pflag.ValueRequiredError)(nil)
	switch {
	case errors.As(err, &unknown):
		name, dashes := unknown.GetSpecifiedName(), "--"
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name, dashes = short, "-"
		}
		err = fmt.Errorf("there is no flag %s%s", dashes, screen.Clean(name))
		if meant := meantFlag(c, name); meant != "" {
			hint = meant
		}
	case errors.As(err, &invalid):
		return badValue("--"+invalid.GetFlag().Name, invalid)
	case errors.As(err, &missing):
		name := missing.GetFlag().Name
		err = fmt.Errorf("--%s needs a value", name)
		hint = fmt.Sprintf("example: --%s %s; %s", name, example(missing.GetFlag()), hint)
	}
	return &usageError{err: err, hint: hint}
}

// meantFlag returns the hint which flag of c was probably meant, or which other commands have that flag.
func meantFlag(c *cobra.Command, name string) string {
	if meant := screen.Closest(name, flagNames(c)); meant != "" {
		return "did you mean --" + meant + "?"
	}
	if c.HasParent() && c.Parent().Name() == "config" {
		return meantNoFlag(c, name)
	}
	var have []string
	for _, other := range c.Root().Commands() {
		if other.Flags().Lookup(name) != nil {
			have = append(have, "'"+other.CommandPath()+"'")
		}
	}
	if have == nil {
		return ""
	}
	return fmt.Sprintf("--%s is a flag of %s", name, strings.Join(have, " and "))
}

// meantNoFlag returns the hint how to type a setting, or a value that begins with a dash, which c took for a flag of its own.
func meantNoFlag(c *cobra.Command, name string) string {
	value := map[bool]string{true: " VALUE"}[c.Name() == "set"]
	if f := settable(c.Root())[name]; f != nil {
		return fmt.Sprintf("a setting has no dashes: %s %s%s", c.CommandPath(), name, value)
	}
	return fmt.Sprintf("a value that begins with a dash comes after two of them: %s -- NAME%s", c.CommandPath(), value)
}

func flagNames(c *cobra.Command) (names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// badValue returns the usageError of a value that pflag refused for the flag or variable with that name.
func badValue(name string, e *pflag.InvalidValueError) error {
	_, err := strconv.ParseFloat(e.GetValue(), 64)
	if e.GetFlag().Value.Type() == "duration" && err == nil {
		return &usageError{err: fmt.Errorf("%s: add a unit: 5s, 10m", name)}
	}
	if e.GetFlag().Value.Type() == "bool" {
		return &usageError{err: fmt.Errorf("%s must be true or false, not %q", name, e.GetValue())}
	}
	return cannotRead(name, e.GetValue(), example(e.GetFlag()))
}

// examples are values of flags whose default and type say nothing.
var examples = map[string]string{
	"tls-auto": "chat.example.org", "public-url": "https://chat.example.org", "cors-origin": "https://www.example.org", "trusted-proxy": "127.0.0.1",
	"metrics-listen": "127.0.0.1:9100", "relay-listen": ":" + relayPort, "relay-ip": "192.0.2.1",
	"ice-server": "stun:stun.example.org:3478", "proxy": "socks5://127.0.0.1:9050", "name": "ann", "keep": "ben", "exec": "./bot",
}

// example returns a value for the flag: its default, if that is not empty, zero or false.
func example(f *pflag.Flag) string {
	if values := choices[f.Name]; values != nil {
		return values[0]
	}
	if d := f.DefValue; d != "" && d != "[]" && d != "0" && d != "0s" && d != "false" {
		return d
	}
	if e := examples[f.Name]; e != "" {
		return e
	}
	switch f.Value.Type() {
	case "bool":
		return "true"
	case "duration":
		return "30s"
	case "int", "int64", "float64":
		return "100"
	}
	return argumentOf(f)
}

// choices are the values of the flags that take one of a few words.
var choices = map[string][]string{
	"ui":         {"auto", "tui", "line", "json"},
	"stripes":    {auto, always, never},
	"lan":        {auto, always, never},
	"log-level":  {"debug", "info", "warn", "error"},
	"log-format": {"text", "json"},
}

// argumentOf returns what the help calls the value of the flag, such as FILE.
func argumentOf(f *pflag.Flag) string {
	what, _ := pflag.UnquoteUsage(f)
	return what
}

// completeFlags lets a shell complete the values of the flags of c and its subcommands, and nothing where a file makes no sense.
func completeFlags(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		how := cobra.ShellCompDirectiveNoFileComp
		switch argumentOf(f) {
		case "FILE", "PROGRAM":
			return
		case "FOLDER":
			how = cobra.ShellCompDirectiveFilterDirs
		}
		_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(choices[f.Name], how)) // it fails only for a flag that c does not have, or one that is registered
	})
	if c.ValidArgsFunction == nil && c.Runnable() && !c.HasSubCommands() {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Commands() {
		completeFlags(sub)
	}
}

// checkChoice returns a usageError if value is not one of the flag's choices.
func checkChoice(flag, value string) error {
	values := choices[flag]
	if slices.Contains(values, value) {
		return nil
	}
	return badChoice("--"+flag, "--"+flag, value, values)
}

// badChoice returns the usageError of a value that is not one of a flag's choices. The person sets it with the words of set, and the value.
func badChoice(name, set, value string, values []string) error {
	e := &usageError{err: fmt.Errorf("%s must be %s, not %q", name, either(values), value)}
	if meant := screen.Closest(value, values); meant != "" {
		e.hint = "did you mean " + set + " " + meant + "?"
	}
	return e
}
