package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
)

// A machine is the namespaces of one instance, with their first process.
type machine struct {
	process *exec.Cmd
	orders  io.WriteCloser
	replies chan notice // Ready, Started, Error
	folder  string      // of control sockets, as the runner sees it
	network int         // file descriptor of the network namespace
	said    *tail       // by what was started last
	wake    func()      // called when something ended

	stop   chan struct{} // closed: the thread that is the parent may end
	ended  chan struct{} // closed: the first process has ended
	copied chan struct{} // closed: nothing more comes from its standard error

	mu     sync.Mutex
	runs   bool          // what was started last
	status string        // how it ended
	words  string        // its last ones; empty: not asked for yet
	gone   chan struct{} // closed: nothing is left of it
}

// boot makes a machine. wake is called from another goroutine whenever a program ends.
func boot(wake func()) (*machine, error) {
	m := &machine{said: &tail{}, wake: wake, network: -1, replies: make(chan notice, 4),
		stop: make(chan struct{}), ended: make(chan struct{}), copied: make(chan struct{})}
	m.process = exec.Command("/proc/self/exe")
	m.process.Args = []string{initName}
	m.process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL, // with it all of its process namespace ends, and the rest with that
		Setpgid:    true,            // the terminal's ^C is for the runner alone
	}
	var err error
	if m.orders, err = m.process.StdinPipe(); err != nil {
		return nil, err
	}
	notices, err := m.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	words, err := m.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go m.parent(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("making namespaces: %w (root is needed)", err)
	}
	go m.listen(notices)
	go func() {
		defer close(m.copied)
		_, _ = io.Copy(m.said, words) // ends with the machine
	}()
	return m, m.enter()
}

// parent starts the first process and waits for it. Pdeathsig is about the parent thread, not the process: so this
// has a thread of its own for as long as the machine lives.
func (m *machine) parent(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := m.process.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	<-m.stop
}

// enter waits for the first process and opens what the runner needs of it.
func (m *machine) enter() error {
	n, err := m.reply("the first process of the namespaces")
	if err != nil {
		return errors.Join(err, m.Close())
	}
	root := "/proc/" + strconv.Itoa(m.process.Process.Pid)
	m.folder = filepath.Join(root, "root", n.Ready)
	if m.network, err = unix.Open(root+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return errors.Join(fmt.Errorf("%s/ns/net: %w", root, err), m.Close())
	}
	return nil
}

// listen takes in the notices of the first process until it ends.
func (m *machine) listen(notices io.Reader) {
	defer close(m.ended)
	for d := json.NewDecoder(notices); ; {
		var n notice
		if d.Decode(&n) != nil {
			m.died("the first process of the namespaces has ended")
			return
		}
		switch {
		case n.Gone:
			m.died(n.Ended)
			close(m.goneChannel())
		case n.Ended != "" && n.Status == 0: // It may have gone into the background: Gone says if nothing is left.
		case n.Ended != "":
			m.died(n.Ended)
		default:
			m.replies <- n
		}
	}
}

// died notes that the program is gone. The first reason counts.
func (m *machine) died(reason string) {
	m.mu.Lock()
	if m.runs {
		m.runs, m.status = false, reason
	}
	m.mu.Unlock()
	m.wake()
}

// reply waits for an answer of the first process.
func (m *machine) reply(what string) (notice, error) {
	select {
	case n := <-m.replies:
		if n.Error != "" {
			return n, errors.New(n.Error)
		}
		return n, nil
	case <-m.ended:
		return notice{}, fmt.Errorf("%s: ended: %s", what, m.said)
	case <-time.After(realtime.Patience):
		return notice{}, fmt.Errorf("%s: nothing within %v", what, realtime.Patience)
	}
}

func (m *machine) order(o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = m.orders.Write(append(text, '\n'))
	return err
}

// start runs a program; nothing of an earlier one may run.
func (m *machine) start(words []string) error {
	mark := fmt.Sprintf("\x00%x\x00", time.Now().UnixNano())
	m.said.begin(mark)
	m.mu.Lock()
	m.runs, m.status, m.words, m.gone = true, "", "", make(chan struct{})
	m.mu.Unlock()
	if err := m.order(order{Start: words, Mark: mark}); err != nil {
		return err
	}
	_, err := m.reply("starting " + words[0])
	return err
}

// Stop implements realtime.Driver: it ends the program by SIGKILL and waits until all its processes are gone.
func (m *machine) Stop() error {
	m.mu.Lock()
	m.runs = false // what follows is no news
	m.mu.Unlock()
	if err := m.order(order{Kill: true}); err != nil {
		return err
	}
	late := time.After(realtime.Patience)
	// And until its last word was read, which else would be the next one's first.
	for _, over := range []<-chan struct{}{m.goneChannel(), m.said.ended()} {
		select {
		case <-over:
		case <-m.ended:
			return errors.New("the first process of the namespaces has ended")
		case <-late:
			return fmt.Errorf("processes are left %v after SIGKILL", realtime.Patience)
		}
	}
	return nil
}

func (m *machine) goneChannel() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gone
}

// Death implements realtime.Driver: it is why the program is gone, with its last words; empty: it runs.
func (m *machine) Death() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs {
		return ""
	}
	if m.words == "" {
		select {
		case <-m.said.ended():
		case <-time.After(200 * time.Millisecond): // a process of it is left and goes on talking
		}
		if m.words = m.said.String(); m.words == "" {
			m.words = "none"
		}
	}
	return m.status + "; its last words:\n" + m.words
}

// Close implements realtime.Driver: it ends the machine and all that runs there, and waits for that.
func (m *machine) Close() error {
	if m == nil {
		return nil
	}
	// Not by closing the pipe alone: a SIGKILL needs no cooperation.
	err := m.process.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-m.ended
	<-m.copied
	if e := m.process.Wait(); e != nil {
		if _, killed := errors.AsType[*exec.ExitError](e); !killed {
			err = errors.Join(err, e)
		}
	}
	close(m.stop)
	if m.network >= 0 {
		err = errors.Join(err, unix.Close(m.network))
	}
	return err
}
