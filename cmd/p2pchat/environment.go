package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
)

// variablePrefix begins the name of each environment variable that sets a flag.
const variablePrefix = "P2PCHAT_"

// variable returns the name of the environment variable of a flag.
func variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment sets the flags of c that the command line does not set from P2PCHAT_… variables, as os.Environ
// lists them. It returns a usageError for an empty value of a flag or of a variable that protects something: a
// script whose variable is unset must not lift the protection.
func environment(c *cobra.Command, variables []string, std stdio) (err error) {
	values := map[string]string{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if runtime.GOOS == "windows" { // names of variables ignore case there
			name = strings.ToUpper(name)
		}
		if strings.HasPrefix(name, variablePrefix) {
			values[name] = value
		}
	}
	if err := checkEmpty(c, values); err != nil {
		return err
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if value := values[variable(f.Name)]; err == nil && value != "" {
			given := []string{value}
			if isList(f) {
				given = strings.Fields(value)
			}
			changed := f.Changed
			if err = setUnchanged(c.Flags(), f, given, variable(f.Name)); !changed && err == nil {
				err = c.Flags().SetAnnotation(f.Name, fromVariable, []string{variable(f.Name)})
			}
		}
	})
	if err != nil {
		return err
	}
	return checkVariables(c, values, std)
}

// fromVariable is the annotation of a flag that a variable has set, with the variable's name.
const fromVariable = "p2pchat-variable"

// flagPattern matches a flag in a sentence.
var flagPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`--[a-z]+(?:-[a-z]+)*`) }) // not compiled at each start

// nameOrigin returns err with the variable, or the line of the settings file, in the place of each flag whose value came from there.
func nameOrigin(c *cobra.Command, err error) error {
	u, ok := err.(*usageError) //nolint:errorlint // one that a screen has shown stays as it was shown
	if !ok {
		return err
	}
	text := flagPattern().ReplaceAllStringFunc(u.Error(), func(flag string) string {
		if f := c.Flags().Lookup(flag[2:]); f != nil {
			for _, origin := range []string{fromVariable, fromFile} {
				if name := f.Annotations[origin]; name != nil {
					return name[0]
				}
			}
		}
		return flag
	})
	if text == u.Error() {
		return err
	}
	return &usageError{err: errors.New(text), hint: u.hint}
}

// A correction matches the part of a hint that says how to correct a flag. If the value of the flag came from a variable or the settings
// file, other words say how to correct that.
type correction struct {
	pattern           *regexp.Regexp // of the name of the flag, and its right value if it has one
	variable, setting string         // with the name of the variable or setting, and that value
}

var corrections = sync.OnceValue(func() []correction {
	return []correction{
		{regexp.MustCompile(`did you mean --([a-z-]+) ([^ ]+)\?$`), "did you mean %s=%s?", "to correct the setting: p2pchat config set %s %s"},
		{regexp.MustCompile(`leave --([a-z-]+) out`), "unset %s", "remove the setting (p2pchat config unset %s)"},
	}
})

// correctOrigin returns a hint that says how to correct the variable, or the line of the settings file, from which the value of the
// flag came that the hint is about.
func correctOrigin(c *cobra.Command, hint string) string {
	for _, to := range corrections() {
		at := to.pattern.FindStringSubmatchIndex(hint)
		if at == nil {
			continue
		}
		name := hint[at[2]:at[3]]
		f := c.Flags().Lookup(name)
		var words string
		switch {
		case f == nil:
			continue
		case f.Annotations[fromVariable] != nil:
			words, name = to.variable, variable(name)
		case f.Annotations[fromFile] != nil:
			words = to.setting
		default:
			continue
		}
		with := []any{name}
		if len(at) > 4 {
			with = append(with, hint[at[4]:at[5]])
		}
		hint = hint[:at[0]] + fmt.Sprintf(words, with...) + hint[at[1]:]
	}
	return hint
}

// checkEmpty returns a usageError if a flag of a text is given but empty, or if a variable that protects something
// is: a compose file sets it so if it refers to an unset variable.
func checkEmpty(c *cobra.Command, values map[string]string) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			err = &usageError{err: fmt.Errorf("--%s is empty", f.Name), hint: "give it a value, or leave it out"}
		}
	})
	if err != nil {
		return err
	}
	unset := func(flag string) bool { f := c.Flags().Lookup(flag); return f != nil && !f.Changed }
	for _, v := range []struct{ flag, variable string }{
		{"access-key-file", variable("access-key-file")}, {"access-key-file", variable("access-key")}, {"relay-only", variable("relay-only")}, {"proxy", variable("proxy")},
	} {
		if value, set := values[v.variable]; set && value == "" && unset(v.flag) {
			return &usageError{err: fmt.Errorf("%s is empty", v.variable), hint: "give it a value, or unset it"}
		}
	}
	return nil
}

// isList reports whether the flag can be given more than once.
func isList(f *pflag.Flag) bool { return f.Value.Type() == "stringArray" }

// setUnchanged gives the flag the values, unless it has been set. It returns a usageError that names the origin
// of a value which the flag cannot take.
func setUnchanged(flags *pflag.FlagSet, f *pflag.Flag, values []string, origin string) error {
	if f.Changed || f.Name == "help" {
		return nil
	}
	for _, v := range values {
		invalid := (*pflag.InvalidValueError)(nil)
		switch err := flags.Set(f.Name, v); {
		case errors.As(err, &invalid):
			return badValue(origin, invalid)
		case err != nil:
			return &usageError{err: fmt.Errorf("%s: %w", origin, err)}
		}
	}
	return nil
}

// checkVariables returns a usageError for a variable that looks like the mistyped variable of a flag of c:
// P2PCHAT_RELAYONLY must not reveal an address. It warns of any other unknown variable.
func checkVariables(c *cobra.Command, values map[string]string, std stdio) error {
	if c.Hidden { // the completion of a shell
		return nil
	}
	known := sync.OnceValue(func() []string { return knownVariables(c) }) // most starts have no variable to look up
	for _, name := range slices.Sorted(maps.Keys(values)) {
		short := strings.TrimPrefix(name, variablePrefix)
		if values[name] == "" || isServiceVariable(name) || slices.Contains(known(), short) {
			continue
		}
		meant := screen.Closest(strings.ToUpper(short), known())
		hint := ""
		if meant != "" {
			hint = "Did you mean " + variablePrefix + meant + "?"
		}
		if c.Flags().Lookup(strings.ToLower(strings.ReplaceAll(meant, "_", "-"))) != nil {
			return &usageError{err: fmt.Errorf("%s is not a setting of p2pchat", screen.Clean(name)), hint: "did you mean " + variablePrefix + meant + "?"}
		}
		std.warn(c, strings.TrimSpace("the environment variable "+screen.Clean(name)+" has no effect: no flag has that name. "+hint))
	}
	return nil
}

// knownVariables returns the names, without variablePrefix, of the variables that any command has.
func knownVariables(c *cobra.Command) []string {
	known := []string{"CODE", "ACCESS_KEY", "CONFIG", "CONTACT"}
	for _, other := range append(c.Root().Commands(), c) {
		for _, sub := range append(other.Commands(), other) {
			for _, f := range flagNames(sub) {
				known = append(known, strings.TrimPrefix(variable(f), variablePrefix))
			}
		}
	}
	return known
}

// isServiceVariable reports whether Kubernetes sets the variable for a service called p2pchat.
func isServiceVariable(name string) bool {
	return name == "P2PCHAT_PORT" || strings.HasPrefix(name, "P2PCHAT_PORT_") || strings.HasPrefix(name, "P2PCHAT_SERVICE_")
}
