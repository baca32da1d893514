package main

import (
	"bufio"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/eventlog"
	"github.com/purewire/purewire/transports"
)

// flushEvery bounds how much of a recording is lost when the process is killed.
const flushEvery = time.Second

// recording is a core whose inputs go to a file.
type recording struct {
	core *eventlog.Recorder
	file *os.File
	out  *bufio.Writer
	mu   sync.Mutex // guards out; given to the Recorder too
	done chan struct{}
	wg   sync.WaitGroup
}

// newCore makes the core, and if there is a file to record it in puts the recorder in front of it.
func newCore(c protocol.Config, file *os.File) (transports.Core, *recording, error) {
	if file == nil {
		d, err := protocol.New(c)
		return d, nil, err
	}
	r := &recording{file: file, out: bufio.NewWriterSize(file, 1<<20), done: make(chan struct{})}
	var err error
	if r.core, err = eventlog.NewRecorder(r.out, &r.mu, c); err != nil {
		return nil, nil, err
	}
	r.wg.Go(r.flush)
	return r.core, r, nil
}

// flush writes out now and then.
func (r *recording) flush() {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-ticker.C:
			r.mu.Lock()
			_ = r.out.Flush() // it keeps its error, which close gives
			r.mu.Unlock()
		}
	}
}

// close ends the recording; the node has ended. A nil recording has nothing to end.
func (r *recording) close() error {
	if r == nil {
		return nil
	}
	close(r.done)
	r.wg.Wait()
	return errors.Join(r.core.Close(), r.out.Flush(), r.file.Close())
}
