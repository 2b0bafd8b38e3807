package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/settings"
)

// configVariable names the settings file, or is noSettings.
const (
	configVariable = variablePrefix + "CONFIG"
	noSettings     = "none"
)

// settingsPath returns the path of the settings file, or "" if there is none for this run, or if the user has no
// folder for configuration, as some services do not.
func settingsPath() string {
	switch path := os.Getenv(configVariable); path {
	case "":
	case noSettings:
		return ""
	default:
		return path
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "p2pchat", "config.toml")
}

// checkNamed returns a usageError if a variable names the settings file at path, and there is none: it could say relay-only.
func checkNamed(path string) error {
	if os.Getenv(configVariable) == "" || !isMissing(path) {
		return nil
	}
	return &usageError{
		err:  fmt.Errorf("%s names %s, and there is no such file", configVariable, screen.Clean(path)),
		hint: "correct the path, or make the file: p2pchat config set NAME VALUE; without settings: " + configVariable + "=" + noSettings,
	}
}

// fromFile is the annotation of a flag that the settings file has set, with the line that did.
const fromFile = "p2pchat-settings"

// isFromFile reports whether the settings file has set the flag of c.
func isFromFile(c *cobra.Command, name string) bool {
	f := c.Flags().Lookup(name)
	return f != nil && f.Annotations[fromFile] != nil
}

// applySettings sets the flags of c that neither the command line nor a variable has set from the settings file.
// It returns a usageError if the file cannot be read, or has a setting or a value that no flag has.
func applySettings(c *cobra.Command, path string) error {
	if path == "" || !usesSettings(c) {
		return nil
	}
	file, err := settings.Open(path)
	if err != nil {
		return unreadable(err)
	}
	if err := checkNamed(path); err != nil {
		return err
	}
	known := settable(c.Root())
	for _, s := range file.Settings() {
		origin, err := checkLine(s, path, known)
		if err != nil {
			return err
		}
		f := c.Flags().Lookup(s.Name)
		if f == nil || f.Changed || c.Name() == "serve" && f.Name == "ice-server" || f.Name == "access-key-file" && os.Getenv(keyVariable) != "" {
			continue
		}
		if err := setUnchanged(c.Flags(), f, s.Values, origin); err != nil {
			return err
		}
		if err := c.Flags().SetAnnotation(f.Name, fromFile, []string{origin}); err != nil {
			return err
		}
	}
	return nil
}

// unreadable returns the usageError of a settings file that cannot be read. It is no reason to go on without the
// file: that could say relay-only.
func unreadable(err error) error {
	hint := "mend the file; 'p2pchat help config' has its form"
	if e := (*settings.Error)(nil); errors.As(err, &e) && e.Name != "" {
		hint = "correct that line, or remove it: p2pchat config unset " + quoted(e.Name) + "; 'p2pchat help config' has the form of the file"
	}
	if errors.Is(err, syscall.EISDIR) {
		hint = "let " + configVariable + " name a file, or move the folder"
	}
	if errors.Is(err, fs.ErrPermission) {
		hint = "if the file is another user's, set HOME or XDG_CONFIG_HOME to a folder of your own; without settings: " + configVariable + "=" + noSettings
	}
	return &usageError{err: err, hint: hint}
}

// usesSettings reports whether the settings are for c.
func usesSettings(c *cobra.Command) bool { return hasSettings(c) || measuresPath(c) }

// hasSettings reports whether the settings are for c, whatever its arguments: they are not for bench, whose flags
// each measurement chooses (but see measuresPath), for ready, which asks the server of this machine, and for those
// commands that must work whatever is in the file.
func hasSettings(c *cobra.Command) bool {
	for at := c; at.HasParent(); at = at.Parent() {
		if at.Hidden || slices.Contains([]string{"bench", "config", "help", "ready", "version", "completion"}, at.Name()) {
			return false
		}
	}
	return c.HasParent()
}

// measuresPath reports whether c is a bench between two people, who meet as with call and answer: at the server that they have saved, and
// without showing addresses that they have said not to show.
func measuresPath(c *cobra.Command) bool {
	calls := c.Flags().Lookup("call")
	return calls != nil && (calls.Value.String() == "true" || c.Flags().NArg() > 0)
}

// perRun are the flags that no setting can set: each is about one contact, or one conversation.
var perRun = []string{"folder", "resume"}

// settable returns the flags that settings can set, by name: those of all commands but perRun. A flag that several
// commands have counts as that of the first, in alphabetical order.
func settable(root *cobra.Command) map[string]*pflag.Flag {
	flags := map[string]*pflag.Flag{}
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		if hasSettings(c) {
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if flags[f.Name] == nil && f.Name != "help" && !f.Hidden && !slices.Contains(perRun, f.Name) {
					flags[f.Name] = f
				}
			})
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(root)
	return flags
}

// meantSetting returns the hint which setting was probably meant.
func meantSetting(name string, known map[string]*pflag.Flag) string {
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	if name == "access-key" {
		return "a key is kept in a file of its own: access-key-file"
	}
	if meant := screen.Closest(name, names); meant != "" {
		return "did you mean " + meant + "?"
	}
	return "a setting has the name of a flag, without the dashes: 'p2pchat config' lists all"
}

// checkLine returns what to call a setting of the file at path, and a usageError if it is none of those that are
// known, or has a value that its flag cannot take.
func checkLine(s settings.Setting, path string, known map[string]*pflag.Flag) (origin string, err error) {
	origin = fmt.Sprintf("%s, line %d: %s", screen.Clean(path), s.Line, screen.Clean(s.Name))
	if known[s.Name] == nil {
		return origin, &usageError{err: fmt.Errorf("%s is not a setting", origin), hint: meantSetting(s.Name, known)}
	}
	return origin, checkSetting(known[s.Name], s.Values, origin)
}

// checkSetting returns a usageError that names the origin if the flag cannot take the values.
func checkSetting(f *pflag.Flag, values []string, origin string) error {
	if !isList(f) && len(values) != 1 {
		return &usageError{err: fmt.Errorf("%s takes one value", origin), hint: "example: " + example(f)}
	}
	if slices.Contains(values, "") {
		return &usageError{err: fmt.Errorf("%s is empty", origin), hint: "give it a value, or take it out: p2pchat config unset " + f.Name}
	}
	if choices[f.Name] != nil && !slices.Contains(choices[f.Name], values[0]) {
		return badChoice(origin, "p2pchat config set "+f.Name, values[0], choices[f.Name])
	}
	return canTake(f, values, origin)
}

// canTake returns a usageError if the flag's type cannot take the values. It leaves the flag as it is.
func canTake(f *pflag.Flag, values []string, origin string) error {
	if isList(f) {
		return nil // takes any text
	}
	before, changed := f.Value.String(), f.Changed
	defer func() {
		_ = f.Value.Set(before) // it had that value
		f.Changed = changed
	}()
	probe := pflag.NewFlagSet("", pflag.ContinueOnError)
	probe.AddFlag(f)
	err := probe.Set(f.Name, values[0])
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) {
		return badValue(origin, invalid)
	}
	return err
}
