package shim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance"
)

// kinds are the columns of the table of tolerances.
var kinds = []string{"exact", "go", "kernel", "poll250", "remote"}

// Factory makes subjects of one command. It implements conformance.Factory.
type Factory struct {
	ctx          context.Context
	words        []string
	runner       string
	capabilities conformance.Capabilities
	addresses    bool
	patience     time.Duration // 0: Patience

	mu   sync.Mutex
	idle []*Process
}

// New starts the command and asks it what it is. runner is what hello tells of us. kind picks the tolerances
// (conformance.Capabilities); empty: what the shim says. The factory is to be closed; its processes end with ctx too.
func New(ctx context.Context, command, runner, kind string) (*Factory, error) {
	words, err := Split(command)
	if err != nil {
		return nil, err
	}
	f := &Factory{ctx: ctx, words: words, runner: runner}
	p, g, err := f.start()
	if err != nil {
		return nil, err
	}
	f.idle = append(f.idle, p)
	if f.capabilities, f.addresses, err = Understand(g); err != nil {
		return nil, errors.Join(fmt.Errorf(`the reply to "hello": %w`, err), f.Close())
	}
	if kind != "" {
		f.capabilities.Kind = kind
	}
	return f, nil
}

// Hello greets a new process.
func Hello(p *Process, runner string) (*proto.Greeting, error) {
	reply, err := p.Ask(&proto.Request{Op: proto.OpHello, Protocol: proto.Version, Runner: runner})
	switch {
	case err != nil:
		return nil, err
	case reply.Error+reply.Unsupported != "":
		return nil, &ReplyError{Op: proto.OpHello, Err: errors.New(reply.Error + reply.Unsupported)}
	case reply.Greeting == nil:
		return nil, &ReplyError{Op: proto.OpHello, Err: errors.New(`"protocol" is missing`)}
	}
	return reply.Greeting, nil
}

// start starts a process and greets it.
func (f *Factory) start() (*Process, *proto.Greeting, error) {
	p, err := Start(f.ctx, f.words)
	if err != nil {
		return nil, nil, err
	}
	if f.patience > 0 {
		p.Patience = f.patience
	}
	g, err := Hello(p, f.runner)
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return p, g, nil
}

// Understand checks what a shim says of itself and says it in the suite's words. The error is a *proto.FieldError.
func Understand(g *proto.Greeting) (c conformance.Capabilities, addresses bool, err error) {
	bad := func(field, format string, args ...any) (conformance.Capabilities, bool, error) {
		return c, false, &proto.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
	}
	layers := []string{string(conformance.LayerDevice), string(conformance.LayerLibrary)}
	switch {
	case g.Protocol != proto.Version:
		return bad("protocol", "is %d, and this runner speaks %d", g.Protocol, proto.Version)
	case g.Name == "":
		return bad("name", "is missing")
	case !slices.Contains(layers, g.Layer):
		return bad("layer", "is %q, there are %s", g.Layer, strings.Join(layers, ", "))
	case !slices.Contains(kinds, g.Kind):
		return bad("kind", "is %q, there are %s", g.Kind, strings.Join(kinds, ", "))
	}
	c = conformance.Capabilities{Name: "shim:" + g.Name, Version: g.Version, Kind: g.Kind, Virtual: true,
		Layer: conformance.Layer(g.Layer), Has: conformance.NeedVirtual, Lacks: map[conformance.Need]string{
			conformance.NeedOuter: "a shim gives UDP payloads: there are no outer headers",
			conformance.NeedHost:  "there is no host: inner packets are the suite's",
		}}
	for i, word := range g.Capabilities {
		if !slices.Contains(proto.Words(), word) {
			return bad(fmt.Sprintf("capabilities.%d", i), "is %q, there are %s", word, strings.Join(proto.Words(), ", "))
		}
		c.Has |= proto.NeedOf(word)
	}
	if c.Has&conformance.NeedInner != 0 { // what is made up for the host comes out with the rest
		c.Has |= conformance.NeedErrors
	}
	for word, why := range g.Lacks {
		switch {
		case !slices.Contains(proto.Words(), word):
			return bad("lacks."+word, "is no capability, there are %s", strings.Join(proto.Words(), ", "))
		case slices.Contains(g.Capabilities, word):
			return bad("lacks."+word, "is among the capabilities too")
		case proto.NeedOf(word) != 0:
			c.Lacks[proto.NeedOf(word)] = why
		}
	}
	return c, slices.Contains(g.Capabilities, proto.Addresses), nil
}

// Capabilities implements conformance.Factory.
func (f *Factory) Capabilities() conformance.Capabilities { return f.capabilities }

// New implements conformance.Factory. An error that errors.Is errors.ErrUnsupported is what the shim cannot do.
func (f *Factory) New(setup conformance.Setup) (conformance.Subject, error) {
	p, err := f.take()
	if err != nil {
		return nil, err
	}
	s := &subject{f: f, p: p, name: setup.Name}
	if err := s.open(setup); err != nil {
		if s.p != nil {
			f.give(s.p)
		}
		return nil, err
	}
	return s, nil
}

// take gives a process that nobody uses.
func (f *Factory) take() (*Process, error) {
	f.mu.Lock()
	if n := len(f.idle); n > 0 {
		p := f.idle[n-1]
		f.idle = f.idle[:n-1]
		f.mu.Unlock()
		return p, nil
	}
	f.mu.Unlock()
	p, _, err := f.start()
	return p, err
}

// give takes it back.
func (f *Factory) give(p *Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, p)
}

// Close ends the processes that nobody uses. Subjects are to be closed before. That one ends badly when all has been
// said is for shim-check to find.
func (f *Factory) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.idle {
		_ = p.Close()
	}
	f.idle = nil
	return nil
}
