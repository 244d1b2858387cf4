package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var errNotConfirmed = errors.New("nothing was changed")

// confirm asks a person whether to go on; with yes nobody is asked. Where nobody can be
// asked it refuses: a script says --yes.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	in, is := cmd.InOrStdin().(*os.File)
	if !is || !term.IsTerminal(int(in.Fd())) {
		return fmt.Errorf("%w: there is no terminal to ask %q at; --yes goes on without", errNotConfirmed, question)
	}
	cmd.PrintErrf("%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if text := strings.ToLower(strings.TrimSpace(answer)); err != nil || text != "y" && text != "yes" {
		return errNotConfirmed
	}
	return nil
}
