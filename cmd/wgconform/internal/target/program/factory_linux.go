package program

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

// Factory makes subjects of one command. It implements conformance.Factory.
type Factory struct {
	words        []string
	heart        *realtime.Heart
	capabilities conformance.Capabilities
}

// New prepares a command as a target: it splits it, finds out what it is, and starts it once to listen for 5 s what
// it and its host do when there is nothing to do. Anything but silence is an error that names it, since it would be
// taken for the protocol's in the cases. kind picks the tolerances (conformance.Capabilities); empty: by the program.
// The factory is to be closed.
func New(ctx context.Context, command, kind string) (*Factory, error) {
	if err := realtime.Check(); err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return nil, errors.New("exec: needs /dev/net/tun")
	}
	words, err := split(command, os.Getenv)
	if err != nil {
		return nil, err
	}
	f := &Factory{words: words, heart: realtime.NewHeart(), capabilities: realtime.Capabilities()}
	f.capabilities.Name = "exec:" + words[0]
	f.capabilities.Has |= conformance.NeedUAPI
	f.capabilities.Lacks[conformance.NeedVirtual] = "the program runs in real time"
	is, err := identify(ctx, words[0])
	if err == nil {
		f.capabilities.Version, f.capabilities.Kind = is.version, is.kind
		if kind != "" {
			f.capabilities.Kind = kind
		}
		err = realtime.Listen(ctx, words[0], f.start)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Capabilities implements conformance.Factory.
func (f *Factory) Capabilities() conformance.Capabilities { return f.capabilities }

// New implements conformance.Factory. A nil error means that the program runs, is configured and answers.
func (f *Factory) New(setup conformance.Setup) (conformance.Subject, error) {
	s, err := newSubject(f.words, f.heart, setup)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (f *Factory) start(setup conformance.Setup) (*realtime.Subject, error) {
	s, err := newSubject(f.words, f.heart, setup)
	if err != nil {
		return nil, err
	}
	return s.Subject, nil
}

// Close ends the factory, not its subjects.
func (f *Factory) Close() error {
	f.heart.Close()
	return nil
}
