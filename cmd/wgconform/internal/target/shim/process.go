package shim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/shell"

	proto "github.com/purewire/purewire/cmd/wgconform/internal/shim"
)

const (
	// Patience is how long an answer may take in real time. A flood of thousands of handshakes is one request.
	Patience = 60 * time.Second
	// farewell is how long a program may take to end when its standard input has.
	farewell = 5 * time.Second
	// tailLimit is how much of its standard error is kept.
	tailLimit = 64 << 10
	// lineLimit bounds a reply.
	lineLimit = 256 << 20
)

// A DeathError says that the program is gone, or as good as that: it was ended because it did not answer.
type DeathError struct {
	Op  string // that has no answer
	How string
	// Last is the end of its standard error.
	Last string
}

func (e *DeathError) Error() string {
	s := fmt.Sprintf("no answer to %q: %s", e.Op, e.How)
	if e.Last != "" {
		s += "; its last words:\n" + e.Last
	}
	return s
}

// A ReplyError is a breach of the protocol in a reply.
type ReplyError struct {
	Op   string
	Err  error // a *proto.FieldError where it is about a field
	Line []byte
}

func (e *ReplyError) Error() string {
	s := fmt.Sprintf("the reply to %q: %v", e.Op, e.Err)
	if len(e.Line) > 0 {
		s += fmt.Sprintf(", in %.160s", strings.TrimSpace(string(e.Line)))
	}
	return s
}

func (e *ReplyError) Unwrap() error { return e.Err }

// Program is what runs behind a Process.
type Program interface {
	Kill()
	// Wait waits for its end, once, and gives nil if it ended well.
	Wait() error
	// Said is the end of its standard error.
	Said() string
}

// Process is a program that speaks the protocol. It is used by one goroutine.
type Process struct {
	Patience time.Duration

	program Program
	stdin   *os.File
	stdout  *os.File
	in      *bufio.Reader
	last    int64 // id
	gone    error
	ended   bool
	stop    func() bool
}

// Attach makes a Process of a program that runs, and the other ends of its standard input and output, which are pipes.
// When ctx ends it is killed.
func Attach(ctx context.Context, stdin, stdout *os.File, program Program) *Process {
	return &Process{Patience: Patience, program: program, stdin: stdin, stdout: stdout,
		in: bufio.NewReaderSize(stdout, 1<<16), stop: context.AfterFunc(ctx, program.Kill)}
}

// command is a Program of the operating system.
type command struct {
	*exec.Cmd
	stderr *tail
}

func (c *command) Kill()        { kill(c.Cmd) }
func (c *command) Said() string { return c.stderr.String() }

// Split cuts a command line into words as a shell would.
func Split(command string) ([]string, error) {
	words, err := shell.Fields(command, os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", command, err)
	}
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	return words, nil
}

// Start starts a program. It is to be ended with Close; when ctx ends it is killed.
func Start(ctx context.Context, words []string) (*Process, error) {
	theirs, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	stdout, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	defer answers.Close()
	c := &command{exec.Command(words[0], words[1:]...), &tail{}}
	c.Stdin, c.Stdout, c.Stderr = theirs, answers, c.stderr
	c.WaitDelay = farewell // children of it may hold its standard error
	group(c.Cmd)
	if err := c.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", words[0], err), stdin.Close(), stdout.Close())
	}
	return Attach(ctx, stdin, stdout, c), nil
}

// Ask sends a request, whose ID it sets, and gives the reply. An error is a *DeathError or a *ReplyError, after
// which the process is of no more use.
func (p *Process) Ask(r *proto.Request) (*proto.Reply, error) {
	p.last++
	r.ID = p.last
	line, err := proto.Encode(r)
	if err != nil {
		return nil, &ReplyError{Op: r.Op, Err: fmt.Errorf("the request cannot be written: %w", err)}
	}
	answer, err := p.Exchange(r.Op, line)
	if err != nil {
		return nil, err
	}
	reply := &proto.Reply{}
	if err := proto.Decode(answer, reply, false); err != nil {
		return nil, &ReplyError{r.Op, err, answer}
	}
	if reply.ID != r.ID {
		problem := fmt.Sprintf("is %d, of the request it is %d", reply.ID, r.ID)
		return nil, &ReplyError{r.Op, &proto.FieldError{Field: "id", Problem: problem}, answer}
	}
	return reply, nil
}

// Exchange sends a line as it is and gives the one that is answered, whatever it is. op is for messages.
func (p *Process) Exchange(op string, line []byte) ([]byte, error) {
	if p.gone != nil {
		return nil, p.gone
	}
	answer, err := p.exchange(line)
	if err == nil {
		return answer, nil
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.program.Kill()
		p.wait()
		p.gone = &DeathError{op, fmt.Sprintf("none within %v, so it was ended", p.Patience), p.program.Said()}
	case errors.Is(err, errTooLong):
		p.gone = &ReplyError{op, err, answer}
	case len(answer) > 0:
		p.gone = &ReplyError{op, fmt.Errorf("has no newline at its end: %w", err), answer}
	default:
		how := "it ended, exit status 0"
		if err := p.wait(); err != nil {
			how = "it ended, " + err.Error()
		}
		p.gone = &DeathError{op, how, p.program.Said()}
	}
	return nil, p.gone
}

var errTooLong = fmt.Errorf("longer than %d bytes", lineLimit)

func (p *Process) exchange(line []byte) (answer []byte, err error) {
	until := time.Now().Add(p.Patience)
	if err := errors.Join(p.stdin.SetWriteDeadline(until), p.stdout.SetReadDeadline(until)); err != nil {
		return nil, err
	}
	// One that takes no request may have said something all the same, before it ended.
	if _, err := p.stdin.Write(line); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	for {
		part, err := p.in.ReadSlice('\n')
		answer = append(answer, part...)
		switch {
		case len(answer) > lineLimit:
			return answer[:160], errTooLong
		case err == nil:
			return answer, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return answer, err
		}
	}
}

// wait waits for the end of the program, and makes it end if it does not come.
func (p *Process) wait() error {
	p.stop()
	p.ended = true
	timer := time.AfterFunc(farewell, p.program.Kill)
	defer timer.Stop()
	return p.program.Wait()
}

// Close ends the program by the end of its standard input. The error says that it did not end by itself, or badly, or
// that it still said something.
func (p *Process) Close() error {
	defer p.stdout.Close()
	err := p.stdin.Close()
	if p.ended {
		return nil
	}
	if p.gone != nil { // there is no reason to let it go on
		p.program.Kill()
		_ = p.wait()
		return nil
	}
	if e := p.wait(); e != nil {
		last := p.program.Said()
		if last != "" {
			last = "; its last words:\n" + last
		}
		return errors.Join(err, fmt.Errorf("when its standard input ended: %w%s", e, last))
	}
	if e := p.stdout.SetReadDeadline(time.Now().Add(farewell)); e != nil {
		return errors.Join(err, e)
	}
	if b, _ := p.in.ReadByte(); b != 0 {
		return errors.Join(err, errors.New("there is more on its standard output than replies"))
	}
	return err
}

// tail keeps the end of what a program says.
type tail struct {
	mu   sync.Mutex
	said []byte
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, b...)
	if over := len(t.said) - tailLimit; over > 0 {
		t.said = append([]byte(nil), t.said[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.said))
}

var _ io.Writer = (*tail)(nil)
