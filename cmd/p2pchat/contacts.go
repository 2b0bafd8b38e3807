package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/contacts"
)

func contactsCommand(std stdio) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "contacts",
		Short: "List, rename or forget the people whom you call without a code",
		Long: `Two who are in a verified call keep each other: both type /keep, or start with --keep NAME.
From then on 'p2pchat call @NAME' and 'p2pchat answer @NAME' need no code.

Without a subcommand, contacts lists them. Their keys are in the folder p2pchat/contacts of
$XDG_STATE_HOME, a file for each that only you can read. Every call changes the keys.`,
		Example: `  p2pchat call @ben
  p2pchat contacts rename @ben @benjamin
  p2pchat contacts forget @ben`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			book, err := contactBook()
			if err != nil {
				return &usageError{err: err}
			}
			list, err := book.List()
			if asJSON {
				return errors.Join(listJSON(std.out, list), err)
			}
			return errors.Join(listContacts(std.out, list, err == nil), err)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a contact instead of a table")
	forget := &cobra.Command{
		Use:        "forget @NAME",
		SuggestFor: []string{"remove", "rm", "delete", "del", "drop", "unkeep"},
		Short:      "Remove a contact and its keys",
		Long: `forget removes the contact's keys, your messages that were not delivered to the contact, and the
parts of its files that have arrived so far. The contact is not told, and its calls no longer reach
you. To be able to call each other again, meet with a code and keep each other.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{err: fmt.Errorf("'%s' takes a contact", c.CommandPath()), hint: "example: p2pchat contacts forget @ben"}
			}
			return withContact(c.Context(), args[0], std.err, func(_ *contacts.Book, h *contacts.Held) error {
				dropped := undelivered(h.Contact)
				if err := errors.Join(h.Forget(), forgetOutbox(h.ID, std.err)); err != nil {
					return err
				}
				_, err := fmt.Fprintln(std.out, forgottenText(h.Name, dropped))
				return err
			})
		},
	}
	rename := &cobra.Command{
		Use:               "rename @NAME @NEW",
		Short:             "Give a contact another name",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &usageError{err: fmt.Errorf("'%s' takes a contact and its new name", c.CommandPath()), hint: "example: p2pchat contacts rename @ben @benjamin"}
			}
			return withContact(c.Context(), args[0], std.err, func(b *contacts.Book, h *contacts.Held) error {
				defer h.Release()
				if err := b.Rename(h, strings.TrimPrefix(args[1], contactMark)); err != nil {
					return contactError(strings.TrimPrefix(args[1], contactMark), err)
				}
				return nil
			})
		},
	}
	c.AddCommand(forget, rename, ringCommand(std))
	return c
}

// forgottenText says that a contact is forgotten, with the messages for which there was no receipt.
func forgottenText(name string, dropped int) string {
	text := contactMark + name + " is forgotten"
	switch {
	case dropped == 1:
		text += ", and 1 message that had no receipt yet is dropped"
	case dropped > 1:
		text += fmt.Sprintf(", and %d messages that had no receipt yet are dropped", dropped)
	}
	return text + ".\n" + contactMark + name + " is not told. To call each other again, meet with a code, and keep each other."
}

// ringCommand returns the command that says what listen does when a contact calls.
func ringCommand(std stdio) *cobra.Command {
	folder := ""
	policies := []string{contacts.RingAsk, contacts.RingAccept, contacts.RingRefuse}
	c := &cobra.Command{
		Use:        "ring @NAME ask|accept|refuse",
		SuggestFor: []string{"block", "allow", "accept", "refuse"},
		Short:      "Say what listen does when a contact calls",
		Long: `ask (the default) rings until you answer or decline. accept answers at once; with --folder, it
also takes the contact's files, into that folder. refuse does not listen for the contact,
who sees no difference from your being away.

A listen that runs already notices the change.`,
		Example: `  p2pchat contacts ring @ben accept --folder ~/inbox
  p2pchat contacts ring @ben ask`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return policies, cobra.ShellCompDirectiveNoFileComp
			}
			return completeContact(c, args, begun)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 2 || !slices.Contains(policies, args[1]) {
				return &usageError{err: fmt.Errorf("'%s' takes a contact and one of %s", c.CommandPath(), either(policies)), hint: "example: p2pchat contacts ring @ben accept"}
			}
			if folder != "" {
				if args[1] != contacts.RingAccept {
					return &usageError{err: fmt.Errorf("--folder is for %s", contacts.RingAccept), hint: "files of calls that you answer yourself are asked for"}
				}
				path, err := filepath.Abs(folder)
				if err == nil {
					err = chat.CheckFolder(path)
				}
				if err != nil {
					return &usageError{err: fmt.Errorf("--folder: %w", err), hint: "name a folder that you can write to; a missing folder is created"}
				}
				folder = path
			}
			return withContact(c.Context(), args[0], std.err, func(_ *contacts.Book, h *contacts.Held) error {
				defer h.Release()
				if err := h.Update(func(c *contacts.Contact) { c.Ring, c.Folder = args[1], folder }); err != nil {
					return err
				}
				_, err := fmt.Fprintln(std.out, ringText(h.Contact))
				return err
			})
		},
	}
	c.Flags().StringVar(&folder, "folder", "", "take the contact's files, into this `FOLDER`")
	return c
}

// ringText says in a sentence what listen does when a contact calls.
func ringText(c contacts.Contact) string {
	does := map[string]string{contacts.RingAsk: "asks you", contacts.RingAccept: "answers at once", contacts.RingRefuse: "does not answer"}[cmp.Or(c.Ring, contacts.RingAsk)]
	if c.Folder != "" {
		does += ", and takes files into " + screen.Clean(c.Folder)
	}
	return fmt.Sprintf("When %s%s calls, listen %s.", contactMark, c.Name, does)
}

// withContact locks the contact of that name, and runs do. It says in notes for what it waits.
func withContact(ctx context.Context, name string, notes io.Writer, do func(*contacts.Book, *contacts.Held) error) error {
	name = strings.TrimPrefix(name, contactMark)
	c, err := findContact(name)
	if err != nil {
		return err
	}
	book, err := contactBook()
	if err != nil {
		return err
	}
	h, err := holdPatiently(ctx, book, c, notes)
	if err != nil {
		return contactError(name, err)
	}
	return do(book, h)
}

// listContacts prints a table of the contacts. The list is complete unless a file cannot be read.
func listContacts(to io.Writer, list []contacts.Contact, complete bool) error {
	switch {
	case len(list) == 0 && complete:
		_, err := fmt.Fprintln(to, "You have kept no contacts. "+howToKeep)
		return err
	case len(list) == 0: // the error says all
		return nil
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tCALLS ITSELF\tLAST CALL\tNO RECEIPT\tSERVER")
	for _, c := range list {
		fmt.Fprintf(t, "%s%s\t%s\t%s\t%d\t%s\n", contactMark, c.Name, screen.Clean(c.Peer), lastCall(c), undelivered(c), screen.Clean(c.Server))
	}
	below := listNotes(list) // in the table they would make each row too long for a terminal
	if len(below) > 0 {
		below = append([]string{""}, below...)
	}
	for _, text := range below {
		fmt.Fprintln(t, text)
	}
	return t.Flush()
}

// listNotes says of which contacts there is more to say than a table has room for.
func listNotes(list []contacts.Contact) (notes []string) {
	for _, c := range list {
		if !c.Keys.Shown {
			notes = append(notes, fmt.Sprintf("Not confirmed: %s%s may not have kept you.", contactMark, c.Name))
		}
	}
	for _, c := range list {
		if cmp.Or(c.Ring, contacts.RingAsk) != contacts.RingAsk {
			notes = append(notes, ringText(c))
		}
	}
	return notes
}

// lastCall says when a contact was in a call, or that the other side may not have kept this one.
func lastCall(c contacts.Contact) string {
	if !c.Keys.Shown {
		return "not confirmed"
	}
	return c.Seen.Local().Format("2006-01-02 15:04")
}

// undelivered returns how many messages to a contact have no receipt: they wait here, perhaps at the server, too, and may have been read
// there. An outbox that cannot be read has none.
func undelivered(c contacts.Contact) int {
	n, _, _ := chat.PeekJournal(filepath.Join(statePath("outboxes"), c.ID+outboxExtension))
	return n
}

// listJSON prints an object a contact.
func listJSON(to io.Writer, list []contacts.Contact) error {
	for _, c := range list {
		line, err := json.Marshal(struct {
			Name        string    `json:"name"`
			Peer        string    `json:"peer"`
			Server      string    `json:"server"`
			Kept        time.Time `json:"kept"`
			Seen        time.Time `json:"seen"`
			Confirmed   bool      `json:"confirmed"`
			Undelivered int       `json:"undelivered"`
			Ring        string    `json:"ring"`
			Folder      string    `json:"folder,omitempty"`
		}{c.Name, c.Peer, c.Server, c.Kept, c.Seen, c.Keys.Shown, undelivered(c), cmp.Or(c.Ring, contacts.RingAsk), c.Folder})
		if err == nil {
			_, err = to.Write(append(screen.Escape(line), '\n'))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// completeContact completes the name of a contact.
func completeContact(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return contactNames(begun), cobra.ShellCompDirectiveNoFileComp
}

// contactNames returns the contacts whose names begin with begun, which may have its mark.
func contactNames(begun string) (names []string) {
	book, err := contactBook()
	if err != nil {
		return nil
	}
	list, _ := book.List() // those that can be read
	for _, c := range list {
		if strings.HasPrefix(c.Name, strings.TrimPrefix(begun, contactMark)) {
			names = append(names, contactMark+c.Name)
		}
	}
	return names
}
