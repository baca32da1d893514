package transports

import (
	"syscall"
	"testing"
	"time"
)

// wire is a Descriptor and the other end of its socket pair.
type wire struct {
	d   *Descriptor
	far int
	buf [16]byte
	f   func(fd uintptr) int
	n   int // bytes that f has read
}

var letter = []byte("x")

func newWire(t testing.TB, rests bool) *wire {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{far: fds[1]}
	t.Cleanup(func() { syscall.Close(fds[1]) })
	if w.d, err = NewDescriptor(fds[0], "pair", rests); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.d.Close() })
	w.f = func(fd uintptr) int {
		n, err := syscall.Read(int(fd), w.buf[:])
		if err == syscall.EAGAIN {
			return 0
		}
		w.n = n
		return 1
	}
	return w
}

func (w *wire) send(t testing.TB) {
	t.Helper()
	if _, err := syscall.Write(w.far, letter); err != nil {
		t.Error(err)
	}
}

// read reads in a goroutine, so that a test can tell whether it returns.
func (w *wire) read() <-chan error {
	done := make(chan error, 1)
	go func() { done <- w.d.Read(w.f) }()
	return done
}

func returns(t *testing.T, what string, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: Read has not returned", what)
		return nil
	}
}

// TestDescriptorWakes: whatever comes is read, be it there before or after the reader went to sleep, and every time.
func TestDescriptorWakes(t *testing.T) {
	w := newWire(t, true)
	for i := range 300 {
		done := w.read()
		if i%3 == 0 {
			time.Sleep(time.Millisecond) // mostly asleep by now; the test holds if not
		}
		select {
		case err := <-done:
			t.Fatalf("Read returned with nothing sent: %v", err)
		default:
		}
		w.send(t)
		if err := returns(t, "sent", done); err != nil || w.n != 1 {
			t.Fatalf("%d bytes, %v", w.n, err)
		}
	}
}

// TestDescriptorEnds: Interrupt and Close end a Read that waits, and what has arrived is still read after Interrupt.
func TestDescriptorEnds(t *testing.T) {
	w := newWire(t, false)
	done := w.read()
	time.Sleep(time.Millisecond)
	w.d.Interrupt()
	if err := returns(t, "interrupted", done); err == nil {
		t.Error("no error of an interrupted Read")
	}
	w.send(t)
	if err := w.d.Read(w.f); err != nil {
		t.Errorf("what has arrived is not read after Interrupt: %v", err)
	}
	other := newWire(t, false)
	done = other.read()
	time.Sleep(time.Millisecond)
	if err := other.d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := returns(t, "closed", done); err == nil {
		t.Error("no error of a closed Read")
	}
	if err := other.d.Write(func(uintptr) int { return 1 }); err == nil {
		t.Error("no error of a Write after Close")
	}
}

// TestDescriptorWaitsForRoom: a Write that finds no room is tried again, and ends when there is some.
func TestDescriptorWaitsForRoom(t *testing.T) {
	w := newWire(t, false)
	put := func(fd uintptr) int {
		if _, err := syscall.Write(int(fd), letter); err == syscall.EAGAIN {
			return 0
		}
		return 1
	}
	full := false
	for !full {
		if err := w.d.Write(func(fd uintptr) int {
			full = put(fd) == 0
			return 1
		}); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- w.d.Write(put) }()
	var b [1]byte
	if _, err := syscall.Read(w.far, b[:]); err != nil {
		t.Fatal(err)
	}
	if err := returns(t, "room", done); err != nil {
		t.Fatal(err)
	}
}

// TestPace: only packets that come quickly and one by one are rested for, and not when they have stopped coming.
func TestPace(t *testing.T) {
	brisk := func(every time.Duration, each int) bool {
		var p pace
		p.began = time.Now().Add(-time.Duration(window/each) * every)
		for range window / each {
			p.found(each)
		}
		return p.brisk
	}
	if !brisk(time.Microsecond, 1) {
		t.Error("packets in quick succession are not rested for")
	}
	if brisk(2*time.Second/briskRate, 1) {
		t.Error("a slow flow is rested for")
	}
	if brisk(time.Microsecond, briskBatch) {
		t.Error("bunches are rested for")
	}
	p := pace{brisk: true}
	for range missEnough {
		if !p.rest() {
			t.Fatal("no rest")
		}
	}
	if p.rest() || p.brisk {
		t.Error("rests go on though nothing comes")
	}
}

// TestDescriptorAllocations: reading and writing allocate nothing, asleep in between or not.
func TestDescriptorAllocations(t *testing.T) {
	w := newWire(t, true)
	write := func(fd uintptr) int { return 1 }
	if n := testing.AllocsPerRun(500, func() {
		w.send(t)
		if w.d.Read(w.f) != nil || w.d.Write(write) != nil {
			t.Error("it fails")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
