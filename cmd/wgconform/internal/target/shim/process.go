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

// Process is a program that speaks the protocol. It is used by one goroutine.
type Process struct {
	// Strict makes fields that the protocol does not have an error.
	Strict   bool
	Patience time.Duration

	command *exec.Cmd
	stdin   *os.File
	stdout  *os.File
	in      *bufio.Reader
	stderr  *tail
	last    int64 // id
	gone    error
	stop    func() bool
}

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
func Start(ctx context.Context, words []string) (_ *Process, err error) {
	p := &Process{Patience: Patience, stderr: &tail{}, command: exec.Command(words[0], words[1:]...)}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
		if err != nil && p.stdin != nil {
			err = errors.Join(err, p.stdin.Close(), p.stdout.Close())
		}
	}()
	theirs, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	files = append(files, theirs)
	stdout, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	files = append(files, answers)
	p.stdin, p.stdout, p.in = stdin, stdout, bufio.NewReaderSize(stdout, 1<<16)
	p.command.Stdin, p.command.Stdout, p.command.Stderr = theirs, answers, p.stderr
	p.command.WaitDelay = farewell // children of it may hold its standard error
	group(p.command)
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	p.stop = context.AfterFunc(ctx, func() { kill(p.command) })
	return p, nil
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
	if err := proto.Decode(answer, reply, p.Strict); err != nil {
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
		kill(p.command)
		p.wait()
		p.gone = &DeathError{op, fmt.Sprintf("none within %v, so it was ended", p.Patience), p.stderr.String()}
	case errors.Is(err, errTooLong):
		p.gone = &ReplyError{op, err, answer}
	case len(answer) > 0:
		p.gone = &ReplyError{op, fmt.Errorf("has no newline at its end: %w", err), answer}
	default:
		how := p.wait()
		p.gone = &DeathError{op, how, p.stderr.String()}
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

// wait waits for the end of the program, makes it end if it does not come, and says how it ended.
func (p *Process) wait() (how string) {
	p.stop()
	timer := time.AfterFunc(farewell, func() { kill(p.command) })
	defer timer.Stop()
	err := p.command.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "it ended, exit status 0"
	case errors.As(err, &exit):
		return "it ended, " + exit.String()
	}
	return "it ended, " + err.Error()
}

// Close ends the program by the end of its standard input. The error says that it did not end by itself, or badly.
func (p *Process) Close() error {
	defer p.stdout.Close()
	err := p.stdin.Close()
	if p.command.ProcessState != nil { // waited for already
		return nil
	}
	if p.gone != nil { // there is no reason to let it go on
		kill(p.command)
		p.wait()
		return nil
	}
	p.wait()
	if s := p.command.ProcessState; s == nil || !s.Success() {
		how := "it did not end"
		if s != nil {
			how = s.String()
		}
		last := p.stderr.String()
		if last != "" {
			last = "; its last words:\n" + last
		}
		return errors.Join(err, fmt.Errorf("when its standard input ended: %s%s", how, last))
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
