package shimcheck_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/cmd/wgconform/internal/target/shim"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

type object = map[string]any

// bad is a shim of the core that is wrong in one thing. Each hook may be nil.
type bad struct {
	name  string
	kills string // the check that is there for it
	// raw answers a line itself, or does not. An error ends the program.
	raw func(b *running, line string) (answer string, done bool, err error)
	// request changes a request before the good shim gets it, reply what that answers.
	request func(b *running, request object)
	reply   func(b *running, request, reply object)
	end     func(out io.Writer) error
}

// running is a bad shim that runs.
type running struct {
	bad
	in    io.Writer // the good shim's
	out   *bufio.Reader
	names []string // of all instances so far
	now   map[string]int64
	opens int
}

// good asks the good shim.
func (b *running) good(line string) (string, error) {
	if _, err := io.WriteString(b.in, line+"\n"); err != nil {
		return "", err
	}
	answer, err := b.out.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

func parse(line string) (o object) {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if d.Decode(&o) != nil {
		return nil
	}
	return o
}

func write(o object) string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // it was JSON before
	}
	return string(b)
}

func number(o object, field string) int64 {
	n, ok := o[field].(json.Number)
	if !ok {
		return 0
	}
	v, err := n.Int64()
	if err != nil {
		panic(err) // the protocol has integers only
	}
	return v
}

// objects are the elements of a list.
func objects(o object, field string) (all []object) {
	list, _ := o[field].([]any)
	for _, e := range list {
		if e, ok := e.(object); ok {
			all = append(all, e)
		}
	}
	return all
}

// answer is what the bad shim says to a line.
func (b *running) answer(line string) (string, error) {
	if b.raw != nil {
		if answer, done, err := b.raw(b, line); done || err != nil {
			return answer, err
		}
	}
	request := parse(line)
	if request == nil {
		return b.good(line)
	}
	if request["op"] == "open" {
		b.opens++
		b.names = append(b.names, request["instance"].(string))
	}
	given := parse(line)
	if b.request != nil {
		b.request(b, given)
	}
	answer, err := b.good(write(given))
	if err != nil {
		return "", err
	}
	reply := parse(answer)
	if name, ok := request["instance"].(string); ok && reply["now"] != nil {
		b.now[name] = number(reply, "now")
	}
	if b.reply != nil {
		b.reply(b, request, reply)
	}
	return write(reply), nil
}

// program is a bad shim as a process has it.
type program struct {
	stdin, stdout *os.File // its own ends
	ended         chan error
}

func (p *program) Kill()        { p.stdin.Close() }
func (p *program) Wait() error  { return <-p.ended }
func (p *program) Said() string { return "a bad shim" }

// start runs it in this process.
func (bad bad) start(ctx context.Context) (*shim.Process, error) {
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &program{stdin, stdout, make(chan error, 1)}
	go func() {
		err := bad.serve(p)
		p.ended <- errors.Join(err, stdout.Close(), ignoreClosed(stdin.Close()))
	}()
	return shim.Attach(ctx, in, out, p), nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) { // killed
		return nil
	}
	return err
}

func (bad bad) serve(p *program) error {
	fromUs, in := io.Pipe()
	fromGood, out := io.Pipe()
	served := make(chan error, 1)
	go func() {
		o := proto.Options{Has: []string{proto.Addresses, proto.Repeats, proto.Work}}
		served <- proto.Serve(context.Background(), fromUs, out, coretarget.Factory{}, o)
	}()
	defer func() { in.Close(); fromGood.Close(); <-served }()
	b := &running{bad: bad, in: in, out: bufio.NewReader(fromGood), now: map[string]int64{}}
	lines := bufio.NewReader(p.stdin)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if bad.end != nil {
				return bad.end(p.stdout)
			}
			return nil
		}
		answer, err := b.answer(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return err
		}
		if _, err := io.Copy(p.stdout, bytes.NewReader([]byte(answer+"\n"))); err != nil {
			return err
		}
	}
}
