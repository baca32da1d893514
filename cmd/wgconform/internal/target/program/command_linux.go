package program

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"mvdan.cc/sh/v3/shell"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
)

// placeholder stands for the name of the interface in a command.
const placeholder = "{if}"

// split cuts a command line into words as a shell would, with variables from env, and puts the interface's name in or
// at the end. The first word becomes a path that does not depend on PATH.
func split(command string, env func(string) string) ([]string, error) {
	words, err := shell.Fields(command, env)
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", command, err)
	}
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	named := false
	for i, w := range words {
		named = named || strings.Contains(w, placeholder)
		words[i] = strings.ReplaceAll(w, placeholder, realtime.Interface)
	}
	if !named {
		words = append(words, realtime.Interface)
	}
	path, err := exec.LookPath(words[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", command, err)
	}
	words[0] = path
	return words, nil
}
