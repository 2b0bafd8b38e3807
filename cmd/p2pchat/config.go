package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/settings"
)

func configCommand(std stdio) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "config",
		Short: "Show or change the settings that every run uses",
		Long: `Without a subcommand, config prints each setting, where its value comes from (the settings
file, an environment variable, or the default), and the value.

The name of a setting is that of a flag without the dashes. The file is config.toml in the
folder p2pchat of your folder for configuration, a line for each setting:

  server = "https://chat.example.org"
  relay-only = true
  ice-server = ["stun:stun.example.org:3478"]

A flag on the command line wins over an environment variable, and a variable over the file.
A command that cannot use a line of the file names the line and ends; config does so, too.
Three things are not taken from it: what bench measures on this machine or of servers, the
server that ready asks, and the ice-server that serve hands out. P2PCHAT_CONFIG names another
file; P2PCHAT_CONFIG=none ignores all settings for one run.`,
		Example: `  p2pchat config set server https://chat.example.org
  p2pchat config unset server
  p2pchat config`,
		Args: cobra.NoArgs,
		// In place of the root's: config must work whatever is in the file.
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return environment(c, os.Environ(), std) },
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := openSettings()
			if err != nil {
				return err
			}
			return printSettings(std.out, file, settable(c.Root()), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	set := &cobra.Command{
		Use:        "set NAME VALUE...",
		SuggestFor: []string{"edit", "change", "add"},
		Short:      "Save a setting for every run",
		Long: `set saves the value of a flag in the settings file. A flag that can be given more than once
takes several values. A value that the flag would refuse is not saved. Comments and other
lines of the file stay as they are.`,
		Example: `  p2pchat config set server https://chat.example.org
  p2pchat config set relay-only true`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return &usageError{err: fmt.Errorf("'%s' takes a name and a value", c.CommandPath()), hint: "example: p2pchat config set server https://chat.example.org"}
			}
			return setSetting(std.err, settable(c.Root()), args[0], args[1:])
		},
		ValidArgsFunction: completeSettings,
	}
	unset := &cobra.Command{
		Use:        "unset NAME",
		SuggestFor: []string{"remove", "rm", "delete", "reset"},
		Short:      "Remove a setting from the file",
		Long: `unset removes the line of a setting from the file, also if that line is why the file cannot be
read. The default holds again.`,
		Example: `  p2pchat config unset server`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{err: fmt.Errorf("'%s' takes the name of a setting", c.CommandPath()), hint: "example: p2pchat config unset server"}
			}
			return unsetSetting(std.err, settable(c.Root()), args[0])
		},
		ValidArgsFunction: completeSettings,
	}
	c.AddCommand(set, unset)
	return c
}

// findSettings returns the path of the settings file. It returns a usageError if the user has no folder for it.
func findSettings() (string, error) {
	path := settingsPath()
	switch {
	case path != "":
		return path, nil
	case os.Getenv(configVariable) == noSettings:
		return "", &usageError{err: errors.New(configVariable + " says that there is no settings file"), hint: "unset it, or let it name a file"}
	}
	return "", &usageError{err: errors.New("this user has no folder for settings"), hint: "set HOME or XDG_CONFIG_HOME, or name a file in " + configVariable}
}

// openSettings opens the settings file. It returns a usageError if there is no place for it, or if it cannot be read.
func openSettings() (*settings.File, error) {
	path, err := findSettings()
	if err != nil {
		return nil, err
	}
	file, err := settings.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	return file, nil
}

// save saves the settings. It returns a usageError if that is not possible.
func save(file *settings.File) error {
	if err := file.Save(); err != nil {
		return &usageError{err: fmt.Errorf("the settings cannot be saved: %w", err), hint: "set HOME or XDG_CONFIG_HOME to a folder that you can write to, or name a file in " + configVariable}
	}
	return nil
}

// A shownSetting is a setting as config prints it.
type shownSetting struct {
	Name   string   `json:"name"`
	Values []string `json:"values"` // one, but for flags that can be given more than once; none if it is not set
	From   string   `json:"from"`   // settings, default, or the name of an environment variable
}

// show returns the value that the flag has without a flag on the command line.
func show(f *pflag.Flag, file *settings.File) shownSetting {
	s := shownSetting{Name: f.Name, From: "default"}
	if value := os.Getenv(variable(f.Name)); value != "" {
		s.Values, s.From = []string{value}, variable(f.Name)
		if isList(f) {
			s.Values = strings.Fields(value)
		}
		return s
	}
	if f.Name == "access-key-file" && os.Getenv(keyVariable) != "" { // it wins over the settings, and is not to be seen
		s.From = keyVariable
		return s
	}
	for _, in := range file.Settings() {
		if in.Name == f.Name {
			s.Values, s.From = in.Values, "settings"
			return s
		}
	}
	if !isList(f) && f.DefValue != "" {
		s.Values = []string{f.DefValue}
	}
	return s
}

// password is that of a user in the address of a NATS or TURN server.
var password = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([a-z0-9]+:(?://)?[^:@/]*:)([^@]+)(@)`) })

// hidePasswords returns the values with asterisks for the password of each address.
func hidePasswords(values []string) []string {
	var hidden []string
	for _, v := range values {
		hidden = append(hidden, password().ReplaceAllString(v, "$1***$3"))
	}
	return hidden
}

// printSettings prints each setting, its value, and where that comes from.
func printSettings(out io.Writer, file *settings.File, known map[string]*pflag.Flag, asJSON bool) error {
	shown := []shownSetting{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		one := show(known[name], file)
		one.Values = hidePasswords(one.Values)
		shown = append(shown, one)
	}
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"path": file.Path(), "settings": shown})
	}
	missing := ""
	if isMissing(file.Path()) {
		missing = " (does not exist yet)"
	}
	fmt.Fprintf(out, "Settings file: %s%s\n\n", screen.Clean(file.Path()), missing)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SETTING\tFROM\tVALUE") // the value last: only its own row is long
	for _, s := range shown {
		values := s.Values
		if len(values) == 0 {
			values = []string{"(not set)"}
		}
		name, from := s.Name, s.From
		for _, v := range values {
			fmt.Fprintf(table, "%s\t%s\t%s\n", name, from, screen.Clean(v))
			name, from = "", ""
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, s := range file.Settings() {
		origin, err := checkLine(s, file.Path(), known)
		if err == nil && len(s.Values) > 0 {
			err = checkForm(known[s.Name], s.Values, origin)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setSetting saves a setting, and writes a line about it to notes.
func setSetting(notes io.Writer, known map[string]*pflag.Flag, name string, values []string) error {
	name = strings.TrimPrefix(name, "--")
	f := known[name]
	if f == nil {
		return &usageError{err: fmt.Errorf("%s is not a setting", screen.Clean(name)), hint: meantSetting(name, known)}
	}
	if err := checkSetting(f, values, name); err != nil {
		return err
	}
	if err := checkForm(f, values, name); err != nil {
		return err
	}
	file, err := openSettings()
	if err != nil {
		return err
	}
	if err := file.Set(name, typed(f, values)); err != nil {
		return err
	}
	shown := hidePasswords(values)
	if !slices.Equal(shown, values) {
		file.Secret()
	}
	if err := save(file); err != nil {
		return err
	}
	fmt.Fprintf(notes, "p2pchat: %s is now %s, in %s\n", name, screen.Clean(strings.Join(shown, " ")), screen.Clean(file.Path()))
	if os.Getenv(variable(name)) != "" {
		fmt.Fprintf(notes, "p2pchat: %s is set in the environment, and wins\n", variable(name))
	}
	if missing := missingFile(f, values); missing != "" {
		fmt.Fprintf(notes, "p2pchat: warning: %s does not exist. Until it does, commands that use this setting fail.\n", screen.Clean(missing))
	}
	return nil
}

// typed returns the values as the settings file has them: lists, texts, true and false, and whole numbers.
func typed(f *pflag.Flag, values []string) any {
	if isList(f) {
		return values
	}
	switch f.Value.Type() {
	case "bool":
		if b, err := strconv.ParseBool(values[0]); err == nil {
			return b
		}
	case "int", "int64":
		if n, err := strconv.ParseInt(values[0], 10, 64); err == nil {
			return n
		}
	}
	return values[0]
}

// unsetSetting removes a setting, and writes a line about it to notes.
func unsetSetting(notes io.Writer, known map[string]*pflag.Flag, name string) error {
	name = strings.TrimPrefix(name, "--")
	path, err := findSettings()
	if err != nil {
		return err
	}
	file, was, rest := settings.OpenWithout(path, name)
	switch {
	case was:
		if err := save(file); err != nil {
			return err
		}
		fmt.Fprintf(notes, "p2pchat: %s is no longer set in %s\n", screen.Clean(name), screen.Clean(path))
	case rest == nil && known[name] == nil:
		return &usageError{err: fmt.Errorf("%s is not a setting", screen.Clean(name)), hint: meantSetting(name, known)}
	case rest == nil:
		fmt.Fprintf(notes, "p2pchat: %s was not set in %s\n", screen.Clean(name), screen.Clean(path))
	}
	if rest != nil {
		return unreadable(rest)
	}
	return nil
}

// completeSettings lets a shell complete the name of a setting, and then a choice.
func completeSettings(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return slices.Sorted(maps.Keys(settable(c.Root()))), cobra.ShellCompDirectiveNoFileComp
	}
	f := settable(c.Root())[args[0]]
	switch {
	case f == nil:
	case f.Value.Type() == "bool":
		return []string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp
	case slices.Contains([]string{"FILE", "FOLDER", "PROGRAM"}, argumentOf(f)):
		return nil, cobra.ShellCompDirectiveDefault
	}
	return choices[args[0]], cobra.ShellCompDirectiveNoFileComp
}
