package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/kernel"
	exec "github.com/purewire/purewire/cmd/wgconform/internal/target/program"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/remote"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

// targetKind is a way to reach an implementation. A target is written "name" or, if it takes something, "name:what".
type targetKind struct {
	name string
	what string // what stands behind the colon, for help; empty: there is no colon
	help string
	open func(ctx context.Context, what string, o targetOptions) (conformance.Factory, error)
}

// targetOptions are what flags say about all targets.
type targetOptions struct {
	tolerances string // kind of target for the tolerance table; empty: as the target knows
}

// targetKinds is the registry. New kinds of targets are added here and nowhere else.
func targetKinds() []targetKind {
	return []targetKind{
		{"core", "", "this project's own core, in process and in virtual time", openCore},
		{"exec", "CMD", "a userspace program on this machine (Linux, root); {if} in CMD is the interface's name",
			openProgram},
		{"kernel", "", "the WireGuard of the running Linux kernel (root)", openKernel},
		{"remote", "FILE.yaml", "any device reachable over UDP, as FILE.yaml describes it (Linux); see init-remote",
			openRemote},
		{"shim", "CMD", "any program that speaks the shim protocol (docs/SHIM.md), in virtual time", openShim},
	}
}

func openCore(_ context.Context, _ string, o targetOptions) (conformance.Factory, error) {
	if o.tolerances != "" {
		return nil, fmt.Errorf("--tolerances %s: the core lives in virtual time and is granted none", o.tolerances)
	}
	return coretarget.Factory{}, nil
}

func openProgram(ctx context.Context, command string, o targetOptions) (conformance.Factory, error) {
	return exec.New(ctx, command, o.tolerances)
}

func openRemote(ctx context.Context, file string, o targetOptions) (conformance.Factory, error) {
	return remote.New(ctx, file, o.tolerances, os.Stderr)
}

func openKernel(ctx context.Context, _ string, o targetOptions) (conformance.Factory, error) {
	return kernel.New(ctx, o.tolerances)
}

func openShim(ctx context.Context, command string, o targetOptions) (conformance.Factory, error) {
	return shim.New(ctx, command, version(), o.tolerances)
}

// targetForms lists how targets are written.
func (p *program) targetForms() string {
	var forms []string
	for _, k := range p.kinds {
		forms = append(forms, k.form())
	}
	return strings.Join(forms, ", ")
}

func (k *targetKind) form() string {
	if k.what == "" {
		return k.name
	}
	return k.name + ":" + k.what
}

// findTarget takes a target apart.
func (p *program) findTarget(target string) (*targetKind, string, error) {
	name, what, colon := strings.Cut(target, ":")
	for i := range p.kinds {
		k := &p.kinds[i]
		switch {
		case k.name != name:
		case k.what == "" && colon:
			return nil, "", fmt.Errorf("target %q: %s takes nothing behind a colon", target, name)
		case k.what != "" && strings.TrimSpace(what) == "":
			return nil, "", fmt.Errorf("target %q: %s is missing, as in %s", target, k.what, k.form())
		default:
			return k, what, nil
		}
	}
	return nil, "", fmt.Errorf("unknown target %q, there are: %s", target, p.targetForms())
}

// openTarget makes the factory of a target, which is to be closed with closeTarget.
func (p *program) openTarget(ctx context.Context, target string, o targetOptions) (conformance.Factory, error) {
	k, what, err := p.findTarget(target)
	if err != nil {
		return nil, err
	}
	f, err := k.open(ctx, what, o)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", target, err)
	}
	return f, nil
}

func closeTarget(f conformance.Factory) error {
	if c, ok := f.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// targetHelp explains the kinds of targets.
func (p *program) targetHelp() string {
	var b strings.Builder
	b.WriteString("Targets:\n")
	for _, k := range p.kinds {
		fmt.Fprintf(&b, "  %-10s %s\n", k.form(), k.help)
	}
	return strings.TrimRight(b.String(), "\n")
}
