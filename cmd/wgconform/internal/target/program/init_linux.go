package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// initName is os.Args[0] of the first process of a machine. That it is recognised by the package itself and not by
// main lets any program use this package: a test of somebody's, too.
const initName = "wgconform-machine"

const socketFolder = "/var/run/wireguard"

// An order is what the runner tells the first process, one JSON object each.
type order struct {
	Start []string `json:"start,omitempty"` // run this
	Mark  string   `json:"mark,omitempty"`  // of that: written to its standard error when all of it has ended
	Kill  bool     `json:"kill,omitempty"`  // all processes
}

// A notice is what the first process tells the runner.
type notice struct {
	Ready   string `json:"ready,omitempty"`   // at the start: the folder of control sockets, free of symbolic links
	Started bool   `json:"started,omitempty"` // what was ordered
	Error   string `json:"error,omitempty"`   // why not
	Ended   string `json:"ended,omitempty"`   // how what was started itself ended, or the last process of it
	Status  int    `json:"status,omitempty"`  // and whether it did so in peace (0): then others of its may run
	Gone    bool   `json:"gone,omitempty"`    // no process is left
}

func init() {
	if os.Args[0] != initName {
		return
	}
	if err := firstProcess(os.Stdin, os.Stdout); err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(notice{Error: err.Error()})
		os.Exit(1)
	}
	os.Exit(0)
}

// firstProcess prepares the mounts, then starts and kills programs as it is told, until in ends. It adopts and reaps
// what daemons leave behind, so that a program that goes into the background is followed too.
func firstProcess(in io.Reader, out io.Writer) error {
	if os.Getpid() != 1 {
		return errors.New("this is for wgconform itself: it must be the first process of a namespace")
	}
	folder, err := privateMounts()
	if err != nil {
		return err
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	f := &first{out: json.NewEncoder(out)}
	if err := f.out.Encode(notice{Ready: folder}); err != nil {
		return err
	}
	orders := make(chan order)
	go func() {
		defer close(orders)
		for d := json.NewDecoder(in); ; {
			var o order
			if d.Decode(&o) != nil {
				return
			}
			orders <- o
		}
	}()
	for {
		select {
		case o, more := <-orders:
			if !more {
				return nil // the kernel ends the rest with us
			}
			err = f.obey(o)
		case <-children:
			err = f.reap()
		}
		if err != nil {
			return err
		}
	}
}

// first is the state of the first process.
type first struct {
	out  *json.Encoder
	main int    // process of what was started; 0: it has ended
	mark string // of it
	any  bool   // processes of it may be left
	last string // how the last one ended
}

func (f *first) obey(o order) error {
	if o.Kill {
		if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return f.out.Encode(notice{Error: "killing: " + err.Error()})
		}
		return nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(o.Start[0], o.Start, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), 2, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return f.out.Encode(notice{Error: fmt.Sprintf("%s: %v", o.Start[0], err)})
	}
	f.main, f.mark, f.any = pid, o.Mark, true
	return f.out.Encode(notice{Started: true})
}

// reap takes note of every process that has ended.
func (f *first) reap() error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD) && f.any:
			f.any = false
			// All that the program ever said is in the pipe by now: the mark ends it.
			if _, err := os.Stderr.WriteString(f.mark); err != nil {
				return err
			}
			return f.out.Encode(notice{Gone: true, Ended: f.last})
		case err != nil || pid == 0:
			return nil
		}
		f.last = describe(status)
		if pid == f.main {
			f.main = 0
			if err := f.out.Encode(notice{Ended: f.last, Status: int(status)}); err != nil {
				return err
			}
		}
	}
}

// describe says how a process ended.
func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		text := "killed by signal " + unix.SignalName(status.Signal())
		if status.CoreDump() {
			text += " (core dumped)"
		}
		return text
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// privateMounts gives the machine its own /proc and /sys, which show its processes and interfaces only, and its own
// control sockets, and tells the folder of these.
func privateMounts() (folder string, err error) {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("making mounts private: %w", err)
	}
	for dir, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs"} {
		if err := unix.Mount(kind, dir, kind, flags, ""); err != nil {
			return "", fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	// All of /var/run: a mount point below would go with its folder as soon as somebody outside removed that, and one
	// made for this would stay behind.
	dir := filepath.Dir(socketFolder)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return "", fmt.Errorf("mounting a private %s: %w", dir, err)
	}
	if err := os.MkdirAll(socketFolder, 0o755); err != nil {
		return "", err
	}
	// /var/run is a link to /run at most places. A link leads out of /proc/PID/root, by which the runner comes in.
	return filepath.EvalSymlinks(socketFolder)
}
